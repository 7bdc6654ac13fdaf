"""Files of measured steps: the source is a column, and no row is excluded because of its time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trainsim.calibration.readers.iteration_times import PUBLISHER
from trainsim.calibration.readers.measured_steps import read_steps
from trainsim.testing.tables import table_of
from trainsim.validation.step_backtest import step_backtest

DENSE = {
    "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128,
    "intermediate_size": 14336, "vocab_size": 128256, "tie_word_embeddings": False, "gated_mlp": True,
}  # fmt: skip
SHAPES = [(8, 8, 1, 1024, 16, layers, 1024, 8, 1, 1, 100.0 * layers) for layers in (4, 8, 16)]
EXCLUDED = (  # type: ignore[var-annotated]
    ("Somebody (tokendrop): a run", {}),
    ("Somebody: a run with a cell of two values", {"precision": "FP8-CS (FP8-MX)"}),
    ("Somebody: rows", {"precision": "fp8 rowwise"}),
)
"""Rows that are excluded by their name or their note."""


def row(**changed: Any) -> dict[str, Any]:
    """A published row with changed fields; fields of the layout are given by their own names."""
    parallel = {"tp": 4, "pp": 4, "dp": 4, "vpp": 2, "microbatch": 1, "zero": "ZeRO-1"}
    parallel |= {name: changed.pop(name) for name in list(changed) if name in parallel}
    whole = {
        "id": 1, "name": "Somebody: a run", "date": "2024-05", "gpu": "H100-SXM", "n_gpus": 64, "seq_len": 4096, "precision": "bf16",
        "global_batch_tokens": 4096 * 256, "architecture": DENSE, "iteration_time_s_reported": 2.0,
    }  # fmt: skip
    return {**whole, **changed, "parallelism": parallel}


def test_the_same_table_under_another_name_has_the_same_forecasts(tmp_path: Path) -> None:
    one, other = (step_backtest(table_of(tmp_path / name, SHAPES)).forecasts for name in ("a100_single_node.csv", "renamed.csv"))
    assert [(f.modelled, f.low, f.mid, f.high) for f in one] == [(f.modelled, f.low, f.mid, f.high) for f in other]
    assert {f.step.source for f in one} == {PUBLISHER}
    assert all(f.step.assumed for f in one)


def test_a_column_says_whose_rows_they_are(tmp_path: Path) -> None:
    file = table_of(tmp_path / "rows.csv", SHAPES)
    head, *lines = file.read_text(encoding="utf-8").splitlines()
    file.write_text("\n".join([f"{head},source", *(f"{line},mine" for line in lines)]) + "\n", encoding="utf-8")
    steps = read_steps(file)
    assert {(s.source, s.assumed) for s in steps} == {("mine", "")}
    published = tmp_path / "rows.json"
    published.write_text(json.dumps([row(), row(source="theirs")]), encoding="utf-8")
    assert [s.source for s in read_steps(published)] == ["Somebody", "theirs"]


def written(file: Path, rows: list[dict[str, Any]]) -> Path:
    file.write_text(json.dumps({"runs": rows}), encoding="utf-8")
    return file


def test_rows_are_excluded_by_their_metadata_never_by_their_time(tmp_path: Path) -> None:
    """The same rows are excluded for the same reasons, whatever their seconds."""
    rows = [
        row(id=i, name=f"Somebody: 25.{i % 4 + 8:02d} run", date=f"2025-{i % 4 + 8:02d}", tp=2 ** (i % 3), dp=16 // 2 ** (i % 3))
        for i in range(24)
    ]
    rows += [row(id=100 + i, name=name, **changed) for i, (name, changed) in enumerate(EXCLUDED)]
    seconds = [0.5 * 1.4**i for i in range(len(rows))]  # very different, so that any rule that compares times would exclude some
    found = []
    for seed in range(4):
        shuffled = np.random.default_rng(seed).permutation(seconds).tolist()
        told = [{**each, "iteration_time_s_reported": t} for each, t in zip(rows, shuffled, strict=True)]
        found.append([(s.id, s.exclusion_reason, s.not_modelled) for s in read_steps(written(tmp_path / f"{seed}.json", told))])
    assert all(each == found[0] for each in found)
    assert [doubt != "" for _, doubt, _ in found[0]] == [False] * 24 + [True] * len(EXCLUDED)


@pytest.mark.parametrize(
    ("words", "schedules", "stages"),
    [
        ("1F1B", {"1f1b"}, {1}),
        ("1f1b", {"1f1b"}, {1}),
        ("Interleaved 1F1B", {"interleaved"}, {2, 4, 8}),
        ("interleaved", {"interleaved"}, {2, 4, 8}),
    ],
)
def test_schedule_names_in_the_column_of_virtual_stages(tmp_path: Path, words: str, schedules: set[str], stages: set[int]) -> None:
    (step,) = read_steps(written(tmp_path / "rows.json", [row(vpp=words)]))
    assert {each.schedule for each in step.candidates} == schedules
    assert {each.layout.vpp for each in step.candidates if each.layout is not None} == stages


def test_a_name_of_no_schedule_is_refused(tmp_path: Path) -> None:
    (step,) = read_steps(written(tmp_path / "rows.json", [row(vpp="widdershins")]))
    assert "parallelism.vpp" in step.not_modelled
