"""What rests on the host is taken off the accelerator, share by share, and a step that moves it is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
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
def test_each_share_is_taken_off_its_own_line(optimizer: float, activations: float) -> None:
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


def test_a_step_that_offloads_is_refused_with_what_to_do() -> None:
    with refused(EstimateError, "unsupported", "plan.offload"):
        ts.step_time(run(ts.Offload(optimizer=1.0)))
    price = ts.Rental(usd_per_gpu_hour=2.0)
    told = run(ts.Offload(optimizer=1.0)).replace({"efficiency": ts.MFU(0.3), "reliability": ts.Goodput(0.9), "price": price})
    assert float(ts.estimate(told).busy_gpu_hours) > 0


def test_a_share_is_between_nothing_and_all() -> None:
    for share in (-0.1, 1.1):
        with refused(SpecError):
            ts.Offload(optimizer=share)
    plan = ts.Plan(offload=ts.Offload(activations=0.5))
    assert ts.Plan(**plan.to_dict()) == plan
    assert "offload.activations" in plan.numbers()
    for write in (plan.to_megatron, plan.to_torchtitan):
        with refused(SpecError):
            write()
