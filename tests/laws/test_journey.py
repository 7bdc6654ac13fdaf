"""From a run to its dollars: parts add up, unknown figures stay unknown, and every difference has a factor."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import trainsim as ts
from trainsim.run.compare import Comparison
from trainsim.testing import small_runs

NEAR = 1e-12


def near(a: Any, b: Any) -> bool:
    return bool(np.isclose(float(a), float(b), rtol=NEAR, atol=0.0))


@given(small_runs(work_known=False))
def test_nothing_is_lost_on_the_way_to_a_dollar(run: ts.Run) -> None:
    est = ts.estimate(run)
    assert near(sum(value for _, value in est.cost.lines()), est.cost.total)
    assert near(sum(est.cost.part(phase.name).total for phase in run.phases), est.cost.total)
    assert near(est.cost.total, est.gpu_hours * est.price.total)
    assert near(est.hours.total, est.gpu_hours)
    assert near(est.busy_hours.total, est.busy_gpu_hours)
    assert near(est.busy_gpu_hours, est.gpu_hours * run.get("reliability.goodput"))
    down = est.hours.part("downtime").total
    assert math.isclose(est.busy_gpu_hours + float(down), float(est.gpu_hours), rel_tol=NEAR)
    assert near(est.wall_days * 24 * run.cluster.gpus, est.gpu_hours)
    for name, phase in est.phases.items():
        if phase.flops is not None:
            assert near(phase.flops.part("forward").total + phase.flops.part("backward").total, phase.flops.total)
            assert near(est.hours.part(name).total, phase.gpu_seconds / 3600)


@given(small_runs(work_known=False))
def test_what_is_unknown_stays_unknown_and_is_never_zero(run: ts.Run) -> None:
    est = ts.estimate(run)
    for phase in run.phases:
        made = est.phases[phase.name]
        if phase.tokens is None:
            assert made.flops is None
            assert made.mfu is None
            assert math.isnan(est.flops.part(phase.name).total)
            assert math.isnan(est.flops.total)
            assert any(phase.name in note and "unknown" in note for note in est.notes)
        else:
            assert made.flops is not None
            assert float(made.flops.total) > 0
            assert float(est.mfu) > 0


def test_a_run_of_hours_alone_has_no_utilisation() -> None:
    run = ts.catalog.run("deepseek-v3").replace({"phases": [ts.Phase("post", efficiency=ts.BusyHours(gpu_hours=5000))]})
    est = ts.estimate(run)
    assert est.busy_gpu_hours == 5000
    assert math.isnan(est.mfu)
    assert "unknown" in str(est)


@given(small_runs(), st.floats(0.05, 1.0), st.sampled_from(["causal", "half", "full"]))
def test_a_reported_utilisation_is_reproduced(run: ts.Run, share: float, convention: str) -> None:
    run = run.replace({"phases": [run.phases[0].replace({"efficiency": None})], "efficiency": ts.MFU(share, flops=convention)})
    est = ts.estimate(run)
    assert near(est.mfu, share)
    phase = run.phases[0]
    assert phase.tokens is not None
    assert phase.seq_len is not None
    flop = ts.flops_per_token(run.model, phase.seq_len, convention).total * phase.tokens
    assert near(est.busy_gpu_hours, flop / (run.get("cluster.chip.peak.bf16") * share) / 3600)


@given(small_runs(), st.floats(1.0, 1e4), st.floats(0.1, 100.0))
def test_reported_rates_and_step_times_are_reproduced(run: ts.Run, rate: float, seconds: float) -> None:
    phase = run.phases[0].replace({"efficiency": None})
    tokens, batch, seq_len = (float(run.get(f"phases.{phase.name}.{f}")) for f in ("tokens", "batch", "seq_len"))
    alone = run.replace({"phases": [phase]})
    by_rate = ts.estimate(alone.replace({"efficiency": ts.Throughput(tokens_per_s_per_gpu=rate)}))
    assert near(by_rate.busy_gpu_hours * 3600 * rate, tokens)
    by_step = ts.estimate(alone.replace({"efficiency": ts.StepTime(seconds=seconds)}))
    assert near(by_step.busy_gpu_hours * 3600, tokens / (batch * seq_len) * seconds * run.cluster.gpus)
    assert near(by_step.step_time.part(phase.name).total, seconds)


@given(small_runs(), st.floats(0.2, 0.9))
def test_wall_clock_time_gets_no_further_downtime(run: ts.Run, goodput: float) -> None:
    run = run.replace({"phases": [run.phases[0].replace({"efficiency": None})], "reliability": ts.Goodput(goodput)})
    busy = ts.estimate(run.replace({"efficiency": ts.BusyHours(gpu_hours=1000)}))
    wall = ts.estimate(run.replace({"efficiency": ts.BusyHours(gpu_hours=1000, time="wall")}))
    assert near(busy.gpu_hours, 1000 / goodput)
    assert near(busy.busy_gpu_hours, 1000)
    assert near(wall.gpu_hours, 1000)
    assert near(wall.busy_gpu_hours, 1000 * goodput)


def test_recomputed_work_is_charged_to_hfu_only() -> None:
    base = ts.catalog.run("deepseek-v3")
    run = base.replace({"phases": [base.phases[0].replace({"efficiency": None})], "plan": ts.Plan()})
    per_token = ts.flops_per_token(run.model, 4096)
    forward, core = float(per_token.part("forward").total), float(per_token.part("forward.core").total)
    total = float(per_token.total)
    for recompute, again in (("none", 0.0), ("selective", core), ("full", forward)):
        est = ts.estimate(run.replace({"plan": ts.Plan(recompute=recompute), "efficiency": ts.HFU(0.5)}))  # type: ignore[arg-type]
        assert near(est.mfu, 0.5 * total / (total + again))


# two runs side by side -----------------------------------------------------------------------------------------------


def side_by_side(a: ts.Run, b: ts.Run) -> Comparison:
    made = ts.compare(a, b)
    assert isinstance(made, Comparison)
    return made


def check_comparison(a: ts.Run, b: ts.Run) -> None:
    there, back = side_by_side(a, b), side_by_side(b, a)
    assert near(math.prod((float(f.value) for f in there.factors.values()), start=1.0), there.ratio)
    assert near(there.ratio, ts.estimate(a).cost.total / ts.estimate(b).cost.total)
    assert near(math.prod((float(f.value) for n, f in there.factors.items() if n != "price"), start=1.0), there.hours_ratio)
    assert near(there.ratio * back.ratio, 1.0)
    for name, factor in there.factors.items():
        assert near(float(factor.value) * float(back[name]), 1.0)
        quotient = float(factor.a.total) / float(factor.b.total)
        assert near(factor.value, quotient if factor.power > 0 else 1 / quotient)
    assert str(there).count("\n") in {len(there.factors), len(there.factors) + 1}  # a factor of 1 for unknown work is left out


@given(small_runs(work_known=False), small_runs(work_known=False))
def test_factors_multiply_to_the_ratio(a: ts.Run, b: ts.Run) -> None:
    check_comparison(a, b)


def test_v3_against_llama() -> None:
    v3, llama = ts.catalog.run("deepseek-v3"), ts.catalog.run("llama3.1-405b")
    check_comparison(v3, llama)
    made = side_by_side(v3, llama)
    assert made["work per token"] == pytest.approx(0.1, rel=0.1)
    assert made.hours_ratio == pytest.approx(2.788 / 30.84, rel=0.15)


@given(small_runs())
def test_a_run_differs_from_itself_in_nothing(run: ts.Run) -> None:
    assert all(near(f.value, 1.0) for f in side_by_side(run, run).factors.values())


def test_one_change_moves_one_factor() -> None:
    run = ts.catalog.run("deepseek-v3")
    dearer = side_by_side(run.replace({"price.usd_per_gpu_hour": 4.0}), run)
    assert {n for n, f in dearer.factors.items() if not near(f.value, 1.0)} == {"price"}
    worse = side_by_side(run.replace({"reliability": ts.Goodput(0.5)}), run)
    assert {n for n, f in worse.factors.items() if not near(f.value, 1.0)} == {"goodput"}


# a told utilisation belongs to its cluster ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "warned"),
    [
        ({"cluster": "other"}, True),
        ({"cluster.chip": "other"}, True),
        ({"cluster.chip.peak.bf16": 5e14}, True),
        ({"cluster": "other", "efficiency": ts.MFU(0.3)}, False),
        ({"cluster": "other", "efficiency.mfu": 0.3}, False),
        ({"cluster": "same"}, False),
        ({"cluster.gpus": 4096}, False),
        ({"price.usd_per_gpu_hour": 1.5}, False),
        ({"phases.pretrain.tokens": 1e12}, False),
    ],
)
@pytest.mark.parametrize("where", ["run", "phase"])
def test_a_reported_efficiency_warns_only_on_another_cluster(changes: dict[str, Any], warned: bool, where: str) -> None:  # noqa: FBT001
    base = ts.catalog.run("deepseek-v3")
    run = base.replace({"phases": [base.phases[0].replace({"efficiency": None})], "efficiency": ts.MFU(0.4), "plan": None})
    if where == "phase":
        run = run.replace({"phases.pretrain.efficiency": ts.MFU(0.4), "efficiency": None})
        changes = {f"phases.pretrain.{p}" if p.startswith("efficiency") else p: v for p, v in changes.items()}
    other = ts.catalog.cluster("hgx-a100-40gb", gpus=2048)
    swaps: dict[str, dict[str, Any]] = {"cluster": {"other": other, "same": run.cluster}, "cluster.chip": {"other": other.chip}}
    changes = {p: swaps[p][v] if p in swaps else v for p, v in changes.items()}
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        run.replace(changes)
    assert [w.category for w in heard] == ([ts.TrainsimWarning] if warned else [])
    if warned:
        assert "was given for hgx-h800" in str(heard[0].message)


def test_draws_over_a_chip_do_not_warn() -> None:
    run = ts.catalog.run("deepseek-v3")
    sim = ts.simulate(run, ts.Beliefs({"cluster.chip.peak.bf16": ts.ci90(9e14, 1e15)}), n=256)
    assert sim.quantile("cost", 0.5) > 0


def test_an_estimate_says_that_it_is_a_point_and_names_its_sources() -> None:
    est = ts.estimate(ts.catalog.run("deepseek-v3"))
    assert "point estimate" in str(est)
    assert set(est.sources()) == set(est.run.numbers())
    assert est.quantity("cost") == est.cost.total
    assert est.quantity("cost.pretrain.experts.up") == est.cost.part("pretrain.experts.up").total
    assert est.quantity("busy_gpu_hours.pretrain") == pytest.approx(2.664e6)
