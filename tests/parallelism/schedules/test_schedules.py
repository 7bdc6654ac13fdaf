"""Closed forms compared with the event simulation, and the event simulation with published bubbles."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainsim.core.errors import SpecError
from trainsim.parallelism.schedules.bubble import bubble_seconds, times_by_stage
from trainsim.parallelism.schedules.discovery import default_schedule, find_schedule, schedule_of, schedules
from trainsim.parallelism.schedules.dualpipe import dualpipe_seconds
from trainsim.parallelism.schedules.events import Times, timeline
from trainsim.parallelism.schedules.one_f_one_b import one_f_one_b_seconds
from trainsim.parallelism.schedules.passes import Order, Pass
from trainsim.parallelism.schedules.pipeline_time import SETTLED_ROUNDS, busy_seconds, pipeline_seconds, slot_counts, uneven_seconds
from trainsim.parallelism.schedules.schedule import Schedule, slot_order
from trainsim.parallelism.schedules.zero_bubble import zero_bubble_seconds
from trainsim.testing import refused
from trainsim.testing.schedules import check_schedule, pipelines, times_of, virtual_stages

every_schedule = pytest.mark.parametrize("schedule", schedules().values(), ids=list(schedules()))
seconds = st.floats(0.01, 10.0)


def exact(schedule: Schedule, times: Times, pp: int, micro_batches: int) -> int:
    """At most the number of micro-batches that is timed exactly; longer steps in which ranks delay each other are extrapolated."""
    return micro_batches if schedule.one_rank_sets_the_pace(times, pp, np.zeros(())) else min(micro_batches, (SETTLED_ROUNDS - 1) * pp)


@every_schedule
def test_every_schedule_keeps_the_laws(schedule: Schedule) -> None:
    check_schedule(schedule)


@every_schedule
@settings(deadline=None, max_examples=40)
@given(data=st.data(), seed=st.integers(0, 10**6), spread=st.sampled_from([0.0, 0.05, 0.5, 2.0]))
def test_closed_forms_equal_the_events_on_uniform_stages(schedule: Schedule, data: Any, seed: int, spread: float) -> None:
    pp, vpp, m = data.draw(pipelines(schedule))
    stages = schedule.stages(pp, vpp)
    times = times_of(np.random.default_rng(seed), schedule, 1, spread)
    events = timeline(slot_order(schedule, pp, m, vpp), times.on(stages)).seconds
    np.testing.assert_allclose(pipeline_seconds(schedule, times, m, pp, vpp), events, rtol=1e-12)


@every_schedule
@settings(deadline=None, max_examples=30)
@given(data=st.data(), seed=st.integers(0, 10**6), spread=st.sampled_from([0.01, 0.3, 1.5]))
def test_uneven_stages_equal_the_events(schedule: Schedule, data: Any, seed: int, spread: float) -> None:
    pp, vpp, m = data.draw(pipelines(schedule, extra=24))
    stages = schedule.stages(pp, vpp)
    times = times_of(np.random.default_rng(seed), schedule, stages, spread)
    m = exact(schedule, times, pp, m)
    events = timeline(slot_order(schedule, pp, m, vpp), times).seconds
    np.testing.assert_allclose(pipeline_seconds(schedule, times, m, pp, vpp), events, rtol=1e-12)


def test_long_interleaved_steps_reach_a_steady_state() -> None:
    schedule = schedule_of("interleaved")
    times = times_of(np.random.default_rng(4), schedule, 8, 0.2)
    events = timeline(slot_order(schedule, 4, 80, 2), times).seconds
    np.testing.assert_allclose(pipeline_seconds(schedule, times, 80, 4, 2), events, rtol=2e-3)


@given(st.integers(1, 8), st.integers(1, 40), seconds, seconds, seconds)
def test_uniform_1f1b_is_the_published_bubble(pp: int, m: int, f: float, i: float, w: float) -> None:
    one = np.ones(pp)
    assert float(one_f_one_b_seconds(Times(f * one, i * one, w * one), m)) == pytest.approx((m + pp - 1) * (f + i + w))


@given(st.integers(1, 8), st.integers(1, 40), seconds, seconds)
def test_the_zero_bubble_formula_is_the_published_one_if_weight_passes_are_short(pp: int, m: int, f: float, i: float) -> None:
    w = min(f, i)
    assert float(zero_bubble_seconds(f, i, w, pp + m, pp)) == pytest.approx((pp + m) * (f + i + w) + (pp - 1) * (f + i - w))


def _bubble(half: int, f: float, i: float, w: float, x: float) -> tuple[float, float]:
    """DualPipe's bubble at 40 micro-batches by the events, and as published."""
    pp = 2 * half
    times = Times(*(np.full(pp, t) for t in (f, i, w, x)))
    return float(timeline(slot_order(schedule_of("dualpipe"), pp, 40), times).seconds) - 40 * (f + i + w), (half - 1) * (
        x + (i + w) - 3 * w
    )


