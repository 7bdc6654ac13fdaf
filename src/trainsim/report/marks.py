"""Axis ticks at round numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..auditing.sentences import trimmed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARKS: tuple[tuple[float, ...], ...] = ((1, 1.5, 2, 3, 5, 7), (1, 2, 3, 5), (1, 2, 5), (1, 3), (1,))
"""Leading digits of marks, the finest set first."""
MOST = 6
"""Largest number of marks on one axis."""


def round_marks(low: float, high: float, most: int = MOST) -> list[float]:
    """A few round numbers between two ends.

    >>> round_marks(2.0, 40.0), round_marks(1e3, 1e9, most=4)
    ([2.0, 3.0, 5.0, 10.0, 20.0, 30.0], [1000.0, 100000.0, 10000000.0, 1000000000.0])
    """
    for marks in MARKS:
        ticks = _ticks(marks, low, high)
        if len(ticks) <= most:
            return ticks
    step = -(-len(ticks) // most)
    return ticks[::step]


def _ticks(marks: Sequence[float], low: float, high: float) -> list[float]:
    decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    return [at for e in decades for m in marks if low <= (at := float(m) * 10.0**e) <= high]


def written(value: float) -> str:
    """A round number as text for an axis.

    >>> written(3e6), written(1500.0), written(0.5), written(0.0)
    ('3M', '1.5K', '0.5', '0')
    """
    return trimmed(value)


def log_axis(axes: Axes, words: Callable[[float], str] = written, *, vertical: bool = False, most: int = MOST) -> None:
    """Make an axis logarithmic, marked at round numbers.

    Args:
        axes: axes with limits set.
        words: value → text at its mark.
        vertical: whether the axis is the vertical one.
        most: largest number of marks.
    """
    axis = axes.yaxis if vertical else axes.xaxis
    low, high = axes.get_ylim() if vertical else axes.get_xlim()
    (axes.set_yscale if vertical else axes.set_xscale)("log")
    ticks = round_marks(low, high, most)
    axis.set_ticks(ticks, [words(tick) for tick in ticks])
    axes.minorticks_off()
    (axes.set_ylim if vertical else axes.set_xlim)(low, high)


def plain_axis(axes: Axes, words: Callable[[float], str] = written, most: int = MOST) -> None:
    """Mark a linear axis at round numbers.

    Args:
        axes: axes with limits set.
        words: value → text at its mark.
        most: largest number of marks.
    """
    from matplotlib.ticker import MaxNLocator

    low, high = axes.get_xlim()
    found = MaxNLocator(nbins=most, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    ticks = [float(tick) for tick in found if low <= tick <= high]
    axes.set_xticks(ticks, [words(tick) for tick in ticks])
    axes.set_xlim(low, high)
