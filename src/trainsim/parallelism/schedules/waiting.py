"""How long the slowest rank of a pipeline waits in a step: fill, drain, uneven stages and messages."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...core.errors import SpecError
from ...core.units import Num, any_true
from .events import Timeline, Times, timeline
from .known import schedule_of
from .schedule import Schedule, order, standing
from .uneven import busy_seconds, pipeline_seconds, uneven_seconds

Array = NDArray[np.float64]


def waiting_seconds(schedule: Schedule, times: Times, micro_batches: Num, pp: int, vpp: int = 1, sending: Num = 0.0) -> Num:
    """Idle of the slowest rank in a step: ``T − max_r busy_r``, idle of uneven stages and what shows of the messages included.

    ``T`` is the step by its events. A message takes ``sending`` from rank to rank. Where the schedule waits for its messages, that time is
    the sender's, after every pass whose result leaves the rank; elsewhere it delays the next rank and nobody waits.

    Args:
        schedule: the schedule.
        times: seconds of each pass of one micro-batch, numbers of rows: one for uniform stages; one a rank, which its stages share alike;
            or one a stage in the order data flows. Each ``(rows,)`` or ``(rows, n)``. As many rows as stages are rows of stages.
        micro_batches: per step, number or ``(n,)`` [1].
        pp, vpp: ranks, and stages to a rank: structure, never arrays.
        sending: one message between neighbours, number or ``(n,)`` [s].

    Returns:
        idle [s], ``()`` or ``(n,)``; ``busy_seconds(…).max(axis=0)`` more is the step.

    Raises:
        SpecError: the schedule can't order that many micro-batches on that many ranks, or rows for another number of stages.

    Source: what waits for its messages: Megatron-LM's ``schedules.py`` (send and receive together, then wait; overlapped for
    interleaved steps, arXiv:2104.04473, section 4.1) and DeepSeek's ``dualpipe.py`` (``_commit_and_wait_comm`` before a pass).

    >>> plain, one = schedule_of("1f1b"), np.ones(1)
    >>> float(waiting_seconds(plain, Times(one, one, one), 8, pp=4))  # (p − 1)(f + i + w)
    9.0
    >>> uneven = Times(np.array([1.0, 2.0]), np.array([1.0, 2.0]), np.array([1.0, 2.0]))
    >>> float(waiting_seconds(plain, uneven, 8, pp=2, sending=0.5))  # the first stage once, the slower one's eight messages
    7.5
    """
    staged = times_by_stage(schedule, times, pp, vpp)
    step = staged_seconds(schedule, staged, micro_batches, pp, vpp, sending)
    idle: Num = np.maximum(step - busy_seconds(schedule, staged, micro_batches, pp, vpp).max(axis=0), 0.0)  # rounding may cross zero
    return idle


def staged_seconds(schedule: Schedule, times: Times, micro_batches: Num, pp: int, vpp: int = 1, sending: Num = 0.0) -> Num:
    """Seconds of a step by its events, messages included: arguments and errors as for :func:`waiting_seconds`, times one row a stage.

    >>> uneven = Times(np.array([1.0, 2.0]), np.array([1.0, 2.0]), np.array([1.0, 2.0]))
    >>> float(staged_seconds(schedule_of("1f1b"), uneven, 8, pp=2, sending=0.5))
    55.5
    """
    if not schedule.waits_for_messages:
        return uneven_seconds(schedule, times, micro_batches, pp, vpp, sending)
    return pipeline_seconds(schedule, _with_sends(schedule, times, pp, vpp, sending), micro_batches, pp, vpp)


def pipeline_timeline(schedule: Schedule | str, times: Times, micro_batches: int, pp: int, vpp: int = 1, sending: Num = 0.0) -> Timeline:
    """Every pass of a step in time, ready to draw: what :func:`waiting_seconds` sums up.

    Args:
        schedule: the schedule, or its name.
        times, micro_batches, pp, vpp, sending: as for :func:`waiting_seconds`; a pass that waits for its message is longer by it.

    Returns:
        the bars of every rank, the seconds of the step and the bubble of each rank [s].

    Raises:
        SpecError: the schedule can't order that many micro-batches on that many ranks, or rows for another number of stages.

    >>> one = np.ones(1)
    >>> made = pipeline_timeline("1f1b", Times(one, one, one), 8, pp=4)
    >>> float(made.seconds), float(made.bubble(0)), made.bars[0].label
    (33.0, 9.0, 'F0')
    """
    schedule = schedule_of(schedule)
    staged = times_by_stage(schedule, times, pp, vpp)
    run = order(schedule, pp, micro_batches, vpp)
    if schedule.waits_for_messages:
        return timeline(run, _with_sends(schedule, staged, pp, vpp, sending))
    return timeline(run, staged, sending)


def times_by_stage(schedule: Schedule, times: Times, pp: int, vpp: int = 1) -> Times:
    """Times with one row a stage: uniform ones repeated, a rank's shared alike by its stages.

    Raises:
        SpecError: rows that are neither one, nor one a rank, nor one a stage.

    >>> two = np.array([2.0, 4.0])
    >>> times_by_stage(schedule_of("zero-bubble-v"), Times(two, two, two), 2).forward
    array([1., 2., 2., 1.])
    """
    rows, stages = times.stages, schedule.stages(pp, vpp)
    if rows == stages:
        return times
    if rows not in {1, pp}:
        raise SpecError(
            "times", rows, f"are rows for neither {pp} ranks nor {stages} stages", "give one row, one a rank or one a stage", "conflict"
        )
    if rows == 1:
        return times.on(stages)
    ranks, times = standing(schedule, pp, vpp).rank, times.by_stage

    def spread(each: Array) -> Array:
        return each[ranks] / (stages // pp)

    pair = None if times.pair is None else spread(times.pair)
    return Times(spread(times.forward), spread(times.inputs), spread(times.weights), pair)


def _with_sends(schedule: Schedule, times: Times, pp: int, vpp: int, sending: Num) -> Times:
    """Times with the messages that the sender waits for: a pass is longer by one where its result goes to another rank."""
    if not any_true(sending != 0):
        return times
    stages, each = times.stages, np.asarray(sending, dtype=np.float64)
    times = times.by_stage.beside(each)
    ahead = standing(schedule, pp, vpp).leaves
    back = np.roll(ahead, 1)

    def messages(leaving: NDArray[np.bool_]) -> Array:
        return leaving.reshape(stages, *(1,) * (times.forward.ndim - 1)) * each

    pair = None if times.pair is None else times.pair + messages(ahead) + messages(back[::-1])
    return Times(times.forward + messages(ahead), times.inputs + messages(back), times.weights, pair)