@given(st.integers(1, 4), seconds, st.floats(0, 1))
def test_the_published_dualpipe_bubble_holds_where_input_passes_are_as_long_as_forward(half: int, f: float, part: float) -> None:
    events, published = _bubble(half, f, f, part * f, 2 * f + part * f)
    assert events == pytest.approx(published, abs=1e-13 * 40 * f)  # a difference of seconds that are forty times as long


@pytest.mark.parametrize("half", [2, 3, 4])
@pytest.mark.parametrize(("f", "i", "w", "x"), [(1, 1.5, 1, 3.5), (1, 0.7, 0.7, 2.4), (1, 1, 1.5, 3.5), (1, 1, 1, 2.5)])
def test_the_published_dualpipe_bubble_fails_elsewhere(half: int, f: float, i: float, w: float, x: float) -> None:
    events, published = _bubble(half, f, i, w, x)
    assert events != pytest.approx(published)
    assert float(dualpipe_seconds(f, i, w, x, micro_batches=40, half=half)) - 40 * (f + i + w) == pytest.approx(events)


def test_deepseek_v3_runs_as_many_passes_as_its_report_implies() -> None:
    # half = 8, 120 micro-batches: an end rank runs 23 lone forward passes, 97 pairs, 8 whole backward passes, 15 split in two
    kinds: dict[str, int] = {}
    for slot, n in slot_counts(schedule_of("dualpipe"), 120, 16)[0].items():
        letters = "".join(part.letter for part in slot)
        kinds[letters] = kinds.get(letters, 0) + n
    assert kinds == {"F": 23, "FB": 97, "B": 8, "I": 15, "W": 15}


@every_schedule
@settings(deadline=None, max_examples=25)
@given(data=st.data())
def test_every_micro_batch_passes_every_stage_once(schedule: Schedule, data: Any) -> None:
    pp, vpp, m = data.draw(pipelines(schedule))
    run = slot_order(schedule, pp, m, vpp)
    parts = [part for slots in run.slots for slot in slots for part in slot]
    assert len(parts) == len(set(parts))
    forward = {(part.stage, part.micro_batch) for part in parts if part.letter == "F"}
    backward = {(part.stage, part.micro_batch) for part in parts if part.letter in "BI"}
    assert forward == backward == {(s, n) for s in range(run.stages) for n in range(m)}
    assert {p[1:] for p in parts if p.letter == "I"} == {p[1:] for p in parts if p.letter == "W"}


