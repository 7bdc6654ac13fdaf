"""Rent of a run's chips, predicted from dated price quotes."""

from __future__ import annotations

import datetime as dt
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from ..cluster.hardware import Chip
from ..core.errors import CatalogError, TrainsimWarning
from ..cost.rent_model import SEPARATE_MARKETS, TERMS, RentPrediction, RentQuote, average_predictions, distinct_quotes, predict_rent
from ..cost.rental import Rental
from ..run.run import Run
from ..uncertainty.distributions.distribution import Belief
from ..uncertainty.distributions.interval import ci90
from .evidence import TAILS, Evidence, why_hidden
from .hardware import chip
from .matching import row_of
from .rental_period import RentalPeriod, rental_period
from .rows import Row, day_of, rows, table_lines

REPEATED = "repeats a price seen earlier"
"""Reason for which a repeated observation of one price is excluded."""


@dataclass(frozen=True)
class UsableQuotes:
    """Quotes that were public on a day and may be used.

    Args:
        quotes: address → quote; repeated observations of one price are counted once.
        excluded: address → reason.
    """

    quotes: Mapping[str, RentQuote]
    excluded: Mapping[str, str]


def quote_of(row: Row) -> RentQuote:
    """A row of ``rents`` as a quote on the day its price was valid; a price range gives its geometric mean.

    >>> from trainsim.catalog.rows import find
    >>> quote_of(find("rents", "h100-china-2024-start")).day.isoformat()
    '2024-01-31'
    """
    name, silicon, peak = _part(row["chip"])
    held = row.get("held")
    return RentQuote(
        day=row.date if held is None else day_of(held, f"{row.address}.held"),
        chip=name,
        silicon=silicon,
        peak=peak,
        tier=row["tier"],
        term=row["term"],
        region=row["region"],
        vendor=row["vendor"],
        usd_per_gpu_hour=float(row.get("usd_per_gpu_hour") or np.sqrt(row["low"] * row["high"])),
    )


@lru_cache(maxsize=256)
def _part(name: str) -> tuple[str, str, float]:
    """A chip's name, silicon and dense 16-bit peak [FLOP/s]."""
    part = chip(name)
    return part.name, _silicon(part), _peak(part)


def usable_quotes(run: Run | None = None, as_of: dt.date | None = None) -> UsableQuotes:
    """The distinct quotes that were public on a day, without those derived from a run.

    Args:
        run: the run to predict; rows derived from it are excluded.
        as_of: quotes that became public later are excluded.
    """
    usable: dict[str, RentQuote] = {}
    excluded: dict[str, str] = {}
    for row in rows("rents").values():
        if why := why_hidden(row, run if row.derived_from else None, as_of) or _not_a_quote(row):
            excluded[row.address] = why
        else:
            usable[row.address] = quote_of(row)
    first_seen = {id(quote) for quote in distinct_quotes(list(usable.values()))}
    excluded |= {address: REPEATED for address, quote in usable.items() if id(quote) not in first_seen}
    return UsableQuotes({address: quote for address, quote in usable.items() if id(quote) in first_seen}, excluded)


def _not_a_quote(row: Row) -> str:
    if row["term"] == "imputed":
        return "imputed by a lab to its own machines"
    return "a maximum or a mixture of tiers, not a quote of one tier" if row["tier"] == "mixed" else ""


def rent_evidence(
    run: Run,
    as_of: dt.date | None = None,
    region: str = "",
    *,
    day: dt.date | None = None,
    tier: str = "",
    term: str = "",
    vendor: str = "",
) -> Evidence:
    """Prior on the rent of the run's chips: the price that one more vendor would quote in the months of the run.

    The prior is the prediction of :func:`~trainsim.cost.rent_model.predict_rent`. The narrow variant is the market level without the
    variation between vendors. The wide variant treats the tier as unknown.

    Args:
        run: the run whose chips are rented.
        as_of: quotes that became public later are excluded.
        region: region of the machines. If empty: the region of the run's own price, then "global".
        day: day of the rent. If None: the months of the published run, then the day of the run's own price, then ``as_of``, then
            the day of the latest quote.
        tier: "hyperscaler", "specialist" or "marketplace". If empty: "specialist", or "hyperscaler" where no other tier offers
            the chip's silicon.
        term: "spot", "on-demand", "1-month", "1-year" or "3-year". If empty: the term of the run's own price, then "on-demand".
        vendor: name of the vendor; a new vendor if empty.

    Returns:
        the prior on rent [USD/GPU-h], with the quotes used and those excluded.

    Raises:
        CatalogError: no quote of any chip was public, or the chip has no dense 16-bit peak.
        EstimateError: an unknown tier or term.

    >>> from trainsim.catalog.runs import run
    >>> found = rent_evidence(run("deepseek-v3"))
    >>> 1.5 < found.belief.p50 < 4.0, len(found.used) >= 3
    (True, True)
    """
    seen = usable_quotes(run, as_of)
    if not seen.quotes:
        rule = "has no usable quote" if as_of is None else f"has no usable quote that was public by {as_of}"
        raise CatalogError("catalog.rents", None, rule, "put a belief on price.usd_per_gpu_hour, or give a later as_of", "too-few-data")
    own_price = run.price if isinstance(run.price, Rental) else None
    period = _rental_period(run, own_price, as_of, day) or RentalPeriod((max(q.day for q in seen.quotes.values()),), True)
    target = _target_quote(run, own_price, region, term, vendor)
    similar = {a: q for a, q in seen.quotes.items() if q.silicon == target.silicon}
    tier = tier or ("specialist" if {q.tier for q in similar.values()} - {"hyperscaler"} or not similar else "hyperscaler")
    tiers = ("hyperscaler", "specialist", "marketplace")
    targets = [replace(target, day=when, tier=each) for each in (tier, *tiers) for when in period.days]
    found = predict_rent(list(seen.quotes.values()), targets)
    own = average_predictions(found[: len(period.days)])
    level = RentPrediction(own.log_mean, own.market_sd, own.market_sd)
    used = {a: q.usd_per_gpu_hour for a, q in similar.items()}
    how, caveat = _described(target, tier, period, similar, len(seen.quotes))
    wide = average_predictions(found[len(period.days) :])
    return Evidence(_belief(own), _belief(level), _belief(wide), used, seen.excluded, how, caveat)


