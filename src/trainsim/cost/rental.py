"""Rental: rent of an accelerator per hour."""

from __future__ import annotations

from typing import Annotated

from ..core.ledger import Ledger
from ..core.units import Num, Unit
from .price import Price


class Rental(Price):
    """Rent per accelerator-hour.

    Args:
        usd_per_gpu_hour: rent in nominal dollars of the stated date [USD/GPU-h].
        date, index, term, region: date and market of the rent; may be empty. On one day, rents of different markets can differ by dollars.

    >>> Rental(usd_per_gpu_hour=2.0).rate().total
    2.0
    """

    usd_per_gpu_hour: Annotated[Num, Unit("USD/GPU-h", "rent", gt=0)]
    date: str = ""
    index: str = ""
    term: str = ""
    region: str = ""

    def rate(self) -> Ledger:
        """The rent."""
        return Ledger("USD/GPU-h", {"rent": self.usd_per_gpu_hour})
