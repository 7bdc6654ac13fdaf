"""Layouts in order, and the front between them: timed are only those that a bound doesn't already leave out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .layouts import Index, Layouts
from .space import Array, Mask

BATCH = 512
"""Layouts that are timed before it is looked again at how good the others have to be."""


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

    def __post_init__(self) -> None:
        self.least = self.layouts.floors.copy()
        self.seconds = np.full(len(self.layouts), np.nan)

    @property
    def timed(self) -> Index:
        """Layouts whose seconds are known, rising."""
        return np.flatnonzero(~np.isnan(self.seconds))

    def first(self, count: int) -> Index:
        """The first layouts of all, by what they are ranked by, then by memory."""
        batch = count
        while True:
            last = self._last(count)
            waiting = self._untimed(self.least * self.rates, last)
            if not len(waiting):
                break
            self._time(_lowest(waiting, self.least * self.rates, batch), lambda at, least, last=last: ~(least * self.rates[at] > last))
            batch = BATCH
        timed = self.timed
        return timed[np.lexsort((self.layouts.memory[timed], self.seconds[timed] * self.rates[timed]))][:count]

    def _last(self, count: int) -> float:
        """The point that a layout has to reach to be among the first."""
        points = self.seconds[self.timed] * self.rates[self.timed]
        return float(np.partition(points, count - 1)[count - 1]) if len(points) >= count else np.inf

    def before(self, point: float) -> int:
        """How many layouts rank before a point."""
        self._time(self._untimed(self.least * self.rates, point), lambda at, least: ~(least * self.rates[at] >= point))
        return int(np.count_nonzero(self.seconds * self.rates < point))

    def front(self) -> Index:
        """Layouts that no other beats or equals in seconds, memory and accelerators and beats in one; of equals, the first."""
        memory, gpus = self.layouts.memory, self.layouts.gpus
        waiting = self._untimed(self.least, np.inf)
        while len(waiting := waiting[np.isnan(self.seconds[waiting]) & ~self._beaten(waiting, self.least[waiting])]):
            lead = waiting[pareto(self.least[waiting], memory[waiting], gpus[waiting])]
            self._time(np.sort(lead), lambda at, least: ~self._beaten(at, least))
        timed = self.timed
        return timed[pareto(self.seconds[timed], memory[timed], gpus[timed])]

    def _untimed(self, points: Array, most: float) -> Index:
        return np.flatnonzero(~(points > most) & np.isnan(self.seconds))

    def _beaten(self, layouts: Index, least: Array) -> Mask:
        """Whether some timed layout is faster than any of these can be, with no more memory and accelerators."""
        beaten = np.zeros(len(layouts), dtype=np.bool_)
        timed = self.timed
        gpus, all_gpus = self.layouts.gpus[layouts], self.layouts.gpus[timed]
        for n in np.unique(gpus):
            others = timed[all_gpus <= n]
            others = others[np.argsort(self.seconds[others])]
            stairs = np.concatenate([[np.inf], np.minimum.accumulate(self.layouts.memory[others])])
            here = gpus == n
            beaten[here] = stairs[np.searchsorted(self.seconds[others], least[here])] <= self.layouts.memory[layouts[here]]
        return beaten

    def _time(self, layouts: Index, matter: Callable[[Index, Array], Mask]) -> None:
        """Raises what is known of some layouts to all but the wait in their pipelines, and times those that still matter."""
        for at, step in self.layouts.steps(layouts):
            self.least[at] = np.maximum(self.least[at], step.least)
            chosen = at[matter(at, self.least[at])]
            if len(chosen) == len(at):
                self.seconds[at] = step.seconds
            elif len(chosen):
                self.seconds[chosen] = self.layouts.seconds_of(chosen)


def _lowest(layouts: Index, points: Array, count: int) -> Index:
    """Those with the lowest points, rising by number."""
    if len(layouts) <= count:
        return layouts
    return np.sort(layouts[np.argpartition(points[layouts], count)[:count]])


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
