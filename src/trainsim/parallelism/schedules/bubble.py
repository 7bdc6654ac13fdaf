"""Bubble of a pipeline: idle time of the slowest rank in a step, from fill, drain, uneven stages and messages."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...core.errors import SpecError
from ...core.units import Num, any_true
from .discovery import schedule_of
from .events import Timeline, Times, timeline
from .pipeline_time import busy_seconds, pipeline_seconds, uneven_seconds
from .schedule import Schedule, slot_order, stage_placement

Array = NDArray[np.float64]


def bubble_seconds(schedule: Schedule, times: Times, micro_batches: Num, pp: int, vpp: int = 1, sending: Num = 0.0) -> Num:
    """Idle time of the slowest rank in a step: ``T − max_r busy_r``, waits for uneven stages and exposed messages included.

    ``T`` is the simulated pipeline time. A message between ranks takes ``sending``. If the schedule waits for its messages, the sender is
    blocked for that time after every pass whose result leaves the rank; otherwise the message delays only the receiver.

    Args:
        schedule: the schedule.
        times: time of each pass of one micro-batch, ``(rows,)`` or ``(rows, n)``: one row for uniform stages, one per rank (divided
            equally among its stages), or one per stage in data-flow order.
        micro_batches: micro-batches per step, number or ``(n,)`` [1].
        pp, vpp: number of ranks, and stages per rank; never arrays.
        sending: time of a message between neighbouring ranks, number or ``(n,)`` [s].

    Returns:
        idle time, ``()`` or ``(n,)`` [s]; added to ``busy_seconds(…).max(axis=0)`` it is the pipeline time.

    Raises:
        SpecError: the schedule does not support these numbers of micro-batches and ranks, or ``times`` has another number of rows.

    Source: schedules that wait for their messages: Megatron-LM's ``schedules.py`` (send and receive together, then wait; overlapped for
    interleaved steps, arXiv:2104.04473, section 4.1) and DeepSeek's ``dualpipe.py`` (``_commit_and_wait_comm`` before a pass).

    >>> plain, one = schedule_of("1f1b"), np.ones(1)
    >>> float(bubble_seconds(plain, Times(one, one, one), 8, pp=4))  # (p − 1)(f + i + w)
    9.0
    >>> uneven = Times(np.array([1.0, 2.0]), np.array([1.0, 2.0]), np.array([1.0, 2.0]))
    >>> float(bubble_seconds(plain, uneven, 8, pp=2, sending=0.5))  # the first stage once, the slower one's eight messages
    7.5
    """
    staged = times_by_stage(schedule, times, pp, vpp)
    step = pipeline_step_seconds(schedule, staged, micro_batches, pp, vpp, sending)
    idle: Num = np.maximum(step - busy_seconds(schedule, staged, micro_batches, pp, vpp).max(axis=0), 0.0)  # rounding may make it negative
    return idle


def pipeline_step_seconds(schedule: Schedule, times: Times, micro_batches: Num, pp: int, vpp: int = 1, sending: Num = 0.0) -> Num:
    """Pipeline time of a step, messages included [s]; arguments as for :func:`bubble_seconds`, with ``times`` by stage.

    >>> uneven = Times(np.array([1.0, 2.0]), np.array([1.0, 2.0]), np.array([1.0, 2.0]))
    >>> float(pipeline_step_seconds(schedule_of("1f1b"), uneven, 8, pp=2, sending=0.5))
    55.5
    """
    if not schedule.waits_for_messages:
        return uneven_seconds(schedule, times, micro_batches, pp, vpp, sending)
    return pipeline_seconds(schedule, _with_sends(schedule, times, pp, vpp, sending), micro_batches, pp, vpp)


def pipeline_timeline(schedule: Schedule | str, times: Times, micro_batches: int, pp: int, vpp: int = 1, sending: Num = 0.0) -> Timeline:
    """Start and end of every pass of a step.

    Args:
        schedule: the schedule, or its name.
        times, micro_batches, pp, vpp, sending: as for :func:`bubble_seconds`; a blocking message lengthens its pass.

    Returns:
        the timeline, with the bars of every rank.

    Raises:
        SpecError: the schedule does not support these numbers of micro-batches and ranks, or ``times`` has another number of rows.

    >>> one = np.ones(1)
    >>> made = pipeline_timeline("1f1b", Times(one, one, one), 8, pp=4)
    >>> float(made.seconds), float(made.bubble(0)), made.bars[0].label
    (33.0, 9.0, 'F0')
    """
    schedule = schedule_of(schedule)
    staged = times_by_stage(schedule, times, pp, vpp)
    run = slot_order(schedule, pp, micro_batches, vpp)
    if schedule.waits_for_messages:
        return timeline(run, _with_sends(schedule, staged, pp, vpp, sending))
    return timeline(run, staged, sending)


def times_by_stage(schedule: Schedule, times: Times, pp: int, vpp: int = 1) -> Times:
    """Times with one row per stage: uniform times are repeated, those of a rank are divided equally among its stages.

    Raises:
        SpecError: the number of rows is neither 1, nor that of ranks, nor that of stages.

    >>> two = np.array([2.0, 4.0])
    >>> times_by_stage(schedule_of("zero-bubble-v"), Times(two, two, two), 2).forward
    array([1., 2., 2., 1.])
    """
    rows, stages = times.stages, schedule.stages(pp, vpp)
    if rows == stages:
        return times
    if rows not in {1, pp}:
        raise SpecError(
            "times",
            rows,
            f"is not the number of rows for {pp} ranks or {stages} stages",
            "give one row, or one per rank or stage",
            "conflict",
        )
    if rows == 1:
        return times.on(stages)
    ranks, times = stage_placement(schedule, pp, vpp).rank, times.by_stage

    def spread(each: Array) -> Array:
        return each[ranks] / (stages // pp)

    pair = None if times.pair is None else spread(times.pair)
    return Times(spread(times.forward), spread(times.inputs), spread(times.weights), pair)


def _with_sends(schedule: Schedule, times: Times, pp: int, vpp: int, sending: Num) -> Times:
    """Times with blocking messages added to every pass whose result goes to another rank."""
    if not any_true(sending != 0):
        return times
    stages, each = times.stages, np.asarray(sending, dtype=np.float64)
    times = times.by_stage.broadcast_with(each)
    ahead = stage_placement(schedule, pp, vpp).leaves
    back = np.roll(ahead, 1)

    def messages(leaving: NDArray[np.bool_]) -> Array:
        return leaving.reshape(stages, *(1,) * (times.forward.ndim - 1)) * each

    pair = None if times.pair is None else times.pair + messages(ahead) + messages(back[::-1])
    return Times(times.forward + messages(ahead), times.inputs + messages(back), times.weights, pair)
