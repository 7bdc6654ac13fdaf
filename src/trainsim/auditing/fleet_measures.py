"""FleetMeasure and PayMeasure: a lab's accelerators and mean pay, from scenarios, analysts' tables and priors."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import partial

from ..catalog.evidence import interval
from ..catalog.fleets import fleet, fleet_beliefs
from ..catalog.rows import Row, rows
from ..claims.scope import Basis, Kind
from ..core.units import Num, Unit, human
from ..run.fleet import Fleet, estimate_fleet
from ..uncertainty.beliefs.beliefs import Beliefs
from ..uncertainty.sampling.engine import simulate
from ..uncertainty.sampling.simulation import Simulation
from .comparison import LEVELS, Prediction
from .disclosure import Disclosure, point
from .measure import OWNED, Contents, Measure, Predicted

HOPPERS = ("H100", "H200", "H800", "H20", "GH200")
"""Kinds of the Hopper generation in tables of fleets."""
DRAWS = 1 << 13


@dataclass(frozen=True)
class FleetMeasure(Measure):
    """A quantity of a lab's fleet: given by the user, or from a scenario of the catalogue.

    Args:
        quantity, lab: quantity of the claim, and the owner of the fleet.
        given: the fleet given by the user; None for the catalogue's rows.
        beliefs: the user's beliefs.
        seed: seed of the simulations.
    """

    quantity: str
    lab: str = ""
    given: Fleet | None = None
    beliefs: Beliefs | None = None
    seed: int = 1

    @property
    def kind(self) -> Kind:  # type: ignore[override]
        """``"stock"``; for operation, ``"run"`` over the fleet's life and ``"year"`` per year."""
        return {"fleet.operating": "run", "fleet.operating_per_year": "year"}.get(self.quantity, "stock")  # type: ignore[return-value]

    @property
    def default_contents(self) -> Contents:
        """The machines."""
        return frozenset({"fleet"})

    def admits(self, contents: Contents) -> bool:
        """Whether the contents are machines or the company."""
        return contents <= OWNED

    def relevant(self, contents: Contents) -> Contents:
        """The fleet as a whole."""
        return frozenset({"fleet"})

    def disclosures(self, contents: Contents | None, basis: Basis | None, day: dt.date) -> tuple[Disclosure, ...]:
        """The total of the user's fleet; the catalogue has no disclosures by labs."""
        if self.given is None or (self.beliefs is not None and len(self.beliefs)):
            return ()
        value = float(fleet_figures(self.given)[self.quantity])
        return (point(value, "sum of its holdings", sourced=False, count="machines" if self.quantity == "fleet.gpus" else ""),)

    def predicted(self, contents: Contents | None, basis: Basis | None, day: dt.date) -> Predicted | None:
        """Prediction from the user's beliefs, or from the catalogue's scenario of the lab's fleet."""
        if self.given is not None:
            sim = simulate(self.given, self.beliefs or Beliefs({}), fleet_figures, n=DRAWS, seed=self.seed)
            return Predicted(_prediction(sim, self.quantity), "the beliefs given")
        row = next((r for r in self._rows(day) if r.get("holdings")), None)
        if row is None:
            return None
        sim = fleet_scenario(row.id, self.seed)
        return Predicted(_prediction(sim, self.quantity), "a bottom-up scenario: counts are judgement", judged=True, newest=row.date)

    def tables(self, day: dt.date) -> list[str]:
        """Totals of analysts' tables of the lab's fleet, in words. They never confirm a claim."""
        if self.given is not None or self.quantity == "investment":
            return []
        found = []
        for row in self._rows(day):
            if row.get("reported"):
                total = float(fleet_figures(fleet(row.id))[self.quantity])
                found.append(f"an analyst's table, {row.evidence}, adds up to {human(total, 4)}: consistent, but no confirmation")
        return found

    def _rows(self, day: dt.date) -> list[Row]:
        return [row for row in rows("fleets").values() if row["lab"] == self.lab and row.date <= day]

    @property
    def scenario(self) -> str:
        """Always empty: the catalogue's scenario serves as the prediction, and nothing of it counts as the subject's own figure."""
        return ""

    @property
    def reason_unknown(self) -> str:
        """Reason that nothing is known."""
        return f"nothing is disclosed about the machines of {self.lab or 'the lab'}"


@dataclass(frozen=True)
class PayMeasure(Measure):
    """Mean yearly pay at a lab.

    Args:
        lab: name of the lab.
    """

    lab: str
    kind: Kind = "year"

    def predicted(self, contents: Contents | None, basis: Basis | None, day: dt.date) -> Predicted | None:
        """Prior on mean pay."""
        row = self.row(day)
        if row is None:
            return None
        law = interval(row).for_field(Unit("USD/year", "mean pay", gt=0), "pay")
        levels = tuple(float(law.ppf(q)) for q in LEVELS)
        return Predicted(Prediction(levels, law.cdf), f"a prior on mean pay ({row.grade})", judged=True, newest=row.date)  # type: ignore[arg-type]

    def row(self, day: dt.date) -> Row | None:
        """The prior row on the lab's pay that was public by a day; None if there is none."""
        return next((r for r in rows("priors").values() if self.lab in r.get("labs", ()) and r.date <= day), None)

    def relevant(self, contents: Contents) -> Contents:
        """People."""
        return frozenset({"people"})


def _prediction(sim: Simulation, name: str) -> Prediction:
    levels = tuple(float(q) for q in sim.quantile(name, LEVELS))
    return Prediction(levels, partial(_cdf, sim, name))  # type: ignore[arg-type]


def _cdf(sim: Simulation, name: str, value: float) -> float:
    return float(sim.cdf(name, value))


def fleet_scenario(name: str, seed: int = 1) -> Simulation:
    """Simulate a scenario fleet of the catalogue under its beliefs."""
    return simulate(fleet(name), fleet_beliefs(name), fleet_figures, n=DRAWS, seed=seed)


def fleet_figures(held: Fleet) -> dict[str, Num]:
    """Quantities of a fleet: chips, Hopper chips, purchase cost, operating cost over the life and per year."""
    est = estimate_fleet(held)
    capital = est.capital.total
    hopper = [h.gpus for h in held.holdings if h.name.upper() in HOPPERS]
    return {
        "fleet.gpus": sum((h.gpus for h in held.holdings), 0.0),
        "fleet.hoppers": sum(hopper, 0.0),
        "fleet.capex": capital,
        "fleet.operating": est.over_life.total - capital,
        "fleet.operating_per_year": est.operation.total,
        "investment": capital,
    }
