"""Pipeline time of a step, in closed form or extrapolated from the simulation of a short step; and busy time of each rank."""

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
from .graph import Graph, end_times, graph_of, slot_kind, tails
from .passes import Order, Slot
from .path_pruning import bounding_box, prune_dominated_paths
from .schedule import Schedule, slot_order, stage_placement

Array = NDArray[np.float64]


def pipeline_seconds(schedule: Schedule, times: Times, micro_batches: Num, pp: int, vpp: int = 1) -> Num:
    """Time from the start of the first forward pass to the end of the last backward pass.

    Uses the schedule's closed form if it has one, else a simulation of a short step, extrapolated (:func:`uneven_seconds`).

    Args:
        schedule: the schedule.
        times: time of each pass; one row for uniform stages, or one per stage in data-flow order [s].
        micro_batches: micro-batches per step, number or array that broadcasts with the draws [1].
        pp, vpp: number of ranks, and stages per rank; never arrays.

    Returns:
        time [s].

    Raises:
        SpecError: the schedule does not support these numbers of micro-batches and ranks, or wrongly says that one rank sets the pace.

    Source: that of the schedule.

    >>> from trainsim.parallelism.schedules.discovery import schedule_of
    >>> one = np.ones(1)
    >>> float(pipeline_seconds(schedule_of("interleaved"), Times(one, one, one), 8, pp=4, vpp=2))  # v·m·3 + (p − 1)·3
    57.0
    """
    closed = schedule.closed_form(times, micro_batches, pp, vpp)
    return uneven_seconds(schedule, times.on(schedule.stages(pp, vpp)), micro_batches, pp, vpp) if closed is None else closed


EVENT_BLOCK = 512
"""Draws per block of the event simulation: the overhead per level is small, and a block needs about ten megabytes."""
ONE_STEP = np.ones(())
PRUNED_BLOCK = 2048
"""Draws per block of the pruned event graph: as many as fit the processor's cache."""
PRUNING_DRAWS = 4096
"""Number of draws from which pruning the event graph pays off."""
SETTLED_ROUNDS = 8
"""Rounds of ``pp`` micro-batches after which an interleaved step with unequal chunks is assumed steady."""


@dataclass(frozen=True, eq=False)
class SteadyState:
    """A short step of a schedule, and what each further period adds.

    Args:
        micro_batches: micro-batches of the short step.
        period: micro-batches after which the order repeats.
        graph: event graph of the short step.
        region, first: slots in the steady state, rank by rank, and the index in ``region`` at which each rank starts.
        counts, added: number of slots of each kind on each rank, in the short step and in each further period, ``(ranks, kinds)``.
    """

    micro_batches: int
    period: int
    graph: Graph
    region: NDArray[np.intp]
    first: NDArray[np.intp]
    counts: Array
    added: Array


def _slot_kinds(slots: tuple[Slot, ...]) -> list[Slot]:
    return [slot_kind(slot) for slot in slots]


@lru_cache(maxsize=256)
def steady_state(schedule: Schedule, pp: int, vpp: int) -> SteadyState:
    """The shortest step in which every rank reaches a steady state, and what a longer one adds."""
    period, m = schedule.period(pp), schedule.settled(pp)
    short, longer = slot_order(schedule, pp, m, vpp), slot_order(schedule, pp, m + period, vpp)
    graph = graph_of(short)
    region: list[int] = []
    first: list[int] = []
    for rank, (few, many) in enumerate(zip(map(_slot_kinds, short.slots), map(_slot_kinds, longer.slots), strict=True)):
        same_start, same_end = _common(few, many), _common(few[::-1], many[::-1])
        first.append(len(region))
        region += graph.number[rank][len(few) - same_end : same_start].tolist()
    counted, longer_counted = _slot_count_table(short, graph), _slot_count_table(longer, graph)
    return SteadyState(m, period, graph, np.array(region, np.intp), np.array(first, np.intp), counted, longer_counted - counted)


