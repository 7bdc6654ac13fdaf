"""Evaluations that differ in a few numbers share the rest of their work, with the same results as separate evaluations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import trainsim as ts
import trainsim.step.step as step_file
from trainsim.core.batch import Batch
from trainsim.core.sharing import shared, sharing

LONG = np.ones(3)


def run(plan: ts.Plan) -> ts.Run:
    return ts.Run(
        model=ts.catalog.model("llama3-8b"), cluster=ts.catalog.cluster("hgx-h100", 64), plan=plan, reliability=ts.Goodput(0.95),
        phases=[ts.Phase("pretrain", tokens=1e12, seq_len=8192, batch=128)], price=ts.Rental(usd_per_gpu_hour=2.0),
        efficiency=ts.Modelled(stack="mcore-hopper"),
    )  # fmt: skip


def test_results_are_shared_only_inside_one_context() -> None:
    made: list[int] = []

    def make() -> int:
        made.append(1)
        return len(made)

    assert [shared(make, LONG), shared(make, LONG)] == [1, 2]
    with sharing():
        assert [shared(make, LONG), shared(make, LONG)] == [3, 3]
        with sharing():
            assert shared(make, LONG) == 4
        assert shared(make, LONG) == 3
    with sharing():
        assert shared(make, LONG) == 5


def test_equal_numbers_are_the_same_input_and_equal_arrays_are_not() -> None:
    with sharing():
        assert shared(lambda: "first", float("2.5")) == shared(lambda: "second", float("2.5"))
        assert shared(lambda: "first", np.ones(3)) != shared(lambda: "second", np.ones(3))


@pytest.mark.parametrize("plan", [ts.Plan(zero=3), ts.Plan(pp=4, zero=1)])
def test_a_step_is_computed_once_if_only_factor_and_price_vary(plan: ts.Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    whole = step_file.step_of

    def counted(*args: Any, **kwargs: Any) -> Any:
        calls.append(1)
        return whole(*args, **kwargs)

    made, share = run(plan), np.linspace(0.6, 0.8, 5)
    factors, prices = (np.full(5, 1.0), np.full(5, 1.3)), (np.full(5, 2.0), np.linspace(1.0, 3.0, 5))
    variants = [
        {"efficiency.stack.bf16": share, "efficiency.stack.factor": factor, "price.usd_per_gpu_hour": price}
        for factor in factors
        for price in prices
    ]
    alone = [ts.estimate(Batch(made, drawn).spec) for drawn in variants]
    costs, lines = [np.asarray(est.cost.total) for est in alone], [est.step_time.part("pretrain.source").total for est in alone]
    monkeypatch.setattr(step_file, "step_of", counted)
    with sharing():
        together = [ts.estimate(Batch(made, drawn).spec) for drawn in variants]
        assert all(np.array_equal(cost, est.cost.total) for cost, est in zip(costs, together, strict=True))
        assert all(np.array_equal(line, est.step_time.part("pretrain.source").total) for line, est in zip(lines, together, strict=True))
    assert len(calls) == 1


def test_a_step_with_another_number_is_computed_anew() -> None:
    made = run(ts.Plan(zero=3))
    slow, fast = np.full(4, 0.5), np.full(4, 0.8)
    with sharing():
        first, second = (np.asarray(ts.estimate(Batch(made, {"efficiency.stack.bf16": share}).spec).cost.total) for share in (slow, fast))
    assert (first > second).all()
