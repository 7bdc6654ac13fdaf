"""Rent model: a Gaussian model of the log price with random effects, which predicts one more quote."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from ..core.errors import EstimateError
from ..core.units import HOURS_PER_DAY, HOURS_PER_YEAR

Array = NDArray[np.float64]

TIERS = {"hyperscaler": 0.4, "specialist": 0.0, "marketplace": -0.3, "index": 0.0}
"""Tier of the vendor → prior mean of its log price relative to a specialist cloud (judgement). The tier "index" is an average over
offers."""
TERMS = {"spot": 0.0, "on-demand": 0.0, "1-month": 1.0, "1-year": 12.0, "3-year": 36.0}
"""Contract term → months of commitment."""
SEPARATE_MARKETS = frozenset({"china"})
"""Regions separated from the market by export controls; each has its own price level."""

PRIOR_LEVEL, PRIOR_LEVEL_SD = 0.9, 2.0
"""Vague prior mean and standard deviation of the log price of 1 PFLOP/s from a specialist on demand in 2024 [ln USD/GPU-h]."""
PEAK_ELASTICITY, PEAK_ELASTICITY_SD = 0.6, 0.3
"""Prior mean and standard deviation of the elasticity of rent to the peak of a chip's silicon generation (judgement)."""
YEARLY_DRIFT, COMMITMENT_SLOPE, SPOT_DISCOUNT = -0.06, -0.15, -0.9
"""Prior means: drift of the log price [1/year], its slope in ln(1 + months committed), and its discount for spot capacity."""
DRIFT_ORIGIN = dt.date(2024, 1, 1)
"""Date at which the drift is zero; the scales were fitted to rows up to this day."""
MEMORY_YEARS = 2.0
"""Correlation time of a market's deviation from its drift: the correlation falls to 1/e [year]."""
DEGREES_OF_FREEDOM = 10.0
"""Degrees of freedom of the Student-t prediction, whose tails are heavier than normal (judgement)."""


@dataclass(frozen=True)
class RentQuote:
    """A price that one vendor asked on one day.

    Args:
        day: the day of the price.
        usd_per_gpu_hour: the price; ignored if the quote is the target of a prediction [USD/GPU-h].
        chip, silicon, peak: the accelerator, its silicon generation, and the generation's dense 16-bit peak [FLOP/s].
        tier, term, region, vendor: tier of the vendor, contract term, region and vendor.
    """

    day: dt.date
    chip: str
    silicon: str
    peak: float
    tier: str
    term: str
    region: str
    vendor: str
    usd_per_gpu_hour: float = 1.0

    @property
    def product(self) -> tuple[str, ...]:
        """The product that is priced: vendor, chip, term and region."""
        return self.vendor, self.chip, self.term, self.region


@dataclass(frozen=True)
class RentScales:
    """Standard deviations of the random effects on the log price [1]; those of drifts in [1/year].

    Fitted by :func:`~trainsim.validation.rent_backtest.fit_rent_scales` to the rows of the catalogue dated before ``DRIFT_ORIGIN``.
    ``abroad`` is judgement, since Chinese prices are known for two dates only.
    """

    silicon: float = 0.175
    chip: float = 0.122
    tier: float = 0.334
    silicon_tier: float = 0.133
    commitment: float = 0.089
    tier_commitment: float = 0.074
    spot: float = 0.283
    region: float = 0.093
    vendor: float = 0.272
    vendor_silicon: float = 0.126
    product: float = 0.066
    market: float = 0.132
    drift: float = 0.083
    tier_drift: float = 0.064
    noise: float = 0.143
    abroad: float = 0.5


FITTED_SCALES = RentScales()
"""The fitted scales."""


@dataclass(frozen=True)
class RentPrediction:
    """Prediction of one more quote: a Student-t distribution of the log price.

    Args:
        log_mean, log_sd: centre and scale [ln USD/GPU-h].
        market_sd: scale of the market level, without the effects of vendor, product and single quote [ln USD/GPU-h].
        degrees_of_freedom: degrees of freedom.
    """

    log_mean: float
    log_sd: float
    market_sd: float
    degrees_of_freedom: float = DEGREES_OF_FREEDOM

    def quantile(self, p: float | Array) -> Array:
        """Quantiles of the price [USD/GPU-h]."""
        return np.exp(self.log_mean + self.log_sd * special.stdtrit(self.degrees_of_freedom, p))


