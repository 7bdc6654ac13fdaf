"""Fleet: the accelerators that a lab owns, with their purchase cost (a stock) and operating cost (a flow)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Self

from ..core.answer import Answer, AnswerRow, Summary
from ..core.by_name import ByName
from ..core.errors import SpecError
from ..core.ledger import Ledger
from ..core.spec import Spec, invariant
from ..core.units import HOURS_PER_YEAR, Num, Unit
from ..cost.ownership import Ownership


class Holding(Spec):
    """Accelerators of one kind in a fleet.

    Args:
        name: name in paths: ``holdings.H800.gpus``.
        gpus: number of accelerators [GPU].
        ownership: purchase cost, operating cost and service life of one accelerator.

    Raises:
        SpecError: the ownership has no service life.

    >>> owner = Ownership(usd_per_gpu=30000, life_years=4, operating_share=0.1, utilization=1)
    >>> Holding(name="H800", gpus=10_000, ownership=owner).life_years
    4.0
    """

    name: str
    gpus: Annotated[Num, Unit("GPU", "accelerators owned", gt=0)]
    ownership: Ownership

    @invariant
    def _consistent(self) -> Self:
        if self.ownership.life_years is None:
            raise SpecError(
                "ownership.life_years",
                None,
                "is needed to compute the cost over the fleet's life",
                "give life_years, not amortisation",
                "missing",
            )
        return self

    @property
    def life_years(self) -> Num:
        """Service life [year]."""
        assert self.ownership.life_years is not None  # the constructor has checked this
        return self.ownership.life_years


class Fleet(Spec):
    """All accelerators that a lab owns.

    Args:
        name: name in reports.
        holdings: accelerators by kind.
        whose: origin of the operating costs, in words; an analyst's results can be summed, but not derived from inputs.
        date: date of the dollar amounts; empty if not stated.

    Raises:
        SpecError: no holdings, or two of one name.

    >>> owner = Ownership(usd_per_gpu=30000, life_years=4, operating_share=0.1, utilization=1)
    >>> fleet = Fleet(name="lab", holdings=[Holding(name=kind, gpus=10_000, ownership=owner) for kind in ("H800", "H20")])
    >>> estimate_fleet(fleet).capital.total
    600000000.0
    """

    name: str = "fleet"
    holdings: Annotated[Sequence[Holding], ByName()]
    whose: str = ""
    date: str = ""

    @invariant
    def _consistent(self) -> Self:
        if not self.holdings:
            raise SpecError("holdings", self.holdings, "is empty", "give at least one ts.Holding(name, gpus=…, ownership=…)", "empty")
        return self


@dataclass(frozen=True, repr=False)
class FleetEstimate(Answer):
    """Cost of a fleet: purchase as a stock, operation as a flow, and both over the service life."""

    fleet: Fleet

    @cached_property
    def capital(self) -> Ledger:
        """Purchase cost by kind and part, a stock [USD]."""
        return Ledger("USD", {h.name: h.ownership.capital().scaled(h.gpus, "USD") for h in self.fleet.holdings}, kind="stock")

    @cached_property
    def operation(self) -> Ledger:
        """Operating cost by kind and part, a flow [USD/year]."""
        return Ledger("USD/year", {h.name: h.ownership.operation().scaled(h.gpus, "USD/year") for h in self.fleet.holdings})

    @cached_property
    def over_life(self) -> Ledger:
        """Purchase and operation over the service life, by kind, without interest and resale [USD]."""
        parts = {
            h.name: {"capital": self.capital.part(h.name).total, "operation": self.operation.part(h.name).total * h.life_years}
            for h in self.fleet.holdings
        }
        return Ledger("USD", parts, kind="stock")

    @cached_property
    def clock_hours(self) -> Mapping[str, Ledger]:
        """Cost of one accelerator per wall-clock hour, used or not, by kind, without interest and resale [USD/GPU-h].

        ``(capital + operation · life) / (gpus · life · 8766 h)``
        """
        return {
            h.name: self.over_life.part(h.name).scaled(1.0 / (h.gpus * h.life_years * HOURS_PER_YEAR), "USD/GPU-h")
            for h in self.fleet.holdings
        }

    def summary(self) -> Summary:
        """Purchase, operation per year and total over the service life; then by kind."""
        rows = [
            AnswerRow("capital", "purchase", self.capital.total, "USD"),
            AnswerRow("operation", "operation", self.operation.total, "USD/year"),
            AnswerRow("over_life", "purchase and operation over its life", self.over_life.total, "USD"),
        ]
        rows += [
            AnswerRow(f"over_life.{n}", n, self.over_life.part(n).total, "USD", group="Over its life, by kind") for n in self.over_life
        ]
        rows += [
            AnswerRow(f"clock_hours.{n}", n, hour.total, "USD/GPU-h", group="Per wall-clock hour") for n, hour in self.clock_hours.items()
        ]
        return Summary(f"fleet {self.fleet.name}", tuple(rows), (), self.fleet.sources())


def estimate_fleet(fleet: Fleet) -> FleetEstimate:
    """Estimate the cost of a fleet from the given inputs; nothing is looked up.

    Args:
        fleet: the fleet; its numbers may be arrays ``(n,)`` inside a batch.

    Returns:
        capital [USD], operation [USD/year] and cost per wall-clock hour [USD/GPU-h], by holding.

    >>> owner = Ownership(usd_per_gpu=30000, life_years=4, operating_share=0.1, utilization=1)
    >>> est = estimate_fleet(Fleet(holdings=[Holding(name="H800", gpus=10_000, ownership=owner)]))
    >>> est.capital.total, est.operation.total, round(est.clock_hours["H800"].total, 3)
    (300000000.0, 30000000.0, 1.198)
    """
    return FleetEstimate(fleet)


def reported_holding(name: str, gpus: float, usd_per_gpu: float, operating_usd: float, years: float) -> Holding:
    """A holding from one line of a published table that states the operating cost but not the inputs it was computed from.

    Args:
        name: kind of accelerator.
        gpus: number of accelerators [GPU].
        usd_per_gpu: purchase cost of one, with server and network [USD/GPU].
        operating_usd: operating cost of all of them over the service life [USD].
        years: service life [year].

    >>> held = reported_holding("H800", gpus=10_000, usd_per_gpu=31_728, operating_usd=170e6, years=4)
    >>> round(estimate_fleet(Fleet(holdings=[held])).clock_hours["H800"].total, 2)
    1.39
    """
    share = operating_usd / (gpus * usd_per_gpu * years)
    return Holding(
        name=name, gpus=gpus, ownership=Ownership(usd_per_gpu=usd_per_gpu, life_years=years, operating_share=share, utilization=1.0)
    )
