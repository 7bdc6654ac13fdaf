"""The card of a verdict: its size, its sentence, text inside the edges, and the parts that depend on judgement."""

from __future__ import annotations

import struct
from itertools import combinations
from pathlib import Path

import pytest

from trainsim.report.card import card
from trainsim.report.style import THEMES

from .samples import SIX, verdict
from .test_drawing import texts

pytest.importorskip("matplotlib")
NAMES = (SIX, "r1-5m-against-100m", "fleet-944m", "moe-256-networks", "owns-data-centres")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("theme", list(THEMES))
def test_the_sentence_of_a_card_is_inside_the_frame(name: str, theme: str) -> None:
    made = card(verdict(name), theme=theme)
    assert struct.unpack(">II", made.png[16:24]) == (1200, 630)
    boxes = texts(made.figure)
    whole = made.figure.bbox
    assert [words for words, b in boxes if b.x0 < 0 or b.y0 < 0 or b.x1 > whole.x1 or b.y1 > whole.y1] == []
    inner = [(words, b.padded(-0.5, -0.12 * b.height)) for words, b in boxes]
    assert [(a, b) for (a, x), (b, y) in combinations(inner, 2) if x.overlaps(y)] == []
    said = " ".join(words for words, _ in boxes).replace("\u00a0", " ")
    assert made.title in said
    assert verdict(name).number in said


def test_a_card_names_the_parts_that_depend_on_judgement(tmp_path: Path) -> None:
    made = verdict().card()
    said = " ".join(words for words, _ in texts(made.figure))
    judged = [rung.label.lstrip("+ ") for rung in verdict().rungs if rung.grade == "C"]
    assert judged
    assert all(label in said for label in judged)
    assert verdict().card(tmp_path / "card.png").read_bytes().startswith(b"\x89PNG")
