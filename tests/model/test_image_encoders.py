"""Image encoders trained alone: parameters of the classes of transformers 5.24 at their defaults, and FLOPs by hand."""

from __future__ import annotations

from typing import Any

import pytest

import trainsim as ts
from trainsim.core.errors import ConfigError

BASE = {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12}
WIDE = {**BASE, "intermediate_size": 3072}
TEXT = {"hidden_size": 512, "num_hidden_layers": 12, "num_attention_heads": 8, "intermediate_size": 2048, "vocab_size": 49408}
COUNTED: list[tuple[dict[str, Any], int]] = [
    ({"model_type": "vit", **WIDE}, 86_389_248),
    ({"model_type": "vit", **WIDE, "architectures": ["ViTForImageClassification"]}, 85_800_194),
    ({"model_type": "deit", **WIDE}, 86_390_784),
    ({"model_type": "dinov2", **BASE}, 85_725_696),
    ({"model_type": "dinov2_with_registers", **BASE}, 85_820_928),
    (
        {"model_type": "dinov3_vit", "hidden_size": 384, "num_hidden_layers": 12, "num_attention_heads": 6, "intermediate_size": 1536},
        21_595_008,
    ),
    ({"model_type": "clip_vision_model", **WIDE}, 87_456_000),
    ({"model_type": "siglip_vision_model", **WIDE}, 92_884_224),
    ({"model_type": "clip", "text_config": TEXT, "vision_config": WIDE}, 151_277_313),
    ({"model_type": "siglip", "text_config": {**WIDE, "vocab_size": 32000}, "vision_config": WIDE}, 203_155_970),
]


@pytest.mark.parametrize(("config", "parameters"), COUNTED)
def test_class_defaults(config: dict[str, Any], parameters: int) -> None:
    assert ts.count_params(ts.from_hf(config), towers="all").total == parameters


def test_a_vit_by_hand() -> None:
    model = ts.from_hf({"model_type": "vit", **WIDE})
    tokens = 14 * 14 + 1
    assert f"seq_len={tokens}" in " ".join(model.notes)
    forward = ts.flops_per_token(model, tokens).part("forward").total * tokens
    block = 2 * tokens * (4 * 768**2 + 2 * 768 * 3072) + 4 * tokens**2 * 768
    assert forward == pytest.approx(2 * (tokens - 1) * (3 * 16 * 16) * 768 + 12 * block, rel=1e-12)
    backward = ts.flops_per_token(model, tokens).part("backward").total * tokens
    assert backward == pytest.approx(2 * forward - 2 * (tokens - 1) * (3 * 16 * 16) * 768, rel=1e-12)  # no gradient is computed for pixels


def test_an_image_encoder_can_be_trained_and_timed() -> None:
    run = ts.Run(
        model=ts.from_hf({"model_type": "vit", **WIDE}),
        cluster=ts.catalog.cluster("hgx-h100", gpus=8),
        plan=ts.Plan(),
        phases=[ts.Phase("pretrain", tokens=1e9, seq_len=197, batch=4096)],
        efficiency=ts.Modelled(stack="mcore-hopper"),
    )
    assert ts.step_time(run).total > 0
    assert ts.memory(run).total > 0


def test_a_head_that_is_not_mapped_is_an_error() -> None:
    with pytest.raises(ConfigError) as caught:
        ts.from_hf({"model_type": "dinov2", **BASE, "architectures": ["Dinov2ForImageClassification"]})
    assert (caught.value.path, caught.value.rule_id) == ("config.architectures", "unsupported")
