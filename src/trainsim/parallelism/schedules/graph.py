"""Event graph of an order, in levels: slots of one level wait only for earlier levels, so that they are timed together."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import prod

import numpy as np
from numpy.typing import NDArray

from ...core.errors import SpecError
from .passes import Order, Pass, Slot

Array = NDArray[np.float64]
Index = NDArray[np.intp]
Links = list[tuple[int, int, tuple[int, ...]]]
"""(index of a slot, index of its kind, indices of its neighbours in the graph)"""


@dataclass(frozen=True, eq=False, slots=True)
class Level:
    """Slots that are timed together: indices, kinds, neighbours (one per column), and whether each neighbour is on another rank."""

    part: slice
    kinds: Index
    inputs: tuple[tuple[Index, NDArray[np.bool_]], ...]


@dataclass(frozen=True, eq=False)
class Graph:
    """Event graph with slots indexed level by level; the index after the last means "none".

    Args:
        number: indices of the slots of each rank.
        kinds, kind: distinct slots without their micro-batch, and the index of each slot among them.
        rows: for each kind, the rows of its first pass, its second pass and the pair in the table of :meth:`~.events.Times.slot_seconds`.
        levels: first index of each level, and the index after its last.
        before: slots that a slot waits for, ``(slots, 3)``, that of its own rank first.
        after: slots that wait for it.
        crosses, leaves: whether the slots in ``before`` and in ``after`` are on another rank.
    """

    number: tuple[Index, ...]
    kinds: tuple[Slot, ...]
    kind: Index
    rows: Index
    levels: tuple[tuple[int, int], ...]
    before: Index
    after: Index
    crosses: NDArray[np.bool_]
    leaves: NDArray[np.bool_]

    @cached_property
    def predecessors(self) -> tuple[Level, ...]:
        """Predecessors of the slots of each level."""
        return tuple(self._level(slice(*bounds), self.before, self.crosses) for bounds in self.levels)

    @cached_property
    def successors(self) -> tuple[Level, ...]:
        """Successors of the slots of each level, the last level first."""
        return tuple(self._level(slice(*bounds), self.after, self.leaves) for bounds in reversed(self.levels))

    def _level(self, part: slice, places: Index, away: NDArray[np.bool_]) -> Level:
        nothing = len(self.kind)
        used = [c for c in range(places.shape[1]) if c == 0 or (places[part, c] != nothing).any()]
        return Level(part, self.kind[part], tuple((np.ascontiguousarray(places[part, c]), away[part, c]) for c in used))

    @cached_property
    def links(self) -> tuple[Links, Links]:
        """Slots one by one, forward and backward in time: (index, kind, predecessors) and (index, kind, successors).

        The index of a
        neighbour on another rank is shifted by the number of slots plus one; the arrival time of its message is stored at the shifted
        index.
        """
        beyond = len(self.kind) + 1
        arrivals, readers = self.before + beyond * self.crosses, self.after + beyond * self.leaves
        forward = [(i, k, tuple(row)) for i, (k, row) in enumerate(zip(self.kind.tolist(), arrivals.tolist(), strict=True))]
        backward = [(i, k, tuple(dict.fromkeys(row))) for i, (k, row) in enumerate(zip(self.kind.tolist(), readers.tolist(), strict=True))]
        return forward, backward[::-1]


def end_times(graph: Graph, seconds: Array, delay: Array | None = None) -> Array:
    """End time of every slot: the longest path from the start through it.

    Args:
        graph: from :func:`graph_of`.
        seconds: time of each kind of slot, ``(kinds,)`` or ``(kinds, n)`` [s].
        delay: time of a message between ranks, ``()`` or ``(n,)``; None for 0 [s].

    Returns:
        end times by slot index, and a last row of zeros [s].
    """
    late = np.zeros(()) if delay is None else delay
    columns = np.broadcast_shapes(seconds.shape[1:], late.shape)
    if prod(columns) == 1:
        return _end_times_scalar(graph, seconds.reshape(-1), float(late.item())).reshape(-1, *columns)
    ended, crossing = np.zeros((len(graph.kind) + 1, *columns)), late if late.any() else None
    for level in graph.predecessors:
        np.add(_latest(ended, level, crossing), seconds[level.kinds], out=ended[level.part])
    return ended


def _latest(times: Array, level: Level, crossing: Array | None) -> Array:
    """Latest time of the neighbours of each slot of a level; a neighbour on another rank counts ``crossing`` seconds later."""
    latest: Array | None = None
    for places, away in level.inputs:
        each = times.take(places, axis=0)
        if crossing is not None:
            each += away.reshape(-1, *(1,) * (times.ndim - 1)) * crossing
        latest = each if latest is None else np.maximum(latest, each, out=latest)
    assert latest is not None
    return latest


def tails(graph: Graph, seconds: Array, delay: Array | None = None) -> Array:
    """Longest path from the end of every slot to the end of the step, by slot index [s]."""
    late = np.zeros(()) if delay is None else delay
    columns = np.broadcast_shapes(seconds.shape[1:], late.shape)
    if prod(columns) == 1:
        return _tails_scalar(graph, seconds.reshape(-1), float(late.item())).reshape(-1, *columns)
    rest = np.zeros((len(graph.kind) + 1, *columns))  # longest path from the start of each slot
    after, crossing = np.zeros((len(graph.kind), *columns)), late if late.any() else None
    for level in graph.successors:
        after[level.part] = _latest(rest, level, crossing)
        np.add(after[level.part], seconds[level.kinds], out=rest[level.part])
    return after


def _end_times_scalar(graph: Graph, seconds: Array, late: float) -> Array:
    """End times for scalar times; for these, a loop over slots is faster than one over levels."""
    spent, beyond = seconds.tolist(), len(graph.kind) + 1
    ended = [0.0] * (2 * beyond)
    for i, kind, (a, b, c) in graph.links[0]:
        last, other, third = ended[a], ended[b], ended[c]
        if other > last:  # noqa: PLR1730  # calling max takes three times as long
            last = other
        if third > last:  # noqa: PLR1730
            last = third
        ended[i] = last = last + spent[kind]
        ended[i + beyond] = last + late
    return np.array(ended[:beyond])


def _tails_scalar(graph: Graph, seconds: Array, late: float) -> Array:
    spent, beyond = seconds.tolist(), len(graph.kind) + 1
    rest, after = [0.0] * (2 * beyond), [0.0] * (beyond - 1)
    for i, kind, readers in graph.links[1]:
        most = 0.0
        for reader in readers:
            if rest[reader] > most:  # noqa: PLR1730
                most = rest[reader]
        after[i] = most
        rest[i] = most = most + spent[kind]
        rest[i + beyond] = most + late
    return np.array(after)


@lru_cache(maxsize=64)
def graph_of(order: Order) -> Graph:
    """The event graph of an order.

    Raises:
        SpecError: the order has a cyclic wait, or waits for a pass that no rank runs.
    """
    slots = [slot for rank in order.slots for slot in rank]
    counts = [len(each) for each in order.slots]
    nothing, size = len(slots), order.stages * order.micro_batches
    ranks = np.append(np.repeat(np.arange(order.ranks), counts), -1)
    passes = np.array([_pass_codes(slot, order) for slot in slots], dtype=np.intp)
    before = _predecessors(order, passes, counts)
    after = _successors(before)
    level = _levels(order, before, after)
    sequence = np.argsort(level, kind="stable")
    number = np.append(np.empty(nothing, dtype=np.intp), nothing)
    number[sequence] = np.arange(nothing)
    kind_codes = (passes // order.micro_batches) @ np.array([4 * size, 1])
    _, index, inverse = np.unique(kind_codes[sequence], return_index=True, return_inverse=True)
    in_order = np.argsort(index)
    kinds = tuple(slot_kind(slots[i]) for i in sequence[index[in_order]].tolist())
    rows = np.array([_time_rows(slot, order.stages) for slot in kinds], dtype=np.intp).T
    starts = np.flatnonzero(np.diff(level[sequence], prepend=-1))
    bounds = tuple(zip(starts.tolist(), [*starts[1:].tolist(), nothing], strict=True))
    of_rank = tuple(np.split(number[:-1], np.cumsum(counts)[:-1]))
    crosses, leaves = ((found != nothing) & (ranks[found] != ranks[:-1, None]) for found in (before, after))
    links = number[before[sequence]], number[after[sequence]], crosses[sequence], leaves[sequence]
    return Graph(of_rank, kinds, np.argsort(in_order)[inverse], rows, bounds, *links)


LETTERS = "FIWB"


def _pass_codes(slot: Slot, order: Order) -> tuple[int, int]:
    """The passes of a slot as integers that encode letter, stage and micro-batch; -1 if there is no second pass."""
    first, *second = ((LETTERS.index(letter) * order.stages + stage) * order.micro_batches + n for letter, stage, n in slot)
    return first, second[0] if second else -1


def _predecessors(order: Order, passes: Index, counts: list[int]) -> Index:
    """Slots that each slot waits for: the previous one on its rank, and those of its passes' inputs, ``(slots, 3)``.

    The input of a forward pass is that of the stage before; of a weight pass, its input pass; of a backward pass, that of the stage
    after, or its own forward pass on the last stage.
    """
    nothing, m, size = len(passes), order.micro_batches, order.stages * order.micro_batches
    where = np.full(4 * size + 1, nothing)
    for column in passes.T:
        where[column[column >= 0]] = np.flatnonzero(column >= 0)
    letter, stage = passes // size, passes % size // m
    after = passes % size + m
    backward = np.where(where[np.minimum(3 * size + after, 4 * size)] != nothing, 3 * size + after, size + after)
    forward = np.where(stage > 0, passes - m, 4 * size)
    of_letter = [letter == 0, letter == 2, stage == order.stages - 1]
    read = np.select(of_letter, [forward, passes - size, passes % size], backward)
    read = np.where(passes < 0, 4 * size, read)
    if ((read < 4 * size) & (where[read] == nothing)).any():
        raise SpecError(
            "plan.schedule", order.schedule, "waits for a pass that no rank runs", "correct the order of its slots", "unsupported"
        )
    last = np.arange(nothing) - 1
    last[np.cumsum([0, *counts[:-1]])] = nothing
    before = np.column_stack([last, where[read]])
    for a, b in ((1, 0), (2, 0), (2, 1)):  # each slot once
        before[before[:, a] == before[:, b], a] = nothing
    return before


def _successors(before: Index) -> Index:
    """Slots that wait for each slot, ``(slots, most)``, padded with the index after the last."""
    nothing = len(before)
    waiting, column = np.nonzero(before != nothing)
    awaited = before[waiting, column]
    by_awaited = np.argsort(awaited, kind="stable")
    many = np.bincount(awaited, minlength=nothing)
    after = np.full((nothing, many.max(initial=1)), nothing)
    place = np.arange(len(awaited)) - np.repeat(np.cumsum(many) - many, many)
    after[awaited[by_awaited], place] = waiting[by_awaited]
    return after


def _time_rows(slot: Slot, stages: int) -> tuple[int, int, int]:
    """Rows of a slot's passes in the table of :meth:`~.events.Times.slot_seconds`."""
    first, *second = (LETTERS.index(part.letter) * stages + part.stage for part in slot)
    nothing = 5 * stages
    return (first, second[0], 4 * stages + slot[0].stage) if second else (first, nothing, first)


def slot_kind(slot: Slot) -> Slot:
    """A slot without its micro-batch."""
    return tuple([Pass(letter, stage, 0) for letter, stage, _ in slot])


def _levels(order: Order, before: Index, after: Index) -> Index:
    """Level of each slot: the number of slots before it on the longest path to it."""
    nothing = len(before)
    level, left = np.full(nothing, -1), np.append((before != nothing).sum(axis=1), nothing)
    ready, depth = np.flatnonzero(left[:-1] == 0), 0
    while len(ready):
        level[ready] = depth
        followers = after[ready].reshape(-1)
        np.subtract.at(left, followers, 1)
        left[-1] = nothing
        ready, depth = np.unique(followers[left[followers] == 0]), depth + 1
    if (level < 0).any():
        raise SpecError(
            "plan.schedule",
            order.schedule,
            "has passes that wait for each other in a cycle",
            "correct the order of its slots",
            "unsupported",
        )
    return level
