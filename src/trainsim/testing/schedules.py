"""Strategies for pipelines and for seconds of passes, and the laws of every schedule."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
from hypothesis import strategies as st

from ..core.errors import SpecError
from ..core.units import Num
from ..parallelism.schedules.events import Times, timeline
from ..parallelism.schedules.passes import Order, Pass
from ..parallelism.schedules.pipeline_time import SETTLED_ROUNDS, busy_seconds, pipeline_seconds
from ..parallelism.schedules.schedule import Schedule, slot_order, stage_placement

TOLERANCE = 1e-11


def virtual_stages(schedule: Schedule, most: int = 3) -> tuple[int, ...]:
    """Numbers of stages per rank that a plan may have.

    >>> from trainsim.parallelism.schedules.discovery import schedule_of
    >>> virtual_stages(schedule_of("interleaved")), virtual_stages(schedule_of("dualpipe"))
    ((2, 3), (1,))
    """
    return tuple(range(2, most + 1)) if schedule.stages_per_rank is None else (1,)


def fewest(schedule: Schedule, pp: int) -> int:
    """Smallest number of micro-batches that the schedule supports."""
    return -(-schedule.least(pp) // schedule.period(pp)) * schedule.period(pp)


@st.composite
def pipelines(draw: st.DrawFn, schedule: Schedule, extra: int = 12) -> tuple[int, int, int]:
    """Ranks, stages per rank and micro-batches that a schedule supports, up to ``extra`` micro-batches above its minimum."""
    pp = schedule.rank_multiple * draw(st.integers(1, 6 // schedule.rank_multiple))
    vpp = draw(st.sampled_from(virtual_stages(schedule)))
    return pp, vpp, fewest(schedule, pp) + schedule.period(pp) * draw(st.integers(0, extra // schedule.period(pp)))


def times_of(rng: np.random.Generator, schedule: Schedule, rows: int, spread: float, draws: int = 7) -> Times:
    """Seconds of passes, log-normal around one; a pair takes at least its longer pass and at most the sum of both."""
    f, i, w = np.exp(spread * rng.normal(size=(3, rows, draws)))
    longest, both = np.maximum(f, (i + w)[::-1]), f + (i + w)[::-1]
    return Times(f, i, w, longest + rng.random((rows, draws)) * (both - longest) if schedule.pairs else None)


def check_schedule(schedule: Schedule) -> None:
    """Check the laws of all schedules, on up to four ranks.

    Every micro-batch passes every stage once. The class's statements on copies and pairs agree with its slots. The closed form, the
    extrapolated step and the busy time of each rank equal those of the event simulation.

    Raises:
        AssertionError: a law fails; the error names the pipeline and the law.
    """
    rng = np.random.default_rng(1)
    for pp, vpp, m in _pipelines(schedule):
        where = f"{schedule.name}, pp={pp}, vpp={vpp}, {m} micro-batches"
        try:
            _check_order(schedule, slot_order(schedule, pp, m, vpp), vpp, where, rng)
        except SpecError as error:
            raise AssertionError(f"{where}: {error}") from error


def _check_order(schedule: Schedule, run: Order, vpp: int, where: str, rng: np.random.Generator) -> None:
    m, pp = run.micro_batches, run.ranks
    for n in (m, schedule.settled(pp)):
        _check_each_once(slot_order(schedule, pp, n, vpp), f"{schedule.name}, pp={pp}, vpp={vpp}, {n} micro-batches")
    _check_statements(schedule, run, where)
    for rows, spread in ((1, 0.5), (run.stages, 0.5), (run.stages, 0.02)):
        times = times_of(rng, schedule, rows, spread)
        made = timeline(run, times.on(run.stages))
        law = "one_rank_sets_the_pace, settled, period" if schedule.closed_form(times, m, pp, vpp) is None else "closed_form"
        _equal(pipeline_seconds(schedule, times, m, pp, vpp), made.seconds, f"{where}: seconds of {rows} rows ({law})")
        working = [made.busy(rank) for rank in range(pp)]
        _equal(busy_seconds(schedule, times.on(run.stages), m, pp, vpp), np.array(working), f"{where}: working seconds")


def _pipelines(schedule: Schedule) -> Iterator[tuple[int, int, int]]:
    for pp, vpp in itertools.product(range(1, 5), virtual_stages(schedule)):
        try:
            schedule.check_ranks(pp, vpp)
        except SpecError:
            continue
        for more in (0, 1, 2, 3, 7):
            m = fewest(schedule, pp) + more * schedule.period(pp)
            if m < SETTLED_ROUNDS * pp:
                yield pp, vpp, m


def _check_each_once(run: Order, where: str) -> None:
    for slot in (slot for slots in run.slots for slot in slots):
        assert slot and all(isinstance(part, Pass) for part in slot), f"{where}: the slot {slot!r} is not a tuple of passes, (Pass(…),)"  # noqa: PT018
    parts = [part for slots in run.slots for slot in slots for part in slot]
    each = {(stage, n) for stage in range(run.stages) for n in range(run.micro_batches)}
    by_letter = {letter: [part[1:] for part in parts if part.letter in letter] for letter in ("F", "BI", "W", "I")}
    for letter in ("F", "BI"):
        assert len(by_letter[letter]) == len(each) and set(by_letter[letter]) == each, f"{where}: not every micro-batch passes once"  # noqa: PT018
    assert sorted(by_letter["W"]) == sorted(by_letter["I"]), f"{where}: weight passes without their input passes"


def _check_statements(schedule: Schedule, run: Order, where: str) -> None:
    pairs = any(len(slot) > 1 for slots in run.slots for slot in slots)
    assert schedule.pairs or not pairs, f"{where}: slots pair passes, and pairs is False"
    share = stage_placement(schedule, run.ranks, run.stages * schedule.copies // run.ranks).share
    _equal(share.sum(axis=0), np.ones(run.stages), f"{where}: shares of a stage")
    assert int((share > 0).sum(axis=0).max()) == min(schedule.copies, run.ranks), f"{where}: copies is not {schedule.copies}"


def _equal(got: Num, want: Num, law: str) -> None:
    np.testing.assert_allclose(got, want, rtol=TOLERANCE, err_msg=law)
