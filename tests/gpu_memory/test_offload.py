"""Offload: the offloaded share is removed from the accelerator's memory, and its transfers are timed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import trainsim as ts
from trainsim.core.errors import EstimateError, SpecError
from trainsim.gpu_memory.peak import FRAGMENTATION
from trainsim.testing import refused

shares = st.floats(0.0, 1.0)


def run(offload: ts.Offload | None) -> ts.Run:
    return ts.Run(
        model=ts.catalog.model("llama3-8b"),
        cluster=ts.catalog.cluster("hgx-h100", 16),
        plan=ts.Plan(tp=2, pp=2, zero=1, offload=offload),
        phases=[ts.Phase("pretrain", tokens=1e12, seq_len=4096, batch=64)],
        efficiency=ts.Modelled(stack="mcore-hopper"),
    )


def rank(offload: ts.Offload | None) -> ts.Ledger:
    return ts.memory(run(offload)).part("rank-0")


@given(optimizer=shares, activations=shares)
def test_offload_reduces_only_its_own_line(optimizer: float, activations: float) -> None:
    whole, left = rank(None), rank(ts.Offload(optimizer=optimizer, activations=activations))
    freed = {"optimizer": optimizer, "activations": activations}
    for name in whole:
        if name != "fragmentation":
            assert float(left.part(name).total) == pytest.approx((1 - freed.get(name, 0.0)) * float(whole.part(name).total), abs=1e-3)
    moved = optimizer * float(whole.part("optimizer").total) + (1 + FRAGMENTATION) * activations * float(whole.part("activations").total)
    assert float(left.total) == pytest.approx(float(whole.total) - moved, rel=1e-12)


def test_the_peak_of_a_search_is_that_of_the_ledger() -> None:
    from trainsim.gpu_memory.peak import peak_memory
    from trainsim.parallelism.layout import degrees_of

    made = run(ts.Offload(optimizer=0.7, activations=0.4))
    assert made.plan is not None
    degrees = degrees_of(made.plan, 16, 4096.0)
    ledger = ts.memory(made)
    assert float(peak_memory(made.model, made.plan, degrees, degrees.micro_batches(64.0))) == pytest.approx(
        max(float(ledger.part(name).total) for name in ledger), rel=1e-12
    )


def seconds(offload: ts.Offload | None, **changes: Any) -> ts.Ledger:
    return ts.step_time(run(offload).replace(dict(changes.items())) if changes else run(offload))


@settings(max_examples=20)
@given(first=shares, second=shares)
def test_time_is_convex_in_the_share_and_unchanged_at_zero(first: float, second: float) -> None:
    """Concurrent work takes the longer time and overlap leaves the rest; both are maxima of linear functions, which are convex."""
    for name in ("optimizer", "activations"):
        one, middle, other = (float(seconds(ts.Offload().replace({name: x})).total) for x in (first, (first + second) / 2, second))
        assert middle <= (one + other) / 2 * (1 + 1e-12)
        assert float(seconds(ts.Offload().replace({name: 1.0})).total) >= float(seconds(None).total) * (1 - 1e-12)
    assert float(seconds(ts.Offload()).total) == pytest.approx(float(seconds(None).total), rel=1e-12)


def test_the_hosts_update_takes_gradients_out_its_memorys_time_and_weights_back() -> None:
    """An oracle by hand: eight accelerators update their parameters in one host's memory, with transfers and update in sequence."""
    made, stack = run(ts.Offload(optimizer=1.0)), ts.catalog.stack("mcore-hopper")
    host, ledger = made.cluster.host, ts.step_time(made)
    assert host is not None
    memory = float(ts.memory(made).part("rank-1.optimizer.moments").total)
    assert memory == 0.0  # none of them remain on the accelerator
    owned = float(ts.memory(run(None)).part("rank-1.optimizer.master").total) / 4.0
    update = ledger.part("optimizer.update").total + ledger.part("optimizer.host").total
    link, bandwidth = host.link.bandwidth * stack.host_link, host.memory_bandwidth * stack.host_memory
    assert float(update) == pytest.approx(owned * (6.0 / float(link) + 34.0 * 8 / float(bandwidth)), rel=1e-9)


def test_offloaded_activations_overlap_their_pass_unless_the_link_is_slow() -> None:
    fast, slow = (seconds(ts.Offload(activations=1.0), **{"cluster.host.link.bandwidth": rate}) for rate in (1e15, 1e9))
    shown = [float(each.part("exchange.host").total) for each in (fast, slow)]
    assert shown[0] == pytest.approx(0.0, abs=1e-9)
    assert float(slow.total) - float(fast.total) > 0.9 * shown[1] > 0


def test_published_steps_with_the_optimizer_on_the_host() -> None:
    """ms-swift's scripts 72b_offload.sh and qwen3_moe_offload.sh: 80 s and 28 s an iteration; the accelerators were not named."""
    fields: dict[str, Any] = {"zero": 1, "recompute": "full", "offload": ts.Offload(optimizer=1.0)}
    cases = (("qwen2.5-72b", 8, {"tp": 8, "sequence_parallel": "on"}, 80.0), ("qwen3-30b-a3b", 4, {"ep": 4}, 28.0))
    for name, gpus, degrees, measured in cases:
        made = ts.Run(
            model=ts.catalog.model(name),
            cluster=ts.catalog.cluster("dgx-a100", gpus),
            plan=ts.Plan(**fields, **degrees),
            phases=[ts.Phase("sft", tokens=1e9, seq_len=8192, batch=16)],
            efficiency=ts.Modelled(stack="mcore-ampere"),
        )
        assert float(ts.step_time(made).total) == pytest.approx(measured, rel=0.25)


def test_a_missing_host_is_named() -> None:
    made = run(ts.Offload(optimizer=1.0)).replace({"cluster": ts.catalog.cluster("hgx-h100", 16).replace({"host": None})})
    with refused(EstimateError, "missing", "cluster.host"):
        ts.step_time(made)


def test_a_share_must_be_between_0_and_1() -> None:
    for share in (-0.1, 1.1):
        with refused(SpecError):
            ts.Offload(optimizer=share)
    plan = ts.Plan(offload=ts.Offload(activations=0.5))
    assert ts.Plan(**plan.to_dict()) == plan
    assert "offload.activations" in plan.numbers()
    for write in (plan.to_megatron, plan.to_torchtitan):
        with refused(SpecError):
            write()
