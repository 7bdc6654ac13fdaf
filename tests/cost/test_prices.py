from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trainsim.catalog.rows import find
from trainsim.core.errors import EstimateError, SpecError
from trainsim.core.spec import Spec
from trainsim.cost.amortisation import Annuity, StraightLine, ValueDecline, annuity
from trainsim.cost.ownership import Ownership, Site, break_even_price
from trainsim.cost.price import Price
from trainsim.cost.price_index import convert_dollars
from trainsim.cost.quote import Quote, price_per_gpu_hour
from trainsim.cost.rental import Rental
from trainsim.testing import refused

SITE = Site(watts=1030, idle_watts=300, pue=1.25, usd_per_kwh=0.08, rated_watts=1370, usd_per_kw_month=130)


def test_the_short_form_of_ownership_stays() -> None:
    rate = Ownership(usd_per_gpu=31_728, life_years=4, operating_share=0.134, utilization=0.8).rate()
    assert float(rate.part("capital").total) == pytest.approx(31_728 / 4 / (8766 * 0.8), rel=1e-12)
    assert float(rate.part("operation").total) == pytest.approx(31_728 * 0.134 / (8766 * 0.8), rel=1e-12)


def test_an_annuity_pays_the_price_back_with_interest() -> None:
    """Discounting each payment to the day of purchase gives the price: an oracle without the closed form."""
    life, interest, residual = 5, 0.11, 0.2
    payment = float(Annuity(life_years=life, cost_of_capital=interest, residual_share=residual).yearly())
    discounted = sum(payment / (1 + interest) ** year for year in range(1, life + 1)) + residual / (1 + interest) ** life
    assert discounted == pytest.approx(1.0, rel=1e-12)


def test_straight_line_with_interest_lies_near_the_annuity() -> None:
    line, equal = (float(m(life_years=4, cost_of_capital=0.1).yearly()) for m in (StraightLine, Annuity))
    assert line == pytest.approx(equal, rel=0.06)
    assert line != equal


def epoch_cost_per_chip_hour(
    price: float, *, r: float, years: float, network: float, tdp_kw: float, server: float, draw: float, pue: float, usd: float
) -> float:
    """The steps of the published script: value at the start, replacement per year, network, energy."""
    value = 10 ** (np.log10(price) - r * years)
    hardware = value * r * np.log(10) / 8766
    return float(hardware + hardware * network / (1 - network) + tdp_kw * server * draw * pue * usd)


@pytest.mark.parametrize("years", [0.0, 0.4, 2.5])
@pytest.mark.parametrize("r", [0.1, 0.14, 0.18])
@pytest.mark.parametrize(("price", "tdp"), [(31_119.5, 0.7), (12_000.0 * 1.66, 0.4)])
def test_amortised_method_equals_its_published_formula(r: float, years: float, price: float, tdp: float) -> None:
    site = Site(watts=tdp * 1e3 * 1.82 * 0.75, idle_watts=0, pue=1.25, usd_per_kwh=0.0771)
    ours = Ownership(
        usd_per_gpu=price, network_share=0.19, amortisation=ValueDecline(ooms_per_year=r, age_years=years), site=site, utilization=1
    )
    theirs = epoch_cost_per_chip_hour(price, r=r, years=years, network=0.19, tdp_kw=tdp, server=1.82, draw=0.75, pue=1.25, usd=0.0771)
    assert float(ours.rate().total) == pytest.approx(theirs, rel=1e-9)


def test_straight_line_by_hand() -> None:
    assert float(StraightLine(life_years=4, cost_of_capital=0.1, residual_share=0.2).yearly()) == pytest.approx(0.8 / 4 + 0.1 * 0.6)


def test_site_bill_by_hand() -> None:
    bill = SITE.yearly(0.8)
    assert bill["electricity"] == pytest.approx((1.03 * 0.8 + 0.3 * 0.2) * 8766 * 1.25 * 0.08)
    assert bill["hosting"] == pytest.approx(1.37 * 12 * 130)


def test_recalled_analyst_inputs_give_the_published_power_bill() -> None:
    """100,000 H100 at 1.59 TWh a year and 0.078 USD/kWh: 123.9 M USD."""
    site = Site(watts=1.59e12 / 8766 / 1e5 / 1.25, idle_watts=0, pue=1.25, usd_per_kwh=0.078)
    assert site.yearly(1.0)["electricity"] * 1e5 == pytest.approx(123.9e6, rel=2e-3)


def test_a_quote_in_renminbi_per_node_month_is_the_rent_in_dollars_per_hour() -> None:
    price = price_per_gpu_hour(75_000, "node-month")
    quote = Quote(nodes=4, term_days=30, price_per_gpu_hour=price, used_share=1, currency="CNY", per_usd=7.25)
    assert float(quote.rate().total) == pytest.approx(1.770, abs=5e-4)