def distinct_quotes(quotes: Sequence[RentQuote]) -> list[RentQuote]:
    """Remove repeated prices: an unchanged price of a product counts once, on the last day on which it was seen.

    >>> same = dict(chip="x", silicon="x", peak=1e15, tier="specialist", term="on-demand", region="us", vendor="A")
    >>> seen = [RentQuote(day=dt.date(2024, m, 1), usd_per_gpu_hour=p, **same) for m, p in [(1, 2.0), (2, 2.0), (3, 1.9)]]
    >>> [q.day.month for q in distinct_quotes(seen)]
    [2, 3]
    """
    latest: dict[tuple[object, ...], RentQuote] = {}
    for quote in sorted(quotes, key=lambda q: q.day):
        latest[*quote.product, quote.usd_per_gpu_hour] = quote
    return sorted(latest.values(), key=lambda q: q.day)


def predict_rent(quotes: Sequence[RentQuote], targets: Sequence[RentQuote], scales: RentScales = FITTED_SCALES) -> list[RentPrediction]:
    """Predict one more quote from dated quotes.

    ``ln p = level + b ln peak + silicon + chip + tier + silicon·tier + (c + c_tier) ln(1 + months) + spot + region + vendor
    + vendor·silicon + product + (d + d_tier)(t − t₀) + market(t) + ε``. Every effect is normal; its standard deviation is in ``scales``.
    ``market`` is an Ornstein-Uhlenbeck process per silicon generation and tier with correlation ``exp(−|Δt| / MEMORY_YEARS)``.

    Args:
        quotes: distinct observations of any chips and terms.
        targets: quotes to predict; an unseen vendor, chip or region gets the prior of its effect.
        scales: standard deviations of the effects.

    Returns:
        one prediction per target.

    Raises:
        EstimateError: there are no quotes, a price is not positive, or a tier or term is unknown.

    Source: Gaussian-process regression (Rasmussen and Williams 2006, eq. 2.22 to 2.24); random effects as in Gelman et al.,
    Bayesian Data Analysis, 3rd ed., chapter 15.

    >>> like = dict(chip="h100-sxm", silicon="hopper", peak=989e12, tier="specialist", term="on-demand", region="us")
    >>> seen = [RentQuote(day=dt.date(2024, 6, 1), vendor=v, usd_per_gpu_hour=p, **like) for v, p in [("A", 2.9), ("B", 3.5)]]
    >>> new, = predict_rent(seen, [RentQuote(day=dt.date(2024, 9, 1), vendor="C", **like)])
    >>> low, middle, high = new.quantile(np.array([0.05, 0.5, 0.95]))
    >>> print(f"{low:.1f} {middle:.1f} {high:.1f}")
    1.5 3.1 6.7
    """
    _check(quotes, targets)
    vocabulary: dict[tuple[str, ...], int] = {}
    seen, new = _features(quotes, vocabulary), _features(targets, vocabulary)
    cholesky = np.linalg.cholesky(_covariance(seen, seen, scales) + scales.noise**2 * np.eye(len(quotes)))
    residual = np.linalg.solve(cholesky, np.log([q.usd_per_gpu_hour for q in quotes]) - _mean(seen))
    whitened = np.linalg.solve(cholesky, _covariance(seen, new, scales))
    centre = _mean(new) + whitened.T @ residual
    variance = np.diag(_covariance(new, new, scales)) + scales.noise**2 - np.einsum("ij,ij->j", whitened, whitened)
    quote_variance = scales.vendor**2 + scales.vendor_silicon**2 + scales.product**2 + scales.noise**2
    market = np.sqrt(np.maximum(variance - quote_variance, scales.market**2))
    return [RentPrediction(float(c), float(np.sqrt(v)), float(m)) for c, v, m in zip(centre, variance, market, strict=True)]


def log_likelihood(quotes: Sequence[RentQuote], scales: RentScales) -> float:
    """Log marginal likelihood of quotes given the scales, up to a constant.

    Source: Rasmussen and Williams 2006, eq. 2.30.
    """
    seen = _features(quotes, {})
    cholesky = np.linalg.cholesky(_covariance(seen, seen, scales) + scales.noise**2 * np.eye(len(quotes)))
    residual = np.linalg.solve(cholesky, np.log([q.usd_per_gpu_hour for q in quotes]) - _mean(seen))
    return -0.5 * float(residual @ residual) - float(np.log(np.diag(cholesky)).sum())


