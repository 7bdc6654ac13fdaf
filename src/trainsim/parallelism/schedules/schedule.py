"""Schedule: base class of the pipeline schedules."""

from __future__ import annotations

import abc
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import takewhile
from types import MappingProxyType
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ...core.errors import SpecError
from ...core.family import Family
from ...core.units import Num
from .events import Times
from .passes import Order, Slot


class Schedule(Family):
    """The order in which the ranks of a pipeline run their passes; each final member has its own file.

    A schedule defines the slots of a rank, and properties that the slots do not show: which exchanges overlap compute, whether a rank waits
        for messages, and the schedule's names in frameworks and papers. Placement of stages, micro-batches in flight, times and timelines
        follow from the slots.

    Args:
        name: name in plans and files.
        words: framework → name of the schedule in it; frameworks that are missing do not support it.
        aliases: names in papers and recipes; case, spaces, hyphens and underscores are ignored.
        stages_per_rank: stages per rank; None for the plan's ``vpp``, at least two.
        copies: ranks of one pipeline that hold each stage. They reduce its gradients and shard its optimizer states.
        rank_multiple: the number of ranks must be a multiple of this.
        pairs: whether some slots run a forward pass beside a backward pass.
        hides_exchanges: whether a pass hides part of its own expert exchanges.
        waits_for_messages: whether a rank waits until its message has arrived at the neighbour, instead of working on another stage.
        searched: whether a search over plans tries it by default.
    """

    name: ClassVar[str]
    words: ClassVar[Mapping[str, str]] = MappingProxyType({})
    aliases: ClassVar[tuple[str, ...]] = ()
    stages_per_rank: ClassVar[int | None] = 1
    copies: ClassVar[int] = 1
    rank_multiple: ClassVar[int] = 1
    pairs: ClassVar[bool] = False
    hides_exchanges: ClassVar[bool] = True
    waits_for_messages: ClassVar[bool] = True
    searched: ClassVar[bool] = True

    @abc.abstractmethod
    def slots(self, rank: int, pp: int, micro_batches: int, vpp: int) -> Iterator[Slot]:
        """The slots of a rank in a step, first to last.

        Args:
            rank: pipeline rank, from 0.
            pp: number of ranks.
            micro_batches: micro-batches of the step, over all copies.
            vpp: stages per rank.
        """

    def least(self, pp: int) -> int:
        """Smallest supported number of micro-batches [1]."""
        del pp
        return 1

    def period(self, pp: int) -> int:
        """The number of micro-batches must be a multiple of this [1]."""
        del pp
        return 1

    def settled(self, pp: int) -> int:
        """Micro-batches of the shortest step in which every rank reaches a steady state [1]."""
        return max(pp, self.least(pp)) + self.period(pp)

    def closed_form(self, times: Times, micro_batches: Num, pp: int, vpp: int) -> Num | None:
        """Pipeline time of a step in closed form; None if it has to be simulated [s].

        Args:
            times: one row for uniform stages, else one per stage.
            micro_batches: number or array that broadcasts with the times.
            pp, vpp: number of ranks, and stages per rank.
        """
        del times, micro_batches, pp, vpp
        return None

    def one_rank_sets_the_pace(self, times: Times, pp: int, delay: NDArray[np.float64]) -> bool:
        """Whether each further micro-batch lengthens a long step by the slowest rank's work per micro-batch.

        Args:
            times: one row per stage.
            pp: number of ranks.
            delay: time of a message that blocks neither rank [s].
        """
        del times, pp, delay
        return True

    def pass_beside(self, pp: int) -> bool:
        """Whether the pass of another micro-batch can overlap the exchanges of a pass, although the slots do not pair them."""
        del pp
        return False

    def __str__(self) -> str:
        return self.name

    # derived -------------------------------------------------------------------------------------------------------------

    def chunks(self, vpp: int) -> int:
        """Stages per rank."""
        return vpp if self.stages_per_rank is None else self.stages_per_rank

    def stages(self, pp: int, vpp: int) -> int:
        """Number of stages: ``pp · stages per rank / copies``."""
        return pp * self.chunks(vpp) // self.copies

    def check_ranks(self, pp: int, vpp: int) -> None:
        """Check that the schedule supports a number of ranks and of stages per rank.

        Raises:
            SpecError: the schedule does not support them; the error names supported values.
        """
        if self.stages_per_rank is None and vpp < 2:
            raise SpecError(
                "vpp", vpp, f"is too small: {self.name} needs several stages per rank", "give vpp >= 2, or another schedule", "conflict"
            )
        if self.stages_per_rank is not None and vpp not in {1, self.stages_per_rank}:
            remedy = f"set vpp={self.stages_per_rank}, or a schedule with several stages per rank"
            raise SpecError("vpp", vpp, f"does not suit {self.name}, which has {self.stages_per_rank} per rank", remedy, "conflict")
        if pp % self.rank_multiple:
            near = nearest_multiples(pp, self.rank_multiple, self.rank_multiple)
            raise SpecError("pp", pp, f"is not a multiple of {self.rank_multiple}, which {self.name} needs", f"nearest: {near}", "conflict")

    def check(self, pp: int, vpp: int, micro_batches: int) -> None:
        """Check that the schedule supports a number of micro-batches on a number of ranks.

        Raises:
            SpecError: it does not; the error names the nearest supported numbers.
        """
        try:
            self.check_ranks(pp, vpp)
        except SpecError as error:
            raise error.under("plan") from None
        least, period = self.least(pp), self.period(pp)
        if micro_batches < least:
            rule = f"is too small: {self.name} at pp={pp} needs at least {least}"
            raise SpecError("micro-batches", micro_batches, rule, "give a larger batch, or less dp", "conflict")
        if micro_batches % period:
            near = nearest_multiples(micro_batches, period, least)
            raise SpecError(
                "micro-batches", micro_batches, f"is not a multiple of {period}, which {self.name} needs", f"nearest: {near}", "conflict"
            )