@every_schedule
@settings(deadline=None, max_examples=20)
@given(data=st.data(), seed=st.integers(0, 10**6), late=st.floats(0, 2))
def test_a_timeline_obeys_its_dependencies_and_its_ranks(schedule: Schedule, data: Any, seed: int, late: float) -> None:
    pp, vpp, m = data.draw(pipelines(schedule, extra=6))
    stages = schedule.stages(pp, vpp)
    times = times_of(np.random.default_rng(seed), schedule, stages, 0.5, draws=3)
    made = timeline(slot_order(schedule, pp, m, vpp), times, late)
    ended = {part: (bar.rank, bar.end) for bar in made.bars for part in bar.slot}
    for bar in made.bars:
        for part in bar.slot:
            before = {"F": ("F", -1), "B": ("BI", 1), "I": ("BI", 1), "W": ("I", 0)}[part.letter]
            for letter in before[0]:
                need = Pass(letter, part.stage + before[1], part.micro_batch)  # type: ignore[arg-type]
                if need in ended:
                    rank, end = ended[need]
                    assert np.all(bar.start >= end + late * (rank != bar.rank) - 1e-9)
    for rank in range(pp):
        mine = [bar for bar in made.bars if bar.rank == rank]
        assert all(np.all(a.end <= b.start + 1e-9) for a, b in pairwise(mine))
        assert np.all(made.bubble(rank) >= -1e-9)
    assert np.all(made.seconds >= timeline(made.order, times).seconds - 1e-9)


@every_schedule
@settings(deadline=None, max_examples=20)
@given(data=st.data(), seed=st.integers(0, 10**6))
def test_busy_seconds_are_those_of_the_timeline(schedule: Schedule, data: Any, seed: int) -> None:
    pp, vpp, m = data.draw(pipelines(schedule, extra=30))
    times = times_of(np.random.default_rng(seed), schedule, schedule.stages(pp, vpp), 0.5)
    made = timeline(slot_order(schedule, pp, m, vpp), times)
    busy = busy_seconds(schedule, times, m, pp, vpp)
    np.testing.assert_allclose(busy, np.array([made.busy(rank) for rank in range(pp)]), rtol=1e-12)
    assert np.all(pipeline_seconds(schedule, times, m, pp, vpp) >= busy * (1 - 1e-12))


@every_schedule
@settings(deadline=None, max_examples=15)
@given(data=st.data(), seed=st.integers(0, 10**6), slower=st.floats(1, 3))
def test_slower_passes_never_shorten_a_step(schedule: Schedule, data: Any, seed: int, slower: float) -> None:
    pp, vpp, m = data.draw(pipelines(schedule))
    t = times_of(np.random.default_rng(seed), schedule, schedule.stages(pp, vpp), 0.5)
    longer = Times(t.forward, t.inputs * slower, t.weights)
    assert np.all(pipeline_seconds(schedule, longer, m, pp, vpp) >= pipeline_seconds(schedule, t, m, pp, vpp) * (1 - 1e-12))


@every_schedule
@pytest.mark.parametrize("uniform", [True, False])
def test_an_array_of_micro_batches_is_elementwise(schedule: Schedule, uniform: bool) -> None:  # noqa: FBT001
    pp, vpp = 4, virtual_stages(schedule)[0]
    counts = np.array([8, 12, 40, 12])
    rows = 1 if uniform else schedule.stages(pp, vpp)
    t = times_of(np.random.default_rng(1), schedule, rows, 0.3, draws=4)
    together = pipeline_seconds(schedule, t, counts, pp, vpp)
    alone = [np.asarray(pipeline_seconds(schedule, t, int(m), pp, vpp))[k] for k, m in enumerate(counts)]
    np.testing.assert_allclose(together, alone, rtol=1e-12)


@pytest.mark.parametrize(
    ("name", "ranks", "path", "remedy"),
    [
        ("dualpipe", (5, 1, 20), "plan.pp", "4, 6"),
        ("dualpipe", (4, 1, 6), "micro-batches", "less dp"),
        ("dualpipe", (4, 1, 9), "micro-batches", "8, 10"),
        ("interleaved", (4, 2, 10), "micro-batches", "8, 12"),
        ("interleaved", (4, 1, 8), "plan.vpp", "vpp >= 2"),
        ("1f1b", (4, 2, 8), "plan.vpp", "vpp=1"),
    ],
)
def test_an_impossible_order_raises_an_error_with_rule_and_remedy(name: str, ranks: tuple[int, int, int], path: str, remedy: str) -> None:
    with pytest.raises(SpecError) as raised:
        schedule_of(name).check(*ranks)
    assert raised.value.path == path
    assert remedy in raised.value.remedy


