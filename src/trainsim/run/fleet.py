"""Fleet: the accelerators a lab owns, what they cost to buy (a stock) and to run (a flow)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Self

from ..core.answer import Answer, AnswerRow, Summary
from ..core.errors import SpecError
from ..core.ledger import Ledger
from ..core.spec import ByName, Spec, invariant
from ..core.units import HOURS_PER_YEAR, Num, Unit
from ..cost.ownership import Ownership


class Holding(Spec):
    """Accelerators of one kind.

    Args:
        name: how paths address it: ``holdings.H800.gpus``.
        gpus: how many [GPU].
        ownership: what one cost to buy and costs to run, and its life.

    Raises:
        SpecError: an ownership without a life: a stock can't be run over it.

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
                "ownership.life_years", None, "is needed: a fleet is run over its life", "give life_years, not amortisation", "missing"
            )
        return self

    @property
    def life_years(self) -> Num:
        """Useful life [year]."""
        assert self.ownership.life_years is not None  # checked when built
        return self.ownership.life_years


class Fleet(Spec):
    """Everything a lab owns to compute with.

    Args:
        name: what reports call it.
        holdings: by kind.
        whose: whose operating costs these are, in words: an analyst's results can be added up, not derived.
        date: day whose dollars these are; empty where not stated.

    Raises:
        SpecError: two holdings of one name, or none.

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
    """What a fleet is worth and takes: stock and flow apart; they meet only over a stated life."""

    fleet: Fleet

    @cached_property
    def capital(self) -> Ledger:
        """Bought, by kind and part [USD]: a stock."""
        return Ledger("USD", {h.name: h.ownership.capital().scaled(h.gpus, "USD") for h in self.fleet.holdings}, kind="stock")

    @cached_property
    def operation(self) -> Ledger:
        """To run it for a year, by kind and part [USD/year]: a flow."""
        return Ledger("USD/year", {h.name: h.ownership.operation().scaled(h.gpus, "USD/year") for h in self.fleet.holdings})

    @cached_property
    def over_life(self) -> Ledger:
        """Bought and run to the end of its life, by kind [USD]: interest and resale left out."""
        parts = {
            h.name: {"capital": self.capital.part(h.name).total, "operation": self.operation.part(h.name).total * h.life_years}
            for h in self.fleet.holdings
        }
        return Ledger("USD", parts, kind="stock")

    @cached_property
    def clock_hours(self) -> Mapping[str, Ledger]:
        """An hour of the clock of one accelerator, used or not, by kind; interest and resale left out [USD/GPU-h].

        ``(capital + operation · life) / (gpus · life · 8766 h)``
        """
        return {
            h.name: self.over_life.part(h.name).scaled(1.0 / (h.gpus * h.life_years * HOURS_PER_YEAR), "USD/GPU-h")
            for h in self.fleet.holdings
        }

    def summary(self) -> Summary:
        """Bought, run for a year, and over the life; then by kind."""
        rows = [
            AnswerRow("capital", "bought", self.capital.total, "USD"),
            AnswerRow("operation", "run for a year", self.operation.total, "USD/year"),
            AnswerRow("over_life", "bought and run over its life", self.over_life.total, "USD"),
        ]
        rows += [
            AnswerRow(f"over_life.{n}", n, self.over_life.part(n).total, "USD", group="Over its life, by kind") for n in self.over_life
        ]
        rows += [
            AnswerRow(f"clock_hours.{n}", n, hour.total, "USD/GPU-h", group="An hour of the clock") for n, hour in self.clock_hours.items()
        ]
        return Summary(f"fleet {self.fleet.name}", tuple(rows), (), self.fleet.sources())


def estimate_fleet(fleet: Fleet) -> FleetEstimate:
    """Capital, operation and hours of a fleet, by the inputs given; nothing is looked up.

    Args:
        fleet: its numbers may be arrays ``(n,)`` inside a batch.

    Returns:
        capital and operation [USD] and accelerator-hours [GPU-h], by holding.

    >>> owner = Ownership(usd_per_gpu=30000, life_years=4, operating_share=0.1, utilization=1)
    >>> est = estimate_fleet(Fleet(holdings=[Holding(name="H800", gpus=10_000, ownership=owner)]))
    >>> est.capital.total, est.operation.total, round(est.clock_hours["H800"].total, 3)
    (300000000.0, 30000000.0, 1.198)
    """
    return FleetEstimate(fleet)


def reported_holding(name: str, gpus: float, usd_per_gpu: float, operating_usd: float, years: float) -> Holding:
    """A holding from a line of a published table that gives operating cost as a result, without its inputs.

    Args:
        name: kind.
        gpus: how many.
        usd_per_gpu: server and network of one [USD/GPU].
        operating_usd: to run them all over the life [USD].
        years: life.

    >>> held = reported_holding("H800", gpus=10_000, usd_per_gpu=31_728, operating_usd=170e6, years=4)
    >>> round(estimate_fleet(Fleet(holdings=[held])).clock_hours["H800"].total, 2)
    1.39
    """
    share = operating_usd / (gpus * usd_per_gpu * years)
    return Holding(
        name=name, gpus=gpus, ownership=Ownership(usd_per_gpu=usd_per_gpu, life_years=years, operating_share=share, utilization=1.0)
    )
