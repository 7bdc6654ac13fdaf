"""Models of torchtitan, given by a flavour of its registry or by a model's arguments."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Any

from ...core.errors import ConfigError, did_you_mean
from ...core.reading import parse_toml

_NAMES = {
    "dim": "hidden_size",
    "n_layers": "num_hidden_layers",
    "n_heads": "num_attention_heads",
    "n_kv_heads": "num_key_value_heads",
    "head_dim": "head_dim",
    "hidden_dim": "intermediate_size",
    "inter_dim": "intermediate_size",
    "moe_inter_dim": "moe_intermediate_size",
    "vocab_size": "vocab_size",
    "enable_weight_tying": "tie_word_embeddings",
    "n_dense_layers": "first_k_dense_replace",
    "q_lora_rank": "q_lora_rank",
    "kv_lora_rank": "kv_lora_rank",
    "qk_nope_head_dim": "qk_nope_head_dim",
    "qk_rope_head_dim": "qk_rope_head_dim",
    "v_head_dim": "v_head_dim",
    "sliding_window_size": "sliding_window",
    "interleave_moe_layer_step": "interleave_moe_layer_step",
    "num_experts": "num_experts",
    "num_shared_experts": "n_shared_experts",
    "top_k": "num_experts_per_tok",
}
"""Arguments of torchtitan's models → keys of Hugging Face. Source: pytorch/torchtitan at 36a4b69, torchtitan/models/*/model/args.py."""
_INERT = frozenset(
    {
        "max_batch_size", "max_seq_len", "norm_eps", "rope_theta", "rope_factor", "rope_scaling_args", "original_seq_len", "beta_fast",
        "beta_slow", "mscale", "depth_init", "attn_type", "attn_mask_type", "use_flex_attn", "eos_id", "dtype", "swiglu_limit", "moe_args",
        "expert_parallel_comm_backend", "score_func", "route_norm", "route_scale", "score_before_experts", "num_expert_groups",
        "num_limited_groups", "use_grouped_mm", "load_balance_coeff", "qk_norm", "moe_enabled", "multiple_of", "ffn_dim_multiplier",
        "auto_scale_hidden_dim", "every_n_layers_nope", "fixed_attn_block_size",
    }
)  # fmt: skip
SIGNS = frozenset(
    {"moe_args", "depth_init", "attn_type", "attn_mask_type", "use_flex_attn", "enable_weight_tying", "qk_norm", "rope_scaling_args"}
)
"""Arguments that occur in no other format of model files."""
_KERNELS = ("_flex_attn", "_varlen_attn", "_flex", "_varlen", "_irope")
"""Suffixes of flavours that name a kernel or a mask of attention."""
_LARGEST = 10**9


@lru_cache(maxsize=1)
def _registry() -> Mapping[str, Mapping[str, Mapping[str, Any]]]:
    """The flavours of each model."""
    return parse_toml(files(__package__ or "").joinpath("torchtitan.toml").read_text(encoding="utf-8"), "torchtitan.toml")


def flavour_of(data: Mapping[str, Any]) -> tuple[str, str] | None:
    """The model and the flavour that a launch file or a row names; None if it names none."""
    group = data.get("model")
    named = group if isinstance(group, Mapping) else data
    flavour, model = named.get("flavor"), named.get("name", group)
    return (model, flavour) if isinstance(model, str) and isinstance(flavour, str) else None


def of_flavour(model: str, flavour: str, name: str) -> dict[str, Any]:
    """The config of a flavour; a suffix that names an attention kernel changes no shape.

    Raises:
        ConfigError: a model or a flavour that the registry doesn't have.

    >>> of_flavour("llama3", "8B_flex", "train.toml")["intermediate_size"]
    14336
    """
    if model not in _registry():
        raise ConfigError(
            f"{name}.model.name", model, "is not a known model of torchtitan", did_you_mean(model, _registry(), "models"), "unknown-name"
        )
    rows = _registry()[model]
    plain = next((flavour.removesuffix(end) for end in _KERNELS if flavour.endswith(end)), flavour)
    known = [row for row in rows if row != "all"]
    if plain not in known:
        raise ConfigError(
            f"{name}.model.flavor", flavour, f"is not a known flavour of {model}", did_you_mean(plain, known, "flavours"), "unknown-name"
        )
    return _with_full_queries({**rows.get("all", {}), **rows[plain]})


def _with_full_queries(config: Mapping[str, Any]) -> dict[str, Any]:
    """The config with null for a query rank of 0, which means a full projection; there are as many key heads as query heads then."""
    made = {key: _with_full_queries(value) if isinstance(value, Mapping) else value for key, value in config.items()}
    if "kv_lora_rank" in made:
        made |= {"q_lora_rank": made.get("q_lora_rank") or None, "num_key_value_heads": made.get("num_attention_heads")}
    return made


