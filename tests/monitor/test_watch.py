"""A watch over a training loop: measured steps, predictions, projection, warnings, and the CSV file."""

from __future__ import annotations

import csv
import itertools
import warnings
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import trainsim as ts
from trainsim.calibration.readers.logs import seconds_of
from trainsim.core.errors import EstimateError
from trainsim.monitor.trainer_callback import callback_class
from trainsim.monitor.watch import WARM_UP, StepWatch

RUN = ts.quick("7B", chip="h100", gpus=64, tokens="100B", price=2.5, goodput=0.95)
STEPS = 100e9 / (RUN.phases[0].batch * RUN.phases[0].seq_len)  # type: ignore[operator]
MODELLED = ts.laid_out(RUN, "2026-10")


def steady(watch: StepWatch, seconds: float, steps: int = 12) -> None:
    for i in range(steps):
        watch(seconds * (1.01 if i % 2 else 0.99))


@given(st.floats(1.0, 100.0))
def test_utilisation_is_flops_over_peak_in_every_convention(seconds: float) -> None:
    report = watch_quietly()(seconds)
    phase = RUN.phases[0]
    peak = 64 * float(RUN.cluster.chip.peak_of("bf16"))
    for name, mfu in report.mfu.items():
        flop = float(ts.flops_per_token(RUN.model, phase.seq_len, name).total) * phase.batch * phase.seq_len  # type: ignore[arg-type,operator]
        assert mfu == pytest.approx(flop / peak / seconds)


def watch_quietly(run: ts.Run = RUN, **options: Any) -> StepWatch:
    return ts.watch_steps(run, log=None, **options)


def test_the_prediction_is_that_of_the_run_under_beliefs() -> None:
    low, middle, high = watch_quietly().predicted
    believed = ts.catalog.beliefs(RUN)
    sim = ts.simulate(RUN, believed.without("reliability.goodput"), rtol=1e-2)
    hours = [float(q) for q in sim.quantile("busy_gpu_hours", [0.05, 0.5, 0.95])]
    assert [low, middle, high] == pytest.approx([3600 * h / 64 / STEPS for h in hours], rel=0.02)


def test_steps_decide_where_the_run_ends() -> None:
    watch = watch_quietly()
    before = watch.projection()
    steady(watch, 10.0)
    after = watch.projection()
    assert after.hours[1] == pytest.approx(10.0 * STEPS / 3600 / 0.95, rel=0.01)
    assert after.cost[1] == pytest.approx(after.hours[1] * 64 * 2.5, rel=0.01)
    assert after.hours[2] - after.hours[0] < before.hours[2] - before.hours[0]
    assert (after.finish[1] - watch.began).total_seconds() == pytest.approx(3600 * after.hours[1], abs=1)


def test_a_warning_for_each_time_steps_leave_their_interval() -> None:
    watch = watch_quietly()
    low, middle, high = watch.predicted
    usual, slow, fast = middle, 2 * high, low / 2
    for seconds in (slow,) * WARM_UP + (usual,) * 3:
        watch(seconds)
    with pytest.warns(ts.TrainsimWarning, match="above"):
        watch(slow)
    watch(slow)  # warned before: another warning would be an error here
    watch(usual)
    with pytest.warns(ts.TrainsimWarning, match="below"):
        watch(fast)


def test_the_clock_runs_from_call_to_call_and_pauses_are_left_out() -> None:
    ticks = itertools.count(step=5.0)
    watch = watch_quietly()
    watch.clock = lambda: next(ticks)
    watch.start()  # 0
    assert watch().seconds == 5.0
    next(ticks)  # an evaluation
    watch.start()
    assert watch().seconds == 5.0
    with pytest.raises(EstimateError):
        watch_quietly()()


def test_the_csv_has_a_line_a_step_and_calibrates_the_run(tmp_path: Path) -> None:
    path = tmp_path / "steps.csv"
    watch = watch_quietly(MODELLED, csv=path)
    measured = 1.3 * watch.predicted[1]
    with pytest.warns(ts.TrainsimWarning):
        steady(watch, measured)
    rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
    assert [float(row["seconds"]) for row in rows] == pytest.approx(watch.seconds, rel=1e-4)
    found = ts.calibrate(path, MODELLED)
    again = watch_quietly(MODELLED, beliefs=found.beliefs)
    assert again.predicted[0] < measured < again.predicted[2]
    assert again.predicted[2] / again.predicted[0] < watch.predicted[2] / watch.predicted[0]


@pytest.mark.parametrize("seconds", [14.0, 0.25, 1.5e-5, 123456.0])
def test_any_seconds_come_back_out_of_the_csv(seconds: float, tmp_path: Path) -> None:
    watch = watch_quietly(csv=tmp_path / "steps.csv")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        steady(watch, seconds)
    assert seconds_of(tmp_path / "steps.csv", 1.0) == pytest.approx(watch.seconds[2:], rel=1e-4)


def test_a_log_gets_a_line_every_so_many_steps() -> None:
    lines: list[str] = []
    watch = ts.watch_steps(RUN, log=lines.append, every=4)
    steady(watch, watch.predicted[1], 9)
    assert [line.partition(":")[0] for line in lines] == ["step 4", "step 8"]
    assert all(word in lines[-1] for word in ("predicted", "MFU", "6nd", "$", "done"))


def test_a_phase_that_is_not_there_or_has_no_batch_is_refused() -> None:
    with pytest.raises(EstimateError):
        ts.watch_steps(RUN, phase="post-train")
    with pytest.raises(EstimateError):
        ts.watch_steps(RUN.replace({"phases.pretrain.batch": None}))


def test_a_trainers_events_drive_the_watch() -> None:
    callback = callback_class(object)(watch_quietly())
    ticks = itertools.count(step=8.0)
    callback.watch.clock = lambda: next(ticks)
    nothing = (None, None, None)
    callback.on_train_begin(*nothing)
    for _ in range(3):
        callback.on_step_end(*nothing)
    callback.on_evaluate(*nothing)
    callback.on_step_end(*nothing)
    logs: dict[str, Any] = {"loss": 2.0}
    callback.on_log(*nothing, logs=logs)
    callback.on_train_end(*nothing)
    assert callback.watch.seconds == [8.0] * 4
    assert logs["step_seconds"] == 8.0
    assert logs["mfu"] == callback.last.mfu["causal"]
