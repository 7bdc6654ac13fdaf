"""Uneven stages: the events of a short step, lengthened exactly; and what each rank runs, counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from math import prod

import numpy as np
from numpy.typing import NDArray

from ...core.errors import SpecError
from ...core.units import Num
from .events import Times
from .graph import Graph, ends, graph_of, kind_of, tails
from .passes import Order, Slot
from .paths import box_of, shortened
from .schedule import Schedule, order, standing

Array = NDArray[np.float64]


def pipeline_seconds(schedule: Schedule, times: Times, micro_batches: Num, pp: int, vpp: int = 1) -> Num:
    """Seconds from the first forward pass to the end of the last backward pass, bubbles of uneven stages included.

    In closed form where one equals the events; elsewhere the events of a short step, lengthened (:func:`uneven_seconds`).

    Args:
        schedule: the schedule.
        times: seconds of each pass; one row for uniform stages, or one a stage in the order data flows.
        micro_batches: of a step, number or array that broadcasts with the draws [1].
        pp, vpp: ranks, and stages of each: structure, never arrays.

    Returns:
        seconds [s].

    Raises:
        SpecError: the schedule can't order that many micro-batches on that many ranks.

    Source: the schedule's own.

    >>> from trainsim.parallelism.schedules.known import schedule_of
    >>> one = np.ones(1)
    >>> float(pipeline_seconds(schedule_of("interleaved"), Times(one, one, one), 8, pp=4, vpp=2))  # v·m·3 + (p − 1)·3
    57.0
    """
    closed = schedule.closed_form(times, micro_batches, pp, vpp)
    return uneven_seconds(schedule, times.on(schedule.stages(pp, vpp)), micro_batches, pp, vpp) if closed is None else closed


BLOCK = 512
"""Draws timed together: as many as make a level's work outweigh asking for it, and no more than some ten megabytes hold."""
ONCE = np.ones(())
LEFT = 2048
"""Draws that run what is left of the events together: as many as stay in the cache."""
MANY = 4096
"""Draws from which on it is quicker to take out of the events first what never matters to any of them."""
LONG = 8
"""Rounds of ``pp`` micro-batches after which an interleaved step of unlike chunks is taken to have settled."""


@dataclass(frozen=True, eq=False)
class Steady:
    """A short step of a schedule and how a longer one differs from it.

    Args:
        micro_batches: of the short step.
        period: micro-batches after which the order repeats.
        graph: its events.
        region, first: numbers of the slots in each rank's steady state, rank by rank, and where each rank's begin.
        few, more: how often each rank runs each kind of slot in the short step, and how much more often each further period;
            ``(ranks, kinds)``.
    """

    micro_batches: int
    period: int
    graph: Graph
    region: NDArray[np.intp]
    first: NDArray[np.intp]
    few: Array
    more: Array


def _kinds(slots: tuple[Slot, ...]) -> list[Slot]:
    return [kind_of(slot) for slot in slots]


@lru_cache(maxsize=256)
def steady(schedule: Schedule, pp: int, vpp: int) -> Steady:
    """The shortest step whose every rank has a steady state, and what a longer one adds."""
    period, m = schedule.period(pp), schedule.settled(pp)
    short, longer = order(schedule, pp, m, vpp), order(schedule, pp, m + period, vpp)
    graph = graph_of(short)
    region: list[int] = []
    first: list[int] = []
    for rank, (few, many) in enumerate(zip(map(_kinds, short.slots), map(_kinds, longer.slots), strict=True)):
        alike = next((k for k in range(len(few)) if few[k] != many[k]), len(few))
        alike_back = next((k for k in range(len(few)) if few[-1 - k] != many[-1 - k]), len(few))
        first.append(len(region))
        region += graph.number[rank][len(few) - alike_back : alike].tolist()
    counted, longer_counted = _counted(short, graph), _counted(longer, graph)
    return Steady(m, period, graph, np.array(region), np.array(first), counted, longer_counted - counted)


def _counted(run: Order, graph: Graph) -> Array:
    """How often each rank runs each kind of slot of a graph, ``(ranks, kinds)``."""
    each = [Counter(_kinds(slots)) for slots in run.slots]
    return np.array([[counter[kind] for kind in graph.kinds] for counter in each], dtype=np.float64)


def slot_counts(schedule: Schedule, micro_batches: int, pp: int, vpp: int = 1) -> tuple[dict[Slot, int], ...]:
    """How often each rank runs each kind of slot in a step; a kind is a slot with its micro-batch left out.

    >>> from trainsim.parallelism.schedules.known import schedule_of
    >>> [sum(n for slot, n in rank.items() if len(slot) == 2) for rank in slot_counts(schedule_of("dualpipe"), 120, 16)][:3]
    [97, 98, 99]
    """
    schedule.check(pp, vpp, micro_batches)
    graph, counted = _counts(schedule, micro_batches, pp, vpp)
    return tuple({graph.kinds[k]: int(n) for k, n in enumerate(rank) if n} for rank in counted)


