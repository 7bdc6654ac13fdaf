"""A teacher: its forward passes over the student's tokens are charged and traceable, and it is not trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import trainsim as ts
from trainsim.catalog.rows import find
from trainsim.cluster.hardware import Cluster
from trainsim.core.errors import EstimateError
from trainsim.core.units import SECONDS_PER_HOUR
from trainsim.run.compare import Comparison
from trainsim.testing import refused
from trainsim.training.decoding import Engine
from trainsim.training.reinforcement import Reinforcement, Responses
from trainsim.training.rollouts import Rollouts

STUDENT, TEACHER = ts.catalog.model("llama3.2-3b"), ts.catalog.model("llama3-8b")
TOKENS, SEQ_LEN, PEAK = 1e12, 4096.0, 989.4e12


def a_run(teacher: Any = TEACHER, tokens: float = TOKENS, convention: str = "causal", **phase: Any) -> ts.Run:
    return ts.Run(
        model=STUDENT,
        cluster=ts.catalog.cluster("hgx-h100", 64),
        phases=[ts.Phase("pretrain", tokens=tokens, seq_len=SEQ_LEN, teacher=teacher, **phase)],
        efficiency=ts.MFU(0.4, flops=convention),
        reliability=ts.Goodput(0.9),
        price=ts.Rental(usd_per_gpu_hour=2.0),
    )


def test_no_teacher_costs_nothing() -> None:
    alone, before = ts.estimate(a_run(None)), ts.flops_per_token(STUDENT, SEQ_LEN)
    assert "teacher" not in alone.flops
    assert alone.flops.total == pytest.approx(TOKENS * before.total, rel=1e-12)
    assert not [note for note in alone.notes if "targets" in note]


@given(st.floats(1e6, 1e14), st.floats(1.1, 50.0))
def test_the_teachers_cost_is_linear_in_tokens(tokens: float, factor: float) -> None:
    once, more = (ts.estimate(a_run(tokens=t)) for t in (tokens, factor * tokens))
    for of in ("flops", "hours", "cost"):
        small, large = (getattr(est, of).part("pretrain.teacher").total for est in (once, more))
        assert large == pytest.approx(factor * small, rel=1e-9)


@pytest.mark.parametrize("teacher", ["llama3-8b", "qwen3-30b-a3b", "deepseek-v3"])
def test_a_teacher_takes_two_flops_per_parameter_and_token(teacher: str) -> None:
    """By the convention without attention, forward only: 2 N FLOPs per token, with N the active parameters without the input embedding."""
    model = ts.catalog.model(teacher)
    est = ts.estimate(a_run(model, convention="6nd"))
    assert est.flops.part("pretrain.teacher").total == pytest.approx(
        TOKENS * ts.flops_per_token(model, SEQ_LEN, "6nd").total / 3.0, rel=1e-12
    )
    active = ts.count_active_params(model).total
    embedding = float(model.vocab * model.hidden)
    assert est.flops.part("pretrain.teacher").total == pytest.approx(2.0 * (active - embedding) * TOKENS, rel=0.02)


def test_a_teachers_pass_takes_a_third_of_training_it() -> None:
    est = ts.estimate(a_run(STUDENT))
    taught, student = (est.flops.part(f"pretrain.{part}").total for part in ("teacher", "forward"))
    assert taught == pytest.approx(student, rel=1e-12), "a model that teaches its like reads what it reads"
    assert est.gpu_hours == pytest.approx(4.0 / 3.0 * ts.estimate(a_run(None)).gpu_hours, rel=1e-12)


def test_a_teacher_runs_at_the_phases_utilisation_and_lines_add_up() -> None:
    alone, taught = ts.estimate(a_run(None)), ts.estimate(a_run())
    flop = TOKENS * ts.flops_per_token(TEACHER, SEQ_LEN).part("forward").total
    extra = flop / (PEAK * 0.4 * 0.9 * SECONDS_PER_HOUR)
    assert taught.gpu_hours - alone.gpu_hours == pytest.approx(extra, rel=1e-6)
    assert taught.mfu == pytest.approx(0.4, rel=1e-12)
    assert sum(value for _, value in taught.cost.lines()) == pytest.approx(taught.cost.total, rel=1e-12)
    assert taught.cost.total == pytest.approx(2.0 * taught.gpu_hours, rel=1e-12)
    assert taught.params.total == alone.params.total


def test_reported_hours_stay_and_are_shared_with_the_teacher() -> None:
    hours = ts.BusyHours(gpu_hours=1000)
    alone, taught = (ts.estimate(a_run(t, efficiency=hours)) for t in (None, TEACHER))
    assert taught.busy_gpu_hours == alone.busy_gpu_hours == 1000
    share = taught.flops.part("pretrain.teacher").total / taught.flops.total
    assert taught.busy_hours.part("pretrain.teacher").total == pytest.approx(1000 * share, rel=1e-12)


def test_a_teacher_reads_the_same_documents() -> None:
    short, whole = (ts.estimate(a_run(document_length=length)).flops.part("pretrain.teacher").total for length in (256.0, None))
    assert short < whole
    alone = ts.flops_per_token(TEACHER, SEQ_LEN, document_length=256.0).part("forward").total
    assert short == pytest.approx(TOKENS * alone, rel=1e-12)


def test_a_teacher_can_be_explained_and_saved(tmp_path: Path) -> None:
    run = a_run()
    traced = str(ts.explain(ts.estimate(run), "cost.pretrain.teacher"))
    assert "phases.pretrain.tokens" in traced
    assert "price.usd_per_gpu_hour" in traced
    run.save(tmp_path / "run.toml")
    assert ts.load(tmp_path / "run.toml") == run
    assert any("llama3-8b" in note for note in ts.estimate(run).notes)
    compared = ts.compare(run, a_run(None))
    assert isinstance(compared, Comparison)
    assert compared.ratio == pytest.approx(compared["work per token"], rel=1e-12)


def test_efficiencies_that_model_only_the_student_refuse_a_teacher() -> None:
    modelled = ts.Modelled(stack=ts.catalog.stack("deepseek-2024"))
    with refused(EstimateError, "unsupported", "phases.pretrain.teacher"):
        ts.estimate(a_run(plan=ts.Plan(), batch=64, efficiency=modelled))
    recipe = Reinforcement(
        steps=10, prompts=8, samples=4, prefill_mfu=0.4, learning_mfu=0.2, sync_seconds=1,
        responses=Responses(prompt=100, start=100, end=100, spread=0.5, maximum=1000),
        engine=Engine(gpus=1, bandwidth_share=0.5, compute_share=0.3, step_overhead_seconds=0.01, max_batch=64),
    )  # fmt: skip
    with refused(EstimateError, "unsupported", "phases.pretrain.teacher"):
        ts.estimate(a_run(efficiency=Rollouts(recipe=recipe)))


def test_the_published_hours_of_logits() -> None:
    """86,000 hours for the logits of Llama 3.2: a pass of the smaller teacher over all tokens takes these hours at 50 % MFU, one of the
    larger would need 440 %.
    """
    row = find("runs", "llama3.2-3b")
    chip = Cluster(chip=ts.catalog.chip(row["chip"]), gpus=8).chip
    seconds = row["logits_gpu_hours"] * SECONDS_PER_HOUR
    shares = []
    for name in row["teachers"]:
        run = a_run(ts.catalog.model(name), tokens=row["tokens"]).replace({"phases.pretrain.seq_len": float(row["seq_len"])})
        shares.append(ts.estimate(run).flops.part("pretrain.teacher").total / (seconds * chip.peak_of("bf16")))
    assert shares == pytest.approx([0.504, 4.40], rel=0.01)
    assert shares[0] < 1.0 < shares[1]