def _common(one: list[Slot], other: list[Slot]) -> int:
    """Length of the common start of two lists."""
    return next((k for k, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _slot_count_table(run: Order, graph: Graph) -> Array:
    """Number of slots of each kind on each rank, ``(ranks, kinds)``."""
    each = [Counter(_slot_kinds(slots)) for slots in run.slots]
    return np.array([[counter[kind] for kind in graph.kinds] for counter in each], dtype=np.float64)


def slot_counts(schedule: Schedule, micro_batches: int, pp: int, vpp: int = 1) -> tuple[dict[Slot, int], ...]:
    """Number of slots of each kind on each rank in a step; a kind is a slot without its micro-batch.

    >>> from trainsim.parallelism.schedules.discovery import schedule_of
    >>> [sum(n for slot, n in rank.items() if len(slot) == 2) for rank in slot_counts(schedule_of("dualpipe"), 120, 16)][:3]
    [97, 98, 99]
    """
    schedule.check(pp, vpp, micro_batches)
    graph, counted = _cached_slot_counts(schedule, micro_batches, pp, vpp)
    return tuple({graph.kinds[k]: int(n) for k, n in enumerate(rank) if n} for rank in counted)


@lru_cache(maxsize=256)
def _cached_slot_counts(schedule: Schedule, micro_batches: int, pp: int, vpp: int) -> tuple[Graph, Array]:
    """Event graph of a step, and the number of slots of each kind on each rank; cached."""
    steady = steady_state(schedule, pp, vpp)
    if micro_batches >= steady.micro_batches:
        return steady.graph, steady.counts + (micro_batches - steady.micro_batches) // steady.period * steady.added
    run = slot_order(schedule, pp, micro_batches, vpp)
    graph = graph_of(run)
    return graph, _slot_count_table(run, graph)


def busy_seconds(schedule: Schedule, times: Times, micro_batches: Num, pp: int, vpp: int = 1) -> Array:
    """Busy time of each rank in a step, ``(ranks,)`` or ``(ranks, n)`` [s]; the rest of the step is its bubble.

    Args:
        schedule, times, micro_batches, pp, vpp: as for :func:`pipeline_seconds`.

    Raises:
        SpecError: the schedule does not support these numbers of micro-batches and ranks.

    >>> from trainsim.parallelism.schedules.discovery import schedule_of
    >>> one = np.ones(2)
    >>> busy_seconds(schedule_of("1f1b"), Times(one, one, one), 4, pp=2)
    array([12., 12.])
    """
    counts = check_counts(schedule, micro_batches, pp, vpp)
    times = times.broadcast_with(counts)
    if not schedule.pairs:  # every pass runs alone, once for each micro-batch
        share = stage_placement(schedule, pp, vpp).share
        if times.row is not None:
            share = share @ np.eye(len(times.forward))[times.row]
        return np.asarray(counts * (share @ (times.forward + times.inputs + times.weights)), dtype=np.float64)

    def long_step(m: Array) -> Array:
        steady = steady_state(schedule, pp, vpp)
        periods = (m - steady.micro_batches) // steady.period
        if m.ndim == 0:
            return work(steady.graph, steady.counts + periods * steady.added)
        return work(steady.graph, steady.counts) + periods * work(steady.graph, steady.added)

    def short_step(m: int) -> Array:
        return work(*_cached_slot_counts(schedule, m, pp, vpp))

    def work(graph: Graph, counted: Array) -> Array:
        if times.forward[0].size < EVENT_BLOCK:
            return counted @ times.slot_seconds(graph)
        each, units = times.distinct
        return counted @ units.slot_seconds(graph) @ each

    return _by_length(counts, schedule.settled(pp), long_step, short_step)


def check_counts(schedule: Schedule, micro_batches: Num, pp: int, vpp: int) -> Array:
    """Return the micro-batches as an array, after a check that the schedule supports each number.

    Raises:
        SpecError: the schedule does not support a number; the error names the nearest supported ones.
    """
    counts = np.asarray(micro_batches)
    broken = counts != np.floor(counts)
    if broken.any():
        value = counts[broken].flat[0]
        raise SpecError("micro-batches", value, "is not a whole number", f"nearest: {np.floor(value):g}, {np.ceil(value):g}", "wrong-type")
    off = counts % schedule.period(pp) != 0
    schedule.check(pp, vpp, int(counts[off].flat[0] if off.any() else counts.min()))
    return counts


def _by_length(counts: Array, least: int, long: Callable[[Array], Array], short: Callable[[int], Array]) -> Array:
    """Evaluate long steps at once, and short steps separately for each number of micro-batches."""
    if counts.ndim == 0:
        return long(counts) if counts >= least else short(int(counts))
    whole = long(np.maximum(counts, least))
    for m in np.unique(counts[counts < least]):
        whole = np.where(counts == m, short(int(m)), whole)
    return whole


def uneven_seconds(schedule: Schedule, times: Times, micro_batches: Num, pp: int, vpp: int = 1, delay: Num = 0.0) -> Num:
    """Pipeline time of a step by event simulation, for any stages.

    A step of ``m₀`` micro-batches is simulated and extrapolated: ``T(m) = max_r { L_r(m₀) + (m − m₀)·c_r }``, where ``L_r`` is the longest
    path through the steady state of rank ``r`` and ``c_r`` the rank's work per further micro-batch. Shorter steps are simulated as they
    are. If no single rank sets the pace (:meth:`~.schedule.Schedule.one_rank_sets_the_pace`), up to ``SETTLED_ROUNDS`` rounds of ``pp``
    micro-batches are simulated, and further ones add as much as the last round.

    Args:
        schedule, times, micro_batches, pp, vpp: as for :func:`pipeline_seconds`.
        delay: time of a message between ranks that blocks neither, number or ``(n,)`` [s].

    Returns:
        time [s]; equals :func:`~.events.timeline`, or is slightly below if no single rank sets the pace.

    >>> from trainsim.parallelism.schedules.events import timeline
    >>> from trainsim.parallelism.schedules.discovery import schedule_of
    >>> split = schedule_of("zero-bubble")
    >>> uneven = Times(np.array([1.0, 2.0]), np.array([1.0, 2.0]), np.array([1.0, 2.0]))
    >>> float(uneven_seconds(split, uneven, 100, pp=2)), float(timeline(slot_order(split, 2, 100), uneven).seconds)
    (601.0, 601.0)
    """
    counts, late = check_counts(schedule, micro_batches, pp, vpp), np.asarray(delay, dtype=np.float64)
    times = times.broadcast_with(counts, late)

    def run(m: int) -> Array:
        graph = graph_of(slot_order(schedule, pp, m, vpp))
        if _worth_pruning(times, ONE_STEP, late):
            return _pruned_longest(graph, times, late)
        return _in_blocks(
            lambda seconds, _, delay: np.asarray(end_times(graph, seconds, delay).max(axis=0)), times.slot_seconds(graph), ONE_STEP, late
        )

    if not schedule.one_rank_sets_the_pace(times, pp, late):
        last, before = (run(SETTLED_ROUNDS * pp), run((SETTLED_ROUNDS - 1) * pp)) if counts.max() >= SETTLED_ROUNDS * pp else (0.0, 0.0)
        return _by_length(counts, SETTLED_ROUNDS * pp, lambda m: last + (m / pp - SETTLED_ROUNDS) * (last - before), run)
    return _by_length(counts, schedule.settled(pp), lambda m: _extrapolated(_paced_by_a_rank(schedule, pp, vpp), times, m, late), run)


def _paced_by_a_rank(schedule: Schedule, pp: int, vpp: int) -> SteadyState:
    """The steady state of a schedule in which one rank sets the pace, after a check that every rank has a steady state.

    Raises:
        SpecError: a rank repeats no slots as steps grow, so its pace is undefined.
    """
    steady = steady_state(schedule, pp, vpp)
    idle = np.flatnonzero(np.diff(steady.first, append=len(steady.region)) == 0)
    if idle.size:
        rule = f"is true of {schedule.name} at pp={pp}, but rank {idle[0]} has no steady state in {steady.micro_batches} micro-batches"
        remedy = "return False to simulate the step; or correct settled(pp) and period(pp)"
        raise SpecError("one_rank_sets_the_pace", True, rule, remedy, "conflict")
    return steady


def _extrapolated(steady: SteadyState, times: Times, counts: Array, late: Array) -> Array:
    """Longest path of a step: per rank, the longest path of the short step through its steady state, plus its work in further periods."""
    if _worth_pruning(times, counts, late):
        return _pruned_longest(steady.graph, times, late, steady, int(counts - steady.micro_batches) // steady.period)
    return _in_blocks(lambda seconds, m, delay: _longest(steady, seconds, m, delay), times.slot_seconds(steady.graph), counts, late)


def _worth_pruning(times: Times, counts: Array, late: Array) -> bool:
    """Whether there are enough draws of one step for pruning to pay off, and all are finite."""
    columns = np.broadcast_shapes(times.forward.shape[1:], late.shape)
    if counts.ndim > 0 or len(columns) != 1 or columns[0] < PRUNING_DRAWS:
        return False
    total = times.distinct[0].sum(axis=0) + late
    return bool(np.all((total > 0.0) & np.isfinite(total)))


def _pruned_longest(graph: Graph, times: Times, late: Array, steady: SteadyState | None = None, periods: int = 0) -> Array:
    """Longest path in the pruned event graph, with further periods added as in :func:`_extrapolated`."""
    each, units = times.distinct
    columns = np.broadcast_shapes(each.shape[1:], late.shape)
    rows = np.concatenate([np.broadcast_to(row, (len(row), *columns)) for row in (each, np.atleast_2d(late))])
    kinds = np.pad(units.slot_seconds(graph), ((0, 0), (0, 1)))
    further = None
    if steady is not None:
        rank = np.searchsorted(steady.first, np.arange(len(steady.region)), side="right") - 1
        further = steady.region, (periods * steady.added @ kinds)[rank]
    left = prune_dominated_paths(graph, kinds, bounding_box(rows), np.append(np.zeros(len(each)), 1.0), further)
    return np.concatenate([left.seconds(rows[:, first : first + PRUNED_BLOCK]) for first in range(0, columns[0], PRUNED_BLOCK)])


def _in_blocks(function: Callable[[Array, Array, Array], Array], seconds: Array, counts: Array, late: Array) -> Array:
    """Evaluate a function of columns block by block: ``(kinds, n), (n,), (n,)`` → ``(n,)``."""
    columns = np.broadcast_shapes(seconds.shape[1:], late.shape, counts.shape)
    if prod(columns) <= EVENT_BLOCK:
        return function(seconds, counts, late)
    every = (np.broadcast_to(seconds, (len(seconds), *columns)), np.broadcast_to(counts, columns), np.broadcast_to(late, columns))
    blocks = (slice(first, first + EVENT_BLOCK) for first in range(0, columns[0], EVENT_BLOCK))
    return np.concatenate([function(every[0][:, block], every[1][block], every[2][block]) for block in blocks])


def _longest(steady: SteadyState, seconds: Array, counts: Array, late: Array) -> Array:
    through = end_times(steady.graph, seconds, late)[:-1] + tails(steady.graph, seconds, late)
    steadily = np.maximum.reduceat(through[steady.region], steady.first, axis=0)
    longest: Array = (steadily + (counts - steady.micro_batches) // steady.period * (steady.added @ seconds)).max(axis=0)
    return longest
