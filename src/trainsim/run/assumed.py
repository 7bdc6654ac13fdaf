"""The inputs of a run that nobody gave: values with reasons, as a table."""

from __future__ import annotations

from collections.abc import Collection

from ..core.answer import written
from ..core.citations import ASSUMED, NOT_GIVEN
from .run import Run

MANY = 2
"""Further sources are counted instead of named from this number on."""


def assumptions(run: Run) -> dict[str, str]:
    """Inputs of a run that neither its maker nor the user gave: path → source of the value.

    >>> import trainsim as ts
    >>> sorted(assumptions(ts.quick("7B", chip="h100", gpus=8, tokens=1e9, seq_len=4096, batch=64, price=2, goodput=.95)))
    ['cluster.scale_out.bandwidth', 'efficiency.mfu']
    >>> sorted(assumptions(ts.catalog.run("llama3.1-405b")))
    ['price.usd_per_gpu_hour', 'reliability.goodput']
    """
    return {path: source for path, source in run.sources().items() if source.startswith(NOT_GIVEN)}


def assumed_of(run: Run) -> dict[str, tuple[str, str]]:
    """Assumed inputs of a run: path → value in words, and reason."""
    found: dict[str, tuple[str, str]] = {}
    for path, source in assumptions(run).items():
        why = source.removeprefix(ASSUMED)
        head, stack, _ = path.partition(".stack.")
        if stack:
            found[f"{head}.stack"] = (str(run.get(f"{head}.stack").name), why.partition(", ")[2] or why)
        else:
            found[path] = (written(run.get(path), run.unit_of(path).symbol), _in_short(why))
    return found


def _in_short(why: str) -> str:
    """The first of many sources, and the number of others."""
    first, *more = why.split("; ")
    return why if len(more) < MANY else f"{first} and {len(more)} more sources"


def assumed_lines(run: Run, shown: Collection[str] = ()) -> list[str]:
    """Assumed inputs of a run in aligned columns; empty if all inputs were given.

    Args:
        run: the run.
        shown: paths that the screen shows already.
    """
    groups: dict[str, list[tuple[str, str, str]]] = {}
    for path, (value, why) in assumed_of(run).items():
        head, recipe, leaf = path.partition(".recipe.")
        if path not in shown:
            groups.setdefault(f"{head}.recipe" if recipe else "", []).append((leaf or head, value, why))
    lines = []
    for group, rows in groups.items():
        wide, wider = (max(len(row[column]) for row in rows) for column in (0, 1))
        lines.append(f"assumed inputs{f', of {group}' if group else ''}")
        lines += [f"  {name:<{wide}}  {value:<{wider}}  {why}" for name, value, why in rows]
    return lines
