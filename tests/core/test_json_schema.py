"""The JSON Schemas accept the files that specs are saved as, and texts where numbers may be texts; they reject what loading rejects."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest

import trainsim as ts
from trainsim.cli.answers import schema_of
from trainsim.planning.quick_reinforcement import quick_reinforcement

jsonschema = pytest.importorskip("jsonschema")

PUBLISHED = ("deepseek-v3", "llama3.1-405b", "minimax-m1", "palm-540b", "gpt3-175b", "bloom-176b")
RUNS: dict[str, Callable[[], ts.Run]] = {
    **{name: partial(ts.catalog.run, name) for name in PUBLISHED},
    "quick": lambda: ts.quick("7B", chip="h100", gpus=64, tokens="1T"),
    "laid out": lambda: ts.with_layout(ts.quick("7B", chip="h100", gpus=8, tokens="1T", batch=64), "2026-10"),
    "reinforcement": lambda: quick_reinforcement("7B", chip="h100", gpus=8, steps=10, end=500),
}


@cache
def validator(kind: str) -> Any:
    schema = json.loads(schema_of(kind))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def saved(spec: Any, folder: Path) -> dict[str, Any]:
    spec.save(folder / "saved.toml")
    return tomllib.loads((folder / "saved.toml").read_text(encoding="utf-8"))


def problems(kind: str, data: Any) -> list[str]:
    return [f"{list(error.absolute_path)}: {error.message[:200]}" for error in validator(kind).iter_errors(data)]


@pytest.mark.parametrize("name", RUNS)
def test_the_file_of_a_run_is_valid(name: str, tmp_path: Path) -> None:
    assert problems("run", saved(RUNS[name](), tmp_path)) == []


@pytest.mark.parametrize("name", ts.catalog.claims())
def test_the_file_of_a_claim_is_valid(name: str, tmp_path: Path) -> None:
    assert problems("claim", saved(ts.catalog.claim(name), tmp_path)) == []


def test_the_file_of_beliefs_is_valid(tmp_path: Path) -> None:
    assert problems("beliefs", saved(ts.catalog.beliefs(ts.catalog.run("llama3.1-405b")), tmp_path)) == []


@pytest.mark.parametrize(
    ("path", "value", "valid"),
    [
        ("phases.pretrain.tokens", "2T", True), ("price", {"kind": "Rental", "usd_per_gpu_hour": "18 RMB/h"}, True),
        ("price", {"kind": "Rental", "usd_per_gpu_hours": 2.0}, False), ("price", {"kind": "Rent", "usd_per_gpu_hour": 2.0}, False),
        ("price", {"usd_per_gpu_hour": 2.0}, False), ("cluster.gpus", "many", False), ("clusters", {}, False),
        ("phases.pretrain.batches", 4.0, False), ("reliability", {"kind": "Goodput", "goodput": 1.5}, False),
    ],
)  # fmt: skip
def test_a_schema_rejects_what_the_library_rejects(path: str, value: Any, valid: bool, tmp_path: Path) -> None:  # noqa: FBT001
    data = saved(RUNS["quick"](), tmp_path)
    *heads, leaf = path.split(".")
    node = data
    for head in heads:
        node = node[head]
    node[leaf] = value
    assert (problems("run", data) == []) is valid


def test_a_schema_has_no_placeholders() -> None:
    assert all('"x-' not in schema_of(kind) for kind in ("run", "claim", "beliefs"))
