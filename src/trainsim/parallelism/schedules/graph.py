"""The events of an order as a graph in levels: slots of one level wait only for slots of earlier ones, and are timed together."""

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
"""(number of a slot, number of its kind, numbers of the slots beside it in time)"""


@dataclass(frozen=True, eq=False, slots=True)
class Level:
    """Slots timed together: their numbers, their kinds, and column by column the slots beside them in time and whether those are away."""

    part: slice
    kinds: Index
    beside: tuple[tuple[Index, NDArray[np.bool_]], ...]


@dataclass(frozen=True, eq=False)
class Graph:
    """Slots numbered level by level; a number past the last stands for "nothing".

    Args:
        number: of each rank, the numbers of its slots.
        kinds, kind: distinct slots with their micro-batch left out, and which one each slot is.
        rows: of each kind, where its time stands in :meth:`~.events.Times.of_kinds`: of its first pass, of its second, and of the pair.
        levels: first and end number of each level.
        before: slots whose end a slot waits for, ``(slots, 3)``, its own rank's first; ``after`` those that wait for it.
        crosses, leaves: whether what is waited for comes from another rank, and whether what waits stands on another.
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
    def waits(self) -> tuple[Level, ...]:
        """What the slots of each level wait for."""
        return tuple(self._level(slice(*bounds), self.before, self.crosses) for bounds in self.levels)

    @cached_property
    def follows(self) -> tuple[Level, ...]:
        """What waits for the slots of each level, the last level first."""
        return tuple(self._level(slice(*bounds), self.after, self.leaves) for bounds in reversed(self.levels))

    def _level(self, part: slice, places: Index, away: NDArray[np.bool_]) -> Level:
        nothing = len(self.kind)
        used = [c for c in range(places.shape[1]) if c == 0 or (places[part, c] != nothing).any()]
        return Level(part, self.kind[part], tuple((np.ascontiguousarray(places[part, c]), away[part, c]) for c in used))

    @cached_property
    def links(self) -> tuple[Links, Links]:
        """Slots one by one, forward and backward in time: (number, kind, the three it waits for), (number, kind, those that wait for it).

        What crosses ranks is a number beyond the slots' own, where its arrival stands instead of its end.
        """
        beyond = len(self.kind) + 1
        arrivals, readers = self.before + beyond * self.crosses, self.after + beyond * self.leaves
        forward = [(i, k, tuple(row)) for i, (k, row) in enumerate(zip(self.kind.tolist(), arrivals.tolist(), strict=True))]
        backward = [(i, k, tuple(dict.fromkeys(row))) for i, (k, row) in enumerate(zip(self.kind.tolist(), readers.tolist(), strict=True))]
        return forward, backward[::-1]


def ends(graph: Graph, seconds: Array, delay: Array | None = None) -> Array:
    """When every slot ends: the longest path from the start through it.

    Args:
        graph: from :func:`graph_of`.
        seconds: of each kind of slot, ``(kinds,)`` or ``(kinds, n)`` [s].
        delay: on the way between ranks, ``()`` or ``(n,)``; None for none [s].

    Returns:
        ends by number, and a last row of zeros [s].
    """
    late = np.zeros(()) if delay is None else delay
    columns = np.broadcast_shapes(seconds.shape[1:], late.shape)
    if prod(columns) == 1:
        return _ends_of_one(graph, seconds.reshape(-1), float(late.item())).reshape(-1, *columns)
    ended, crossing = np.zeros((len(graph.kind) + 1, *columns)), late if late.any() else None
    for level in graph.waits:
        np.add(_latest(ended, level, crossing), seconds[level.kinds], out=ended[level.part])
    return ended


def _latest(times: Array, level: Level, crossing: Array | None) -> Array:
    """The latest time beside each slot of a level; those away are later by the crossing."""
    latest: Array | None = None
    for places, away in level.beside:
        each = times.take(places, axis=0)
        if crossing is not None:
            each += away.reshape(-1, *(1,) * (times.ndim - 1)) * crossing
        latest = each if latest is None else np.maximum(latest, each, out=latest)
    assert latest is not None
    return latest


def tails(graph: Graph, seconds: Array, delay: Array | None = None) -> Array:
    """What must still follow every slot: the longest path from its end to the end of the step, by number [s]."""
    late = np.zeros(()) if delay is None else delay
    columns = np.broadcast_shapes(seconds.shape[1:], late.shape)
    if prod(columns) == 1:
        return _tails_of_one(graph, seconds.reshape(-1), float(late.item())).reshape(-1, *columns)
    rest = np.zeros((len(graph.kind) + 1, *columns))  # from a slot's start
    after, crossing = np.zeros((len(graph.kind), *columns)), late if late.any() else None
    for level in graph.follows:
        after[level.part] = _latest(rest, level, crossing)
        np.add(after[level.part], seconds[level.kinds], out=rest[level.part])
    return after


def _ends_of_one(graph: Graph, seconds: Array, late: float) -> Array:
    """The same for one column: a slot at a time costs less than a level at a time."""
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


def _tails_of_one(graph: Graph, seconds: Array, late: float) -> Array:
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
    """The graph of an order.

    Raises:
        SpecError: an order that waits for itself, or for a pass that no rank runs.
    """
    slots = [slot for rank in order.slots for slot in rank]
    counts = [len(each) for each in order.slots]
    nothing, size = len(slots), order.stages * order.micro_batches
    ranks = np.append(np.repeat(np.arange(order.ranks), counts), -1)
    passes = np.array([_codes(slot, order) for slot in slots], dtype=np.intp)
    before = _waits(order, passes, counts)
    after = _followers(before)
    level = _levels(order, before, after)
    sequence = np.argsort(level, kind="stable")
    number = np.append(np.empty(nothing, dtype=np.intp), nothing)
    number[sequence] = np.arange(nothing)
    alike = (passes // order.micro_batches) @ np.array([4 * size, 1])
    _, index, inverse = np.unique(alike[sequence], return_index=True, return_inverse=True)
    in_order = np.argsort(index)
    kinds = tuple(kind_of(slots[i]) for i in sequence[index[in_order]].tolist())
    rows = np.array([_rows(slot, order.stages) for slot in kinds], dtype=np.intp).T
    starts = np.flatnonzero(np.diff(level[sequence], prepend=-1))
    bounds = tuple(zip(starts.tolist(), [*starts[1:].tolist(), nothing], strict=True))
    of_rank = tuple(np.split(number[:-1], np.cumsum(counts)[:-1]))
    crosses, leaves = ((found != nothing) & (ranks[found] != ranks[:-1, None]) for found in (before, after))
    links = number[before[sequence]], number[after[sequence]], crosses[sequence], leaves[sequence]
    return Graph(of_rank, kinds, np.argsort(in_order)[inverse], rows, bounds, *links)


LETTERS = "FIWB"


def _codes(slot: Slot, order: Order) -> tuple[int, int]:
    """A slot's passes as numbers: letter, stage and micro-batch; -1 where there is no second pass."""
    first, *second = ((LETTERS.index(letter) * order.stages + stage) * order.micro_batches + n for letter, stage, n in slot)
    return first, second[0] if second else -1