def average_predictions(predictions: Sequence[RentPrediction]) -> RentPrediction:
    """Combine predictions for several possible days into one with the mean and variance of their mixture.

    >>> print(round(average_predictions([RentPrediction(1.0, 0.3, 0.2), RentPrediction(1.2, 0.3, 0.2)]).log_sd, 3))
    0.316
    """
    means = np.array([p.log_mean for p in predictions])
    spread = float(means.var())
    sd = np.sqrt(np.mean([p.log_sd**2 for p in predictions]) + spread)
    market = np.sqrt(np.mean([p.market_sd**2 for p in predictions]) + spread)
    return RentPrediction(float(means.mean()), float(sd), float(market))


@dataclass(frozen=True)
class _Features:
    """Covariates of n quotes: integer codes of the groups of each effect, and numbers, each ``(n,)``."""

    names: dict[str, NDArray[np.int64]]
    years: Array
    peak: Array
    commitment: Array
    spot: Array
    abroad: Array
    tier_mean: Array


def _features(quotes: Sequence[RentQuote], vocabulary: dict[tuple[str, ...], int]) -> _Features:
    """Covariates of quotes. With one vocabulary, a group has the same code in several calls."""

    def codes(effect: str) -> NDArray[np.int64]:
        shared = [(effect, *(getattr(q, name) for name in _EFFECT_FIELDS[effect])) for q in quotes]
        return np.array([vocabulary.setdefault(key, len(vocabulary)) for key in shared])

    names = {effect: codes(effect) for effect in _EFFECT_FIELDS}
    years = np.array([(q.day - DRIFT_ORIGIN).days for q in quotes]) * HOURS_PER_DAY / HOURS_PER_YEAR
    return _Features(
        names,
        years,
        np.log(np.array([q.peak for q in quotes]) / 1e15),
        np.log1p([TERMS[q.term] for q in quotes]),
        np.array([float(q.term == "spot") for q in quotes]),
        np.array([float(q.region in SEPARATE_MARKETS) for q in quotes]),
        np.array([TIERS[q.tier] for q in quotes]),
    )


_EFFECT_FIELDS = {
    "silicon": ("silicon",),
    "chip": ("chip",),
    "tier": ("tier",),
    "silicon_tier": ("silicon", "tier"),
    "region": ("region",),
    "vendor": ("vendor",),
    "vendor_silicon": ("vendor", "silicon"),
    "product": ("vendor", "chip", "term", "region"),
}
"""Effect → the fields that define its groups."""


def _mean(f: _Features) -> Array:
    return (
        PRIOR_LEVEL
        + f.tier_mean
        + PEAK_ELASTICITY * f.peak
        + YEARLY_DRIFT * f.years
        + COMMITMENT_SLOPE * f.commitment
        + SPOT_DISCOUNT * f.spot
    )


def _covariance(a: _Features, b: _Features, scales: RentScales) -> Array:
    """Prior covariance of two sets of log prices, without observation noise, ``(len(a), len(b))``."""
    same = {name: np.equal.outer(a.names[name], b.names[name]) for name in _EFFECT_FIELDS}
    total = PRIOR_LEVEL_SD**2 + PEAK_ELASTICITY_SD**2 * np.outer(a.peak, b.peak)
    for name, shared in same.items():
        total = total + getattr(scales, name) ** 2 * shared
    total = total + scales.abroad**2 * np.outer(a.abroad, b.abroad) * same["region"]
    total = total + np.outer(a.commitment, b.commitment) * (scales.commitment**2 + scales.tier_commitment**2 * same["tier"])
    total = total + scales.spot**2 * np.outer(a.spot, b.spot)
    total = total + np.outer(a.years, b.years) * (scales.drift**2 + scales.tier_drift**2 * same["tier"])
    distance = np.abs(np.subtract.outer(a.years, b.years))
    result: Array = total + scales.market**2 * same["silicon_tier"] * np.exp(-distance / MEMORY_YEARS)
    return result


def _check(quotes: Sequence[RentQuote], targets: Sequence[RentQuote]) -> None:
    if not quotes:
        raise EstimateError(
            "rent.quotes", 0, "there is no dated price to predict from", "give a belief about the price, or a later as_of", "conflict"
        )
    for quote in (*quotes, *targets):
        for name, value, known in (("tier", quote.tier, TIERS), ("term", quote.term, TERMS)):
            if value not in known:
                raise EstimateError(f"rent.{name}", value, f"is not a known {name} of rent", f"use one of: {', '.join(known)}", "conflict")
        if not quote.usd_per_gpu_hour > 0:
            raise EstimateError("rent.usd_per_gpu_hour", quote.usd_per_gpu_hour, "must be > 0", "leave the row out", "out-of-bounds")