def of_arguments(data: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The config of a model's arguments, its experts in a group ``moe_args``.

    Raises:
        ConfigError: an argument that is neither converted nor known to be harmless, or experts that are no group of keys.
    """
    experts = data.get("moe_args") or {}
    if not isinstance(experts, Mapping):
        raise ConfigError(f"{name}.moe_args", type(experts).__name__, "must be a group of keys", 'give {"num_experts": 8, …}', "wrong-type")
    given = {**data, **experts}
    if odd := sorted(set(given) - set(_NAMES) - _INERT):
        raise ConfigError(
            f"{name}.{odd[0]}",
            given[odd[0]],
            "is a torchtitan argument that trainsim can't convert",
            "leave it out if it doesn't change the model's shape",
            "unknown-field",
        )
    made = {"tie_word_embeddings": False, **{_NAMES[key]: value for key, value in given.items() if key in _NAMES}}
    return _with_full_queries(made | _kind(given, made, name))


def _kind(given: Mapping[str, Any], made: dict[str, Any], name: str) -> dict[str, Any]:
    """The model type that the arguments describe, and the sizes that follow from other arguments."""
    if "kv_lora_rank" in given or "inter_dim" in given:
        return {"model_type": "deepseek_v3", "attention_bias": False}
    if "sliding_window_size" in given:
        return {"model_type": "gpt_oss", "intermediate_size": made.pop("moe_intermediate_size", None), "attention_bias": True}
    if "hidden_dim" in given:
        return _qwen3(given, made, name)
    return _llama4(given, made, name) if "moe_args" in given else {"model_type": "llama", "intermediate_size": _width(given, name, 1)}


def _qwen3(given: Mapping[str, Any], made: dict[str, Any], name: str) -> dict[str, Any]:
    _only(given, "qk_norm", True, name)
    _only(given, "num_shared_experts", 0, name)
    sparse = given.get("moe_enabled") is True
    for key in ("n_shared_experts", *(() if sparse else ("num_experts", "num_experts_per_tok", "moe_intermediate_size"))):
        made.pop(key, None)
    return {"model_type": "qwen3_moe" if sparse else "qwen3", "attention_bias": False}


def _llama4(given: Mapping[str, Any], made: dict[str, Any], name: str) -> dict[str, Any]:
    """Llama 4, whose inner width is divided among the experts that a token uses."""
    _only(given, "num_shared_experts", 1, name)
    made.pop("n_shared_experts", None)
    top_k, dim, heads = (_whole(given, key, name, default) for key, default in (("top_k", 1), ("dim", None), ("n_heads", None)))
    width = _width(given, name, top_k + 1 if given.get("auto_scale_hidden_dim", True) else 1)
    return {
        "model_type": "llama4_text",
        "num_local_experts": made.pop("num_experts", None),
        "head_dim": dim // heads,
        "intermediate_size": width,
        "intermediate_size_mlp": _width(given, name, 1),
        "num_experts_per_tok": top_k,
        "interleave_moe_layer_step": _whole(given, "interleave_moe_layer_step", name, 2),
        "use_qk_norm": False,
        "attention_chunk_size": given.get("fixed_attn_block_size", 8192),
    }


def _only(given: Mapping[str, Any], key: str, value: Any, name: str) -> None:
    if given.get(key, value) != value:
        raise ConfigError(
            f"{name}.{key}",
            given[key],
            "is a value that trainsim can't convert for torchtitan",
            f"give {value!r}, the only value it can convert",
            "unsupported",
        )


def _whole(given: Mapping[str, Any], key: str, name: str, default: int | None = None) -> int:
    value = given.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= _LARGEST:
        raise ConfigError(f"{name}.{key}", value, "must be a positive integer", "restore the file", "wrong-type")
    return value


def _width(given: Mapping[str, Any], name: str, share: int) -> int:
    """Inner width: 8/3 of the hidden size, scaled, divided among the experts of a token, and rounded up."""
    dim, of, times = _whole(given, "dim", name), _whole(given, "multiple_of", name, 256), given.get("ffn_dim_multiplier") or 1.0
    if isinstance(times, bool) or not isinstance(times, (int, float)) or not 0 < times <= _LARGEST:
        raise ConfigError(f"{name}.ffn_dim_multiplier", times, "must be a positive number", "restore the file", "wrong-type")
    return of * -(-int(int(times * int(2 * 4 * dim / 3)) / share) // of)


def called_with(text: str, name: str) -> dict[str, Any]:
    """The arguments of the only call in a piece of Python, which is parsed and not run.

    Raises:
        ConfigError: not Python, or not one call with keyword arguments of constants.

    >>> called_with("DeepSeekV3ModelArgs(dim=2048, moe_args=MoEArgs(top_k=6))", "args.py")
    {'dim': 2048, 'moe_args': {'top_k': 6}}
    """
    try:
        body = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ConfigError(
            name, None, f"is not Python ({type(error).__name__})", "give one call, such as ModelArgs(dim=4096, …)", "syntax"
        ) from None
    calls = [node.value for node in body if isinstance(node, (ast.Expr, ast.Assign)) and isinstance(node.value, ast.Call)]
    if len(calls) != 1:
        raise ConfigError(
            name, len(calls), "is the number of calls at the top level; one is needed", "give the arguments of one model", "wrong-type"
        )
    return _arguments(calls[0], name)


def _arguments(call: ast.Call, name: str) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for word in call.keywords:
        match word.value:
            case ast.Constant(value=value):
                made[str(word.arg)] = value
            case ast.Call():
                made[str(word.arg)] = _arguments(word.value, f"{name}.{word.arg}")
            case _:
                raise ConfigError(f"{name}.{word.arg}", ast.unparse(word.value)[:80], "is not a constant", "write the number", "wrong-type")
    return made
