"""Backtest the rent model: predict each quote from quotes that were public 90 or 180 days earlier."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from ..catalog.rents import REPEATED, quote_of, usable_quotes
from ..catalog.rows import find
from ..core.answer import Answer, AnswerRow, Summary
from ..cost.rent_model import (
    DEGREES_OF_FREEDOM,
    DRIFT_ORIGIN,
    FITTED_SCALES,
    SEPARATE_MARKETS,
    RentQuote,
    RentScales,
    distinct_quotes,
    log_likelihood,
    predict_rent,
)
from ..uncertainty.analysis.scores import interval_score

Array = NDArray[np.float64]

LAGS = (90, 180)
"""Days between the newest quotes used and the predicted quote."""
MIN_ERRORS = 10
"""Fewest earlier errors of the last quote from which its interval is computed."""
LEVEL = 0.9
RESAMPLES = 2000


@dataclass(frozen=True)
class RentError:
    """One quote and its prediction.

    Args:
        address, quote: address of the quote's row, and the quote.
        public: day the quote became public.
        error, sd: log(quoted / predicted price), and the scale of the prediction [1].
        last_error: log(quoted / price of the last quote).
        new_vendor, new_silicon: whether this is the first quote of its vendor, or of its chip.
    """

    address: str
    quote: RentQuote
    public: dt.date
    error: float
    sd: float
    last_error: float
    new_vendor: bool
    new_silicon: bool


@dataclass(frozen=True)
class RentScore:
    """Accuracy of the predictions of a set of quotes.

    Args:
        quotes, dates: number of quotes, and of distinct dates.
        coverage: share inside the central 90 % interval.
        coverage_low, coverage_high: 90 % confidence interval of ``coverage``, by resampling whole dates.
        bias: median of predicted / quoted price, minus 1.
        width: median of P95 / P5.
        error, last_error: mean absolute log error of the model, and of the last quote.
        score, last_score: mean interval score of the log price [1] of the model, and of the last quote with an interval from the errors of
            earlier last quotes; lower is better. NaN if fewer than ``MIN_ERRORS`` errors are known.
    """

    quotes: int
    dates: int
    coverage: float
    coverage_low: float
    coverage_high: float
    bias: float
    width: float
    error: float
    last_error: float
    score: float
    last_score: float


Dated = tuple[str, dt.date, RentQuote]
"""Address, day of publication, quote."""


def rent_errors(lag_days: int, scales: RentScales = FITTED_SCALES, quotes: Sequence[Dated] | None = None) -> list[RentError]:
    """Predict each new price from quotes that were public ``lag_days`` earlier; a vendor's unchanged price is predicted once.

    Args:
        lag_days: days between the newest quote used and the predicted quote.
        scales: scales of the model.
        quotes: triples of address, day of publication and quote; those of the catalogue if None.

    >>> early = catalogue_quotes()[:60]
    >>> [len(rent_errors(lag, quotes=early)) for lag in LAGS]
    [15, 13]
    """
    rows = catalogue_quotes() if quotes is None else sorted(quotes, key=lambda row: (row[1], row[0]))
    groups: dict[dt.date, list[Dated]] = {}
    for row in new_prices(rows):
        groups.setdefault(min(row[1], row[2].day) - dt.timedelta(days=lag_days), []).append(row)
    found: list[RentError] = []
    for cutoff, group in sorted(groups.items()):
        older = distinct_quotes([quote for _, public, quote in rows if public <= cutoff])
        if not older:
            continue
        predictions = predict_rent(older, [quote for _, _, quote in group], scales)
        for (address, public, quote), predicted in zip(group, predictions, strict=True):
            log, last = np.log(quote.usd_per_gpu_hour), np.log(last_quote(older, quote).usd_per_gpu_hour)
            new = (all(q.vendor != quote.vendor for q in older), all(q.silicon != quote.silicon for q in older))
            found.append(RentError(address, quote, public, float(log - predicted.log_mean), predicted.log_sd, float(log - last), *new))
    return sorted(found, key=lambda e: (e.public, e.address))


def catalogue_quotes() -> list[Dated]:
    """All quotes of the catalogue with the day each became public, unchanged prices included, earliest first."""
    seen = usable_quotes()
    usable = [*seen.quotes, *(a for a, why in seen.excluded.items() if why == REPEATED)]
    rows = [find(*address.split("/")) for address in usable]
    return sorted(((row.address, row.date, quote_of(row)) for row in rows), key=lambda row: (row[1], row[0]))


def new_prices(rows: Sequence[Dated]) -> list[Dated]:
    """Quotes at a price that their vendor had not asked for the product before."""
    asked: set[tuple[object, ...]] = set()
    found = []
    for row in rows:
        key = (*row[2].product, row[2].usd_per_gpu_hour)
        if key not in asked:
            found.append(row)
        asked.add(key)
    return found


def last_quote(older: Sequence[RentQuote], quote: RentQuote) -> RentQuote:
    """The newest earlier quote of the same vendor, chip and term; else of the same chip, tier and term; else of a similar product."""
    nearer: tuple[Callable[[RentQuote], object], ...] = (
        lambda q: (q.vendor, q.chip, q.term),
        lambda q: (q.chip, q.tier, q.term),
        lambda q: (q.silicon, q.tier, q.term),
        lambda q: (q.silicon, q.tier),
        lambda q: q.silicon,
        lambda q: q.tier,
    )
    alike = next((found for key in nearer if (found := [q for q in older if key(q) == key(quote)])), older)
    return max(alike, key=lambda q: q.day)


def rent_score(errors: Sequence[RentError], lag_days: int, seed: int = 1) -> RentScore:
    """Coverage, bias, width and scores of a set of predictions.

    Source: Gneiting and Raftery 2007, eq. 43, for the interval score.
    """
    error, sd, last = (np.array([getattr(e, name) for e in errors]) for name in ("error", "sd", "last_error"))
    reach = special.stdtrit(DEGREES_OF_FREEDOM, 0.5 + LEVEL / 2.0) * sd
    inside = np.abs(error) <= reach
    low, high = _clustered(inside, [e.public for e in errors], seed)
    bounds = [_past(errors, e, lag_days) for e in errors]
    known = np.array([b is not None for b in bounds])
    score = last_score = float("nan")
    if known.any():
        past = np.exp([b for b in bounds if b is not None])
        ours = interval_score(np.exp(-reach[known]), np.exp(reach[known]), np.exp(error[known]))
        theirs = interval_score(past[:, 0], past[:, 1], np.exp(last[known]))
        score, last_score = float(np.mean(ours)), float(np.mean(theirs))
    return RentScore(
        quotes=len(errors),
        dates=len({e.public for e in errors}),
        coverage=float(inside.mean()),
        coverage_low=low,
        coverage_high=high,
        bias=float(np.expm1(np.median(-error))),
        width=float(np.median(np.exp(2.0 * reach))),
        error=float(np.abs(error).mean()),
        last_error=float(np.abs(last).mean()),
        score=score,
        last_score=last_score,
    )


def _past(errors: Sequence[RentError], one: RentError, lag_days: int) -> tuple[float, float] | None:
    """Central interval of those errors of the last quote that were known on the day of the prediction of ``one``."""
    known = [e.last_error for e in errors if e.public <= one.public - dt.timedelta(days=lag_days)]
    if len(known) < MIN_ERRORS:
        return None
    low, high = np.quantile(known, [0.5 - LEVEL / 2.0, 0.5 + LEVEL / 2.0])
    return float(low), float(high)


def _clustered(inside: NDArray[np.bool_], days: Sequence[dt.date], seed: int) -> tuple[float, float]:
    """90 % interval of a share, by resampling whole days, because errors of one day are correlated."""
    codes = np.unique([day.toordinal() for day in days], return_inverse=True)[1]
    hits, sizes = np.bincount(codes, inside), np.bincount(codes)
    drawn = np.random.default_rng(seed).integers(0, sizes.size, (RESAMPLES, sizes.size))
    shares = hits[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    return float(np.quantile(shares, 0.05)), float(np.quantile(shares, 0.95))


Group = Callable[[RentError], bool]
GROUPS: dict[str, Group] = {
    "all": lambda e: True,  # noqa: ARG005
    "dated before 2024": lambda e: e.public < DRIFT_ORIGIN,
    "dated from 2024": lambda e: e.public >= DRIFT_ORIGIN,
    "vendor known": lambda e: not e.new_vendor,
    "vendor new": lambda e: e.new_vendor,
    "silicon new": lambda e: e.new_silicon,
    "China": lambda e: e.quote.region in SEPARATE_MARKETS,
}
"""Groups of predictions that are scored together. The scales of the model were fitted to rows from before 2024."""


@dataclass(frozen=True, repr=False)
class RentBacktest(Answer):
    """Predictions at each lag.

    Args:
        errors: lag [day] → predicted quotes.
    """

    errors: Mapping[int, tuple[RentError, ...]]

    def score(self, lag_days: int, group: str = "all") -> RentScore:
        """The score of one group of ``GROUPS`` at a lag."""
        return rent_score([e for e in self.errors[lag_days] if GROUPS[group](e)], lag_days)

    def summary(self) -> Summary:
        """Share of quotes inside the interval at every lag, and the median bias."""
        rows = []
        for lag in self.errors:
            found = self.score(lag)
            rows.append(AnswerRow(f"coverage.{lag}", f"quotes inside the 90 % interval, {lag} days ahead", 100 * found.coverage, "%",
                              100 * found.coverage_low, 100 * found.coverage_high))  # fmt: skip
            rows.append(AnswerRow(f"bias.{lag}", f"median bias, {lag} days ahead", 100 * found.bias, "%"))
        return Summary("rents predicted from earlier quotes", tuple(rows))

    def _text(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        for lag, errors in self.errors.items():
            yield f"{f'{lag} days ahead':<17}{'n (dates)':>10}{'inside':>17}{'bias':>6}{'ratio':>6}{'error':>12}{'score':>12}"
            yield from (_line(group, self.score(lag, group)) for group in GROUPS if any(map(GROUPS[group], errors)))
        yield LEGEND


LEGEND = (
    "inside: share of quotes in the 90 % interval, and its own interval; bias: median; ratio: P95/P5; error: mean |ln|; "
    "score: interval score; in brackets, those of the last quote"
)
"""What the columns of the text mean."""


def _line(group: str, s: RentScore) -> str:
    inside = f"{s.coverage:.2f} ({s.coverage_low:.2f}–{s.coverage_high:.2f})"
    score = "too few" if np.isnan(s.score) else f"{s.score:.2f} ({s.last_score:.2f})"
    numbers, error = f"{s.quotes} ({s.dates})", f"{s.error:.2f} ({s.last_error:.2f})"
    return f"{group:<17}{numbers:>10}{inside:>17}{s.bias:>+6.0%}{s.width:>6.1f}{error:>12}{score:>12}"


def backtest_rents(scales: RentScales = FITTED_SCALES) -> RentBacktest:
    """Predict each new price of the catalogue from quotes that were public 90 and 180 days earlier."""
    return RentBacktest({lag: tuple(rent_errors(lag, scales)) for lag in LAGS})


PRIOR_SCALES = RentScales(
    silicon=0.3,
    chip=0.15,
    tier=0.4,
    silicon_tier=0.2,
    commitment=0.1,
    tier_commitment=0.08,
    spot=0.4,
    region=0.15,
    vendor=0.25,
    vendor_silicon=0.2,
    product=0.15,
    market=0.2,
    drift=0.1,
    tier_drift=0.08,
    noise=0.08,
)
"""Medians of log-normal priors on the scales (judgement)."""
PRIOR_SPREAD = 0.7
"""Standard deviation of the logarithm of each prior."""


def fit_rent_scales(before: dt.date = DRIFT_ORIGIN) -> RentScales:
    """Maximum a posteriori scales of the rent model, from quotes public before a day.

    The scale of regions abroad is not fitted, because they have too few prices.

    Source: type-II maximum likelihood (Rasmussen and Williams 2006, section 5.4) with a prior on each scale.
    """
    quotes = distinct_quotes([quote for _, public, quote in catalogue_quotes() if public < before])
    names = [f.name for f in fields(RentScales) if f.name != "abroad"]
    start = np.log([getattr(PRIOR_SCALES, name) for name in names])

    def loss(log: Array) -> float:
        prior = np.sum((log - start) ** 2) / (2.0 * PRIOR_SPREAD**2)
        return float(prior) - log_likelihood(quotes, RentScales(**dict(zip(names, np.exp(log), strict=True))))

    best = optimize.minimize(loss, start, method="L-BFGS-B").x
    return RentScales(**{name: round(float(value), 3) for name, value in zip(names, np.exp(best), strict=True)})
