"""Dollars of one year in those of another."""

from __future__ import annotations

from collections.abc import Mapping

from ..core.errors import EstimateError
from ..core.units import Num


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
            raise EstimateError(
                "index", year, "is no year of the price index", f"years: {', '.join(map(str, sorted(index)))}", "unknown-name"
            )
    return usd * index[wanted] / index[paid]
