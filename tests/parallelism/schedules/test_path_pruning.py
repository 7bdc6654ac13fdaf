"""The pruned event graph gives the same step time as the event simulation for every draw."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainsim.parallelism.schedules.bubble import bubble_seconds
from trainsim.parallelism.schedules.discovery import schedule_of, schedules
from trainsim.parallelism.schedules.events import Times, timeline
from trainsim.parallelism.schedules.graph import end_times, graph_of, tails
from trainsim.parallelism.schedules.path_pruning import bounding_box, merge_identical_slots, prune_dominated_paths
from trainsim.parallelism.schedules.pipeline_time import PRUNING_DRAWS, busy_seconds, uneven_seconds
from trainsim.parallelism.schedules.schedule import Schedule, slot_order
from trainsim.testing.schedules import pipelines, times_of, virtual_stages

PLAIN = schedule_of("1f1b")


def repeated(times: Times) -> Times:
    """The same with the second stage's layers on every stage but the first and the last."""
    like = [0, *([1] * (times.stages - 2)), times.stages - 1] if times.stages > 2 else list(range(times.stages))
    f, i, w = (each[like] for each in (times.forward, times.inputs, times.weights))
    return Times(f, i, w, None if times.pair is None else np.maximum(np.maximum(f, (i + w)[::-1]), 0.9 * (f + (i + w)[::-1])))


@pytest.mark.parametrize("schedule", schedules().values(), ids=list(schedules()))
@settings(deadline=None, max_examples=25)
@given(
    data=st.data(), seed=st.integers(0, 10**6), spread=st.sampled_from([0.0, 0.003, 0.05, 0.5, 2.0]), alike=st.booleans(),
    late=st.sampled_from([0.0, 0.02, 1.0]),
)  # fmt: skip
def test_pruned_paths_have_the_length_of_the_event_simulation(
    schedule: Schedule, data: Any, seed: int, spread: float, *, alike: bool, late: float
) -> None:
    pp, vpp, m = data.draw(pipelines(schedule))
    rng = np.random.default_rng(seed)
    stages = schedule.stages(pp, vpp)
    around = times_of(rng, schedule, stages, 0.3, draws=1)
    away = times_of(rng, PLAIN, stages, spread, draws=40)
    made = Times(around.forward * away.forward, around.inputs * away.inputs, around.weights * away.weights)
    if around.pair is not None:
        made = Times(made.forward, made.inputs, made.weights, around.pair * away.forward)
    times = repeated(made) if alike else made
    run = slot_order(schedule, pp, m, vpp)
    each, units = times.distinct
    kinds = np.pad(units.slot_seconds(graph_of(run)), ((0, 0), (0, 1)))
    with_late = np.concatenate([each, np.full((1, 40), late)])
    left = prune_dominated_paths(graph_of(run), kinds, bounding_box(with_late), np.append(np.zeros(len(each)), 1.0))
    np.testing.assert_allclose(left.seconds(with_late), timeline(run, times, late).seconds, rtol=1e-12)


@pytest.mark.parametrize("schedule", [one for one in schedules().values() if one.stages_per_rank is not None or not one.waits_for_messages])
@pytest.mark.parametrize("spread", [0.02, 0.7])
def test_many_draws_of_long_steps_equal_the_events(schedule: Schedule, spread: float) -> None:
    pp, vpp, m = 4, virtual_stages(schedule)[0], 44
    stages = schedule.stages(pp, vpp)
    rng = np.random.default_rng(7)
    around, away = (times_of(rng, PLAIN, stages, s, draws=n) for s, n in ((0.3, 1), (spread, PRUNING_DRAWS)))
    times = repeated(Times(*(getattr(around, name) * getattr(away, name) for name in ("forward", "inputs", "weights"))))
    if schedule.stages_per_rank is None:  # equal chunks only: steps with other chunks are extrapolated
        times = Times(*(np.tile(each[:pp], (vpp, 1)) for each in (times.forward, times.inputs, times.weights)))
    together = uneven_seconds(schedule, times, m, pp, vpp)
    some = np.arange(0, PRUNING_DRAWS, 64)
    few = Times(times.forward[:, some], times.inputs[:, some], times.weights[:, some], None if times.pair is None else times.pair[:, some])
    np.testing.assert_allclose(np.asarray(together)[some], timeline(slot_order(schedule, pp, m, vpp), few).seconds, rtol=1e-12)


