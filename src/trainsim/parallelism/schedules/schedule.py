"""The face of the schedules: what the rest of the library asks of the order in which a pipeline runs its passes."""

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
from ...core.spec import Family
from ...core.units import Num
from .events import Times
from .passes import Order, Slot


class Schedule(Family):
    """The order in which the ranks of a pipeline run their passes; one final member a file.

    A member says which slots a rank runs, and what no order shows: what its kernels hide, whether it waits for its messages, and what
    frameworks and papers call it. Stages of each rank, micro-batches in flight, seconds and the picture follow from the slots.

    Args:
        name: in plans and files.
        words: framework → its word for the schedule; a framework that is missing can't run it.
        aliases: what papers, recipes and rows call it; letter case, spaces, hyphens and underscores don't matter.
        stages_per_rank: stages of each rank; None for the plan's ``vpp``, at least two.
        copies: ranks of one pipeline that hold every stage: they sum its gradients and share its optimizer state.
        rank_multiple: the number of ranks is a multiple of it.
        pairs: whether slots run a forward pass beside a backward pass.
        hides_exchanges: whether a pass hides part of its own exchanges with experts.
        waits_for_messages: whether a rank waits until a message to its neighbour has arrived; if not, it works on another stage meanwhile.
        searched: whether a search tries it when nobody names the schedules to try.
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
            rank: from 0.
            pp: ranks.
            micro_batches: of the step, of all copies together.
            vpp: stages of a rank.
        """

    def least(self, pp: int) -> int:
        """Micro-batches of the shortest step [1]."""
        del pp
        return 1

    def period(self, pp: int) -> int:
        """Micro-batches that a step grows by [1]."""
        del pp
        return 1

    def settled(self, pp: int) -> int:
        """Micro-batches of the shortest step in which every rank repeats itself [1]."""
        return max(pp, self.least(pp)) + self.period(pp)

    def closed_form(self, times: Times, micro_batches: Num, pp: int, vpp: int) -> Num | None:
        """Seconds of a step in closed form; None where only the events know [s].

        Args:
            times: one row for uniform stages, else one a stage.
            micro_batches: number or array that broadcasts with the times.
            pp, vpp: ranks, and stages of each.
        """
        del times, micro_batches, pp, vpp
        return None

    def one_rank_sets_the_pace(self, times: Times, pp: int, delay: NDArray[np.float64]) -> bool:
        """Whether a long step takes what its slowest rank does for each further micro-batch: no two ranks hold each other up.

        Args:
            times: one row a stage.
            pp: ranks.
            delay: of a message that nobody waits for [s].
        """
        del times, pp, delay
        return True

    def pass_beside(self, pp: int) -> bool:
        """Whether another micro-batch's pass can be cut in between the exchanges of one, where the slots themselves don't pair them."""
        del pp
        return False

    def __str__(self) -> str:
        return self.name

    # what follows --------------------------------------------------------------------------------------------------------

    def chunks(self, vpp: int) -> int:
        """Stages of a rank."""
        return vpp if self.stages_per_rank is None else self.stages_per_rank

    def stages(self, pp: int, vpp: int) -> int:
        """Stages that data flows through: ``pp · stages per rank / copies``."""
        return pp * self.chunks(vpp) // self.copies

    def check_ranks(self, pp: int, vpp: int) -> None:
        """Whether the ranks can run the schedule.

        Raises:
            SpecError: names the rule and what would do.
        """
        if self.stages_per_rank is None and vpp < 2:
            raise SpecError("vpp", vpp, f"{self.name} needs several stages to a rank", "give vpp >= 2, or another schedule", "conflict")
        if self.stages_per_rank is not None and vpp not in {1, self.stages_per_rank}:
            remedy = f"set vpp={self.stages_per_rank}, or a schedule of several stages to a rank"
            raise SpecError("vpp", vpp, f"{self.name} has {self.stages_per_rank} to a rank", remedy, "conflict")
        if pp % self.rank_multiple:
            near = nearest(pp, self.rank_multiple, self.rank_multiple)
            raise SpecError("pp", pp, f"{self.name} needs a multiple of {self.rank_multiple} ranks", f"nearest: {near}", "conflict")

    def check(self, pp: int, vpp: int, micro_batches: int) -> None:
        """Whether the schedule orders so many micro-batches on so many ranks.

        Raises:
            SpecError: names the rule and the nearest values that would do.
        """
        try:
            self.check_ranks(pp, vpp)
        except SpecError as error:
            raise error.under("plan") from None
        least, period = self.least(pp), self.period(pp)
        if micro_batches < least:
            rule = f"{self.name} at pp={pp} needs at least {least}"
            raise SpecError("micro-batches", micro_batches, rule, "give more batch, or less dp", "conflict")
        if micro_batches % period:
            near = nearest(micro_batches, period, least)
            raise SpecError(
                "micro-batches", micro_batches, f"{self.name} at pp={pp} needs a multiple of {period}", f"nearest: {near}", "conflict"
            )


