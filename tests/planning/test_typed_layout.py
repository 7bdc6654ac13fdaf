"""Typed layouts: printed layouts can be read back, and each mistake raises one error."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

import trainsim as ts
from trainsim.core.errors import SpecError
from trainsim.gpu_memory.weights import least_model_state
from trainsim.planning.ranked_plan import layout_words
from trainsim.planning.requests import RunRequest, run_of, step_of
from trainsim.planning.typed_layout import layout_from
from trainsim.run.memory_notes import MOST

FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "tp": st.sampled_from([1, 2, 4, 8]),
    "pp": st.sampled_from([1, 2, 4]),
    "ep": st.sampled_from([1, 2, 8]),
    "micro_batch": st.integers(1, 8),
    "zero": st.integers(0, 3),
    "recompute": st.sampled_from(["none", "selective", "full"]),
    "precision": st.sampled_from(["bf16", "fp8"]),
    "dispatcher": st.sampled_from([None, "alltoall", "fused"]),
    "expert_overlap": st.sampled_from(["off", "on"]),
    "graphs": st.sampled_from([(), ("layer",), ("core", "head")]),
    "overlap": st.sampled_from([None, ("dp", "tp")]),
}


@given(fields=st.fixed_dictionaries({}, optional=FIELDS))
def test_printed_layout_is_read_back(fields: dict[str, Any]) -> None:
    try:
        plan = ts.Plan(**fields)
    except SpecError:
        reject()
    assert layout_from(layout_words(plan, 256), 256) == plan


@pytest.mark.parametrize(
    ("text", "rule_id"),
    [("tp=8 tpp=2", "unknown-field"), ("tp", "syntax"), ("tp=8 tp=4", "duplicate"), ("tp=3", "conflict"), ("tp=8 dp=9", "conflict"),
     ("zero=9", "out-of-bounds"), ("schedule=foo", "unknown-name")],
)  # fmt: skip
def test_mistake_in_a_layout_is_one_error(text: str, rule_id: str) -> None:
    with pytest.raises(ts.TrainsimError) as error:
        layout_from(text, 64)
    assert (error.value.rule_id, error.value.path.startswith("--plan")) == (rule_id, True)


def test_plan_and_set_give_the_same_layout() -> None:
    asked = {"target": "7B", "gpus": "64xH100", "tokens": "1T"}
    typed = run_of(RunRequest(**asked, plan="tp=8 pp=2 zero=1"))
    assert run_of(RunRequest(**asked, changes=("plan.tp=8", "plan.pp=2", "plan.zero=1"))).plan == typed.plan == ts.Plan(tp=8, pp=2, zero=1)


def test_plan_replaces_the_layout_of_a_published_run() -> None:
    assert step_of(RunRequest("deepseek-v3", plan="pp=8 ep=64")).plan == ts.Plan(pp=8, ep=64)


def test_step_time_gives_the_hours_of_that_step() -> None:
    run = run_of(RunRequest("7B", gpus="64xH100", tokens="1T", batch="1024", step_time="10s", price="2/h", goodput="0.9"))
    steps = 1e12 / (1024 * 4096)
    assert ts.estimate(run).gpu_hours == pytest.approx(steps * 10 / 3600 * 64 / 0.9)


def test_step_time_needs_the_batch_of_that_step() -> None:
    with pytest.raises(ts.TrainsimError) as error:
        run_of(RunRequest("7B", gpus="64xH100", tokens="1T", step_time="10s"))
    assert "--batch" in error.value.rule
    with pytest.raises(ts.TrainsimError):
        run_of(RunRequest("7B", gpus="64xH100", tokens="1T", batch="1024", step_time="10s", mfu="0.4"))


@given(gpus=st.sampled_from([1, 8, 64, 512]), size=st.sampled_from(["7B", "70B", "405B"]))
def test_run_that_is_said_not_to_fit_fits_in_no_layout(gpus: int, size: str) -> None:
    run = ts.quick(size, chip="h100", gpus=gpus, tokens=1e9)
    if any("does not fit" in note for note in ts.estimate(run).summary().notes):
        for plan in (ts.Plan(zero=3), ts.Plan(tp=min(gpus, 8), zero=3, recompute="full")):
            assert ts.fits(run.replace({"plan": plan})).word == "does not fit"


@given(gpus=st.sampled_from([1, 8, 64]), size=st.sampled_from(["1B", "7B", "70B", "235B-A22B"]))
def test_model_states_of_the_usual_layout_stay_below_the_bound_of_the_note(gpus: int, size: str) -> None:
    model = ts.quick(size, chip="h100", gpus=gpus, tokens=1e9).model
    assert float(least_model_state(model, ts.Plan(), gpus)) * gpus < MOST * float(ts.count_params(model, towers="all").total)
