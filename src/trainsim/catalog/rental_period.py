"""Rental period of a run: the months in which it was trained, rather than the day it was published."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass

from ..core.units import HOURS_PER_DAY
from .rows import Row, day_of

LAG_DAYS = 60.0
"""Mean of the exponential time from a run's last day to its release, for runs with unpublished months [day] (judgement). BLOOM took a week,
Llama 2 a few days, OPT four months."""
USUAL_DAYS = 60.0
"""Length of a run whose hours or accelerators are unpublished [day] (judgement)."""
LEVELS = (0.1, 0.3, 0.5, 0.7, 0.9)
"""Levels of the quantiles that represent the distribution of a day."""


@dataclass(frozen=True)
class RentalPeriod:
    """The days in which a run's accelerators were rented.

    Args:
        days: quantiles of the day, earliest first: days along the run if its months were published, else those of an assumed distribution.
        published: whether the run's months were published.
    """

    days: tuple[dt.date, ...]
    published: bool

    @property
    def middle(self) -> dt.date:
        """The median day."""
        return self.days[len(self.days) // 2]

    def __str__(self) -> str:
        first, last = (f"{day:%B %Y}" for day in (self.days[0], self.days[-1]))
        when = first if first == last else f"{first} to {last}"
        return when if self.published else f"{when} (assumed: before the release)"


def rental_period(row: Row) -> RentalPeriod:
    """Rental period of a published run; if its months are unpublished, a distribution before its release.

    The midpoint of a run with unpublished months is ``lag + length / 2`` before the release. ``lag`` is exponential, mean ``LAG_DAYS``;
    ``length`` is the run's hours divided by its accelerators. For a row without ``released``, the release is the day of the row.

    >>> from trainsim.catalog.rows import find
    >>> rental_period(find("runs", "bloom-176b")).middle.isoformat()
    '2022-05-08'
    >>> print(rental_period(find("runs", "llama3.1-405b")))
    February 2024 to June 2024 (assumed: before the release)
    """
    if trained := row.get("trained"):
        first, last = (day_of(day, f"{row.address}.trained") for day in trained)
        return RentalPeriod(tuple(first + p * (last - first) for p in LEVELS), True)
    released = day_of(row.get("released", row.date), f"{row.address}.released")
    hours, gpus = row.get("gpu_hours"), row.get("gpus")
    length = hours / gpus / HOURS_PER_DAY if hours and gpus else USUAL_DAYS
    lags = (-LAG_DAYS * math.log1p(-p) + length / 2.0 for p in reversed(LEVELS))
    return RentalPeriod(tuple(released - dt.timedelta(days=round(lag)) for lag in lags), False)
