"""Keys of older files that a class reads although it no longer stores them, and activations with learned parameters."""

from __future__ import annotations

from typing import Any

import pytest

import trainsim as ts
from trainsim.core.errors import ConfigError
from trainsim.model.masks import SlidingWindow
from trainsim.model.ops import Attend

LLAMA: dict[str, Any] = {"model_type": "llama", "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 3}
LLAMA |= {"num_attention_heads": 4, "num_key_value_heads": 4, "vocab_size": 100}
EXPERTS: dict[str, Any] = {"num_hidden_layers": 5, "prefix_dense_intermediate_size": 80, "num_experts": 4, "num_experts_per_tok": 2}
COHERE: dict[str, Any] = LLAMA | EXPERTS | {"model_type": "cohere2_moe", "num_shared_experts": 1, "sliding_window": 8}
LATENT = {"kv_lora_rank": 16, "q_lora_rank": 24, "qk_rope_head_dim": 8, "qk_nope_head_dim": 8, "v_head_dim": 8}
AXK1: dict[str, Any] = LLAMA | LATENT | {"model_type": "axk1", "n_routed_experts": 4, "num_experts_per_tok": 2, "n_shared_experts": 1}
AXK1 |= {"moe_intermediate_size": 48}


def windows(model: ts.Model) -> list[bool]:
    """Whether each layer has a sliding window, first to last."""
    blocks = {kind.name: kind.block for kind in model.stack}
    masks = [next(op.mask for op in blocks[name].attention.ops(64) if isinstance(op, Attend)) for name in model.layout]
    return [isinstance(mask, SlidingWindow) for mask in masks]


@pytest.mark.parametrize(
    ("keys", "seen"),
    [
        ({}, "sssfs"),
        ({"first_k_dense_replace": 2}, "ffsss"),
        ({"first_k_dense_replace": 2, "prefix_dense_sliding_window_pattern": 2}, "sfsss"),
        ({"first_k_dense_replace": 1, "sliding_window_pattern": 2}, "fsfsf"),
    ],
)
def test_leading_layers_have_a_period_of_their_own(keys: dict[str, Any], seen: str) -> None:
    """The pattern of transformers 5.24's class: it begins again after the leading dense layers."""
    assert windows(ts.from_hf(COHERE | keys)) == [letter == "s" for letter in seen]


def test_ax_k1_has_one_dense_layer_by_default() -> None:
    silent, said = ts.from_hf(AXK1), ts.from_hf(AXK1 | {"first_k_dense_replace": 1})
    assert (
        ts.count_params(silent).total
        == ts.count_params(said).total
        != ts.count_params(ts.from_hf(AXK1 | {"first_k_dense_replace": 0})).total
    )


@pytest.mark.parametrize(
    "keys", [{"tie_embedding": False, "tie_word_embeddings": True}, {"tie_embedding": True, "tie_word_embeddings": False}]
)
def test_two_keys_for_a_tied_head_must_agree(keys: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as error:
        ts.from_hf(LLAMA | {"model_type": "lfm2", "num_key_value_heads": 2} | keys)
    assert error.value.path.endswith("tie_word_embeddings")


def test_marian_with_a_separate_decoder_vocabulary_is_refused() -> None:
    sizes = {"d_model": 64, "decoder_layers": 2, "decoder_attention_heads": 4, "decoder_ffn_dim": 96, "vocab_size": 100}
    with pytest.raises(ConfigError) as error:
        ts.from_hf({"model_type": "marian", **sizes, "max_position_embeddings": 64, "decoder_vocab_size": 97})
    assert error.value.path.endswith("decoder_vocab_size")


def test_one_residual_stream_is_refused() -> None:
    selecting = {"index_n_heads": 4, "index_head_dim": 16, "index_topk": 8, "n_routed_experts": 4, "num_experts_per_tok": 2}
    with pytest.raises(ConfigError) as error:
        ts.from_hf(LLAMA | LATENT | selecting | {"model_type": "hy_v4", "moe_intermediate_size": 48, "hc_mult": 1})
    assert error.value.path.endswith("hc_mult")


def test_an_activation_with_learned_numbers_is_counted_once_a_layer() -> None:
    plain, learned = (ts.count_params(ts.from_hf(LLAMA | {"hidden_act": act})).total for act in ("silu", "xielu"))
    assert learned - plain == 2 * 3


def test_xielu_is_refused_if_experts_may_share_it() -> None:
    mixtral = LLAMA | {"model_type": "mixtral", "num_local_experts": 4, "num_experts_per_tok": 2, "hidden_act": "xielu"}
    with pytest.raises(ConfigError) as error:
        ts.from_hf(mixtral)
    assert error.value.path.endswith("hidden_act")


@pytest.mark.parametrize("kind", ["gemma4_text", "gemma4_unified_text"])
def test_a_head_size_left_out_is_the_class_default(kind: str) -> None:
    """Heads of 256 in sliding layers: not hidden / heads."""
    sizes = LLAMA | {"model_type": kind, "num_hidden_layers": 6, "vocab_size_per_layer_input": 100}
    left_out, given = (ts.count_params(ts.from_hf(sizes | keys)).total for keys in ({}, {"head_dim": 256}))
    assert left_out == given


def test_the_stored_cross_attention_of_trocr_reads_the_width_of_its_encoder() -> None:
    """TrOCR's decoder stores key and value projections of its encoder's width, two products per layer."""
    sizes = {"d_model": 64, "decoder_layers": 2, "decoder_attention_heads": 4, "decoder_ffn_dim": 96, "vocab_size": 100}
    same, wider = (
        ts.count_params(ts.from_hf({"model_type": "trocr", **sizes, "cross_attention_hidden_size": width})).total for width in (None, 80)
    )
    assert wider - same == 2 * 2 * 16 * 64


def test_the_head_of_rembert_is_as_wide_as_its_class_says() -> None:
    sizes = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 96, "vocab_size": 100}
    sizes |= {"input_embedding_size": 48}
    left_out, given = (
        ts.count_params(ts.from_hf({"model_type": "rembert", **sizes, **keys})).total for keys in ({}, {"output_embedding_size": 1664})
    )
    assert left_out == given


def test_dense_layers_of_qwen3_next_have_the_class_default_width() -> None:
    sizes = LLAMA | {
        "model_type": "qwen3_next",
        "num_experts": 4,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 48,
        "mlp_only_layers": [1],
    }
    del sizes["intermediate_size"]
    left_out, given = (ts.count_params(ts.from_hf(sizes | keys)).total for keys in ({}, {"intermediate_size": 5632}))
    assert left_out == given
