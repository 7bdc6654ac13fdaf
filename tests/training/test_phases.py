"""Phases: a batch that grows is a schedule of stretches, and steps, time and tokens follow it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import trainsim as ts

stretches = st.lists(st.tuples(st.floats(1e9, 1e12), st.integers(1, 1 << 14).map(float)), min_size=1, max_size=6)


@given(stretches, st.floats(128, 65536))
def test_the_stretches_of_a_ramp_contain_every_token_once(schedule: list[tuple[float, float]], seq_len: float) -> None:
    tokens = sum(t for t, _ in schedule)
    phase = ts.Phase("p", tokens=tokens, seq_len=seq_len, batch=schedule)
    assert sum(float(t) for t, _ in phase.stretches) == pytest.approx(tokens, rel=1e-12)
    assert phase.batch == schedule[-1][1]
    by_hand = sum(t / (b * seq_len) for t, b in schedule)
    assert phase.steps == pytest.approx(by_hand, rel=1e-6)


@given(st.lists(st.floats(1e9, 1e12), min_size=1, max_size=4), st.integers(1, 4096).map(float))
def test_a_ramp_of_constant_batch_equals_no_ramp(tokens: list[float], batch: float) -> None:
    level = ts.Phase("p", tokens=sum(tokens), seq_len=4096, batch=[(t, batch) for t in tokens])
    assert level.steps == pytest.approx(float(ts.Phase("p", tokens=sum(tokens), seq_len=4096, batch=batch).steps or 0.0), rel=1e-9)


def modelled(**phase: Any) -> ts.Run:
    return ts.Run(
        model=ts.catalog.model("llama3-70b"),
        cluster=ts.catalog.cluster("hgx-h100", 64),
        phases=[ts.Phase("pretrain", tokens=1e12, seq_len=8192, **phase)],
        plan=ts.Plan(tp=4, pp=8, zero=1, sequence_parallel="on"),
        efficiency=ts.Modelled(stack=ts.catalog.stack("mcore-hopper")),
        reliability=ts.Goodput(0.95),
        price=ts.Rental(usd_per_gpu_hour=2.0),
    )


def hours(**phase: Any) -> float:
    return float(np.asarray(ts.estimate(modelled(**phase)).busy_gpu_hours))


def test_modelled_hours_are_those_of_the_stretches() -> None:
    """The hours are those of each stretch, weighted by its tokens; small batches have a larger bubble, so a ramp takes longer."""
    ramped = hours(batch=[(2e11, 16), (3e11, 64), (5e11, 128)])
    alone = {b: hours(batch=b) for b in (16, 64, 128)}
    assert ramped == pytest.approx(0.2 * alone[16] + 0.3 * alone[64] + 0.5 * alone[128], rel=1e-12)
    assert ramped > alone[128]


def test_a_ramp_changes_neither_reported_hours_nor_work() -> None:
    told = ts.catalog.run("llama3.1-405b")
    ramped = told.replace({"phases.pretrain.ramp": ((2.52e11, 1024.0), (2.87e12, 1024.0))})
    assert float(ts.estimate(ramped).gpu_hours) == float(ts.estimate(told).gpu_hours)
    assert float(np.asarray(ts.estimate(ramped).flops.total)) == float(np.asarray(ts.estimate(told).flops.total))
    assert float(ramped.phases[0].steps or 0.0) > float(told.phases[0].steps or 0.0)


def test_a_batch_schedule_survives_a_file_and_takes_beliefs(tmp_path: Path) -> None:
    run = modelled(batch=[(2e11, 64), (8e11, 128)])
    run.save(tmp_path / "run.toml")
    assert ts.load(tmp_path / "run.toml") == run
    sim = ts.simulate(run, ts.Beliefs({"phases.pretrain.tokens": ts.ci90(0.9e12, 1.1e12)}), n=64, seed=1)
    assert 0 < float(sim.quantile("busy_gpu_hours", 0.5)) < 1e9
    more = run.replace({"phases.pretrain.tokens": 2e12})
    assert more.phases[0].stretches[-1] == (1.8e12, 128.0), "what comes on top is trained at the last batch"


@pytest.mark.parametrize(
    ("fields", "path", "word"),
    [
        ({"batch": [(1e12, 0)]}, "batch", "positive numbers"),
        ({"batch": [(1e12,)]}, "batch", "not a batch schedule"),
        ({"batch": [1, 2]}, "batch", "not a batch schedule"),
        ({"batch": [(1e11, 64), (1e11, 128)]}, "batch", "does not add up"),
        ({"ramp": [(1e12, 64)], "batch": 128}, "ramp", "at least as many as the phase has"),
        ({"ramp": [(1e11, 64)]}, "batch", "required after a ramp"),
        ({"ramp": [(1e11, 64)], "batch": [(1e12, 64)]}, "ramp", "give ramp"),
    ],
)
def test_bad_input(fields: dict[str, Any], path: str, word: str) -> None:
    with pytest.raises(ts.TrainsimError) as caught:
        ts.Phase("p", tokens=1e12, seq_len=4096, **fields)
    assert path in caught.value.path
    assert word in f"{caught.value.rule}; {caught.value.remedy}"
