from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from trainsim.core.batch import Batch
from trainsim.core.errors import EstimateError, SpecError
from trainsim.testing import refused
from trainsim.training.failure_laws import Exponential, FailureLaw, LogNormalFailures, Weibull, expected_segments
from trainsim.training.reliability import Failures, Goodput, YoungDaly, best_interval, useful_share

Draw = Callable[[int], NDArray[np.float64]]


def simulate(draw: Draw, work: float, save: float, restart: float, *, replicas: int, failures: int) -> float:
    """An oracle that knows no formula: share of the clock spent on work that was kept, over many replicas.

    Args:
        draw: n times between interruptions.
        work, save, restart: of one segment and of one restart, in the units of ``draw``.
        replicas: independent runs.
        failures: interruptions of each replica before its count ends.
    """
    clock, kept, seen = np.zeros(replicas), np.zeros(replicas), np.zeros(replicas, dtype=int)
    next_failure = draw(replicas)
    up_from = np.full(replicas, restart)  # time at which stepping may start, after a restart; time 0 counts as a failure
    while np.any(active := seen < failures):
        done = np.maximum(clock, up_from) + work + save
        fails = active & (next_failure < done)
        succeeds = active & ~fails
        kept += np.where(succeeds, work, 0.0)
        clock = np.where(fails, next_failure, np.where(succeeds, done, clock))
        up_from = np.where(fails, next_failure + restart, up_from)  # a failure during a restart begins another restart
        hit = np.flatnonzero(fails)
        next_failure[hit] = clock[hit] + draw(len(hit))
        seen += fails
    return float(kept.sum() / clock.sum())


LLAMA3_RATE = 4.74e-4
SETTINGS = {"fast": (20.0, 15 * 60.0), "middle": (120.0, 30 * 60.0), "slow": (300.0, 60 * 60.0)}
SIZES = (8, 512, 2048, 16_384, 50_000, 100_000)


def failures(setting: str, **changes: Any) -> Failures:
    save, restart = SETTINGS[setting]
    fields: dict[str, Any] = {"failures_per_gpu_day": LLAMA3_RATE, "checkpoint_seconds": save, "restart_seconds": restart}
    return Failures(**fields | changes)


@pytest.mark.parametrize(
    ("gpus", "expected"),
    [(2_048, (0.969, 0.930, 0.884)), (16_384, (0.868, 0.732, 0.568)), (50_000, (0.702, 0.467, 0.241))],
)
def test_published_settings(gpus: int, expected: tuple[float, ...]) -> None:
    assert [round(float(failures(s).expected_goodput(gpus)), 3) for s in SETTINGS] == list(expected)


def test_llama_3s_goodput_needs_fast_restarts() -> None:
    """A goodput above 90 % on 16,384 GPUs needs restarts of 6 minutes with saves of 20 seconds; restarts of 15 minutes give less."""
    assert float(failures("fast", restart_seconds=360.0).expected_goodput(16_384)) > 0.90
    assert float(failures("fast").expected_goodput(16_384)) < 0.90


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("gpus", SIZES)
def test_closed_form_renewal_and_discrete_events_agree(setting: str, gpus: int) -> None:
    run = failures(setting)
    mtbf = run.mean_time_between_failures(gpus)
    work, save, restart = (float(t / mtbf) for t in (run.interval(gpus), run.checkpoint_seconds, run.restart_seconds))
    closed = float(run.expected_goodput(gpus))
    renewal = work * float(expected_segments(Exponential(), restart, work + save))
    rng = np.random.default_rng(gpus)
    events = simulate(lambda n: rng.exponential(1.0, n), work, save, restart, replicas=2_000, failures=20)
    assert renewal == pytest.approx(closed, rel=1e-7)
    assert events == pytest.approx(closed, abs=0.003)


