"""Quote: an offer for reserved nodes, including storage, egress and support."""

from __future__ import annotations

from typing import Annotated, Literal, Self

import numpy as np

from ..core.errors import EstimateError, SpecError
from ..core.ledger import Ledger
from ..core.spec import Count, invariant
from ..core.units import HOURS_PER_DAY, HOURS_PER_YEAR, Num, Unit
from .ownership import MONTHS_PER_YEAR
from .price import Price

HOURS_PER_MONTH = HOURS_PER_YEAR / MONTHS_PER_YEAR

Per = Literal["GPU-hour", "GPU-month", "node-hour", "node-day", "node-month", "node-year"]


class Quote(Price):
    """An offer for nodes over a term, with a minimum share of hours that is billed whether used or not.

    ``invoice = price · (used + idle) + storage + egress + support`` with ``used + idle = max(used, commitment) · reserved hours``.
    The price of an hour is the invoice divided by the hours used.

    Args:
        nodes, gpus_per_node: reserved nodes, and accelerators per node.
        term_days: length of the reservation [day].
        price_per_gpu_hour: price of an hour; :func:`price_per_gpu_hour` converts prices per node or month [currency/GPU-h].
        used_share: share of the reserved hours that runs use [1].
        minimum_commitment: share of the reserved hours billed even if idle: 1 for a reservation, 0 on demand [1].
        storage_tb: data stored over the term [TB].
        price_per_tb_month: price of storage [currency/TB/month].
        egress_tb: outgoing data [TB].
        price_per_tb_egress: price of outgoing data [currency/TB].
        support_share: support as a share of the bill for hours [1].
        currency: ISO code of the currency.
        per_usd: exchange rate on ``date``; None for dollars [currency/USD].
        date, region, vendor: date, region and vendor of the offer; may be empty.

    Raises:
        SpecError: a foreign currency without exchange rate, or dollars with one.

    >>> offer = Quote(nodes=64, term_days=30, price_per_gpu_hour=2.0, used_share=0.8, storage_tb=500, price_per_tb_month=20)
    >>> print(offer.invoice())
    total              747K USD   100.0%
      used hours       590K USD    78.9%
      paid idle        147K USD    19.7%
      storage         9.86K USD     1.3%
      egress              0 USD     0.0%
      support             0 USD     0.0%
    """

    nodes: Count
    gpus_per_node: Count = 8
    term_days: Annotated[Num, Unit("day", "length of the reservation", gt=0)]
    price_per_gpu_hour: Annotated[Num, Unit("currency/GPU-h", "price in the quote's currency", gt=0)]
    used_share: Annotated[Num, Unit("", "share of reserved hours used", gt=0, le=1)]
    minimum_commitment: Annotated[Num, Unit("", "share of reserved hours billed in any case", ge=0, le=1)] = 1.0
    storage_tb: Annotated[Num, Unit("TB", "data stored over the term", ge=0)] = 0.0
    price_per_tb_month: Annotated[Num, Unit("currency/TB/month", "price of storage", ge=0)] = 0.0
    egress_tb: Annotated[Num, Unit("TB", "outgoing data", ge=0)] = 0.0
    price_per_tb_egress: Annotated[Num, Unit("currency/TB", "outgoing data", ge=0)] = 0.0
    support_share: Annotated[Num, Unit("", "support as a share of the bill for hours", ge=0)] = 0.0
    currency: str = "USD"
    per_usd: Annotated[Num, Unit("currency/USD", "exchange rate", gt=0)] | None = None
    date: str = ""
    region: str = ""
    vendor: str = ""

    @invariant
    def _consistent(self) -> Self:
        if (self.currency == "USD") is not (self.per_usd is None):
            if self.per_usd is None:
                rule = f"is not given, but the price is in {self.currency}"
                remedy = f"give the units of {self.currency} per USD, or prices in USD"
            else:
                rule, remedy = "is given for a price in dollars", "leave out per_usd, or give the currency of the price"
            raise SpecError("per_usd", self.per_usd, rule, remedy, "conflict")
        return self

    @property
    def reserved_gpu_hours(self) -> Num:
        """Reserved accelerators times hours of the term [GPU-h]."""
        return self.nodes * self.gpus_per_node * self.term_days * HOURS_PER_DAY

    @property
    def used_gpu_hours(self) -> Num:
        """Reserved hours that runs use [GPU-h]."""
        return self.reserved_gpu_hours * self.used_share

    def invoice(self) -> Ledger:
        """The bill of the whole term [USD]."""
        reserved = self.reserved_gpu_hours
        idle_share = np.maximum(self.minimum_commitment, self.used_share) - self.used_share
        used, idle = (reserved * share * self.price_per_gpu_hour for share in (self.used_share, idle_share))
        months = self.term_days * HOURS_PER_DAY / HOURS_PER_MONTH
        lines = {
            "used hours": used,
            "paid idle": idle,
            "storage": self.storage_tb * self.price_per_tb_month * months,
            "egress": self.egress_tb * self.price_per_tb_egress,
            "support": (used + idle) * self.support_share,
        }
        return Ledger("USD", lines, 1.0 if self.per_usd is None else 1.0 / self.per_usd)

    def used_by(self, gpu_hours: float) -> Quote:
        """The same offer with ``used_share`` set to that of a run, its only user.

        Args:
            gpu_hours: accelerator-hours of the run [GPU-h].

        Raises:
            EstimateError: the run needs more hours than are reserved.

        >>> offer = Quote(nodes=64, term_days=30, price_per_gpu_hour=2.0, used_share=1)
        >>> round(offer.used_by(250_000).used_share, 3)
        0.678
        """
        share = gpu_hours / self.reserved_gpu_hours
        if np.any(share > 1.0):
            rule = f"is more than the {float(np.max(self.reserved_gpu_hours)):,.0f} hours reserved"
            raise EstimateError("price.used_share", float(np.max(share)), rule, "reserve more nodes or days", "out-of-bounds")
        return self.replace({"used_share": share})

    def rate(self) -> Ledger:
        """The invoice divided by the hours used [USD/GPU-h]."""
        return self.invoice().scaled(1.0 / self.used_gpu_hours, "USD/GPU-h")


def price_per_gpu_hour(amount: Num, per: Per, gpus_per_node: int = 8) -> Num:
    """Convert a quoted price to a price per accelerator-hour in the same currency.

    Args:
        amount: the quoted price, number or array ``(n,)`` [currency].
        per: unit that the price is quoted for.
        gpus_per_node: accelerators per node.

    Returns:
        the price [currency/GPU-h].

    >>> round(price_per_gpu_hour(75_000, "node-month") / 7.25, 2)
    1.77
    """
    what, _, time = per.partition("-")
    hours = {"hour": 1.0, "day": HOURS_PER_DAY, "month": HOURS_PER_MONTH, "year": HOURS_PER_YEAR}[time]
    return amount / (hours * (gpus_per_node if what == "node" else 1))
