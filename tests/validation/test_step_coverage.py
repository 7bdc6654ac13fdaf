"""Held-out coverage of modelled steps: no row affects its own interval, counts are binomial, and undercoverage is detected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from trainsim.calibration.cross_validation import HeldOutPredictions, calibrated_sigma, leave_one_source_out, splits
from trainsim.calibration.readers.measured_steps import read_steps
from trainsim.calibration.records import MeasuredStep
from trainsim.core.errors import SpecError
from trainsim.testing import refused
from trainsim.testing.tables import table_of
from trainsim.uncertainty.analysis.scores import interval_score
from trainsim.validation.step_coverage import (
    HeldOutIntervals,
    by_group,
    constant_mfu,
    coverage,
    held_out_by_halves,
    held_out_by_source,
    holm,
    report,
    seconds_at_peak,
)


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> list[MeasuredStep]:
    """240 configurations of four sources, each at a third of the peak."""
    shapes = [
        (8, 8 * n, 1, 1024 * h, 16, layers, 1024, 1, 8, 1, 1000) for n in range(1, 13) for h in (1, 2, 4, 8) for layers in range(2, 12, 2)
    ]
    file = table_of(tmp_path_factory.mktemp("rows") / "rows.csv", shapes)
    named = [replace(s, source=f"lab-{i % 4}") for i, s in enumerate(read_steps(file))]
    return [replace(s, seconds=3 * seconds_at_peak(s)) for s in named]


def scattered(steps: Sequence[MeasuredStep], width: float, worse: str = "") -> list[MeasuredStep]:
    """The rows with log-normal errors, three times as large for one source."""
    rng = np.random.default_rng(5)
    return [replace(s, seconds=s.seconds * float(np.exp(width * (3 if s.source == worse else 1) * rng.standard_normal()))) for s in steps]


def unseen(rows: tuple[MeasuredStep, ...], residuals: Sequence[float], doubt: float) -> HeldOutPredictions:
    """Held-out rows with given errors and unknown layers."""
    return HeldOutPredictions(rows, np.array(residuals), np.full(len(rows), doubt), np.zeros(len(rows), dtype=np.bool_))


def test_splits_keep_configurations_whole_and_show_every_row_once(steps: list[MeasuredStep]) -> None:
    for seen, rest in splits(steps, repeats=2):
        assert not {s.key for s in seen} & {s.key for s in rest}
        assert len(seen) + len(rest) == len(steps)


def test_no_row_affects_its_own_interval(steps: list[MeasuredStep]) -> None:
    """Neither the constants nor the spread of a row depend on the row itself."""
    calls: list[tuple[set[str], set[str]]] = []

    def forecast(seen: Sequence[MeasuredStep], unseen: Sequence[MeasuredStep]) -> HeldOutPredictions:
        calls.append(({s.key for s in seen}, {s.key for s in unseen}))
        return constant_mfu(seen, unseen)

    held_out_by_halves(steps, forecast, repeats=1)
    for outer, *inner in (calls[:3], calls[3:]):
        for seen, unseen in inner:
            assert seen | unseen == outer[0]
            assert not (seen | unseen) & outer[1]


def test_the_sigma_of_a_source_depends_only_on_the_others(steps: list[MeasuredStep]) -> None:
    apart = leave_one_source_out(scattered(steps, 0.1), constant_mfu)
    moved = HeldOutPredictions(
        apart.steps, np.where([s.source == "lab-0" for s in apart.steps], 9.0, apart.residuals), apart.parameter_sd, apart.known_layers
    )
    mine = np.array([s.source == "lab-0" for s in apart.steps])
    assert np.array_equal(held_out_by_source(moved).spread[mine], held_out_by_source(apart).spread[mine])
    assert np.all(held_out_by_source(moved).spread[~mine] > 1.0)


def test_a_group_has_its_own_sigma(steps: list[MeasuredStep]) -> None:
    wide = [replace(s, group="wide") if s.source == "lab-1" else s for s in scattered(steps, 0.1, worse="lab-1")]
    missed = constant_mfu(wide, wide)
    mine, other, new = by_group(missed, unseen((wide[1], wide[0], replace(wide[0], group="new")), [0.0] * 3, 0.0))
    rows = np.array([s.group == "wide" for s in missed.steps])
    assert mine == calibrated_sigma(missed.subset(rows), np.ones(int(rows.sum())))
    assert other == calibrated_sigma(missed.subset(~rows), np.ones(int((~rows).sum())))
    assert other < new < mine


def test_a_constant_mfu_is_exact_where_it_is_one(steps: list[MeasuredStep]) -> None:
    assert np.allclose(constant_mfu(steps[::2], steps[1::2]).residuals, 0.0, atol=1e-12)
    fast = [replace(s, seconds=s.seconds / 2) for s in steps[1::2]]
    assert np.allclose(constant_mfu(steps[::2], fast).residuals, np.log(2.0))


def test_calibrated_intervals_cover_90_percent_and_undercovered_sources_are_marked(steps: list[MeasuredStep]) -> None:
    held = held_out_by_halves(scattered(steps, 0.1), constant_mfu)
    *sources, pooled = coverage(held, held, "source")
    assert pooled.configurations == len(steps)
    assert 0.85 <= pooled.share <= 0.95
    assert not any(holm([s.chance for s in sources]))
    assert 1.1 < pooled.width < 1.3
    worse = held_out_by_halves(scattered(steps, 0.1, worse="lab-2"), constant_mfu)
    *sources, _ = coverage(worse, worse, "source")
    assert [s.name for s, under in zip(sources, holm([s.chance for s in sources]), strict=True) if under] == ["lab-2"]
    assert report(worse, worse).count("UNDER-COVERED") == 1


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=12))
def test_holms_method_equals_the_closed_test(chances: list[float]) -> None:
    """The closure principle: a hypothesis is rejected if every set that contains it is rejected by Bonferroni's test."""
    n = len(chances)
    order = sorted(chances)
    for p, falls in zip(chances, holm(chances), strict=True):
        # of the sets of a size that contain p, the one with the largest other p-values is rejected last
        worst = all(min([p, *sorted(_without(order, p), reverse=True)[: size - 1]]) <= 0.05 / size for size in range(1, n + 1))
        assert falls == worst