def nearest(value: int, multiple: int, least: int) -> str:
    """Multiples around a value that are large enough, for an error's remedy.

    >>> nearest(10, 4, 1), nearest(3, 4, 1)
    ('8, 12', '4')
    """
    low = value // multiple * multiple
    return ", ".join(str(n) for n in (low, low + multiple) if n >= max(least, 1))


@lru_cache(maxsize=256)
def order(schedule: Schedule, pp: int, micro_batches: int, vpp: int = 1) -> Order:
    """The slots of every rank in a step.

    Args:
        schedule: the schedule.
        pp: ranks.
        micro_batches: of a step, of all copies together.
        vpp: stages of a rank, where the schedule leaves them to the plan.

    Raises:
        SpecError: the schedule can't order that many micro-batches on that many ranks.

    >>> from .known import schedule_of
    >>> [p.letter + str(p.micro_batch) for (p,) in order(schedule_of("1f1b"), 2, 3).slots[0]]
    ['F0', 'F1', 'B0', 'F2', 'B1', 'B2']
    """
    schedule.check(pp, vpp, micro_batches)
    slots = [tuple(schedule.slots(rank, pp, micro_batches, vpp)) for rank in range(pp)]
    return Order(schedule.name, schedule.stages(pp, vpp), micro_batches, tuple(slots), schedule.copies)


@dataclass(frozen=True, eq=False)
class Standing:
    """Where the stages of a pipeline stand.

    Args:
        share: micro-batches of a stage that pass it on a rank, over all of them, ``(ranks, stages)`` [1].
        rank: the first rank that holds each stage, ``(stages,)``.
        leaves: whether the stage after it stands on another rank, ``(stages,)``; the last stage leaves none.
        first: the first stage of each rank, ``(ranks,)``.
        last: weight passes of each stage that a rank runs after all its other passes, ``(ranks, stages)``; None where backward passes are
            whole.
    """

    share: NDArray[np.float64]
    rank: NDArray[np.intp]
    leaves: NDArray[np.bool_]
    first: NDArray[np.intp]
    last: NDArray[np.float64] | None

    @property
    def one_rank_has_both_ends(self) -> bool:
        """Whether the ranks that hold the first stage hold the last one too."""
        return bool(np.all((self.share[:, 0] > 0) == (self.share[:, -1] > 0)))


@lru_cache(maxsize=1024)
def standing(schedule: Schedule, pp: int, vpp: int) -> Standing:
    """Where the stages of a pipeline stand, as the schedule's slots have it.

    >>> from .known import schedule_of
    >>> standing(schedule_of("dualpipe"), 2, 1).share
    array([[0.5, 0.5],
           [0.5, 0.5]])
    >>> standing(schedule_of("zero-bubble-v"), 2, 1).rank
    array([0, 1, 1, 0])
    """
    settled = schedule.settled(pp)
    run = order(schedule, pp, settled, vpp)
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
    return Standing(share / settled, np.argmax(share > 0, axis=0), leaves, first, last if splits else None)