def test_many_draws_of_unequal_chunks_are_extrapolated_like_few_draws() -> None:
    times = times_of(np.random.default_rng(4), PLAIN, 8, 0.2, draws=PRUNING_DRAWS)
    together = np.asarray(uneven_seconds(schedule_of("interleaved"), times, 80, 4, 2))
    few = Times(times.forward[:, :50], times.inputs[:, :50], times.weights[:, :50])
    np.testing.assert_allclose(together[:50], uneven_seconds(schedule_of("interleaved"), few, 80, 4, 2), rtol=1e-12)


def test_many_message_times_with_one_set_of_pass_times_equal_the_events() -> None:
    one = times_of(np.random.default_rng(4), PLAIN, 4, 0.3, draws=1)
    times = Times(*(np.tile(each[:, 0], 2) for each in (one.forward, one.inputs, one.weights)))
    late = np.linspace(0.0, 0.1, PRUNING_DRAWS)
    together = np.asarray(uneven_seconds(schedule_of("interleaved"), times, 8, 4, 2, late))
    alone = [float(timeline(slot_order(schedule_of("interleaved"), 4, 8, 2), times, d).seconds) for d in late[::512]]
    np.testing.assert_allclose(together[::512], alone, rtol=1e-12)


def test_a_nan_draw_affects_no_other_draw() -> None:
    times = times_of(np.random.default_rng(4), PLAIN, 4, 0.3, draws=PRUNING_DRAWS)
    times.weights[1, 7] = np.nan
    together = np.asarray(uneven_seconds(schedule_of("zero-bubble"), times, 20, 4))
    few = Times(times.forward[:, :7], times.inputs[:, :7], times.weights[:, :7])
    np.testing.assert_allclose(together[:7], timeline(slot_order(schedule_of("zero-bubble"), 4, 20), few).seconds, rtol=1e-12)
    assert np.isnan(together[7])


@pytest.mark.parametrize("schedule", schedules().values(), ids=list(schedules()))
@settings(deadline=None, max_examples=25)
@given(data=st.data(), seed=st.integers(0, 10**6), late=st.sampled_from([0.0, 0.3]), alike=st.booleans())
def test_merged_slots_end_at_the_same_time(schedule: Schedule, data: Any, seed: int, late: float, *, alike: bool) -> None:
    pp, vpp, m = data.draw(pipelines(schedule))
    graph = graph_of(slot_order(schedule, pp, m, vpp))
    made = times_of(np.random.default_rng(seed), schedule, schedule.stages(pp, vpp), 0.3, draws=3)
    seconds = (repeated(made) if alike else made).slot_seconds(graph)
    pays = np.unique(seconds, axis=0, return_inverse=True)[1].reshape(-1)[graph.kind]
    first = merge_identical_slots(graph, tuple(pays.tolist()))
    ended = end_times(graph, seconds, np.full(3, late))
    np.testing.assert_array_equal(ended, ended[first])
    assert np.all(first[first] == first)
    assert np.all(first <= np.arange(len(first)))
    apart = merge_identical_slots(graph, tuple(range(len(graph.kind))))
    np.testing.assert_array_equal(apart, np.arange(len(first)))


def test_in_dualpipe_every_slot_merges_with_one_other() -> None:
    graph = graph_of(slot_order(schedule_of("dualpipe"), 16, 34))
    assert len(set(merge_identical_slots(graph, tuple(graph.kind.tolist()))[:-1].tolist())) == len(graph.kind) // 2


