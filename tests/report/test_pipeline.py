"""The picture of a pipeline shows every pass, states its finding, and refuses timelines that it can't show."""

from pathlib import Path

import numpy as np
import pytest

import trainsim as ts
from trainsim.core.errors import EstimateError
from trainsim.parallelism.schedules.bubble import bubble_seconds, times_by_stage
from trainsim.parallelism.schedules.discovery import schedules
from trainsim.parallelism.schedules.pipeline_time import busy_seconds
from trainsim.parallelism.schedules.schedule import Schedule
from trainsim.report.pictures.pipeline import finding
from trainsim.testing import refused
from trainsim.testing.schedules import virtual_stages

pytest.importorskip("matplotlib")
ONE = ts.Times(forward=np.ones(4), inputs=np.ones(4), weights=np.ones(4), pair=2.5 * np.ones(4))


@pytest.mark.parametrize("schedule", schedules().values(), ids=list(schedules()))
@pytest.mark.parametrize("sending", [0.0, 0.1])
def test_the_idle_time_of_a_timeline_equals_the_bubble(schedule: Schedule, sending: float) -> None:
    vpp = virtual_stages(schedule)[0]
    made = ts.pipeline_timeline(schedule, ONE, 16, 4, vpp, sending)
    busy = busy_seconds(schedule, times_by_stage(schedule, ONE, 4, vpp), 16, 4, vpp).max(axis=0)
    assert float(made.seconds) == pytest.approx(float(busy + bubble_seconds(schedule, ONE, 16, 4, vpp, sending)))
    stages = len(times_by_stage(schedule, ONE, 4, vpp).forward)
    assert sum(part.letter == "F" for bar in made.bars for part in bar.slot) == 16 * stages


def test_every_pass_is_drawn_and_numbered(tmp_path: Path) -> None:
    drawn = {name: ts.pipeline_timeline(name, ONE, 8, 4) for name in ("1f1b", "dualpipe")}
    path = ts.draw_timelines(drawn, tmp_path / "two.svg")
    text = path.read_text(encoding="utf-8")
    sooner = 1 - float(drawn["dualpipe"].seconds) / float(drawn["1f1b"].seconds)
    assert finding(drawn) == f"dualpipe is done {100 * sooner:.0f} % sooner than 1f1b"
    bars = sum(len(bar.slot) for made in drawn.values() for bar in made.bars)
    assert text.count("<path d=") >= bars
    assert ts.draw_timelines({"alone": drawn["1f1b"]}, tmp_path / "one.png", title="told").stat().st_size > 10_000


def test_many_draws_are_refused(tmp_path: Path) -> None:
    many = ts.Times(*(np.ones((4, 3)) for _ in range(3)))
    with refused(EstimateError, "not-scalar", "many"):
        ts.draw_timelines({"many": ts.pipeline_timeline("1f1b", many, 8, 4)}, tmp_path / "no.png")
