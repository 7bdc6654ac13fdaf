"""Exchange rates by year, for figures given in a currency other than dollars."""

from __future__ import annotations

import datetime as dt

from ..core.errors import CatalogError
from .rows import PUBLISHED, find, rows


def usd_per(currency: str, day: dt.date) -> float:
    """Mean exchange rate of a currency in the year of a date [USD per unit]; the nearest known year if that year has no rate.

    Args:
        currency: ISO code, ``"CNY"``.
        day: date of the figure.

    Raises:
        CatalogError: no rate is known for the currency.

    >>> round(usd_per("CNY", dt.date(2024, 12, 26)), 3)
    0.139
    """
    if currency not in rows("currencies"):
        remedy = f"give dollars, or one of {', '.join(rows('currencies'))}"
        raise CatalogError("currency", currency, "has no exchange rate in the catalogue", remedy, "unknown-name")
    rates = find("currencies", currency)["per_usd"]
    year = min(rates, key=lambda known: abs(int(known) - day.year))
    return 1.0 / float(rates[year])


def latest_rate(currency: str) -> tuple[float, str]:
    """Latest known exchange rate of a currency [USD per unit], and the rate in words.

    Args:
        currency: ISO code.

    Raises:
        CatalogError: no rate is known for the currency.

    >>> latest_rate("CNY")[1]
    '7.188 CNY a dollar, the mean of 2025'
    """
    usd = usd_per(currency, PUBLISHED)
    year = max(find("currencies", currency)["per_usd"])
    return usd, f"{1 / usd:.4g} {currency} a dollar, the mean of {year}"
