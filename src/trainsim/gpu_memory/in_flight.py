"""How many micro-batches a rank has under way at its peak, from the order of its schedule."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ..parallelism.plan import Plan
from ..parallelism.schedules.schedule import Schedule, order

Array = NDArray[np.float64]
Held = tuple[tuple[int, ...], Array]
"""Stages of a rank, and the micro-batches in flight on each at every candidate for its peak: those of any step, and what each
micro-batch of the step adds, ``(states, stages, 2)``."""


def held_by_rank(plan: Plan) -> tuple[Held, ...]:
    """Micro-batches of each rank between forward and backward pass, from the order of its schedule.

    1F1B: ``p − r``; interleaved: ``2(p − 1 − r) + (v − 1)p + 1`` on all stages; ZB-H1: ``p``; DualPipe: ``p + 1``; GPipe: all.

    Source: arXiv:2104.04473, section 2.2; arXiv:2401.10241, table 1; arXiv:2412.19437, table 2.

    >>> [float(states.max()) for _, states in held_by_rank(Plan(pp=4))]
    [4.0, 3.0, 2.0, 1.0]
    """
    return held_by_schedule(plan.pass_order, plan.pp, plan.vpp)


@lru_cache(maxsize=128)
def held_by_schedule(schedule: Schedule, pp: int, vpp: int) -> tuple[Held, ...]:
    """The same from what of a plan plays a part: a step in which every rank repeats itself, and what one further period adds."""
    settled = schedule.settled(pp)
    short, longer = (_held(schedule, pp, vpp, m) for m in (settled, settled + schedule.period(pp)))
    found: list[Held] = []
    for (stages, *states), (_, longest) in zip(short, longer, strict=True):
        alike = states[0].shape == longest.shape  # if not, other states lead in a longer step: each stage is taken at its most
        few, more = (each if alike else each.max(axis=0, keepdims=True) for each in (*states, longest))
        each = (more - few) / schedule.period(pp)
        found.append((stages, np.stack([few - each * settled, each], axis=2)))
    return tuple(found)


def _held(schedule: Schedule, pp: int, vpp: int, micro_batches: int) -> list[tuple[tuple[int, ...], Array]]:
    """Stages of each rank, and the candidates for its peak in a step of so many micro-batches, ``(states, stages)``."""
    found: list[tuple[tuple[int, ...], Array]] = []
    for slots in order(schedule, pp, micro_batches, vpp).slots:
        stages = tuple(sorted({part.stage for slot in slots for part in slot}))
        at = {stage: k for k, stage in enumerate(stages)}
        now = [0] * len(stages)
        states = [tuple(now)]
        for slot in slots:
            for part in slot:
                now[at[part.stage]] += part.letter == "F"
            states.append(tuple(now))
            for part in slot:
                now[at[part.stage]] -= part.letter in "BW"
        found.append((stages, largest_states(np.array(states, dtype=np.float64))))
    return found


def largest_states(states: Array) -> Array:
    """States that no other state exceeds everywhere, ``(states, …)``: the candidates for a peak, whatever a stage weighs.

    >>> largest_states(np.array([[1.0, 2.0], [2.0, 1.0], [1.0, 1.0], [2.0, 1.0]]))
    array([[1., 2.],
           [2., 1.]])
    """
    rows = np.unique(states.reshape(len(states), -1), axis=0)
    below = np.all(rows[:, None] <= rows[None], axis=2) & np.any(rows[:, None] < rows[None], axis=2)
    kept: Array = rows[~below.any(axis=1)].reshape(-1, *states.shape[1:])
    return kept