@pytest.mark.parametrize("schedule", schedules().values(), ids=list(schedules()))
@settings(deadline=None, max_examples=25)
@given(data=st.data(), seed=st.integers(0, 10**6), spread=st.sampled_from([0.05, 0.5]))
def test_a_path_adds_the_further_periods_once_at_one_of_the_given_slots(schedule: Schedule, data: Any, seed: int, spread: float) -> None:
    pp, vpp, m = data.draw(pipelines(schedule))
    rng = np.random.default_rng(seed)
    graph = graph_of(slot_order(schedule, pp, m, vpp))
    times = repeated(times_of(rng, schedule, schedule.stages(pp, vpp), spread, draws=20))
    each, units = times.distinct
    slots = np.sort(rng.permutation(len(graph.kind))[: 1 + len(graph.kind) // 3])
    more = rng.integers(0, 30, size=(len(slots), len(each))).astype(np.float64)
    left = prune_dominated_paths(graph, units.slot_seconds(graph), bounding_box(each), np.zeros(len(each)), (slots, more))
    seconds = times.slot_seconds(graph)
    through = (end_times(graph, seconds)[:-1] + tails(graph, seconds))[slots] + more @ each
    np.testing.assert_allclose(left.seconds(each), through.max(axis=0), rtol=1e-12)


@pytest.mark.parametrize("schedule", schedules().values(), ids=list(schedules()))
@pytest.mark.parametrize("draws", [1, 5, PRUNING_DRAWS])
def test_times_by_row_equal_times_by_stage(schedule: Schedule, draws: int) -> None:
    vpp = virtual_stages(schedule)[0]
    row = np.array([0, 1, 1, 2] if schedule.stages(4, vpp) == 4 else [0, 1, 1, 1, 1, 1, 1, 2])
    few = times_of(np.random.default_rng(6), schedule, 3, 0.2, draws=draws)
    told = Times(few.forward, few.inputs, few.weights, few.pair, row=row)
    one_by_one = Times(few.forward[row], few.inputs[row], few.weights[row], None if few.pair is None else few.pair[row])
    assert told.stages == one_by_one.stages == len(row)
    for sending in (0.0, 0.1):
        a, b = (bubble_seconds(schedule, times, 16, 4, vpp, sending) for times in (told, one_by_one))
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)
    a, b = (busy_seconds(schedule, times, 16, 4, vpp) for times in (told, one_by_one))
    np.testing.assert_allclose(a, b, rtol=1e-14)
    first, *_ = (Times(each.forward[:, 0], each.inputs[:, 0], each.weights[:, 0], row=each.row) for each in (told, one_by_one))
    counts, alone = np.array([16, 24, 32]), Times(first.forward[row], first.inputs[row], first.weights[row])
    a, b = (bubble_seconds(schedule, times, counts, 4, vpp) for times in (first, alone))
    np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


def test_few_paths_are_left_if_draws_are_close() -> None:
    rng = np.random.default_rng(2)
    around, away = (times_of(rng, PLAIN, 16, s, draws=n) for s, n in ((0.2, 1), (0.01, 500)))
    times = repeated(Times(*(getattr(around, name) * getattr(away, name) for name in ("forward", "inputs", "weights"))))
    graph, (each, units) = graph_of(slot_order(schedule_of("dualpipe"), 16, 34)), times.distinct
    assert len(each) == 9, "three kinds of stages, three passes each"
    left = prune_dominated_paths(graph, units.slot_seconds(graph), bounding_box(each), np.zeros(len(each)))
    assert sum(map(len, left.steps)) < len(graph.kind) / 4


@given(seed=st.integers(0, 10**6), rows=st.integers(1, 6), spread=st.floats(0.0, 2.0))
def test_a_box_contains_its_draws_and_bounds_every_sum(seed: int, rows: int, spread: float) -> None:
    rng = np.random.default_rng(seed)
    times = np.exp(spread * rng.normal(size=(rows, 30)))
    vectors = rng.integers(-5, 6, size=(20, rows)).astype(np.float64)
    shares = times / times.sum(axis=0)
    box = bounding_box(times)
    assert np.all(box.least(vectors) <= (vectors @ shares).min(axis=1) + 1e-12)
    corners = box.center[:, None] + box.axes @ (box.reach[:, None] * np.where(rng.random((rows, 50)) < 0.5, -1.0, 1.0))
    assert np.all(box.least(vectors) <= (vectors @ corners).min(axis=1) + 1e-12)


@given(seed=st.integers(0, 10**6), stages=st.integers(1, 6), kinds=st.integers(1, 3))
def test_distinct_times_reproduce_the_times_of_all_stages(seed: int, stages: int, kinds: int) -> None:
    rng = np.random.default_rng(seed)
    like = rng.integers(0, kinds, size=stages)
    times = Times(*(np.exp(rng.normal(size=(kinds, 5)))[like] for _ in range(3)))
    each, units = times.distinct
    assert len(each) == 3 * len(set(like.tolist()))
    for name in ("forward", "inputs", "weights"):
        np.testing.assert_array_equal(getattr(units, name) @ each, getattr(times, name))


def test_times_with_equal_first_and_last_elements_are_distinguished() -> None:
    rows = np.array([[1.0, 2.0, 3.0], [1.0, 2.5, 3.0], [1.0, 2.0, 3.0]])
    each, units = Times(rows, rows, rows).distinct
    assert each.tolist() == rows[:2].tolist()
    np.testing.assert_array_equal(units.forward @ each, rows)
