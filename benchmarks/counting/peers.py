"""Adapters that pass a config.json to each peer and return the peer's training FLOPs.

No code of a peer is stored here. verl and llm-analysis are read from where pip installed them. Megatron-LM and MaxText are not packages,
so the file with the formula is named on the command line. Only the functions of the formula are run, not the imports of the file.
"""

from __future__ import annotations

import ast
import functools
import importlib.util
import logging
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

Formula = Callable[[int], Any]
"""Sequence length → training FLOP per token; llm-analysis returns its whole summary."""


class AbsentError(Exception):
    """A peer is not on this machine."""


def functions(path: Path, **names: Any) -> dict[str, Any]:
    """The functions of a file, and its tables of functions, without the file's imports."""
    tree = ast.parse(path.read_text())
    keep = [node for node in tree.body if isinstance(node, (ast.FunctionDef, ast.Assign))]
    found: dict[str, Any] = {"functools": functools, "math": math, **names}
    for node in keep:
        node.returns = None  # type: ignore[union-attr]
        if isinstance(node, ast.FunctionDef):
            node.decorator_list = []
            for argument in (*node.args.args, *node.args.kwonlyargs):
                argument.annotation = None
        try:
            exec(compile(ast.Module([node], []), str(path), "exec"), found)  # noqa: S102  (the peer's own formula, named by the user)
        except NameError:  # a table that needs the file's imports
            continue
    return found


