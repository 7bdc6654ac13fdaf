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
Place = tuple[int, int]
"""(rank, index of the slot on it)"""
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
        number: place of a slot → its number.
        kinds, kind: distinct slots with their micro-batch left out, and which one each slot is.
        rows: of each kind, where its time stands in :meth:`~.events.Times.of_kinds`: of its first pass, of its second, and of the pair.
        levels: first and end number of each level.
        before: slots whose end a slot waits for, ``(slots, 3)``, its own rank's first; ``after`` those that wait for it.
        crosses, leaves: whether what is waited for comes from another rank, and whether what waits stands on another.
    """

    number: dict[Place, int]
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
    where = {part: (rank, k) for rank, slots in enumerate(order.slots) for k, slot in enumerate(slots) for part in slot}
    waits = {
        (rank, k): ([(rank, k - 1)] if k else []) + [where[n] for part in slot for n in needs(part, order.stages, where)]
        for rank, slots in enumerate(order.slots)
        for k, slot in enumerate(slots)
    }
    level = _levels(order, waits)
    places = sorted(waits, key=lambda place: (level[place], place))
    number = {place: i for i, place in enumerate(places)}
    nothing = len(places)
    before, crosses = np.full((nothing, 3), nothing, dtype=np.intp), np.zeros((nothing, 3), dtype=np.bool_)
    followers: list[list[tuple[int, bool]]] = [[] for _ in places]
    for place, awaited in waits.items():
        for column, other in enumerate(dict.fromkeys(awaited)):
            before[number[place], column] = number[other]
            crosses[number[place], column] = other[0] != place[0]
            followers[number[other]].append((number[place], other[0] != place[0]))
    widest = max(map(len, followers), default=1)
    after, leaves = np.full((nothing, widest), nothing, dtype=np.intp), np.zeros((nothing, widest), dtype=np.bool_)
    for i, found in enumerate(followers):
        for column, (follower, away) in enumerate(found):
            after[i, column], leaves[i, column] = follower, away
    slots = [kind_of(order.slots[rank][k]) for rank, k in places]
    kinds = tuple(dict.fromkeys(slots))
    starts = np.flatnonzero(np.diff([level[place] for place in places], prepend=-1))
    bounds = tuple(zip(starts.tolist(), [*starts[1:].tolist(), nothing], strict=True))
    at = {slot: k for k, slot in enumerate(kinds)}
    kind = np.array([at[slot] for slot in slots], dtype=np.intp)
    rows = np.array([_rows(slot, order.stages) for slot in kinds], dtype=np.intp).T
    return Graph(number, kinds, kind, rows, bounds, before, after, crosses, leaves)


def _rows(slot: Slot, stages: int) -> tuple[int, int, int]:
    """Rows of a slot's passes in a table of forward, inputs, weights, backward and pair times and one row of zeros."""
    first, *second = ("FIWB".index(part.letter) * stages + part.stage for part in slot)
    nothing = 5 * stages
    return (first, second[0], 4 * stages + slot[0].stage) if second else (first, nothing, first)


def kind_of(slot: Slot) -> Slot:
    """A slot with its micro-batch left out."""
    return tuple(part._replace(micro_batch=0) for part in slot)


def _levels(order: Order, waits: dict[Place, list[Place]]) -> dict[Place, int]:
    """How many slots stand before each on the way of most slots."""
    level: dict[Place, int] = {}
    at, moved = [0] * order.ranks, True
    while moved:
        moved = False
        for rank, slots in enumerate(order.slots):
            while at[rank] < len(slots) and all(other in level for other in waits[rank, at[rank]]):
                place = (rank, at[rank])
                level[place] = 1 + max((level[other] for other in waits[place]), default=-1)
                at[rank] += 1
                moved = True
    if len(level) != len(waits):
        raise SpecError("plan.schedule", order.schedule, "waits for itself", "the order given can't be run", "unsupported")
    return level


def needs(part: Pass, stages: int, known: dict[Pass, Place]) -> list[Pass]:
    """The passes whose results a pass reads."""
    match part.letter:
        case "F":
            return [part._replace(stage=part.stage - 1)] if part.stage else []
        case "W":
            return [part._replace(letter="I")]
        case "B" | "I":
            if part.stage == stages - 1:
                return [part._replace(letter="F")]
            after = part._replace(stage=part.stage + 1)
            return [after._replace(letter="B" if after._replace(letter="B") in known else "I")]
