"""The events of an order as a graph in levels: slots of one level wait only for slots of earlier ones, and are timed together."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ...errors import SpecError
from .orders import Order, Pass, Slot

Array = NDArray[np.float64]
Index = NDArray[np.intp]
Place = tuple[int, int]
"""(rank, index of the slot on it)"""


@dataclass(frozen=True, eq=False)
class Graph:
    """Slots numbered level by level; a number past the last stands for "nothing".

    Args:
        number: place of a slot → its number.
        kinds, kind: distinct slots with their micro-batch left out, and which one each slot is.
        levels: first and end number of each level.
        before: slots whose end a slot waits for, ``(slots, 3)``, its own rank's first; ``after`` those that wait for it.
        crosses: whether what is waited for comes from another rank.
    """

    number: dict[Place, int]
    kinds: tuple[Slot, ...]
    kind: Index
    levels: tuple[tuple[int, int], ...]
    before: Index
    after: Index
    crosses: NDArray[np.bool_]


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
    ended = np.zeros((len(graph.kind) + 1, *np.broadcast_shapes(seconds.shape[1:], late.shape)))
    for first, end in graph.levels:
        arrived = ended[graph.before[first:end]]
        if late.any():
            arrived = arrived + graph.crosses[first:end].reshape(-1, 3, *(1,) * (ended.ndim - 1)) * late
        ended[first:end] = arrived.max(axis=1) + seconds[graph.kind[first:end]]
    return ended


def tails(graph: Graph, seconds: Array) -> Array:
    """What must still follow every slot: the longest path from its end to the end of the step, by number [s]."""
    rest = np.zeros((len(graph.kind) + 1, *seconds.shape[1:]))  # from a slot's start
    after = np.zeros((len(graph.kind), *seconds.shape[1:]))
    for first, end in reversed(graph.levels):
        after[first:end] = rest[graph.after[first:end]].max(axis=1)
        rest[first:end] = after[first:end] + seconds[graph.kind[first:end]]
    return after


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
    followers: list[list[int]] = [[] for _ in places]
    for place, awaited in waits.items():
        for column, other in enumerate(dict.fromkeys(awaited)):
            before[number[place], column] = number[other]
            crosses[number[place], column] = other[0] != place[0]
            followers[number[other]].append(number[place])
    after = np.full((nothing, max(map(len, followers), default=1)), nothing, dtype=np.intp)
    for i, found in enumerate(followers):
        after[i, : len(found)] = found
    slots = [kind_of(order.slots[rank][k]) for rank, k in places]
    kinds = tuple(dict.fromkeys(slots))
    starts = np.flatnonzero(np.diff([level[place] for place in places], prepend=-1))
    bounds = tuple(zip(starts.tolist(), [*starts[1:].tolist(), nothing], strict=True))
    kind = np.array([kinds.index(slot) for slot in slots], dtype=np.intp)
    return Graph(number, kinds, kind, bounds, before, after, crosses)


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
        raise SpecError("plan.schedule", order.schedule, "waits for itself", "the order given can't be run")
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
