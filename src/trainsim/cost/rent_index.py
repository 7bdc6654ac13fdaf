"""Dated prices between and around their dates, and dollars of one year in those of another."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from ..core.errors import EstimateError
from ..core.units import HOURS_PER_DAY, HOURS_PER_YEAR, Num

QUARTER_DAYS = HOURS_PER_YEAR / HOURS_PER_DAY / 4.0
"""Rows are dated by quarter: closer than that they are neighbours."""
REACH = 2.0
"""Bandwidths from the nearest row beyond which a level would be extrapolation."""


@dataclass(frozen=True)
class RentLevel:
    """A price on a day: middle and interval, and how many rows carry it.

    ``low`` and ``high`` are the central ``coverage`` interval of one more quote of the same kind on that day.
    """

    day: dt.date
    low: float
    middle: float
    high: float
    coverage: float
    rows: float

    def __str__(self) -> str:
        return f"{self.middle:.2f} ({self.low:.2f} to {self.high:.2f}) on {self.day}, carried by {self.rows:.1f} rows"


def rent_on(
    day: dt.date, days: Sequence[dt.date], prices: Sequence[float], *, bandwidth_days: float = QUARTER_DAYS, coverage: float = 0.9
) -> RentLevel:
    """The level of a price on a day, from dated rows of one kind, with the spread of the rows around it.

    ``ln m = Σ w ln p / Σ w`` with ``w = exp(−(Δdays / bandwidth)² / 2)``; spread ``t · s √(1 + 1/n)`` where s is the weighted
    deviation, ``n = (Σ w)² / Σ w²`` the rows that carry it, and t Student's quantile at ``n − 1`` degrees of freedom.

    Args:
        day: the day asked for.
        days, prices: dated rows of one chip and term, shape ``(rows,)`` each [USD/GPU-h]. Rows a judge must not see are left
            out by the caller.
        bandwidth_days: how far a row counts as a neighbour.
        coverage: of the interval.

    Raises:
        EstimateError: no rows, lengths that differ, a price that is not positive, a day beyond ``REACH`` bandwidths of any
            row, or rows that carry less than two quotes: no spread can be told.

    Source: Nadaraya-Watson smoothing with a prediction interval; effective rows after Kish 1965.

    >>> days = [dt.date(2024, 3, 31), dt.date(2024, 6, 30), dt.date(2024, 9, 30), dt.date(2024, 12, 31)]
    >>> print(rent_on(dt.date(2024, 7, 31), days, [3.5, 3.45, 3.0, 2.9]))
    3.24 (2.45 to 4.30) on 2024-07-31, carried by 3.3 rows
    """
    level = np.asarray(prices, dtype=np.float64)
    if len(days) != level.size or level.size == 0:
        raise EstimateError("rent.rows", (len(days), level.size), "are no dated prices", "give as many days as prices, at least two")
    if not np.all(level > 0):
        raise EstimateError("rent.prices", float(level.min()), "must be > 0", "leave the row out")
    apart = np.array([(d - day).days for d in days], dtype=np.float64) / bandwidth_days
    if np.abs(apart).min() > REACH:
        raise EstimateError("rent.day", str(day), f"lies beyond {REACH:g} bandwidths of any row", "widen bandwidth_days, or add rows")
    weight = np.exp(-apart * apart / 2.0)
    carried = float(weight.sum() ** 2 / (weight * weight).sum())
    if carried < 2.0 - 1e-9:
        raise EstimateError(
            "rent.rows", round(carried, 2), "rows carry that day: no spread can be told", "widen bandwidth_days, or add rows"
        )
    middle, deviation = _weighted(np.log(level), weight, carried)
    reach = special.stdtrit(carried - 1.0, 0.5 + coverage / 2.0) * deviation * np.sqrt(1.0 + 1.0 / carried)
    return RentLevel(day, float(np.exp(middle - reach)), float(np.exp(middle)), float(np.exp(middle + reach)), coverage, carried)


def _weighted(values: NDArray[np.float64], weight: NDArray[np.float64], carried: float) -> tuple[float, float]:
    mean = float((weight * values).sum() / weight.sum())
    variance = float((weight * (values - mean) ** 2).sum() / weight.sum())
    return mean, float(np.sqrt(variance * carried / (carried - 1.0)))


def in_dollars_of(usd: Num, index: Mapping[int, float], paid: int, wanted: int) -> Num:
    """Dollars of one year in the money of another.

    ``usd · index[wanted] / index[paid]``

    Args:
        usd: number or array ``(n,)`` [USD of ``paid``].
        index: year → price index, any base.
        paid, wanted: years.

    Raises:
        EstimateError: the index has no such year.

    >>> round(in_dollars_of(100.0, {2022: 292.655, 2024: 313.689}, paid=2022, wanted=2024), 2)
    107.19
    """
    for year in (paid, wanted):
        if year not in index:
            raise EstimateError("index", year, "is no year of the price index", f"years: {', '.join(map(str, sorted(index)))}")
    return usd * index[wanted] / index[paid]
