"""Layouts in order, and the front between them: timed are only those that a bound doesn't already leave out."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .candidates import ROUNDING, Index, Layouts
from .space import Array, Mask

BATCH = 512
"""Layouts whose bound is raised before it is looked again at which ones lead."""

SAME = 1e-12
"""By how much points differ that are the same: sums in another order."""


@dataclass(eq=False)
class Ranking:
    """What a search asks of the layouts that fit; the answers are those of timing every one of them.

    A layout is left out where :attr:`~.layouts.Layouts.floors`, or its step without what its pipeline waits for, is already too long.

    Args:
        layouts: that fit.
        rates: what they are ranked by, per second of a step: 1, or dollars ``(n,)``.
    """

    layouts: Layouts
    rates: Array
    least: Array = field(init=False)
    seconds: Array = field(init=False)
    raised: Mask = field(init=False)

    def __post_init__(self) -> None:
        self.least = self.layouts.floors.copy()
        self.seconds = np.full(len(self.layouts), np.nan)
        self.raised = np.zeros(len(self.layouts), dtype=np.bool_)

    @property
    def timed(self) -> Index:
        """Layouts whose seconds are known, rising."""
        return np.flatnonzero(~np.isnan(self.seconds))

    def first(self, count: int) -> Index:
        """The first layouts of all, by what they are ranked by, then by memory."""
        while len(waiting := self._untimed(self._last(count))):
            points = self.least[waiting] * self.rates[waiting]
            leading = waiting[_lowest(points, count)]
            if self.raised[leading].all():
                self._time(np.sort(leading))
            else:
                self._raise(np.sort(waiting[_lowest(points, BATCH)]))
        timed = self.timed
        return timed[np.lexsort((self.layouts.memory[timed], self.seconds[timed] * self.rates[timed]))][:count]

    def _last(self, count: int) -> float:
        """The point that a layout has to reach to be among the first."""
        points = np.sort(self.seconds[self.timed] * self.rates[self.timed])
        return float(np.concatenate([[-np.inf], points, np.full(count, np.inf)])[count])

    def before(self, point: float) -> int:
        """How many layouts rank before a point."""
        self._raise(self._untimed(point))
        self._time(self._untimed(point))
        return int(np.count_nonzero(self.seconds * self.rates < point * (1.0 - SAME)))

    def front(self) -> Index:
        """Layouts that no other beats or equals in seconds, memory and accelerators and beats in one; of equals, the first."""
        memory, gpus = self.layouts.memory, self.layouts.gpus
        waiting = self._unbeaten(np.arange(len(self.layouts)))
        waiting = waiting[np.lexsort((memory[waiting], gpus[waiting]))]
        while len(waiting):
            least = self.least[waiting]
            behind = least / np.minimum.accumulate(least)  # those with less memory
            leading = waiting[behind == 1.0]
            if self.raised[leading].all():
                self._time(np.sort(leading))
                waiting = self._unbeaten(waiting)
            else:
                self._raise(np.sort(waiting[_lowest(behind, BATCH)]))
        timed = self.timed
        return timed[pareto(self.seconds[timed], memory[timed], gpus[timed])]

    def _untimed(self, most: float) -> Index:
        """Those that aren't timed, and may reach a point."""
        return np.flatnonzero(np.isnan(self.seconds) & ~(self.least * self.rates > most))

    def _unbeaten(self, layouts: Index) -> Index:
        """Those that aren't timed, and that no timed one beats in seconds for certain, with no more memory and accelerators."""
        layouts, timed = layouts[np.isnan(self.seconds[layouts])], self.timed
        timed = timed[np.argsort(self.seconds[timed])]
        memory, gpus, beaten = self.layouts.memory[layouts], self.layouts.gpus[layouts], np.zeros(len(layouts), dtype=np.bool_)
        for n in np.unique(gpus):
            here, others = gpus == n, timed[self.layouts.gpus[timed] <= n]
            least = np.concatenate([[np.inf], np.minimum.accumulate(self.layouts.memory[others])])  # memory of those up to some seconds
            beaten[here] = least[np.searchsorted(self.seconds[others], self.least[layouts[here]])] <= memory[here]
        return layouts[~beaten]

    def _raise(self, layouts: Index) -> None:
        """Bounds that everything but the wait in their pipelines is in."""
        new = layouts[~self.raised[layouts]]
        for at, step in self.layouts.steps(new):
            self.least[at] = np.maximum(self.least[at], step.least * (1.0 - ROUNDING))
        self.raised[new] = True

    def _time(self, layouts: Index) -> None:
        self.seconds[layouts] = self.layouts.seconds_of(layouts)


def _lowest(values: Array, count: int) -> Index:
    """Places of the lowest values."""
    return np.arange(len(values)) if len(values) <= count else np.argpartition(values, count)[:count]


def pareto(seconds: Array, memory: Array, gpus: Array) -> NDArray[np.intp]:
    """Layouts that no other beats or equals in all three and beats in one; of equals, the first.

    Args:
        seconds, memory, gpus: columns ``(n,)``; less is better.

    >>> [int(i) for i in pareto(np.array([1.0, 2.0, 2.0, 3.0]), np.array([9.0, 5.0, 6.0, 1.0]), np.ones(4))]
    [0, 1, 3]
    """
    front: list[NDArray[np.intp]] = []
    stairs: tuple[Array, Array] = (np.zeros(0), np.zeros(0))  # seconds rising, least memory so far with as many accelerators or fewer
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
