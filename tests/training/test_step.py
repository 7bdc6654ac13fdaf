"""Laws of a modelled step: bounded below by physics, monotone in the hardware, parts that add up, arrays that equal scalars."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import trainsim as ts
from trainsim.spec import Batch

STACK = "mcore-hopper"
PLANS = (
    ts.Plan(zero=3),
    ts.Plan(tp=8, zero=1, sequence_parallel="on"),
    ts.Plan(tp=4, pp=8, zero=1, sequence_parallel="on"),
    ts.Plan(tp=4, pp=8, vpp=5, zero=1, sequence_parallel="on", precision="fp8"),
    ts.Plan(tp=2, pp=4, recompute="full"),
    ts.Plan(pp=4, schedule="zero-bubble"),
    ts.Plan(pp=4, schedule="dualpipe"),
)


def run(plan: ts.Plan, model: str = "llama3-70b", **changes: Any) -> ts.Run:
    made = ts.Run(
        model=ts.catalog.model(model),
        cluster=ts.catalog.cluster("hgx-h100", 64),
        phases=[ts.Phase("pretrain", tokens=1e12, seq_len=8192, batch=128)],
        plan=plan,
        efficiency=ts.Modelled(stack=ts.catalog.stack(STACK)),
        reliability=ts.Goodput(0.95),
        price=ts.Rental(usd_per_gpu_hour=2.0),
    )
    return made.replace(changes) if changes else made


def seconds(made: ts.Run) -> float:
    return float(np.asarray(ts.step_time(made).total))


@pytest.mark.parametrize("plan", PLANS, ids=str)
def test_never_shorter_than_flops_over_peak(plan: ts.Plan) -> None:
    made = run(plan)
    flop = float(ts.flops_per_token(made.model, 8192.0).total) * 128 * 8192
    peak = float(made.cluster.chip.peak_of(plan.recipe.products))
    assert seconds(made) >= flop / (made.cluster.gpus * peak)


@pytest.mark.parametrize("plan", PLANS, ids=str)
@pytest.mark.parametrize(
    "path",
    [
        "cluster.scale_up.bandwidth",
        "cluster.scale_out.bandwidth",
        "cluster.chip.memory_bandwidth",
        "cluster.chip.peak.bf16",
        "cluster.chip.peak.fp8",
    ],
)
@given(factor=st.floats(1.0, 8.0))
@settings(max_examples=10)
def test_faster_hardware_never_slows(plan: ts.Plan, path: str, factor: float) -> None:
    made = run(plan)
    assert seconds(made.replace({path: float(made.get(path)) * factor})) <= seconds(made) * (1 + 1e-12)


@pytest.mark.parametrize("plan", PLANS, ids=str)
def test_the_estimate_is_the_ledger_and_the_ledger_adds_up(plan: ts.Plan) -> None:
    made = run(plan)
    step = ts.step_time(made)
    assert np.isclose(sum(v for _, v in step.lines()), step.total, rtol=1e-12)
    est = ts.estimate(made)
    steps = 1e12 / (128 * 8192)
    assert np.isclose(est.busy_gpu_hours, float(step.total) * steps * 64 / 3600, rtol=1e-9)


def test_a_degree_of_one_sends_nothing_of_its_kind() -> None:
    exchange = ts.step_time(run(ts.Plan(zero=3))).part("exchange")
    for kind in ("tp", "ep", "cp", "pp"):
        assert float(exchange.part(kind).total) == 0.0


@pytest.mark.parametrize("plan", PLANS[:4], ids=str)
def test_draws_equal_scalars(plan: ts.Plan) -> None:
    made = run(plan)
    draws = {"efficiency.stack.bf16": np.linspace(0.5, 0.9, 7), "efficiency.stack.scale_up": np.linspace(0.4, 0.95, 7)}
    together = np.asarray(ts.step_time(Batch(made, draws).spec).total)
    alone = [seconds(made.replace({path: float(values[i]) for path, values in draws.items()})) for i in range(7)]
    assert np.allclose(together, alone, rtol=1e-12)


def test_the_interval_of_a_new_source_is_wide_and_its_stack_says_what_it_knows() -> None:
    made = run(PLANS[3])
    assert set(ts.catalog.stack(STACK).tags.values()) <= {"measured", "published", "prior-only", "fitted", "on-bound"}
    sim = ts.simulate(made, ts.catalog.stack_beliefs(STACK), n=1 << 12, function=lambda r: {"mfu": ts.estimate(r).mfu})
    low, high = sim.quantile("mfu", (0.05, 0.95))
    assert high / low > 1.2
