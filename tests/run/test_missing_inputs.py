"""Errors about a run name all missing inputs at once, and the call that fills them in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import trainsim as ts


def bare(**changes: Any) -> ts.Run:
    given: dict[str, Any] = {
        "model": ts.catalog.model("llama3-8b"),
        "cluster": ts.catalog.cluster("hgx-h100", 8),
        "phases": [ts.Phase("pretrain", tokens=1e12, seq_len=4096, batch=64)],
    }
    return ts.Run(**(given | changes))


RATES = {"efficiency": ts.MFU(0.4), "reliability": ts.Goodput(0.95)}
QUESTIONS: dict[str, tuple[Callable[[ts.Run], Any], tuple[str, ...], str]] = {
    "estimate": (ts.estimate, ("efficiency=", "reliability="), "ts.catalog.complete(run)"),
    "cost": (
        lambda run: ts.estimate(run.replace({"efficiency": ts.MFU(0.4), "reliability": ts.Goodput(0.95)})).cost,
        ("price=",),
        "complete",
    ),
    "memory": (ts.memory, ("plan=", "phases.pretrain.batch"), "ts.with_layout(run)"),
    "fits": (ts.fits, ("plan=", "phases.pretrain.batch"), "ts.with_layout(run)"),
    "step_time": (ts.step_time, ("plan=", "efficiency=", "phases.pretrain.batch"), "ts.with_layout(run)"),
    "search_plans": (ts.search_plans, ("efficiency=", "phases.pretrain.batch"), "ts.with_layout(run)"),
    "diagnose": (lambda run: ts.diagnose(run, step_time=2.0), ("plan=", "efficiency=", "phases.pretrain.batch"), "ts.with_layout(run)"),
}
"""Question → the inputs that it needs, and the call that its error names."""


@pytest.mark.parametrize("name", QUESTIONS)
def test_all_missing_inputs_are_named_at_once(name: str) -> None:
    ask, needed, call = QUESTIONS[name]
    with pytest.raises(ts.TrainsimError) as caught:
        ask(bare(phases=[ts.Phase("pretrain", tokens=1e12, seq_len=4096)]))
    assert caught.value.rule_id == "missing"
    assert [word for word in (*needed, call) if word not in caught.value.remedy] == []


def test_given_inputs_are_not_named_as_missing() -> None:
    with pytest.raises(ts.TrainsimError) as caught:
        ts.step_time(bare(plan=ts.Plan(zero=1)))
    assert (caught.value.path, "plan=" in caught.value.remedy) == ("efficiency", False)


def test_memory_and_step_time_need_neither_goodput_nor_price() -> None:
    run = bare(plan=ts.Plan(zero=1, tp=2), efficiency=ts.Modelled(stack="mcore-hopper"))
    assert ts.memory(run).fit.word in ("fits", "tight", "does not fit")
    assert ts.step_time(run).total > 0


def test_memory_prints_what_the_fullest_accelerator_holds_of_its_capacity() -> None:
    ranks = ts.memory(bare(plan=ts.Plan(zero=1, pp=2)))
    totals = {name: float(ranks.part(name).total) for name in ranks}
    fullest = max(totals, key=totals.__getitem__)
    first = str(ranks).splitlines()[0]
    assert first.startswith(f"{totals[fullest] / 1e9:.1f} of 80 GB")
    assert fullest in first
    assert first.endswith(ts.fits(bare(plan=ts.Plan(zero=1, pp=2))).word)


def test_the_catalogue_lists_the_ids_that_it_takes() -> None:
    assert all(ts.catalog.chip(name).name == name for name in ts.catalog.chips())
    assert {len(kind()) > 5 for kind in (ts.catalog.models, ts.catalog.clusters, ts.catalog.stacks, ts.catalog.runs)} == {True}
    assert set(ts.catalog.claims()) >= {"deepseek-v3-6m"}