def _waits(order: Order, passes: Index, counts: list[int]) -> Index:
    """The slots whose end each slot waits for: its own rank's last, and those of the passes that its passes read, ``(slots, 3)``.

    A forward pass reads the one of the stage before, a weight pass its input pass, a backward pass that of the stage after, on the last
    stage its own forward pass.
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
        raise SpecError("plan.schedule", order.schedule, "reads a pass that no rank runs", "the order given can't be run", "unsupported")
    last = np.arange(nothing) - 1
    last[np.cumsum([0, *counts[:-1]])] = nothing
    before = np.column_stack([last, where[read]])
    for a, b in ((1, 0), (2, 0), (2, 1)):  # each slot once
        before[before[:, a] == before[:, b], a] = nothing
    return before


def _followers(before: Index) -> Index:
    """The slots that wait for each slot, ``(slots, most)``; a number past the last where there are fewer."""
    nothing = len(before)
    waiting, column = np.nonzero(before != nothing)
    awaited = before[waiting, column]
    by_awaited = np.argsort(awaited, kind="stable")
    many = np.bincount(awaited, minlength=nothing)
    after = np.full((nothing, many.max(initial=1)), nothing)
    place = np.arange(len(awaited)) - np.repeat(np.cumsum(many) - many, many)
    after[awaited[by_awaited], place] = waiting[by_awaited]
    return after


def _rows(slot: Slot, stages: int) -> tuple[int, int, int]:
    """Rows of a slot's passes in a table of forward, inputs, weights, backward and pair times and one row of zeros."""
    first, *second = (LETTERS.index(part.letter) * stages + part.stage for part in slot)
    nothing = 5 * stages
    return (first, second[0], 4 * stages + slot[0].stage) if second else (first, nothing, first)


def kind_of(slot: Slot) -> Slot:
    """A slot with its micro-batch left out."""
    return tuple([Pass(letter, stage, 0) for letter, stage, _ in slot])


def _levels(order: Order, before: Index, after: Index) -> Index:
    """How many slots stand before each on the way of most slots."""
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
        raise SpecError("plan.schedule", order.schedule, "waits for itself", "the order given can't be run", "unsupported")
    return level
