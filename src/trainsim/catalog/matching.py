"""Match a run to the catalogue row of the published run it describes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..run.run import Run
from .models import same_architecture
from .rows import Row, rows

NAMES = {"rl": "rl", "fine-tuning": "sft"}
"""Kind of a run's row → name of its single phase if it lists no phases; ``pretrain`` for other kinds."""


def phases_of(row: Row) -> list[Mapping[str, Any]]:
    """The phases of a run's row: those it lists, else one phase made of the row's own fields.

    >>> from trainsim.catalog.rows import find
    >>> [phase["name"] for phase in phases_of(find("runs", "minimax-m1"))]
    ['rl']
    """
    return list(row.get("phases") or [{**row.fields, "name": NAMES.get(row.get("kind", ""), "pretrain")}])


def row_of(run: Run) -> Row | None:
    """The row of the published run that a run describes: same name, same architecture, and phases of the same names and tokens.

    Price and cluster may differ: the published run at another price or on other machines is still that run.

    Args:
        run: any run.

    Returns:
        the row, or None if no row matches.

    >>> from trainsim.catalog.runs import run
    >>> v3 = run("deepseek-v3")
    >>> row_of(v3.replace({"price.usd_per_gpu_hour": 3.0})).id
    'deepseek-v3'
    >>> row_of(v3.replace({"phases.pretrain.tokens": 1e12})) is None
    True
    """
    row = rows("runs").get(run.name)
    if row is None or not same_architecture(row, run.model):
        return None
    listed = phases_of(row)
    return row if [(p["name"], p.get("tokens")) for p in listed] == [(p.name, p.tokens) for p in run.phases] else None
