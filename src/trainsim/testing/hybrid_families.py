"""Small configs of the families whose layers are not all softmax attention over every key: recurrences, convolutions, indexers."""

from __future__ import annotations

from .families import ABSENT, BIAS, FLAG, TIE, TOP_K, WIDTH, Keys, _grouped, _layers, _sizes, _types

LINEAR = _types("linear_attention", "full_attention")
DELTA: Keys = {
    "layer_types": LINEAR,
    "linear_num_key_heads": (2, 4),
    "linear_num_value_heads": (4, 8),
    "linear_key_head_dim": (8, 12),
    "linear_value_head_dim": (16, 8),
    "linear_conv_kernel_dim": (4, 3, ABSENT),
}
SHARED: Keys = {"moe_intermediate_size": (24, 40), "shared_expert_intermediate_size": (48, 32)}
MANY: Keys = TOP_K | {"num_experts": (4, 6)}
MAMBA2: Keys = {
    "mamba_n_heads": (8, 4),
    "mamba_n_groups": (1, 2, ABSENT),
    "mamba_d_state": (12, 16),
    "mamba_d_head": (ABSENT, "auto"),
    "mamba_d_conv": (4, 3, ABSENT),
    "mamba_expand": (2, ABSENT),
    "mamba_chunk_size": (32, 16),
    "mamba_conv_bias": FLAG,
    "mamba_proj_bias": FLAG,
}
STATE_SPACE: Keys = {
    "hidden_size": (64, 128),
    "num_hidden_layers": (3, 2),
    "vocab_size": (97, 128),
    "state_size": (16, 12),
    "expand": (2, ABSENT),
    "conv_kernel": (4, 3, ABSENT),
    "use_bias": FLAG,
    "use_conv_bias": FLAG,
} | TIE
MAMBA: Keys = STATE_SPACE | {"time_step_rank": ("auto", 5, ABSENT)}
LATENT: Keys = {
    "q_lora_rank": (40, 24),
    "kv_lora_rank": (24, 32),
    "qk_nope_head_dim": (20, 16),
    "qk_rope_head_dim": (8, 12),
    "v_head_dim": (28, 16),
}
SELECTING: Keys = (
    _sizes()
    | {"num_key_value_heads": (lambda c: c["num_attention_heads"],)}
    | TIE
    | WIDTH
    | BIAS
    | TOP_K
    | LATENT
    | {
        "moe_intermediate_size": (24, 40),
        "n_routed_experts": (4, 6),
        "n_shared_experts": (1, 2),
        "first_k_dense_replace": (1, 0, 2, ABSENT),
        "mlp_layer_types": (ABSENT, lambda c: [("sparse", "dense")[i % 2] for i in range(_layers(c))]),
        "mlp_bias": FLAG,
        "n_group": (1,),
        "topk_group": (1,),
        "index_n_heads": (4, 3),
        "index_head_dim": (16, 24),
        "index_topk": (32, 200, 5),
    }
)


