"""Every dollar can be traced: leaves sum to the total, each leaf to inputs with a source."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import trainsim as ts
from trainsim.core.batch import Batch
from trainsim.core.errors import SpecError
from trainsim.core.provenance import BY_USER
from trainsim.cost.ownership import Ownership, Site
from trainsim.run.development import estimate_development
from trainsim.run.fleet import estimate_fleet
from trainsim.testing import refused

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


def test_a_line_and_an_input_can_be_explained() -> None:
    est = ts.estimate(ts.catalog.run("deepseek-v3"))
    told = ts.explain(est, "cost.pretrain.moe.experts.up")
    assert [p for p, _ in told.up] == ["cost.pretrain.moe.experts", "cost.pretrain.moe", "cost.pretrain", "cost"]
    assert any("7,168 × 2,048" in step.how for step in told.down)
    shares = [share for _, share in told.up]
    assert shares == sorted(shares, reverse=True)


def test_an_explanation_counts_dollars_that_depend_on_judgement() -> None:
    run = ts.catalog.run("deepseek-v3")
    est = ts.estimate(run)
    down = float(est.cost.part("downtime").total)
    assert np.isclose(ts.explain(est, "cost").judgement, down)
    assert ts.explain(est, "cost.pretrain.moe").judgement == 0.0
    mine = ts.estimate(run.replace({"price.usd_per_gpu_hour": 3.0}))
    assert np.isclose(ts.explain(mine, "cost").judgement, mine.cost.total)


def test_an_unknown_line_gets_a_suggestion() -> None:
    est = ts.estimate(ts.catalog.run("deepseek-v3"))
    with refused(ts.TrainsimError, "unknown-path", "pretrain.moe.expert"):
        ts.explain(est, "cost.pretrain.moe.expert")


def development(**changes: Any) -> ts.Development:
    made = ts.catalog.programme(ts.catalog.run("deepseek-v3"), ts.Rental(usd_per_gpu_hour=2.0)).development
    return made.with_sources({"price": "An index (2024-12-01, market) [prices/x]"}).replace(changes)


def subjects() -> dict[str, Any]:
    """A run, a development and fleets of the catalogue, estimated, with the ledgers of dollars each has."""
    run = ts.catalog.complete(ts.catalog.run("llama3.1-405b"))[0]
    fleets = {name: estimate_fleet(ts.catalog.fleet(name)) for name in ts.catalog.rows("fleets")}
    return {"a run": ts.estimate(run), "a development": estimate_development(development())} | fleets


@pytest.mark.parametrize("name", subjects())
def test_every_leaf_names_its_inputs_and_each_its_source(name: str) -> None:
    est = subjects()[name]
    for quantity in ("cost",) if hasattr(est, "cost") else ("over_life", "capital", "operation"):
        ledger = getattr(est, quantity)
        assert np.isclose(sum(float(x) for _, x in ledger.lines()), float(ledger.total), rtol=1e-12)
        for path, dollars in ledger.lines():
            told = ts.explain(est, f"{quantity}.{path}")
            assert np.isclose(told.value, float(dollars), rtol=1e-12)
            if float(dollars):
                assert told.inputs, path
            for step in told.inputs:
                assert step.source, (path, step.name)
                assert step.source != BY_USER, (path, step.name)


@pytest.mark.parametrize("name", subjects())
def test_a_line_lists_an_input_if_the_input_lists_the_line(name: str) -> None:
    est = subjects()[name]
    quantity = "cost" if hasattr(est, "cost") else "over_life"
    ledger = getattr(est, quantity)
    whole = ts.explain(est, quantity)
    for step in whole.inputs:
        carried = [c for c in ts.explain(est, step.name).dependent_lines if c.name.partition(".")[0] == quantity]
        assert carried, step.name
        for line in carried:
            assert line.value == 0 or step.name in {s.name for s in ts.explain(est, line.name).inputs}
            assert np.isclose(line.value, float(ledger.part(line.name.partition(".")[2]).total))
        assert sum(c.value for c in carried) <= float(ledger.total) * (1 + 1e-12)


def test_a_development_leads_into_its_runs() -> None:
    est = estimate_development(development(**{"lines.deepseek-v3.run.reliability": ts.Goodput(0.9)}))
    told = ts.explain(est, "cost.compute.final.deepseek-v3.pretrain.moe.experts.up")
    assert any("7,168 × 2,048" in step.how for step in told.down)
    assert [path for path, _ in told.up][-1] == "cost"
    assert ts.explain(est, "people.usd_per_year").dependent_lines[0].name.startswith("cost.people")
    half = development(lines=[line.replace({"contents": "failed", "completed": 0.5, "times": 3.0}) if "r1" in line.name else line
                              for line in development().lines], failed=0.0)  # fmt: skip
    steps = ts.explain(estimate_development(half), "cost.compute.failed.deepseek-r1-all").down
    assert steps[0].value == 1.5


def test_dollars_that_depend_on_judgement_are_those_that_a_judged_input_changes() -> None:
    est = estimate_development(development())
    graded = ts.explain(est)
    by_hand = est.cost.part("data").total + est.cost.part("people").total + est.compute.part("failed").total
    downtime = est.cost.part("downtime").total
    assert 0 < graded.judgement <= float(est.cost.total)
    # staff share, project years, data, failed runs are judgement; goodput too: its downtime, and all that is a multiple of the runs
    assert graded.judgement >= float(by_hand + downtime)
    mine = estimate_development(development(evaluation_usd=5e5))
    assert np.isclose(ts.explain(mine).judgement - graded.judgement, 5e5)
    theirs = estimate_fleet(ts.catalog.fleet("semianalysis-deepseek"))
    assert ts.explain(theirs).judgement == 0.0, "an analyst's estimate"
    assert np.isnan(ts.explain(est, "gpu_hours").judgement)


def test_a_sum_does_not_depend_on_an_input_that_only_shifts_its_parts() -> None:
    """Hours given with downtime: goodput moves hours between two lines, and no dollars."""
    est = ts.estimate(ts.catalog.complete(ts.catalog.run("llama3.1-405b"))[0])
    assert [c.name for c in ts.explain(est, "reliability.goodput").dependent_lines if c.name.startswith(("cost", "gpu_hours"))] == []
    assert "reliability.goodput" not in {s.name for s in ts.explain(est, "cost").inputs}
    assert "reliability.goodput" in {s.name for s in ts.explain(est, "cost.pretrain.downtime").inputs}


@given(price=st.floats(1e4, 1e5), life=st.floats(1, 8), gpus=st.floats(1, 1e5), kwh=st.floats(0.01, 0.3), pue=st.floats(1, 2))
def test_a_product_has_elasticity_one(price: float, life: float, gpus: float, kwh: float, pue: float) -> None:
    """An oracle that knows the formula: capital is chips × price, electricity watts × hours × PUE × tariff."""
    site = Site(watts=1000, idle_watts=0, pue=pue, usd_per_kwh=kwh)
    owner = Ownership(usd_per_gpu=price, life_years=life, site=site, utilization=0.8)
    est = estimate_fleet(ts.Fleet(holdings=[ts.Holding(name="H", gpus=gpus, ownership=owner)]))
    found = {s.name.rpartition(".")[2]: s.how for s in ts.explain(est, "capital.H").inputs}
    assert found == dict.fromkeys(("gpus", "usd_per_gpu"), "+1 % → +1.00 %")
    found = {s.name.rpartition(".")[2]: s.how for s in ts.explain(est, "operation.H.electricity").inputs}
    assert set(found) == {"gpus", "watts", "pue", "usd_per_kwh", "utilization"}
    assert set(found.values()) == {"+1 % → +1.00 %"}


def test_an_effect_of_one_percent_is_exact_for_a_rounded_count() -> None:
    """Micro-batches are whole numbers; the printed effect of one percent equals the effect of a change by one percent."""
    run = ts.Run(
        model=ts.catalog.model("llama3-70b"),
        cluster=ts.catalog.cluster("hgx-h100", 64),
        phases=[ts.Phase("pretrain", tokens=1e12, seq_len=8192, batch=128)],
        plan=ts.Plan(tp=4, pp=8, zero=1, sequence_parallel="on"),
        efficiency=ts.Modelled(stack=ts.catalog.stack("mcore-hopper")),
        reliability=ts.Goodput(0.95),
        price=ts.Rental(usd_per_gpu_hour=2.0),
    )
    told = {step.name: step.how for step in ts.explain(ts.estimate(run)).inputs}
    for path in ("phases.pretrain.batch", "efficiency.stack.tile", "price.usd_per_gpu_hour", "phases.pretrain.tokens"):
        more = Batch(run, {path: np.array([float(run.get(path)) * 1.01])}).spec
        by_hand = float(np.asarray(ts.estimate(more).cost.total).item()) / float(ts.estimate(run).cost.total) - 1.0
        assert told.get(path, "+1 % → +0.00 %") == f"+1 % → {100 * by_hand:+.2f} %", path


def test_an_unknown_input_gets_a_suggestion() -> None:
    est = estimate_development(development())
    for path in ("price.usd_per_gpu", "peeple.headcount", "costs"):
        with refused(ts.TrainsimError, "unknown-path"):
            ts.explain(est, path)


EXAMPLES = Path(__file__).parents[2] / "examples"
TRACED = """
import runpy, sys
import numpy as np
import trainsim as ts
from trainsim.run import estimate as estimating

