"""Sections of the snapshot: functions that yield named figures, and their helpers."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from snapshot import COMPUTED, Figure, Figures

import trainsim as ts

NUMBER = re.compile(r"[-+−±×]?\d[\d,]*\.?\d*(?:e[-+]?\d+)?[KMBT%]?")
CANCELS = 1e-9
"""Share of a ledger's total below which a line is a rounding residue and is recorded as 0."""
Named = Iterator[tuple[str, Any]]


@dataclass(frozen=True)
class Section:
    """A section: function that yields the figures, tolerance of their comparison, and whether it is slow."""

    figures: Callable[[], Named]
    rtol: float
    slow: bool

    def compute(self) -> Figures:
        """Every figure, computed by the current code.

        Raises:
            ValueError: two figures of one name.
        """
        found: Figures = {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for name, value in self.figures():
                if name in found:
                    raise ValueError(f"{name} is named twice")
                found[name] = _plain(value)
        return found


SECTIONS: dict[str, Section] = {}


def section(rtol: float = COMPUTED, *, slow: bool = False) -> Callable[[Callable[[], Named]], Callable[[], Named]]:
    def named(function: Callable[[], Named]) -> Callable[[], Named]:
        SECTIONS[function.__name__] = Section(function, rtol, slow)
        return function

    return named


def _plain(value: Any) -> Figure:
    if value is None or isinstance(value, str | list | bool | int):
        return value
    return float(np.asarray(value).item())


def refused(call: Callable[..., Any], *arguments: Any, **named: Any) -> tuple[Any, str]:
    """The result of a call, or the path of its error."""
    try:
        return call(*arguments, **named), ""
    except ts.TrainsimError as error:
        return None, f"{type(error).__name__}: {getattr(error, 'path', '')}"


def lines(name: str, ledger: ts.Ledger) -> Named:
    """A ledger's total and each of its lines."""
    total = float(np.asarray(ledger.total))
    yield name, total
    for path, value in ledger.lines():
        held = float(np.asarray(value))
        yield f"{name}.{path}", 0.0 if abs(held) < CANCELS * abs(total) else held


def quantiles(name: str, values: Iterable[Any], at: Iterable[float] = (5, 50, 95)) -> Named:
    for percent, value in zip(at, values, strict=True):
        yield f"{name} {percent:g} %", float(value)


def numbers(text: str) -> list[str]:
    """The numbers of a text as printed, in order; words may change."""
    return NUMBER.findall(text)
