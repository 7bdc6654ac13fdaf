"""Layers on stages: one placement for time and memory, the best cut, and steps that follow a plan's stages and shards."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import trainsim as ts
from trainsim.core.errors import SpecError
from trainsim.parallelism.layout import layout_of
from trainsim.parallelism.placement import place_layers, spread_layers, stage_counts, stages_to_ranks
from trainsim.parallelism.schedules.discovery import schedules
from trainsim.parallelism.schedules.schedule import Schedule
from trainsim.parallelism.shapes import shapes_of
from trainsim.run.memory import memory
from trainsim.step.step import step_of
from trainsim.testing import refused, small_models
from trainsim.testing.schedules import virtual_stages

SCHEDULES = list(schedules().values())


ADAMW_BYTES = 34.0
"""Gradient, master and both moments read, master and moments written in FP32; the master read again and written in BF16."""


def run(model: str = "deepseek-v2-lite", gpus: int = 64, **plan: Any) -> ts.Run:
    return ts.Run(
        model=ts.catalog.model(model),
        cluster=ts.catalog.cluster("hgx-h100", gpus),
        phases=[ts.Phase("pretrain", tokens=1e12, seq_len=4096, batch=512)],
        plan=ts.Plan(**plan),
        efficiency=ts.Modelled(stack=ts.catalog.stack("mcore-hopper")),
    )


def lines(made: ts.Run) -> dict[str, float]:
    return {path: float(np.asarray(value)) for path, value in ts.step_time(made).lines()}


def flop_of(model: ts.Model, kind: str) -> float:
    """Forward FLOP of one layer of a kind, counted from its ops."""
    total = 0.0
    for entry in model.table.entries:
        if entry.path[0] == kind:
            at = model.table.entries.index(entry)
            mask = model.table.mask_of[at]
            keys = float(model.table.masks[mask].keys(4096.0)) if mask >= 0 else 0.0
            total += float(model.table.flop[at]) + float(model.table.flop_per_key[at]) * keys
    return total


@given(model=small_models(), stages=st.integers(1, 8))
@settings(max_examples=60)
def test_every_layer_is_placed_once_and_the_cut_is_optimal(model: ts.Model, stages: int) -> None:
    stages = min(stages, model.layers)
    spread = spread_layers(model, stages)
    assert sum(spread) == model.layers
    assert len(spread) == stages
    if model.layers % stages == 0:
        assert len(set(spread)) == 1
        return
    costs = np.array([flop_of(model, kind) for kind in ("embedding", *model.layout, "head")])

    def squares(cuts: tuple[int, ...]) -> float:
        return sum(float(costs[a:b].sum()) ** 2 for a, b in zip((0, *cuts), (*cuts, len(costs)), strict=True))

    best = min(map(squares, combinations(range(1, len(costs)), stages - 1)))
    per_kind = np.array([flop_of(model, kind) for kind in shapes_of(model).kinds])
    assert float(np.square(stage_counts(model, stages) @ per_kind).sum()) == pytest.approx(best, rel=1e-9)


@given(model=small_models(), stages=st.integers(1, 8), schedule=st.sampled_from(SCHEDULES))
@settings(max_examples=60)
def test_layers_of_ranks_sum_to_layers_of_stages(model: ts.Model, stages: int, schedule: Schedule) -> None:
    pp, vpp = schedule.rank_multiple * max(1, min(stages, model.layers) // 2), virtual_stages(schedule)[0]
    held = schedule.stages(pp, vpp)
    if held > model.layers + 2:
        with pytest.raises(SpecError, match="give at most"):
            stage_counts(model, held)
        return
    counts = stage_counts(model, held)
    ranks = stages_to_ranks(counts, schedule, pp, vpp)
    assert ranks.shape == (pp, len(shapes_of(model).kinds))
    whole = [1.0 if kind in {"embedding", "head"} else model.layout.count(kind) for kind in shapes_of(model).kinds]
    assert counts.sum(axis=0).tolist() == whole
    assert ranks.sum(axis=0).tolist() == pytest.approx(whole)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda one: one.name)
@pytest.mark.parametrize("model", ["deepseek-v2-lite", "llama3-8b"])
def test_an_explicit_default_placement_changes_nothing(model: str, schedule: Schedule) -> None:
    plan: dict[str, Any] = {"pp": 4, "vpp": virtual_stages(schedule)[0], "zero": 1, "schedule": schedule}
    default = run(model, **plan)
    aloud = run(model, **plan, stage_layers=spread_layers(default.model, ts.Plan(**plan).stages))
    assert lines(aloud) == lines(default)
    assert list(memory(aloud).lines()) == list(memory(default).lines())


def test_a_stage_with_more_layers_lengthens_the_step_by_their_time() -> None:
    even = run("llama3-8b", pp=4, zero=1)
    heavy = run("llama3-8b", pp=4, zero=1, stage_layers=(8, 12, 6, 6))
    per_layer = float(ts.step_time(even).part("compute.dense").total) / 8
    assert float(ts.step_time(heavy).part("compute.dense").total) == pytest.approx(12 * per_layer, rel=1e-9)
    with refused(SpecError, "conflict", "plan.stage_layers"):
        ts.step_time(run("llama3-8b", pp=4, stage_layers=(8, 12, 6, 7)))


def test_experts_sharded_by_tensor_parallelism() -> None:
    implied, aloud = (
        run("mixtral-8x7b", tp=4, sequence_parallel="on", zero=1),
        run("mixtral-8x7b", tp=4, expert_tp=4, sequence_parallel="on", zero=1),
    )
    assert lines(implied) == lines(aloud)
    whole = lines(run("mixtral-8x7b", tp=4, ep=4, sequence_parallel="on", zero=1))
    sharded = lines(implied)
    assert whole["exchange.ep.sent"] > 0 == sharded["exchange.ep.sent"]
    assert sharded["exchange.tp.sent"] > whole["exchange.tp.sent"]  # tokens are gathered for the experts
    assert lines(run("mixtral-8x7b", ep=8, zero=1))["exchange.tp.sent"] == 0.0
    # four times the rows on a quarter of the width have equal FLOPs, so the roofline times are close
    up = [path for path in whole if path.startswith("compute.") and "experts" in path]
    assert up
    assert sum(sharded[path] for path in up) == pytest.approx(sum(whole[path] for path in up), rel=0.25)


@pytest.mark.parametrize(
    "plan", [{}, {"tp": 4}, {"tp": 4, "ep": 4}, {"tp": 4, "ep": 4, "expert_tp": 2}, {"tp": 2, "expert_tp": 8}, {"cp": 2, "ep": 8}]
)
def test_every_parameter_is_updated_once(plan: dict[str, int]) -> None:
    made = run("mixtral-8x7b", zero=1, **plan)
    stack = made.efficiency.stack  # type: ignore[union-attr]
    moved = float(ts.step_time(made).part("optimizer.update").total) * stack.memory * made.cluster.chip.memory_bandwidth
    assert moved / ADAMW_BYTES * 64 == pytest.approx(float(ts.count_params(made.model).total), rel=1e-9)


@pytest.mark.parametrize("zero", [1, 2, 3])
def test_hybrid_sharding(zero: int) -> None:
    everywhere, aloud = run("llama3-8b", zero=zero), run("llama3-8b", zero=zero, shard=64)
    assert lines(aloud) == pytest.approx(lines(everywhere), rel=1e-12)
    near = lines(run("llama3-8b", zero=zero, shard=8))
    assert near["optimizer.update"] == pytest.approx(8 * lines(everywhere)["optimizer.update"], rel=1e-9)
    alone = lines(run("llama3-8b", zero=zero, shard=1))
    none = lines(run("llama3-8b", zero=0))
    if zero < 3:  # one rank per copy shards nothing
        assert alone["exchange.dp.sent"] == pytest.approx(none["exchange.dp.sent"], rel=1e-12)
        assert alone["optimizer.update"] == pytest.approx(none["optimizer.update"], rel=1e-12)


def test_recomputing_some_layers_takes_between_none_and_all() -> None:
    def seconds(**plan: Any) -> float:
        return float(ts.step_time(run("llama3-8b", pp=4, zero=1, **plan)).total)

    some = [seconds(recompute="full", recompute_layers=n) for n in range(9)]
    assert some == sorted(some)
    assert some[0] == pytest.approx(seconds(), rel=1e-12)
    assert some[8] == pytest.approx(seconds(recompute="full"), rel=1e-12)
    assert some[7] < some[8]


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda one: one.name)
@pytest.mark.parametrize("name", ["llama3-8b", "deepseek-v3"])
def test_distinct_ranks_represent_all_ranks(schedule: Schedule, name: str) -> None:
    """Distinct ranks occur once, in order; a step computed for them gives the time of every rank."""
    model, pp, vpp = ts.catalog.model(name), 8, virtual_stages(schedule)[0]
    place = place_layers(model, schedule, pp, vpp)
    assert np.array_equal(place.ranks, stages_to_ranks(place.stages, schedule, pp, vpp))
    assert np.array_equal(place.layers[place.rank_row], place.ranks)
    assert np.array_equal(place.layers, place.ranks[place.distinct_ranks])
    assert len(np.unique(place.layers, axis=0)) == len(place.layers) < pp
    assert np.array_equal(place.rank_row[place.distinct_ranks], np.arange(len(place.distinct_ranks)))
    plan = ts.Plan(pp=pp, vpp=vpp, schedule=schedule, zero=1)
    cluster, stack = ts.catalog.cluster("hgx-h800", 64), ts.catalog.stack("deepseek-2024")
    step = step_of(model, layout_of(plan, cluster.gpus, 4096.0), 512.0, schedule, 1, cluster, stack)
    by_kind = step.busy.compute + sum(step.busy.exposed.values())
    assert step.busy.whole == pytest.approx(step.counts @ by_kind, rel=1e-12)


@pytest.mark.parametrize("layers", [(), (6, 8, 9, 7, 8, 8, 8, 7)])
@pytest.mark.parametrize("schedule", [schedules()["zero-bubble"], schedules()["dualpipe"]], ids=lambda one: one.name)
def test_distinct_stages_represent_all_stages(schedule: Schedule, layers: tuple[int, ...]) -> None:
    """Equal stages have equal layers, and so have their mirror images, since a pair has the time of both."""
    model = ts.catalog.model("deepseek-v3")
    place = place_layers(model, schedule, 8, 1, layers)
    ends = np.hstack([place.stages, place.stages[::-1]])
    assert place.stage_row is not None
    assert np.array_equal(ends[place.distinct_stages][place.stage_row], ends)
    assert len(np.unique(ends, axis=0)) == len(place.distinct_stages) < 8
    plan = ts.Plan(pp=8, ep=8, schedule=schedule, zero=1, stage_layers=layers)
    cluster, stack = ts.catalog.cluster("hgx-h800", 64), ts.catalog.stack("deepseek-2024")
    step = step_of(model, layout_of(plan, cluster.gpus, 4096.0), 512.0, schedule, 1, cluster, stack)
    passes, stages = step.busy.passes, step.stages.by_stage
    backward = passes.inputs + passes.weights
    assert stages.weights == pytest.approx(place.stages @ passes.weights, rel=1e-12)
    if schedule.pairs:
        assert stages.pair == pytest.approx(place.stages @ passes.forward + place.stages[::-1] @ backward, rel=1e-12)


@pytest.mark.parametrize("kind", ["tp", "cp"])
def test_hidden_time_is_its_share_of_the_hideable_time(kind: str) -> None:
    told = run("llama3-8b", tp=2, cp=2, zero=1)
    hidden = [lines(told.replace({f"efficiency.stack.overlap_{kind}": share}))[f"exchange.{kind}.hidden"] for share in (0.0, 0.2, 0.6)]
    assert hidden[0] == 0.0
    assert hidden[2] < 0.0
    assert hidden[2] == pytest.approx(3.0 * hidden[1], rel=1e-12)
