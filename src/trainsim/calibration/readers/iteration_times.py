"""Read CSV files of iteration times: one configuration of a GPT model under Megatron-LM on A100 machines per row."""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import prod
from typing import ClassVar

from ...catalog.hardware import cluster as cluster_named
from ...catalog.models import from_sizes
from ...core.errors import SpecError
from ...core.reading import parse_table
from ...core.values import to_float, to_int
from ...parallelism.layout import Layout
from ...parallelism.precision import recipe_of
from ..records import MeasuredStep
from .measured_steps import StepTable

DEGREES = ("tensor parallelism", "data parallelism", "pipeline parallelism")
COUNTS = ("gpus", *DEGREES, "hidden size", "attention heads", "layers")
COLUMNS = (*COUNTS, "global batch", "micro batch", "sequence length", "iteration time (ms)")
"""Required columns, in lower case and without a leading #; all are numbers."""
PUBLISHER = "vTrain"
"""Source of a table without a ``source`` column: the publisher of this format (Bang et al., MICRO 2024)."""
LAYERS = ("hidden size", "attention heads", "sequence length", "tensor parallelism", "micro batch")
"""Columns that determine the work of a micro-batch in one layer."""
SEVERAL_NODES_LINK = 12.5e9
"""Bandwidth between nodes per accelerator [B/s]: four 200 Gb/s cards for eight accelerators."""
ONE_NODE_VOCABULARY = 50257
"""Vocabulary of rows on one node: the default of the publishing repository (vTrain, src/config.py), unpadded."""
SEVERAL_NODES_VOCABULARY = 51200
"""Vocabulary of rows on several nodes, whose models are those of Narayanan et al. 2021 (arXiv:2104.04473), table 1."""


class IterationTimes(StepTable):
    """A ``.csv`` file of iteration times."""

    ending: ClassVar[str] = ".csv"

    def steps(self, text: str, name: str) -> list[MeasuredStep]:
        """One step per row; a row that can't be read carries the reason."""
        found: list[MeasuredStep] = []
        for i, (_, cells) in enumerate(parse_table(text, name)):
            named = next((cell.strip() for column, cell in cells.items() if column and column.lstrip("# ").lower() == "source"), "")
            source = named or PUBLISHER
            assumed = "" if named else f"no column source: assumed {PUBLISHER}"
            try:
                found.append(_step(source, i, numbers_of(cells), assumed))
            except SpecError as error:
                found.append(MeasuredStep(f"{source}:{i}", f"{source}:{i}", source, source, 0.0, source, not_modelled=str(error)))
        return found


def numbers_of(row: Mapping[str, str]) -> dict[str, float]:
    """The numbers of a row, by column.

    Raises:
        SpecError: a required column has no number above 0, or the degrees are inconsistent.

    >>> numbers_of({"# GPUs": "8"})
    Traceback (most recent call last):
    trainsim.core.errors.SpecError: tensor parallelism=None: is missing; give one in every row
    """
    cells = {name.lstrip("# ").lower(): cell for name, cell in row.items() if name}
    for name in COLUMNS:
        if name not in cells:
            raise SpecError(name, None, "is missing", "give one in every row", "missing")
    numbers = {name: number for name, cell in cells.items() if (number := _number(cell)) is not None}
    numbers |= {
        name: float(to_int(cells[name], name, least=1)) if name in COUNTS else to_float(cells[name], name, above=0.0) for name in COLUMNS
    }
    gpus, tp, heads, layers = (int(numbers[name]) for name in ("gpus", "tensor parallelism", "attention heads", "layers"))
    product = int(prod(numbers[name] for name in DEGREES))
    if product != gpus:
        raise SpecError(
            "gpus", gpus, f"is not the product of tensor, data and pipeline parallelism, {product}", "correct the row", "conflict"
        )
    if heads % tp:
        raise SpecError("tensor parallelism", tp, f"does not divide attention heads={heads}", "correct the row", "conflict")
    if (pp := int(numbers["pipeline parallelism"])) > layers:
        raise SpecError("pipeline parallelism", pp, f"is above the model's {layers} layers", "correct the row", "out-of-bounds")
    return numbers


def _number(cell: str) -> float | None:
    """A cell as a number; columns that are not required still distinguish configurations."""
    try:
        return to_float(cell, "cell")
    except SpecError:
        return None


def _step(source: str, i: int, numbers: Mapping[str, float], assumed: str) -> MeasuredStep:
    """A row as a measured step."""
    gpus, tp, dp, pp, hidden = (int(numbers[name]) for name in ("gpus", *DEGREES, "hidden size"))
    seconds, seq = numbers["iteration time (ms)"] / 1e3, numbers["sequence length"]
    several = gpus > cluster_named("dgx-a100", 8).domain
    vocabulary = SEVERAL_NODES_VOCABULARY if several else ONE_NODE_VOCABULARY
    layers = int(numbers["layers"])
    sizes = {
        "hidden": hidden, "heads": int(numbers["attention heads"]), "ffn": 4 * hidden, "layers": layers,
        "vocab": vocabulary, "gated": False, "tied": True, "biases": True,
    }  # fmt: skip
    layout = Layout(
        gpus=float(gpus), tp=float(tp), dp=float(dp), ep=1.0, cp=1.0, micro_batch=numbers["micro batch"], pp=pp, vpp=1,
        sequence_split=1.0, seq_len=seq, recomputed=frozenset({"full"}), loss="vocab-parallel",
        recipe=recipe_of("fp16"),
    )  # fmt: skip
    group = "A100 several nodes" if several else "A100 one node"
    cluster = cluster_named("dgx-a100", gpus)
    cluster = cluster.replace({"scale_out.bandwidth": SEVERAL_NODES_LINK}) if several else cluster
    return MeasuredStep(
        id=f"{source}:{i}", name=f"{source} {hidden}x{layers} tp{tp} dp{dp} pp{pp}", source=source, group=group, seconds=seconds,
        key=json.dumps({k: v for k, v in sorted(numbers.items()) if "time" not in k}),
        model=from_sizes("gpt", sizes), layout=layout, batch=numbers["global batch"], cluster=cluster,
        stack="megatron-2021", layers=json.dumps([numbers[name] for name in LAYERS]), assumed=assumed,
    )  # fmt: skip
