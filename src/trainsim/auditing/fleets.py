"""A lab's machines and its pay as measures: analysts' tables, our own scenario, adverts."""

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
from .disclosure import Disclosure, point
from .measure import OWNED, Contents, Measure, Predicted
from .words import LEVELS, Prediction

FLEET = ("fleet.gpus", "fleet.capex", "fleet.operating", "fleet.operating_per_year", "investment")
"""Quantities of a fleet."""
HOPPERS = ("H100", "H200", "H800", "H20", "GH200")
"""Names of the Hopper generation in tables of fleets."""
DRAWS = 1 << 13


@dataclass(frozen=True)
class FleetMeasure(Measure):
    """A quantity of the machines a lab owns: what the user gives, or our scenario beside an analyst's table.

    Args:
        quantity: of the claim; lab: whose machines.
        given: the fleet as the user gives it; None for the catalogue's rows. beliefs: the user's own. seed: of simulations.
    """

    quantity: str
    lab: str = ""
    given: Fleet | None = None
    beliefs: Beliefs | None = None
    seed: int = 1

    @property
    def kind(self) -> Kind:  # type: ignore[override]
        """A stock; operation over the fleet's life is a flow, and a year of it a yearly one."""
        return {"fleet.operating": "run", "fleet.operating_per_year": "year"}.get(self.quantity, "stock")  # type: ignore[return-value]

    @property
    def usual(self) -> Contents:
        """The machines."""
        return frozenset({"fleet"})

    def admits(self, contents: Contents) -> bool:
        """Words about machines or the company are about a fleet."""
        return contents <= OWNED

    def relevant(self, contents: Contents) -> Contents:
        """A fleet is counted as a whole."""
        return frozenset({"fleet"})

    def facts(self, contents: Contents | None, basis: Basis | None, day: dt.date) -> tuple[Disclosure, ...]:
        """What the user's fleet adds up to; the catalogue has no lab's own account."""
        if self.given is None or (self.beliefs is not None and len(self.beliefs)):
            return ()
        value = float(fleet_figures(self.given)[self.quantity])
        return (point(value, "its holdings add up to that", sourced=False, count="machines" if self.quantity == "fleet.gpus" else ""),)

    def predicted(self, contents: Contents | None, basis: Basis | None, day: dt.date) -> Predicted | None:
        """Our scenario of the lab's machines, or the user's beliefs."""
        if self.given is not None:
            sim = simulate(self.given, self.beliefs or Beliefs({}), fleet_figures, n=DRAWS, seed=self.seed)
            return Predicted(_prediction(sim, self.quantity), "the beliefs given")
        row = next((r for r in self._rows(day) if r.get("holdings")), None)
        if row is None:
            return None
        sim = fleet_scenario(row.id, self.seed)
        return Predicted(_prediction(sim, self.quantity), "our scenario, bottom-up: counts are judgement", judged=True, newest=row.date)

    def tables(self, day: dt.date) -> list[str]:
        """What analysts' tables of the lab add up to, in words: recalled tables confirm nothing."""
        if self.given is not None or self.quantity == "investment":
            return []
        found = []
        for row in self._rows(day):
            if row.get("reported"):
                total = float(fleet_figures(fleet(row.id))[self.quantity])
                found.append(
                    f"an analyst's table, {row.evidence}, adds up to {human(total, 4)}: it agrees with itself, which proves nothing"
                )
        return found

    def _rows(self, day: dt.date) -> list[Row]:
        return [row for row in rows("fleets").values() if row["lab"] == self.lab and row.date <= day]

    @property
    def scenario(self) -> str:
        """No scenario of the subject itself: ours is a prior on judgement."""
        return ""

    @property
    def untold(self) -> str:
        """Why nothing can be said."""
        return f"nothing is disclosed of the machines of {self.lab or 'the lab'}"


@dataclass(frozen=True)
class PayMeasure(Measure):
    """Mean yearly pay at a lab.

    Args:
        lab: whose.
    """

    lab: str
    kind: Kind = "year"

    def predicted(self, contents: Contents | None, basis: Basis | None, day: dt.date) -> Predicted | None:
        """What is believed of mean pay."""
        row = self.row(day)
        if row is None:
            return None
        law = interval(row).meets(Unit("USD/year", "mean pay", gt=0), "pay")
        levels = tuple(float(law.ppf(q)) for q in LEVELS)
        return Predicted(Prediction(levels, law.cdf), f"what is believed of mean pay ({row.grade})", judged=True, newest=row.date)  # type: ignore[arg-type]

    def row(self, day: dt.date) -> Row | None:
        """The prior row on the lab's pay that was public by a day."""
        return next((r for r in rows("priors").values() if self.lab in r.get("labs", ()) and r.date <= day), None)

    def relevant(self, contents: Contents) -> Contents:
        """Pay is people's."""
        return frozenset({"people"})


def _prediction(sim: Simulation, name: str) -> Prediction:
    levels = tuple(float(q) for q in sim.quantile(name, LEVELS))
    return Prediction(levels, partial(_cdf, sim, name))  # type: ignore[arg-type]


def _cdf(sim: Simulation, name: str, value: float) -> float:
    return float(sim.cdf(name, value))


def fleet_scenario(name: str, seed: int = 1) -> Simulation:
    """A scenario fleet under its beliefs: Hopper chips, purchase, operation over its life, operation a year."""
    return simulate(fleet(name), fleet_beliefs(name), fleet_figures, n=DRAWS, seed=seed)


def fleet_figures(held: Fleet) -> dict[str, Num]:
    """What claims about a fleet quantify: chips, those of the Hopper generation, purchase, operation over its life and a year."""
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
