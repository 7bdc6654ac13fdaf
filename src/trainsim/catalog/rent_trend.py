"""Quoted rents of a run's chips over the years, with the fitted trend."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass, replace

from ..core.answer import Answer, AnswerRow, Summary
from ..core.errors import CatalogError
from ..cost.rent_model import RentQuote, predict_rent
from ..cost.rental import Rental
from ..run.run import Run
from .evidence import TAILS
from .rents import _rental_period, _target_quote, usable_quotes

STEP, BEFORE = 30, 90
"""Days between points of the trend, and days by which the trend starts before the first quote."""


@dataclass(frozen=True, repr=False)
class RentTrend(Answer):
    """Quoted and predicted rents of chips of one silicon generation.

    Args:
        chip: the chip whose rent is predicted.
        days: days of the trend.
        levels: P5, P50 and P95 of the price that a vendor without a quote would ask on each day [USD/GPU-h].
        quotes: distinct quotes of the chip's silicon, to which the trend is fitted.
        term: term of the predicted price.
        day: the median day of the run's months; None if unknown.
        sources: address → source of each quote.
    """

    chip: str
    days: tuple[dt.date, ...]
    levels: tuple[tuple[float, float, float], ...]
    quotes: tuple[RentQuote, ...]
    term: str
    day: dt.date | None
    sources: tuple[str, ...]

    def on(self, day: dt.date) -> tuple[float, float, float]:
        """P5, P50 and P95 on the day of the trend nearest to a day [USD/GPU-h]."""
        nearest = min(range(len(self.days)), key=lambda i: abs((self.days[i] - day).days))
        return self.levels[nearest]

    def summary(self) -> Summary:
        """The rent in the run's months, and at both ends of the trend."""
        asked = {"asked": self.day} if self.day is not None else {}
        days = {**asked, "first": self.days[0], "last": self.days[-1]}
        rows = []
        for name, day in days.items():
            low, middle, high = self.on(day)
            rows.append(AnswerRow(name, f"on {day}", middle, "USD/GPU-h", low, high))
        rows.append(AnswerRow("quotes", "quotes", len(self.quotes)))
        return Summary(f"rent of {self.chip}, {self.term}", tuple(rows), sources={source: source for source in self.sources})


def rent_trend(run: Run, as_of: dt.date | str | None = None) -> RentTrend:
    """Rent that one more vendor would have quoted for a run's chips, month by month, with all quotes for such chips.

    Args:
        run: the run whose chips are rented.
        as_of: quotes that became public later are excluded; a date or ``"2024-12-25"``.

    Returns:
        the trend, and the quotes to which it is fitted.

    Raises:
        CatalogError: no quote of the chip's silicon was public.

    >>> from trainsim.catalog.runs import run
    >>> found = rent_trend(run("deepseek-v3"))
    >>> 1.5 < found.on(dt.date(2024, 11, 1))[1] < 4.0, len(found.quotes) > 20
    (True, True)
    """
    known = dt.date.fromisoformat(as_of) if isinstance(as_of, str) else as_of
    seen = usable_quotes(run, known)
    own_price = run.price if isinstance(run.price, Rental) else None
    like = _target_quote(run, own_price, "", "", "")
    near = {address: quote for address, quote in seen.quotes.items() if quote.silicon == like.silicon}
    if not near:
        raise CatalogError(
            "catalog.rents", run.cluster.chip.name, "has no public quote", "put a belief on price.usd_per_gpu_hour", "too-few-data"
        )
    quotes = tuple(sorted(near.values(), key=lambda quote: quote.day))
    period = _rental_period(run, own_price, known, None)
    months = () if period is None else period.days
    days = tuple(_days(quotes[0].day, max((quotes[-1].day, *months))))
    predicted = predict_rent(list(seen.quotes.values()), [replace(like, day=day) for day in days])
    levels = tuple((float(low), float(middle), float(high)) for low, middle, high in (p.quantile(TAILS) for p in predicted))
    day = months[len(months) // 2] if months else None
    return RentTrend(run.cluster.chip.name, days, levels, quotes, like.term, day, tuple(sorted(near)))


def _days(first: dt.date, last: dt.date) -> Iterator[dt.date]:
    day = first - dt.timedelta(days=BEFORE)
    while day < last:
        yield day
        day += dt.timedelta(days=STEP)
    yield last