def nearest_multiples(value: int, multiple: int, least: int) -> str:
    """Multiples next to a value that are at least ``least``, as text for the remedy of an error.

    >>> nearest_multiples(10, 4, 1), nearest_multiples(3, 4, 1)
    ('8, 12', '4')
    """
    low = value // multiple * multiple
    return ", ".join(str(n) for n in (low, low + multiple) if n >= max(least, 1))


@lru_cache(maxsize=256)
def slot_order(schedule: Schedule, pp: int, micro_batches: int, vpp: int = 1) -> Order:
    """The slots of every rank in a step.

    Args:
        schedule: the schedule.
        pp: number of ranks.
        micro_batches: micro-batches per step, over all copies.
        vpp: stages per rank, if the schedule leaves them to the plan.

    Raises:
        SpecError: the schedule does not support these numbers of micro-batches and ranks.

    >>> from .discovery import schedule_of
    >>> [p.letter + str(p.micro_batch) for (p,) in slot_order(schedule_of("1f1b"), 2, 3).slots[0]]
    ['F0', 'F1', 'B0', 'F2', 'B1', 'B2']
    """
    schedule.check(pp, vpp, micro_batches)
    slots = [tuple(schedule.slots(rank, pp, micro_batches, vpp)) for rank in range(pp)]
    return Order(schedule.name, schedule.stages(pp, vpp), micro_batches, tuple(slots), schedule.copies)


@dataclass(frozen=True, eq=False)
class StagePlacement:
    """Placement of the stages of a pipeline on its ranks.

    Args:
        share: share of a stage's micro-batches that run on each rank, ``(ranks, stages)`` [1].
        rank: the first rank that has each stage, ``(stages,)``.
        leaves: whether the next stage is on another rank, ``(stages,)``; False for the last stage.
        first_stage: the first stage of each rank, ``(ranks,)``.
        trailing_weights: weight passes of each stage that a rank runs after all its other passes, ``(ranks, stages)``; None if the
            schedule does not split the backward pass.
    """

    share: NDArray[np.float64]
    rank: NDArray[np.intp]
    leaves: NDArray[np.bool_]
    first_stage: NDArray[np.intp]
    trailing_weights: NDArray[np.float64] | None

    @property
    def one_rank_has_both_ends(self) -> bool:
        """Whether the ranks that have the first stage also have the last one."""
        return bool(np.all((self.share[:, 0] > 0) == (self.share[:, -1] > 0)))


@lru_cache(maxsize=1024)
def stage_placement(schedule: Schedule, pp: int, vpp: int) -> StagePlacement:
    """Placement of the stages on ranks, derived from the schedule's slots.

    >>> from .discovery import schedule_of
    >>> stage_placement(schedule_of("dualpipe"), 2, 1).share
    array([[0.5, 0.5],
           [0.5, 0.5]])
    >>> stage_placement(schedule_of("zero-bubble-v"), 2, 1).rank
    array([0, 1, 1, 0])
    """
    settled = schedule.settled(pp)
    run = slot_order(schedule, pp, settled, vpp)
    on = np.zeros((run.stages, settled), dtype=np.intp)
    share, last = np.zeros((pp, run.stages)), np.zeros((pp, run.stages))
    for rank, slots in enumerate(run.slots):
        for slot in slots:
            for part in slot:
                if part.letter == "F":
                    on[part.stage, part.micro_batch] = rank
                    share[rank, part.stage] += 1.0
        for part, *_ in takewhile(lambda slot: slot[0].letter == "W", reversed(slots)):
            last[rank, part.stage] += 1.0
    leaves = np.append((on[1:] != on[:-1]).any(axis=1), [False])
    first = np.argmax(share > 0, axis=1)
    splits = any(part.letter == "I" for slots in run.slots for slot in slots for part in slot)
    return StagePlacement(share / settled, np.argmax(share > 0, axis=0), leaves, first, last if splits else None)