def installed(package: str, file: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise AbsentError(f"{package} is not installed")
    return Path(next(iter(spec.submodule_search_locations))) / file


def _key_heads(config: Mapping[str, Any]) -> int:
    return int(config.get("num_key_value_heads", config["num_attention_heads"]))


def _gated(config: Mapping[str, Any]) -> bool:
    return config["model_type"] != "gpt_neox"


def verl(config: Mapping[str, Any]) -> Formula:
    """verl's estimate for a batch of one sequence."""
    estimate = functions(installed("verl", "utils/flops_counter.py"))["ESTIMATE_FUNC"].get(config["model_type"])
    if estimate is None:
        raise AbsentError(f"verl has no formula for {config['model_type']}")
    settings = SimpleNamespace(
        **{"head_dim": config["hidden_size"] // config["num_attention_heads"], "tie_word_embeddings": False, **config}
    )
    return lambda length: estimate(settings, length, [length], 1.0) * 1e12 / length


def megatron(config: Mapping[str, Any], path: Path | None) -> Formula:
    """Megatron-LM's num_floating_point_operations for a batch of one."""
    if path is None:
        raise AbsentError("no --megatron file given")
    never = lambda *_: False  # noqa: E731
    formula = functions(path, is_hybrid_model=never, is_linear_attention_variant=never, is_gated_delta_net_variant=never)
    args = _megatron_args(config)

    def at(length: int) -> Any:
        args.seq_length = length
        return formula["num_floating_point_operations"](args, 1) / length

    return at


class _Args(SimpleNamespace):
    """Megatron's arguments; an argument that is not set is off."""

    def __getattr__(self, name: str) -> None:
        return None


def _megatron_args(config: Mapping[str, Any]) -> _Args:
    latent = "kv_lora_rank" in config
    experts = config.get("n_routed_experts") or config.get("num_local_experts")
    layers, dense = config["num_hidden_layers"], config.get("first_k_dense_replace", 0)
    width = config.get("moe_intermediate_size", config["intermediate_size"])
    args = _Args(
        hidden_size=config["hidden_size"],
        num_layers=layers,
        num_attention_heads=config["num_attention_heads"],
        num_query_groups=_key_heads(config),
        group_query_attention=not latent,
        multi_latent_attention=latent,
        kv_channels=config["hidden_size"] // config["num_attention_heads"],
        ffn_hidden_size=config["intermediate_size"],
        swiglu=_gated(config),
        padded_vocab_size=config["vocab_size"],
        num_experts=experts,
        moe_router_topk=config.get("num_experts_per_tok"),
        moe_ffn_hidden_size=width,
        moe_layer_freq=[int(i >= dense) for i in range(layers)],
        moe_shared_expert_intermediate_size=config.get("n_shared_experts", 0) * width,
    )
    if latent:
        args.q_lora_rank, args.kv_lora_rank, args.v_head_dim = config["q_lora_rank"], config["kv_lora_rank"], config["v_head_dim"]
        args.qk_head_dim, args.qk_pos_emb_head_dim = config["qk_nope_head_dim"], config["qk_rope_head_dim"]
    return args


class _Blocks:
    """MaxText's decoder blocks; the value of each is its name."""

    def __getattr__(self, name: str) -> str:
        return name


def maxtext(config: Mapping[str, Any], path: Path | None) -> Formula:
    """MaxText's calculate_tflops_training_per_device for a batch of one."""
    if path is None:
        raise AbsentError("no --maxtext file given")
    formula = functions(path, DecoderBlockType=_Blocks(), max_logging=logging)
    settings = _maxtext_settings(config)

    def at(length: int) -> Any:
        settings.max_target_length = length
        return formula["calculate_tflops_training_per_device"](settings, log=False)[0] * 1e12 / length

    return at


class _Settings(SimpleNamespace):
    """MaxText's settings; a setting that is not set is 0, which means off."""

    def __getattr__(self, name: str) -> int:
        return 0


def _maxtext_settings(config: Mapping[str, Any]) -> _Settings:
    latent = "kv_lora_rank" in config
    settings = _Settings(
        per_device_batch_size=1,
        gradient_accumulation_steps=1,
        emb_dim=config["hidden_size"],
        vocab_size=config["vocab_size"],
        num_decoder_layers=config["num_hidden_layers"],
        num_query_heads=config["num_attention_heads"],
        num_kv_heads=_key_heads(config),
        head_dim=config["hidden_size"] // config["num_attention_heads"],
        mlp_dim=config["intermediate_size"],
        mlp_activations=["silu", "linear"] if _gated(config) else ["gelu"],
        num_experts=config.get("n_routed_experts") or config.get("num_local_experts") or 1,
        num_experts_per_tok=config.get("num_experts_per_tok", 1),
        moe_mlp_dim=config.get("moe_intermediate_size", config["intermediate_size"]),
        shared_experts=config.get("n_shared_experts", 0),
        first_num_dense_layers=config.get("first_k_dense_replace", 0),
        attention_type="mla" if latent else "global",
        decoder_block="DEEPSEEK" if latent else "LLAMA2",
    )
    for key in ("q_lora_rank", "kv_lora_rank", "v_head_dim", "qk_nope_head_dim", "qk_rope_head_dim"):
        if key in config:
            setattr(settings, key, config[key])
    return settings


def llm_analysis(config: Mapping[str, Any]) -> Formula:
    """llm-analysis' summary of a training step. It supports one kind of attention and one width of experts."""
    if importlib.util.find_spec("llm_analysis") is None:
        raise AbsentError("llm-analysis is not installed")
    from llm_analysis import analysis
    from llm_analysis import config as settings

    logging.getLogger("llm_analysis").setLevel(logging.ERROR)
    logging.disable(logging.WARNING)
    model = settings.ModelConfig(
        name="model",
        num_layers=config["num_hidden_layers"],
        n_head=config["num_attention_heads"],
        hidden_dim=config["hidden_size"],
        vocab_size=config["vocab_size"],
        max_seq_len=131072,
        num_key_value_heads=_key_heads(config),
        ffn_embed_dim=config["intermediate_size"],
        moe_num_experts=config.get("num_local_experts") or config.get("n_routed_experts") or 1,
        moe_top_k=config.get("num_experts_per_tok") or 1,
    )
    gpu = settings.GPUConfig(
        name="roomy",  # any supported model will do, since only the time is measured
        mem_per_GPU_in_GB=10**9,
        hbm_bandwidth_in_GB_per_sec=3350,
        intra_node_bandwidth_in_GB_per_sec=450,
        intra_node_min_message_latency=1e-6,
        peak_fp16_TFLOPS=989,
    )
    made = analysis.LLMAnalysis(model, gpu, flops_efficiency=0.5)
    return lambda length: made.training(batch_size_per_gpu=1, seq_len=length, total_num_tokens=10**12)
