"""Parameters of released hybrids and sparse models: sizes of their public config.json, totals of the transformers 5.24 classes.

Configs: github.com/ai-dynamo/aiconfigurator at 095f58a5, src/aiconfigurator/model_configs; of each the keys that set a size.
"""

from __future__ import annotations

from typing import Any

import pytest

import trainsim as ts

QWEN3_5: dict[str, Any] = {
    "head_dim": 256,
    "linear_key_head_dim": 128,
    "linear_num_key_heads": 16,
    "linear_value_head_dim": 128,
    "vocab_size": 248320,
    "tie_word_embeddings": False,
}
NEMOTRON: dict[str, Any] = {
    "model_type": "nemotron_h",
    "vocab_size": 131072,
    "mamba_head_dim": 64,
    "n_groups": 8,
    "chunk_size": 128,
    "tie_word_embeddings": False,
}
SPARSE: dict[str, Any] = {
    "first_k_dense_replace": 3,
    "moe_intermediate_size": 2048,
    "n_routed_experts": 256,
    "n_shared_experts": 1,
    "num_experts_per_tok": 8,
    "num_nextn_predict_layers": 1,
    "kv_lora_rank": 512,
    "qk_rope_head_dim": 64,
    "index_head_dim": 128,
    "index_topk": 2048,
    "tie_word_embeddings": False,
}
V4: dict[str, Any] = {
    "model_type": "deepseek_v4",
    "head_dim": 512,
    "hc_mult": 4,
    "index_head_dim": 128,
    "index_n_heads": 64,
    "n_shared_experts": 1,
    "num_experts_per_tok": 6,
    "num_hash_layers": 3,
    "num_key_value_heads": 1,
    "num_nextn_predict_layers": 1,
    "o_lora_rank": 1024,
    "sliding_window": 128,
    "vocab_size": 129280,
    "tie_word_embeddings": False,
}
H56 = "M-M-M-M*-" + "M-M-M-M-M*-" * 9 + "M-M-M-M-M-"

RELEASED: dict[str, tuple[dict[str, Any], int]] = {
    "qwen3-next-80b-a3b": (
        {
            "model_type": "qwen3_next",
            "hidden_size": 2048,
            "intermediate_size": 5120,
            "num_hidden_layers": 48,
            "num_attention_heads": 16,
            "num_key_value_heads": 2,
            "head_dim": 256,
            "linear_num_key_heads": 16,
            "linear_num_value_heads": 32,
            "linear_key_head_dim": 128,
            "linear_value_head_dim": 128,
            "num_experts": 512,
            "num_experts_per_tok": 10,
            "moe_intermediate_size": 512,
            "shared_expert_intermediate_size": 512,
            "vocab_size": 151936,
            "tie_word_embeddings": False,
        },
        79_674_391_296,
    ),
    "qwen3.5-27b": (
        QWEN3_5
        | {
            "model_type": "qwen3_5_text",
            "hidden_size": 5120,
            "intermediate_size": 17408,
            "num_hidden_layers": 64,
            "num_attention_heads": 24,
            "num_key_value_heads": 4,
            "linear_num_value_heads": 48,
        },
        26_895_998_464,
    ),
    "qwen3.5-35b-a3b": (
        QWEN3_5
        | {
            "model_type": "qwen3_5_moe_text",
            "hidden_size": 2048,
            "num_hidden_layers": 40,
            "num_attention_heads": 16,
            "num_key_value_heads": 2,
            "linear_num_value_heads": 32,
            "num_experts": 256,
            "num_experts_per_tok": 8,
            "moe_intermediate_size": 512,
            "shared_expert_intermediate_size": 512,
        },
        34_660_610_688,
    ),
    "nemotron-3-nano-30b-a3b": (
        NEMOTRON
        | {
            "hidden_size": 2688,
            "hybrid_override_pattern": "MEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEMEM*EMEMEMEME",
            "num_attention_heads": 32,
            "num_key_value_heads": 2,
            "head_dim": 128,
            "mamba_num_heads": 64,
            "ssm_state_size": 128,
            "n_routed_experts": 128,
            "num_experts_per_tok": 6,
            "moe_intermediate_size": 1856,
            "moe_shared_expert_intermediate_size": 3712,
        },
        31_577_937_344,
    ),
    "nemotron-h-56b": (
        NEMOTRON
        | {
            "hidden_size": 8192,
            "intermediate_size": 32768,
            "hybrid_override_pattern": H56,
            "num_attention_heads": 64,
            "num_key_value_heads": 8,
            "attention_head_dim": 128,
            "mamba_num_heads": 256,
            "ssm_state_size": 256,
        },
        56_324_350_464,
    ),
    "deepseek-v3.2": (
        SPARSE
        | {
            "model_type": "deepseek_v32",
            "hidden_size": 7168,
            "intermediate_size": 18432,
            "num_hidden_layers": 61,
            "num_attention_heads": 128,
            "num_key_value_heads": 128,
            "q_lora_rank": 1536,
            "qk_nope_head_dim": 128,
            "v_head_dim": 128,
            "index_n_heads": 64,
            "vocab_size": 129280,
        },
        671_877_929_216,
    ),
    "glm-5": (
        SPARSE
        | {
            "model_type": "glm_moe_dsa",
            "hidden_size": 6144,
            "intermediate_size": 12288,
            "num_hidden_layers": 78,
            "num_attention_heads": 64,
            "num_key_value_heads": 64,
            "q_lora_rank": 2048,
            "qk_nope_head_dim": 192,
            "v_head_dim": 256,
            "index_n_heads": 32,
            "vocab_size": 154880,
        },
        743_911_199_232,
    ),
    "longcat-flash": (  # class defaults; the class also stores 180,388,626,432 parameters for 256 identity experts, which no release has
        {
            "model_type": "longcat_flash",
            "hidden_size": 6144,
            "num_layers": 28,
            "num_attention_heads": 64,
            "ffn_hidden_size": 12288,
            "expert_ffn_hidden_size": 2048,
            "q_lora_rank": 1536,
            "kv_lora_rank": 512,
            "qk_nope_head_dim": 128,
            "qk_rope_head_dim": 64,
            "v_head_dim": 128,
            "n_routed_experts": 512,
            "zero_expert_num": 256,
            "moe_topk": 12,
            "vocab_size": 131072,
        },
        560_664_958_976,
    ),
    "deepseek-v4-flash": (
        V4
        | {
            "hidden_size": 4096,
            "moe_intermediate_size": 2048,
            "n_routed_experts": 256,
            "num_attention_heads": 64,
            "num_hidden_layers": 43,
            "index_topk": 512,
            "o_groups": 8,
            "q_lora_rank": 1024,
            "compress_ratios": [0, 0, *[4, 128] * 20, 4, 0],
        },
        284_332_230_231,
    ),
    "deepseek-v4-pro": (
        V4
        | {
            "hidden_size": 7168,
            "moe_intermediate_size": 3072,
            "n_routed_experts": 384,
            "num_attention_heads": 128,
            "num_hidden_layers": 61,
            "index_topk": 1024,
            "o_groups": 16,
            "q_lora_rank": 1536,
            "compress_ratios": [128, 128, *[4, 128] * 29, 4, 0],
        },
        1_572_997_179_491,
    ),
}


