"""The rent model: an unchanged price is one observation, more quotes never widen, and intervals cover draws of the model itself."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from trainsim.core.errors import EstimateError
from trainsim.cost.rent_model import (
    COMMITMENT_SLOPE,
    DRIFT_ORIGIN,
    FITTED_SCALES,
    MEMORY_YEARS,
    PEAK_ELASTICITY,
    PEAK_ELASTICITY_SD,
    PRIOR_LEVEL,
    PRIOR_LEVEL_SD,
    SPOT_DISCOUNT,
    TERMS,
    TIERS,
    YEARLY_DRIFT,
    RentPrediction,
    RentQuote,
    average_predictions,
    distinct_quotes,
    predict_rent,
)

CHIPS = {"a": ("old", 3e14), "b": ("new", 1e15), "b-lite": ("new", 7e14)}
TERMS_TRIED = ("spot", "on-demand", "1-year", "3-year")


def quote(draw: Any) -> RentQuote:
    chip = draw(st.sampled_from(sorted(CHIPS)))
    return RentQuote(
        day=DRIFT_ORIGIN + dt.timedelta(days=draw(st.integers(-900, 900))),
        chip=chip,
        silicon=CHIPS[chip][0],
        peak=CHIPS[chip][1],
        tier=draw(st.sampled_from(["hyperscaler", "specialist", "marketplace"])),
        term=draw(st.sampled_from(TERMS_TRIED)),
        region=draw(st.sampled_from(["us", "global", "china"])),
        vendor=draw(st.sampled_from(["A", "B", "C"])),
        usd_per_gpu_hour=round(draw(st.floats(0.2, 15.0)), 2),
    )


@st.composite
def markets(draw: Any) -> tuple[list[RentQuote], RentQuote]:
    return [quote(draw) for _ in range(draw(st.integers(2, 12)))], quote(draw)


@given(markets())
def test_an_unchanged_price_is_one_observation(market: tuple[list[RentQuote], RentQuote]) -> None:
    quotes, asked = market
    once = distinct_quotes(quotes)
    assert distinct_quotes(once) == once
    earlier = [replace(q, day=q.day - dt.timedelta(days=30)) for q in once]
    assert distinct_quotes([*once, *earlier]) == once
    assert predict_rent(distinct_quotes([*once, *earlier]), [asked]) == predict_rent(once, [asked])


@given(markets(), st.randoms())
def test_the_order_of_quotes_moves_nothing(market: tuple[list[RentQuote], RentQuote], shuffled: Any) -> None:
    quotes, asked = market
    (one,) = predict_rent(quotes, [asked])
    shuffled.shuffle(quotes)
    (other,) = predict_rent(quotes, [asked])
    assert (other.log_mean, other.log_sd) == pytest.approx((one.log_mean, one.log_sd), rel=1e-9)


@given(markets())
def test_one_more_quote_never_widens_a_prediction(market: tuple[list[RentQuote], RentQuote]) -> None:
    quotes, asked = market
    (fewer,), (more,) = predict_rent(quotes[:-1], [asked]), predict_rent(quotes, [asked])
    assert more.log_sd <= fewer.log_sd * (1 + 1e-9)
    assert 0 < more.market_sd <= more.log_sd


@given(markets(), st.floats(1.01, 4.0))
def test_a_higher_quote_never_lowers_the_prediction_of_its_product(market: tuple[list[RentQuote], RentQuote], factor: float) -> None:
    quotes, _ = market
    dearer = [replace(quotes[0], usd_per_gpu_hour=quotes[0].usd_per_gpu_hour * factor), *quotes[1:]]
    (before,), (after,) = predict_rent(quotes, [quotes[0]]), predict_rent(dearer, [quotes[0]])
    assert after.log_mean > before.log_mean


def test_quotes_of_other_regions_affect_china_less() -> None:
    like: dict[str, Any] = {"chip": "b", "silicon": "new", "peak": 1e15, "tier": "specialist", "term": "on-demand"}
    seen = [RentQuote(day=DRIFT_ORIGIN, region="us", vendor=v, usd_per_gpu_hour=2.0, **like) for v in "ABCDEFGH"]
    there, here = predict_rent(seen, [RentQuote(day=DRIFT_ORIGIN, region=r, vendor="new", **like) for r in ("china", "us")])
    assert there.log_sd > 1.3 * here.log_sd
    assert there.log_mean == pytest.approx(here.log_mean, abs=0.05)


def drawn(quotes: list[RentQuote], rng: np.random.Generator) -> list[float]:
    """Log prices drawn effect by effect, an oracle without a covariance matrix."""
    s = FITTED_SCALES
    effects: dict[tuple[object, ...], float] = defaultdict(lambda: float(rng.normal()))
    walks: dict[tuple[str, str], list[tuple[float, float]]] = {}
    logs: dict[int, float] = {}
    for i in sorted(range(len(quotes)), key=lambda i: quotes[i].day):
        q = quotes[i]
        years, months = (q.day - DRIFT_ORIGIN).days / 365.25, np.log1p(TERMS[q.term])
        walk = walks.setdefault((q.silicon, q.tier), [])
        if not walk:
            walk.append((years, rng.normal()))
        else:
            then, level = walk[-1]
            kept = np.exp(-(years - then) / MEMORY_YEARS)
            walk.append((years, kept * level + np.sqrt(1 - kept**2) * rng.normal()))
        value = PRIOR_LEVEL + PRIOR_LEVEL_SD * effects["level",] + TIERS[q.tier]
        value += (PEAK_ELASTICITY + PEAK_ELASTICITY_SD * effects["peak",]) * np.log(q.peak / 1e15)
        value += s.silicon * effects["silicon", q.silicon] + s.chip * effects["chip", q.chip] + s.tier * effects["tier", q.tier]
        value += s.silicon_tier * effects["both", q.silicon, q.tier] + s.region * effects["region", q.region]
        value += (s.abroad * effects["abroad", q.region]) if q.region == "china" else 0.0
        value += s.vendor * effects["vendor", q.vendor] + s.vendor_silicon * effects["vendor", q.vendor, q.silicon]
        value += s.product * effects["product", q.vendor, q.chip, q.term, q.region]
        value += (COMMITMENT_SLOPE + s.commitment * effects["slope",] + s.tier_commitment * effects["slope", q.tier]) * months
        value += (SPOT_DISCOUNT + s.spot * effects["spot",]) * (q.term == "spot")
        value += (YEARLY_DRIFT + s.drift * effects["drift",] + s.tier_drift * effects["drift", q.tier]) * years
        logs[i] = value + s.market * walk[-1][1] + s.noise * rng.normal()
    return [logs[i] for i in range(len(quotes))]


def test_predictions_of_the_models_own_draws_have_the_spread_they_state() -> None:
    rng = np.random.default_rng(5)
    misses = []
    for _ in range(250):
        frame = []
        for _ in range(15):
            chip = str(rng.choice(sorted(CHIPS)))
            frame.append(
                RentQuote(
                    day=DRIFT_ORIGIN + dt.timedelta(days=int(rng.integers(-900, 900))),
                    chip=chip,
                    silicon=CHIPS[chip][0],
                    peak=CHIPS[chip][1],
                    tier=str(rng.choice(["hyperscaler", "specialist"])),
                    term=str(rng.choice(TERMS_TRIED)),
                    region=str(rng.choice(["us", "china"])),
                    vendor=str(rng.choice(list("ABCDE"))),
                )
            )
        logs = drawn(frame, rng)
        priced = [replace(q, usd_per_gpu_hour=float(np.exp(y))) for q, y in zip(frame, logs, strict=True)]
        (predicted,) = predict_rent(priced[:-1], [frame[-1]])
        misses.append((logs[-1] - predicted.log_mean) / predicted.log_sd)
    assert np.mean(misses) == pytest.approx(0.0, abs=0.2)
    assert np.std(misses) == pytest.approx(1.0, abs=0.12)
    assert np.mean(np.abs(misses) < special.ndtri(0.95)) == pytest.approx(0.9, abs=0.05)


def test_a_day_known_within_months_is_a_mixture() -> None:
    same = RentPrediction(1.0, 0.3, 0.2)
    assert average_predictions([same] * 5).log_sd == pytest.approx(0.3)
    apart = average_predictions([replace(same, log_mean=m) for m in (0.8, 1.2)])
    assert (apart.log_mean, apart.log_sd) == pytest.approx((1.0, np.sqrt(0.3**2 + 0.2**2)))
    assert float(same.quantile(0.5)) == pytest.approx(np.e)


@pytest.mark.parametrize(
    ("changes", "path"),
    [({"tier": "cheap"}, "rent.tier"), ({"term": "forever"}, "rent.term"), ({"usd_per_gpu_hour": 0.0}, "rent.usd_per_gpu_hour")],
)
def test_what_is_no_quote_is_refused(changes: dict[str, Any], path: str) -> None:
    good = RentQuote(day=DRIFT_ORIGIN, chip="b", silicon="new", peak=1e15, tier="specialist", term="on-demand", region="us", vendor="A")
    with pytest.raises(EstimateError) as error:
        predict_rent([replace(good, **changes)], [good])
    assert error.value.path == path
    with pytest.raises(EstimateError) as error:
        predict_rent([], [good])
    assert error.value.path == "rent.quotes"
