"""Convert dollars between years by a price index."""

from __future__ import annotations

from collections.abc import Mapping

from ..core.errors import EstimateError
from ..core.units import Num


def convert_dollars(usd: Num, index: Mapping[int, float], paid: int, wanted: int) -> Num:
    """Convert dollars of one year to dollars of another.

    ``usd · index[wanted] / index[paid]``

    Args:
        usd: amount in dollars of the year ``paid``, number or array ``(n,)`` [USD].
        index: year → price index, any base.
        paid, wanted: years to convert from and to.

    Returns:
        the amount in dollars of the year ``wanted`` [USD].

    Raises:
        EstimateError: the index does not cover one of the years.

    >>> round(convert_dollars(100.0, {2022: 292.655, 2024: 313.689}, paid=2022, wanted=2024), 2)
    107.19
    """
    for year in (paid, wanted):
        if year not in index:
            raise EstimateError(
                "index", year, "is not a year of the price index", f"years: {', '.join(map(str, sorted(index)))}", "unknown-name"
            )
    return usd * index[wanted] / index[paid]
