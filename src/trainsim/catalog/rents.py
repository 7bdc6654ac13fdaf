"""Rent of a run's chips, predicted from dated quotes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from ..cluster.hardware import Chip
from ..core.errors import CatalogError
from ..cost.pricing import Rental
from ..cost.rent_model import ABROAD, TERMS, RentPrediction, RentQuote, distinct, over_months, predict_rent
from ..run.run import Run
from ..uncertainty.distributions.distribution import Belief
from ..uncertainty.distributions.interval import ci90
from .evidence import TAILS, Evidence, why_hidden
from .hardware import chip
from .months import RunMonths, months_of
from .published import row_of
from .rows import Row, day_of, rows


@dataclass(frozen=True)
class SeenQuotes:
    """Quotes that a judge may use.

    Args:
        quotes: address → quote, distinct observations only.
        set_aside: address → why the row is not used.
    """

    quotes: Mapping[str, RentQuote]
    set_aside: Mapping[str, str]


def quote_of(row: Row) -> RentQuote:
    """A row of rents as a quote of the day its price held; a range of one tier at its geometric middle.

    >>> from trainsim.catalog.rows import find
    >>> quote_of(find("rents", "h100-china-2024-start")).day.isoformat()
    '2024-01-31'
    """
    part = chip(row["chip"])
    return RentQuote(
        day=day_of(row.get("held", row.date), f"{row.address}.held"),
        chip=part.name,
        silicon=_silicon(part),
        peak=_peak(part),
        tier=row["tier"],
        term=row["term"],
        region=row["region"],
        vendor=row["vendor"],
        usd_per_gpu_hour=float(row.get("usd_per_gpu_hour") or np.sqrt(row["low"] * row["high"])),
    )


def seen_quotes(run: Run | None = None, as_of: dt.date | None = None) -> SeenQuotes:
    """The distinct quotes that were public on a day, without those that derive from a run.

    Args:
        run: whose own rows are hidden.
        as_of: quotes that became public later are hidden.
    """
    usable: dict[str, RentQuote] = {}
    aside: dict[str, str] = {}
    for row in rows("rents").values():
        if why := why_hidden(row, run if row.derived_from else None, as_of) or _no_quote(row):
            aside[row.address] = why
        else:
            usable[row.address] = quote_of(row)
    kept = {id(quote) for quote in distinct(list(usable.values()))}
    aside |= {address: "the same price was seen again later" for address, quote in usable.items() if id(quote) not in kept}
    return SeenQuotes({address: quote for address, quote in usable.items() if id(quote) in kept}, aside)


def _no_quote(row: Row) -> str:
    if row["term"] == "imputed":
        return "imputed by a lab to its own machines"
    return "a peak or a mixture of tiers, not a quote of one kind" if row["tier"] == "mixed" else ""


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
    """What one more vendor would ask for an hour of the run's chips in the months of the run.

    The prediction is :func:`~trainsim.cost.rent_model.predict_rent`'s. The narrow reading is the market's level without what sets
    one vendor apart; the wide one does not know the tier.

    Args:
        run: whose chips are rented.
        as_of: quotes that became public later are hidden.
        region: where; the run's own price's where empty, then "global".
        day: when; the months of the published run where None, then the day of the run's own price, then ``as_of``, then the
            latest quote's.
        tier: "hyperscaler", "specialist" or "marketplace"; where empty specialist clouds, or hyperscalers where nobody else is
            known to offer the chip's silicon.
        term: "spot", "on-demand", "1-month", "1-year" or "3-year"; the run's own price's where empty, then "on-demand".
        vendor: whose price; a new vendor's where empty.

    Returns:
        the prior on rent [USD/GPU-h], with the quotes used and those set aside.

    Raises:
        CatalogError: no quote of any chip was public, or the chip has no dense 16-bit peak.
        EstimateError: an unknown tier or term.

    >>> from trainsim.catalog.runs import run
    >>> found = rent_evidence(run("deepseek-v3"))
    >>> 1.5 < found.belief.p50 < 4.0, len(found.used) >= 3
    (True, True)
    """
    seen = seen_quotes(run, as_of)
    if not seen.quotes:
        rule = f"quotes were public on {as_of}: too few to build a belief on"
        raise CatalogError("catalog.rents", 0, rule, "give price its own belief, or a later as_of", "too-few-data")
    stated = run.price if isinstance(run.price, Rental) else None
    months = _months(run, stated, as_of, day) or RunMonths((max(q.day for q in seen.quotes.values()),), True)
    like = _asked(run, stated, region, term, vendor)
    near = {a: q for a, q in seen.quotes.items() if q.silicon == like.silicon}
    tier = tier or ("specialist" if {q.tier for q in near.values()} - {"hyperscaler"} or not near else "hyperscaler")
    tiers = ("hyperscaler", "specialist", "marketplace")
    asked = [_at(like, when, each) for each in (tier, *tiers) for when in months.days]
    found = predict_rent(list(seen.quotes.values()), asked)
    own = over_months(found[: len(months.days)])
    level = RentPrediction(own.log_mean, own.market_sd, own.market_sd)
    used = {a: q.usd_per_gpu_hour for a, q in near.items()}
    how, caveat = _described(like, tier, months, near, len(seen.quotes))
    wide = over_months(found[len(months.days) :])
    return Evidence(_belief(own), _belief(level), _belief(wide), used, seen.set_aside, how, caveat)


def _months(run: Run, stated: Rental | None, as_of: dt.date | None, day: dt.date | None) -> RunMonths | None:
    if day is None and (row := row_of(run)) is not None:
        return months_of(row)
    if day is None and stated is not None and stated.date:
        day = day_of(stated.date, "price.date")
    day = day or as_of
    return None if day is None else RunMonths((day,), True)


def _asked(run: Run, stated: Rental | None, region: str, term: str, vendor: str) -> RentQuote:
    """The quote to predict, its day and tier left open."""
    part = run.cluster.chip
    said = "" if stated is None or stated.term not in TERMS else stated.term
    return RentQuote(
        day=dt.date.min,
        chip=part.name,
        silicon=_silicon(part),
        peak=_peak(part),
        tier="specialist",
        term=term or said or "on-demand",
        region=region or ("" if stated is None else stated.region) or "global",
        vendor=vendor or "a new vendor",
    )


def _silicon(part: Chip) -> str:
    """The generation of a chip's silicon; the chip itself where it names none."""
    return part.architecture or part.name