def _without(values: list[float], one: float) -> list[float]:
    rest = list(values)
    rest.remove(one)
    return rest


@given(
    residuals=st.lists(st.floats(-1.0, 1.0), min_size=1, max_size=20),
    doubt=st.floats(0.001, 0.3),
    spread=st.floats(0.001, 0.3),
)
def test_counts_and_scores_are_the_definitions(residuals: list[float], doubt: float, spread: float) -> None:
    row = MeasuredStep("0", "mine", "mine", "mine", 1.0, "")
    rows = tuple(replace(row, id=str(i), key=str(i)) for i in range(len(residuals)))
    held = HeldOutIntervals(unseen(rows, residuals, doubt), np.full(len(rows), spread))
    (pooled, _) = coverage(held, held, "source")
    half = 1.6448536269514722 * np.hypot(doubt, spread)
    assert pooled.inside == pytest.approx(sum(abs(r) <= half for r in residuals))
    assert pooled.chance == pytest.approx(float(binom.cdf(round(pooled.inside), len(rows), 0.9)))
    assert pooled.width == pytest.approx(np.exp(half))
    score = np.mean([float(interval_score(np.exp(r - half), np.exp(r + half), 1.0)) for r in residuals])
    assert pooled.score == pooled.yardstick == pytest.approx(score)


def test_repeats_of_a_configuration_count_once() -> None:
    row = MeasuredStep("0", "mine", "mine", "mine", 1.0, "same")
    rows = (row, row, replace(row, id="1", key="other"))
    held = HeldOutIntervals(unseen(rows, [0.0, 9.0, 0.0], 0.1), np.full(3, 0.1))
    (pooled, _) = coverage(held, held, "group")
    assert (pooled.configurations, pooled.inside) == (2, 1.5)


def test_two_forecasts_of_different_rows_are_not_compared(steps: list[MeasuredStep]) -> None:
    ours, theirs = (held_out_by_halves(some, constant_mfu, repeats=1) for some in (steps, steps[:100]))
    with refused(SpecError, "conflict", "yardstick"):
        coverage(ours, theirs, "source")


def test_a_row_without_a_model_is_refused() -> None:
    with refused(SpecError, "unsupported", "rows"):
        seconds_at_peak(MeasuredStep("0", "mine", "mine", "mine", 1.0, ""))
