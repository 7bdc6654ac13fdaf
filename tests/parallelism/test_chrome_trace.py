"""A timeline as a Chrome trace: its events are the timeline's slots."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from trainsim.core.errors import SpecError
from trainsim.parallelism.schedules.bubble import pipeline_timeline
from trainsim.parallelism.schedules.events import Times


@pytest.mark.parametrize("schedule", ["1f1b", "zero-bubble", "dualpipe"])
def test_every_slot_is_one_event(tmp_path: Path, schedule: str) -> None:
    one = np.array([1.0])
    made = pipeline_timeline(schedule, Times(one, one, 0.5 * one), 8, pp=4)
    events = json.loads(made.to_chrome_trace(tmp_path / "t.json").read_text())["traceEvents"]
    slots = [e for e in events if e["ph"] == "X"]
    assert len(slots) == len(made.bars)
    for event, bar in zip(slots, made.bars, strict=True):
        assert (event["name"], event["tid"]) == (bar.label, bar.rank)
        assert event["ts"] == pytest.approx(1e6 * float(np.asarray(bar.start).item()))
        assert event["ts"] + event["dur"] == pytest.approx(1e6 * float(np.asarray(bar.end).item()))
        assert event["cname"]
    assert {e["args"]["name"] for e in events if e["name"] == "thread_name"} == {f"rank {rank}" for rank in range(4)}


def test_a_timeline_of_draws_cannot_be_written(tmp_path: Path) -> None:
    many = np.ones((1, 3))
    with pytest.raises(SpecError):
        pipeline_timeline("1f1b", Times(many, many, many), 8, pp=4).to_chrome_trace(tmp_path / "t.json")
