"""Hindcasts: they use no later data, are calibrated, are sharper than a flat utilisation, and list all misses."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import trainsim as ts
from trainsim.catalog.evidence import _between_run_variance, mfu_evidence
from trainsim.catalog.rows import rows
from trainsim.core.errors import CatalogError
from trainsim.testing import refused
from trainsim.uncertainty.analysis.scores import interval_score
from trainsim.validation.run_hindcast import Backtest, hindcasts


@pytest.fixture(scope="module")
def found() -> Backtest:
    return hindcasts()


def test_enough_runs_of_enough_labs(found: Backtest) -> None:
    assert len(found.hindcasts) >= 12
    assert len({h.org for h in found.hindcasts}) >= 6


def test_coverage_width_and_score_over_every_row(found: Backtest) -> None:
    ours, flat = found.scores
    assert 0.8 <= found.coverage <= 1.0
    assert found.width <= 5.0
    assert ours < flat


def test_none_is_dropped(found: Backtest) -> None:
    """Each training run is predicted or has a reason, and no reason depends on the hours; a note excludes no run."""
    training = {name for name, row in rows("runs").items() if row["kind"] == "training"}
    assert {h.name for h in found.hindcasts} | set(found.not_run) == training
    reasons = ("where a prior needs 3", "has no BF16 peak", "gives no architecture")
    assert all(any(reason in why for reason in reasons) for why in found.not_run.values())
    assert any(h.noted and not h.inside for h in found.hindcasts), "counted as the misses they are"


def test_misses_stay_on_the_page(found: Backtest) -> None:
    missed = [h for h in found.hindcasts if not h.inside]
    assert missed
    assert sum(line.endswith(" MISS") for line in str(found).splitlines()) == len(missed)


def test_a_low_figure_excludes_no_row() -> None:
    """A row may be excluded by its kind, not by its value."""
    evidence = mfu_evidence(ts.catalog.run("deepseek-v3"))
    away = {why for why in evidence.excluded.values() if why.startswith("suspect")}
    assert away
    assert not [why for why in away if re.search(r"implies|\d+ %$", why)]
    for name in ("llama3-8b", "granite-3.0-8b", "phi-3.5-mini", "yalm-100b"):
        assert f"runs/{name}" in evidence.used


def test_one_run_is_less_certain_than_a_mean_of_runs() -> None:
    assert _between_run_variance([[0.0, 0.6], [0.1], [1.0]]) > 0.0
    assert _between_run_variance([[0.0], [0.1], [1.0]]) == 0.0, "a cell of one run holds all of its variance"
    close, apart = ([[0.0, x, 2 * x]] * 5 for x in (0.05, 0.5))
    assert _between_run_variance(close) < _between_run_variance(apart)
    many = [list(np.random.default_rng(1).normal(0.0, 0.3, 200))]
    assert np.isclose(_between_run_variance(many), 0.3**2, rtol=0.15)


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


def test_the_pages_list_the_results(found: Backtest) -> None:
    readme, page = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "docs/hindcasts.md"))
    labs = len({h.org for h in found.hindcasts})
    for words in (
        f"{len(found.hindcasts)} published runs of {labs} labs",
        f"{found.coverage:.0%}".replace("%", " %"),
        f"×{found.width:.1f}",
    ):
        assert words in readme, "regenerate the README's row: trainsim hindcasts"
    for h in found.hindcasts:
        line = next(line for line in page.splitlines() if line.startswith(f"{h.day} ") and line.split()[1] == h.name)
        assert ("MISS" in line) == (not h.inside)
    assert all(f"not predicted: {name}: {why}" in page for name, why in found.not_run.items())


def test_no_prediction_is_unknown_and_says_why() -> None:
    other = next(row.id for row in ts.catalog.rows("runs").values() if row.get("kind") != "training")
    found = ts.hindcasts([other])
    assert (len(found.hindcasts), list(found.not_run)) == (0, [other])
    assert np.isnan([found.coverage, found.width, *found.scores]).all()
    with refused(CatalogError, "unknown-name"):
        ts.hindcasts(["no-such-run"])