def warn_if_too_cheap(run: Run) -> None:
    """Warn if a run's rent is below every quote for its chip's silicon, which is more often a typing error than a bargain.

    Args:
        run: its price may be of any kind; only a rent given as one number is compared.

    Warns:
        TrainsimWarning: the rent is below the cheapest quote known; names that quote.
    """
    if not isinstance(run.price, Rental) or np.ndim(run.price.usd_per_gpu_hour):
        return
    silicon, price = _silicon(run.cluster.chip), run.price.usd_per_gpu_hour
    offers = (line for line in table_lines("rents") if line["term"] != "imputed" and line["tier"] != "mixed")
    if any(float(line["usd_per_gpu_hour"] or "inf") <= price and _chip_silicon(line["chip"]) == silicon for line in offers):
        return  # stops at the first quote at or below the price, so that the others need not be parsed
    quotes = [quote for quote in usable_quotes().quotes.values() if quote.silicon == silicon]
    cheapest = min(quotes, key=lambda quote: quote.usd_per_gpu_hour, default=None)
    if cheapest is not None and run.price.usd_per_gpu_hour < cheapest.usd_per_gpu_hour:
        known = f"{cheapest.usd_per_gpu_hour:.2f} USD/GPU-h ({cheapest.chip}, {cheapest.vendor}, {cheapest.term}, {cheapest.day})"
        text = f"price.usd_per_gpu_hour={run.price.usd_per_gpu_hour:g} is below the cheapest quote known of {silicon}, {known}"
        warnings.warn(TrainsimWarning(text), stacklevel=2)


def _rental_period(run: Run, own_price: Rental | None, as_of: dt.date | None, day: dt.date | None) -> RentalPeriod | None:
    if day is None and (row := row_of(run)) is not None:
        return rental_period(row)
    if day is None and own_price is not None and own_price.date:
        day = day_of(own_price.date, "price.date")
    day = day or as_of
    return None if day is None else RentalPeriod((day,), True)


def _target_quote(run: Run, own_price: Rental | None, region: str, term: str, vendor: str) -> RentQuote:
    """The quote to predict; its day and tier are set later."""
    part = run.cluster.chip
    own_term = "" if own_price is None or own_price.term not in TERMS else own_price.term
    return RentQuote(
        day=dt.date.min,
        chip=part.name,
        silicon=_silicon(part),
        peak=_peak(part),
        tier="specialist",
        term=term or own_term or "on-demand",
        region=region or ("" if own_price is None else own_price.region) or "global",
        vendor=vendor or "a new vendor",
    )


@lru_cache(maxsize=256)
def _chip_silicon(name: str) -> str:
    """The generation of a chip's silicon, by the chip's id, without building its spec."""
    return str(rows("chips")[name].get("architecture") or name)


def _silicon(part: Chip) -> str:
    """Silicon generation of a chip; the name of the chip if it has none."""
    return part.architecture or part.name


def _peak(part: Chip) -> float:
    """Dense 16-bit peak [FLOP/s]."""
    peak = getattr(part.peak, part.half)
    if peak is None:
        rule = "has no dense 16-bit peak, from which rent is predicted"
        remedy = "give the chip's peak, or put a belief on price.usd_per_gpu_hour"
        raise CatalogError("cluster.chip.peak.bf16", part.name, rule, remedy, "conflict")
    return float(np.max(peak))


def _described(target: RentQuote, tier: str, period: RentalPeriod, similar: Mapping[str, RentQuote], total: int) -> tuple[str, str]:
    """How the prediction follows from the quotes, and its caveat."""
    local = [q for q in similar.values() if q.region == target.region]
    where = f" in {_place(target.region)}" if target.region != "global" else ""
    how = f"{tier} price{where}, {target.term}, {period}: {len(similar)} of {total} distinct quotes are of {target.silicon}"
    if target.region in SEPARATE_MARKETS:
        days = len({q.day for q in local})
        how += f", {len(local)} on {days} dates{where}"
        return how, f"{len(local)} observations on {days} dates: rent{where} can't be backtested"
    return how, "" if similar else f"no quote of {target.silicon} was public: predicted from its peak rate"


def _place(region: str) -> str:
    """A region in a sentence: China, the US."""
    return f"the {region.upper()}" if len(region) == 2 else region.title()


def _belief(prediction: RentPrediction) -> Belief:
    low, middle, high = prediction.quantile(TAILS)
    return ci90(float(low), float(middle), float(high))
