"""Kernels on the roofline: none is above its roof, their seconds are those of the step, and their FLOPs those of the model."""

from __future__ import annotations

import numpy as np
import pytest

import trainsim as ts
from trainsim.core.errors import EstimateError
from trainsim.testing import refused


def run_of(model: str = "llama3-8b", **plan: object) -> ts.Run:
    return ts.Run(
        model=ts.catalog.model(model),
        cluster=ts.catalog.cluster("hgx-h100", 64),
        plan=ts.Plan(**{"zero": 1, **plan}),  # type: ignore[arg-type]
        phases=[ts.Phase("pretrain", tokens=1e12, seq_len=4096, batch=256)],
        efficiency=ts.Modelled(stack=ts.catalog.stack("mcore-hopper")),
    )


RUNS = [run_of(), run_of(tp=4), run_of(tp=2, pp=2, precision="fp8"), run_of("mixtral-8x7b", ep=8, tp=1)]


@pytest.mark.parametrize("run", RUNS, ids=range(len(RUNS)))
def test_no_kernel_is_above_its_roof(run: ts.Run) -> None:
    found = ts.roofline(run)
    assert len(found.kernels) >= 5
    assert [k.name for k in found.kernels if k.rate > k.roof(found.bandwidth) * (1 + 1e-9)] == []
    assert sum(map(found.share, found.kernels)) == pytest.approx(1.0)


@pytest.mark.parametrize("run", RUNS[:3], ids=range(3))
def test_flops_of_the_kernels_are_the_models(run: ts.Run) -> None:
    """For a dense model, the FLOPs of all tensor-parallel ranks' kernels in a micro-batch equal the model's forward FLOPs."""
    found = ts.roofline(run)
    assert run.plan is not None
    counted = ts.flops_per_token(run.model, seq_len=4096.0, convention="causal").part("forward").total
    # fused attention computes whole tiles; its roofline counts the causal pairs alone, as the convention does
    ours = sum(k.flop * k.launches for k in found.kernels) * run.plan.tp / 4096.0
    assert ours == pytest.approx(float(counted), rel=1e-9)


def test_a_wider_memory_never_lowers_a_rate() -> None:
    run = RUNS[0]
    wide = run.replace({"cluster.chip.memory_bandwidth": 2 * float(np.max(run.cluster.chip.memory_bandwidth))})
    slow, fast = ({k.name: k.rate for k in ts.roofline(one).kernels} for one in (run, wide))
    assert all(fast[name] >= slow[name] * (1 - 1e-12) for name in slow)


def test_draws_are_refused() -> None:
    with refused(EstimateError, "missing", "plan"):
        ts.roofline(RUNS[0].replace({"plan": None}))
