"""Hindcasts: blind, calibrated, sharper than a flat utilisation, and honest about misses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainsim.claims.backtest import Backtest, hindcasts, interval_score


@pytest.fixture(scope="module")
def found() -> Backtest:
    return hindcasts()


def test_enough_runs_of_enough_labs(found: Backtest) -> None:
    assert len(found.sound) >= 12
    assert len({h.org for h in found.sound}) >= 6


def test_coverage_width_and_score(found: Backtest) -> None:
    ours, flat = found.scores
    assert 0.8 <= found.coverage <= 1.0
    assert found.width <= 5.0
    assert ours < flat


def test_misses_stay_on_the_page(found: Backtest) -> None:
    missed = [h for h in found.hindcasts if not h.inside]
    assert missed
    assert str(found).count("MISS") == len(missed)


def test_flagged_rows_are_foretold_as_well(found: Backtest) -> None:
    assert any(h.flag for h in found.hindcasts)
    assert "all rows" in str(found)


positive = st.floats(1e-3, 1e6)


@given(positive, positive, positive)
def test_the_score_is_the_width_inside_and_more_outside(low: float, factor: float, truth: float) -> None:
    high = low * (1 + factor)
    score = interval_score(low, high, truth)
    width = np.log(high / low)
    if low <= truth <= high:
        assert np.isclose(score, width)
    else:
        assert score > width


ROOT = Path(__file__).parents[2]


def test_the_pages_tell_what_was_found(found: Backtest) -> None:
    readme, page = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "docs/hindcasts.md"))
    labs = len({h.org for h in found.sound})
    for words in (f"{len(found.sound)} published runs of {labs} labs", f"{found.coverage:.0%}".replace("%", " %"), f"×{found.width:.1f}"):
        assert words in readme, "regenerate the README's row: trainsim hindcasts"
    for h in found.hindcasts:
        line = next(line for line in page.splitlines() if line.startswith(f"{h.day} ") and line.split()[1] == h.name)
        assert ("MISS" in line) == (not h.inside)
    assert all(f"not foretold: {name}: {why}" in page for name, why in found.not_run.items())
