"""Answer: the forms that every result of the library has, made from one summary of its figures.

An answer gives its title, figures and sources once, in ``summary()``. Its text, HTML, JSON, table and bibliography are made from this
summary.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .citations import bibtex
from .errors import EstimateError
from .folding import WIDTH, fold
from .registry import with_registered_attributes
from .units import HOURS_PER_DAY, human

Value = Any
"""Type of a value: a number, an array of draws, a text, True or False, or None if unknown."""
REPR = 160
"""Largest length of the one-line form [character]."""


@dataclass(frozen=True)
class AnswerRow:
    """One figure of an answer.

    Args:
        name: dotted key, ``"cost"`` or ``"phases.pretrain.tokens"``; unique within the answer.
        label: name for readers.
        value: the figure, in ``unit``.
        unit: ``"USD"``, ``"GPU-h"``; empty for a ratio or a text.
        low, high: 5 % and 95 % quantiles, in ``unit``; None if only a point is known.
        grade: evidence for the figure: ``"given"``, ``"assumed"``, ``"measured"``; empty if it is computed from others.
        group: heading under which the figure is listed; empty for the main figures.

    >>> AnswerRow("cost", "cost", 5.9e6, "USD").text, AnswerRow("memory", "memory", 70.8e9, "B").text
    ('$5.90M', '70.8 GB')
    >>> AnswerRow("cost", "cost", 5.9e6, "USD", 4e6, 9e6).text
    '$5.90M ($4.00M to $9.00M)'
    >>> AnswerRow("wall_days", "time on the clock", 0.25, "day", 0.125, 0.5).text
    '6.00 hours (3.00 to 12.0)'
    """

    name: str
    label: str
    value: Value
    unit: str = ""
    low: float | None = None
    high: float | None = None
    grade: str = ""
    group: str = ""

    @property
    def text(self) -> str:
        """Value, unit and 90 % interval as text; less than two days in hours."""
        if self.unit == "day" and self.value is not None and not isinstance(self.value, str) and np.max(self.value) < SHORT:
            low, high = (None if end is None else HOURS_PER_DAY * end for end in (self.low, self.high))
            return AnswerRow(self.name, self.label, HOURS_PER_DAY * self.value, "hours", low, high).text
        if self.low is None or self.high is None:
            return written(self.value, self.unit)
        ends = (written(end, self.unit if self.unit.startswith("USD") or self.unit in BYTES else "") for end in (self.low, self.high))
        return f"{written(self.value, self.unit)} ({' to '.join(ends)})"


SHORT = 2.0
"""Time below which text gives hours in place of days [day]."""


@dataclass(frozen=True)
class Summary:
    """Content of an answer.

    Args:
        title: the question, in a few words.
        rows: the figures, the main ones first.
        notes: remarks on the figures, one sentence each.
        sources: path or name of a figure → its source.
    """

    title: str
    rows: tuple[AnswerRow, ...]
    notes: tuple[str, ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict)


@with_registered_attributes
class Answer:
    """Base class of results: text, notebook, JSON, table, bibliography and picture from one summary.

    Every answer defines ``summary``. The class is not an ``ABC``: an estimate calls ``isinstance`` for each of its lines, and the call is
    several times slower for an ``ABC``.

    >>> import trainsim as ts
    >>> est = ts.estimate(ts.catalog.run("deepseek-v3"))
    >>> isinstance(est, Answer), est.to_dict()["kind"]
    (True, 'Estimate')
    """

    __slots__ = ()

    def summary(self) -> Summary:
        """Title, figures, notes and sources, from which all other forms are made."""
        raise NotImplementedError(type(self).__name__)

    if TYPE_CHECKING:

        def plot(self, path: Any = None, **options: Any) -> Any:
            """Draw the answer; ``trainsim/__init__.py`` sets this method."""

    def __repr__(self) -> str:
        made = self.summary()
        figures = ", ".join(f"{row.label} {row.text}" for row in made.rows if not row.group)
        line = " ".join(f"{type(self).__name__}({': '.join(filter(None, (made.title, figures)))})".split())
        return line if len(line) <= REPR else f"{line[: REPR - 2]}…)"

    def _text(self) -> str:
        return text_of(self.summary())

    def __str__(self) -> str:
        return "\n".join(fold(line, WIDTH) for line in self._text().split("\n"))

    def _repr_html_(self) -> str:
        """A small table for notebooks that follows the page's light or dark theme; further figures, notes and sources are folded."""
        from .answer_html import html_of  # imported here because only notebooks need it

        made = self.summary()
        groups: dict[str, list[tuple[str, str, str]]] = {}
        for row in made.rows:
            groups.setdefault(row.group, []).append((row.label, row.text, row.grade))
        return html_of(made.title, groups, made.notes, made.sources)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON: kind, title, rows, notes, sources. A number that is not finite is None."""
        made = self.summary()
        rows = [{name: plain(getattr(row, name)) for name in COLUMNS} for row in made.rows]
        return {"kind": type(self).__name__, "title": made.title, "rows": rows, "notes": list(made.notes), "sources": dict(made.sources)}

    def to_json(self, indent: int | None = None) -> str:
        """``to_dict()`` as JSON text.

        Args:
            indent: spaces of each level; None for one line.
        """
        return json.dumps(plain(self.to_dict()), ensure_ascii=False, allow_nan=False, indent=indent)

    def to_csv(self, path: str | Path | None = None) -> str:
        """The figures as CSV, one per line: name, label, value, unit, low, high, grade, group.

        Args:
            path: file to write as well; None for none.

        Raises:
            SpecError: the file can't be written.
        """
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows([plain(getattr(row, name)) for name in COLUMNS] for row in self.summary().rows)
        if path is not None:
            from .toml_io import write_text  # imported here because few answers are written

            write_text(path, out.getvalue())
        return out.getvalue()

    def to_frame(self) -> Any:
        """The figures as a pandas table, one per row: name, label, value, unit, low, high, grade, group.

        Raises:
            EstimateError: pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError:
            raise EstimateError("pandas", None, "is not installed", "pip install pandas", "not-installed") from None
        return pd.DataFrame([[plain(getattr(row, name)) for name in COLUMNS] for row in self.summary().rows], columns=list(COLUMNS))

    def cite(self) -> str:
        """BibTeX of the library and of every source that the answer uses."""
        return bibtex(self.summary().sources.values())


