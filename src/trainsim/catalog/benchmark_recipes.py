"""How published benchmarks of Megatron-Bridge were launched: what their recipes set and their tables of results leave out."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from itertools import dropwhile
from typing import Literal

from ..cluster.stack import Dispatcher
from ..frameworks.megatron_flags.modules import captured, computed_again
from ..model.transformer import Model
from ..parallelism.plan import Switch
from .models import model as model_named
from .models import size_of

DEGREES = ("tp", "pp", "cp", "vpp", "ep", "micro_batch")
"""Columns of a layout."""


@dataclass(frozen=True)
class Launch:
    """What a recipe sets beside the degrees: as the fields of a plan.

    Args:
        dispatcher, expert_overlap, graphs: as in :class:`~trainsim.parallelism.plan.Plan`.
        recompute, recompute_layers: parts that backward computes again, and in how many layers of a stage; nothing where only another
            layout's recipe is known.
        layout: whose recipe it is: the same layout's, or the nearest one's.
    """

    dispatcher: Dispatcher | None
    expert_overlap: Switch
    graphs: frozenset[str]
    recompute: frozenset[str]
    recompute_layers: int | None
    layout: Literal["same", "nearest"]


def launch_of(model: Model, chip: str, precision: str, batch: float, release: str, layout: Mapping[str, float]) -> Launch | None:
    """How a model's benchmark was launched; None where no recipe is known of it on such chips.

    Of the recipes of a model on a chip the one of the same layout comes first, then of the same number format, batch and release: the
    newest at or before it, else the oldest after. Which parts are computed again depends on what fits, so another layout's say nothing.

    Args:
        model: known by its width, layers and experts.
        chip: as tables name it: ``"GB200"``.
        precision: name of the number format's recipe.
        batch: sequences of a step.
        release: of the framework's container: ``"26.04"``.
        layout: ``tp``, ``pp``, ``cp``, ``vpp``, ``ep`` and ``micro_batch``.

    Source: Megatron-Bridge, ``scripts/performance/configs`` and ``perf_recipes`` (source ``megatron-bridge-recipes``).

    >>> from trainsim.catalog.models import model
    >>> degrees = {"tp": 1, "pp": 4, "cp": 1, "vpp": 4, "ep": 64, "micro_batch": 1}
    >>> launch_of(model("deepseek-v3"), "GB200", "mxfp8", 4096, "26.02", degrees).dispatcher
    'fused'
    """
    of = [row for row in _rows() if row["chip"] == chip and size_of(model_named(row["model"])) == size_of(model)]
    if not of:
        return None

    def fits(row: Mapping[str, str]) -> tuple[bool, bool, bool, bool, tuple[int, ...]]:
        before, age = _before(release, row["since"])
        return _alike(row, layout), row["precision"] == precision, float(row["batch"]) == batch, before, age

    best = max(of, key=fits)
    same = _alike(best, layout)
    words = best["recompute"].split() if same else []
    whole = [int(word.removeprefix(_WHOLE)) for word in words if word.startswith(_WHOLE)]
    parts = frozenset(computed_again(word for word in words if not word.startswith(_WHOLE)))
    return Launch(
        dispatcher=_DISPATCHERS[best["dispatcher"]],
        expert_overlap="on" if best["expert_overlap"] == "on" else "off",
        graphs=captured(best["graphs"].split()),
        recompute=parts | {"full"} if whole else parts,
        recompute_layers=whole[0] if whole else None,
        layout="same" if same else "nearest",
    )


_WHOLE = "full:"
"""Layers of a stage that are computed again whole, and how many."""
_DISPATCHERS: dict[str, Dispatcher | None] = {"": None, "alltoall": "alltoall", "deepep": "fused", "hybridep": "fused"}


def _alike(row: Mapping[str, str], layout: Mapping[str, float]) -> bool:
    return all(float(row[name]) == layout[name] for name in DEGREES)


def _before(release: str, since: str) -> tuple[bool, tuple[int, ...]]:
    """Whether a row was there at a release; the greater, the nearer."""
    own, there = (tuple(map(int, text.split("."))) for text in (release, since))
    return (True, there) if there <= own else (False, tuple(-part for part in there))


@lru_cache(maxsize=1)
def _rows() -> tuple[Mapping[str, str], ...]:
    text = (resources.files(__package__) / "data" / "benchmark_recipes.csv").read_text(encoding="utf-8")
    return tuple(csv.DictReader(dropwhile(lambda line: line.startswith("#"), text.splitlines())))
