"""When a run's machines were rented: the months of the run, not the day that it was published."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass

from ..core.units import HOURS_PER_DAY
from .rows import Row, day_of

LAG_DAYS = 60.0
"""Mean time from a run's last day to its release, where its months are unpublished: exponential (judgement). BLOOM took a week, Llama 2 a
few days, OPT four months."""
USUAL_DAYS = 60.0
"""Length of a run whose hours or accelerators are unpublished (judgement)."""
PLACES = (0.1, 0.3, 0.5, 0.7, 0.9)
"""Quantiles of a day that stand for its distribution."""


@dataclass(frozen=True)
class RunMonths:
    """The days a run's rent is of.

    Args:
        days: quantiles of the day, earliest first: along the run where its months were published, over what they may have been otherwise.
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


def months_of(row: Row) -> RunMonths:
    """The months of a published run; where they are unpublished, a distribution of them before its release.

    The middle of an unpublished run lies ``lag + length / 2`` before the release: ``lag`` is exponential with mean ``LAG_DAYS``,
    ``length`` the run's hours over its accelerators. A row without ``released`` became public with the model.

    >>> from trainsim.catalog.rows import find
    >>> months_of(find("runs", "bloom-176b")).middle.isoformat()
    '2022-05-08'
    >>> print(months_of(find("runs", "llama3.1-405b")))
    February 2024 to June 2024 (assumed: before the release)
    """
    if trained := row.get("trained"):
        first, last = (day_of(told, f"{row.address}.trained") for told in trained)
        return RunMonths(tuple(first + p * (last - first) for p in PLACES), True)
    released = day_of(row.get("released", row.date), f"{row.address}.released")
    hours, gpus = row.get("gpu_hours"), row.get("gpus")
    length = hours / gpus / HOURS_PER_DAY if hours and gpus else USUAL_DAYS
    lags = (-LAG_DAYS * math.log1p(-p) + length / 2.0 for p in reversed(PLACES))
    return RunMonths(tuple(released - dt.timedelta(days=round(lag)) for lag in lags), False)
