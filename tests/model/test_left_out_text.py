"""Wrappers whose file has no text model: the wrapper's class gives its sizes, which differ from the defaults of the text model's type."""

from __future__ import annotations

import pytest

import trainsim as ts


@pytest.mark.parametrize(
    ("kind", "text", "ties"),
    [
        ("voxtral", 4_014_136_320, None),
        ("mistral3", 22_901_314_560, True),
        ("qwen3_asr", 1_720_574_976, None),
        ("paligemma", 2_508_531_712, None),
    ],
)
def test_sizes_left_out_are_the_defaults_of_the_wrapper(kind: str, text: int, ties: bool | None) -> None:  # noqa: FBT001
    """Source: transformers 5.24 on the meta device."""
    head = {} if ties is None else {"tie_word_embeddings": ties}
    model = ts.from_hf({"model_type": kind, **head})
    assert ts.count_params(model).total == text
    assert any("left out: sizes of the class" in note for note in model.notes)
