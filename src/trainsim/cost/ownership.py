"""Ownership: the cost of an owned accelerator per hour of use, from its price and the costs of the site."""

from __future__ import annotations

from typing import Annotated, Self

from ..core.errors import SpecError
from ..core.ledger import Ledger
from ..core.spec import Spec, invariant
from ..core.units import HOURS_PER_YEAR, Num, Unit
from .amortisation import Amortisation, Interest, Life, Residual, annuity
from .price import Price

MONTHS_PER_YEAR = 12.0
WATTS_PER_KILOWATT = 1000.0


class Site(Spec):
    """A data centre: power of the machines, and prices of electricity and hosting.

    Args:
        watts: power of one accelerator in use, including its share of server and network but not cooling [W/GPU].
        idle_watts: power of one idle accelerator [W/GPU].
        pue: facility power over machine power [1].
        usd_per_kwh: price of electricity [USD/kWh].
        rated_watts: contracted power, on which hosting is billed; None without hosting [W/GPU].
        usd_per_kw_month: price of hosting per contracted kilowatt; None for an owned building, which is then part of the capital
            [USD/kW/month].

    Raises:
        SpecError: only one of ``rated_watts`` and ``usd_per_kw_month`` is given.

    >>> Site(watts=1030, idle_watts=300, pue=1.25, usd_per_kwh=0.08).pue
    1.25
    """

    watts: Annotated[Num, Unit("W/GPU", "power in use, with the share of server and network", gt=0)]
    idle_watts: Annotated[Num, Unit("W/GPU", "power while idle", ge=0)]
    pue: Annotated[Num, Unit("", "PUE: facility power over machine power", ge=1)]
    usd_per_kwh: Annotated[Num, Unit("USD/kWh", "price of electricity", ge=0)]
    rated_watts: Annotated[Num, Unit("W/GPU", "contracted power", gt=0)] | None = None
    usd_per_kw_month: Annotated[Num, Unit("USD/kW/month", "price of hosting", ge=0)] | None = None

    @invariant
    def _consistent(self) -> Self:
        if (self.usd_per_kw_month is None) is not (self.rated_watts is None):
            missing = "rated_watts" if self.rated_watts is None else "usd_per_kw_month"
            raise SpecError(missing, None, "is missing: hosting is billed per contracted power", "give both, or neither", "missing")
        return self

    def yearly(self, utilization: Num) -> dict[str, Num]:
        """Yearly electricity and hosting of one accelerator at a utilization [USD/GPU/year]."""
        drawn = (self.watts * utilization + self.idle_watts * (1.0 - utilization)) / WATTS_PER_KILOWATT
        bill: dict[str, Num] = {"electricity": drawn * HOURS_PER_YEAR * self.pue * self.usd_per_kwh}
        if self.rated_watts is not None and self.usd_per_kw_month is not None:
            bill["hosting"] = self.rated_watts / WATTS_PER_KILOWATT * MONTHS_PER_YEAR * self.usd_per_kw_month
        return bill


