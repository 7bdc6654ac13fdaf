"""Load of the experts on the busiest rank: uneven routers, capacity, padding, and the wait for token counts that padding saves."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import trainsim as ts
from trainsim.core.errors import SpecError

CAPACITIES = st.floats(0.25, 8.0)
RUN = ts.Run(
    model=ts.catalog.model("qwen3-30b-a3b"),
    cluster=ts.catalog.cluster("hgx-h100", 16),
    plan=ts.Plan(ep=16, zero=1, dispatcher="alltoall"),
    phases=[ts.Phase("pretrain", tokens=1e12, seq_len=4096, batch=64)],
    efficiency=ts.Modelled(stack=ts.catalog.stack("mcore-hopper")),
)


def with_plan(imbalance: float = 1.0, **plan: Any) -> ts.Run:
    return RUN.replace({"efficiency.stack.imbalance": imbalance, **{f"plan.{name}": value for name, value in plan.items()}})


def seconds(imbalance: float = 1.0, **plan: Any) -> float:
    return float(ts.step_time(with_plan(imbalance, **plan)).total)


def learned(spread: float) -> float:
    """Step time under a learned router [s]."""
    run = with_plan(routing="learned").replace({"efficiency.stack.expert_spread": spread})
    return float(ts.step_time(run).total)


def line(part: str, imbalance: float = 1.0, **plan: Any) -> float:
    return float(ts.step_time(with_plan(imbalance, **plan)).part(part).total)


@given(capacity=CAPACITIES, imbalance=st.floats(1.0, 4.0))
@settings(max_examples=12, deadline=None)
def test_a_capacity_cuts_the_load_of_the_busiest_rank(capacity: float, imbalance: float) -> None:
    """The load is the smaller of both: a capacity above the imbalance drops nothing."""
    load = min(imbalance, capacity)
    assert seconds(imbalance, capacity_factor=capacity) == (seconds(load) if load >= 1.0 else seconds(capacity_factor=load))
    assert seconds(imbalance, capacity_factor=capacity) <= seconds(imbalance)


@given(capacity=CAPACITIES, more=st.floats(1.01, 2.0), imbalance=st.floats(1.0, 4.0))
@settings(max_examples=12, deadline=None)
def test_padded_experts_cost_their_capacity_whatever_the_router_does(capacity: float, more: float, imbalance: float) -> None:
    padded: dict[str, Any] = {"capacity_factor": capacity, "capacity_padding": "on"}
    assert seconds(imbalance, **padded) == seconds(1.0, **padded)
    assert seconds(**padded) < seconds(**padded | {"capacity_factor": capacity * more})


def test_exchanges_grow_with_the_padded_capacity_and_not_their_latency() -> None:
    """The bytes are proportional to the capacity, so that equal steps of it add equal times."""
    each = [line("exchange.ep", capacity_factor=c, capacity_padding="on", overlap=()) for c in (1.0, 2.0, 3.0)]
    assert each[2] - each[1] == pytest.approx(each[1] - each[0], rel=1e-9)
    assert each[1] < 2.0 * each[0]


@given(spread=st.floats(0.0, 0.5), more=st.floats(0.01, 0.5))
@settings(max_examples=12, deadline=None)
def test_a_learned_router_is_slower_the_more_its_experts_differ(spread: float, more: float) -> None:
    """Without a spread a learned router is a random one; the loads of a random one differ by chance."""
    assert learned(0.0) == seconds(routing="random") > seconds()
    assert learned(0.0) <= learned(spread) < learned(spread + more)


def test_chance_evens_out_over_more_tokens_and_needs_several_ranks() -> None:
    slower = [
        ts.step_time(with_plan(micro_batch=m, routing="random")).part("exchange.ep").total
        / ts.step_time(with_plan(micro_batch=m)).part("exchange.ep").total
        for m in (1, 4)
    ]
    assert slower[0] > slower[1] > 1.0
    assert seconds(ep=1, routing="random") == seconds(ep=1)


@given(capacity=st.floats(0.5, 3.0))
@settings(max_examples=12, deadline=None)
def test_a_capacity_cuts_the_load_of_a_learned_router(capacity: float) -> None:
    assert seconds(routing="learned", capacity_factor=capacity) == min(
        seconds(routing="learned"), seconds(imbalance=4.0, capacity_factor=capacity)
    )
    padded: dict[str, Any] = {"capacity_factor": capacity, "capacity_padding": "on"}
    assert seconds(routing="learned", **padded) == seconds(**padded)


def test_a_learned_router_has_a_belief_about_its_spread() -> None:
    """Only the plan of a learned router has it, and a spread of the experts widens the step's interval."""
    path = "efficiency.stack.expert_spread"
    assert path in ts.catalog.beliefs(with_plan(routing="learned")).paths
    assert path not in ts.catalog.beliefs(with_plan(routing="random")).paths
    assert path not in ts.catalog.beliefs(RUN).paths


