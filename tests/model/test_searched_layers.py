"""Llama-Nemotron's searched layers, and Gemma 4's vision tower."""

from __future__ import annotations

from typing import Any

import pytest

import trainsim as ts
from trainsim.core.errors import ConfigError

GROUP, NONE = {"n_heads_in_group": 8, "no_op": False}, {"n_heads_in_group": None, "no_op": True}
LAYERS = [
    (48, GROUP, 5.25),
    (1, GROUP, 2.625),
    (10, NONE, 1.3125),
    (8, NONE, 1.0),
    (6, NONE, 0.5),
    (5, NONE, 2.625),
    (1, NONE, 3.28125),
    (1, NONE, 5.25),
]
SUPER: dict[str, Any] = {
    "model_type": "nemotron-nas",
    "hidden_size": 8192,
    "num_hidden_layers": 80,
    "num_attention_heads": 64,
    "vocab_size": 128256,
    "tie_word_embeddings": False,
    "attention_bias": False,
    "mlp_bias": False,
    "block_configs": [{"attention": group, "ffn": {"ffn_mult": times, "no_op": False}} for n, group, times in LAYERS for _ in range(n)],
}


def test_nemotron_super() -> None:
    """Source: ai-dynamo/aiconfigurator, model_configs (the layers); the release stores 49,867,145,216 parameters in BF16."""
    assert ts.count_params(ts.from_hf(SUPER)).total == 49_867_145_216


@pytest.mark.parametrize(
    "layer",
    [
        {"attention": {"n_heads_in_group": 7}, "ffn": {"ffn_mult": 1.0}},
        {"attention": GROUP, "ffn": {"ffn_mult": None}},
        {"attention": {**GROUP, "replace_with_linear": True}, "ffn": {"ffn_mult": 1.0}},
        {"attention": GROUP},
        3,
    ],
)
def test_an_unsupported_layer_is_an_error(layer: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        ts.from_hf({**SUPER, "num_hidden_layers": 1, "block_configs": [layer]})
    assert caught.value.path == "config.block_configs"


def test_parameters_of_the_vision_tower_of_gemma4() -> None:
    """Source: transformers 5.24 on the meta device: 5,246,311,936 in all, of which 5,077,177,856 in the text model."""
    text = {
        "model_type": "gemma4_text", "hidden_size": 2304, "intermediate_size": 9216, "num_hidden_layers": 30, "num_attention_heads": 8,
        "num_key_value_heads": 4, "vocab_size": 262144,
    }  # fmt: skip
    model = ts.from_hf({"model_type": "gemma4", "text_config": text, "vision_config": {"hidden_size": 768}})
    counted = ts.count_params(model, towers="all").part("towers").total
    block = 4 * 768**2 + 3 * 768 * 3072 + 4 * 768 + 2 * 64
    assert counted == 3 * 16**2 * 768 + 2 * 10240 * 768 + 16 * block + 768 * 2304
    seeing = model.seeing(1, (1080, 1920))
    assert seeing.shown[0].pictures * seeing.shown[0].merged == 12 * 22  # 576 × 1056 pixels in squares of 48
