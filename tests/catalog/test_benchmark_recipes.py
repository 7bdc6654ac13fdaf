"""Recipes of published benchmarks: all rows can be read, and the nearest recipe is found."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

import trainsim as ts
from trainsim.catalog.benchmark_recipes import DEGREES, Launch, _rows, launch_of
from trainsim.frameworks.megatron_flags.modules import captured_parts

V3 = {"tp": 1, "pp": 4, "cp": 1, "vpp": 4, "ep": 64, "micro_batch": 1}


def of(
    release: str, *, model: str = "deepseek-v3", chip: str = "GB200", precision: str = "mxfp8", batch: float = 4096, **changed: Any
) -> Any:
    return launch_of(ts.catalog.model(model), chip, precision, batch, release, {**V3, **changed})


@pytest.mark.parametrize("row", _rows(), ids=lambda row: f"{row['model']}-{row['chip']}-{row['precision']}-{row['since']}-{row['batch']}")
def test_each_recipe_is_found_for_its_own_layout(row: dict[str, str]) -> None:
    layout = {name: float(row[name]) for name in DEGREES}
    model = ts.catalog.model(row["model"])
    found = launch_of(model, row["chip"], row["precision"], float(row["batch"]), row["since"], layout)
    assert found is not None
    assert found.dispatcher == {"": None, "alltoall": "alltoall"}.get(row["dispatcher"], "fused")
    assert (found.expert_overlap == "on") == (row["expert_overlap"] == "on")
    assert bool(found.graphs) == bool(row["graphs"])
    assert bool(found.recompute) == bool(row["recompute"])
    parts = {name for entry in model.table.entries for name in entry.path}
    assert {part.split(".")[0] for part in found.graphs | found.recompute} <= parts | {"step", "full"}


def test_the_same_release_is_preferred_then_the_newest_before_it() -> None:
    graphs = {"attention", "router"}
    assert of("26.02").graphs == of("26.03").graphs == of("26.04.01").graphs == graphs
    assert of("26.06").graphs == of("27.12").graphs == {"step"}
    assert of("25.01", batch=2048) == of("25.09", batch=2048)  # before every release: the oldest is taken


def test_a_recipe_of_another_layout_gives_no_recompute_settings() -> None:
    near = of("26.02", ep=32)
    assert near == replace(of("26.02"), recompute=frozenset(), layout="nearest")
    assert of("26.02").recompute == {"q_up", "kv_up"}


def test_a_recipe_is_chosen_by_layout_then_format_then_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    row = next(r for r in _rows() if r["model"] == "deepseek-v3" and r["chip"] == "GB200")
    like = {**row, **{name: str(value) for name, value in V3.items()}, "since": "26.02", "batch": "4096", "precision": "mxfp8"}
    others = [{"ep": "8"}, {"precision": "bf16"}, {"batch": "2048"}, {"since": "25.09"}]
    graphs = ["attn", "mlp", "moe", "moe_router"]
    for kept in range(4):  # each matches worse than the next
        rows = tuple(like | change | {"graphs": word} for change, word in zip(others[: kept + 1], graphs, strict=False))
        monkeypatch.setattr("trainsim.catalog.benchmark_recipes._rows", lambda rows=rows: rows[::-1])
        best = captured_parts([graphs[kept]])
        assert of("26.02").graphs == best


def test_the_number_of_recomputed_layers_is_read() -> None:
    layout = {"tp": 1, "pp": 1, "cp": 1, "vpp": 1, "ep": 1, "micro_batch": 1}
    found = launch_of(ts.catalog.model("llama3-8b"), "H100", "fp8", 128, "25.09", layout)
    assert found == Launch(None, "off", frozenset(), frozenset({"full"}), 5, "same")


def test_other_models_and_chips_have_no_recipe() -> None:
    assert of("26.02", model="mixtral-8x7b") is None
    assert of("26.02", chip="H20") is None
