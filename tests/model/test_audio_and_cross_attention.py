"""Audio towers, and cross-attention to images: parameters of the classes of transformers 5.24, and FLOPs by hand."""

from __future__ import annotations

from typing import Any

import pytest

import trainsim as ts

TEXT: dict[str, Any] = {"hidden_size": 64, "num_hidden_layers": 5, "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 120}
TEXT |= {"intermediate_size": 96}
AUDIO = {
    "d_model": 32,
    "encoder_layers": 2,
    "encoder_attention_heads": 4,
    "encoder_ffn_dim": 64,
    "num_mel_bins": 16,
    "max_source_positions": 60,
}
VISION = {"hidden_size": 32, "num_hidden_layers": 3, "num_global_layers": 2, "attention_heads": 4, "intermediate_size": 48}
VISION |= {"vision_output_dim": 96, "image_size": 28, "patch_size": 14}
MLLAMA = {"model_type": "mllama", "vision_config": VISION, "text_config": {**TEXT, "cross_attention_layers": [1, 3]}}
HEARING = {"model_type": "qwen2_audio", "audio_config": AUDIO, "text_config": {**TEXT, "model_type": "qwen2"}}


@pytest.mark.parametrize(("config", "text", "whole"), [(MLLAMA, 170_244, 240_539), (HEARING, 170_304, 196_096)])
def test_parameters_of_the_class(config: dict[str, Any], text: int, whole: int) -> None:
    model = ts.from_hf(config)
    assert (ts.count_params(model).total, ts.count_params(model, towers="all").total) == (text, whole)


def test_an_audio_tower_runs_over_frames_and_joins_them() -> None:
    source, length = 60, 40
    model = ts.from_hf(HEARING).reading(source)
    work = ts.flops_per_token(model, length, "full").part("forward.towers.audio")
    stem = 2 * (2 * source) * (3 * 16) * 32 + 2 * source * (3 * 32) * 32
    block = 2 * source * (4 * 32 * 32 + 2 * 32 * 64) + 4 * source * source * 32
    out = 2 * (source / 2) * 32 * 64
    assert work.total * length == pytest.approx(stem + 2 * block + out, rel=1e-12)


def test_queries_attend_to_the_squares_of_an_image() -> None:
    length, tokens = 40, 4 * (4 + 1)
    without, seeing = ts.from_hf(MLLAMA), ts.from_hf(MLLAMA).seeing(1, (56, 28))
    core = ts.flops_per_token(seeing, length, "full").part("forward.cross.cross.core").total
    assert core == 2 * 4 * 64 * tokens
    keys = ts.flops_per_token(seeing, length, "full").part("forward.cross.cross.k").total * length
    assert keys == pytest.approx(2 * 2 * tokens * 64 * 32, rel=1e-12)
    assert sum(each for path, each in ts.flops_per_token(without, length).lines() if "core" in path and "cross.cross" in path) == 0
    assert any("without images" in note for note in without.notes)


def test_other_groups_of_a_wrapper_are_noted() -> None:
    config = {**HEARING, "model_type": "granite_speech", "projector_config": {"model_type": "blip_2_qformer"}, "audio_config": None}
    config["text_config"] = {**TEXT, "model_type": "granite"}
    notes = ts.from_hf({**config, "encoder_config": {"hidden_dim": 32}}).notes
    assert any("projector_config" in note for note in notes)
    assert any("audio tower" in note and "left out" in note for note in notes)