@pytest.mark.parametrize(
    ("law", "draw"),
    [
        (Weibull(shape=0.7), lambda rng, n: rng.weibull(0.7, n) / 1.2658235060572833),
        (Weibull(shape=2.0), lambda rng, n: rng.weibull(2.0, n) / 0.886226925452758),
        (LogNormalFailures(sigma=1.0), lambda rng, n: rng.lognormal(-0.5, 1.0, n)),
    ],
    ids=["clustered", "wear-out", "log-normal"],
)
@pytest.mark.parametrize("gpus", [2_048, 16_384, 100_000])
def test_renewal_agrees_with_discrete_events_for_other_laws(law: FailureLaw, draw: object, gpus: int) -> None:
    run = failures("middle", law=law)
    mtbf = run.mean_time_between_failures(gpus)
    work, save, restart = (float(t / mtbf) for t in (run.interval(gpus), run.checkpoint_seconds, run.restart_seconds))
    rng = np.random.default_rng(7)
    events = simulate(lambda n: draw(rng, n), work, save, restart, replicas=4_000, failures=30)  # type: ignore[operator]
    assert events == pytest.approx(float(run.expected_goodput(gpus)), abs=0.003)


@pytest.mark.parametrize("law", [Weibull(shape=0.7), Weibull(shape=3.0), LogNormalFailures(sigma=1.3)], ids=str)
def test_the_tail_formula_equals_the_plain_sum(law: FailureLaw) -> None:
    k = np.arange(1.0, 1_000_001.0)
    assert float(expected_segments(law, 0.03, 0.004)) == pytest.approx(float(np.sum(law.survival(0.03 + 0.004 * k))), rel=1e-7)


@pytest.mark.parametrize("law", [Exponential(), Weibull(shape=0.6), Weibull(shape=4.0), LogNormalFailures(sigma=0.8)], ids=str)
def test_a_failure_law_has_mean_one_and_consistent_functions(law: FailureLaw) -> None:
    x = np.linspace(0.3, 3.0, 7)
    step = 1e-5
    assert float(law.beyond(1e-300)) == pytest.approx(1.0, abs=1e-9)
    slope = (law.beyond(x + step) - law.beyond(x - step)) / (2 * step)
    np.testing.assert_allclose(slope, -np.asarray(law.survival(x)), rtol=1e-6)
    slope = (law.survival(x + step) - law.survival(x - step)) / (2 * step)
    np.testing.assert_allclose(slope, -np.asarray(law.density(x)), rtol=1e-5, atol=1e-9)


def test_a_weibull_law_of_shape_one_equals_the_exponential_by_the_general_formula() -> None:
    assert failures("middle", law=Weibull(shape=1.0)).expected_goodput(16_384) == pytest.approx(
        float(failures("middle").expected_goodput(16_384)), abs=1e-9
    )


@settings(deadline=None)
@given(save=st.floats(1e-9, 3.0), restart=st.floats(0, 2.0), off=st.floats(0.2, 5.0))
def test_no_interval_beats_the_best(save: float, restart: float, off: float) -> None:
    best = float(best_interval(Exponential(), save, restart))
    kept = float(useful_share(Exponential(), best, save, restart))
    assert float(useful_share(Exponential(), best * off, save, restart)) <= kept * (1 + 1e-9)


@settings(max_examples=15, deadline=None)
@given(shape=st.floats(0.5, 3.0), save=st.floats(1e-4, 0.3), restart=st.floats(0, 0.5), off=st.sampled_from([0.5, 0.9, 1.1, 2.0]))
def test_no_interval_beats_the_best_under_another_law(shape: float, save: float, restart: float, off: float) -> None:
    law = Weibull(shape=shape)
    best = float(best_interval(law, save, restart))
    assert float(useful_share(law, best * off, save, restart)) <= float(useful_share(law, best, save, restart)) * (1 + 1e-6)


@pytest.mark.parametrize("gpus", [8, 512])
def test_the_first_order_rule_meets_the_exact_one_where_failures_are_rare(gpus: int) -> None:
    save, restart = SETTINGS["fast"]
    first = YoungDaly(failures_per_gpu_day=LLAMA3_RATE, checkpoint_seconds=save, restart_seconds=restart)
    assert first.expected_goodput(gpus) == pytest.approx(float(failures("fast").expected_goodput(gpus)), abs=5e-4)