def test_schedules_are_found_by_their_names_in_papers_and_frameworks() -> None:
    words = {
        "1F1B": "1f1b", "Interleaved 1F1B": "interleaved", "Interleaved1F1B": "interleaved", "DualPipeV": "dualpipe-v",
        "ZB-H1": "zero-bubble", "ZB_V": "zero-bubble-v", "LoopedBFS": "breadth-first", "dualpipe-v": "dualpipe-v",
    }  # fmt: skip
    assert {word: find_schedule(word).name for word in words} == words
    assert [default_schedule(vpp).name for vpp in (1, 2, 8)] == ["1f1b", "interleaved", "interleaved"]
    for unknown in ("dualpip", "zero-bubble-w", ""):
        with pytest.raises(SpecError):
            schedule_of(unknown)
        with pytest.raises(SpecError):
            find_schedule(unknown)


# waiting -----------------------------------------------------------------------------------------------------------------


def sent(run: Order, times: Times, each: float) -> Times:
    """Blocking messages added pass by pass, an independent implementation for the test."""
    stages = len(times.forward)
    on = {part: rank for rank, slots in enumerate(run.slots) for slot in slots for part in slot if part.letter == "F"}
    rank = [[on[Pass("F", s, n)] for n in range(run.micro_batches)] for s in range(stages)]
    f, i = times.forward.copy(), times.inputs.copy()
    x = None if times.pair is None else times.pair.copy()
    for s in range(stages):
        if s + 1 < stages and rank[s + 1] != rank[s]:
            f[s] += each
            if x is not None:
                x[s] += each
        if s and rank[s - 1] != rank[s]:
            i[s] += each
            if x is not None:
                x[stages - 1 - s] += each  # the backward pass of this stage runs beside the forward pass of the rank's other stage
    return Times(f, i, times.weights, x)


@every_schedule
@settings(deadline=None, max_examples=40)
@given(
    data=st.data(), seed=st.integers(0, 10**6), spread=st.sampled_from([0.0, 0.05, 0.5, 1.5]), late=st.sampled_from([0.0, 0.01, 0.2, 1.0])
)
def test_the_bubble_is_the_simulated_time_minus_the_slowest_ranks_work(
    schedule: Schedule, data: Any, seed: int, spread: float, late: float
) -> None:
    pp, vpp, m = data.draw(pipelines(schedule, extra=60))
    times = times_of(np.random.default_rng(seed), schedule, pp, spread)
    staged = times_by_stage(schedule, times, pp, vpp)
    blocking = schedule.waits_for_messages
    m = exact(schedule, staged, pp, m)
    run = slot_order(schedule, pp, m, vpp)
    if not blocking and schedule.one_rank_sets_the_pace(staged, pp, np.zeros(())):
        f, b = times.forward / vpp, (times.inputs + times.weights) / vpp
        hidden = (f + b).max(axis=0) - np.maximum((f + b).max(axis=0) / 2, np.maximum(f.mean(axis=0), b.mean(axis=0)))
        late = min(late, float(hidden.min()))
    events = timeline(run, sent(run, staged, late) if blocking else staged, 0.0 if blocking else late).seconds
    busy = np.max(np.array([timeline(run, staged).busy(rank) for rank in range(pp)]), axis=0)
    waiting = bubble_seconds(schedule, times, m, pp, vpp, late)
    np.testing.assert_allclose(waiting, events - busy, rtol=0, atol=1e-12 * float(np.max(events)))
    assert np.all(waiting >= 0)
    assert np.shape(waiting) == times.forward.shape[1:]


@pytest.mark.parametrize(("pp", "vpp", "rounds"), [(4, 2, 8), (4, 3, 20), (2, 5, 30)])
def test_long_interleaved_steps_with_like_chunks_equal_the_events(pp: int, vpp: int, rounds: int) -> None:
    schedule = schedule_of("interleaved")
    staged = times_by_stage(schedule, times_of(np.random.default_rng(3), schedule, pp, 0.7), pp, vpp)
    for late in (0.0, 0.02):
        events = timeline(slot_order(schedule, pp, rounds * pp, vpp), staged, late).seconds
        np.testing.assert_allclose(uneven_seconds(schedule, staged, rounds * pp, pp, vpp, late), events, rtol=1e-12)


