"""Keys that a class reads from older files and no longer stores: the file compared with the class built from it."""

from __future__ import annotations

import random
import warnings
from typing import Any

import pytest

from trainsim.testing.hybrid_families import HYBRIDS

WHY = "torch and transformers are not installed: pip install 'trainsim[dev-peers]'"
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    pytest.importorskip("torch", reason=WHY)
    pytest.importorskip("transformers", reason=WHY)
    import causal_truth as truth
    from comparison import CHUNKED, SHORT, compared
    from drawing import draw
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore")]
DRAWS = 15
LISTS = ("layer_types", "mlp_layer_types", "indexer_types", "layers_block_type", "full_attn_idxs", "attn_layer_indices")
"""Newer keys that would take precedence over the older ones."""
KDA = {"full_attn_layers": [2], "kda_layers": [1, 3], "num_heads": 4, "head_dim": 12, "short_conv_kernel_size": 4}
OLDER: list[tuple[str, dict[str, Any]]] = [
    ("axk1", {"first_k_dense_replace": 0}),
    ("axk1", {"moe_layer_freq": 2}),
    ("axk1", {}),
    ("bloom", {"n_embed": 96, "hidden_size": None}),
    ("cohere2", {"sliding_window_pattern": 3}),
    ("cohere2_moe", {"first_k_dense_replace": 1}),
    ("cohere2_moe", {"first_k_dense_replace": 2, "prefix_dense_sliding_window_pattern": 2}),
    ("deepseek_v4", {"compress_ratios": [0, 4, 128, 4, 0, 128], "num_hidden_layers": 6}),
    ("deepseek_v4", {"compress_rate_csa": 4}),
    ("deepseek_v4", {"num_hash_layers": 1}),
    ("gemma3_text", {"sliding_window_pattern": 2}),
    ("gemma4_text", {"global_head_dim": 16, "num_global_key_value_heads": 1, "attention_k_eq_v": True}),
    ("gemma4_unified_text", {"head_dim": None}),
    ("glm_moe_dsa", {"index_topk_pattern": "FSFSFS", "num_hidden_layers": 6}),
    ("glm_moe_dsa", {"index_topk_freq": 2, "index_skip_topk_offset": 3}),
    ("granitemoehybrid", {"layers_block_type": ["mamba", "attention", "mamba"], "num_hidden_layers": 3}),
    ("kimi_linear", {"linear_attn_config": KDA, "num_hidden_layers": 3}),
    ("kimi_linear", {"first_k_dense_replace": 2}),
    ("lfm2", {"tie_embedding": True, "tie_word_embeddings": None}),
    ("lfm2", {"block_ff_dim": 112, "intermediate_size": None}),
    ("mimo_v2_flash", {"sliding_window_size": 6, "sliding_window": None}),
    ("minimax_m3_vl_text", {"moe_layer_freq": [0, 1, 1], "num_hidden_layers": 3}),
    ("nemotron_h", {"hybrid_override_pattern": "ME*M-", "num_hidden_layers": None}),
    ("qwen3_5_text", {"full_attention_interval": 2}),
    ("qwen3_next", {"full_attention_interval": 3}),
    ("sarvam_mla", {"head_dim": 40, "q_head_dim": 16}),
]
"""Model type → changed keys; None leaves one out."""


@pytest.mark.parametrize(("kind", "changes"), OLDER, ids=lambda value: value if isinstance(value, str) else ",".join(value) or "silent")
def test_a_file_with_older_keys_is_read_as_its_class_reads_it(kind: str, changes: dict[str, Any]) -> None:
    length = CHUNKED if kind in HYBRIDS else SHORT
    for seed in range(DRAWS):
        keys = {key: value for key, value in draw(kind, random.Random(seed)).items() if key not in LISTS} | changes  # noqa: S311
        keys = {key: value for key, value in keys.items() if key not in changes or value is not None}
        try:
            counted = truth.on_cpu(CONFIG_MAPPING[kind](**keys), length)
        except Exception:  # noqa: BLE001, S112  (whatever a class raises at sizes it does not take)
            continue
        assert compared(keys, {"model_type": kind, **keys}, counted, length).exact, keys
        return
    pytest.fail("no draw could be built")
