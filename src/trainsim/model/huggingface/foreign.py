"""Files other than ``config.json``. A file that describes a model is converted; any other is refused, with an error that names its kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ...core.errors import ConfigError
from .megatron_keys import as_hugging_face, is_megatron, model_group
from .torchtitan import SIGNS, flavour_of, of_arguments, of_flavour

_CONFIG = "give the config.json that lies beside it"
_BASE = "give the config.json of the base model named in base_model_name_or_path"
SIZES = frozenset({"hidden_size", "n_embd", "d_model", "dim", "num_hidden_layers", "num_layers", "n_layers", "n_layer"})
"""Keys of which every model's config has at least one."""
_FOREIGN: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (("peft_type",), "is an adapter of a base model (PEFT)", _BASE),
    (("base_model_name_or_path",), "is an adapter of a base model", _BASE),
    (("fine_tune_type",), "is an adapter of a base model (MLX)", "give the config.json of the base model"),
    (("weight_map",), "is an index of checkpoint files", f"{_CONFIG}; ts.explain_release(model, path) compares its entries"),
    (
        ("_diffusers_version",),
        "is a part of a diffusion pipeline (diffusers)",
        "give the config of a language model: diffusion models are not supported",
    ),
    (
        ("_class_name",),
        "is a part of a diffusion pipeline (diffusers)",
        "give the config of a language model: diffusion models are not supported",
    ),
    (("image_processor_type",), "is an image processor's config", _CONFIG),
    (("feature_extractor_type",), "is a feature extractor's config", _CONFIG),
    (("image_mean",), "is an image processor's config", _CONFIG),
    (("processor_class",), "is a processor's config", _CONFIG),
    (("added_tokens_decoder",), "is a tokenizer's config", _CONFIG),
    (("tokenizer_class",), "is a tokenizer's config", _CONFIG),
    (("added_tokens", "model"), "is a tokenizer", _CONFIG),
    (("bos_token",), "is a tokenizer's config", _CONFIG),
    (("add_bos_token",), "is a tokenizer's config", _CONFIG),
    (("train_micro_batch_size_per_gpu",), "is a DeepSpeed config", "ts.Plan.from_deepspeed reads it; here give a config.json"),
    (("zero_optimization",), "is a DeepSpeed config", "ts.Plan.from_deepspeed reads it; here give a config.json"),
    (("global_step", "log_history"), "is the state of a trainer", _CONFIG),
    (("per_device_train_batch_size",), "contains the arguments of a trainer", _CONFIG),
    (("compute_environment",), "is a launch config (Accelerate)", "give a config.json"),
    (("base_model",), "is a training recipe", "give the config.json of the model it names"),
    (("merge_method",), "is a recipe that merges models", "give the config.json of the merged model"),
    (("max_seq_length", "do_lower_case"), "is a config of sentence-transformers", _CONFIG),
    (("max_new_tokens",), "is a generation config", _CONFIG),
    (("bos_token_id",), "is a generation config", _CONFIG),
    (("do_sample",), "is a generation config", _CONFIG),
    (("quant_method",), "is a quantisation config", _CONFIG),
    (("bits", "group_size"), "is a quantisation config", _CONFIG),
    (("quantization",), "is a quantisation config (ModelOpt)", _CONFIG),
)
"""Top-level keys that occur in no model's config → kind of the file, and remedy."""

Reader = Callable[[Mapping[str, Any], str], dict[str, Any]]


_UNREAD = "is a key that trainsim can't convert from this kind of file"


def refuse_by_start(start: str, name: str) -> None:
    """Refuse a long file of another kind by the keys at its start, without parsing it.

    Raises:
        ConfigError: the file is of another known kind; the error names that kind and what to give instead.
    """
    for (key, *_), what, remedy in _FOREIGN:
        if f'"{key}":' in start and '"model_type":' not in start:
            raise ConfigError(name, key, what, remedy, "unsupported")