@pytest.mark.parametrize(("setting", "gpus"), [("middle", 16_384), ("slow", 16_384), ("fast", 50_000), ("slow", 100_000)])
def test_the_first_order_rule_refuses_outside_its_domain(setting: str, gpus: int) -> None:
    save, restart = SETTINGS[setting]
    with refused(EstimateError, "unsupported", "reliability.period_over_mtbf"):
        YoungDaly(failures_per_gpu_day=LLAMA3_RATE, checkpoint_seconds=save, restart_seconds=restart).expected_goodput(gpus)


@settings(deadline=None)
@given(gpus=st.integers(1, 200_000), slowdown=st.floats(0, 0.3), setting=st.sampled_from(list(SETTINGS)))
def test_losses_sum_to_the_wall_clock_and_none_is_negative(gpus: int, slowdown: float, setting: str) -> None:
    run = failures(setting, straggler_slowdown=slowdown)
    lost = run.losses(gpus)
    assert float(lost.total) == pytest.approx(1.0, abs=1e-12)
    assert float(lost.part("useful").total) == pytest.approx(float(run.expected_goodput(gpus)), rel=1e-12)
    assert all(value >= -1e-9 for _, value in lost.lines())


@settings(deadline=None)
@given(
    rate=st.floats(1e-6, 1e-2), save=st.floats(1, 600), restart=st.floats(0, 7200), gpus=st.integers(1, 100_000), more=st.floats(1.001, 3)
)
def test_more_failures_slower_saves_and_restarts_never_help(rate: float, save: float, restart: float, gpus: int, more: float) -> None:
    base: dict[str, Any] = {"failures_per_gpu_day": rate, "checkpoint_seconds": save, "restart_seconds": restart}
    kept = float(Failures(**base).expected_goodput(gpus))
    assert 0 <= kept <= 1
    for name, value in base.items():
        assert float(Failures(**base | {name: value * more}).expected_goodput(gpus)) <= kept * (1 + 1e-9)


@pytest.mark.parametrize("law", [Exponential(), Weibull(shape=0.8)], ids=["exponential", "weibull"])
def test_arrays_equal_scalars(law: FailureLaw) -> None:
    rates, saves = np.array([1e-4, 5e-4, 2e-3]), np.array([10.0, 60.0, 200.0])
    run = failures("fast", law=law)
    drawn = Batch(run, {"failures_per_gpu_day": rates, "checkpoint_seconds": saves}).spec.expected_goodput(16_384)
    one_by_one = [
        run.replace({"failures_per_gpu_day": r, "checkpoint_seconds": c}).expected_goodput(16_384)
        for r, c in zip(rates, saves, strict=True)
    ]
    np.testing.assert_allclose(np.asarray(drawn), np.asarray(one_by_one), rtol=1e-12)


def test_a_tiny_checkpoint_costs_nearly_nothing() -> None:
    run = Failures(failures_per_gpu_day=1e-9, checkpoint_seconds=1e-6, restart_seconds=0)
    assert float(run.expected_goodput(1)) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("failures_per_gpu_day", 0),
        ("checkpoint_seconds", 0),
        ("restart_seconds", -1),
        ("interval_seconds", 0),
        ("straggler_slowdown", -0.1),
    ],
)
def test_bad_input_names_path_value_rule_remedy(field: str, value: float) -> None:
    with refused(SpecError, "out-of-bounds", field, value=value):
        failures("fast", **{field: value})


def test_failures_and_their_law_survive_a_file(tmp_path: Path) -> None:
    run = failures("slow", law=Weibull(shape=0.8))
    path = tmp_path / "failures.toml"
    run.save(path)
    assert Failures.load(path) == run
    assert Goodput(0.9).expected_goodput(8) == 0.9


def test_the_documented_table_is_what_is_computed() -> None:
    page = (Path(__file__).parents[2] / "docs" / "cost.md").read_text(encoding="utf-8")
    for gpus in SIZES:
        cells = [f"{float(failures(s).expected_goodput(gpus)):.3f}".removeprefix("0") for s in SETTINGS]
        assert f"| {gpus:,} | {' | '.join(cells)} |" in page