def _peak(part: Chip) -> float:
    """Dense 16-bit peak [FLOP/s]."""
    peak = getattr(part.peak, part.half)
    if peak is None:
        rule = "has no dense 16-bit peak, which rent is predicted from"
        raise CatalogError("cluster.chip.peak.bf16", part.name, rule, "give the chip its peak, or price its own belief", "conflict")
    return float(np.max(peak))


def _at(like: RentQuote, day: dt.date, tier: str) -> RentQuote:
    return replace(like, day=day, tier=tier)


def _described(like: RentQuote, tier: str, months: RunMonths, near: Mapping[str, RentQuote], total: int) -> tuple[str, str]:
    """How the prediction follows from its quotes, and what weakens it."""
    place = [q for q in near.values() if q.region == like.region]
    where = f" in {_place(like.region)}" if like.region != "global" else ""
    how = f"{tier} price{where}, {like.term}, {months}: {len(near)} of {total} distinct quotes are of {like.silicon}"
    if like.region in ABROAD:
        days = len({q.day for q in place})
        how += f", {len(place)} on {days} dates{where}"
        return how, f"{len(place)} observations on {days} dates: rent{where} can't be backtested"
    return how, "" if near else f"no quote of {like.silicon} was public: predicted from its peak rate"


def _place(region: str) -> str:
    """A region in a sentence: China, the US."""
    return f"the {region.upper()}" if len(region) == 2 else region.title()


def _belief(prediction: RentPrediction) -> Belief:
    low, middle, high = prediction.quantile(TAILS)
    return ci90(float(low), float(middle), float(high))
