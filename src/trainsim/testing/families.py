"""Small configs of every mapped family: the values that each shape-changing key takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

ABSENT = object()
"""The config leaves the key out, so that the class default applies."""

Value = Any | Callable[[Mapping[str, Any]], Any]
"""A value, or a function of the keys drawn before it."""
Keys = dict[str, tuple[Value, ...]]

FLAG: tuple[Value, ...] = (ABSENT, True, False)


def _layers(config: Mapping[str, Any]) -> int:
    return int(next(config[key] for key in ("num_hidden_layers", "n_layer", "n_layers") if key in config))


def _types(first: str, second: str) -> tuple[Value, ...]:
    """Types of layers: the default, alternating, and the second kind first."""
    return (
        ABSENT,
        lambda c: [(first, second)[i % 2] for i in range(_layers(c))],
        lambda c: [(second, first, first)[i % 3] for i in range(_layers(c))],
    )


def _default_if_it_divides(default: int) -> Value:
    """Leave the key out if the class default divides the heads."""
    return lambda c: ABSENT if c["num_attention_heads"] % default == 0 else 2


def _sizes(*, heads: tuple[int, ...] = (4, 8), hidden: tuple[int, ...] = (64, 128)) -> Keys:
    return {"hidden_size": hidden, "num_hidden_layers": (3, 2, 5), "num_attention_heads": heads, "vocab_size": (97, 128)}


def _grouped(default: int | None = None, **sizes: tuple[int, ...]) -> Keys:
    """Sizes with grouped queries and a head size other than hidden / heads."""
    left_out = ABSENT if default is None else _default_if_it_divides(default)
    return _sizes(**sizes) | {"num_key_value_heads": (2, 1, 4, left_out), "head_dim": (ABSENT, 16, 24)}


TIE: Keys = {"tie_word_embeddings": FLAG}
WIDTH: Keys = {"intermediate_size": (96, 160)}
BIAS: Keys = {"attention_bias": FLAG}
WINDOW: Keys = {"sliding_window": (ABSENT, None, 5)}
SLIDING = _types("full_attention", "sliding_attention")
TOP_K: Keys = {"num_experts_per_tok": (2, 1, 3)}
FINE: Keys = TOP_K | {
    "moe_intermediate_size": (24, 40),
    "n_routed_experts": (4, 6),
    "n_shared_experts": (1, 2),
    "first_k_dense_replace": (1, 0, 2, ABSENT),
}
LOCAL: Keys = TOP_K | {"num_local_experts": (4, 6)}
NUMBERED: Keys = TOP_K | {"num_experts": (4, 6)}
QWEN_WINDOW: Keys = {"use_sliding_window": FLAG, "sliding_window": (5, ABSENT), "max_window_layers": (1, 2, ABSENT)}
STEPPED: Keys = {
    "moe_intermediate_size": (24, 40),
    "decoder_sparse_step": (1, 2, ABSENT),
    "mlp_only_layers": (ABSENT, [1], lambda c: [0, _layers(c) - 1]),
}
LATENT: Keys = {
    "q_lora_rank": (40, None, 24),
    "kv_lora_rank": (24, 32),
    "qk_nope_head_dim": (20, 16),
    "qk_rope_head_dim": (12, 8),
    "v_head_dim": (28, 16),
}
DEEPSEEK_V3 = (
    _sizes()
    | {"num_key_value_heads": (lambda c: c["num_attention_heads"], None)}
    | TIE
    | WIDTH
    | BIAS
    | FINE
    | LATENT
    | {"n_group": (1,), "topk_group": (1,), "num_nextn_predict_layers": (0, 1)}
)


def _where(on: Callable[[Mapping[str, Any]], Any]) -> tuple[Value, ...]:
    """Types of layers if windows are on, else left out."""
    return tuple((lambda c, w=word: w(c) if callable(w) and on(c) else ABSENT) for word in SLIDING)


SWITCHED = _where(lambda c: c.get("use_sliding_window"))


MINIMAX_01 = (
    _sizes()
    | {"num_key_value_heads": (2, 1, 4), "head_dim": (24, 16), "tie_word_embeddings": (False, True)}
    | WIDTH
    | LOCAL
    | {"attn_type_list": (lambda c: [i % 2 for i in range(_layers(c))], lambda c: [int((i + 1) % 3 == 0) for i in range(_layers(c))])}
    | {"block_size": (8, 7)}
)


FAMILIES: dict[str, Keys] = {
    "bloom": {"hidden_size": (64, 128), "n_layer": (3, 2, 5), "n_head": (4, 8), "vocab_size": (97, 128)} | TIE,
    "cohere2": _grouped()
    | TIE
    | WIDTH
    | BIAS
    | {"sliding_window": (5, ABSENT), "layer_types": SLIDING, "sliding_window_pattern": (ABSENT, 2, 3)},
    "dbrx": {
        "d_model": (64, 128),
        "n_layers": (3, 2),
        "n_heads": (4, 8),
        "vocab_size": (97, 128),
        "max_seq_len": (64,),
        "attn_config": tuple({"kv_n_heads": n, "clip_qkv": 8.0, "rope_theta": 10000.0} for n in (2, 1, 4)),
        "ffn_config": tuple(
            {"ffn_hidden_size": f, "moe_num_experts": e, "moe_top_k": k} for f, e, k in ((96, 4, 2), (160, 6, 1), (96, 6, 3))
        ),
    },
    "deepseek": _sizes()
    | {"num_key_value_heads": (2, 4, ABSENT)}
    | TIE
    | WIDTH
    | FINE
    | {"attention_bias": (ABSENT, False), "moe_layer_freq": (1, ABSENT)},
    "deepseek_v2": _sizes() | TIE | WIDTH | BIAS | FINE | LATENT | {"mlp_bias": FLAG, "topk_method": ("greedy",)},
    "deepseek_v3": DEEPSEEK_V3,
    "dots1": _grouped(32, heads=(4, 32))
    | TIE
    | WIDTH
    | BIAS
    | FINE
    | WINDOW
    | {"max_window_layers": (1, 2, ABSENT)}
    | {"layer_types": _where(lambda c: c.get("sliding_window", True))},
    "ernie4_5_moe": _grouped(4)
    | TIE
    | WIDTH
    | {
        "use_bias": FLAG,
        "moe_k": (2, 1, 3),
        "moe_num_experts": (4, 6),
        "moe_num_shared_experts": (1, 0, ABSENT),
        "moe_intermediate_size": (24, 40),
        "moe_layer_start_index": (0, 2, ABSENT),
        "moe_layer_end_index": (-1, 1, ABSENT),
        "moe_layer_interval": (1, 2, ABSENT),
    },
    "falcon": _sizes()
    | TIE
    | {
        "new_decoder_architecture": FLAG,
        "multi_query": FLAG,
        "num_kv_heads": (
            lambda c: 2 if c.get("new_decoder_architecture") is True or c.get("multi_query") is not False else ABSENT,
            lambda c: 4 if c.get("new_decoder_architecture") is True else ABSENT,
            ABSENT,
        ),
        "parallel_attn": (ABSENT, True, lambda c: c.get("new_decoder_architecture") is True or False),  # the class does not support both
        "bias": FLAG,
        "alibi": FLAG,
        "ffn_hidden_size": (ABSENT, 96),
        "num_ln_in_parallel_attn": (ABSENT, 1, lambda c: 2 if c.get("new_decoder_architecture") is True else ABSENT),
    },
    "gemma2": _grouped(4) | TIE | WIDTH | BIAS | {"sliding_window": (5, ABSENT), "layer_types": SLIDING},
    "gemma3_text": _grouped(4)
    | TIE
    | WIDTH
    | BIAS
    | {"sliding_window": (5, ABSENT), "layer_types": SLIDING, "sliding_window_pattern": (ABSENT, 2, 3)},
    "glm4_moe": _grouped(8) | TIE | WIDTH | BIAS | FINE | {"use_qk_norm": FLAG, "num_nextn_predict_layers": (0, 1)},
    "gpt2": {
        "n_embd": (64, 128),
        "n_layer": (3, 2),
        "n_head": (4, 8),
        "vocab_size": (97, 128),
        "n_positions": (64, 80, ABSENT),
        "n_inner": (ABSENT, None, 200),
    }
    | TIE,
    "gpt_neox": _sizes() | TIE | WIDTH | BIAS | {"use_parallel_residual": FLAG},
    "gpt_oss": _grouped(8) | TIE | WIDTH | BIAS | LOCAL | {"sliding_window": (5, ABSENT), "layer_types": SLIDING},
    "granitemoe": _grouped() | TIE | WIDTH | BIAS | LOCAL,
    "granitemoeshared": _grouped() | TIE | WIDTH | BIAS | LOCAL | {"shared_intermediate_size": (48, 0, ABSENT)},
    "grok-1": _sizes() | {"num_key_value_heads": (2, 4, ABSENT), "tie_word_embeddings": (True, False)} | WIDTH | NUMBERED,
    "hunyuan_v1_moe": _sizes()
    | {"num_key_value_heads": (2, 1, 4, ABSENT), "head_dim": (16, 24)}
    | TIE
    | WIDTH
    | BIAS
    | {"num_experts": (4, 6), "moe_topk": (2, 1, lambda c: [1 + i % 3 for i in range(_layers(c))])},
    "jetmoe": {
        "hidden_size": (64, 96),
        "num_hidden_layers": (3, 2),
        "vocab_size": (97, 128),
        "num_key_value_heads": (4, 2),
        "kv_channels": (24, 16),
    }
    | TIE
    | WIDTH
    | LOCAL,
    "kimi_k2": DEEPSEEK_V3,
    "llama": _grouped() | TIE | WIDTH | BIAS | {"mlp_bias": FLAG},
    "llama4_text": _grouped(8)
    | TIE
    | WIDTH
    | BIAS
    | {"num_experts_per_tok": (1, 2), "num_local_experts": (4, 6), "intermediate_size_mlp": (112, 224)}
    | {
        "interleave_moe_layer_step": (2, 1, ABSENT),
        "moe_layers": (ABSENT, [0], []),
        "use_qk_norm": FLAG,
        "attention_chunk_size": (8, ABSENT),
        "no_rope_layer_interval": (ABSENT, 2),
        "no_rope_layers": (ABSENT, [], lambda c: [i % 2 for i in range(_layers(c))]),
        "layer_types": _types("full_attention", "chunked_attention"),
    },
    "minimax": _grouped(8)
    | TIE
    | WIDTH
    | LOCAL
    | WINDOW
    | {"block_size": (8, 7, ABSENT), "layer_types": _types("linear_attention", "full_attention")},
    "minimax_text_01": MINIMAX_01,
    "minimax_m1": MINIMAX_01,
    "minimax_m2": _grouped(8) | TIE | WIDTH | LOCAL,
    "mistral": _grouped(8) | TIE | WIDTH | WINDOW,
    "mixtral": _grouped(8) | TIE | WIDTH | LOCAL | WINDOW,
    "olmo2": _grouped() | TIE | WIDTH | BIAS,
    "olmoe": _sizes() | {"num_key_value_heads": (2, 1, 4, ABSENT)} | TIE | WIDTH | BIAS | NUMBERED,
    "opt": {
        "hidden_size": (64, 128),
        "num_hidden_layers": (3, 2),
        "num_attention_heads": (4, 8),
        "ffn_dim": (96, 160),
        "vocab_size": (97, 128),
        "max_position_embeddings": (64, 80, ABSENT),
        "word_embed_proj_dim": (ABSENT, 32, 64),
        "do_layer_norm_before": FLAG,
        "_remove_final_layer_norm": FLAG,
        "enable_bias": FLAG,
        "layer_norm_elementwise_affine": FLAG,
    }
    | TIE,
    "phi3": _grouped() | TIE | WIDTH | WINDOW,
    "phimoe": _grouped(8) | TIE | WIDTH | BIAS | LOCAL | WINDOW | {"lm_head_bias": FLAG},
    "qwen2": _grouped(32, heads=(4, 32)) | TIE | WIDTH | QWEN_WINDOW | {"layer_types": SWITCHED},
    "qwen2_moe": _grouped(16, heads=(4, 16))
    | TIE
    | WIDTH
    | NUMBERED
    | STEPPED
    | QWEN_WINDOW
    | {"shared_expert_intermediate_size": (48, 96), "qkv_bias": FLAG, "layer_types": SWITCHED},
    "qwen3": _grouped(32, heads=(4, 32)) | TIE | WIDTH | BIAS | QWEN_WINDOW | {"layer_types": SWITCHED},
    "qwen3_moe": _grouped(4) | TIE | WIDTH | BIAS | NUMBERED | STEPPED | {"use_sliding_window": FLAG, "sliding_window": (5, ABSENT)},
    "smollm3": _grouped(4)
    | TIE
    | WIDTH
    | BIAS
    | {
        "mlp_bias": FLAG,
        "use_sliding_window": FLAG,
        "sliding_window": (5, 3),
        "no_rope_layer_interval": (ABSENT, 2),
        "no_rope_layers": (ABSENT, lambda c: [i % 2 for i in range(_layers(c))]),
        "layer_types": SWITCHED,
    },
    "starcoder2": _grouped(2) | TIE | WIDTH | WINDOW | {"use_bias": FLAG},
}
"""``model_type`` → key → values. Sizes are small, and every combination is a valid config."""
