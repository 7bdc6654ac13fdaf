"""Encoders, encoder-decoders and cross-attention: figures of their transformers 5.24 classes, and pairs counted one by one."""

from __future__ import annotations

from typing import Any

import pytest

import trainsim as ts
from trainsim.core.errors import ConfigError, SpecError
from trainsim.model.ops import Attend

SMALL: dict[str, Any] = {"hidden_size": 32, "num_attention_heads": 4, "num_hidden_layers": 2, "intermediate_size": 48, "vocab_size": 50}
BART: dict[str, Any] = {
    "d_model": 32,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 48,
    "decoder_ffn_dim": 48,
    "vocab_size": 50,
}
WHISPER = BART | {"max_source_positions": 60, "max_target_positions": 64}
BART = BART | {"max_position_embeddings": 128}
WHOLE = {
    "bart": ("BartForConditionalGeneration", 48_640),
    "mbart": ("MBartForConditionalGeneration", 48_768),
    "marian": ("MarianMTModel", 48_384),
    "pegasus": ("PegasusForConditionalGeneration", 48_512),
    "bigbird_pegasus": ("BigBirdPegasusForConditionalGeneration", 47_744),
    "blenderbot": ("BlenderbotForConditionalGeneration", 48_512),
    "whisper": ("WhisperForConditionalGeneration", 54_912),
}
"""Class of the whole model, and its parameters at the sizes of ``BART``."""


def test_an_encoder_is_bidirectional_unless_configured_as_a_decoder() -> None:
    both, causal = (ts.from_hf({"model_type": "bert", **SMALL, "is_decoder": decodes}) for decodes in (False, True))
    length = 24
    cores = [ts.flops_per_token(m, length).part("forward.attention.core").total * length for m in (both, causal)]
    each = 2 * 2 * 4 * 2 * 8  # two layers, two products, four heads of eight
    assert cores == [each * length**2, each * length * (length + 1) / 2]
    assert ts.flops_per_token(both, length, "half").total == ts.flops_per_token(both, length).total


@pytest.mark.parametrize("family", WHOLE)
def test_a_whole_model_has_its_encoder(family: str) -> None:
    name, parameters = WHOLE[family]
    sizes = WHISPER if family == "whisper" else BART
    model = ts.from_hf({"model_type": family, **sizes, "architectures": [name]})
    assert ts.count_params(model).total == parameters
    decoder = ts.from_hf({"model_type": family, **sizes})
    assert "towers" not in ts.count_params(decoder)


def test_cross_attention_covers_every_encoder_token() -> None:
    model = ts.from_hf({"model_type": "bart", **BART, "architectures": ["BartForConditionalGeneration"]})
    target, source = 24, 60
    forward = ts.flops_per_token(model.reading(source), target).part("forward")
    assert forward.part("dense.cross.core").total * target == 2 * 2 * 2 * 4 * 8 * target * source
    assert forward.part("dense.cross.k").total * target == 2 * 2 * 32 * 32 * source
    assert forward.part("dense.cross.q").total == 2 * 2 * 32 * 32
    assert forward.part("towers.encoder.block.attention.core").total * target == 2 * 2 * 2 * 4 * 8 * source**2
    unread = ts.flops_per_token(model, target).part("forward")
    assert "towers" not in unread


def test_a_phase_gives_the_number_of_encoder_tokens() -> None:
    model = ts.from_hf({"model_type": "whisper", **WHISPER, "architectures": ["WhisperForConditionalGeneration"]})
    phases = [ts.Phase("train", tokens=1e8, seq_len=64, batch=256, source_len=length) for length in (60, 30)]
    hours = []
    for phase in phases:
        run = ts.Run(
            model=model,
            cluster=ts.catalog.cluster("hgx-h100", gpus=8),
            phases=[phase],
            efficiency=ts.MFU(0.3),
            reliability=ts.Goodput(0.95),
            price=ts.Rental(usd_per_gpu_hour=2.0),
        )
        hours.append(float(ts.estimate(run).busy_gpu_hours))
    assert hours[0] > hours[1]
    with pytest.raises(SpecError):
        ts.from_hf({"model_type": "bart", **BART}).reading(60)


def test_a_head_on_a_pooler_is_refused_and_a_masked_language_head_is_read() -> None:
    masked = ts.from_hf({"model_type": "bert", **SMALL, "architectures": ["BertForMaskedLM"]})
    assert masked == ts.from_hf({"model_type": "bert", **SMALL}).model_copy(update={"notes": masked.notes})
    with pytest.raises(ConfigError) as refused:
        ts.from_hf({"model_type": "bert", **SMALL, "architectures": ["BertForSequenceClassification"]})
    assert refused.value.path.endswith("architectures")


def test_a_flag_makes_gemma_bidirectional() -> None:
    """EmbeddingGemma: 576 and 156 pairs of 24 tokens in its own class, with a window of 7 in the second layer."""
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "head_dim": 8, "vocab_size": 99}
    types = {"sliding_window": 7, "layer_types": ["full_attention", "sliding_attention"], "use_bidirectional_attention": True}
    model = ts.from_hf({"model_type": "gemma3_text", "num_key_value_heads": 2} | sizes | types)
    masks = [entry.op.mask for entry in model.table.entries if isinstance(entry.op, Attend)]
    assert [float(mask.keys(24.0)) * 24 for mask in masks] == [576.0, 156.0]


def test_t5_is_an_encoder_and_a_decoder_or_its_encoder_alone() -> None:
    """T5ForConditionalGeneration and T5EncoderModel of transformers 5.24 at these sizes; 24 tokens of the decoder, 30 of the encoder."""
    sizes = {"d_model": 48, "d_kv": 8, "d_ff": 64, "num_heads": 4, "vocab_size": 50, "num_layers": 2, "num_decoder_layers": 1}
    keys = {"model_type": "t5", "relative_attention_num_buckets": 8, "feed_forward_proj": "gated-gelu", **sizes}
    whole = ts.from_hf(keys | {"architectures": ["T5ForConditionalGeneration"]})
    alone = ts.from_hf(keys | {"architectures": ["T5EncoderModel"]})
    assert [tower.name for tower in whole.towers] == ["encoder"]
    assert not alone.towers
    assert ts.count_params(whole).total == 55_120
    assert ts.flops_per_token(whole.reading(30), 24, "full").part("forward").total * 24 == 3_423_744
    assert ts.count_params(alone).total == 33_392
    assert alone.head.weights == "none"