def test_a_quote_charges_reserved_hours() -> None:
    quote = Quote(nodes=10, term_days=100, price_per_gpu_hour=2.0, used_share=0.5, minimum_commitment=0.9, support_share=0.1)
    hours = 10 * 8 * 100 * 24
    bill = quote.invoice()
    assert float(bill.part("used hours").total) == pytest.approx(hours * 0.5 * 2)
    assert float(bill.part("paid idle").total) == pytest.approx(hours * 0.4 * 2)
    assert float(bill.part("support").total) == pytest.approx(hours * 0.9 * 2 * 0.1)
    assert float(quote.rate().total) == pytest.approx(float(bill.total) / (hours * 0.5))
    on_demand = quote.replace({"minimum_commitment": 0.0, "support_share": 0.0})
    assert float(on_demand.rate().total) == pytest.approx(2.0)


def test_a_run_that_needs_more_than_is_reserved_is_refused() -> None:
    quote = Quote(**RESERVED)
    assert float(quote.used_by(5760.0).invoice().part("paid idle").total) == pytest.approx(2 * 8 * 720 * 0.5 * 2.0)
    with refused(EstimateError, "out-of-bounds", "price.used_share"):
        quote.used_by(23_040.0)


@pytest.mark.parametrize(
    ("per", "hours"),
    [("GPU-hour", 1), ("GPU-month", 730.5), ("node-hour", 8), ("node-day", 192), ("node-month", 5844), ("node-year", 70_128)],
)
def test_a_price_per_any_stretch_is_the_price_of_its_hours(per: Any, hours: float) -> None:
    assert price_per_gpu_hour(3.0 * hours, per) == pytest.approx(3.0)


def test_converting_dollars_to_another_year_and_back_is_exact() -> None:
    index = {2021: 270.97, 2024: 313.689}
    there = convert_dollars(100.0, index, paid=2021, wanted=2024)
    assert convert_dollars(there, index, paid=2024, wanted=2021) == pytest.approx(100.0)
    with refused(EstimateError, "unknown-name", "index"):
        convert_dollars(100.0, index, paid=2020, wanted=2024)


OWNED: dict[str, Any] = {"usd_per_gpu": 3e4, "life_years": 4, "operating_share": 0.1, "utilization": 0.8}
RESERVED: dict[str, Any] = {"nodes": 2, "term_days": 30, "price_per_gpu_hour": 2.0, "used_share": 0.8}


@pytest.mark.parametrize(
    ("make", "fields", "complaint"),
    [
        (Ownership, OWNED | {"utilization": 0}, ("out-of-bounds", "utilization")),
        (Ownership, OWNED | {"life_years": 0}, ("out-of-bounds", "life_years")),
        (Ownership, OWNED | {"life_years": None}, ("missing", "life_years")),
        (Ownership, OWNED | {"operating_share": None}, ("missing", "operating_share")),
        (Ownership, OWNED | {"site": SITE}, ("duplicate", "operating_share")),
        (Ownership, OWNED | {"amortisation": StraightLine(life_years=3)}, ("conflict", "life_years")),
        (Ownership, OWNED | {"network_share": 1}, ("out-of-bounds", "network_share")),
        (Site, {"watts": 1e3, "idle_watts": 0, "pue": 0.9, "usd_per_kwh": 0.1}, ("out-of-bounds", "pue")),
        (Site, {"watts": 1e3, "idle_watts": 0, "pue": 1, "usd_per_kwh": 0.1, "usd_per_kw_month": 130}, ("missing", "rated_watts")),
        (Annuity, {"life_years": 0, "cost_of_capital": 0.1}, ("out-of-bounds", "life_years")),
        (Quote, RESERVED | {"used_share": 0}, ("out-of-bounds", "used_share")),
        (Quote, RESERVED | {"currency": "CNY"}, ("conflict", "per_usd")),
        (Quote, RESERVED | {"per_usd": 1.0}, ("conflict", "per_usd")),
        (Rental, {"usd_per_gpu_hour": 0}, ("out-of-bounds", "usd_per_gpu_hour")),
        (Rental, {"usd_per_gpu_hour": [2.0]}, ("wrong-type", "usd_per_gpu_hour")),
    ],
)
def test_bad_input_names_path_value_rule_and_remedy(make: type[Spec], fields: dict[str, Any], complaint: tuple[str, str]) -> None:
    with refused(SpecError, *complaint):
        make(**fields)


