"""The events of an order as a graph in levels: slots of one level wait only for slots of earlier ones, and are timed together."""

from __future__ import annotations

from collections.abc import Container
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
        SpecError: an order that waits for itself.
    """
    slots = [slot for rank in order.slots for slot in rank]
    ranks = np.array([rank for rank, each in enumerate(order.slots) for _ in each] + [-1], dtype=np.intp)
    waits = _waits(order, slots)
    nothing = len(slots)
    followers: list[list[int]] = [[] for _ in slots]
    for i, awaited in enumerate(waits):
        for other in awaited:
            followers[other].append(i)
    level = np.array(_levels(order, waits, followers))
    sequence = np.argsort(level, kind="stable")
    number = np.append(np.empty(nothing, dtype=np.intp), nothing)
    number[sequence] = np.arange(nothing)
    before, crosses = _beside(waits, 3, ranks)
    after, leaves = _beside(followers, max(map(len, followers), default=1), ranks)
    kinds_in_order = [kind_of(slots[i]) for i in sequence.tolist()]
    kinds = tuple(dict.fromkeys(kinds_in_order))
    at = {slot: k for k, slot in enumerate(kinds)}
    kind = np.array([at[slot] for slot in kinds_in_order], dtype=np.intp)
    rows = np.array([_rows(slot, order.stages) for slot in kinds], dtype=np.intp).T
    starts = np.flatnonzero(np.diff(level[sequence], prepend=-1))
    bounds = tuple(zip(starts.tolist(), [*starts[1:].tolist(), nothing], strict=True))
    of_rank = tuple(np.split(number[:-1], np.cumsum([len(each) for each in order.slots])[:-1]))
    links = number[before[sequence]], number[after[sequence]], crosses[sequence], leaves[sequence]
    return Graph(of_rank, kinds, kind, rows, bounds, *links)


def _waits(order: Order, slots: list[Slot]) -> list[list[int]]:
    """The slots whose end each slot waits for, its own rank's first."""
    where = {part: i for i, slot in enumerate(slots) for part in slot}
    waits: list[list[int]] = []
    for each in order.slots:
        for k, slot in enumerate(each):
            awaited = [len(waits) - 1] if k else []
            awaited += [where[need] for part in slot if (need := needs(part, order.stages, where)) is not None]
            waits.append(list(dict.fromkeys(awaited)))
    return waits


def _beside(found: list[list[int]], width: int, ranks: Index) -> tuple[Index, NDArray[np.bool_]]:
    """Slots beside each one in time, past the last where there are fewer, and whether they are on another rank, ``(slots, width)``."""
    nothing = len(found)
    beside = np.array([each + [nothing] * (width - len(each)) for each in found], dtype=np.intp).reshape(nothing, width)
    return beside, (beside != nothing) & (ranks[beside] != ranks[:nothing, None])


def _rows(slot: Slot, stages: int) -> tuple[int, int, int]:
    """Rows of a slot's passes in a table of forward, inputs, weights, backward and pair times and one row of zeros."""
    first, *second = ("FIWB".index(part.letter) * stages + part.stage for part in slot)
    nothing = 5 * stages
    return (first, second[0], 4 * stages + slot[0].stage) if second else (first, nothing, first)


def kind_of(slot: Slot) -> Slot:
    """A slot with its micro-batch left out."""
    return tuple([Pass(letter, stage, 0) for letter, stage, _ in slot])


def _levels(order: Order, waits: list[list[int]], followers: list[list[int]]) -> list[int]:
    """How many slots stand before each on the way of most slots."""
    level, left = [0] * len(waits), [len(awaited) for awaited in waits]
    ready = [i for i, count in enumerate(left) if not count]
    for i in ready:
        for follower in followers[i]:
            level[follower] = max(level[follower], level[i] + 1)
            left[follower] -= 1
            if not left[follower]:
                ready.append(follower)
    if len(ready) != len(waits):
        raise SpecError("plan.schedule", order.schedule, "waits for itself", "the order given can't be run", "unsupported")
    return level


def needs(part: Pass, stages: int, known: Container[Pass]) -> Pass | None:
    """The pass whose result a pass reads; None for the first stage's forward pass."""
    letter, stage, n = part
    match letter:
        case "F":
            return Pass("F", stage - 1, n) if stage else None
        case "W":
            return Pass("I", stage, n)
        case "B" | "I":
            if stage == stages - 1:
                return Pass("F", stage, n)
            whole = Pass("B", stage + 1, n)
            return whole if whole in known else Pass("I", stage + 1, n)
