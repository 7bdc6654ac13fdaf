"""Layer effects of a source: shrunken means, as in a two-level posterior."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from trainsim.calibration.cross_validation import by_class, predict_held_out, sigma_of_rows, unexplained_sigmas
from trainsim.calibration.fit import modelled_log_seconds
from trainsim.calibration.layer_effects import MAX_RESIDUAL, MIN_REPEATED_LAYERS, random_effects
from trainsim.calibration.readers.measured_steps import read_steps
from trainsim.calibration.records import MeasuredStep
from trainsim.catalog.rows import rows as catalogue_rows
from trainsim.catalog.shipped_calibration import Calibration, calibration
from trainsim.testing.tables import table_of


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> list[MeasuredStep]:
    """Layers with eight micro-batches, each measured at six depths, at the times modelled with the prior."""
    shapes = [(8, 8 * m, m, h, 16, depth, 1024, 8, 1, 1, 1000) for m in (1, 2, 4, 8) for h in (1024, 4096) for depth in range(4, 10)]
    rows = read_steps(table_of(tmp_path_factory.mktemp("rows") / "rows.csv", shapes))
    believed = {name: np.array([float(row["prior"])]) for name, row in catalogue_rows("constants").items()}
    return [replace(s, seconds=float(np.exp(t[0]))) for s, t in zip(rows, modelled_log_seconds(rows, believed), strict=True)]


def drawn(steps: Sequence[MeasuredStep], between: float, within: float, seed: int = 3) -> NDArray[np.float64]:
    """Residuals with a common part for each kind of layers."""
    rng = np.random.default_rng(seed)
    common = {name: between * rng.standard_normal() for name in sorted({s.layer_fingerprint for s in steps})}
    return np.array([common[s.layer_fingerprint] + within * rng.standard_normal() for s in steps])


def test_layers_are_identified_by_the_work_of_a_micro_batch(steps: list[MeasuredStep]) -> None:
    assert len({s.layer_fingerprint for s in steps}) == 8
    assert len({replace(s, source="another").layer_fingerprint for s in steps} | {s.layer_fingerprint for s in steps}) == 16
    assert replace(steps[0], layers="").layer_fingerprint == ""


def test_common_layer_effects_are_estimated(steps: list[MeasuredStep]) -> None:
    missed = drawn(steps, between=0.15, within=0.01)
    found = random_effects(steps, missed)
    for name in {s.layer_fingerprint for s in steps}:
        assert found[name] == pytest.approx(
            float(np.mean([r for s, r in zip(steps, missed, strict=True) if s.layer_fingerprint == name])), abs=0.004
        )


def test_independent_residuals_give_no_layer_effect(steps: list[MeasuredStep]) -> None:
    missed = drawn(steps, between=0.0, within=0.1)
    found = random_effects(steps, missed)
    assert sum(np.square(list(found.values()))) < 0.3 * sum(
        np.mean([r for s, r in zip(steps, missed, strict=True) if s.layer_fingerprint == name]) ** 2
        for name in {s.layer_fingerprint for s in steps}
    )


@given(values=st.lists(st.lists(st.floats(-0.3, 0.3), min_size=2, max_size=6), min_size=MIN_REPEATED_LAYERS, max_size=8))
def test_the_layer_effect_is_the_posterior_mean_by_brute_force(steps: list[MeasuredStep], values: list[list[float]]) -> None:
    """The posterior mean of the common part under normal distributions with variances by moments, integrated over a grid."""
    names = sorted({s.layer_fingerprint for s in steps})[: len(values)]
    rows = {name: [s for s in steps if s.layer_fingerprint == name][: len(each)] for name, each in zip(names, values, strict=True)}
    chosen = [s for name in names for s in rows[name]]
    found = random_effects(chosen, np.array([v for each in values for v in each]))
    freedom = sum(len(each) - 1 for each in values)
    within = sum(float(np.var(each)) * len(each) for each in values) / freedom
    between = float(np.mean([np.mean(each) ** 2 - within / len(each) for each in values]))
    if between <= 1e-12 or within <= 1e-9:
        return
    sd = np.sqrt(between)
    grid = np.linspace(-8 * sd, 8 * sd, 20001)
    for name, each in zip(names, values, strict=True):
        log = -np.square(grid) / (2 * between) - sum(np.square(v - grid) for v in each) / (2 * within)
        weight = np.exp(log - np.max(log))
        assert found[name] == pytest.approx(float(weight @ grid / np.sum(weight)), abs=2e-3 * sd)


def test_repeats_count_once_and_residuals_are_clipped(steps: list[MeasuredStep]) -> None:
    missed = drawn(steps, between=0.15, within=0.02)
    repeated = [*steps, *[steps[0]] * 50]
    assert random_effects(repeated, np.append(missed, [missed[0]] * 50)) == pytest.approx(random_effects(steps, missed))
    wild = missed.copy()
    wild[0] = 9.0
    capped = missed.copy()
    capped[0] = MAX_RESIDUAL
    assert random_effects(steps, wild) == random_effects(steps, capped)


def test_too_few_repeated_layers_give_no_effect(steps: list[MeasuredStep]) -> None:
    few = [s for s in steps if s.layer_fingerprint in sorted({s.layer_fingerprint for s in steps})[: MIN_REPEATED_LAYERS - 1]]
    assert random_effects(few, drawn(few, between=0.2, within=0.01)) == {}
    alone = [next(s for s in steps if s.layer_fingerprint == name) for name in sorted({s.layer_fingerprint for s in steps})]
    assert random_effects(alone, drawn(alone, between=0.2, within=0.01)) == {}


def test_a_forecast_subtracts_the_effect_of_the_same_layers_only(steps: list[MeasuredStep]) -> None:
    missed = drawn(steps, between=0.2, within=0.005)
    rows = [replace(s, seconds=s.seconds * float(np.exp(-r))) for s, r in zip(steps, missed, strict=True)]
    seen, unseen = rows[::2], rows[1::2]
    found = predict_held_out(seen, unseen)
    strangers = predict_held_out(seen, [replace(s, source="another", key=s.key + "x") for s in unseen])
    assert np.all(found.known_layers)
    assert not np.any(strangers.known_layers)
    assert np.std(found.residuals) < 0.5 * np.std(strangers.residuals)


def test_known_layers_have_their_own_sigma(steps: list[MeasuredStep]) -> None:
    rows = predict_held_out(steps[::2], steps[1::2])
    known = np.arange(len(rows.steps)) % 12 != 0
    held = replace(rows, residuals=np.where(known, 0.01, 0.2), parameter_sd=np.zeros(len(known)), known_layers=known)
    found = unexplained_sigmas(held, held)
    assert found["measured"][rows.steps[0].source] == found["measured"][""] == pytest.approx(0.01 / 1.645, abs=1e-4)
    assert np.allclose(sigma_of_rows(found, held), np.where(known, 0.01, 0.2) / 1.645, atol=1e-4)


def test_repeats_of_a_configuration_do_not_narrow_its_class(steps: list[MeasuredStep]) -> None:
    """Copies of well-predicted rows change no spread, since every configuration counts once."""
    rows = predict_held_out(steps[::2], steps[1::2])
    off = np.linspace(0.01, 0.3, len(rows.steps))
    held = replace(rows, residuals=off, parameter_sd=np.zeros(len(off)), known_layers=np.zeros(len(off), dtype=np.bool_))
    good = held.subset(off < 0.1)
    repeated = held + good + good + good
    assert by_class(repeated) == by_class(held)


def test_the_unexplained_factor_uses_the_nearest_measurements() -> None:
    shipped = calibration()
    made = replace(shipped, layers={"seen": 0.1}, measured={"": 0.05, shipped.sources[0]: 0.02})
    assert isinstance(made, Calibration)
    told = {"name": "mcore-hopper", "routed": False}
    assert made.unexplained(**told) == (0.0, made.spread_unseen(**told))  # type: ignore[arg-type]
    assert made.unexplained(**told, source="nobody", layers="seen") == (0.0, made.spread_unseen(**told))  # type: ignore[arg-type]
    assert made.unexplained(**told, source=made.sources[0]) == (0.0, made.spread_within("mcore-hopper", routed=False))  # type: ignore[arg-type]
    assert made.unexplained(**told, source=made.sources[0], layers="seen") == (-0.1, 0.02)  # type: ignore[arg-type]
    assert made.unexplained(**told, source=made.sources[1], layers="seen") == (-0.1, 0.05)  # type: ignore[arg-type]


def test_a_backtest_uses_layer_effects(tmp_path: Path) -> None:
    import trainsim.validation.step_backtest as module

    (step,) = read_steps(table_of(tmp_path / "rows.csv", [(8, 8, 1, 1024, 16, 4, 1024, 8, 1, 1, 100)]))
    shipped = calibration()
    known = replace(shipped, sources=(*shipped.sources, step.source), layers={step.layer_fingerprint: 0.3}, measured={"": 0.02})
    found = []
    for each in (replace(known, layers={}), known):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "calibration", lambda each=each: each)
            found.append(module.step_backtest([step]).forecasts[0])
    before, after = found
    assert after.modelled == pytest.approx(before.modelled * np.exp(-0.3))
    assert after.high / after.low < before.high / before.low
