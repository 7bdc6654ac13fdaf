"""Every dollar can be traced: leaves sum to the total, each leaf to inputs with a source."""

from __future__ import annotations

import numpy as np
import pytest

import trainsim as ts

RUNS = ("deepseek-v3", "llama3.1-405b")


@pytest.mark.parametrize("name", RUNS)
def test_leaves_sum_to_the_total_and_each_can_be_explained(name: str) -> None:
    est = ts.estimate(ts.catalog.run(name))
    lines = dict(est.cost.lines())
    assert np.isclose(sum(lines.values()), est.cost.total, rtol=1e-12)
    for path, value in lines.items():
        told = ts.explain(est, f"cost.{path}")
        assert np.isclose(told.value, value, rtol=1e-12)
        assert {"hours", "price"} <= {step.name for step in told.down}
        assert all(step.source for step in told.down if step.name == "price")


def test_both_ways() -> None:
    est = ts.estimate(ts.catalog.run("deepseek-v3"))
    told = ts.explain(est, "cost.pretrain.moe.experts.up")
    assert [p for p, _ in told.up] == ["cost.pretrain.moe.experts", "cost.pretrain.moe", "cost.pretrain", "cost"]
    assert any("7,168 × 2,048" in step.how for step in told.down)
    shares = [share for _, share in told.up]
    assert shares == sorted(shares, reverse=True)


def test_how_many_dollars_rest_on_judgement() -> None:
    run = ts.catalog.run("deepseek-v3")
    est = ts.estimate(run)
    down = float(est.cost.part("downtime").total)
    assert np.isclose(ts.explain(est, "cost").judgement, down)
    assert ts.explain(est, "cost.pretrain.moe").judgement == 0.0
    mine = ts.estimate(run.replace({"price.usd_per_gpu_hour": 3.0}))
    assert np.isclose(ts.explain(mine, "cost").judgement, mine.cost.total)


def test_an_unknown_line_says_what_was_meant() -> None:
    est = ts.estimate(ts.catalog.run("deepseek-v3"))
    with pytest.raises(ts.TrainsimError, match="did you mean"):
        ts.explain(est, "cost.pretrain.moe.expert")
