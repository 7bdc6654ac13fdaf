"""The search equals trying every plan one by one; its results are possible, fit, and are no worse than the run's own plan."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise, product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import trainsim as ts
from trainsim.core.errors import EstimateError, SpecError
from trainsim.parallelism.plan import check_plan, micro_batches
from trainsim.planning.memory_filter import filter_layouts, framework_error, frameworks
from trainsim.planning.problem import search_problem
from trainsim.planning.ranking import pareto
from trainsim.planning.search import reasons_of
from trainsim.planning.space import AXES, structures, values_of
from trainsim.run.memory import memory
from trainsim.testing import refused
from trainsim.testing.searches import NARROW, dense, run, sparse

CASES = {"dense": run(dense()), "sparse": run(sparse(), gpus=12)}


def small() -> ts.Run:
    return ts.Run(
        model=ts.catalog.model("llama3-8b"), cluster=ts.catalog.cluster("hgx-h100", 8), efficiency=ts.Modelled(stack="mcore-hopper"),
        phases=[ts.Phase("pretrain", tokens=1e12, seq_len=8192, batch=64)],
    )  # fmt: skip


def one_by_one(made: ts.Run, space: Mapping[str, Any] = NARROW) -> Iterator[tuple[tuple[tuple[str, Any], ...], tuple[float, float]]]:
    """Every plan of the space that the rules allow, with its step time and the memory of its fullest rank."""
    values = values_of(made.model, ts.Plan(), [made.cluster.gpus], space)
    phase = made.phases[0]
    batch = float(np.asarray(phase.batch))
    for structure in structures(values):
        for degrees in product(*(values[name] for name in AXES)):
            fields = {**structure, **dict(zip(AXES, degrees, strict=True))}
            if fields["tp"] == 1:
                fields["sequence_parallel"] = "off"
            try:
                plan = ts.Plan(**fields)
                check_plan(plan, made.model, made.cluster.gpus)
                micro_batches(plan, batch, made.cluster.gpus)
            except SpecError:
                continue
            here = made.replace({"plan": plan})
            ranks = memory(here)
            yield tuple(sorted(fields.items())), (float(ts.step_time(here).total), max(float(ranks.part(r).total) for r in ranks))


def key(plan: ts.Plan) -> tuple[tuple[str, Any], ...]:
    return tuple(sorted(dict(plan).items()))


@pytest.mark.parametrize("case", CASES)
def test_a_search_is_every_plan_tried_one_by_one_and_none_goes_uncounted(case: str) -> None:
    alone, capacity = dict(one_by_one(CASES[case])), float(CASES[case].cluster.chip.memory)
    tried = filter_layouts(search_problem(CASES[case], None), [CASES[case].cluster.gpus], None, NARROW)
    fitting = {plan: both for plan, both in alone.items() if both[1] <= capacity}
    assert 0 < len(fitting) < len(alone), "a case in which all fits or nothing does shows nothing"
    assert tried.possible == len(alone)
    assert len(tried.layouts) == len(fitting)
    for i in range(len(tried.layouts)):
        seconds, size = fitting[key(tried.layouts.plan(i))]
        assert tried.layouts.seconds[i] == pytest.approx(seconds, rel=1e-9)
        assert tried.layouts.memory[i] == pytest.approx(size, rel=1e-9)

    found = ts.search_plans(CASES[case], space=NARROW, top=5)
    assert [one.seconds for one in found.ranked] == pytest.approx(sorted(seconds for seconds, _ in fitting.values())[:5], rel=1e-9)
    values = values_of(CASES[case].model, ts.Plan(), [CASES[case].cluster.gpus], NARROW)
    assert found.considered == found.fitting + sum(found.rejected.values())
    assert found.considered == len(list(structures(values))) * np.prod([len(values[name]) for name in AXES])


@pytest.mark.parametrize("case", CASES)
def test_results_are_valid_fit_and_cost_what_an_estimate_gives(case: str) -> None:
    made = CASES[case]
    found = ts.search_plans(made, top=8, space=NARROW)
    for one in {*found.ranked[:4], *found.front[:6]}:
        here = made.replace({"plan": one.plan})
        assert micro_batches(one.plan, 24, made.cluster.gpus) >= 1
        assert max(float(np.max(memory(here).part(rank).total)) for rank in memory(here)) <= float(made.cluster.chip.memory)
        assert one.cost == pytest.approx(float(ts.estimate(here).cost.part("pretrain").total), rel=1e-9)
    assert found.best_run.plan == found.best.plan


@pytest.mark.parametrize(
    "plan", [ts.Plan(tp=2, zero=1), ts.Plan(pp=2, micro_batch=2), ts.Plan(tp=4, pp=2, recompute="full"), ts.Plan(vpp=2, pp=2)], ids=str
)
def test_the_best_is_no_slower_than_the_runs_own_plan(plan: ts.Plan) -> None:
    found = ts.search_plans(run(dense(), 80e9, plan=plan), space={**NARROW, "zero": (0, 1)})
    assert found.own is not None
    assert found.best.seconds <= found.own.seconds * (1 + 1e-12)
    assert found.own.seconds == pytest.approx(float(ts.step_time(run(dense(), plan=plan)).total), rel=1e-12)
    assert found.faster is not None
    assert (found.faster == 0) == (found.best.seconds >= found.own.seconds)
    assert found.over_own is not None
    assert float(found.over_own.total) == pytest.approx(found.best.seconds - found.own.seconds, rel=1e-9, abs=1e-12)
    told = reasons_of(found.over_own, most=100)
    assert sum(seconds for _, seconds in told) == pytest.approx(float(found.over_own.total), abs=1e-12)


@pytest.mark.parametrize("framework", frameworks())
def test_a_frameworks_layouts_are_a_subset(framework: str) -> None:
    base = {"megatron": ts.Plan(), "torchtitan": ts.Plan(zero=3, loss="plain", precision="bf16-fsdp")}[framework]
    made = run(sparse(), plan=base)
    space = {**NARROW, "sequence_parallel": ("on", "off"), "recompute_parts": (("core",), ("ops",))}
    all_, some = (filter_layouts(search_problem(made, None), [8], which, space) for which in (None, framework))
    everything = {key(all_.layouts.plan(i)): float(all_.layouts.seconds[i]) for i in range(len(all_.layouts))}
    kept = [some.layouts.plan(i) for i in range(len(some.layouts))]
    assert {key(plan) for plan in kept} == {name for name in everything if framework_error(ts.Plan(**dict(name)), framework) is None}
    assert 0 < len(kept) < len(everything)
    assert all(getattr(ts.Plan, f"from_{framework}")(getattr(plan, f"to_{framework}")()).zero == plan.zero for plan in kept[:20])


@given(st.lists(st.tuples(*[st.integers(1, 4)] * 3), min_size=1, max_size=30))
def test_the_front_is_pareto_optimal(points: list[tuple[int, int, int]]) -> None:
    three = np.array(points, dtype=np.float64).T
    kept = pareto(*three).tolist()
    for i in range(len(points)):
        beaten = np.any(np.all(three <= three[:, [i]], axis=0) & np.any(three < three[:, [i]], axis=0))
        assert not (beaten and i in kept)
        assert beaten or sum(points[i] == points[k] for k in kept) == 1


@pytest.mark.parametrize(("case", "tried"), [("dense", {"off"}), ("sparse", {"off", "on"})])
def test_expert_overlap_is_tried_where_possible(case: str, tried: set[str]) -> None:
    layouts = filter_layouts(search_problem(CASES[case], None), [CASES[case].cluster.gpus], None, {**NARROW, "vpp": (1, 2)}).layouts
    plans = [layouts.plan(i) for i in range(len(layouts))]
    assert {plan.expert_overlap for plan in plans} == tried
    assert {plan.vpp > 1 for plan in plans if plan.pp > 1 and plan.expert_overlap == "on"} <= {True}


def test_rules_other_than_degrees_hold() -> None:
    made = run(sparse(), gpus=12)
    values = {**NARROW, "schedule": "1f1b", "zero": 1, "recompute": "none", "expert_tp": (None, 2, 3)}
    tried = filter_layouts(search_problem(made, None), [12], None, values)
    alone = dict(one_by_one(made, values))
    assert tried.possible == len(alone)
    assert any("expert_tp" in rule or "ranks of one pipeline stage" in rule for rule in tried.rejected)
    odd = filter_layouts(search_problem(made.replace({"phases.pretrain.seq_len": 2049.0}), None), [12], None, NARROW)
    assert set(odd.layouts.degrees["cp"]) == {1.0}
    assert "plan.cp does not divide seq_len=2049" in odd.rejected


def test_several_numbers_of_accelerators_are_one_search() -> None:
    together = ts.search_plans(CASES["sparse"], gpus=[6, 12], by="cost", space=NARROW)
    alone = [ts.search_plans(CASES["sparse"], gpus=n, by="cost", space=NARROW) for n in (6, 12)]
    assert together.fitting == sum(one.fitting for one in alone)
    assert together.best.cost == min(one.best.cost or np.inf for one in alone)
    assert {one.gpus for one in together.front} <= {6, 12}
    assert together.best_run.cluster.gpus == together.best.gpus


def test_another_phase_has_another_plan() -> None:
    made = run(dense(), 80e9).replace({"phases.extend.plan": ts.Plan(tp=8)})
    found = ts.search_plans(made, phase="extend", space=NARROW)
    assert found.best_run.phases[1].plan == found.best.plan
    assert found.own is not None
    assert found.best.seconds <= found.own.seconds
    assert found.best.seconds == pytest.approx(float(ts.step_time(found.best_run, "extend").total), rel=1e-9)


def test_ranking_under_beliefs_is_that_of_quantiles_one_by_one() -> None:
    made = run(dense(), 80e9)
    space = {**NARROW, "schedule": "1f1b", "zero": 1, "recompute": "none", "micro_batch": 1, "cp": 1}
    beliefs = ts.Beliefs({"efficiency.stack.scale_up": ts.ci90(0.3, 0.9), "efficiency.stack.launch": ts.ci90(1e-6, 2e-5)})
    found = ts.search_plans(made, beliefs=beliefs, probability=0.9, space=space, top=3, seed=3)
    every = ts.search_plans(made, space=space, top=100).ranked
    quantiles = {}
    for one in every:
        here = made.replace({"plan": one.plan})
        sim = ts.simulate(here, beliefs, function=lambda r: {"value": ts.step_time(r).total}, n=2048, seed=3)
        quantiles[key(one.plan)] = float(sim.quantile("value", 0.9))
    assert [float(one.quantile or 0.0) for one in found.ranked] == pytest.approx(sorted(quantiles.values())[:3], rel=1e-12)
    assert all(one.quantile is not None and one.quantile.standard_error >= 0 for one in found.ranked)
    assert found.probability == 0.9


def test_an_impossible_search_names_the_nearest_layout() -> None:
    with refused(EstimateError, "infeasible", "gpus"):
        ts.search_plans(run(dense(), 1e9), space=NARROW)
    with refused(EstimateError, "infeasible", "plan"):
        ts.search_plans(run(dense()), space={"tp": (3,)})
    with refused(SpecError, "unknown-field", "space.micro_batches"):
        ts.search_plans(run(dense()), space={"micro_batches": (1,)})
    with refused(SpecError, "conflict", "space.dp"):
        ts.search_plans(run(dense()), space={"dp": (1,)})
    with refused(SpecError, "unknown-name", "framework"):
        ts.search_plans(run(dense()), framework="megatrom")
    with refused(EstimateError, "missing", "efficiency"):
        ts.search_plans(run(dense()).replace({"efficiency": ts.MFU(0.4)}))


def test_a_search_prints_the_best_layout_and_the_reasons() -> None:
    text = str(ts.search_plans(run(dense(), 2.2e9, plan=ts.Plan(tp=8)), space=NARROW, top=3))
    for words in ("possible", "fit", "first layout minus the second", "rejected", "more memory than the 2.2 GB"):
        assert words in text


def test_a_note_says_that_the_own_plan_does_not_fit() -> None:
    made = run(dense(), memory_bytes=2.0e9, plan=ts.Plan())
    found = ts.search_plans(made, space={**NARROW, "zero": 3, "tp": (1, 2, 4, 8)})
    assert found.own is not None
    assert found.own.word == "does not fit"
    assert "does not fit" in next(line for line in str(found).splitlines() if line.startswith("own"))
    assert {one.word for one in found.ranked} <= {"fits", "tight"}


def test_the_runs_own_plan_that_does_not_fit_says_so() -> None:
    run = small().replace({"plan": ts.Plan(zero=0)})
    found = ts.search_plans(run, space={"schedule": "1f1b", "cp": 1})
    assert found.own is not None
    assert found.own.word == "does not fit"
    assert "the run's own plan does not fit in 80 GB" in str(found)
    assert "layouts that fit are better" not in str(found)


def test_a_search_reports_its_progress() -> None:
    calls: list[tuple[int, int]] = []
    ts.search_plans(small(), space={"schedule": "1f1b", "cp": 1}, progress=lambda done, total: calls.append((done, total)))
    assert len(calls) > 3
    assert len({total for _, total in calls}) == 1
    assert [done for done, _ in calls] == sorted(done for done, _ in calls)
    assert calls[-1][0] == calls[-1][1]
    doubted: list[tuple[int, int]] = []
    doubt = ts.Beliefs({"efficiency.stack.factor": ts.ci90(0.8, 1.2)})
    ts.search_plans(small(), space={"schedule": "1f1b", "tp": 1, "pp": 1, "cp": 1}, beliefs=doubt,
                    progress=lambda done, total: doubted.append((done, total)))  # fmt: skip
    assert doubted[-1][0] == doubted[-1][1]


def test_a_search_can_be_stopped_while_it_ranks() -> None:
    class Stop(BaseException): ...

    totals: list[int] = []

    def stop_in_the_ranking(done: int, total: int) -> None:
        totals.append(total)
        if done == total - 1 and totals.count(total) > done:
            raise Stop

    with pytest.raises(Stop):
        ts.search_plans(small(), space={"schedule": "1f1b"}, progress=stop_in_the_ranking)


def test_the_front_is_computed_on_first_access() -> None:
    found = ts.search_plans(small(), space={"schedule": "1f1b"})
    front = found.front
    assert front is found.front
    assert min(one.seconds for one in front) == found.best.seconds
    assert [b.memory < a.memory for a, b in pairwise(front) if a.gpus == b.gpus] == [True] * (len(front) - 1)
