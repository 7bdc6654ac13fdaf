"""Launch settings of Megatron-Bridge's published benchmarks: its recipes set them, its result tables omit them."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from itertools import dropwhile
from typing import Literal

from ..cluster.stack import Dispatcher
from ..frameworks.megatron_flags.modules import captured_parts, recomputed_parts
from ..model.transformer import Model
from ..parallelism.plan import Switch
from .models import model as model_named
from .models import size_of

DEGREES = ("tp", "pp", "cp", "vpp", "ep", "micro_batch")
"""Columns of the CSV file that identify a layout."""


@dataclass(frozen=True)
class Launch:
    """Launch settings of a recipe, in addition to the parallel degrees, as fields of a plan.

    Args:
        dispatcher, expert_overlap, graphs: as in :class:`~trainsim.parallelism.plan.Plan`.
        recompute, recompute_layers: parts that the backward pass recomputes, and number of layers per stage; empty and None if only the
            recipe of another layout is known.
        layout: ``"same"`` if the recipe is of this layout, ``"nearest"`` if it is of another one.
    """

    dispatcher: Dispatcher | None
    expert_overlap: Switch
    graphs: frozenset[str]
    recompute: frozenset[str]
    recompute_layers: int | None
    layout: Literal["same", "nearest"]


def launch_of(model: Model, chip: str, precision: str, batch: float, release: str, layout: Mapping[str, float]) -> Launch | None:
    """Launch settings of a model's benchmark; None if no recipe of the model on this chip is known.

    Among the recipes of the model on the chip, those of the same layout are preferred, then the same number format, then the same batch.
    Ties go to the newest release at or before ``release``, else to the oldest after it. Recompute is taken only from a recipe of the same
    layout, since it depends on what fits in memory.

    Args:
        model: matched by its width, layers and experts.
        chip: name in the result tables: ``"GB200"``.
        precision: name of the number format's recipe.
        batch: sequences per step.
        release: release of the framework's container: ``"26.04"``.
        layout: ``tp``, ``pp``, ``cp``, ``vpp``, ``ep`` and ``micro_batch``.

    Source: Megatron-Bridge, ``scripts/performance/configs`` and ``perf_recipes`` (source ``megatron-bridge-recipes``).

    >>> from trainsim.catalog.models import model
    >>> degrees = {"tp": 1, "pp": 4, "cp": 1, "vpp": 4, "ep": 64, "micro_batch": 1}
    >>> launch_of(model("deepseek-v3"), "GB200", "mxfp8", 4096, "26.02", degrees).dispatcher
    'fused'
    """
    candidates = [row for row in _rows() if row["chip"] == chip and size_of(model_named(row["model"])) == size_of(model)]
    if not candidates:
        return None

    def match(row: Mapping[str, str]) -> tuple[bool, bool, bool, bool, tuple[int, ...]]:
        before, age = _release_order(release, row["since"])
        return _same_layout(row, layout), row["precision"] == precision, float(row["batch"]) == batch, before, age

    best = max(candidates, key=match)
    same = _same_layout(best, layout)
    words = best["recompute"].split() if same else []
    whole = [int(word.removeprefix(_WHOLE)) for word in words if word.startswith(_WHOLE)]
    parts = frozenset(recomputed_parts(word for word in words if not word.startswith(_WHOLE)))
    return Launch(
        dispatcher=_DISPATCHERS[best["dispatcher"]],
        expert_overlap="on" if best["expert_overlap"] == "on" else "off",
        graphs=captured_parts(best["graphs"].split()),
        recompute=parts | {"full"} if whole else parts,
        recompute_layers=whole[0] if whole else None,
        layout="same" if same else "nearest",
    )


_WHOLE = "full:"
"""Prefix of the number of layers per stage that are recomputed in full."""
_DISPATCHERS: dict[str, Dispatcher | None] = {"": None, "alltoall": "alltoall", "deepep": "fused", "hybridep": "fused"}


def _same_layout(row: Mapping[str, str], layout: Mapping[str, float]) -> bool:
    return all(float(row[name]) == layout[name] for name in DEGREES)


def _release_order(release: str, since: str) -> tuple[bool, tuple[int, ...]]:
    """Sort key of a row's release: rows at or before ``release`` first, and the nearest of them greatest."""
    own, there = (tuple(map(int, text.split("."))) for text in (release, since))
    return (True, there) if there <= own else (False, tuple(-part for part in there))


@lru_cache(maxsize=1)
def _rows() -> tuple[Mapping[str, str], ...]:
    text = (resources.files(__package__) / "data" / "benchmark_recipes.csv").read_text(encoding="utf-8")
    return tuple(csv.DictReader(dropwhile(lambda line: line.startswith("#"), text.splitlines())))
