"""The rent backtest: the data used, the accuracy, and the page that reports it."""

from __future__ import annotations

import datetime as dt
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from trainsim.cost.rent_model import DRIFT_ORIGIN, FITTED_SCALES, RentQuote, distinct_quotes, log_likelihood
from trainsim.validation.rent_backtest import (
    LAGS,
    PRIOR_SCALES,
    PRIOR_SPREAD,
    RentBacktest,
    backtest_rents,
    catalogue_quotes,
    last_quote,
    new_prices,
    rent_errors,
    rent_score,
)

PAGE = Path(__file__).parents[2] / "docs" / "rents.md"
DAY = dt.date(2024, 6, 1)


@pytest.fixture(scope="module")
def found() -> RentBacktest:
    return backtest_rents()


def a_quote(day: dt.date, price: float, vendor: str = "A", term: str = "on-demand", tier: str = "specialist") -> RentQuote:
    return RentQuote(day=day, chip="x", silicon="x", peak=1e15, tier=tier, term=term, region="us", vendor=vendor, usd_per_gpu_hour=price)


@pytest.mark.parametrize("lag", LAGS)
def test_predictions_are_calibrated_sharp_and_better_than_the_last_quote(found: RentBacktest, lag: int) -> None:
    score = found.score(lag)
    assert score.quotes > 250
    assert score.dates > 60
    assert 0.80 <= score.coverage <= 0.97
    assert abs(score.bias) <= {90: 0.15, 180: 0.20}[lag]
    assert score.width <= 4.0
    assert score.error <= 0.9 * score.last_error
    assert score.score < score.last_score


@pytest.mark.parametrize("lag", LAGS)
def test_rows_the_scales_never_saw_are_predicted_better_than_by_the_last_quote(found: RentBacktest, lag: int) -> None:
    score = found.score(lag, "dated from 2024")
    assert score.coverage_high > 0.85
    assert score.error < 0.9 * score.last_error
    assert score.score < score.last_score


def test_the_page_holds_the_table_and_says_what_cant_be_backtested(found: RentBacktest) -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert str(found) in page, "write the table of backtest_rents() into docs/rents.md"
    assert found.score(90, "China").quotes < 5
    assert "can't be backtested" in page


def test_nothing_is_predicted_from_what_was_not_public_yet(found: RentBacktest) -> None:
    errors = {e.address: e.error for e in found.errors[90]}
    early = [row for row in catalogue_quotes() if row[1] < dt.date(2023, 1, 1)]
    again = {e.address: e.error for e in rent_errors(90, quotes=early)}
    assert len(again) > 30
    assert all(errors[address] == pytest.approx(error, rel=1e-9) for address, error in again.items())


def test_an_unchanged_price_is_not_predicted_twice() -> None:
    rows = [
        (f"r{i}", DAY + dt.timedelta(days=30 * i), a_quote(DAY + dt.timedelta(days=30 * i), p)) for i, p in enumerate((2.0, 2.0, 3.0, 2.0))
    ]
    assert [address for address, _, _ in new_prices(rows)] == ["r0", "r2"]


def test_the_last_quote_is_the_nearest_in_kind_then_in_time() -> None:
    own = a_quote(DAY, 1.0)
    other = a_quote(DAY + dt.timedelta(days=5), 2.0, vendor="B")
    dear = a_quote(DAY + dt.timedelta(days=9), 9.0, vendor="C", tier="hyperscaler")
    older = [own, other, dear]
    later = DAY + dt.timedelta(days=200)
    assert last_quote(older, a_quote(later, 1.0)) == own
    assert last_quote(older, a_quote(later, 1.0, vendor="new")) == other
    assert last_quote(older, a_quote(later, 1.0, vendor="new", term="1-year")) == other
    assert last_quote([dear], a_quote(later, 1.0, vendor="new")) == dear


def test_days_are_resampled_whole(found: RentBacktest) -> None:
    """If quotes of one day are all inside or all outside, the interval of the share is wider than for independent quotes."""
    errors = found.errors[90]
    one_day = [replace(e, public=DAY) for e in errors]
    spread = [rent_score(group, 90) for group in (errors, one_day)]
    assert spread[1].coverage_low == spread[1].coverage == spread[1].coverage_high
    alone = 2 * 1.645 * np.sqrt(spread[0].coverage * (1 - spread[0].coverage) / len(errors))
    assert spread[0].coverage_high - spread[0].coverage_low > alone


def test_the_scales_are_those_of_the_rows_before_2024() -> None:
    """Each fitted scale is at the maximum of its posterior, to a tenth of it."""
    quotes = distinct_quotes([quote for _, public, quote in catalogue_quotes() if public < DRIFT_ORIGIN])

    def posterior(name: str, factor: float) -> float:
        scales = replace(FITTED_SCALES, **{name: getattr(FITTED_SCALES, name) * factor})
        ratio = np.log(getattr(scales, name) / getattr(PRIOR_SCALES, name))
        return log_likelihood(quotes, scales) - float(ratio) ** 2 / (2 * PRIOR_SPREAD**2)

    for name in (f.name for f in fields(FITTED_SCALES) if f.name != "abroad"):
        best = posterior(name, 1.0)
        assert best > posterior(name, 1.25), name
        assert best > posterior(name, 0.8), name
