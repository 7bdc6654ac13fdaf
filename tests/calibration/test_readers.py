"""Readers of measured steps: formats are discovered, and a user-defined format is one file."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from trainsim.calibration.readers.logs import WARM_UP, LogFormat, log_formats, seconds_of
from trainsim.calibration.readers.measured_steps import StepTable, read_steps, step_tables
from trainsim.core.errors import SkippedRow

LINES = {
    "MegatronLog": " iteration 10/ 100 | elapsed time per iteration (ms): {ms} | learning rate: 1.0E-04 |",
    "NemoLog": "global_step=3.0, train_step_timing in s={s}, consumed_samples=1",
    "BridgeLog": "Step Time : {s}s GPU utilization: 400.0MODEL_TFLOP/s/GPU",
    "TorchtitanLog": "step: 10  loss: 7.0  memory: 40.0GiB  tps: {tps}  mfu: 40.0%",
    "WatchCsv": "trainsim,4,{s},9.1,9.6,10.2,0.38",
}
"""A line of every format, with placeholders for seconds, milliseconds, and tokens per second and accelerator."""
TOKENS = 8192.0


def written(kind: str, seconds: list[float]) -> str:
    return "\n".join(LINES[kind].format(s=f"{s:.6f}", ms=f"{1e3 * s:.3f}", tps=f"{TOKENS / s:.6f}") for s in seconds)


def test_every_format_of_logs_has_a_line_here() -> None:
    assert {type(one).__name__ for one in log_formats()} == set(LINES)
    assert {type(one).__name__ for one in step_tables()} == {"PublishedRuns", "IterationTimes"}


@pytest.mark.parametrize("kind", sorted(LINES))
def test_a_log_gives_the_seconds_that_were_written_after_the_first_ones(kind: str, tmp_path: Path) -> None:
    seconds = [90.0, 80.0, 9.5, 9.625, 9.75]
    (tmp_path / "log.txt").write_text(written(kind, seconds), encoding="utf-8")
    assert seconds_of(tmp_path / "log.txt", TOKENS) == pytest.approx(seconds[WARM_UP:], rel=1e-6)


def test_a_bad_line_of_many_is_reported_and_the_others_are_read(tmp_path: Path) -> None:
    text = written("MegatronLog", [9.0, 9.0, 9.5]) + "\n" + LINES["MegatronLog"].format(ms=",") + "\n" + written("MegatronLog", [9.75])
    (tmp_path / "log.txt").write_bytes(text.encode() + b"\xff")
    with pytest.warns(SkippedRow, match="number 4"):
        assert seconds_of(tmp_path / "log.txt", TOKENS) == pytest.approx([9.5, 9.75])


def test_a_bad_row_has_a_reason_and_the_others_are_read(tmp_path: Path) -> None:
    head = "# GPUs,tensor parallelism,data parallelism,pipeline parallelism,global batch,micro batch,hidden size,attention heads,"
    head += "layers,sequence length,iteration time (ms)"
    rows = ["8,8,1,1,64,1,4096,32,32,2048,9000", "inf,8,1,1,64,1,4096,32,32,2048,9000", "8,8,1,1,64,1,4096,32,32,2048,", "16,8,2"]
    (tmp_path / "rows.csv").write_text("\n".join([head, *rows]), encoding="utf-8")
    steps = read_steps(tmp_path / "rows.csv")
    assert [bool(step.not_modelled) for step in steps] == [False, True, True, True]
    assert "gpus" in steps[1].not_modelled
    assert "iteration time" in steps[2].not_modelled
    runs = [{"name": "a", "parallelism": 5}, {"name": "b", "architecture": []}, {"name": "c"}, 7]
    (tmp_path / "rows.json").write_text(json.dumps({"runs": runs}), encoding="utf-8")
    assert [(step.name, bool(step.not_modelled)) for step in read_steps(tmp_path / "rows.json")] == [("a", True), ("b", True), ("c", True)]


OWN = '''
"""Two formats of one's own, in one file."""
from typing import ClassVar
from trainsim.calibration.readers.logs import NUMBER, LogFormat
from trainsim.calibration.readers.measured_steps import StepTable
from trainsim.calibration.records import MeasuredStep


class MyLog(LogFormat):
    framework: ClassVar[str] = "mine"
    pattern: ClassVar[str] = rf"took {NUMBER} minutes"

    def seconds(self, number, tokens_per_gpu):
        return 60 * number


class MyTable(StepTable):
    ending: ClassVar[str] = ".tsv"

    def steps(self, text, name):
        return [MeasuredStep(line, line, name, name, 0.0, line, not_modelled="only an example") for line in text.splitlines()]
'''
USE = """
import trainsim as ts
import my_readers

run = ts.Run(model=ts.catalog.model("llama3-8b"), cluster=ts.catalog.cluster("hgx-h100", 64), plan=ts.Plan(zero=3),
    phases=[ts.Phase("p", tokens=1e12, seq_len=8192, batch=128)], efficiency=ts.Modelled(stack="mcore-hopper"))
narrowed = ts.calibrate("log.txt", run)
assert narrowed.steps == 1
assert abs(narrowed.after[1]) < 0.2, narrowed
found = ts.backtest(rows="rows.tsv")
assert [step.not_modelled for step in found.not_run] == ["only an example"] * 2, found.not_run
"""


def test_a_user_defined_format_is_one_file(tmp_path: Path) -> None:
    (tmp_path / "my_readers.py").write_text(OWN, encoding="utf-8")
    (tmp_path / "use.py").write_text(USE, encoding="utf-8")
    (tmp_path / "log.txt").write_text("step took 0.035 minutes\n" * 3, encoding="utf-8")
    (tmp_path / "rows.tsv").write_text("a\nb\n", encoding="utf-8")
    done = subprocess.run([sys.executable, "use.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_formats_are_classes_with_one_method_each() -> None:
    assert LogFormat.__abstractmethods__ == {"seconds"}
    assert StepTable.__abstractmethods__ == {"steps"}
