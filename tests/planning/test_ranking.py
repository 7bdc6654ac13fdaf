"""Lower bounds do not change the result: ranking, counts and front equal those of timing every layout."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

import trainsim as ts
from trainsim.core.answer import unfolded
from trainsim.planning.candidates import ROUNDING, CandidateLayouts
from trainsim.planning.memory_filter import filter_layouts
from trainsim.planning.problem import search_problem
from trainsim.planning.ranking import Ranking, pareto
from trainsim.testing.searches import NARROW, dense, run, sparse

Array = NDArray[np.float64]
CASES = {"dense": run(dense()), "sparse": run(sparse(), gpus=12)}


@dataclass
class Told:
    """Layouts with invented bounds and times, which record the layouts that were timed."""

    lower_bounds: Array
    leasts: Array
    told: Array
    memory: Array
    gpus: Array
    asked: set[int]

    def __len__(self) -> int:
        return len(self.told)

    def steps(self, layouts: NDArray[np.intp]) -> Iterator[tuple[NDArray[np.intp], Any]]:
        for part in np.array_split(layouts, 2):
            yield part, SimpleNamespace(lower_bound=self.leasts[part])

    def seconds_of(self, layouts: NDArray[np.intp]) -> Array:
        assert np.all(np.diff(layouts) > 0)
        self.asked |= set(layouts.tolist())
        return self.told[layouts]


numbers = st.integers(1, 6)
layouts = st.lists(st.tuples(numbers, numbers, numbers, numbers, st.integers(1, 2)), min_size=1, max_size=40)


@given(rows=layouts, count=st.integers(1, 8), point=st.integers(1, 14), by=st.sampled_from(["time", "cost"]))
def test_bounds_change_no_answer(rows: list[tuple[int, int, int, int, int]], count: int, point: int, by: str) -> None:
    least, more, wait, memory, gpus = np.array(rows, dtype=np.float64).T
    tightened: Array = least + more - 1.0  # some bounds equal the step time
    whole: Array = tightened + wait - 1.0
    told = Told(least, tightened, whole, memory, gpus, set())
    rates = gpus if by == "cost" else np.ones_like(gpus)
    points = told.told * rates

    def ranking() -> Ranking:
        return Ranking(told, rates)  # type: ignore[arg-type]

    order = np.lexsort((memory, points))
    np.testing.assert_array_equal(ranking().first(count), order[:count])
    assert ranking().count_below(point) == np.count_nonzero(points < point)
    assert set(ranking().front().tolist()) == set(pareto(told.told, memory, gpus).tolist())
    together = ranking()
    assert together.first(count).tolist() == order[:count].tolist()
    assert set(together.front().tolist()) == set(pareto(told.told, memory, gpus).tolist())
    assert together.count_below(point) == np.count_nonzero(points < point)
    assert together.first(2 * count).tolist() == order[: 2 * count].tolist()
    np.testing.assert_array_equal(together.seconds[together.timed], told.told[together.timed])


def test_of_equally_fast_layouts_the_one_with_less_memory_comes_first() -> None:
    one = np.ones(5)
    ranking = Ranking(Told(one, one, one, np.arange(5.0, 0.0, -1.0), one, set()), one)  # type: ignore[arg-type]
    assert ranking.first(0).tolist() == []
    assert ranking.first(2).tolist() == [4, 3]


def test_layouts_that_a_bound_excludes_are_not_timed() -> None:
    n = 200
    one = np.arange(1.0, n + 1.0)
    told = Told(one, one + 0.5, one + 1.0, np.ones(n), np.ones(n), set())
    ranking = Ranking(told, np.ones(n))  # type: ignore[arg-type]
    assert ranking.first(3).tolist() == [0, 1, 2]
    assert ranking.front().tolist() == [0]
    assert ranking.count_below(2.5) == 1
    assert told.asked <= set(range(6))


# real layouts ------------------------------------------------------------------------------------------------------------

PARTS = {**NARROW, "recompute": ("full",), "recompute_layers": (None, 1), "schedule": ("1f1b", "dualpipe", "dualpipe-v"), "micro_batch": 1}
EXPERTS = {**NARROW, "recompute": "none", "expert_tp": (None, 2), "schedule": ("dualpipe", "zero-bubble", "interleaved"), "zero": (0, 2)}


def tried(made: ts.Run, space: Any, gpus: list[int] | None = None) -> CandidateLayouts:
    return filter_layouts(search_problem(made, None), gpus or [made.cluster.gpus], None, space).layouts


def lending(made: ts.Run, processors: float) -> ts.Run:
    """Exchanges that take more processor time than they hide."""
    return made.replace({"efficiency.stack.exchange_processors": processors})


BOUNDED = {
    "dense": (run(dense()), NARROW),
    "sparse": (run(sparse(), gpus=12), NARROW),
    "stages": (run(dense(), 80e9), PARTS),
    "experts": (run(sparse(), 80e9, gpus=12), EXPERTS),
    "lending": (lending(run(sparse(), 80e9, gpus=12), 0.7), EXPERTS),
}


@pytest.mark.parametrize("case", BOUNDED)
def test_no_layout_is_faster_than_its_lower_bound(case: str) -> None:
    found = tried(*BOUNDED[case])
    assert len(found) > 50
    assert np.all(found.lower_bounds > 0)
    assert np.all(found.lower_bounds <= found.seconds)
    for at, step in found.steps(np.arange(len(found))):
        assert np.all(
            step.lower_bound * (1 - ROUNDING) <= np.asarray(step.seconds)
        )  # equal for uniform stages, except for the order of summation
        unsharded = dataclasses.replace(step, synchronise=0.0, synchronise_hidden=0.0, optimizer=0.0, norm=0.0)
        assert np.all(found.lower_bounds[at] <= unsharded.lower_bound)
    near = found.lower_bounds / found.seconds
    assert np.median(near) > 0.3, "a floor that is far below says nothing"


@pytest.mark.parametrize("case", BOUNDED)
def test_layers_timed_once_for_all_structures_give_every_plan_its_own_step(case: str) -> None:
    made, space = BOUNDED[case]
    found = tried(made, space)
    for i in np.random.default_rng(1).choice(len(found), 40, replace=False):
        alone = float(ts.step_time(made.replace({"plan": found.plan(i)})).total)
        assert found.seconds[i] == pytest.approx(alone, rel=1e-12)


@pytest.mark.parametrize("by", ["time", "cost"])
@pytest.mark.parametrize("case", CASES)
def test_a_search_answers_as_if_everything_were_timed(case: str, by: Any) -> None:
    made = CASES[case].replace({"plan": ts.Plan(tp=2, zero=1)})
    gpus = [made.cluster.gpus // 2, made.cluster.gpus]
    found = ts.search_plans(made, by=by, space=NARROW, gpus=gpus, top=7)
    every = tried(made, NARROW, gpus)
    rate = {n: next((one.cost or 0.0) / one.seconds for one in (*found.ranked, *found.front) if one.gpus == n) for n in set(every.gpus)}
    points = every.seconds * (np.array([rate[n] for n in every.gpus]) if by == "cost" else 1.0)
    assert [one.seconds if by == "time" else one.cost for one in found.ranked] == pytest.approx(np.sort(points)[:7].tolist(), rel=1e-12)
    front = sorted((every.seconds[i], every.memory[i], every.gpus[i]) for i in pareto(every.seconds, every.memory, every.gpus))
    np.testing.assert_allclose(sorted((one.seconds, one.memory, one.gpus) for one in found.front), front, rtol=1e-12)
    assert found.own is not None
    mine = found.own.seconds if by == "time" else found.own.cost
    assert found.faster == np.count_nonzero(points < (mine or 0.0) * (1 - 1e-12))
    assert found.fitting == len(every)
    assert len(found.ranked) <= found.timed < found.fitting
    assert f"{found.timed:,} timed in full" in unfolded(found)
