"""Micro-batches in flight: the number whose activations a rank holds at its peak, from the order of its schedule."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ..parallelism.plan import Plan
from ..parallelism.schedules.schedule import Schedule, slot_order

Array = NDArray[np.float64]
InFlight = tuple[tuple[int, ...], Array]
"""Stages of a rank, and for each candidate peak state the micro-batches in flight on each stage, as intercept and slope in the
number of micro-batches of the step, ``(states, stages, 2)``."""


def in_flight_by_rank(plan: Plan) -> tuple[InFlight, ...]:
    """Micro-batches in flight on each rank, between their forward and their backward pass.

    1F1B: ``p − r``; interleaved: ``2(p − 1 − r) + (v − 1)p + 1`` on all stages; ZB-H1: ``p``; DualPipe: ``p + 1``; GPipe: all.

    Source: arXiv:2104.04473, section 2.2; arXiv:2401.10241, table 1; arXiv:2412.19437, table 2.

    >>> [float(states.max()) for _, states in in_flight_by_rank(Plan(pp=4))]
    [4.0, 3.0, 2.0, 1.0]
    """
    return in_flight_by_schedule(plan.pass_order, plan.pp, plan.vpp)


@lru_cache(maxsize=128)
def in_flight_by_schedule(schedule: Schedule, pp: int, vpp: int) -> tuple[InFlight, ...]:
    """As :func:`in_flight_by_rank`, cached. The numbers are counted in two steps that differ by one period, and extrapolated linearly."""
    settled = schedule.settled(pp)
    short, longer = (_count_in_flight(schedule, pp, vpp, m) for m in (settled, settled + schedule.period(pp)))
    found: list[InFlight] = []
    for (stages, *states), (_, longest) in zip(short, longer, strict=True):
        same_states = states[0].shape == longest.shape  # if they differ, each stage has its own maximum as the only state
        few, more = (each if same_states else each.max(axis=0, keepdims=True) for each in (*states, longest))
        slope = (more - few) / schedule.period(pp)
        found.append((stages, np.stack([few - slope * settled, slope], axis=2)))
    return tuple(found)


def _count_in_flight(schedule: Schedule, pp: int, vpp: int, micro_batches: int) -> list[tuple[tuple[int, ...], Array]]:
    """Stages of each rank, and its candidate peak states in a step of some micro-batches, ``(states, stages)``."""
    found: list[tuple[tuple[int, ...], Array]] = []
    for slots in slot_order(schedule, pp, micro_batches, vpp).slots:
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
        found.append((stages, pareto_maximal(np.array(states, dtype=np.float64))))
    return found


def pareto_maximal(states: Array) -> Array:
    """Pareto-maximal states, ``(states, …)``: the candidates for the peak for any weights of the stages.

    >>> pareto_maximal(np.array([[1.0, 2.0], [2.0, 1.0], [1.0, 1.0], [2.0, 1.0]]))
    array([[1., 2.],
           [2., 1.]])
    """
    rows = np.unique(states.reshape(len(states), -1), axis=0)
    below = np.all(rows[:, None] <= rows[None], axis=2) & np.any(rows[:, None] < rows[None], axis=2)
    maximal: Array = rows[~below.any(axis=1)].reshape(-1, *states.shape[1:])
    return maximal
