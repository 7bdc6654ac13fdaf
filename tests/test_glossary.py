"""One word, one meaning: the glossary lists the words of the code, and no public name uses a listed synonym."""

from __future__ import annotations

import inspect
import math
import re
from pathlib import Path
from typing import get_args

import pytest

import trainsim as ts
from trainsim.auditing.comparison import CLOSE, LITTLE, NEAR, POWER, Faithfulness, Word
from trainsim.catalog.rows import EVIDENCE, GRADES
from trainsim.claims.scope import Content

PAGE = (Path(__file__).parents[1] / "docs" / "glossary.md").read_text(encoding="utf-8")
ROWS = [[cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.splitlines() if line.startswith("| ")]
TERMS = {term for row in ROWS for term in (re.findall(r"`([^`]+)`", row[0]) or [row[0]])}
FORBIDDEN = {word for row in ROWS if len(row) == 4 for word in re.findall(r"`([^`]+)`", row[3])}


def public_names() -> set[str]:
    """Every parameter of a public function and every field of a public spec."""
    found: set[str] = set()
    for name in dir(ts):
        thing = getattr(ts, name)
        if inspect.isclass(thing) and issubclass(thing, ts.Spec):
            found |= set(thing.model_fields)
        elif inspect.isfunction(thing):
            found |= set(inspect.signature(thing).parameters)
    return found


@pytest.mark.parametrize(
    "word",
    ["seq_len", "tokens", "batch", "step", "micro_batch", "peak", "mfu", "hfu", "busy_gpu_hours", "gpu_hours", "goodput", "active", "tp",
     "pp", "dp", "ep", "cp", "vpp", "usd", "scope", "blind"],
)  # fmt: skip
def test_the_words_of_the_house_are_defined_once(word: str) -> None:
    assert word in TERMS
    assert sum(bool(re.search(rf"(?<!\w){re.escape(word)}(?!\w)", row[0])) for row in ROWS) == 1


def test_no_public_name_is_a_word_we_do_not_say() -> None:
    assert FORBIDDEN
    assert public_names() & FORBIDDEN == set()
    assert set() == TERMS & FORBIDDEN


def test_verdict_words_stand_with_the_figures_that_define_them() -> None:
    meaning: dict[str, str] = {}
    for row in ROWS:
        meaning[row[0]] = f"{meaning.get(row[0], '')} {row[1]}"
    assert {*get_args(Word), *get_args(Faithfulness)} <= set(meaning)
    assert f"ln {math.exp(CLOSE):.1f}" in meaning["CONFIRMED"]
    assert f"ln {math.exp(NEAR):.1f}" in meaning["STRAINED"]
    assert f"P95/P5 above {POWER:.0f}" in meaning["CANNOT BE JUDGED"]
    assert math.exp(LITTLE) == pytest.approx(3.0)
    assert "three times" in PAGE


def test_lists_of_words_are_complete() -> None:
    assert set(ts.CONVENTIONS) <= TERMS
    for words in (GRADES, EVIDENCE, get_args(Content)):
        assert [word for word in words if word not in PAGE] == []
    grades = next(row[1] for row in ROWS if row[0] == "grade")
    assert [grades.index(g) for g in GRADES] == sorted(grades.index(g) for g in GRADES), "best first"


def test_every_quantity_one_can_claim_is_defined() -> None:
    from trainsim.run.estimate import QUANTITIES

    assert [q for q in QUANTITIES if q not in TERMS and q != "step_time"] == []
