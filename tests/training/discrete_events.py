"""An oracle that knows no formula: replicas of a run, each with its own clock and its own next failure."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Draw = Callable[[int], NDArray[np.float64]]


def simulate(draw: Draw, work: float, save: float, restart: float, *, replicas: int, failures: int) -> float:
    """Share of the clock spent on work that was kept, over many replicas.

    Args:
        draw: n times between interruptions.
        work, save, restart: of one segment and of one restart, in the units of ``draw``.
        replicas: independent runs.
        failures: interruptions of each replica before its count ends.
    """
    clock, kept, seen = np.zeros(replicas), np.zeros(replicas), np.zeros(replicas, dtype=int)
    next_failure = draw(replicas)
    up_from = np.full(replicas, restart)  # stepping may start; a restart is under way before. Time 0 is a failure like any other
    while np.any(active := seen < failures):
        done = np.maximum(clock, up_from) + work + save
        fails = active & (next_failure < done)
        succeeds = active & ~fails
        kept += np.where(succeeds, work, 0.0)
        clock = np.where(fails, next_failure, np.where(succeeds, done, clock))
        up_from = np.where(fails, next_failure + restart, up_from)  # a failure during restart starts it again
        hit = np.flatnonzero(fails)
        next_failure[hit] = clock[hit] + draw(len(hit))
        seen += fails
    return float(kept.sum() / clock.sum())
