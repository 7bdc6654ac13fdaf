"""``check_schedule`` raises an AssertionError that names the law which a user's schedule breaks."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from trainsim.core.errors import SpecError
from trainsim.parallelism.schedules.events import Times
from trainsim.parallelism.schedules.passes import Pass, Slot
from trainsim.parallelism.schedules.pipeline_time import pipeline_seconds
from trainsim.parallelism.schedules.schedule import Schedule
from trainsim.testing import check_schedule


class ForwardThenBackward(Schedule):
    """GPipe's order."""

    name = "own-gpipe"

    def slots(self, rank: int, pp: int, micro_batches: int, vpp: int) -> Iterator[Slot]:
        del pp, vpp
        yield from ((Pass("F", rank, n),) for n in range(micro_batches))
        yield from ((Pass("B", rank, n),) for n in range(micro_batches))


class LastInFirstOut(Schedule):
    """The backward passes in reverse."""

    name = "own-lifo"

    def slots(self, rank: int, pp: int, micro_batches: int, vpp: int) -> Iterator[Slot]:
        del pp, vpp
        yield from ((Pass("F", rank, n),) for n in range(micro_batches))
        yield from ((Pass("B", rank, n),) for n in reversed(range(micro_batches)))


class Wave(Schedule):
    """Two stages per rank, down the ranks and up again."""

    name = "own-wave"
    stages_per_rank = 2

    def slots(self, rank: int, pp: int, micro_batches: int, vpp: int) -> Iterator[Slot]:
        del vpp
        stages = (rank, 2 * pp - 1 - rank)
        yield from ((Pass("F", stage, n),) for stage in stages for n in range(micro_batches))
        yield from ((Pass("B", stage, n),) for stage in reversed(stages) for n in range(micro_batches))


class Short(ForwardThenBackward):
    """A step that lacks a pass."""

    name = "own-short"

    def slots(self, rank: int, pp: int, micro_batches: int, vpp: int) -> Iterator[Slot]:
        yield from list(super().slots(rank, pp, micro_batches, vpp))[:-1]


class Bare(ForwardThenBackward):
    """Passes that are not inside slots."""

    name = "own-bare"

    def slots(self, rank: int, pp: int, micro_batches: int, vpp: int) -> Iterator[Any]:
        yield from (slot[0] for slot in super().slots(rank, pp, micro_batches, vpp))


class Cyclic(ForwardThenBackward):
    """Backward before forward: passes that wait for each other in a cycle."""

    name = "own-cyclic"

    def slots(self, rank: int, pp: int, micro_batches: int, vpp: int) -> Iterator[Slot]:
        yield from reversed(list(super().slots(rank, pp, micro_batches, vpp)))


@pytest.mark.parametrize(
    ("schedule", "law"),
    [
        (ForwardThenBackward(), "one_rank_sets_the_pace"),
        (LastInFirstOut(), "one_rank_sets_the_pace"),
        (Wave(), "one_rank_sets_the_pace"),
        (Short(), "passes once"),
        (Bare(), "tuple of passes"),
        (Cyclic(), "own-cyclic"),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_a_broken_law_is_named(schedule: Schedule, law: str) -> None:
    with pytest.raises(AssertionError, match=law):
        check_schedule(schedule)


@pytest.mark.parametrize("schedule", [ForwardThenBackward(), LastInFirstOut(), Wave()], ids=str)
def test_a_wrong_one_rank_sets_the_pace_is_refused(schedule: Schedule) -> None:
    times = Times(*np.ones((3, schedule.stages(4, 1), 5)))
    with pytest.raises(SpecError) as refusal:
        pipeline_seconds(schedule, times, 40, 4)
    assert refusal.value.path == "one_rank_sets_the_pace"


@pytest.mark.parametrize("member", [ForwardThenBackward, LastInFirstOut, Wave])
def test_with_a_correct_one_rank_sets_the_pace_the_laws_hold(member: type[Schedule], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(member, "one_rank_sets_the_pace", lambda *_: False)
    check_schedule(member())
