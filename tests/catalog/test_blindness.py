"""Beliefs about a run depend neither on later rows nor on rows derived from the run."""

from __future__ import annotations

import dataclasses
import datetime as dt
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

import trainsim as ts
from trainsim.auditing.run_view import blind_run
from trainsim.catalog import Row, evidence, mfu_evidence, rent_evidence, rents
from trainsim.catalog.rows import lineage
from trainsim.catalog.rows import rows as real_rows

DAY = "2024-12-25"
JUDGED = "deepseek-v3"


@pytest.fixture(scope="module")
def judged() -> ts.Run:
    """The run without its maker's disclosed hours, at a quoted rent."""
    return blind_run(ts.catalog.run(JUDGED)).replace({"price": ts.Rental(usd_per_gpu_hour=2.0, region="china")})


def copied(file: str, like: str, **changes: Any) -> Row:
    """A copy of a row under another organisation's name."""
    row = real_rows(file)[like]
    header = {f.name: changes.pop(f.name) for f in dataclasses.fields(Row) if f.name in changes}
    return dataclasses.replace(row, **{"id": "a-stranger", **header, "fields": {**row.fields, "org": "A stranger", **changes}})


@pytest.fixture
def added(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Adds rows to those that evidence is built from."""

    def add(*new: Row) -> None:
        def seen(file: str) -> Mapping[str, Row]:
            return {**real_rows(file), **{row.id: row for row in new if row.file == file}}

        monkeypatch.setattr(evidence, "rows", seen)
        monkeypatch.setattr(rents, "rows", seen)
        monkeypatch.setattr(sys.modules[Row.__module__], "rows", seen)

    return add


def a_run(**changes: Any) -> Row:
    """Another lab's run at an extreme utilisation."""
    return copied("runs", "nemo-25.09-deepseek-v3", **{"tokens_per_s_per_gpu": 3200.0, "gpus": 4096} | changes)


def a_quote(**changes: Any) -> Row:
    given = {"derived_from": (), "saw": (), "vendor": "A stranger", "usd_per_gpu_hour": 9.0, "region": "china"} | changes
    return copied("rents", "h100-sxm-2024-09-01-lambda", **given)


RENT = "price.usd_per_gpu_hour"


def believed(run: ts.Run, as_of: str = DAY) -> Any:
    return ts.catalog.beliefs(run, as_of=as_of, replace=[RENT])


def test_a_run_dated_before_is_used(judged: ts.Run, added: Any) -> None:
    before = believed(judged)
    added(a_run(date=dt.date(2024, 6, 1)))
    after = believed(judged)
    assert after["efficiency.mfu"] != before["efficiency.mfu"]
    assert after["price.usd_per_gpu_hour"] == before["price.usd_per_gpu_hour"]


def test_a_run_dated_later_is_excluded(judged: ts.Run, added: Any) -> None:
    before = believed(judged)
    added(a_run(date=dt.date(2024, 12, 26)))
    assert believed(judged) == before
    assert believed(judged, "2024-12-26") != believed(judged)


@pytest.mark.parametrize("how", [{"derived_from": (f"runs/{JUDGED}",)}, {"saw": (f"runs/{JUDGED}",)}], ids=str)
def test_rows_derived_from_the_run_are_excluded(judged: ts.Run, added: Any, how: dict[str, Any]) -> None:
    before = believed(judged)
    added(a_run(date=dt.date(2024, 6, 1), **how))
    assert believed(judged) == before
    assert "itself" in mfu_evidence(judged, dt.date.fromisoformat(DAY)).excluded["runs/a-stranger"]


def test_rows_derived_from_derived_rows_are_excluded(judged: ts.Run, added: Any) -> None:
    before = believed(judged)
    day = dt.date(2024, 6, 1)
    added(a_run(id="first", date=day, derived_from=(f"runs/{JUDGED}",)), a_run(id="second", date=day, derived_from=("runs/first",)))
    assert believed(judged) == before


def test_the_run_itself_is_excluded_under_another_name(judged: ts.Run, added: Any) -> None:
    before = believed(judged)
    added(a_run(date=dt.date(2024, 6, 1), model=judged.model.name, chip=judged.cluster.chip.name, gpus=judged.cluster.gpus))
    assert believed(judged) == before


@pytest.mark.parametrize(
    ("changes", "seen"),
    [
        ({"date": dt.date(2024, 12, 1)}, True),
        ({"date": dt.date(2025, 1, 1)}, False),
        ({"date": dt.date(2022, 1, 1)}, True),
        ({"date": dt.date(2024, 12, 1), "term": "imputed"}, False),
        ({"date": dt.date(2024, 12, 1), "derived_from": (f"runs/{JUDGED}",)}, False),
    ],
    ids=["before", "later", "long before", "imputed by a lab", "from the run itself"],
)
def test_only_public_market_quotes_affect_a_belief(judged: ts.Run, added: Any, changes: dict[str, Any], seen: bool) -> None:  # noqa: FBT001
    before = believed(judged)
    added(a_quote(**changes))
    after = believed(judged)
    assert (after["price.usd_per_gpu_hour"] != before["price.usd_per_gpu_hour"]) is seen
    assert after["efficiency.mfu"] == before["efficiency.mfu"]


@pytest.mark.parametrize("day", ["2024-07-31", DAY, "2025-06-30", None])
def test_every_row_used_was_public_and_belongs_to_another_run(judged: ts.Run, day: str | None) -> None:
    as_of = dt.date.fromisoformat(day) if day else None
    built = mfu_evidence(judged, as_of)
    for address in (*built.used, *built.excluded):
        row = real_rows("runs")[address.partition("/")[2]]
        if address in built.used:
            assert as_of is None or row.date <= as_of
            assert f"runs/{JUDGED}" not in set(lineage(address))
        else:
            assert built.excluded[address]
    assert not set(built.used) & set(built.excluded)
    assert set(built.used) | set(built.excluded) == {row.address for row in real_rows("runs").values()}


def test_a_later_day_uses_at_least_as_many_rows(judged: ts.Run) -> None:
    used = [set(mfu_evidence(judged, dt.date.fromisoformat(day)).used) for day in ("2024-07-31", DAY, "2025-12-31")]
    assert used[0] <= used[1] <= used[2]
    assert used[0] != used[2]


def test_a_prior_has_a_narrow_and_a_wide_variant(judged: ts.Run) -> None:
    rent = rent_evidence(judged, dt.date(2024, 12, 25), "china")
    for built, path in ((mfu_evidence(judged), "efficiency.mfu"), (rent, "price.usd_per_gpu_hour")):
        unit = judged.unit_of(path)
        readings = [b.for_field(unit, path).ppf([0.05, 0.95]) for b in (built.belief, built.narrow, built.wide)]
        assert all(unit.low < low < high <= unit.high for low, high in readings)
        assert np.diff(np.log(readings[1])) <= np.diff(np.log(readings[0])) * 1.5
        assert built.how


def test_a_hyperscalers_quote_affects_other_clouds_less_than_their_own(judged: ts.Run, added: Any) -> None:
    """It changes the predicted price of other clouds less than a quote of theirs does."""
    day = dt.date(2024, 12, 25)
    unit = judged.unit_of(RENT)

    def moved(tier: str) -> float:
        added(a_quote(date=dt.date(2024, 12, 1), tier=tier, region="global"))
        return float(np.log(float(rent_evidence(judged, day).belief.for_field(unit, RENT).ppf(0.5))))

    before = float(np.log(float(rent_evidence(judged, day).belief.for_field(unit, RENT).ppf(0.5))))
    assert abs(moved("hyperscaler") - before) < 0.7 * abs(moved("specialist") - before)
