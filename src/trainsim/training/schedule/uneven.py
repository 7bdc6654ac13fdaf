"""Uneven stages: the events of a short step, lengthened exactly; and what each rank runs, counted."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ...units import Num
from .events import Times
from .graph import ends, graph_of, kind_of, tails
from .orders import Order, Schedule, Slot, order

LONG = 8
"""Rounds of ``pp`` micro-batches after which an interleaved step is taken to have settled."""


@dataclass(frozen=True)
class Steady:
    """A short step of a schedule and how a longer one differs from it.

    Args:
        micro_batches: of the short step.
        period: micro-batches after which the order repeats.
        region: rank → the slots (first, end) that lie in its steady state.
        counts: rank → slot (micro-batch 0) → how often in the short step, and how much more often each further period.
    """

    micro_batches: int
    period: int
    region: tuple[tuple[int, int], ...]
    counts: tuple[dict[Slot, tuple[int, int]], ...]


def _kinds(slots: tuple[Slot, ...]) -> list[Slot]:
    return [kind_of(slot) for slot in slots]


@lru_cache(maxsize=256)
def steady(schedule: Schedule, pp: int, vpp: int, remainder: int) -> Steady:
    """The shortest step whose every rank has a steady state, among those that leave a remainder by the period."""
    period = {"interleaved": pp, "dualpipe": 2}.get(schedule, 1)
    m = 2 * pp + (2 * period if schedule == "dualpipe" else period) + remainder
    short, longer = order(schedule, pp, m, vpp), order(schedule, pp, m + period, vpp)
    regions, counts = [], []
    for few, many in zip(map(_kinds, short.slots), map(_kinds, longer.slots), strict=True):
        alike = next((k for k in range(len(few)) if few[k] != many[k]), len(few))
        alike_back = next((k for k in range(len(few)) if few[-1 - k] != many[-1 - k]), len(few))
        regions.append((len(few) - alike_back, alike))
        counts.append({kind: (few.count(kind), many.count(kind) - few.count(kind)) for kind in dict.fromkeys(many)})
    return Steady(m, period, tuple(regions), tuple(counts))


def slot_counts(schedule: Schedule, micro_batches: int, pp: int, vpp: int = 1) -> tuple[dict[Slot, int], ...]:
    """How often each rank runs each kind of slot in a step; a kind is a slot with its micro-batch left out.

    >>> [sum(n for slot, n in rank.items() if len(slot) == 2) for rank in slot_counts("dualpipe", 120, 16)][:3]
    [97, 98, 99]
    """
    short = steady(schedule, pp, vpp, micro_batches % {"interleaved": pp, "dualpipe": 2}.get(schedule, 1))
    if micro_batches < short.micro_batches:
        return tuple({kind: kinds.count(kind) for kind in kinds} for kinds in map(_kinds, order(schedule, pp, micro_batches, vpp).slots))
    periods = (micro_batches - short.micro_batches) // short.period
    return tuple({kind: few + periods * more for kind, (few, more) in rank.items()} for rank in short.counts)


def busy_seconds(schedule: Schedule, times: Times, micro_batches: int, pp: int, vpp: int = 1) -> NDArray[np.float64]:
    """Seconds each rank works in a step, ``(ranks,)`` or ``(ranks, n)``; the rest of the step is its bubble.

    >>> one = np.ones(2)
    >>> busy_seconds("1f1b", Times(one, one, one), 4, pp=2)
    array([12., 12.])
    """
    counted = slot_counts(schedule, micro_batches, pp, vpp)
    return np.array([sum(n * times.of(slot) for slot, n in rank.items()) for rank in counted])


def uneven_seconds(schedule: Schedule, times: Times, micro_batches: Num, pp: int, vpp: int = 1) -> Num:
    """Seconds of a step by events, for stages of any length.

    A step of ``m₀`` micro-batches is run, and lengthened: ``T(m) = max_r { L_r(m₀) + (m − m₀)·c_r }`` with ``L_r`` the longest path
    through rank ``r``'s steady state and ``c_r`` the rank's work for one more micro-batch. Shorter steps are run as they are.
    Interleaved steps are run up to ``LONG`` rounds and lengthened by the last round's increment: ranks whose chunks differ can hold
    each other up, so that no rank alone sets the pace.

    Args:
        schedule, times, micro_batches, pp, vpp: as for :func:`~trainsim.training.schedule.pipeline_seconds`.

    Returns:
        seconds [s]; equals :func:`timeline`, interleaved from below and as far as its rounds have settled.

    >>> from trainsim.training.schedule import timeline
    >>> uneven = Times(np.array([1.0, 2.0]), np.array([1.0, 2.0]), np.array([1.0, 2.0]))
    >>> float(uneven_seconds("zero-bubble", uneven, 100, pp=2)), float(timeline(order("zero-bubble", 2, 100), uneven).seconds)
    (601.0, 601.0)
    """
    counts = np.asarray(micro_batches)
    period = {"interleaved": pp, "dualpipe": 2}.get(schedule, 1)
    short = steady(schedule, pp, vpp, int(counts.flat[0]) % period)
    if schedule != "interleaved" and np.all(counts >= short.micro_batches) and np.all(counts % period == counts.flat[0] % period):
        return _lengthened(order(schedule, pp, short.micro_batches, vpp), times, short, (counts - short.micro_batches) // period)
    if counts.ndim:  # structure is cheap to tell apart: one run for each distinct step
        distinct, which = np.unique(counts, return_inverse=True)
        rows = np.broadcast_arrays(*(uneven_seconds(schedule, times, m, pp, vpp) for m in distinct), counts)[:-1]
        return np.take_along_axis(np.stack(rows), which.reshape(1, *counts.shape), axis=0)[0]  # type: ignore[no-any-return]
    rounds = int(counts) // pp
    if schedule == "interleaved" and rounds > LONG:
        last, before = (_run(order(schedule, pp, n * pp, vpp), times) for n in (LONG, LONG - 1))
        return last + (rounds - LONG) * (last - before)
    return _run(order(schedule, pp, int(counts), vpp), times)


def _run(run: Order, times: Times) -> Num:
    graph = graph_of(run)
    seconds: Num = ends(graph, times.of_kinds(graph)).max(axis=0)
    return seconds


def _lengthened(run: Order, times: Times, short: Steady, periods: Num) -> Num:
    """The longest path of a step, with a rank's work for the further periods put in where the path is in that rank's steady state."""
    graph = graph_of(run)
    seconds = times.of_kinds(graph)
    through = ends(graph, seconds)[:-1] + tails(graph, seconds)
    longest: Num = -np.inf
    for rank, (first, end) in enumerate(short.region):
        more = periods * sum(n * times.of(slot) for slot, (_, n) in short.counts[rank].items())
        steadily = through[[graph.number[rank, k] for k in range(first, end)]].max(axis=0)
        longest = np.maximum(longest, steadily + more)
    return longest
