"""Rents are those of the run's months; a user's price is kept; China has its own level; all rows are valid quotes."""

from __future__ import annotations

import dataclasses
import datetime as dt
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

import trainsim as ts
from trainsim.catalog import rents
from trainsim.catalog.rental_period import rental_period
from trainsim.catalog.rents import REPEATED, quote_of, rent_evidence, usable_quotes
from trainsim.catalog.rows import Row
from trainsim.catalog.rows import rows as real_rows
from trainsim.core.errors import CatalogError, EstimateError, SpecError
from trainsim.cost.rent_model import TERMS, TIERS
from trainsim.cost.rental import Rental
from trainsim.run.run import Run

RENT = "price.usd_per_gpu_hour"
UNIT = ts.catalog.run("deepseek-v3").unit_of(RENT)


def a_quote(name: str, price: float, date: dt.date, **changes: Any) -> Row:
    like = real_rows("rents")["h100-sxm-2024-09-01-lambda"]
    return dataclasses.replace(like, id=name, date=date, fields={**like.fields, "vendor": name, "usd_per_gpu_hour": price, **changes})


def seen_as(patch: pytest.MonkeyPatch, quotes: Mapping[str, Row]) -> None:
    def seen(file: str) -> Mapping[str, Row]:
        return quotes if file == "rents" else real_rows(file)

    patch.setattr(rents, "rows", seen)
    patch.setattr(sys.modules[Row.__module__], "rows", seen)


def levels(belief: Any) -> np.ndarray:
    return np.asarray(belief.for_field(UNIT, RENT).ppf([0.05, 0.5, 0.95]))


def width(belief: Any) -> float:
    low, _, high = levels(belief)
    return float(high / low)


def published(name: str) -> Run:
    return ts.catalog.run(name, gpus=real_rows("runs")[name].get("gpus") or 64)


def on(cluster: ts.Cluster) -> Run:
    return Run(model=ts.catalog.model("llama2-7b"), cluster=cluster, phases=[ts.Phase("pretrain", tokens=1e12, seq_len=4096)])


@pytest.mark.parametrize("name", ["llama3.1-405b", "llama4-maverick", "olmo3-7b", "phi-4", "bloom-176b", "llama2-7b"])
def test_a_published_run_is_rented_in_its_own_months(name: str) -> None:
    row, run = real_rows("runs")[name], published(name)
    months = rental_period(row)
    assert isinstance(run.price, Rental)
    assert run.price.date == months.middle.isoformat()
    assert months.days == tuple(sorted(months.days))
    assert months.days[-1] <= row.date
    evidence = rent_evidence(run)
    assert str(months) in evidence.how
    for day in (months.days[0], months.days[-1]):
        assert levels(rent_evidence(run, day=day).belief)[1] == pytest.approx(levels(evidence.belief)[1], rel=0.15)


def test_published_months_take_precedence_over_assumed_ones() -> None:
    bloom = real_rows("runs")["bloom-176b"]
    assert rental_period(bloom).published
    assert str(rental_period(bloom)) == "March 2022 to June 2022"
    assumed = dataclasses.replace(bloom, fields={k: v for k, v in bloom.fields.items() if k != "trained"})
    assert not rental_period(assumed).published
    assert "assumed" in str(rental_period(assumed))
    told_later = dataclasses.replace(assumed, date=dt.date(2026, 1, 1), fields={**assumed.fields, "released": bloom.date.isoformat()})
    assert rental_period(told_later) == rental_period(assumed)


def test_the_date_of_a_claim_does_not_change_the_rent() -> None:
    run = published("deepseek-v3")
    soon, late = (rent_evidence(run, dt.date.fromisoformat(day)) for day in ("2025-01-01", "2026-11-30"))
    assert "July 2024 to November 2024" in soon.how
    assert "July 2024 to November 2024" in late.how
    own = run.replace({"phases.pretrain.tokens": 1e12, "price": Rental(usd_per_gpu_hour=2.0, date="2023-06-30")})
    assert "June 2023" in rent_evidence(own, dt.date(2026, 1, 1)).how
    assert "May 2024" in rent_evidence(own, day=dt.date(2024, 5, 1)).how


def test_the_rent_of_r1_is_not_above_that_of_v3() -> None:
    v3, r1 = published("deepseek-v3"), published("deepseek-r1-all")
    for as_of in ("2025-01-27", "2025-09-17", "2026-11-30"):
        day = dt.date.fromisoformat(as_of)
        assert levels(rent_evidence(r1, day).belief)[1] <= levels(rent_evidence(v3, day).belief)[1]
    at_their_own = (rent_evidence(v3, dt.date(2024, 12, 25)), rent_evidence(r1, dt.date(2025, 9, 18)))
    assert levels(at_their_own[1].belief)[1] <= levels(at_their_own[0].belief)[1]


def test_china_has_its_own_level_and_a_caveat() -> None:
    run, day = published("deepseek-v3"), dt.date(2024, 12, 25)
    china, abroad = rent_evidence(run, day), rent_evidence(run, day, "us")
    assert "2 observations on 2 dates" in china.caveat
    assert "can't be backtested" in china.caveat
    assert not abroad.caveat
    assert width(china.belief) > 1.2 * width(abroad.belief)
    assert levels(china.belief)[1] < levels(abroad.belief)[1]


