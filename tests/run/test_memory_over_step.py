"""Memory over a step: its maximum is the peak, and it ends at its initial value."""

from __future__ import annotations

import numpy as np
import pytest

import trainsim as ts
from trainsim.core.errors import EstimateError
from trainsim.testing import refused


def run_of(**plan: object) -> ts.Run:
    return ts.Run(
        model=ts.catalog.model("llama3-8b"),
        cluster=ts.catalog.cluster("hgx-h100", 64),
        plan=ts.Plan(**plan),  # type: ignore[arg-type]
        phases=[ts.Phase("pretrain", tokens=1e12, seq_len=4096, batch=256)],
        efficiency=ts.Modelled(stack=ts.catalog.stack("mcore-hopper")),
    )


RUNS = {
    "1f1b": run_of(tp=2, pp=4),
    "interleaved": run_of(tp=2, pp=4, vpp=2, schedule="interleaved"),
    "zero bubble": run_of(tp=2, pp=4, schedule="zero-bubble"),
    "gpipe": run_of(tp=4, pp=2, schedule="gpipe"),
    "no pipeline": run_of(zero=1),
}


@pytest.mark.parametrize("name", RUNS)
def test_the_maximum_is_the_peak_and_memory_returns_to_its_start(name: str) -> None:
    run = RUNS[name]
    ledger = ts.memory(run)
    found = ts.memory_over_step(run)
    assert list(found.ranks) == list(ledger.parts)
    for rank, (at, held) in found.ranks.items():
        assert held.max() == pytest.approx(float(ledger.part(rank).total), rel=1e-12)
        assert held[0] == held[-1] == held.min()
        assert np.all(np.diff(at) >= 0)
        assert held.min() >= float(ledger.part(rank).total - ledger.part(f"{rank}.activations").total) * (1 - 1e-12)


def test_the_first_rank_of_1f1b_holds_more_micro_batches_than_the_last() -> None:
    ranks = ts.memory_over_step(RUNS["1f1b"]).ranks
    levels = {name: len(np.unique(held)) for name, (_, held) in ranks.items()}
    assert levels["rank-0"] == 5  # zero to four micro-batches in flight
    assert levels["rank-3"] == 2


def test_memory_over_a_step_needs_a_modelled_step() -> None:
    with refused(EstimateError, "missing", "plan"):
        ts.memory_over_step(RUNS["1f1b"].replace({"plan": None}))
