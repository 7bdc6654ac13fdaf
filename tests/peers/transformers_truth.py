"""Parameters of the transformers classes on the meta device, and FLOPs and attention masks of a real forward and backward."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoConfig, AutoModelForCausalLM

torch.set_num_threads(1)  # with tiny models, threads only wait for each other
STAND_INS: dict[str, str] = {
    "deepseek": "glm4_moe",
    "grok-1": "mixtral",
    "kimi_k2": "deepseek_v3",
    "minimax_text_01": "minimax",
    "minimax_m1": "minimax",
}
"""Families that transformers lacks → the class with the same products that is used instead."""
_PLAIN_GLM = {"use_qk_norm": False, "partial_rotary_factor": 1.0}


@dataclass
class Truth:
    """Counts of one config: whole model, one sequence."""

    parameters: int
    forward: int
    both: int
    pairs: list[int] = field(default_factory=list)
    """(query, key) pairs the mask of each softmax layer lets through, in order."""


def as_transformers(config: Mapping[str, Any]) -> dict[str, Any]:
    """The config under its stand-in's name and keys."""
    kind = config["model_type"]
    made = dict(config) | {"model_type": STAND_INS.get(kind, kind)}
    match kind:
        case "grok-1":
            made["num_local_experts"] = made.pop("num_experts")
            made.setdefault("num_key_value_heads", made["num_attention_heads"])
        case "deepseek":
            made.setdefault("num_key_value_heads", made["num_attention_heads"])
            made.setdefault("first_k_dense_replace", 0)
            made |= _PLAIN_GLM
        case "minimax_text_01" | "minimax_m1":
            made["layer_types"] = ["full_attention" if code else "linear_attention" for code in made.pop("attn_type_list")]
        case _:
            pass
    return made


def stated_difference(config: Mapping[str, Any]) -> int:
    """Parameters a stand-in lacks: Grok-1 has two more norms in every layer than Mixtral."""
    return 2 * config["num_hidden_layers"] * config["hidden_size"] if config["model_type"] == "grok-1" else 0


def build(config: Mapping[str, Any], device: str) -> Any:
    """The class with eager attention and eager experts, which FlopCounterMode counts completely."""
    keys = as_transformers(config)
    hf = AutoConfig.for_model(keys.pop("model_type"), **keys)
    hf._experts_implementation = "eager"
    for special in ("pad_token_id", "bos_token_id", "eos_token_id"):
        setattr(hf, special, 0)
    with torch.device(device):
        return AutoModelForCausalLM.from_config(hf, attn_implementation="eager")


def parameters(config: Mapping[str, Any]) -> int:
    """Parameters of the class on the meta device, tied weights once."""
    return sum(p.numel() for p in build(config, "meta").parameters())


def default_config(family: str) -> Any:
    """The class's own default config, with the keys that two classes need to be built."""
    config = AutoConfig.for_model(family)
    if family == "dbrx":
        config.attn_config.rope_theta = 1e4
    if family == "hunyuan_v1_moe":
        config.head_dim = 128
    return config


def parameters_of(config: Any) -> int:
    """Parameters of the class of a transformers config object, on the meta device."""
    with torch.device("meta"):
        return sum(p.numel() for p in AutoModelForCausalLM.from_config(config).parameters())


def random_inputs(config: Mapping[str, Any], length: int) -> tuple[Any, torch.Tensor]:
    """The class with random weights, and one random sequence; the same for each call."""
    torch.manual_seed(0)
    model = build(config, "cpu").train()
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(torch.randn_like(weight) * 0.02)
    return model, torch.randint(model.config.get_text_config().vocab_size, (1, length))


def measure(config: Mapping[str, Any], length: int) -> Truth:
    """Counts of a real forward and backward over one random sequence, with real routing."""
    model, ids = random_inputs(config, length)
    with _masks(model) as pairs, FlopCounterMode(display=False) as counter:
        logits = model(input_ids=ids, use_cache=False).logits
        forward = counter.get_total_flops()
        excess = dense_experts(model, counter)
        logits.sum().backward()
        both = counter.get_total_flops()
    return Truth(sum(p.numel() for p in model.parameters()), forward - excess, both - 3 * excess, pairs)


def dense_experts(model: Any, counter: FlopCounterMode) -> int:
    """Excess FLOPs of Llama 4's class, which runs all experts on every token instead of the chosen ones."""
    if "Llama4" not in type(model).__name__:
        return 0
    experts, top_k = model.config.num_local_experts, model.config.num_experts_per_tok
    counts = counter.get_flop_counts()
    ran = sum(sum(ops.values()) for name, ops in counts.items() if name.endswith(".experts"))
    return int(ran * (experts - top_k) // experts)


@contextmanager
def _masks(model: Any) -> Iterator[list[int]]:
    """The pairs that every softmax layer's mask allows, read when the layer is called."""
    pairs: list[int] = []

    def read(module: Any, _: Any, kwargs: dict[str, Any]) -> None:
        mask = kwargs.get("attention_mask")
        if mask is None:
            raise AssertionError(f"{type(module).__name__} was called without a mask")
        allowed = mask if mask.dtype == torch.bool else mask > torch.finfo(mask.dtype).min / 2
        pairs.append(int(allowed[0, 0].sum()))

    names = ("Attention", "FlashAttention2")
    parts = [m for m in model.modules() if type(m).__name__.endswith(names) and "Lightning" not in type(m).__name__]
    handles = [part.register_forward_pre_hook(read, with_kwargs=True) for part in parts]
    try:
        yield pairs
    finally:
        for handle in handles:
            handle.remove()


def unread_states(config: Mapping[str, Any], length: int) -> int:
    """Twice the forward FLOPs minus the backward FLOPs of unrolled lightning attention.

    The first state is a constant zero and needs no gradient; nothing reads the last update, so its two operands need none: three products
    of ``chunk × d × d`` per head and layer.
    """
    hf = build(config, "meta").config
    return unread_lightning(hf, length) if hf.model_type == "minimax" else 0


def unread_lightning(hf: Any, length: int) -> int:
    """The same of a config object of the class."""
    head_dim = hf.head_dim or hf.hidden_size // hf.num_attention_heads
    first, last = min(hf.block_size, length), length % hf.block_size or min(hf.block_size, length)
    per_head = 2 * (first + 2 * last) * head_dim**2
    return int(hf.layer_types.count("linear_attention") * hf.num_attention_heads * per_head)
