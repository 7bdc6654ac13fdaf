"""Rank layouts and find their Pareto front; a layout is timed only if its lower bound does not exclude it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .candidates import ROUNDING, CandidateLayouts, Index
from .space import Array, Mask

BATCH = 512
"""Number of bounds tightened per iteration."""

SAME = 1e-12
"""Relative difference below which two values count as equal; a different order of summation causes such differences."""


@dataclass(eq=False)
class Ranking:
    """Branch-and-bound ranking of the layouts that fit; the result equals that of timing every layout.

    A layout is excluded if its lower bound (:attr:`~.candidates.CandidateLayouts.lower_bounds`), or its step time without the pipeline
    bubble, is too long.

    Args:
        layouts: the layouts.
        rates: objective per second of a step, shape ``(n,)``: 1 when ranking by time, dollars when ranking by cost [1 or USD/s].
        working: called often during the ranking, so that a progress function can stop it by raising.
    """

    layouts: CandidateLayouts
    rates: Array
    working: Callable[[], None] = lambda: None
    least: Array = field(init=False)
    seconds: Array = field(init=False)
    tightened: Mask = field(init=False)

    def __post_init__(self) -> None:
        self.least = self.layouts.lower_bounds.copy()
        self.seconds = np.full(len(self.layouts), np.nan)
        self.tightened = np.zeros(len(self.layouts), dtype=np.bool_)

    @property
    def timed(self) -> Index:
        """Indices of the timed layouts, increasing."""
        return np.flatnonzero(~np.isnan(self.seconds))

    def first(self, count: int) -> Index:
        """The best layouts by the objective, ties broken by memory."""
        while len(waiting := self._untimed(self._last(count))):
            values = self.least[waiting] * self.rates[waiting]
            leading = waiting[_lowest(values, count)]
            if self.tightened[leading].all():
                self._time(np.sort(leading))
            else:
                self._tighten(np.sort(waiting[_lowest(values, BATCH)]))
        timed = self.timed
        return timed[np.lexsort((self.layouts.memory[timed], self.seconds[timed] * self.rates[timed]))][:count]

    def _last(self, count: int) -> float:
        """The objective value that a layout must reach to be among the first."""
        values = np.sort(self.seconds[self.timed] * self.rates[self.timed])
        return float(np.concatenate([[-np.inf], values, np.full(count, np.inf)])[count])

    def count_below(self, value: float) -> int:
        """Number of layouts whose objective is below a value."""
        self._tighten(self._untimed(value))
        self._time(self._untimed(value))
        return int(np.count_nonzero(self.seconds * self.rates < value * (1.0 - SAME)))

    def front(self) -> Index:
        """Pareto front in step time, memory and accelerators; of equal layouts, the first."""
        memory, gpus = self.layouts.memory, self.layouts.gpus
        waiting = self._undominated(np.arange(len(self.layouts)))
        waiting = waiting[np.lexsort((memory[waiting], gpus[waiting]))]
        while len(waiting):
            least = self.least[waiting]
            behind = least / np.minimum.accumulate(least)  # compared with layouts of less memory
            leading = waiting[behind == 1.0]
            if self.tightened[leading].all():
                self._time(np.sort(leading))
                waiting = self._undominated(waiting)
            else:
                self._tighten(np.sort(waiting[_lowest(behind, BATCH)]))
        timed = self.timed
        return timed[pareto(self.seconds[timed], memory[timed], gpus[timed])]

    def _untimed(self, most: float) -> Index:
        """Layouts that are not timed and whose bound does not exceed a value."""
        return np.flatnonzero(np.isnan(self.seconds) & ~(self.least * self.rates > most))

    def _undominated(self, layouts: Index) -> Index:
        """Layouts that are not timed and that no timed layout certainly dominates in step time, memory and accelerators."""
        layouts, timed = layouts[np.isnan(self.seconds[layouts])], self.timed
        timed = timed[np.argsort(self.seconds[timed])]
        memory, gpus, beaten = self.layouts.memory[layouts], self.layouts.gpus[layouts], np.zeros(len(layouts), dtype=np.bool_)
        for n in np.unique(gpus):
            here, others = gpus == n, timed[self.layouts.gpus[timed] <= n]
            least = np.concatenate(
                [[np.inf], np.minimum.accumulate(self.layouts.memory[others])]
            )  # running minimum of memory over layouts sorted by step time
            beaten[here] = least[np.searchsorted(self.seconds[others], self.least[layouts[here]])] <= memory[here]
        return layouts[~beaten]

    def _tighten(self, layouts: Index) -> None:
        """Tighten the bounds of some layouts to their step time without the pipeline bubble."""
        new = layouts[~self.tightened[layouts]]
        for at, step in self.layouts.steps(new):
            self.working()
            self.least[at] = np.maximum(self.least[at], step.lower_bound * (1.0 - ROUNDING))
        self.tightened[new] = True

    def _time(self, layouts: Index) -> None:
        self.working()
        self.seconds[layouts] = self.layouts.seconds_of(layouts)


def _lowest(values: Array, count: int) -> Index:
    """Indices of the lowest values."""
    return np.arange(len(values)) if len(values) <= count else np.argpartition(values, count)[:count]


def pareto(seconds: Array, memory: Array, gpus: Array) -> NDArray[np.intp]:
    """Indices of the Pareto-optimal layouts; of equal layouts, the first.

    Args:
        seconds, memory, gpus: arrays of shape ``(n,)``; less is better.

    >>> [int(i) for i in pareto(np.array([1.0, 2.0, 2.0, 3.0]), np.array([9.0, 5.0, 6.0, 1.0]), np.ones(4))]
    [0, 1, 3]
    """
    front: list[NDArray[np.intp]] = []
    stairs: tuple[Array, Array] = (np.zeros(0), np.zeros(0))  # increasing seconds, and the least memory of layouts up to each
    for n in np.unique(gpus):
        here = np.flatnonzero(gpus == n)
        here = here[np.lexsort((memory[here], seconds[here]))]
        before = np.concatenate([[np.inf], np.minimum.accumulate(memory[here])[:-1]])
        step = np.searchsorted(stairs[0], seconds[here], side="right")
        fewer = np.concatenate([[np.inf], stairs[1]])[step]
        front.append(here[(memory[here] < before) & (memory[here] < fewer)])
        at = np.concatenate([stairs[0], seconds[here]])
        order = np.argsort(at, kind="stable")
        stairs = at[order], np.minimum.accumulate(np.concatenate([stairs[1], memory[here]])[order])
    return np.concatenate(front) if front else np.zeros(0, dtype=np.intp)