def as_config(data: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """The config in a file, with the keys of another project's format converted to Hugging Face's.

    Raises:
        ConfigError: the file is of another known kind; the error names that kind and what to give instead.
    """
    if "peft_type" in data or not ("model_type" in data or SIZES & data.keys()):
        for keys, what, remedy in _FOREIGN:
            if all(key in data for key in keys):
                raise ConfigError(name, keys[0], what, remedy, "unsupported")
    if "model_type" in data and "dim" not in data:
        return data
    if (named := flavour_of(data)) is not None:
        return of_flavour(*named, name)
    if "dim" in data and SIGNS & data.keys():
        return of_arguments(data, name)
    group = model_group(data)
    if is_megatron(group):
        return as_hugging_face(group)
    for keys, read in READERS:
        if all(key in data for key in keys):
            return read(data, name)
    return data


# DeepSeek's inference configs, and the params.json of Meta and Mistral ------------------------------------------------


def _renamed(data: Mapping[str, Any], name: str, kind: str, names: Mapping[str, str], inert: frozenset[str]) -> dict[str, Any]:
    """Keys under the names that Hugging Face gives them.

    Raises:
        ConfigError: a key that is neither converted nor known to be harmless.
    """
    made: dict[str, Any] = {"model_type": kind}
    for key, value in data.items():
        if key in names:
            made[names[key]] = value
        elif key not in inert:
            raise ConfigError(
                f"{name}.{key}",
                value,
                _UNREAD,
                "leave it out if it doesn't change the model's shape",
                "unknown-field",
            )
    return made


_DEEPSEEK = {
    "vocab_size": "vocab_size",
    "dim": "hidden_size",
    "inter_dim": "intermediate_size",
    "moe_inter_dim": "moe_intermediate_size",
    "n_layers": "num_hidden_layers",
    "n_dense_layers": "first_k_dense_replace",
    "n_heads": "num_attention_heads",
    "n_routed_experts": "n_routed_experts",
    "n_shared_experts": "n_shared_experts",
    "n_activated_experts": "num_experts_per_tok",
    "q_lora_rank": "q_lora_rank",
    "kv_lora_rank": "kv_lora_rank",
    "qk_nope_head_dim": "qk_nope_head_dim",
    "qk_rope_head_dim": "qk_rope_head_dim",
    "v_head_dim": "v_head_dim",
    "index_n_heads": "index_n_heads",
    "index_head_dim": "index_head_dim",
    "index_topk": "index_topk",
}
"""Source: deepseek-ai/DeepSeek-V3, inference/model.py, ModelArgs; DeepSeek-V3.2-Exp adds the indexer's."""
_DEEPSEEK_INERT = frozenset(
    {
        "n_expert_groups", "n_limited_groups", "route_scale", "score_func", "dtype", "mscale", "rope_factor", "rope_theta", "scale_fmt",
        "max_batch_size", "max_seq_len", "original_seq_len", "beta_fast", "beta_slow", "scale_dtype",
    }
)  # fmt: skip


def _deepseek(data: Mapping[str, Any], name: str) -> dict[str, Any]:
    sparse = "index_topk" in data
    made = _renamed(data, name, "deepseek_v32" if sparse else "deepseek_v3", _DEEPSEEK, _DEEPSEEK_INERT)
    if not made.get("q_lora_rank"):  # 0 means a full query projection
        made["q_lora_rank"] = None
    if data.get("score_func", "softmax") == "softmax" and not sparse:
        made["model_type"] = "deepseek_v2"
    return {"tie_word_embeddings": False, "num_key_value_heads": made.get("num_attention_heads"), "attention_bias": False, **made}


_MISTRAL = {
    "dim": "hidden_size",
    "n_layers": "num_hidden_layers",
    "n_heads": "num_attention_heads",
    "n_kv_heads": "num_key_value_heads",
    "head_dim": "head_dim",
    "hidden_dim": "intermediate_size",
    "vocab_size": "vocab_size",
    "tied_embeddings": "tie_word_embeddings",
    "sliding_window": "sliding_window",
    "vision_encoder": "vision_config",
    "multimodal": "audio_config",
    "causal": "is_causal",
    "q_lora_rank": "q_lora_rank",
    "kv_lora_rank": "kv_lora_rank",
    "qk_nope_head_dim": "qk_nope_head_dim",
    "qk_rope_head_dim": "qk_rope_head_dim",
    "v_head_dim": "v_head_dim",
}
"""Source: mistralai/mistral-inference, args.py, TransformerArgs, and moe.py, MoeArgs."""
_MISTRAL_INERT = frozenset(
    {
        "norm_eps", "rope_theta", "max_batch_size", "max_seq_len", "model_type", "use_scaled_rope", "max_position_embeddings", "yarn",
        "llama_4_scaling", "use_biases", "moe", "_sliding_window", "ragged_attention",
    }
)  # fmt: skip


def _mistral(data: Mapping[str, Any], name: str) -> dict[str, Any]:
    experts = data.get("moe")
    made = _renamed(data, name, "mistral" if "sliding_window" in data else "llama", _MISTRAL, _MISTRAL_INERT)
    if data.get("use_biases"):
        raise ConfigError(f"{name}.use_biases", True, _UNREAD, "give the model's config.json instead", "unsupported")
    if experts is not None and not isinstance(experts, Mapping):
        raise ConfigError(f"{name}.moe", type(experts).__name__, "must be a group of keys", 'give {"num_experts": 8, …}', "wrong-type")
    if experts is not None:
        made |= {"num_local_experts": experts.get("num_experts"), "num_experts_per_tok": experts.get("num_experts_per_tok")}
        made["model_type"] = "mixtral"
        if unread := set(experts) - {"num_experts", "num_experts_per_tok"}:
            key = min(unread)
            raise ConfigError(f"{name}.moe.{key}", experts[key], _UNREAD, "give the model's config.json instead", "unsupported")
    window = {} if made["model_type"] == "llama" else {"sliding_window": None}
    return {"tie_word_embeddings": False, "head_dim": None, **window, **made}


_META = {"dim": "hidden_size", "n_layers": "num_hidden_layers", "n_heads": "num_attention_heads", "vocab_size": "vocab_size"}
_META_INERT = frozenset(
    {"norm_eps", "rope_theta", "use_scaled_rope", "max_batch_size", "max_seq_len", "multiple_of", "ffn_dim_multiplier", "n_kv_heads"}
)
_MULTIPLE = 256


def _meta(data: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Llama's inner width: 8/3 of the hidden size, scaled and rounded up (meta-llama/llama3, llama/model.py, FeedForward)."""
    made = _renamed(data, name, "llama", _META, _META_INERT)
    hidden, of = data.get("dim"), data.get("multiple_of", _MULTIPLE)
    multiplier = data.get("ffn_dim_multiplier") or 1.0
    if not (isinstance(hidden, int) and isinstance(of, int) and of > 0 and isinstance(multiplier, (int, float))):
        raise ConfigError(
            f"{name}.dim",
            hidden,
            "or another key of the inner width is not a positive number",
            "restore dim, multiple_of and ffn_dim_multiplier",
            "wrong-type",
        )
    width = int(multiplier * int(2 * 4 * hidden / 3))
    if isinstance(made.get("vocab_size"), int) and made["vocab_size"] < 0:
        raise ConfigError(
            f"{name}.vocab_size",
            made["vocab_size"],
            "is not a size: the tokenizer determines it",
            "write its number of words (32000 for Llama 2)",
            "conflict",
        )
    heads = made.get("num_attention_heads")
    return {
        **made,
        "num_key_value_heads": data.get("n_kv_heads") or heads,
        "intermediate_size": of * -(-width // of),
        "tie_word_embeddings": False,
    }


READERS: tuple[tuple[tuple[str, ...], Reader], ...] = (
    (("dim", "moe_inter_dim", "kv_lora_rank"), _deepseek),
    (("dim", "n_layers", "hidden_dim"), _mistral),
    (("dim", "n_layers", "n_heads"), _meta),
)
"""Keys by which a kind of file is recognised → converter of that kind."""
