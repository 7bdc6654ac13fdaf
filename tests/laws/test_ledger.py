"""The algebra of ledgers: parts add up, lazy scaling gives the same lines, and an omitted level is summed."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import trainsim as ts
from trainsim.core.ledger import ledger_from_lines
from trainsim.testing import refused, small_ledgers

factors = st.floats(1e-3, 1e3)
NEAR = 1e-12


def close(a: ts.Num, b: ts.Num) -> bool:
    return bool(np.allclose(a, b, rtol=NEAR, atol=0.0))


def same(a: ts.Ledger, b: ts.Ledger) -> bool:
    mine, theirs = dict(a.lines()), dict(b.lines())
    return a.unit == b.unit and mine.keys() == theirs.keys() and all(close(v, theirs[k]) for k, v in mine.items())


@given(small_ledgers())
def test_lines_and_groups_add_up(bill: ts.Ledger) -> None:
    assert close(bill.total, sum(value for _, value in bill.lines()))
    assert close(bill.total, sum(bill.part(name).total for name in bill))
    for name, group in bill.to_dict().items():
        assert close(bill.part(name).total, sum(sum(lines.values()) for lines in group.values()))


@given(small_ledgers(), factors, factors)
def test_a_scale_kept_is_a_scale_multiplied_out(bill: ts.Ledger, a: float, b: float) -> None:
    out = ledger_from_lines("USD", {tuple(path.split(".")): value * a * b for path, value in bill.lines()})
    assert same(bill * a * b, out)
    assert same(a * (b * bill), out)
    assert same(bill.scaled(a, "USD") * b, out)
    assert close((bill * a / a).total, bill.total)
    assert (bill * a).parts is bill.parts, "multiplying touches only the scale"


@given(small_ledgers(), small_ledgers(), factors)
def test_merging_commutes_and_distributes(a: ts.Ledger, b: ts.Ledger, factor: float) -> None:
    assert same(a + b, b + a)
    assert same((a + b) * factor, a * factor + b * factor)
    assert close((a + b).total, a.total + b.total)
    assert all(value == 0 for _, value in (a - a).lines())


@given(small_ledgers(), small_ledgers(), small_ledgers())
def test_merging_associates(a: ts.Ledger, b: ts.Ledger, c: ts.Ledger) -> None:
    assert same((a + b) + c, a + (b + c))


@given(small_ledgers(), small_ledgers(), factors, factors)
def test_a_level_left_out_is_summed_over(forward: ts.Ledger, backward: ts.Ledger, f: float, b: float) -> None:
    both = ts.Ledger("USD", {"forward": forward * f, "backward": backward * b}) * 2.0
    for name in {*forward, *backward}:
        expected = sum((part.part(name).total * scale for part, scale in ((forward, f), (backward, b)) if name in part.parts), 0.0)
        assert close(both.part(name).total, 2 * expected)
        assert name in both
    path = next(p for p, _ in forward.lines())
    assert close(both.part(f"forward.{path}").total, 2 * f * dict(forward.lines())[path])


@given(small_ledgers().filter(lambda bill: float(np.asarray(bill.total)) > 1e-6))
def test_shares_are_of_one(bill: ts.Ledger) -> None:
    assert close(bill.share().total, 1.0)
    assert bill.share().unit == "1"
    assert close(bill.nest("whole").part("whole").total, bill.total)
    assert close(bill.map(lambda line: 3 * line).total, 3 * bill.total)


@given(small_ledgers(), factors, st.integers(2, 5))
def test_draws_are_scaled_one_by_one(bill: ts.Ledger, factor: float, n: int) -> None:
    scale = np.linspace(factor, 2 * factor, n)
    drawn = scale * bill
    assert np.shape(drawn.total) == (n,)
    for i, single in enumerate(scale):
        assert close(np.asarray(drawn.total)[i], (bill * float(single)).total)


@given(small_ledgers("USD"), small_ledgers("h"))
def test_units_never_mix(dollars: ts.Ledger, hours: ts.Ledger) -> None:
    with refused(ts.TrainsimError, "unit-mismatch"):
        _ = dollars + hours
    with refused(ts.TrainsimError, "unit-mismatch", "hours"):
        ts.Ledger("USD", {"hours": hours})
    assert dollars != hours


def test_a_ledger_never_changes_and_says_what_it_has() -> None:
    bill = ts.Ledger("USD", {"rent": {"pretrain": 5.0}, "power": 1.0})
    with pytest.raises(AttributeError, match="immutable"):
        bill.unit = "EUR"
    with refused(ts.TrainsimError, "unknown-path", "rent.pretrian"):
        bill.part("rent.pretrian")
    with refused(ts.TrainsimError, "unit-mismatch", "rent"):
        _ = bill + ts.Ledger("USD", {"rent": 5.0})
    with refused(ts.TrainsimError, "invalid", "a.b"):
        ts.Ledger("USD", {"a.b": 1.0})
    assert "pretrain" in str(bill)
    assert "100.0%" in bill.table()


def test_every_subset_that_rounds_to_a_quoted_total_is_found() -> None:
    bill = ts.Ledger("USD", {"a": 1.0, "b": 2.0, "c": 3.0}) * 10
    assert bill.subsets(30.0, rounding=0.5) == [("c",), ("a", "b")]
    assert bill.subsets(35.0, rounding=0.5) == []


def test_a_ledger_travels_between_processes() -> None:
    bill = ts.Ledger("USD", {"rent": {"pretrain": np.array([5.0, 6.0])}, "power": 2.0}) * 3.0
    there = pickle.loads(pickle.dumps(bill))  # noqa: S301  (our own bytes)
    assert there == bill
    assert np.array_equal(there.total, bill.total)
