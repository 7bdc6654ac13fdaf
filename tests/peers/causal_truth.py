"""Parameters and FLOPs, forward and backward, of the causal class of any model type, measured on the class.

Small configs run on the CPU with real routing. Class defaults run on the meta device, where nothing is routed: all routed rows go through
the first expert. What the counter misses is corrected as in ``recurrent_truth``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import MethodType
from typing import Any
from unittest import mock

import recurrent_truth
import torch
import transformers_truth
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoModelForCausalLM, PreTrainedModel, masking_utils
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.jetmoe.modeling_jetmoe import JetMoeTopKGating

torch.set_num_threads(1)


@dataclass(frozen=True)
class Counted:
    """Parameters, FLOPs of one sequence, and, if masks have values, the pairs that the mask of each softmax layer allows."""

    parameters: int
    forward: float
    backward: float
    pairs: tuple[int, ...] = ()


COMPLETED: dict[str, dict[str, Any]] = {
    "dbrx": {"attn_config": {"kv_n_heads": 8, "rope_theta": 1e4, "clip_qkv": 8.0}, "tie_word_embeddings": False},
    "deepseek_v2": {"num_experts_per_tok": 6},
    "dots1": {"n_routed_experts": 128, "num_experts_per_tok": 6, "n_shared_experts": 2},
    "hunyuan_v1_dense": {"head_dim": 128},
    "hunyuan_v1_moe": {"head_dim": 128},
    "lfm2_moe": {"layer_types": ["conv", "conv", "full_attention", "conv"] * 8},
    "ministral": {"head_dim": 128},
    "nemotron": {"head_dim": 128, "num_key_value_heads": 8},
}
"""Classes that can't be built at their own defaults → the keys that they need."""


def default_config(kind: str) -> Any:
    """The class's own default config, with the keys that it can't be built without."""
    return CONFIG_MAPPING[kind](**COMPLETED.get(kind, {}))


def parameters(config: Any) -> int:
    """Parameters of the class on the meta device, without matrices that no release has."""
    with torch.device("meta"):
        held = sum(p.numel() for p in AutoModelForCausalLM.from_config(config).parameters())
    return int(held) - idle(config)


def idle(config: Any) -> int:
    """Matrices that the class of LongCat-Flash stores for its experts that do nothing."""
    if config.model_type != "longcat_flash":
        return 0
    return int(config.num_layers * (config.zero_expert_num or 0) * 2 * config.expert_ffn_hidden_size * config.hidden_size)


def on_meta(config: Any, length: int) -> Counted:
    """Counts at any size on the meta device, without storage or computation."""
    with torch.device("meta"), _without_values():
        model = _built(config)
        for part in model.modules():
            if type(part).__name__.endswith("Experts") and not type(part).__name__.startswith(("Llama4", "JetMoe")):
                part.forward = MethodType(_through_the_first, part)
        return _counted(model, torch.zeros((1, length), dtype=torch.long))


@contextmanager
def _without_values() -> Iterator[None]:
    """Replaces reads of tensor values in the classes: positions, padding, bounds of a distribution, rows of each expert."""
    with ExitStack() as stack:
        stack.enter_context(mock.patch.object(masking_utils, "find_packed_sequence_indices", return_value=None))
        stack.enter_context(mock.patch.object(PreTrainedModel, "warn_if_padding_and_no_attention_mask", return_value=None))
        stack.enter_context(mock.patch.object(masking_utils, "_ignore_bidirectional_mask_sdpa", return_value=False))
        stack.enter_context(mock.patch.object(torch.distributions.Distribution, "_validate_args", False))
        stack.enter_context(mock.patch.object(JetMoeTopKGating, "forward", _all_to_the_first))
        yield


def _all_to_the_first(router: Any, tokens: Any) -> Any:
    """JetMoE's router, with every row of the first expert."""
    logits = router.layer(tokens)
    rows = tokens.shape[0] * router.top_k
    order, sizes = torch.zeros(rows, dtype=torch.long), [rows] + [0] * (router.num_experts - 1)
    return order, order, logits.topk(router.top_k, dim=1).values.flatten(), sizes, logits