@pytest.mark.parametrize(
    "price",
    [
        Rental(usd_per_gpu_hour=2.0, date="2024-12-31", index="SDH100RT", term="1-year"),
        Ownership(usd_per_gpu=3e4, amortisation=ValueDecline(ooms_per_year=0.14, age_years=1), site=SITE, utilization=0.7),
        Quote(**RESERVED, currency="EUR", per_usd=0.92),
    ],
    ids=lambda p: type(p).__name__,
)
def test_a_price_survives_a_file(price: Price, tmp_path: Path) -> None:
    path = tmp_path / "price.toml"
    price.save(path)
    assert type(price).load(path) == price


def test_an_interest_of_zero_is_the_limit_of_small_interest() -> None:
    assert annuity(4.0, 0.0, 0.2) == pytest.approx(0.2)
    np.testing.assert_allclose(np.asarray(annuity(np.array([4.0, 4.0]), np.array([0.0, 1e-9]))), [0.25, 0.25], rtol=1e-8)


@pytest.mark.parametrize("hours_cost", [0.5, 1.654, 3.0])
def test_the_break_even_price_gives_the_same_rate(hours_cost: float) -> None:
    owner = Ownership(usd_per_gpu=3e4, network_share=0.19, amortisation=ValueDecline(ooms_per_year=0.14), site=SITE, utilization=0.9)
    price = float(break_even_price(owner, hours_cost))
    staffed = owner.replace({"support_share": 0.02, "staff_usd_per_gpu_year": 100.0})
    if price > 0:
        assert float(owner.replace({"usd_per_gpu": price}).rate().total) == pytest.approx(hours_cost, rel=1e-12)
    again = float(break_even_price(staffed, float(staffed.rate().total)))
    assert again == pytest.approx(3e4, rel=1e-12)


LLAMA_405B_HOURS = 30.84e6
EDITIONS = {"first": 51.0e6, "second": 73.4e6}
"""Epoch's amortised cost of Llama 3.1-405B in the two editions of its file [USD]."""
SERVERS = (
    ("programmes", "buy-h100-dgx-2022-09"),
    ("prices", "buy-h100-dgx-2023-05"),
    ("prices", "buy-h100-hgx-2023-09"),
    ("programmes", "buy-h100-dgx-2023-12"),
)


def llama_405b(price: float) -> Ownership:
    """H100 servers bought up to the end of 2023 and used from early 2024, by the published method."""
    site = Site(watts=700 * 1.82 * 0.75, idle_watts=0, pue=1.1, usd_per_kwh=0.0806)
    return Ownership(
        usd_per_gpu=price, network_share=0.19, amortisation=ValueDecline(ooms_per_year=0.14, age_years=0.4), site=site, utilization=1
    )


def test_the_amortised_cost_of_a_real_model_stands_beside_both_editions() -> None:
    """Dated rows of H100 servers give an interval; the second edition needs a price above all of them."""
    prices = [find(file, row)["usd_per_gpu"] for file, row in SERVERS]
    low, high = (LLAMA_405B_HOURS * float(llama_405b(price).rate().total) / 1e6 for price in (min(prices), max(prices)))
    assert (low, high) == pytest.approx((40.9, 57.4), abs=0.3)
    equating = {year: float(break_even_price(llama_405b(1.0), usd / LLAMA_405B_HOURS)) for year, usd in EDITIONS.items()}
    assert equating == pytest.approx({"first": 39.3e3, "second": 57.6e3}, rel=0.01)
    assert equating["first"] < max(prices) < equating["second"]


A100_SERVER_OVER_CHIP = 1.66
"""Price of an A100 server over that of its chips, by Epoch's table."""


def test_bloom_stands_beside_both_editions_too() -> None:
    """1.083M A100 hours from March 2022, on chips a year old, priced by the two dated rows of single A100 and Epoch's server factor."""
    site = Site(watts=6500 / 8 * 0.75, idle_watts=0, pue=1.25, usd_per_kwh=0.0832)
    decline = ValueDecline(ooms_per_year=0.14, age_years=1.0)
    chips = [find("prices", row)["usd_per_gpu"] * A100_SERVER_OVER_CHIP for row in ("buy-a100-2022-07", "buy-a100-2023-25")]
    owners = [Ownership(usd_per_gpu=c, network_share=0.19, amortisation=decline, site=site, utilization=1) for c in chips]
    low, high = (1.08299e6 * float(owner.rate().total) / 1e6 for owner in owners)
    assert (low, high) == pytest.approx((0.81, 1.10), abs=0.01)
    equating = [float(break_even_price(owners[0], usd / 1.08299e6)) for usd in (0.995819e6, 1.314373e6)]
    assert chips[0] < equating[0] < chips[1] < equating[1]
