"""Dimensional consistency: if seconds, dollars or FLOPs are rescaled in every field, the answers rescale by their units."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

import trainsim as ts
from trainsim.testing import small_runs

TIME = ("s", "h", "day", "year")


def rescaled(run: ts.Run, factors: Mapping[str, float]) -> ts.Run:
    """The run in smaller units: each number grows by the factors to the powers in its unit."""
    changes = {}
    for path, (value, unit) in run.numbers().items():
        size = np.prod([factors.get(base, 1.0) ** power for base, power in unit.dimension().items()])
        if size != 1.0:
            changes[path] = float(value) * float(size)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ts.TrainsimWarning)
        return run.replace(changes)


def near(a: ts.Num, b: ts.Num) -> bool:
    return bool(np.isclose(a, b, rtol=1e-9, atol=0.0))


def in_seconds_of(run: ts.Run, factor: float) -> ts.Run:
    return rescaled(run, dict.fromkeys(TIME, factor))


@given(small_runs(), st.floats(0.1, 10.0))
def test_time_in_other_seconds(run: ts.Run, factor: float) -> None:
    before, after = ts.estimate(run), ts.estimate(in_seconds_of(run, factor))
    assert near(after.busy_gpu_hours, before.busy_gpu_hours * factor)
    assert near(after.gpu_hours, before.gpu_hours * factor)
    assert near(after.wall_days, before.wall_days * factor)
    assert near(after.price.total, before.price.total / factor)
    assert near(after.cost.total, before.cost.total)
    assert near(after.mfu, before.mfu)
    assert near(after.flops.total, before.flops.total)
    if before.step_time.parts:
        assert near(after.step_time.total, before.step_time.total * factor)


@given(small_runs(), st.floats(0.01, 100.0))
def test_money_in_cents(run: ts.Run, factor: float) -> None:
    before, after = ts.estimate(run), ts.estimate(rescaled(run, {"USD": factor}))
    assert near(after.cost.total, before.cost.total * factor)
    assert near(after.gpu_hours, before.gpu_hours)
    assert near(after.mfu, before.mfu)


@given(small_runs(), st.floats(0.1, 10.0))
def test_tokens_in_pairs(run: ts.Run, factor: float) -> None:
    """Attention depends on the length and FLOPs per token on the model, so only figures given in tokens rescale, and they cancel."""
    told = [p for p in run.phases if isinstance(p.efficiency or run.efficiency, (ts.Throughput, ts.StepTime, ts.BusyHours))]
    if not told or min(float(p.seq_len or 1.0) * factor for p in told) < 1:
        return
    run = run.replace({"phases": told})
    before, after = ts.estimate(run), ts.estimate(rescaled(run, {"token": factor}))
    assert near(after.gpu_hours, before.gpu_hours)
    assert near(after.cost.total, before.cost.total)


@given(small_runs(), st.floats(0.1, 10.0))
def test_a_chip_counted_in_other_flops(run: ts.Run, factor: float) -> None:
    """FLOPs of ops are counted, not given: with a chip in other units, a given utilisation gives other hours, and a given time another
    utilisation.
    """
    before, after = ts.estimate(run), ts.estimate(rescaled(run, {"FLOP": factor}))
    for phase in run.phases:
        shares = isinstance(phase.efficiency or run.efficiency, (ts.MFU, ts.HFU))
        hours = after.busy_hours.part(phase.name).total / before.busy_hours.part(phase.name).total
        assert near(hours, 1 / factor if shares else 1.0)


def test_the_law_sees_a_forgotten_unit() -> None:
    run = ts.catalog.run("deepseek-v3")
    factors = dict.fromkeys(TIME, 2.0)
    changed = {p for p, (v, _) in rescaled(run, factors).numbers().items() if v != run.numbers()[p][0]}
    assert {"price.usd_per_gpu_hour", "phases.pretrain.efficiency.gpu_hours", "cluster.chip.peak.bf16"} <= changed