def test_padding_saves_the_wait_for_token_counts() -> None:
    """At a capacity of 1 and a balanced router padded experts do the same work as others, and the host knows their sizes."""
    stack = RUN.efficiency.stack.replace({"routing_wait": 0.0})  # type: ignore[union-attr]
    without_wait = float(ts.step_time(RUN.replace({"efficiency.stack": stack})).total)
    assert seconds(capacity_factor=1.0, capacity_padding="on") == pytest.approx(without_wait, rel=1e-12)
    assert seconds(capacity_factor=1.0) == seconds()


@given(capacity=CAPACITIES)
@settings(max_examples=12, deadline=None)
def test_saved_activations_of_experts_grow_with_their_rows(capacity: float) -> None:
    """Memory is linear in the rows of the experts; what the router, attention and norms save does not change."""

    def saved(**plan: Any) -> float:
        return float(ts.memory(with_plan(**plan)).part("activations").total)

    slope = saved(capacity_factor=2.0, capacity_padding="on") - saved()
    assert slope > 0
    assert saved(capacity_factor=capacity, capacity_padding="on") == pytest.approx(saved() + slope * (capacity - 1.0), rel=1e-9)
    assert saved(capacity_factor=capacity) == pytest.approx(saved() + slope * (min(capacity, 1.0) - 1.0), rel=1e-9)


@pytest.mark.parametrize(
    ("plan", "path"),
    [
        ({"capacity_padding": "on"}, "capacity_padding"),
        ({"capacity_factor": 1.0, "capacity_padding": "on", "dispatcher": "fused"}, "capacity_padding"),
        ({"capacity_factor": 0.0}, "capacity_factor"),
    ],
)
def test_impossible_capacities_are_refused(plan: dict[str, Any], path: str) -> None:
    with pytest.raises(SpecError) as refused:
        ts.Plan(**plan)
    assert refused.value.path == path


@pytest.mark.parametrize("plan", [{"capacity_factor": 1.0}, {"routing": "random"}])
def test_a_dense_model_has_no_experts_to_load(plan: dict[str, Any]) -> None:
    with pytest.raises(SpecError) as refused:
        ts.step_time(RUN.replace({"model": ts.catalog.model("llama3-8b"), "plan": ts.Plan(**plan)}))
    assert refused.value.path == f"plan.{next(iter(plan))}"


@pytest.mark.parametrize("plan", [{}, {"routing": "random"}, {"capacity_factor": 1.25}, {"capacity_factor": 1.0, "capacity_padding": "on"}])
def test_megatron_flags_of_routing_and_capacity_are_read_and_written(plan: dict[str, Any]) -> None:
    written = ts.Plan(ep=8, **plan)
    assert ts.Plan.from_megatron(ts.Plan.to_megatron(written.replace({"loss": "vocab-parallel"}))).replace({"loss": "fused"}) == written


def test_a_negative_factor_drops_no_token() -> None:
    """Megatron-Bridge's recipes turn dropping off with a factor of -1."""
    assert ts.Plan.from_megatron("--moe-expert-capacity-factor -1.0").capacity_factor is None
