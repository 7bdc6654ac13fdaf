"""What an accelerator-hour costs: rented, or owned."""

from __future__ import annotations

import abc
from typing import Annotated

from ..ledger import Ledger
from ..spec import Family
from ..units import HOURS_PER_YEAR, Num, Unit


class Price(Family):
    """What one accelerator costs per wall-clock hour of a run."""

    @abc.abstractmethod
    def rate(self) -> Ledger:
        """The price of an hour by part [USD/GPU-h]."""


class Rental(Price):
    """Rent per accelerator-hour.

    Args:
        usd_per_gpu_hour: nominal dollars of the stated date.
        date, term, region: which market the quote is from; empty where not stated.

    >>> Rental(usd_per_gpu_hour=2.0).rate().total
    2.0
    """

    usd_per_gpu_hour: Annotated[Num, Unit("USD/GPU-h", "rent", gt=0)]
    date: str = ""
    term: str = ""
    region: str = ""

    def rate(self) -> Ledger:
        """The rent."""
        return Ledger("USD/GPU-h", {"rent": self.usd_per_gpu_hour})


class Ownership(Price):
    """What an owned accelerator costs per hour it is used, straight-line.

    ``rate = capital · (1/life + operating_share) / (8766 h · utilization)``

    Args:
        usd_per_gpu: server and network per accelerator.
        life_years: useful life.
        operating_share: power, hosting, staff per year as a share of the capital.
        utilization: share of the clock hours some run uses it.

    Source: straight-line depreciation with operating cost as a share of capital, the form of the published fleet tables.

    >>> round(Ownership(usd_per_gpu=31728, life_years=4, operating_share=0.134, utilization=1).rate().total, 2)
    1.39
    """

    usd_per_gpu: Annotated[Num, Unit("USD/GPU", "server and network", gt=0)]
    life_years: Annotated[Num, Unit("year", "useful life", gt=0)]
    operating_share: Annotated[Num, Unit("1/year", "operation per year over capital", ge=0)]
    utilization: Annotated[Num, Unit("", "share of clock hours used", gt=0, le=1)]

    def rate(self) -> Ledger:
        """Capital and operation per used hour."""
        per_used_hour = self.usd_per_gpu / (HOURS_PER_YEAR * self.utilization)
        return Ledger("USD/GPU-h", {"capital": per_used_hour / self.life_years, "operation": per_used_hour * self.operating_share})