HYBRIDS: dict[str, Keys] = {
    "bailing_hybrid": _sizes()
    | {"num_key_value_heads": (lambda c: c["num_attention_heads"], None)}
    | TIE
    | WIDTH
    | LATENT
    | {
        "q_lora_rank": (None, 24, ABSENT),
        "head_dim": (12, 16),
        "num_experts_per_token": (2, 1, 3),
        "num_experts": (4, 6),
        "moe_intermediate_size": (24, 40),
        "num_shared_experts": (1, 2),
        "first_k_dense_replace": (1, 0, ABSENT),
        "short_conv_kernel_size": (4, 3, ABSENT),
        "layer_group_size": (2, 3, ABSENT),
        "n_group": (1,),
        "topk_group": (1,),
    },
    "bamba": _grouped(8, heads=(8, 16)) | TIE | WIDTH | BIAS | MAMBA2 | {"mlp_bias": FLAG, "attn_layer_indices": ([1], ABSENT, [0, 1])},
    "deepseek_v32": SELECTING,
    "falcon_h1": _grouped(8, heads=(8, 16))
    | TIE
    | WIDTH
    | BIAS
    | MAMBA2
    | {"mamba_d_ssm": (64, 128, None), "mamba_rms_norm": FLAG, "projectors_bias": FLAG, "mlp_bias": FLAG},
    "falcon_mamba": MAMBA,
    "glm_moe_dsa": SELECTING
    | {
        "indexer_types": (ABSENT, lambda c: [("full", "shared")[i % 2] for i in range(_layers(c))]),
        "index_topk_freq": (1, 2, ABSENT),
        "index_skip_topk_offset": (ABSENT, 1),
    },
    "granitemoehybrid": _grouped()
    | TIE
    | WIDTH
    | BIAS
    | MAMBA2
    | TOP_K
    | {"num_local_experts": (4, 0, 6), "shared_intermediate_size": (48, 32), "layer_types": LINEAR},
    "jamba": _grouped(8, heads=(8, 16))
    | TIE
    | WIDTH
    | MANY
    | {
        "attn_layer_period": (3, 2),
        "attn_layer_offset": (1, 0),
        "expert_layer_period": (2, ABSENT),
        "expert_layer_offset": (1, 0, ABSENT),
        "mamba_d_state": (16, 12, ABSENT),
        "mamba_d_conv": (4, 3, ABSENT),
        "mamba_expand": (2, 1, ABSENT),
        "mamba_dt_rank": ("auto", 5, ABSENT),
        "mamba_conv_bias": FLAG,
        "mamba_proj_bias": FLAG,
    },
    "kimi_linear": _sizes()
    | {"num_key_value_heads": (lambda c: c["num_attention_heads"], None)}
    | TIE
    | WIDTH
    | LATENT
    | {
        "q_lora_rank": (None, 24, ABSENT),
        "num_experts_per_token": (2, 1, 3),
        "num_experts": (4, 6),
        "moe_intermediate_size": (24, 40),
        "num_shared_experts": (1, 2),
        "first_k_dense_replace": (1, 0, ABSENT),
        "linear_num_heads": (4, 2),
        "linear_head_dim": (12, 16),
        "linear_conv_kernel_dim": (4, 3, ABSENT),
        "layer_types": LINEAR,
    },
    "lfm2": _grouped(8, heads=(8, 16))
    | TIE
    | WIDTH
    | {
        "conv_bias": FLAG,
        "conv_L_cache": (3, 4, ABSENT),
        "block_auto_adjust_ff_dim": FLAG,
        "block_multiple_of": (16, ABSENT),
        "block_ffn_dim_multiplier": (ABSENT, 1.3),
        "full_attn_idxs": ([1], ABSENT, [0, 1]),
    },
    "lfm2_moe": _grouped(8, heads=(8, 16))
    | TIE
    | WIDTH
    | MANY
    | {
        "moe_intermediate_size": (24, 40),
        "num_dense_layers": (1, 2, ABSENT),
        "use_expert_bias": FLAG,
        "conv_bias": FLAG,
        "conv_L_cache": (3, 4, ABSENT),
        "layer_types": tuple(lambda c, k=k: [("conv", "full_attention")[(i + k) % 2] for i in range(_layers(c))] for k in (0, 1)),
    },
    "lfm3": _grouped(4, heads=(4, 8))
    | {"head_dim": (16, 24)}
    | TIE
    | WIDTH
    | BIAS
    | {
        "conv_bias": FLAG,
        "conv_L_cache": (3, 4, ABSENT),
        "sliding_window": (32, 200, ABSENT),
        "use_sandwich_norm": FLAG,
        "use_attention_gate": FLAG,
        "layer_types": (ABSENT, lambda c: [("conv", "sliding_attention", "full_attention")[i % 3] for i in range(_layers(c))]),
    },
    "mamba": MAMBA,
    "mamba2": STATE_SPACE
    | {"head_dim": (16, 32), "num_heads": (lambda c: 2 * c["hidden_size"] // c["head_dim"],), "n_groups": (2, 1), "chunk_size": (32, 16)},
    "minimax_m3_vl_text": _grouped(4)
    | {"head_dim": (16, 24)}
    | TIE
    | WIDTH
    | TOP_K
    | {
        "num_local_experts": (4, 6),
        "dense_intermediate_size": (48, 80),
        "shared_intermediate_size": (24, 40),
        "index_n_heads": (lambda c: c.get("num_key_value_heads", 4),),
        "index_head_dim": (16, 24),
        "index_block_size": (16, 8),
        "index_topk_blocks": (3, 2),
        "layer_types": _types("minimax_m3_sparse", "full_attention"),
        "mlp_layer_types": (ABSENT, lambda c: [("sparse", "dense")[i % 2] for i in range(_layers(c))]),
    },
    "nemotron_h": {"hidden_size": (64, 128), "vocab_size": (97, 128), "num_attention_heads": (8, 16), "num_key_value_heads": (2, 8, ABSENT)}
    | TIE
    | WIDTH
    | TOP_K
    | {
        "hybrid_override_pattern": ("ME*M-", "M-*", "E*ME"),
        "head_dim": (16, 24),
        "mlp_bias": FLAG,
        "use_bias": FLAG,
        "use_conv_bias": FLAG,
        "mamba_num_heads": (8, 4),
        "mamba_head_dim": (12, 16),
        "ssm_state_size": (16, 12),
        "n_groups": (2, 4),
        "conv_kernel": (4, 3, ABSENT),
        "chunk_size": (32, 16),
        "n_routed_experts": (4, 6),
        "moe_intermediate_size": (24, 40),
        "moe_shared_expert_intermediate_size": (48, 32),
        "moe_latent_size": (ABSENT, 32, None),
    },
    "olmo_hybrid": _grouped() | TIE | WIDTH | BIAS | DELTA,
    "recurrent_gemma": _sizes()
    | {"num_key_value_heads": (2, 1, ABSENT, None)}
    | TIE
    | WIDTH
    | BIAS
    | {
        "lru_width": (ABSENT, 96, None),
        "attention_window_size": (32, 200, ABSENT),
        "conv1d_width": (4, 3, ABSENT),
        "block_types": (ABSENT, ["attention", "recurrent"]),
    },
    "qwen3_5_moe_text": _grouped(2) | {"head_dim": (16, 24)} | TIE | BIAS | DELTA | MANY | SHARED,
    "qwen3_5_text": _grouped(4) | {"head_dim": (16, 24)} | TIE | WIDTH | BIAS | DELTA,
    "qwen3_next": _grouped(2)
    | {"head_dim": (16, 24)}
    | TIE
    | WIDTH
    | BIAS
    | DELTA
    | MANY
    | SHARED
    | {"decoder_sparse_step": (1, 2, ABSENT), "mlp_only_layers": (ABSENT, [1])},
    "rwkv": {"hidden_size": (64, 128), "num_hidden_layers": (3, 2), "vocab_size": (97, 128)}
    | TIE
    | {"attention_hidden_size": (ABSENT, lambda c: c["hidden_size"]), "intermediate_size": (96, ABSENT, None)},
    "xlstm": {"hidden_size": (64, 128), "num_hidden_layers": (3, 2), "vocab_size": (97, 128)}
    | TIE
    | {
        "num_heads": (4, 2, ABSENT),
        "use_bias": FLAG,
        "qk_dim_factor": (0.5, 1.0, ABSENT),
        "v_dim_factor": (1.0, 2.0, 0.5, ABSENT),
        "ffn_proj_factor": (2.667, 1.3, ABSENT),
        "ffn_round_up_to_multiple_of": (64, 8, ABSENT),
        "chunk_size": (32, 64, ABSENT),
    },
    "zamba": _sizes(hidden=(64,), heads=(4,))
    | {"num_key_value_heads": (2, 4, lambda c: c["num_attention_heads"])}
    | TIE
    | WIDTH
    | {
        "num_hidden_layers": (4,),
        "attention_head_dim": (ABSENT, 24),
        "n_mamba_heads": (2, 1),
        "attn_layer_period": (2, ABSENT),
        "attn_layer_offset": (0,),
        "mamba_d_state": (16, 12, ABSENT),
        "mamba_d_conv": (4, 3, ABSENT),
        "mamba_expand": (2, 1, ABSENT),
        "mamba_dt_rank": ("auto", 5, ABSENT),
        "mamba_conv_bias": FLAG,
        "mamba_proj_bias": FLAG,
        "layers_block_type": (ABSENT, lambda c: [("hybrid", "mamba")[i % 2] for i in range(_layers(c))]),
    },
    "zamba2": _sizes()
    | {"num_key_value_heads": (ABSENT, lambda c: c["num_attention_heads"])}
    | TIE
    | {
        "num_hidden_layers": (3, 5),
        "intermediate_size": (ABSENT, 96),
        "n_mamba_heads": (4, 8, ABSENT),
        "mamba_d_state": (16, 12, ABSENT),
        "mamba_d_conv": (4, 3, ABSENT),
        "mamba_expand": (2, 1, ABSENT),
        "mamba_ngroups": (1, 2, ABSENT),
        "chunk_size": (32, 16),
        "add_bias_linear": FLAG,
        "use_conv_bias": FLAG,
        "num_mem_blocks": (2, 1, ABSENT),
        "use_shared_attention_adapter": FLAG,
        "adapter_rank": (8, 5),
        "layers_block_type": tuple(lambda c, k=k: [("mamba", "hybrid", "hybrid")[(i + k) % 3] for i in range(_layers(c))] for k in (0, 1)),
    },
}
"""``model_type`` → key → values, as in :data:`~trainsim.testing.families.FAMILIES`."""
