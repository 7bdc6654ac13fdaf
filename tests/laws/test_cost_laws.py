"""Laws of cost that hold for any numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import trapezoid

import trainsim as ts
from trainsim.cluster.hardware import Chip, Cluster, Peak
from trainsim.core.batch import Batch
from trainsim.cost.amortisation import Annuity, StraightLine, ValueDecline
from trainsim.cost.ownership import Ownership, Site
from trainsim.cost.price import Price
from trainsim.cost.quote import Quote, price_per_gpu_hour
from trainsim.cost.rental import Rental
from trainsim.model.attention.grouped_query import GroupedQueryAttention
from trainsim.model.feedforward import GatedMLP
from trainsim.model.layers import Block, Layers
from trainsim.model.transformer import Model
from trainsim.run.estimate import estimate
from trainsim.training.efficiency import BusyHours
from trainsim.training.phases import Phase
from trainsim.training.reliability import Failures, Goodput

share = st.floats(0.05, 1.0)
more = st.floats(1.0, 4.0)
tiny = 1e-9

sites = st.builds(
    Site,
    watts=st.floats(100, 3000),
    idle_watts=st.floats(0, 1000),
    pue=st.floats(1, 2),
    usd_per_kwh=st.floats(0, 0.5),
    rated_watts=st.floats(100, 3000),
    usd_per_kw_month=st.floats(0, 300),
)
owners = st.builds(
    Ownership,
    usd_per_gpu=st.floats(1e3, 1e5),
    network_share=st.floats(0, 0.5),
    life_years=st.floats(1, 10),
    cost_of_capital=st.floats(0, 0.3),
    residual_share=st.floats(0, 0.5),
    site=sites,
    support_share=st.floats(0, 0.1),
    staff_usd_per_gpu_year=st.floats(0, 2000),
    utilization=share,
)
quotes = st.builds(
    Quote,
    nodes=st.integers(1, 500),
    term_days=st.floats(1, 1000),
    price_per_gpu_hour=st.floats(0.1, 20),
    used_share=share,
    minimum_commitment=st.floats(0, 1),
    storage_tb=st.floats(0, 1e4),
    price_per_tb_month=st.floats(0, 100),
    egress_tb=st.floats(0, 1e3),
    price_per_tb_egress=st.floats(0, 100),
    support_share=st.floats(0, 0.2),
)
rents = st.builds(Rental, usd_per_gpu_hour=st.floats(0.1, 20))

PRICES: dict[type[Price], tuple[str, ...]] = {
    Rental: ("usd_per_gpu_hour",),
    Quote: ("price_per_gpu_hour", "price_per_tb_month", "price_per_tb_egress"),
    Ownership: ("usd_per_gpu", "staff_usd_per_gpu_year", "site.usd_per_kwh", "site.usd_per_kw_month"),
}
"""Every field that is a price."""


def rate(price: Price) -> float:
    return float(price.rate().total)


def run(price: Price, goodput: float) -> ts.Run:
    block = Block(attention=GroupedQueryAttention(heads=4, kv_heads=2, head_dim=16), ffn=GatedMLP(width=128))
    chip = Chip(name="chip", peak=Peak(bf16=1e15), memory=80e9, memory_bandwidth=3e12)
    return ts.Run(
        model=Model(hidden=64, vocab=256, stack=(Layers(name="dense", count=2, block=block),)),
        cluster=Cluster(chip=chip, gpus=64),
        phases=[Phase("pretrain", tokens=1e12, seq_len=4096)],
        efficiency=BusyHours(gpu_hours=1e4),
        reliability=Goodput(goodput),
        price=price,
    )


@settings(deadline=None)
@given(rate=st.floats(1e-6, 1e-3), restart=st.floats(0, 3600), factor=more)
def test_more_failures_never_lower_cost(rate: float, restart: float, factor: float) -> None:
    rare = Failures(failures_per_gpu_day=rate, checkpoint_seconds=60, restart_seconds=restart)
    base = run(Rental(usd_per_gpu_hour=2.0), 0.9).replace({"reliability": rare})
    often = base.replace({"reliability.failures_per_gpu_day": rate * factor})
    assert float(estimate(often).cost.total) >= float(estimate(base).cost.total) * (1 - tiny)


def cost(price: Price, goodput: float = 0.9) -> float:
    return float(estimate(run(price, goodput)).cost.total)


@settings(deadline=None)
@given(price=st.one_of(rents, quotes, owners), factor=more)
def test_a_cheaper_hour_never_raises_cost(price: Price, factor: float) -> None:
    for path in PRICES[type(price)]:
        dearer = price.replace({path: price.get(path) * factor})
        assert cost(dearer) >= cost(price) * (1 - tiny)


@settings(deadline=None)
@given(price=st.one_of(rents, quotes, owners))
def test_doubling_every_price_doubles_every_dollar(price: Price) -> None:
    doubled = price.replace({path: price.get(path) * 2 for path in PRICES[type(price)]})
    once, twice = dict(estimate(run(price, 0.9)).cost.lines()), dict(estimate(run(doubled, 0.9)).cost.lines())
    assert once.keys() == twice.keys()
    for path, dollars in once.items():
        assert float(twice[path]) == pytest.approx(2 * float(dollars), rel=1e-12)
    for path, dollars in price.rate().lines():
        assert float(dict(doubled.rate().lines())[path]) == pytest.approx(2 * float(dollars), rel=1e-12)


@settings(deadline=None)
@given(price=rents, goodput=st.floats(0.3, 0.99), better=st.floats(1.0, 1.01))
def test_better_goodput_never_raises_cost(price: Price, goodput: float, better: float) -> None:
    assert cost(price, goodput * better) <= cost(price, goodput) * (1 + tiny)


@settings(deadline=None)
@given(owner=owners, factor=more)
def test_a_longer_life_never_raises_cost(owner: Ownership, factor: float) -> None:
    assert owner.life_years is not None
    assert rate(owner.replace({"life_years": owner.life_years * factor})) <= rate(owner) * (1 + tiny)


@settings(deadline=None)
@given(owner=owners, factor=st.floats(0.0, 1.0))
def test_a_lower_pue_never_raises_cost(owner: Ownership, factor: float) -> None:
    assert owner.site is not None
    lower = 1 + (owner.site.pue - 1) * factor
    assert rate(owner.replace({"site.pue": lower})) <= rate(owner) * (1 + tiny)


@settings(deadline=None)
@given(owner=owners, cheaper=st.floats(0.0, 1.0))
def test_cheaper_capital_never_raises_cost(owner: Ownership, cheaper: float) -> None:
    assert owner.cost_of_capital is not None
    assert rate(owner.replace({"cost_of_capital": owner.cost_of_capital * cheaper})) <= rate(owner) * (1 + tiny)


@settings(deadline=None)
@given(owner=owners, factor=st.floats(0.1, 1.0))
def test_more_use_never_raises_the_cost_of_a_used_hour(owner: Ownership, factor: float) -> None:
    assert rate(owner) <= rate(owner.replace({"utilization": owner.utilization * factor})) * (1 + tiny)


@settings(deadline=None)
@given(owner=owners)
def test_full_use_and_free_capital_cost_capital_over_life_plus_running(owner: Ownership) -> None:
    plain = owner.replace({"utilization": 1.0, "cost_of_capital": 0.0, "residual_share": 0.0})
    assert plain.life_years is not None
    by_hand = (float(plain.capital().total) / plain.life_years + float(plain.operation().total)) / 8766
    assert rate(plain) == pytest.approx(by_hand, rel=1e-12)
    assert rate(plain) == pytest.approx(
        rate(
            plain.replace(
                {
                    "amortisation": StraightLine(life_years=plain.life_years),
                    "life_years": None,
                    "cost_of_capital": None,
                    "residual_share": None,
                }
            )
        ),
        rel=1e-12,
    )


@settings(deadline=None)
@given(price=quotes, per_usd=st.floats(0.01, 1000))
def test_the_currency_changes_nothing(price: Quote, per_usd: float) -> None:
    foreign = price.replace(
        {"currency": "XXX", "per_usd": per_usd, **{path: price.get(path) * per_usd for path in PRICES[Quote]}},
    )
    assert rate(foreign) == pytest.approx(rate(price), rel=1e-12)


@settings(deadline=None)
@given(
    amount=st.floats(0.1, 10),
    per=st.sampled_from([("GPU-month", 730.5), ("node-hour", 8.0), ("node-day", 192.0), ("node-year", 70_128.0)]),
)
def test_the_time_unit_changes_nothing(amount: float, per: tuple[Any, float]) -> None:
    assert rate(Rental(usd_per_gpu_hour=price_per_gpu_hour(amount * per[1], per[0]))) == pytest.approx(amount, rel=1e-12)


@settings(deadline=None)
@given(life=st.floats(0.5, 12), interest=st.floats(0, 0.4), residual=st.floats(0, 1))
def test_interest_is_paid_on_top_of_the_price(life: float, interest: float, residual: float) -> None:
    yearly = float(Annuity(life_years=life, cost_of_capital=interest, residual_share=residual).yearly())
    assert yearly * life >= (1 - residual) * (1 - tiny)


@settings(deadline=None)
@given(r=st.floats(0.01, 0.5), age=st.floats(0, 5), years=st.floats(0, 5))
def test_value_declines_by_what_runs_are_charged(r: float, age: float, years: float) -> None:
    """The yearly charge is the slope of the value, so its sum over years equals the loss of value."""
    ages = np.linspace(age, age + years, 2001)
    charges = np.array([float(ValueDecline(ooms_per_year=r, age_years=float(a)).yearly()) for a in ages[::100]])
    fallen = 10 ** (-r * age) - 10 ** (-r * (age + years))
    assert float(trapezoid(charges, ages[::100])) == pytest.approx(fallen, rel=2e-2, abs=1e-9)


@settings(deadline=None)
@given(prices=st.lists(owners, min_size=3, max_size=3))
def test_arrays_equal_scalars(prices: list[Ownership]) -> None:
    paths = ("usd_per_gpu", "network_share", "life_years", "cost_of_capital", "site.pue", "site.watts", "utilization")
    draws = {path: np.array([p.get(path) for p in prices]) for path in paths}
    drawn = Batch(prices[0], draws).spec.rate().total
    one_by_one = [rate(prices[0].replace({path: float(values[i]) for path, values in draws.items()})) for i in range(3)]
    np.testing.assert_allclose(np.asarray(drawn), one_by_one, rtol=1e-12)


@settings(deadline=None)
@given(price=quotes, factors=st.lists(st.floats(0.1, 1.0), min_size=3, max_size=3))
def test_quotes_broadcast(price: Quote, factors: list[float]) -> None:
    shares = np.array(factors) * price.used_share
    drawn = Batch(price, {"used_share": shares}).spec.rate().total
    np.testing.assert_allclose(np.asarray(drawn), [rate(price.replace({"used_share": float(s)})) for s in shares], rtol=1e-12)