def on_cpu(config: Any, length: int) -> Counted:
    """Counts of a real run, with random weights and real routing."""
    torch.manual_seed(0)
    model = _built(config)
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(torch.randn_like(weight) * 0.02)
    return _counted(model, torch.randint(1, 90, (1, length)))


def _built(config: Any) -> Any:
    config._experts_implementation = "eager"
    return AutoModelForCausalLM.from_config(config, attn_implementation="eager").train()


def _counted(model: Any, ids: Any) -> Counted:
    config, length = model.config, ids.shape[1]
    pairs = _masked_pairs(model)
    with _missed(model) as missed, recurrent_truth.corrected(config, length) as more, FlopCounterMode(display=False) as counter:
        logits = model(input_ids=ids, use_cache=False).logits
        forward = recurrent_truth.products(counter)
        excess = transformers_truth.dense_experts(model, counter) - sum(missed)
        logits.sum().backward()
        both = recurrent_truth.products(counter)
    held = sum(p.numel() for p in model.parameters()) - idle(config)
    return Counted(held, forward - excess + more.forward, both - forward - 2 * excess + more.backward, tuple(pairs))


def _masked_pairs(model: Any) -> list[int]:
    """Pairs that the mask of each softmax layer allows, read when the layer is called."""
    pairs: list[int] = []
    marks_shut = model.config.model_type == "mpt"  # its mask marks the excluded pairs

    def read(_: Any, __: Any, kwargs: dict[str, Any]) -> None:
        mask = kwargs.get("attention_mask")
        if mask is not None and mask.dim() == 4 and not mask.is_meta:
            allowed = mask if mask.dtype == torch.bool else mask > torch.finfo(mask.dtype).min / 2
            pairs.append(int((~allowed if marks_shut else allowed)[0, 0].sum()))

    for part in model.modules():
        if type(part).__name__.endswith("Attention"):
            part.register_forward_pre_hook(read, with_kwargs=True)
    return pairs


@contextmanager
def _missed(model: Any) -> Iterator[list[float]]:
    """FLOPs that LongCat-Flash's routed rows lack compared with their mean, because its routers chose more identity experts."""
    missed: list[float] = []

    def seen(experts: Any, given: tuple[Any, ...]) -> None:
        index = given[1]
        share = experts.num_routed_experts / experts.total_experts
        met = index.numel() if index.is_meta else int((index < experts.num_routed_experts).sum())
        missed.append((index.numel() * share - met) * 6 * experts.hidden_size * experts.intermediate_size)

    handles = [part.register_forward_pre_hook(seen) for part in model.modules() if type(part).__name__ == "LongcatFlashExperts"]
    try:
        yield missed
    finally:
        for handle in handles:
            handle.remove()


def _through_the_first(experts: Any, hidden: Any, index: Any, weights: Any) -> Any:
    """All routed rows, through the matrices of the first expert."""
    tokens = hidden.reshape(-1, hidden.shape[-1])
    rows = tokens.repeat_interleave(index.shape[-1], 0)
    if hasattr(experts, "mlp"):  # DBRX: the matrices of all experts in one
        width = experts.ffn_hidden_size
        out = experts.mlp(rows, *(matrix[:width] for matrix in (experts.mlp.w1, experts.mlp.v1, experts.mlp.w2)))
    else:
        gated = hasattr(experts, "gate_up_proj")
        up = _product(rows, experts.gate_up_proj[0] if gated else experts.up_proj[0])
        out = _product(up[..., : up.shape[-1] // 2] if gated else up, experts.down_proj[0])
    return out.reshape(tokens.shape[0], -1, tokens.shape[1]).sum(1).reshape(hidden.shape) * weights.sum()


def _product(rows: Any, matrix: Any) -> Any:
    return rows @ (matrix if matrix.shape[0] == rows.shape[-1] else matrix.T)