@lru_cache(maxsize=256)
def _counts(schedule: Schedule, micro_batches: int, pp: int, vpp: int) -> tuple[Graph, Array]:
    """The kinds of slots of a step and how often each rank runs them."""
    short = steady(schedule, pp, vpp)
    if micro_batches >= short.micro_batches:
        return short.graph, short.few + (micro_batches - short.micro_batches) // short.period * short.more
    run = order(schedule, pp, micro_batches, vpp)
    graph = graph_of(run)
    return graph, _counted(run, graph)


def busy_seconds(schedule: Schedule, times: Times, micro_batches: Num, pp: int, vpp: int = 1) -> Array:
    """Seconds each rank works in a step, ``(ranks,)`` or ``(ranks, n)``; the rest of the step is its bubble.

    Args:
        schedule, times, micro_batches, pp, vpp: as for :func:`pipeline_seconds`.

    Raises:
        SpecError: the rule can't order that many micro-batches on that many ranks.

    >>> from trainsim.parallelism.schedules.known import schedule_of
    >>> one = np.ones(2)
    >>> busy_seconds(schedule_of("1f1b"), Times(one, one, one), 4, pp=2)
    array([12., 12.])
    """
    counts = check_counts(schedule, micro_batches, pp, vpp)
    times = times.beside(counts)
    if not schedule.pairs:  # every pass runs alone, once for each micro-batch
        share = standing(schedule, pp, vpp).share
        if times.row is not None:
            share = share @ np.eye(len(times.forward))[times.row]
        return np.asarray(counts * (share @ (times.forward + times.inputs + times.weights)), dtype=np.float64)

    def long(m: Array) -> Array:
        short = steady(schedule, pp, vpp)
        periods = (m - short.micro_batches) // short.period
        if m.ndim == 0:
            return work(short.graph, short.few + periods * short.more)
        return work(short.graph, short.few) + periods * work(short.graph, short.more)

    def few(m: int) -> Array:
        return work(*_counts(schedule, m, pp, vpp))

    def work(graph: Graph, counted: Array) -> Array:
        if times.forward[0].size < BLOCK:
            return counted @ times.of_kinds(graph)
        each, units = times.distinct
        return counted @ units.of_kinds(graph) @ each

    return _by_length(counts, schedule.settled(pp), long, few)


def check_counts(schedule: Schedule, micro_batches: Num, pp: int, vpp: int) -> Array:
    """Micro-batches as an array, each of which the rule can order.

    Raises:
        SpecError: names the first that it can't, and the nearest values that would do.
    """
    counts = np.asarray(micro_batches)
    broken = counts != np.floor(counts)
    if broken.any():
        value = counts[broken].flat[0]
        raise SpecError("micro-batches", value, "is no whole number", f"nearest: {np.floor(value):g}, {np.ceil(value):g}", "wrong-type")
    off = counts % schedule.period(pp) != 0
    schedule.check(pp, vpp, int(counts[off].flat[0] if off.any() else counts.min()))
    return counts


def _by_length(counts: Array, least: int, long: Callable[[Array], Array], short: Callable[[int], Array]) -> Array:
    """Long steps together, short ones length by length."""
    if counts.ndim == 0:
        return long(counts) if counts >= least else short(int(counts))
    whole = long(np.maximum(counts, least))
    for m in np.unique(counts[counts < least]):
        whole = np.where(counts == m, short(int(m)), whole)
    return whole


