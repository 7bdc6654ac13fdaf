"""Solving for a number inverts an estimate, is monotone in limits and probability, and agrees with brute force."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import trainsim as ts
from trainsim.core.batch import Batch
from trainsim.core.errors import BeliefError, EstimateError, PathError, SpecError
from trainsim.parallelism.plan import micro_batches
from trainsim.planning.axes import _stride
from trainsim.planning.solve import DRAWS, _draws
from trainsim.testing import refused

TOLD = {
    "mfu": ts.MFU(0.4, flops="half"),
    "rate": ts.Throughput(tokens_per_s_per_gpu=3000.0),
    "step": ts.StepTime(seconds=3.0),
}
BELIEFS = ts.Beliefs({"efficiency.mfu": ts.ci90(0.3, 0.5), "price.usd_per_gpu_hour": ts.ci90(1.4, 3.4)})
FAILING = ts.Failures(failures_per_gpu_day=1e-2, checkpoint_seconds=60.0, restart_seconds=600.0, interval_seconds=1800.0)


def run(**changes: Any) -> ts.Run:
    block = ts.Block(attention=ts.GroupedQueryAttention(heads=32, kv_heads=8, head_dim=128), ffn=ts.GatedMLP(width=14336))
    given: dict[str, Any] = {
        "model": ts.Model(hidden=4096, vocab=128256, stack=[ts.Layers(name="dense", count=32, block=block)]),
        "cluster": ts.catalog.cluster("hgx-h100", 256),
        "phases": [ts.Phase("pretrain", tokens=2e12, seq_len=8192, batch=512), ts.Phase("extend", tokens=1e10, seq_len=8192, batch=512)],
        "efficiency": TOLD["mfu"],
        "reliability": ts.Goodput(0.95),
        "price": ts.Rental(usd_per_gpu_hour=2.0),
    }
    return ts.Run(**given | changes)


def cost(made: ts.Run) -> float:
    return float(ts.estimate(made).cost.total)


@pytest.mark.parametrize("efficiency", TOLD)
@pytest.mark.parametrize("quantity", ["cost", "wall_days", "gpu_hours", "busy_gpu_hours", "cost.pretrain"])
@given(tokens=st.floats(1e9, 1e14), start=st.floats(1e9, 1e14))
@settings(max_examples=5, deadline=None)
def test_solving_inverts_an_estimate_for_tokens(efficiency: str, quantity: str, tokens: float, start: float) -> None:
    told = run(efficiency=TOLD[efficiency]).replace({"phases.pretrain.tokens": tokens})
    limit = float(np.asarray(ts.estimate(told).quantity(quantity)))
    solved = ts.solve_for(told.replace({"phases.pretrain.tokens": start}), "phases.pretrain.tokens", {quantity: limit})
    assert solved.value == pytest.approx(tokens, rel=1e-9)
    assert solved.binds == quantity
    assert abs(solved.limits[0].slack) <= 1e-9 * limit


@pytest.mark.parametrize(("path", "values"), [
    ("efficiency.mfu", (0.01, 0.99)), ("price.usd_per_gpu_hour", (0.1, 50.0)), ("reliability.goodput", (0.3, 1.0)),
])  # fmt: skip
@given(share=st.floats(0.0, 1.0))
@settings(max_examples=5, deadline=None)
def test_solving_inverts_an_estimate_for_any_number(path: str, values: tuple[float, float], share: float) -> None:
    wanted = values[0] + share * (values[1] - values[0])
    with_it = run().replace({path: wanted})
    solved = ts.solve_for(run(), path, {"cost": cost(with_it) * (1 + 1e-13)})
    assert solved.value == pytest.approx(wanted, rel=1e-9)
    assert cost(solved.solved_run) <= cost(with_it) * (1 + 1e-12)


@given(
    st.lists(st.floats(2e5, 2e7), min_size=2, max_size=2, unique=True),
    st.floats(0.05, 0.95),
    st.floats(0.05, 0.95),
    st.sampled_from([60.0, 1e6]),
)
@settings(max_examples=12, deadline=None)
def test_more_is_allowed_by_a_larger_limit_and_less_at_a_higher_probability(limits: list[float], p: float, q: float, days: float) -> None:
    def solved(limit: float, probability: float) -> ts.Solution:
        return ts.solve_for(run(), "phases.pretrain.tokens", {"cost": limit, "wall_days": days}, BELIEFS, probability=probability, seed=2)

    low, high = (solved(limit, 0.8).nearest for limit in sorted(limits))
    assert low <= high
    sure, bold = (solved(limits[0], probability).nearest for probability in sorted((p, q), reverse=True))
    assert sure <= bold


def test_limits_are_read_as_people_write_them() -> None:
    run = ts.catalog.run("deepseek-v3").replace({"phases.pretrain.efficiency": ts.MFU(0.4)})
    typed, plain = (
        ts.solve_for(run, "phases.pretrain.tokens", limits)
        for limits in ({"cost": "$5M", "wall_days": "90 days"}, {"cost": 5e6, "wall_days": 90.0})
    )
    assert typed.value == plain.value
    with refused(SpecError, "unit-mismatch", "limits.cost"):
        ts.solve_for(run, "phases.pretrain.tokens", {"cost": "90 days"})


def test_a_number_of_one_phase_says_how_many_there_are() -> None:
    run = ts.catalog.run("deepseek-v3").replace({"phases.pretrain.efficiency": ts.MFU(0.4)})
    assert "tokens in 1 of 4 phases" in str(ts.solve_for(run, "phases.pretrain.tokens", {"cost": 5e6}))
    assert "phases" not in str(ts.solve_for(run, "price.usd_per_gpu_hour", {"cost": 5e6}))


def test_the_order_of_limits_is_irrelevant_and_the_tightest_holds() -> None:
    limits = {"cost": 2e6, "wall_days": 100.0, "gpu_hours": 5e5}
    for beliefs in (None, BELIEFS):
        both = ts.solve_for(run(), "phases.pretrain.tokens", limits, beliefs, probability=0.7)
        assert both == ts.solve_for(run(), "phases.pretrain.tokens", dict(reversed(limits.items())), beliefs, probability=0.7)
        alone = [ts.solve_for(run(), "phases.pretrain.tokens", {n: v}, beliefs, probability=0.7).nearest for n, v in limits.items()]
        assert both.nearest <= min(alone) * (1 + 1e-12)
        if beliefs is None:
            assert both.nearest == pytest.approx(min(alone), rel=1e-12)


def test_limits_are_met_exactly_up_to_the_value() -> None:
    solved = ts.solve_for(run(), "phases.pretrain.tokens", {"cost": 2e6, "wall_days": 60.0}, BELIEFS, probability=0.8)
    assert solved.value is not None
    assert solved.probability is not None
    draws = _draws(run(), BELIEFS, 0)

    def met(tokens: float) -> float:
        est = ts.estimate(Batch(run().replace({"phases.pretrain.tokens": tokens}), draws).spec)
        return float(np.mean((np.asarray(est.cost.total) <= 2e6) & (np.asarray(est.wall_days) <= 60.0)))

    assert met(solved.value) == float(solved.probability) >= 0.8
    assert met(solved.value * 1.001) < 0.8
    assert solved.probability.standard_error < 0.01


def test_tokens_of_a_log_normal_price_are_known_in_closed_form() -> None:
    made = run(phases=run().phases[:1])
    belief = ts.Beliefs({"price.usd_per_gpu_hour": ts.lognormal(math.log(2.0), 0.4)})
    per_token = cost(made) / 2e12 / 2.0
    exact = 1e6 / (per_token * 2.0 * math.exp(0.4 * 0.8416212335729143))  # the 80th percentile of a normal
    found = [ts.solve_for(made, "phases.pretrain.tokens", {"cost": 1e6}, belief, probability=0.8, seed=seed) for seed in range(12)]
    errors = np.array([one.nearest - exact for one in found])
    told = np.array([one.standard_error for one in found])
    assert abs(errors).max() < 0.01 * exact
    assert 0.3 < np.sqrt(np.mean(errors**2)) / np.sqrt(np.mean(told**2)) < 3.0


# accelerators ------------------------------------------------------------------------------------------------------------


def brute(made: ts.Run, sizes: list[int], limits: dict[str, float]) -> list[int]:
    good = []
    for n in sizes:
        est = ts.estimate(made.replace({"cluster.gpus": n}))
        good += [n] if all(float(np.asarray(est.quantity(q))) <= limit for q, limit in limits.items()) else []
    return good


@given(st.floats(3.0, 100.0), st.floats(1.0, 1.4))
@settings(max_examples=6, deadline=None)
def test_accelerators_are_whole_multiples_that_the_plan_allows(days: float, slack: float) -> None:
    made = run(reliability=FAILING, plan=ts.Plan(tp=4, pp=2))
    limits = {"wall_days": days, "cost": slack * 1.51e5}
    good = brute(made, list(range(8, 2048, 8)), limits)
    solved = ts.solve_for(made, "cluster.gpus", limits)
    if not good:
        assert solved.value is None or solved.value >= 2048
        return
    assert solved.value == good[0]
    assert solved.interval is not None
    assert solved.interval[0] == good[0]
    if good[-1] < 2040:
        assert solved.interval[1] == good[-1]
    assert solved.solved_run.cluster.gpus == good[0]


def test_limits_from_both_sides_under_beliefs_are_those_of_a_grid() -> None:
    made, limits = run(reliability=FAILING), {"wall_days": 30.0, "cost": 2e5}
    draws = _draws(made, BELIEFS, 0)

    def met(n: int) -> float:
        est = ts.estimate(Batch(made.replace({"cluster.gpus": n}), draws).spec)
        return float(np.mean((np.asarray(est.cost.total) <= 2e5) & (np.asarray(est.wall_days) <= 30.0)))

    chances = {n: met(n) for n in range(5, 4000, 5)}
    for probability in (0.3, 0.5, 0.65, max(chances.values()) - 0.002):  # the last limit leaves a narrow window between both ends
        good = [n for n, chance in chances.items() if chance >= probability]
        solved = ts.solve_for(made, "cluster.gpus", limits, BELIEFS, probability=probability)
        assert solved.value is not None
        assert solved.interval is not None
        assert met(int(solved.value)) >= probability > met(int(solved.value) - 1)
        assert good[0] - 5 < solved.interval[0] <= good[0]
        assert good[-1] <= solved.interval[1] < good[-1] + 5
        assert [one.moves for one in solved.limits] == [1, -1]
    none = ts.solve_for(made, "cluster.gpus", limits, BELIEFS, probability=0.95)
    assert none.value is None
    assert none.probability is not None
    assert max(chances.values()) < 0.95
    assert float(none.probability) > max(chances.values()) - 0.1


@pytest.mark.parametrize(
    "plan", [ts.Plan(tp=4, pp=2), ts.Plan(cp=3), ts.Plan(tp=2, cp=2, expert_tp=1), ts.Plan(shard=6), ts.Plan(pp=5)], ids=str
)
def test_multiples_are_those_that_a_run_allows(plan: ts.Plan) -> None:
    allowed = []
    for n in range(1, 130):
        try:
            allowed.append(run(plan=plan, cluster=ts.catalog.cluster("hgx-h100", n)).cluster.gpus)
        except SpecError:
            continue
    assert allowed == list(range(allowed[0], 130, _stride(plan)))


def test_a_limit_that_no_size_meets_does_not_decide_the_nearest() -> None:
    limits = {"wall_days": 20.0, "cost": 1e5}  # with given utilisation and goodput, dollars don't depend on the number of GPUs
    solved = ts.solve_for(run(), "cluster.gpus", limits)
    assert not solved.reached
    assert solved.nearest == ts.solve_for(run(), "cluster.gpus", {"wall_days": 20.0}).value
    assert [one.needed is None for one in solved.limits] == [False, True]


def test_a_modelled_run_gets_sizes_its_batch_can_be_shared_among() -> None:
    plan = ts.Plan(tp=2, pp=2, zero=1)
    made = run(efficiency=ts.Modelled(stack=ts.catalog.stack("mcore-hopper")), plan=plan)
    days = float(np.asarray(ts.estimate(made).wall_days))
    solved = ts.solve_for(made, "cluster.gpus", {"wall_days": days})
    assert solved.value == 256
    assert all(micro_batches(plan, 512, n) for n in (4, 256))
    sizes = [4 * 2**k for k in range(10)]
    assert brute(made, sizes, {"wall_days": days}) == [n for n in sizes if n >= 256]
    assert "2,048" in solved.notes[0]
    roomy = ts.solve_for(made, "cluster.gpus", {"memory": 1e12})
    assert roomy.interval == (4, 2048)


# what can't be -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("path", "limits"), [
    ("phases.pretrain.tokens", {"cost": 100.0}),  # the other phase alone costs more than the limit
    ("reliability.goodput", {"cost": 1e5}),
    ("cluster.gpus", {"wall_days": 20.0, "cost": 1.535e5}),
    ("price.usd_per_gpu_hour", {"cost": 1e6, "wall_days": 5.0}),
])  # fmt: skip
@pytest.mark.parametrize("beliefs", [None, ts.Beliefs({"efficiency.mfu": ts.ci90(0.35, 0.45)})], ids=["point", "beliefs"])
def test_an_unreachable_target_gives_the_nearest_value_and_the_limits_needed(path: str, limits: dict[str, float], beliefs: Any) -> None:
    made = run(reliability=FAILING) if path == "cluster.gpus" else run()
    solved = ts.solve_for(made, path, limits, beliefs, probability=0.8)
    assert not solved.reached
    assert solved.interval is None
    assert solved.value is None
    assert np.isfinite(solved.nearest)
    raised = {one.name: one.limit if one.needed is None else one.needed * (1 + 1e-9) for one in solved.limits}
    assert any(raised[name] > limits[name] for name in limits)
    again = ts.solve_for(made, path, raised, beliefs, probability=0.8)
    assert again.reached or (beliefs is not None and again.probability is not None and float(again.probability) > 0.7)


def test_a_value_at_its_bound_is_reported_as_such() -> None:
    solved = ts.solve_for(run(), "reliability.goodput", {"cost": 1e9})
    assert solved.limits[0].moves == -1
    free = ts.solve_for(run(efficiency=ts.MFU(0.4)), "cluster.gpus", {"wall_days": 1e6})
    assert free.value == 1
    assert free.binds == "bounds of cluster.gpus"


def test_errors_name_the_remedy() -> None:
    with refused(EstimateError, "infeasible", "price.usd_per_gpu_hour"):
        ts.solve_for(run(), "price.usd_per_gpu_hour", {"wall_days": 5.0})
    with refused(EstimateError, "unsupported", "plan.tp"):
        ts.solve_for(run(plan=ts.Plan()), "plan.tp", {"cost": 2e6})
    with refused(EstimateError, "missing", "reliability.interval_seconds"):
        ts.solve_for(run(reliability=FAILING.replace({"interval_seconds": None})), "reliability.interval_seconds", {"cost": 2e6})
    with refused(EstimateError, "wrong-type", "limits"):
        ts.solve_for(run(), "phases.pretrain.tokens", {})
    with refused(PathError, "unknown-path", "limits.costs"):
        ts.solve_for(run(), "phases.pretrain.tokens", {"costs": 1.0})
    with refused(BeliefError, "conflict", "efficiency.mfu"):
        ts.solve_for(run(), "efficiency.mfu", {"cost": 2e6}, BELIEFS)
    with refused(BeliefError, "out-of-bounds", "probability"):
        ts.solve_for(run(), "phases.pretrain.tokens", {"cost": 2e6}, probability=1.0)


def test_a_non_monotone_quantity_is_searched_on_the_runs_side() -> None:
    best = run(reliability=FAILING.replace({"interval_seconds": None})).reliability
    turn = float(best.interval(256))  # type: ignore[union-attr]
    for factor, way in ((8.0, 1), (1 / 8, -1)):
        made = run(reliability=FAILING.replace({"interval_seconds": factor * turn}))
        limit = cost(made.replace({"reliability.interval_seconds": factor**0.8 * turn}))
        solved = ts.solve_for(made, "reliability.interval_seconds", {"cost": limit})
        assert solved.value == pytest.approx(factor**0.8 * turn, rel=1e-6)
        assert solved.limits[0].moves == way
        assert "cost is not monotone outside" in solved.notes[0]
    doubted = ts.Beliefs({"reliability.checkpoint_seconds": ts.ci90(6.0, 600.0)})
    made = run(reliability=FAILING.replace({"interval_seconds": turn}))
    with refused(EstimateError, "infeasible", "reliability.interval_seconds"):
        ts.solve_for(made, "reliability.interval_seconds", {"cost": 3e6}, doubted)


def test_every_value_is_tried_with_the_same_draws() -> None:
    moved = run().replace({"phases.pretrain.tokens": 5e11})
    one, other = _draws(run(), BELIEFS, 4), _draws(moved, BELIEFS, 4)
    assert all(np.array_equal(one[path], other[path]) for path in BELIEFS.paths)
    assert {len(values) for values in one.values()} == {DRAWS}