@every_schedule
@settings(deadline=None, max_examples=20)
@given(data=st.data(), seed=st.integers(0, 10**6), late=st.floats(0, 0.3), scale=st.floats(0.1, 50))
def test_the_bubble_scales_and_never_falls_with_longer_messages(
    schedule: Schedule, data: Any, seed: int, late: float, scale: float
) -> None:
    pp, vpp, m = data.draw(pipelines(schedule))
    t = times_of(np.random.default_rng(seed), schedule, pp, 0.4)
    scaled = Times(scale * t.forward, scale * t.inputs, scale * t.weights, None if t.pair is None else scale * t.pair)
    waiting = bubble_seconds(schedule, t, m, pp, vpp, late)
    atol = 1e-11 * float(m * np.max(t.forward + t.inputs + t.weights) * pp)
    np.testing.assert_allclose(bubble_seconds(schedule, scaled, m, pp, vpp, scale * late), scale * waiting, rtol=1e-9, atol=scale * atol)
    assert np.all(bubble_seconds(schedule, t, m, pp, vpp, 1.5 * late) >= waiting - atol)
    assert np.all(waiting >= bubble_seconds(schedule, t, m, pp, vpp) - atol)


@pytest.mark.parametrize("schedule", [one for one in schedules().values() if one.rank_multiple == 1], ids=lambda one: one.name)
def test_one_rank_has_no_bubble(schedule: Schedule) -> None:
    t = times_of(np.random.default_rng(2), schedule, 1, 0.5)
    np.testing.assert_allclose(bubble_seconds(schedule, t, 12, 1, virtual_stages(schedule)[-1], 0.4), 0.0, atol=1e-12)


@every_schedule
def test_the_bubble_is_elementwise_over_draws_micro_batches_and_messages(schedule: Schedule) -> None:
    pp, vpp = 4, virtual_stages(schedule)[0]
    counts, late = np.array([8, 12, 44, 160]), np.array([0.0, 0.1, 0.02, 0.05])
    t = times_of(np.random.default_rng(5), schedule, pp, 0.4, draws=4)
    together = np.asarray(bubble_seconds(schedule, t, counts, pp, vpp, late))
    for k, m in enumerate(counts.tolist()):
        one = Times(t.forward[:, k], t.inputs[:, k], t.weights[:, k], None if t.pair is None else t.pair[:, k])
        for micro_batches in (m, counts):
            for sending in (float(late[k]), late):
                alone = np.broadcast_to(bubble_seconds(schedule, one, micro_batches, pp, vpp, sending), counts.shape)
                assert alone[k] == pytest.approx(together[k], rel=1e-9)


def test_many_draws_in_blocks_equal_single_draws() -> None:
    schedule = schedule_of("zero-bubble")
    t = times_of(np.random.default_rng(6), schedule, 4, 0.4, draws=600)
    whole = bubble_seconds(schedule, t, 30, 4, 1, 0.1)
    few = Times(t.forward[:, 500:], t.inputs[:, 500:], t.weights[:, 500:])
    np.testing.assert_array_equal(np.asarray(whole)[500:], bubble_seconds(schedule, few, 30, 4, 1, 0.1))


def test_unsupported_numbers_of_micro_batches_are_named() -> None:
    schedule = schedule_of("1f1b")
    t = times_of(np.random.default_rng(5), schedule, 4, 0.4)
    with refused(SpecError, "conflict", "micro-batches"):
        bubble_seconds(schedule_of("interleaved"), t, np.array([8, 10]), 4, 2)
    with refused(SpecError, "wrong-type", "micro-batches"):
        bubble_seconds(schedule, t, 7.5, 4)
    with refused(SpecError, "conflict", "times"):
        bubble_seconds(schedule, t, 8, 6)
