"""How many micro-batches a rank has under way at its peak, from the order of its schedule."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ..parallelism.plan import Plan
from ..parallelism.schedules.orders import Schedule, order
from ..parallelism.schedules.uneven import shortest

Held = tuple[tuple[int, ...], NDArray[np.float64]]
"""Stages a rank holds, and the micro-batches it has under way of each at every candidate for its peak, ``(states, stages)``."""


def held_by_rank(plan: Plan) -> tuple[Held, ...]:
    """How many micro-batches each rank has between forward and backward pass, from the order of its schedule.

    1F1B: ``p − r``; interleaved: ``2(p − 1 − r) + (v − 1)p + 1`` chunks; ZB-H1: ``p``; DualPipe: ``p + 1``; GPipe: all (infinite here,
    cut to the step's micro-batches later).

    Source: arXiv:2104.04473, section 2.2; arXiv:2401.10241, table 1; arXiv:2412.19437, table 2.

    >>> [float(states.max()) for _, states in held_by_rank(Plan(pp=4))]
    [4.0, 3.0, 2.0, 1.0]
    """
    return held_by_schedule(plan.schedule, plan.pp, plan.vpp)


@lru_cache(maxsize=128)
def held_by_schedule(schedule: Schedule, pp: int, vpp: int) -> tuple[Held, ...]:
    """The same from what of a plan plays a part."""
    if schedule == "gpipe":
        return tuple(((rank,), np.array([[np.inf]])) for rank in range(pp))
    run = order(schedule, pp, shortest(schedule, pp), vpp)
    found: list[Held] = []
    for slots in run.slots:
        stages = tuple(sorted({part.stage for slot in slots for part in slot}))
        now = np.zeros(len(stages))
        states = [now]
        for slot in slots:
            entering = [part for part in slot if part.letter == "F"]
            leaving = [part for part in slot if part.letter in "BW"]
            for part in entering:
                now = now + np.eye(len(stages))[stages.index(part.stage)]
            states.append(now)
            for part in leaving:
                now = now - np.eye(len(stages))[stages.index(part.stage)]
        found.append((stages, largest_states(np.array(states))))
    return tuple(found)


def largest_states(states: NDArray[np.float64]) -> NDArray[np.float64]:
    """States that no other state exceeds everywhere: the candidates for a peak, whatever a stage weighs.

    >>> largest_states(np.array([[1.0, 2.0], [2.0, 1.0], [1.0, 1.0], [2.0, 1.0]]))
    array([[1., 2.],
           [2., 1.]])
    """
    states = np.unique(states, axis=0)
    below = np.all(states[:, None] <= states[None], axis=2) & np.any(states[:, None] < states[None], axis=2)
    kept: NDArray[np.float64] = states[~below.any(axis=1)]
    return kept