class Ownership(Price):
    """Cost of an owned accelerator per hour of use.

    ``rate = (capital · charge + operation) / (8766 h · utilization)`` with ``capital = server / (1 − network_share)``. ``charge`` is the
    share of the capital per year: the annuity of ``life_years`` and ``cost_of_capital``, or that of ``amortisation``.

    Args:
        usd_per_gpu: server price per accelerator; includes the network if ``network_share`` is 0 [USD/GPU].
        network_share: network between servers as a share of the cluster's price [1].
        life_years: useful life; None with ``amortisation`` [year].
        cost_of_capital: interest rate; None for no interest [1/year].
        residual_share: resale value at the end of life over the price [1].
        amortisation: another amortisation rule, instead of the annuity.
        operating_share: all operating costs per year over the capital; or give ``site`` [1/year].
        site: power and hosting costs.
        support_share: maintenance and support per year over the capital [1/year].
        staff_usd_per_gpu_year: cost of operating staff [USD/GPU/year].
        utilization: share of calendar hours in use [1].
        date: date of the prices; may be empty.

    Raises:
        SpecError: life and amortisation both given or both missing; operating costs given twice or not at all.

    Source: bill-of-materials ownership model of analysts (SemiAnalysis, AI cloud TCO); straight-line if interest is 0.

    >>> round(Ownership(usd_per_gpu=31728, life_years=4, operating_share=0.134, utilization=1).rate().total, 2)
    1.39
    >>> site = Site(watts=1030, idle_watts=300, pue=1.25, usd_per_kwh=0.08, rated_watts=1370, usd_per_kw_month=130)
    >>> print(Ownership(usd_per_gpu=30000, network_share=0.15, life_years=4, cost_of_capital=0.1, site=site, utilization=0.8).rate())
    total                 2.00 USD/GPU-h   100.0%
      capital             1.59 USD/GPU-h    79.3%
        server            1.35 USD/GPU-h    67.4%
        network          0.238 USD/GPU-h    11.9%
      operation          0.415 USD/GPU-h    20.7%
        electricity      0.110 USD/GPU-h     5.5%
        hosting          0.305 USD/GPU-h    15.2%
        support              0 USD/GPU-h     0.0%
        staff                0 USD/GPU-h     0.0%
    """

    usd_per_gpu: Annotated[Num, Unit("USD/GPU", "server price, network included if network_share is 0", gt=0)]
    network_share: Annotated[Num, Unit("", "network as a share of the cluster's price", ge=0, lt=1)] = 0.0
    life_years: Life | None = None
    cost_of_capital: Interest | None = None
    residual_share: Residual | None = None
    amortisation: Amortisation | None = None
    operating_share: Annotated[Num, Unit("1/year", "yearly operating costs over capital", ge=0)] | None = None
    site: Site | None = None
    support_share: Annotated[Num, Unit("1/year", "yearly support costs over capital", ge=0)] = 0.0
    staff_usd_per_gpu_year: Annotated[Num, Unit("USD/GPU/year", "cost of operating staff", ge=0)] = 0.0
    utilization: Annotated[Num, Unit("", "share of calendar hours in use", gt=0, le=1)]
    date: str = ""

    @invariant
    def _consistent(self) -> Self:
        if self.amortisation is None and self.life_years is None:
            raise SpecError("life_years", None, "is required", "give the useful life, or amortisation=ts.ValueDecline(…)", "missing")
        if self.amortisation is not None:
            for name in ("life_years", "cost_of_capital", "residual_share"):
                if getattr(self, name) is not None:
                    raise SpecError(
                        name,
                        getattr(self, name),
                        "is given together with amortisation, which replaces it",
                        f"give {name} or amortisation",
                        "conflict",
                    )
        if self.operating_share is None and self.site is None:
            raise SpecError(
                "operating_share", None, "is missing: machines need power", "give it, or site=…; 0 means capital costs only", "missing"
            )
        if self.operating_share is not None and self.site is not None:
            raise SpecError(
                "operating_share",
                self.operating_share,
                "is given together with site: power would be paid twice",
                "give operating_share or site",
                "duplicate",
            )
        return self

    def capital(self) -> Ledger:
        """Purchase price of one accelerator, with its share of the network [USD/GPU]."""
        network = self.usd_per_gpu * self.network_share / (1.0 - self.network_share)
        return Ledger("USD/GPU", {"server": self.usd_per_gpu, "network": network})

    def charge(self) -> Num:
        """Share of the capital charged per year [1/year]."""
        if self.amortisation is not None:
            return self.amortisation.yearly()
        assert self.life_years is not None  # the constructor has checked this
        interest = 0.0 if self.cost_of_capital is None else self.cost_of_capital
        return annuity(self.life_years, interest, 0.0 if self.residual_share is None else self.residual_share)

    def operation(self) -> Ledger:
        """Operating cost of one accelerator [USD/GPU/year]."""
        capital = self.capital().total
        if self.operating_share is not None:
            running: dict[str, Num] = {"all": self.operating_share * capital}
        else:
            assert self.site is not None  # the constructor has checked this
            running = self.site.yearly(self.utilization)
        staffed = {"support": self.support_share * capital, "staff": self.staff_usd_per_gpu_year}
        return Ledger("USD/GPU/year", {**running, **staffed})

    def rate(self) -> Ledger:
        """Capital and operation per hour of use [USD/GPU-h]."""
        used_hours = HOURS_PER_YEAR * self.utilization
        capital = self.capital().scaled(self.charge() / used_hours, "USD/GPU-h")
        return Ledger("USD/GPU-h", {"capital": capital, "operation": self.operation().scaled(1.0 / used_hours, "USD/GPU-h")})


def break_even_price(owner: Ownership, usd_per_gpu_hour: Num) -> Num:
    """Server price at which an hour of use costs a given amount.

    ``(rate · 8766 h · u − electricity − hosting − staff) (1 − network_share) / (charge + operating_share + support_share)``

    Args:
        owner: the ownership; its server price is ignored.
        usd_per_gpu_hour: cost of an hour, number or array ``(n,)`` [USD/GPU-h].

    Returns:
        the price [USD/GPU]; negative if electricity and hosting alone cost more.

    Source: :meth:`Ownership.rate`, which is linear in the price, solved for it.

    >>> owner = Ownership(usd_per_gpu=30000, life_years=4, operating_share=0.1, utilization=0.8)
    >>> round(float(break_even_price(owner, owner.rate().total)), 6)
    30000.0
    """
    shares = owner.charge() + owner.support_share + (0.0 if owner.operating_share is None else owner.operating_share)
    power: Num = 0.0 if owner.site is None else sum(owner.site.yearly(owner.utilization).values())
    left = usd_per_gpu_hour * HOURS_PER_YEAR * owner.utilization - power - owner.staff_usd_per_gpu_year
    return left * (1.0 - owner.network_share) / shares