made, first = [], estimating.estimate
def estimate(run):
    made.append(first(run))
    return made[-1]
ts.estimate = estimate
runpy.run_path(sys.argv.pop())
points = [est for est in made if np.ndim(est.run.numbers() and est.cost.total) == 0]
for est in points:
    lines = dict(est.cost.lines())
    assert np.isclose(sum(lines.values()), est.cost.total, rtol=1e-12)
    for path, dollars in lines.items():
        told = ts.explain(est, f"cost.{path}")
        assert dollars == 0 or (told.inputs and all(step.source for step in told.inputs)), path
print("traced", len(points))
"""


ESTIMATING = [path for path in sorted(EXAMPLES.glob("*.py")) if "ts.estimate(" in path.read_text(encoding="utf-8")]


@pytest.mark.parametrize("path", ESTIMATING, ids=lambda path: path.stem)
def test_every_dollar_of_an_example_can_be_traced(path: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-W", "ignore", "-c", TRACED, str(path)]
    done = subprocess.run(command, check=False, cwd=tmp_path, capture_output=True, text=True)  # noqa: S603
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[-1]) >= 1


def test_a_run_is_no_estimate_to_explain() -> None:
    with refused(SpecError, "wrong-type", "est"):
        ts.explain(ts.catalog.run("deepseek-v3"), "cost")  # type: ignore[arg-type]