def unfolded(answer: Answer) -> str:
    """The text of an answer in whole lines, for a screen of another width."""
    return answer._text()


COLUMNS = ("name", "label", "value", "unit", "low", "high", "grade", "group")
"""Fields of a figure, as columns."""


def plain(value: Any) -> Any:
    """A value for JSON: arrays as lists, numbers as floats, and None for a number that is not finite.

    >>> plain({"a": np.array([1.0, np.inf]), "b": (True, "x")})
    {'a': [1.0, None], 'b': [True, 'x']}
    """
    if value is None or isinstance(value, (str, bool)):
        return value
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [plain(one) for one in value] if np.ndim(value) or not isinstance(value, np.ndarray) else plain(value.item())
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        return float(value) if math.isfinite(value) else None
    return str(value)


def written(value: Value, unit: str) -> str:
    """A value with its unit as text; an array of draws by its mean.

    >>> written(1.5e12, "token"), written(4096.0, "token"), written(50e9, "B/s"), written(None, "s"), written("fits", "")
    ('1.50T tokens', '4,096 tokens', '50.0 GB/s', 'unknown', 'fits')
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "unknown"
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    number = float(np.mean(value))
    if unit.startswith("USD"):
        per = unit.removeprefix("USD")
        return f"{'-' if number < 0 else ''}${human(abs(number))}{per}"
    if unit == "%":
        return f"{'below ' if 0 < number < LEAST_PERCENT else ''}{max(number, LEAST_PERCENT) if number > 0 else number:.3g} %"
    if unit in BYTES:
        return _bytes(number) + unit.removeprefix("B")
    if unit in PLURALS and unit != "day" and number.is_integer() and abs(number) < COUNTED:
        return f"{number:,.0f} {unit if number == 1 else PLURALS[unit]}"
    return f"{human(number)} {PLURALS.get(unit, unit)}".strip().removesuffix(" 1")


PLURALS = {"token": "tokens", "parameter": "parameters", "day": "days", "sequence": "sequences", "GPU": "GPUs"}
"""Unit that is counted → its plural after a number."""
COUNTED = 10_000_000
"""Number below which a whole count is written without a suffix."""
LEAST_PERCENT = 0.1
"""Smallest positive percentage that is written as a number; smaller ones are written as below it [%]."""
BYTES = ("B", "B/s")
"""Units whose numbers take decimal prefixes of bytes."""


def _bytes(number: float) -> str:
    """Bytes in the largest decimal unit that leaves a digit before the point."""
    size, name = next(((s, n) for s, n in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")) if abs(number) >= s), (1.0, "B"))
    return f"{number / size:.1f} {name}"


def text_of(made: Summary) -> str:
    """The main figures in aligned columns, and the notes.

    >>> rows = (AnswerRow("cost", "cost", 5.9e6, "USD"), AnswerRow("mfu", "MFU", 0.4, grade="given"))
    >>> print(text_of(Summary("a run", rows, ("a point",))))
    a run
      cost  $5.90M
      MFU   0.400   given
    - a point
    """
    main = [row for row in made.rows if not row.group]
    label = max((len(row.label) for row in main), default=0)
    figure = max((len(row.text) for row in main), default=0)
    lines = [f"  {row.label:<{label}}  {row.text:<{figure}}  {row.grade}".rstrip() for row in main]
    return "\n".join([*([made.title] if made.title else []), *lines, *(f"- {note}" for note in made.notes)])
