"""Wrappers compared with their classes: a text model with its tower at the class defaults, and heads that the wrapper ties or not."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

import trainsim as ts
from trainsim.core.errors import ConfigError
from trainsim.model.huggingface.vision import readers

WHY = "torch and transformers are not installed: pip install 'trainsim[dev-peers]'"
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    torch = pytest.importorskip("torch", reason=WHY)
    transformers = pytest.importorskip("transformers", reason=WHY)
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES as WRAPPERS

pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore")]
KNOWN = {wrapper for wrapper, _ in readers()}
SMALL = {
    "hidden_size": 32,
    "num_attention_heads": 4,
    "num_hidden_layers": 2,
    "intermediate_size": 48,
    "vocab_size": 50,
    "num_key_value_heads": 2,
}


def parameters(config: Any) -> int:
    with torch.device("meta"):
        return sum(p.numel() for p in transformers.AutoModelForImageTextToText.from_config(config).parameters())


@pytest.mark.parametrize("kind", sorted(KNOWN & set(WRAPPERS)))
def test_the_whole_class_at_its_defaults(kind: str) -> None:
    config = CONFIG_MAPPING[kind]()
    assert ts.count_params(ts.from_hf(config), towers="all").total == parameters(config)


@pytest.mark.parametrize("outer", [True, False])
@pytest.mark.parametrize("inner", [True, False])
@pytest.mark.parametrize("kind", ["llava", "mistral3", "internvl", "qwen2_5_vl", "qwen3_vl"])
def test_the_wrapper_has_the_last_word_on_its_head(kind: str, inner: bool, outer: bool) -> None:  # noqa: FBT001
    config = CONFIG_MAPPING[kind](text_config=SMALL | {"tie_word_embeddings": inner}, tie_word_embeddings=outer)
    assert ts.count_params(ts.from_hf(config), towers="all").total == parameters(config)


@pytest.mark.parametrize("kind", sorted(set(WRAPPERS) - KNOWN))
def test_a_tower_that_is_not_mapped_is_a_note_or_an_error(kind: str) -> None:
    try:
        config = CONFIG_MAPPING[kind]()
        whole = parameters(config)
    except Exception:  # noqa: BLE001  (a class without usable defaults, or that needs another package)
        pytest.skip("the class has no usable defaults")
    try:
        model = ts.from_hf(config)
    except ConfigError:
        return
    if ts.count_params(model, towers="all").total != whole:
        assert any("left out" in note or "text model of" in note for note in model.notes)
