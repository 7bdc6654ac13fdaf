"""Beliefs as a table: path, P5, P50, P95, source."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from trainsim.core.answer import AnswerRow, Summary
from trainsim.core.errors import BeliefError
from trainsim.core.units import Unit, human

from ..distributions.distribution import Belief
from ..distributions.interval import Interval, Typed
from .correlation import Correlation

Held = Mapping[tuple[str, ...], Belief]
BY_FIELD = "by field"
"""Text shown for a median that depends on the bounds of the field."""


def _quantiles_of(belief: Belief, path: str) -> tuple[float | None, float | None, float | None]:
    """5, 50 and 95 % quantiles of the belief about a path; None if they depend on the bounds of the field.

    >>> from trainsim.uncertainty.distributions.interval import ci90
    >>> _quantiles_of(ci90(1.0, 2.0, 4.0), "price"), _quantiles_of(ci90(1.0, 4.0), "price")
    ((1.0, 2.0, 4.0), (1.0, None, 4.0))
    """
    if isinstance(belief, Interval):
        known = belief.quantiles
        return known.get(0.05), known.get(0.5), known.get(0.95)
    try:
        law = belief.for_field(Unit(""), path)
    except BeliefError:  # a text with a unit, which only the field can parse
        return None, None, None
    low, middle, high = (float(law.ppf(q)) for q in (0.05, 0.5, 0.95))
    return low, None if isinstance(belief, Typed) else middle, high


def _paths(held: Held) -> Iterator[tuple[str, Belief]]:
    for paths, belief in held.items():
        for path in paths:
            yield path, belief


def _cell(value: float | None) -> str:
    return "" if value is None else human(value, 4)


def _median(belief: Belief) -> str:
    """Text shown for an unknown median: the typed text, or a note that the field decides it."""
    return belief.text if isinstance(belief, Typed) else BY_FIELD


def summary_of(held: Held, correlated: Mapping[tuple[str, str], Correlation], sources: Mapping[str, str]) -> Summary:
    """Every path with its median and 90 % interval, and which paths are drawn together."""
    rows = []
    for path, belief in _paths(held):
        low, middle, high = _quantiles_of(belief, path)
        rows.append(AnswerRow(path, path, _median(belief) if middle is None else middle, "", low, high, sources.get(path, "given")))
    together = [f"{len(paths)} paths are drawn together: {', '.join(paths[:2])}{' …' if paths[2:] else ''}" for paths in held if paths[1:]]
    pairs = [f"correlated: {a} and {b}, {rho!r}" for (a, b), rho in correlated.items()]
    return Summary(f"{len(rows)} beliefs: median (5 % to 95 %)", tuple(rows), (*together, *pairs), sources)


def table_of(held: Held, sources: Mapping[str, str]) -> str:
    """Path, P5, P50, P95 and source of every belief, one a line.

    >>> from trainsim.uncertainty.distributions.interval import ci90
    >>> print(table_of({("price",): ci90(1.4, 3.4)}, {}))
    path   P5     P50       P95    source
    price  1.400  by field  3.400  given
    """
    lines = [("path", "P5", "P50", "P95", "source")]
    for path, belief in _paths(held):
        low, middle, high = _quantiles_of(belief, path)
        lines.append((path, _cell(low), _cell(middle) or _median(belief), _cell(high), sources.get(path, "given")))
    widths = [max(len(line[column]) for line in lines) for column in range(4)]
    return "\n".join("  ".join([*(f"{text:<{w}}" for text, w in zip(line[:4], widths, strict=True)), line[4]]).rstrip() for line in lines)
