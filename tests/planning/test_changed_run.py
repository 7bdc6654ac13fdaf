"""A changed run: reported times of the former run do not carry over, stated utilisations do."""

from __future__ import annotations

from typing import Any

import pytest

import trainsim as ts
from trainsim.planning.changed_run import changed
from trainsim.planning.requests import RunRequest, run_of
from trainsim.run.assumed import assumed_of
from trainsim.training.efficiency import Efficiency

REPORTED = [ts.BusyHours(gpu_hours=5000), ts.Throughput(tokens_per_s_per_gpu=9000), ts.StepTime(seconds=3)]
CHANGES: dict[str, Any] = {
    "tokens": {"phases.pretrain.tokens": 2e12},
    "chip": {"cluster": ts.catalog.cluster("hgx-h800", 64)},
    "gpus": {"cluster.gpus": 128},
    "model": {"model": ts.catalog.model("llama2-7b")},
}


def run_with(efficiency: Efficiency, *, own: bool) -> ts.Run:
    phase = ts.Phase("pretrain", tokens=1e12, seq_len=4096, batch=1024, efficiency=efficiency if own else None)
    machines = ts.catalog.cluster("hgx-h100", 64)
    return ts.Run(model=ts.catalog.model("llama3-8b"), cluster=machines, phases=[phase], efficiency=None if own else efficiency)


@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize("efficiency", REPORTED, ids=lambda one: type(one).__name__)
@pytest.mark.parametrize("what", CHANGES)
def test_a_reported_time_is_dropped_if_its_inputs_change(what: str, efficiency: Efficiency, own: bool) -> None:  # noqa: FBT001
    run = run_with(efficiency, own=own)
    after = changed(run, [CHANGES[what]])
    assert after.efficiency is None
    assert after.phases[0].efficiency is None
    assert changed(run, [{}]) == run


@pytest.mark.filterwarnings("ignore:.*may not hold")
@pytest.mark.parametrize("what", CHANGES)
def test_a_stated_utilisation_and_a_changed_time_stay(what: str) -> None:
    run = run_with(ts.MFU(0.4), own=False)
    assert changed(run, [CHANGES[what]]).efficiency == run.efficiency
    timed = run_with(REPORTED[0], own=False)
    assert changed(timed, [{"efficiency.gpu_hours": 7000}, CHANGES[what]]).efficiency == ts.BusyHours(gpu_hours=7000)


def test_hours_of_other_tokens_become_an_assumed_utilisation() -> None:
    asked = {"chip": "h100", "gpus": "64", "price": "3/h"}
    published, other = (run_of(RunRequest("llama3-8b", **asked, tokens=tokens)) for tokens in ("", "1T"))
    assert isinstance(published.phases[0].efficiency, ts.BusyHours)
    assert "efficiency.mfu" in assumed_of(other)
    assert float(ts.estimate(other).gpu_hours) < float(ts.estimate(published).gpu_hours) / 5
    assert run_of(RunRequest("llama3-8b", **asked, changes=["phases.pretrain.tokens=1T"])) == other


def test_a_given_utilisation_replaces_those_of_the_phases() -> None:
    run = run_of(RunRequest("deepseek-v3", mfu="40%"))
    assert all((phase.efficiency is None) == (phase.tokens is not None) for phase in run.phases)
    assert isinstance(run.efficiency, ts.MFU)
    assert run.efficiency.mfu == 0.4
    assert "efficiency.mfu" not in assumed_of(run)


def test_a_rent_that_was_filled_in_is_that_of_the_chip() -> None:
    run = ts.catalog.run("llama3-8b", gpus=64)
    machines = {"cluster": ts.catalog.cluster("hgx-h800", 64)}
    assert run.price is not None
    assert changed(run, [machines]).price is None
    assert changed(run, [{"cluster.gpus": 128}]).price == run.price
    given = changed(run, [machines, {"price.usd_per_gpu_hour": 2.0}]).price
    assert isinstance(given, ts.Rental)
    assert given.usd_per_gpu_hour == 2.0