def test_a_price_the_user_gave_stays_unless_asked() -> None:
    mine = published("llama3.1-405b").replace({RENT: 2.5})
    contract = Run(model=mine.model, cluster=mine.cluster, phases=mine.phases, price=Rental(usd_per_gpu_hour=2.5))
    for run in (mine, contract):
        assert RENT not in ts.catalog.beliefs(run).paths
        assert width(ts.catalog.beliefs(run, replace=[RENT])[RENT]) > 2
    assert RENT in ts.catalog.beliefs(published("llama3.1-405b")).paths
    assert RENT in ts.catalog.beliefs(published("deepseek-v3")).paths, "its own price is imputed by its row, not given by the user"
    with pytest.raises(SpecError) as error:
        ts.catalog.beliefs(mine, replace=["efficiency.mfu"])
    assert error.value.path == "replace"


def test_one_term_and_tier_in_one_prior() -> None:
    run, day = published("llama3.1-405b"), dt.date(2025, 6, 1)
    by_tier = [levels(rent_evidence(run, day, tier=t).belief)[1] for t in ("marketplace", "specialist", "hyperscaler")]
    by_term = [levels(rent_evidence(run, day, term=t).belief)[1] for t in ("spot", "3-year", "1-year", "1-month", "on-demand")]
    assert by_tier == sorted(by_tier)
    assert by_term[1:] == sorted(by_term[1:])
    assert by_term[0] < by_term[-1]
    known = rent_evidence(run, day, vendor="Lambda")
    assert width(known.belief) < width(rent_evidence(run, day).belief)
    with pytest.raises(EstimateError):
        rent_evidence(run, day, tier="cheap")


def test_the_tier_is_one_that_offers_the_chip() -> None:
    """In 2020 only the largest clouds listed the V100; later others did too."""
    run = on(ts.catalog.cluster("dgx-1-v100", gpus=64)).replace({"price": Rental(usd_per_gpu_hour=1.0, date="2020-05-01")})
    assert rent_evidence(run, dt.date(2020, 5, 27)).how.startswith("hyperscaler")
    assert rent_evidence(run, dt.date(2022, 12, 31)).how.startswith("specialist")
    assert 1.5 < levels(rent_evidence(run, dt.date(2020, 5, 27)).belief)[1] < 4.5


def test_a_chip_without_quotes_is_predicted_from_its_peak() -> None:
    hgx = ts.catalog.cluster("hgx-h100", gpus=64)
    found = rent_evidence(on(hgx.replace({"chip": ts.catalog.chip("gaudi3")})), dt.date(2025, 1, 1))
    assert "no quote" in found.caveat
    assert width(found.belief) > width(rent_evidence(on(hgx), dt.date(2025, 1, 1)).belief)


def test_a_later_quote_affects_only_later_predictions(monkeypatch: pytest.MonkeyPatch) -> None:
    run, day = published("llama3.1-405b"), dt.date(2024, 9, 15)
    before = rent_evidence(run, day)
    seen_as(monkeypatch, {**real_rows("rents"), "later": a_quote("later", 9.0, dt.date(2024, 9, 16))})
    assert rent_evidence(run, day).belief == before.belief
    assert rent_evidence(run, dt.date(2024, 9, 16)).belief != before.belief
    hidden = {n: r for n, r in real_rows("rents").items() if r.date <= day}
    seen_as(monkeypatch, hidden)
    assert rent_evidence(run).belief == rent_evidence(run, day).belief == before.belief, "hiding rows is a catalogue without them"


def test_prices_of_another_day_weigh_less(monkeypatch: pytest.MonkeyPatch) -> None:
    run = published("llama3.1-405b").replace({"name": "mine", "price": None})
    day = dt.date(2024, 6, 30)
    before = levels(rent_evidence(run, day=day).belief)[1]
    moved = []
    for held in ("2024-06-01", "2022-06-01"):
        seen_as(monkeypatch, {**real_rows("rents"), "dear": a_quote("dear", 20.0, dt.date.fromisoformat(held))})
        moved.append(np.log(levels(rent_evidence(run, day=day).belief)[1] / before))
    assert moved[0] > moved[1]
    assert moved[0] > 0


def test_a_rent_without_quotes_is_an_error() -> None:
    with pytest.raises(CatalogError) as error:
        rent_evidence(published("llama3.1-405b"), dt.date(2016, 1, 1))
    assert error.value.path == "catalog.rents"


def test_every_rent_row_is_one_kind_of_quote() -> None:
    for row in real_rows("rents").values():
        assert row["tier"] in {*TIERS, "mixed", "owner"}, row.address
        assert row["term"] in {*TERMS, "imputed"}, row.address
        assert ("usd_per_gpu_hour" in row.fields) != ("low" in row.fields), f"{row.address}: a price or a range, not both"
        if "low" in row.fields:
            assert 1 < row["high"] / row["low"] <= 2, f"{row.address}: no one kind of offer spans more than a factor of two"
        assert quote_of(row).day <= row.date, row.address
        assert 0.1 < quote_of(row).usd_per_gpu_hour < 20, row.address


def test_unchanged_prices_are_one_observation() -> None:
    seen = usable_quotes()
    prices = [(q.product, q.usd_per_gpu_hour) for q in seen.quotes.values()]
    assert len(prices) == len(set(prices))
    assert set(seen.quotes) | set(seen.excluded) == {row.address for row in real_rows("rents").values()}
    assert sum(why == REPEATED for why in seen.excluded.values()) > 100
    assert any("imputed" in why for why in seen.excluded.values())
