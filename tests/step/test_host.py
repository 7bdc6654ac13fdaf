"""Host time: kernels counted one by one, graphs that launch several at once, and the wait for the experts' token counts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import trainsim as ts
from trainsim.core.errors import SpecError
from trainsim.model.ops import Lookup
from trainsim.parallelism.layout import layout_of
from trainsim.parallelism.schedules.discovery import schedule_of
from trainsim.parallelism.shapes import shapes_of
from trainsim.step.host import host_work
from trainsim.step.step import step_of
from trainsim.testing import refused

ROUTED, DENSE = ts.catalog.model("qwen3-30b-a3b"), ts.catalog.model("llama3-8b")
PARTS = ["attention", "router", "experts", "norms", "o", "layer", "step"]


def run(plan: ts.Plan | None = None, **stack: Any) -> ts.Run:
    """A mixture of experts on one node, with a stack of given numbers."""
    return ts.Run(
        model=ROUTED,
        cluster=ts.catalog.cluster("hgx-h100", 8),
        plan=plan or ts.Plan(ep=8),
        phases=[ts.Phase("pretrain", tokens=1e9, seq_len=4096, batch=64)],
        efficiency=ts.Modelled(stack=ts.catalog.stack("mcore-hopper").replace(stack)),
    )


def seconds(made: ts.Run) -> float:
    return float(np.asarray(ts.step_time(made).total))


@given(st.sampled_from([ROUTED, DENSE]), st.sets(st.sampled_from(PARTS)))
def test_kernels_are_counted_one_by_one(model: ts.Model, graphs: set[str]) -> None:
    """An oracle of loops: every op of a layer is one kernel, except that the ops of a captured part are one launch together."""
    graphs -= {"router", "experts"} if model is DENSE else set()
    found = host_work(model, frozenset(graphs))
    for at, kind in enumerate(shapes_of(model).kinds):
        wanted, used = 0, set()
        for entry in model.table.entries:
            if entry.path[0] != kind or isinstance(entry.op, Lookup):
                continue
            words = {".".join(entry.path[i:j]) for i in range(1, len(entry.path)) for j in range(i + 1, len(entry.path) + 1)}
            inside = {g for g in graphs if kind not in {"embedding", "head"} and (g == "layer" or g in words)}
            used |= inside
            wanted += not inside
        assert found.kernels[at, 0] == (0 if "step" in graphs else wanted + len(used))


@given(st.sets(st.sampled_from(PARTS)), st.sampled_from(PARTS))
def test_capturing_another_part_never_adds_launches(graphs: set[str], another: str) -> None:
    fewer, more = host_work(ROUTED, frozenset(graphs | {another})), host_work(ROUTED, frozenset(graphs))
    for name in ("experts", "routed", "uncaptured"):
        assert np.all(getattr(fewer, name) <= getattr(more, name))
    # a captured part inside another one is a separate graph, as when modules are named one by one
    assert np.all(fewer.kernels <= more.kernels + bool(graphs))


def test_a_routed_layer_waits_for_the_token_counts() -> None:
    """Each pass over each routed layer of each micro-batch adds the wait, forward and backward."""
    layers, micro_batches = 48, 8
    for plan, field in ((ts.Plan(ep=8, dispatcher="alltoall"), "routing_wait"), (ts.Plan(ep=8, dispatcher="fused"), "fused_routing_wait")):
        without, with_it = (run(plan, jitter=0.0, overlap_dp=0.0, overlap_ep=0.0, **{field: wait}) for wait in (0.0, 1e-3))
        assert seconds(with_it) - seconds(without) == pytest.approx(2 * layers * micro_batches * 1e-3, rel=1e-9)


@pytest.mark.parametrize("graphs", [("experts",), ("layer",), ("step",)])
def test_captured_experts_wait_for_nothing(graphs: tuple[str, ...]) -> None:
    short, long = (run(ts.Plan(ep=8, graphs=graphs), routing_wait=wait, fused_routing_wait=wait) for wait in (0.0, 1e-2))
    assert seconds(short) == seconds(long)


def test_a_graph_around_the_experts_activation_alone_still_waits() -> None:
    """Their products are launched once the counts are known; the graph captures only another kernel."""
    part, whole = (host_work(ROUTED, frozenset(graphs)) for graphs in (("experts.activation",), ()))
    for name in ("experts", "routed", "kernels"):  # a graph of one kernel is one launch, like the kernel alone
        np.testing.assert_array_equal(getattr(part, name), getattr(whole, name))
    some = host_work(ROUTED, frozenset({"experts.down"}))
    moe = shapes_of(ROUTED).kinds.index("moe")
    assert (some.experts[moe, 0], some.routed[moe, 0]) == (2.0, 1.0)


def test_a_captured_step_needs_no_host_time() -> None:
    slow, fast = (run(ts.Plan(ep=8, graphs=("step",)), launch=launch) for launch in (1e-3, 0.0))
    assert float(ts.step_time(slow).part("compute").total) == float(ts.step_time(fast).part("compute").total)


def test_experts_are_launched_one_by_one_or_together() -> None:
    """With 16 experts per accelerator and three products each, launching them one by one takes 45 more launches per pass."""
    model, plan = ROUTED, ts.Plan(ep=8)
    cluster = ts.catalog.cluster("hgx-h100", 8)
    stack = ts.catalog.stack("mcore-hopper").replace({"launch": 1.0, "routing_wait": 0.0, "sharpness": 60.0})
    found = []
    for way in ("apart", "together"):
        layout = layout_of(plan, cluster.gpus, 4096.0)
        times = step_of(model, layout, 64.0, schedule_of("1f1b"), 0, cluster, stack.replace({"expert_launches": way})).times
        found.append(np.asarray(times.forward)[shapes_of(model).kinds.index("moe"), 0])
    assert found[0] - found[1] == pytest.approx(45.0, rel=1e-6)


@given(st.floats(1.0, 4.0), st.sampled_from([(), ("attention",), ("step",)]))
@settings(max_examples=6, deadline=None)
def test_an_arm_host_takes_its_factor_longer(slower: float, graphs: tuple[str, ...]) -> None:
    """The step equals that of an x86 host with launches and waits longer by the factor, and does not change if nothing is launched."""
    plan, waits = ts.Plan(ep=8, graphs=graphs), ("launch", "routing_wait", "fused_routing_wait")
    base = ts.catalog.stack("mcore-hopper")
    arm = run(plan, arm_launch=slower).replace({"cluster.host.processor": "arm"})
    paced = run(plan, **{name: getattr(base, name) * slower for name in waits})
    assert seconds(arm) == pytest.approx(seconds(paced), rel=1e-12)
    assert seconds(run(plan, arm_launch=slower)) == seconds(run(plan))  # an x86 host
    assert seconds(run(plan).replace({"cluster.host": None})) == seconds(run(plan))
    assert "step" in graphs or slower < 1.01 or seconds(arm) > seconds(run(plan))


@given(st.sampled_from([1, 2, 4, 8]), st.sampled_from(["alltoall", "fused"]))
@settings(max_examples=8, deadline=None)
def test_a_dispatcher_that_sends_a_copy_once_never_sends_more(ep: int, told: Any) -> None:
    """With equal links and waits, one copy per receiver takes no longer than one copy per expert."""
    alike = {"alltoall": 1.0, "routing_wait": 0.0, "fused_routing_wait": 0.0, "deduplication": "domain"}
    once, each = (run(ts.Plan(ep=ep, dispatcher=way), **alike) for way in ("fused", "alltoall"))
    sent = [float(ts.step_time(made).part("exchange.ep").part("sent").total) if ep > 1 else 0.0 for made in (once, each)]
    assert sent[0] < sent[1] or ep == 1  # eight of 128 experts: some of a token's experts are on one accelerator
    unsaid = run(ts.Plan(ep=ep), **alike, dispatcher=told)
    assert seconds(unsaid) == seconds(once if told == "fused" else each)


def test_a_part_that_no_layer_has_is_named() -> None:
    with refused(SpecError, "unknown-name", "plan.graphs"):
        ts.step_time(run(ts.Plan(ep=8, graphs=("atention",))))


@pytest.mark.parametrize(
    "fields",
    [
        {"pp": 2},
        {"pp": 4, "schedule": "zero-bubble"},
        {"pp": 2, "schedule": "dualpipe"},
    ],
)
def test_an_exchange_overlaps_nothing_if_the_plan_has_no_other_pass(fields: dict[str, Any]) -> None:
    with refused(SpecError, "unsupported", "expert_overlap"):
        ts.Plan(expert_overlap="on", **fields)


def test_a_layer_in_a_graph_is_one_launch_whatever_else_its_kernels_are() -> None:
    """The graph also captures all-reduces of tensor parallelism and the kernels of unfused attention."""
    model, plan = DENSE, ts.Plan(tp=2, graphs=("layer",), attention="unfused")
    stack = ts.catalog.stack("mcore-hopper").replace({"launch": 1.0, "sharpness": 60.0, "host_spread": 0.0})
    layout, cluster = layout_of(plan, 8, 4096.0), ts.catalog.cluster("hgx-h100", 8)
    times = step_of(model, layout, 64.0, schedule_of("1f1b"), 0, cluster, stack).times
    assert np.asarray(times.forward)[shapes_of(model).kinds.index("dense"), 0] == pytest.approx(1.0, rel=1e-6)


def test_an_all_to_all_has_its_own_share_of_the_links() -> None:
    half, whole = (
        run(ts.Plan(ep=8, dispatcher="alltoall"), alltoall=share, inside_latency=0.0, outside_latency=0.0) for share in (0.5, 1.0)
    )
    assert float(ts.step_time(half).part("exchange.ep.sent").total) == pytest.approx(
        2.0 * float(ts.step_time(whole).part("exchange.ep.sent").total)
    )