def uneven_seconds(schedule: Schedule, times: Times, micro_batches: Num, pp: int, vpp: int = 1, delay: Num = 0.0) -> Num:
    """Seconds of a step by events, for stages of any length.

    A step of ``m₀`` micro-batches is run, and lengthened: ``T(m) = max_r { L_r(m₀) + (m − m₀)·c_r }`` with ``L_r`` the longest path
    through rank ``r``'s steady state and ``c_r`` the rank's work for one more micro-batch. Shorter steps are run as they are.
    Where no rank alone sets the pace (:meth:`~.schedule.Schedule.one_rank_sets_the_pace`), a step is run up to ``LONG`` rounds of ``pp``
    micro-batches and lengthened by the last round's increment.

    Args:
        schedule, times, micro_batches, pp, vpp: as for :func:`pipeline_seconds`.
        delay: between ranks, on the way and blocking nobody, number or ``(n,)`` [s].

    Returns:
        seconds [s]; equals :func:`~.events.timeline`, from below where no rank alone sets the pace and the rounds haven't settled.

    >>> from trainsim.parallelism.schedules.events import timeline
    >>> from trainsim.parallelism.schedules.known import schedule_of
    >>> split = schedule_of("zero-bubble")
    >>> uneven = Times(np.array([1.0, 2.0]), np.array([1.0, 2.0]), np.array([1.0, 2.0]))
    >>> float(uneven_seconds(split, uneven, 100, pp=2)), float(timeline(order(split, 2, 100), uneven).seconds)
    (601.0, 601.0)
    """
    counts, late = check_counts(schedule, micro_batches, pp, vpp), np.asarray(delay, dtype=np.float64)
    times = times.beside(counts, late)

    def run(m: int) -> Array:
        graph = graph_of(order(schedule, pp, m, vpp))
        if _many(times, ONCE, late):
            return _shortened(graph, times, late)
        return _in_blocks(lambda seconds, _, delay: np.asarray(ends(graph, seconds, delay).max(axis=0)), times.of_kinds(graph), ONCE, late)

    if not schedule.one_rank_sets_the_pace(times, pp, late):
        last, before = (run(LONG * pp), run((LONG - 1) * pp)) if counts.max() >= LONG * pp else (0.0, 0.0)
        return _by_length(counts, LONG * pp, lambda m: last + (m / pp - LONG) * (last - before), run)
    return _by_length(counts, schedule.settled(pp), lambda m: _lengthened(steady(schedule, pp, vpp), times, m, late), run)


def _lengthened(short: Steady, times: Times, counts: Array, late: Array) -> Array:
    """The longest path of a step, with a rank's work for the further periods put in where the path is in that rank's steady state."""
    if _many(times, counts, late):
        return _shortened(short.graph, times, late, short, int(counts - short.micro_batches) // short.period)
    return _in_blocks(lambda seconds, m, delay: _longest(short, seconds, m, delay), times.of_kinds(short.graph), counts, late)


def _many(times: Times, counts: Array, late: Array) -> bool:
    """Whether so many draws of one step are asked for that its events are worth shortening; a box around them has to be finite."""
    columns = np.broadcast_shapes(times.forward.shape[1:], late.shape)
    if counts.ndim > 0 or len(columns) != 1 or columns[0] < MANY:
        return False
    total = times.distinct[0].sum(axis=0) + late
    return bool(np.all((total > 0.0) & np.isfinite(total)))


def _shortened(graph: Graph, times: Times, late: Array, short: Steady | None = None, periods: int = 0) -> Array:
    """The longest path through what of the events matters to any of the draws, further periods put in as by :func:`_lengthened`."""
    each, units = times.distinct
    columns = np.broadcast_shapes(each.shape[1:], late.shape)
    rows = np.concatenate([np.broadcast_to(row, (len(row), *columns)) for row in (each, np.atleast_2d(late))])
    kinds = np.pad(units.of_kinds(graph), ((0, 0), (0, 1)))
    further = None
    if short is not None:
        rank = np.searchsorted(short.first, np.arange(len(short.region)), side="right") - 1
        further = short.region, (periods * short.more @ kinds)[rank]
    left = shortened(graph, kinds, box_of(rows), np.append(np.zeros(len(each)), 1.0), further)
    return np.concatenate([left.seconds(rows[:, first : first + LEFT]) for first in range(0, columns[0], LEFT)])


def _in_blocks(function: Callable[[Array, Array, Array], Array], seconds: Array, counts: Array, late: Array) -> Array:
    """A function of some columns, block by block: ``(kinds, n), (n,), (n,)`` → ``(n,)``."""
    columns = np.broadcast_shapes(seconds.shape[1:], late.shape, counts.shape)
    if prod(columns) <= BLOCK:
        return function(seconds, counts, late)
    every = (np.broadcast_to(seconds, (len(seconds), *columns)), np.broadcast_to(counts, columns), np.broadcast_to(late, columns))
    blocks = (slice(first, first + BLOCK) for first in range(0, columns[0], BLOCK))
    return np.concatenate([function(every[0][:, block], every[1][block], every[2][block]) for block in blocks])


def _longest(short: Steady, seconds: Array, counts: Array, late: Array) -> Array:
    through = ends(short.graph, seconds, late)[:-1] + tails(short.graph, seconds, late)
    steadily = np.maximum.reduceat(through[short.region], short.first, axis=0)
    longest: Array = (steadily + (counts - short.micro_batches) // short.period * (short.more @ seconds)).max(axis=0)
    return longest
