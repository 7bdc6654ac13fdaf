"""A run is rented at the prices of its own day; quotes that agree make no price certain; a range says whose."""

from __future__ import annotations

import dataclasses
import datetime as dt
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import trainsim as ts
from trainsim.catalog import Row, rent_evidence, rents
from trainsim.catalog.rents import OTHER_KINDS, usual_spread
from trainsim.catalog.rows import rows as real_rows
from trainsim.core.errors import CatalogError

UNIT = ts.catalog.run("deepseek-v3").unit_of("price.usd_per_gpu_hour")
TIERS = {"hyperscaler", "specialist", "market", "mixed"}


def quote(name: str, price: float, date: dt.date, **changes: Any) -> Row:
    like = real_rows("prices")["rent-h100-2024q3-lambda"]
    fields = {"kind": "rent", "chip": "h100-sxm", "usd_per_gpu_hour": price, "term": "on-demand", "region": "global", **changes}
    return dataclasses.replace(like, id=name, date=date, derived_from=(), fields=fields)


def seen_as(patch: pytest.MonkeyPatch, quotes: Mapping[str, Row]) -> None:
    def seen(file: str) -> Mapping[str, Row]:
        return quotes if file == "prices" else real_rows(file)

    patch.setattr(rents, "rows", seen)
    patch.setattr(sys.modules[Row.__module__], "rows", seen)


def levels(belief: Any) -> np.ndarray:
    return np.asarray(belief.meets(UNIT, "price.usd_per_gpu_hour").ppf([0.05, 0.5, 0.95]))


def h100() -> ts.Run:
    return ts.catalog.run("llama3.1-405b")


def rented(run: ts.Run) -> ts.Rental:
    assert isinstance(run.price, ts.Rental)
    return run.price


@pytest.mark.parametrize("name", ["llama3.1-405b", "llama4-maverick", "olmo3-7b", "phi-4", "bloom-176b", "llama2-7b"])
def test_a_runs_rent_is_of_its_own_day(name: str) -> None:
    row = real_rows("runs")[name]
    run = ts.catalog.run(name, gpus=row.get("gpus") or 64)
    assert rented(run).date == row.date.isoformat()
    assert str(row.date) in run.sources()["price.usd_per_gpu_hour"]
    evidence = rent_evidence(run.replace({"price": None}), day=row.date)
    apart = [(row.date - real_rows("prices")[a.partition("/")[2]].date).days for a in evidence.used]
    around = " around " in evidence.how
    assert all((days >= 0 or around) and abs(days) <= 8 * 12 * 30.5 for days in apart)
    assert rented(run).usd_per_gpu_hour == pytest.approx(levels(evidence.belief)[1], rel=1e-6)
    assert rent_evidence(run).used == evidence.used, "a belief about its rent is of the same day"


def test_prices_of_another_year_dont_move_it(monkeypatch: pytest.MonkeyPatch) -> None:
    before = rented(h100()).usd_per_gpu_hour
    seen_as(monkeypatch, {**real_rows("prices"), "later": quote("later", 90.0, dt.date(2026, 5, 1))})
    assert rented(h100()).usd_per_gpu_hour == before
    seen_as(monkeypatch, {**real_rows("prices"), "then": quote("then", 90.0, dt.date(2024, 6, 1))})
    assert rented(h100()).usd_per_gpu_hour > before


def test_later_quotes_stand_in_only_where_none_came_before(monkeypatch: pytest.MonkeyPatch) -> None:
    day = dt.date(2024, 7, 31)
    after = {f"a{i}": quote(f"a{i}", 3.0 + i, dt.date(2024, 9, 1 + i)) for i in range(3)}
    earlier = {f"b{i}": quote(f"b{i}", 2.0 + i, dt.date(2023, 9, 1 + i)) for i in range(3)}
    run = h100()
    seen_as(monkeypatch, after)
    found = rent_evidence(run, day=day)
    assert set(found.used) == {f"prices/a{i}" for i in range(3)}
    assert "around" in found.how
    with pytest.raises(CatalogError, match="too few"):
        rent_evidence(run, as_of=day)
    seen_as(monkeypatch, {**after, **earlier})
    assert set(rent_evidence(run, day=day).used) == {f"prices/b{i}" for i in range(3)}


@given(st.floats(0.2, 50.0), st.integers(3, 12))
def test_quotes_that_agree_leave_a_doubt(price: float, number: int) -> None:
    day = dt.date(2024, 7, 31)
    same = {f"s{i}": quote(f"s{i}", price, dt.date(2024, 6, 1 + i)) for i in range(number)}
    run = h100()
    with pytest.MonkeyPatch.context() as patch:
        others = {n: r for n, r in real_rows("prices").items() if r.get("chip") not in ("h100-sxm", "h800-sxm")}
        seen_as(patch, {**others, **same})
        found = rent_evidence(run, day)
        usual = usual_spread(run, day)
    for belief in (found.belief, found.narrow, found.wide):
        low, mid, high = levels(belief)
        assert mid == pytest.approx(price, rel=1e-3)
        assert low < price < high
    low, _, high = levels(found.narrow)
    assert np.log(high / low) <= 2.0 * 2.92 * usual / np.sqrt(number) * 1.001, "as if the usual spread were one quote more"


def test_only_quotes_that_agree_about_everything_raise(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing anywhere differs, nobody knows a spread: still no interval of width zero is made up."""
    same = {f"s{i}": quote(f"s{i}", 2.0, dt.date(2024, 6, 1 + i)) for i in range(3)}
    seen_as(monkeypatch, same)
    with pytest.raises(CatalogError, match="no two quotes"):
        rent_evidence(h100(), dt.date(2024, 7, 31))


def test_a_range_says_whose_it_is() -> None:
    for row in real_rows("prices").values():
        if row.get("kind") == "rent" and row.get("low"):
            assert row.get("tier") in TIERS, f"{row.address}: a range without a tier"
            assert row.get("term"), row.address
            if row["high"] / row["low"] > 2.0:
                assert row["tier"] == "mixed", f"{row.address}: no one kind of offer spans a factor of two"
        assert row.get("tier") in {None, *TIERS}


def test_a_range_over_several_kinds_is_no_quote(monkeypatch: pytest.MonkeyPatch) -> None:
    day = dt.date(2024, 12, 25)
    before = rent_evidence(h100(), day)
    ranged = quote("ranged", 0.0, dt.date(2024, 12, 1), low=20.0, high=90.0, tier="mixed", usd_per_gpu_hour=None)
    seen_as(monkeypatch, {**real_rows("prices"), "ranged": ranged})
    after = rent_evidence(h100(), day)
    assert (after.belief, after.narrow) == (before.belief, before.narrow)
    assert after.wide != before.wide
    assert after.set_aside["prices/ranged"] == OTHER_KINDS["mixed"]
    one_kind = dataclasses.replace(ranged, fields={**ranged.fields, "tier": "specialist"})
    seen_as(monkeypatch, {**real_rows("prices"), "ranged": one_kind})
    assert rent_evidence(h100(), day).belief != before.belief
