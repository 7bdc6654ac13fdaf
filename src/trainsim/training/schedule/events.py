"""The timeline of a pipeline, by events: every slot starts when its rank is free and what it needs has arrived."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ...errors import SpecError
from ...units import Num
from .orders import Order, Pass, Slot

Seconds = NDArray[np.float64]


@dataclass(frozen=True)
class Times:
    """Seconds of each pass of one micro-batch, by stage; each ``(stages,)``, or ``(stages, n)`` for draws.

    Args:
        forward: forward pass [s].
        inputs, weights: backward pass for inputs and for weights; the whole backward pass is their sum [s].
        pair: a forward pass overlapped with a backward pass of the rank's other stage, by the stage of the forward pass;
            None where overlapping gains nothing: forward plus backward [s].
    """

    forward: Seconds
    inputs: Seconds
    weights: Seconds
    pair: Seconds | None = None

    def of(self, slot: Slot) -> Num:
        """Seconds of one slot."""
        if len(slot) == 2 and self.pair is not None:
            return self.pair[slot[0].stage]  # type: ignore[no-any-return]
        return sum(self._of(part) for part in slot)

    def _of(self, part: Pass) -> Num:
        match part.letter:
            case "F":
                return self.forward[part.stage]  # type: ignore[no-any-return]
            case "I":
                return self.inputs[part.stage]  # type: ignore[no-any-return]
            case "W":
                return self.weights[part.stage]  # type: ignore[no-any-return]
            case "B":
                return self.inputs[part.stage] + self.weights[part.stage]  # type: ignore[no-any-return]

    @property
    def stages(self) -> int:
        """Stages that data flows through."""
        return len(self.forward)


@dataclass(frozen=True)
class Bar:
    """One slot in time: what a rank runs from start to end [s]; ``label`` names its passes, ``"F3"`` or ``"F7·B2"``."""

    rank: int
    slot: Slot
    start: Num
    end: Num

    @property
    def label(self) -> str:
        """Letters and micro-batches."""
        return "·".join(f"{part.letter}{part.micro_batch}" for part in self.slot)


@dataclass(frozen=True)
class Timeline:
    """Every slot of a step in time, ready to draw.

    Args:
        order: what was run.
        bars: each slot with its start and end, rank by rank.
    """

    order: Order
    bars: tuple[Bar, ...]

    @property
    def seconds(self) -> Num:
        """First start to last end [s]."""
        last: Num = np.maximum.reduce(np.broadcast_arrays(*(bar.end for bar in self.bars)))
        return last

    def busy(self, rank: int) -> Num:
        """Seconds a rank works [s]."""
        return sum((bar.end - bar.start for bar in self.bars if bar.rank == rank), start=0.0)

    def bubble(self, rank: int) -> Num:
        """Seconds a rank stands idle in the step, its wait for slower ranks included [s]."""
        return self.seconds - self.busy(rank)


def timeline(order: Order, times: Times, delay: Num = 0.0) -> Timeline:
    """Runs an order: a slot starts when its rank is free and what its passes need has arrived.

    A forward pass needs the one of the stage before, a backward pass that of the stage after (at the last stage, its own forward
    pass), a weight pass its own input pass. What crosses ranks takes ``delay`` on the way and blocks nobody.

    Args:
        order: from :func:`order`.
        times: seconds of each pass.
        delay: between ranks [s].

    Returns:
        the timeline; starts and ends broadcast over draws.

    Raises:
        SpecError: times for another number of stages.

    >>> from trainsim.training.schedule import order
    >>> one = np.ones(2)
    >>> float(timeline(order("1f1b", 2, 3), Times(one, one, one)).seconds)  # (m + p − 1)(f + b + w)
    12.0
    """
    if times.stages != order.stages:
        raise SpecError("times", times.stages, f"are not for {order.stages} stages", "give one time a stage, in the order data flows")
    ended, seconds = ends(order, times, delay), _seconds(order, times)
    bars = tuple(
        Bar(rank, slot, ended[rank, index] - seconds[rank, index], ended[rank, index])
        for rank, slots in enumerate(order.slots)
        for index, slot in enumerate(slots)
    )
    return Timeline(order, bars)


Place = tuple[int, int]
"""(rank, index of the slot on it)"""


def _seconds(order: Order, times: Times) -> dict[Place, Num]:
    """Seconds of every slot; slots of one kind share one number."""
    known: dict[Slot, Num] = {}
    found: dict[Place, Num] = {}
    for rank, slots in enumerate(order.slots):
        for index, slot in enumerate(slots):
            kind = tuple(part._replace(micro_batch=0) for part in slot)
            if kind not in known:
                known[kind] = times.of(kind)
            found[rank, index] = known[kind]
    return found


def ends(order: Order, times: Times, delay: Num = 0.0) -> dict[Place, Num]:
    """When every slot ends [s]: the longest path from the start through it."""
    seconds = _seconds(order, times)
    ended: dict[Place, Num] = {}
    for event in _sequence(order):
        here = (event.rank, event.index)
        start: Num = ended[event.rank, event.index - 1] if event.index else 0.0
        for need in event.needs:
            arrived = ended[need] + delay if need[0] != event.rank else ended[need]
            start = np.maximum(start, arrived)
        ended[here] = start + seconds[here]
    return ended


def tails(order: Order, times: Times) -> dict[Place, Num]:
    """What must still follow every slot [s]: the longest path from its end to the end of the step."""
    seconds = _seconds(order, times)
    after: dict[Place, Num] = {}
    for event in reversed(_sequence(order)):
        here = (event.rank, event.index)
        rest = after.setdefault(here, 0.0) + seconds[here]
        before = (event.rank, event.index - 1)
        for need in (before, *event.needs) if event.index else event.needs:
            after[need] = np.maximum(after.get(need, 0.0), rest)
    return after


@dataclass(frozen=True, slots=True)
class _Event:
    rank: int
    index: int
    needs: tuple[Place, ...]


@lru_cache(maxsize=64)
def _sequence(order: Order) -> tuple[_Event, ...]:
    """The slots of all ranks in an order in which each comes after what it needs."""
    where = {part: (rank, index) for rank, slots in enumerate(order.slots) for index, slot in enumerate(slots) for part in slot}
    done: set[tuple[int, int]] = set()
    at = [0] * order.ranks
    events: list[_Event] = []
    moved = True
    while moved:
        moved = False
        for rank, slots in enumerate(order.slots):
            while at[rank] < len(slots):
                needs = tuple(where[n] for part in slots[at[rank]] for n in _needs(part, order.stages, where))
                if any(n not in done for n in needs):
                    break
                events.append(_Event(rank, at[rank], needs))
                done.add((rank, at[rank]))
                at[rank] += 1
                moved = True
    if len(events) != sum(map(len, order.slots)):
        raise SpecError("plan.schedule", order.schedule, "waits for itself", "the order given can't be run")
    return tuple(events)


def _needs(part: Pass, stages: int, known: dict[Pass, tuple[int, int]]) -> list[Pass]:
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
