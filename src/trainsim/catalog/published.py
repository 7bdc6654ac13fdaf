"""Which published run a run is."""

from __future__ import annotations

from ..run.run import Run
from .models import is_of
from .rows import Row, rows


def row_of(run: Run) -> Row | None:
    """The row a run is of: its name, its architecture, and phases of the same tokens; a name alone makes no run a published one.

    What a run cost and where it ran may differ: the published run at another price, on other machines, is still that run.

    >>> from trainsim.catalog.runs import run
    >>> v3 = run("deepseek-v3")
    >>> row_of(v3.replace({"price.usd_per_gpu_hour": 3.0})).id
    'deepseek-v3'
    >>> row_of(v3.replace({"phases.pretrain.tokens": 1e12})) is None
    True
    """
    row = rows("runs").get(run.name)
    if row is None or not is_of(row, run.model):
        return None
    listed = row.get("phases") or [{**row.fields, "name": "pretrain"}]
    return row if [(p["name"], p.get("tokens")) for p in listed] == [(p.name, p.tokens) for p in run.phases] else None