@pytest.mark.parametrize("name", RELEASED)
def test_parameters_of_the_text_model(name: str) -> None:
    config, total = RELEASED[name]
    assert ts.count_params(ts.from_hf(config)).total == total


def test_an_indexer_scores_all_earlier_keys_and_attention_uses_a_fixed_number() -> None:
    model = ts.from_hf(RELEASED["deepseek-v3.2"][0])
    length, k = 8192, 2048
    forward = ts.flops_per_token(model, length).part("forward")
    met, scored = sum(min(i + 1, k) for i in range(length)), length * (length + 1) / 2
    assert forward.part("attention.core").total * length == 61 * 2 * 128 * (192 + 128) * met
    assert forward.part("indexer.scores").total * length == 61 * 2 * 64 * (128 + 1) * scored


def test_identity_experts_reduce_the_active_parameters() -> None:
    """The release's card says 18.6 to 31.3 billion active parameters, 27 on average."""
    model = ts.from_hf(RELEASED["longcat-flash"][0])
    assert ts.count_active_params(model).total == 27_954_796_544
    met = ts.count_active_params(model).part("moe.experts").total
    assert met == 28 * (12 * 512 / 768) * 3 * 2048 * 6144


def test_compressed_attention_covers_a_window_and_the_entries_before_a_query() -> None:
    model = ts.from_hf(RELEASED["deepseek-v4-flash"][0])
    length, each = 8192, 2 * 64 * (512 + 512)
    forward = ts.flops_per_token(model, length).part("forward")
    entries = {"selected": sum(min((i + 1) // 4, 512) for i in range(length)), "compressed": sum((i + 1) // 128 for i in range(length))}
    for kind, number in (("selected-moe", 21), ("compressed-moe", 20)):
        assert forward.part(f"{kind}.attention.entries.core").total * length == number * each * entries[kind.removesuffix("-moe")]
    window = sum(min(i + 1, 128) for i in range(length))
    assert forward.part("sliding-moe.attention.core").total * length == 2 * each * window


def test_the_cost_per_token_of_a_state_space_layer_is_independent_of_length() -> None:
    model = ts.from_hf(RELEASED["nemotron-h-56b"][0])
    short, long = (ts.flops_per_token(model, length).part("forward.mamba").total for length in (8192, 131072))
    assert short == long
