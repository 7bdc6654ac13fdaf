"""What an hour of a run's chips was asked for over the years, and the trend that is fitted to it."""

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
"""Days between points of the trend, and how long before the first quote it begins [day]."""


@dataclass(frozen=True, repr=False)
class RentTrend(Answer):
    """Rents of chips of one silicon, quoted and predicted.

    Args:
        chip: whose rent is predicted.
        days: of the trend.
        levels: 5, 50 and 95 % of one more vendor's price on each day [USD/GPU-h].
        quotes: distinct quotes of the chip's silicon, which the trend goes through.
        term: of the price that is predicted.
        day: that is asked about, the middle of the run's months; None where it isn't known.
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
        """5, 50 and 95 % on the day of the trend nearest to a day [USD/GPU-h]."""
        nearest = min(range(len(self.days)), key=lambda i: abs((self.days[i] - day).days))
        return self.levels[nearest]

    def summary(self) -> Summary:
        """The rent on the day asked about, and at both ends of the trend."""
        asked = {"asked": self.day} if self.day is not None else {}
        days = {**asked, "first": self.days[0], "last": self.days[-1]}
        rows = []
        for name, day in days.items():
            low, middle, high = self.on(day)
            rows.append(AnswerRow(name, f"on {day}", middle, "USD/GPU-h", low, high))
        rows.append(AnswerRow("quotes", "quotes", len(self.quotes)))
        return Summary(f"rent of {self.chip}, {self.term}", tuple(rows), sources={source: source for source in self.sources})


def rent_trend(run: Run, as_of: dt.date | str | None = None) -> RentTrend:
    """What one more vendor would have asked for an hour of a run's chips, month by month, beside every quote of such chips.

    Args:
        run: whose chips are rented; its months are the day that is asked about.
        as_of: quotes that became public later are hidden, a date or ``"2024-12-25"``.

    Returns:
        the trend and the quotes it goes through.

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
        raise CatalogError("catalog.rents", run.cluster.chip.name, "has no public quote", "give price its own belief", "too-few-data")
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
