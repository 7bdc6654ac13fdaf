"""Better inputs never increase the cost: a lower price, less downtime, a higher utilisation, fewer tokens, a faster chip."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import trainsim as ts
from trainsim.testing import small_runs

BETTER_WHEN = {
    "usd_per_gpu_hour": -1, "goodput": 1, "mfu": 1, "hfu": 1, "tokens_per_s_per_gpu": 1, "seconds": -1, "gpu_hours": -1, "tokens": -1,
    "bf16": 1,
}  # fmt: skip
"""Last name of a path → 1 if a larger value lowers the cost, −1 if a smaller value does."""
QUIET = ("fp8", "memory", "memory_bandwidth", "power")
"""Numbers that a given time does not depend on."""


def cost(run: ts.Run, changes: dict[str, Any] | None = None) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ts.TrainsimWarning)
        return float(ts.estimate(run.replace(changes or {})).cost.total)


TOLD = {
    "hfu": ts.HFU(0.3), "tokens_per_s_per_gpu": ts.Throughput(tokens_per_s_per_gpu=100), "seconds": ts.StepTime(seconds=5),
    "gpu_hours": ts.BusyHours(gpu_hours=1000),
}  # fmt: skip


@pytest.mark.parametrize("name", BETTER_WHEN)
@given(run=small_runs(), factor=st.floats(1.01, 3.0))
def test_a_better_number_never_costs_more(name: str, run: ts.Run, factor: float) -> None:
    run = run.replace({"phases": [run.phases[0].replace({"efficiency": None})], "efficiency": TOLD.get(name, ts.MFU(0.3))})
    path = next(p for p in run.numbers() if p.rpartition(".")[2] == name)
    value, unit = run.numbers()[path]
    better = min(float(value) * factor ** BETTER_WHEN[name], unit.high)
    # a change in the last digit of a number may not change the rounded dollars
    assert cost(run, {path: better}) < cost(run) or better == pytest.approx(float(value), rel=1e-14)
    assert cost(run, {path: better}) <= cost(run)


@given(small_runs(), st.data())
def test_numbers_that_a_reported_time_does_not_depend_on_change_nothing(run: ts.Run, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from([p for p in run.numbers() if p.rpartition(".")[2] in QUIET]))
    assert cost(run, {path: float(run.numbers()[path][0]) * 2}) == cost(run)


@given(small_runs())
def test_every_number_of_a_run_is_accounted_for_above(run: ts.Run) -> None:
    for path in run.numbers():
        assert path.rpartition(".")[2] in {*BETTER_WHEN, *QUIET, "seq_len", "batch", "document_length"}


@given(
    st.integers(1, 100_000),
    st.integers(1, 100_000),
    st.sampled_from(["causal", "half", "full", "megatron", "maxtext", "torchtitan", "verl"]),
)
def test_longer_sequences_never_take_less_work_per_token(a: int, b: int, convention: str) -> None:
    model = ts.catalog.model("deepseek-v3")
    short, long = sorted((a, b))
    assert ts.flops_per_token(model, short, convention).total <= ts.flops_per_token(model, long, convention).total


@pytest.mark.parametrize("name", ["deepseek-v3", "llama3.1-405b", "mixtral-8x7b", "llama4-maverick"])
def test_a_mask_never_adds_work(name: str) -> None:
    model = ts.catalog.model(name)
    for seq_len in (1, 100, 4096, 100_000):
        exact, nowindow, full = (float(ts.flops_per_token(model, seq_len, c).total) for c in ("causal", "causal-nowindow", "full"))
        assert exact <= nowindow <= full


@given(small_runs(), st.floats(1.01, 3.0))
def test_the_bill_is_proportional_to_the_price(run: ts.Run, factor: float) -> None:
    dearer = float(run.get("price.usd_per_gpu_hour")) * factor
    assert cost(run, {"price.usd_per_gpu_hour": dearer}) == pytest.approx(cost(run) * factor, rel=1e-12)
