"""Measured steps: rows of a file of published steps as runs the library can model."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ...catalog.hardware import cluster as cluster_named
from ...catalog.models import from_sizes
from ...core.errors import SpecError
from ...parallelism.precision import recipe_of
from ...step.layers import Layout
from ..records import MeasuredStep
from .iteration_times import DEGREES, numbers_of
from .published_steps import published_step

SUPERSEDED = 1.4
"""A row that a later patch of the same configuration beats by this factor is a class of its own: a regression that was mended."""
LAYERS = ("hidden size", "attention heads", "sequence length", "tensor parallelism", "micro batch")
"""Columns that say what a micro-batch asks of a chip in one layer."""
SEVERAL_NODES_LINK = 12.5e9
"""Bytes per second and accelerator between the nodes of the A100 iteration times: four 200 Gb/s cards for eight."""
ONE_NODE_VOCABULARY = 50257
"""Vocabulary of the one-node iteration times: the default of the repository that published them (vTrain, src/config.py), unpadded."""
SEVERAL_NODES_VOCABULARY = 51200
"""Vocabulary of the others, whose models are those of Narayanan et al. 2021 (arXiv:2104.04473), table 1."""


def read_steps(path: str | Path) -> list[MeasuredStep]:
    """The rows of a file of published steps, those that can't be modelled among them with the reason.

    Args:
        path: a JSON file with a list ``runs``, or a CSV file of iteration times with one configuration a row.

    Raises:
        SpecError: no such file, or a file of neither shape.
    """
    file = Path(path)
    if not file.is_file():
        raise SpecError(
            "rows", str(path), "is no file", "give a .json file with a list 'runs', or a .csv file of iteration times", "not-found"
        )
    if file.suffix == ".csv":
        with file.open(encoding="utf-8", newline="") as lines:
            return [_from_csv(file.stem, i, row) for i, row in enumerate(csv.DictReader(lines))]
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
        runs = data["runs"] if isinstance(data, dict) else data
    except (json.JSONDecodeError, KeyError, UnicodeDecodeError) as error:
        raise SpecError("rows", str(path), f"holds no list 'runs' ({error})", "give a file of the shape of runs.json", "missing") from None
    return _judged([published_step(row) for row in runs if isinstance(row, dict)])


def _judged(steps: Sequence[MeasuredStep]) -> list[MeasuredStep]:
    """Rows that a later patch of the same configuration supersedes, marked."""
    fastest: dict[str, float] = {}
    for step in steps:
        if step.seconds > 0:
            fastest[step.key] = min(fastest.get(step.key, step.seconds), step.seconds)
    marked = []
    for step in steps:
        beaten = step.seconds > SUPERSEDED * fastest.get(step.key, step.seconds)
        marked.append(replace(step, doubt=step.doubt or "superseded by another release of the same configuration") if beaten else step)
    return marked


# iteration times in CSV --------------------------------------------------------------------------------------------------


def _from_csv(stem: str, i: int, row: Mapping[str, str]) -> MeasuredStep:
    """A row of the A100 iteration times: GPT models under Megatron-LM."""
    numbers, why = numbers_of(row)
    if why:
        return MeasuredStep(f"{stem}:{i}", f"{stem}:{i}", stem, stem, 0.0, stem, why=why)
    gpus, tp, dp, pp, hidden = (int(numbers[name]) for name in ("gpus", *DEGREES, "hidden size"))
    seconds, seq = numbers["iteration time (ms)"] / 1e3, numbers["sequence length"]
    several = gpus > cluster_named("dgx-a100", 8).domain
    vocabulary = SEVERAL_NODES_VOCABULARY if several else ONE_NODE_VOCABULARY
    layers = int(numbers["layers"])
    sizes = {
        "hidden": hidden, "heads": int(numbers["attention heads"]), "ffn": 4 * hidden, "layers": layers,
        "vocab": vocabulary, "gated": False, "tied": True,
    }  # fmt: skip
    layout = Layout(
        gpus=float(gpus), tp=float(tp), dp=float(dp), ep=1.0, cp=1.0, micro_batch=numbers["micro batch"], pp=pp, vpp=1,
        sequence_split=1.0, seq_len=seq, again=frozenset({"full"}), loss="vocab-parallel",
        recipe=recipe_of("fp16"),
    )  # fmt: skip
    group = "A100 several nodes" if several else "A100 one node"
    cluster = cluster_named("dgx-a100", gpus)
    cluster = cluster.replace({"scale_out.bandwidth": SEVERAL_NODES_LINK}) if several else cluster
    return MeasuredStep(
        id=f"{stem}:{i}", name=f"{stem} {hidden}x{layers} tp{tp} dp{dp} pp{pp}", source=stem, group=group, seconds=seconds,
        key=json.dumps({k: v for k, v in sorted(numbers.items()) if "time" not in k}),
        model=from_sizes("gpt", sizes), layout=layout, batch=numbers["global batch"], cluster=cluster,
        stack="megatron-2021", layers=json.dumps([numbers[name] for name in LAYERS]),
    )  # fmt: skip
