"""Specs: a change affects only its own branch, every number has a path, and nothing changes in place."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Self

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import trainsim as ts
from trainsim.core.batch import Batch
from trainsim.core.errors import PathError, SpecError
from trainsim.core.spec import Spec, invariant
from trainsim.core.units import ArrayPolicy
from trainsim.testing import numbers_in, refused, small_runs


class Leg(ts.Spec):
    name: str
    distance: Annotated[ts.Num, ts.Unit("km", "how far", gt=0)]


class Trip(ts.Spec):
    speed: Annotated[ts.Num, ts.Unit("km/h", "how fast", gt=0)]
    first: Leg
    rest: Annotated[ts.Num, ts.Unit("h", "pause", ge=0)] | None = None


@given(small_runs(), st.data())
def test_a_change_changes_one_number(run: ts.Run, data: st.DataObject) -> None:
    known = run.numbers()
    path = data.draw(st.sampled_from(sorted(known)))
    value, unit = known[path]
    other = data.draw(numbers_in(unit, float(value)))
    quiet = path if not path.startswith("cluster.chip") else ""
    changed = run.replace({path: other}) if quiet else _unwarned(run, {path: other})
    assert changed.get(path) == other
    after = changed.numbers()
    assert after.keys() == known.keys()
    assert {p for p in known if after[p][0] != known[p][0]} <= {path}
    back = _unwarned(changed, {path: value})
    assert back == run
    assert hash(back) == hash(run)


def _unwarned(run: ts.Run, changes: dict[str, Any]) -> ts.Run:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ts.TrainsimWarning)
        return run.replace(changes)


@given(small_runs(), st.data())
def test_trusted_arrays_make_the_spec_that_checked_arrays_make(run: ts.Run, data: st.DataObject) -> None:
    known = run.numbers()
    paths = data.draw(st.lists(st.sampled_from(sorted(known)), min_size=1, max_size=5, unique=True))
    draws = {path: np.full(3, float(np.mean(known[path][0]))) for path in paths}
    checked, trusted = (Batch(run, draws, arrays=policy).spec for policy in (ArrayPolicy.CHECKED, ArrayPolicy.TRUSTED))
    assert checked._drawn
    assert trusted._drawn
    for path, (value, unit) in checked.numbers().items():
        other, same_unit = trusted.numbers()[path]
        assert np.array_equal(np.asarray(other), np.asarray(value)), path
        assert unit == same_unit
    some, *others = paths  # draws for a spec that already has draws
    step = Batch(trusted, {some: 2 * draws[some]}, arrays=ArrayPolicy.TRUSTED).spec
    assert np.array_equal(step.get(some), 2 * draws[some])
    assert all(step.get(path) is trusted.get(path) for path in others)


def test_trusted_arrays_break_no_rule_about_several_fields() -> None:
    phase = ts.Phase("pretrain", tokens=1e12, seq_len=4096, batch=[(1e11, 64), (9e11, 128)])
    for policy in (ArrayPolicy.CHECKED, ArrayPolicy.TRUSTED):
        with refused(SpecError, "conflict", "ramp"):
            Batch(phase, {"tokens": np.array([1e12, 1e10])}, arrays=policy)


@given(small_runs(), st.data())
def test_untouched_branches_are_the_same_objects(run: ts.Run, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from([p for p in run.numbers() if not p.startswith("cluster")]))
    value = run.get(path)
    changed = run.replace({path: value})
    head, *rest = path.split(".")
    for field in type(run).model_fields:
        if field != head:
            assert getattr(changed, field) is getattr(run, field)
    if head == "phases":
        for old, new in zip(run.phases, changed.phases, strict=True):
            assert (old is new) == (old.name != rest[0])


@given(small_runs())
def test_every_number_is_reached_by_its_path(run: ts.Run) -> None:
    for path, (value, unit) in run.numbers().items():
        assert run.get(path) == value
        assert run.unit_of(path) == unit
        assert unit.check(value) == value


def test_a_spec_never_changes() -> None:
    trip = Trip(speed=50, first=Leg(name="a", distance=100))
    with pytest.raises(Exception, match="frozen"):
        trip.speed = 1.0
    assert isinstance(trip.speed, float)
    assert trip == Trip(speed=50.0, first=Leg(name="a", distance=100.0))
    assert trip != Trip(speed=51.0, first=trip.first)
    assert len({trip, Trip(speed=50, first=trip.first)}) == 1


def test_sources_are_remembered_outside_equality_and_dropped_where_touched() -> None:
    trip = Trip(speed=50, first=Leg(name="a", distance=100).with_sources({"distance": "a map"}))
    told = trip.with_sources({"speed": "a sign"})
    assert told == trip
    assert told.sources() == {"speed": "a sign", "first.distance": "a map"}
    assert told.replace({"speed": 60}).sources() == {"speed": "given by the user", "first.distance": "a map"}
    assert told.replace({"first.distance": 60}).sources() == {"speed": "a sign", "first.distance": "given by the user"}
    assert told.replace({"rest": 1.0}).sources() == {"speed": "a sign", "first.distance": "a map", "rest": "given by the user"}


def test_a_source_of_a_branch_covers_its_numbers_until_it_is_replaced() -> None:
    run = ts.catalog.run("deepseek-v3")
    sources = run.sources()
    assert "h800" in sources["cluster.chip.peak.bf16"]
    assert "runs/deepseek-v3" in sources["phases.pretrain.tokens"]
    changed = run.replace({"phases.pretrain.tokens": 1e12}).sources()
    assert changed["phases.pretrain.tokens"] == "given by the user"
    assert changed["phases.pretrain.batch"] == sources["phases.pretrain.batch"]
    assert changed["phases.extend-32k.tokens"] == sources["phases.extend-32k.tokens"]


def test_a_batch_is_neither_compared_nor_hashed_nor_saved() -> None:
    batch = ts.Batch(Trip(speed=50, first=Leg(name="a", distance=1)), {"first.distance": np.array([1.0, 2.0])})
    assert batch.n == 2
    assert batch.spec.speed == 50.0
    for act in (lambda: batch.spec == batch.spec, lambda: hash(batch.spec), batch.spec.to_dict):
        with refused(ts.TrainsimError, "not-scalar", "Trip"):
            act()


@pytest.mark.parametrize(
    ("symbol", "powers"),
    [
        ("USD/GPU-h", {"USD": 1, "GPU": -1, "h": -1}),
        ("FLOP/s", {"FLOP": 1, "s": -1}),
        ("", {}),
        ("1/GPU/day", {"GPU": -1, "day": -1}),
        ("token/s/GPU", {"token": 1, "s": -1, "GPU": -1}),
    ],
)
def test_a_unit_is_taken_apart(symbol: str, powers: dict[str, int]) -> None:
    assert ts.Unit(symbol).dimension() == powers


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_bounds_hold_on_every_value(value: float) -> None:
    unit = ts.Unit("", gt=0, le=1)
    if 0 < value <= 1:
        assert Share(share=value).share == value
    else:
        with pytest.raises(ts.TrainsimError, match="must be"):
            Share(share=value)
    assert (unit.low, unit.high) == (0, 1)


class Share(ts.Spec):
    share: Annotated[ts.Num, ts.Unit("", gt=0, le=1)]


def test_a_rule_over_several_fields_runs_once_for_each_spec() -> None:
    ran: list[str] = []

    class Counted(Spec):
        name: str

        @invariant
        def _consistent(self) -> Self:
            ran.append(self.name)
            return self

    class Outer(Spec):
        inner: Counted
        label: str = ""

    outer = Outer(inner=Counted(name="first"))
    again = outer.replace({"label": "changed"})
    assert again.inner is outer.inner
    assert ran == ["first"]
    outer.replace({"inner.name": "second"})
    assert ran == ["first", "second"], "a changed spec is a new one, and is checked"


def test_a_part_of_what_is_not_given_is_refused_by_name() -> None:
    with refused(PathError, "unknown-field", "plan.tp"):
        ts.catalog.run("llama3.1-405b").replace({"plan": None}).replace({"plan.tp": 8})


def test_the_config_of_a_model_is_no_run(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text('{"model_type": "llama", "hidden_size": 64}', encoding="utf-8")
    with refused(SpecError, "wrong-type", "file"):
        ts.load(path)
