"""A development as a user gives it: rents from the market, the rest as given or as believed."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..catalog.developments import Programme
from ..catalog.evidence import GENERATIONS, interval, prior_rows
from ..catalog.rents import rent_evidence
from ..catalog.rows import Row
from ..claims.scope import Basis
from ..core.errors import CatalogError
from ..cost.rental import Rental
from ..run.development import Development, estimate_development
from ..run.run import Run
from ..training.reliability import Goodput
from ..uncertainty.beliefs.beliefs import Beliefs
from ..uncertainty.distributions.distribution import Belief
from .amounts import Amount, Contents, amounts_of
from .disclosure import Disclosure, point
from .measure import Measure, Predicted
from .predictions import NO_HOURS, Priced


@dataclass(frozen=True)
class DevelopmentMeasure(Measure):
    """Dollars or hours of a development as the user gives it.

    Args:
        development: as given; unit: dollars or accelerator-hours.
        beliefs: the user's own, by path of the development; they win. seed: of the simulation.
    """

    development: Development
    unit: Amount
    beliefs: Beliefs
    seed: int = 1

    @cached_property
    def whole(self) -> Contents:
        """All that the development prices."""
        parts = amounts_of(largest(self.development), self.unit, self.development)
        return frozenset(c for c in parts if self.unit == "USD" or c not in NO_HOURS)

    @property
    def usual(self) -> Contents:
        """All that the development prices."""
        return self.whole

    def facts(self, contents: Contents | None, basis: Basis | None, day: dt.date) -> tuple[Disclosure, ...]:
        """The hours of its runs, which the user gives."""
        if self.unit == "USD" or contents not in (None, self.whole):
            return ()
        total = float(np.asarray(estimate_development(self.development).hours.total))
        return (point(total, "hours of its runs", contents=self.whole, sourced=False),)

    def predicted(self, contents: Contents | None, basis: Basis | None, day: dt.date) -> Predicted | None:
        """Its dollars with rents believed to be the market's."""
        return priced_development(self.development, self.beliefs, day, self.seed).predicted(contents or self.whole, self.unit)


def priced_development(development: Development, beliefs: Beliefs, day: dt.date, seed: int = 1) -> Priced:
    """A development with what is believed of its rents and goodputs; all else stands as given, unless the user believes otherwise.

    Rents are believed to be the market's: chips of one generation in one region are one draw. Goodputs that were given as numbers are
    believed as prior rows say.

    Args:
        development: as given; beliefs: a user's own, by path of the development.
        day: of the newest row to use; seed: of the simulation.

    >>> import trainsim as ts
    >>> v3 = ts.catalog.run("deepseek-v3")
    >>> whole = ts.Development(lines=[ts.Line(name="v3", run=v3)], experiments=3.2, people=None)
    >>> sorted(priced_development(whole, ts.Beliefs({}), dt.date(2026, 1, 1)).parts("USD"))[:4]
    ['context_extension', 'downtime', 'experiments', 'failed_runs']
    """
    goodputs, row = _goodputs(development, day)
    held: dict[tuple[str, ...], Belief] = _rents(development, day)
    if goodputs and row is not None:
        held[goodputs] = interval(row)
    behind = {} if row is None else dict.fromkeys(goodputs, row)
    made = Programme(development, largest(development), Beliefs({}), behind)
    return Priced(made, Beliefs(held) | beliefs, "market rent", (), beliefs, frozenset(), seed)


def largest(development: Development) -> str:
    """The final run that took most hours: the last run; the other final ones feed it."""
    hours = estimate_development(development).hours
    finals = [line.name for line in development.lines if line.contents == "final"]
    return max(finals, key=lambda name: float(np.asarray(hours.part(name).total)))


def _rents(development: Development, day: dt.date | None) -> dict[tuple[str, ...], Belief]:
    """Market rent for every path that is a rent, one draw for chips of one generation in one region."""
    paths: dict[tuple[str, str], list[str]] = {}
    runs: dict[tuple[str, str], Run] = {}
    for line in development.lines:
        price, path = (line.run.price, f"lines.{line.name}.run.price") if line.run.price is not None else (development.price, "price")
        if isinstance(price, Rental):
            chip = line.run.cluster.chip.name
            market = GENERATIONS.get(chip, chip), price.region
            where = f"{path}.usd_per_gpu_hour"
            if all(where not in others for others in paths.values()):
                paths.setdefault(market, []).append(where)
                runs.setdefault(market, line.run)
    held: dict[tuple[str, ...], Belief] = {}
    for market, known in paths.items():
        try:
            held[tuple(known)] = rent_evidence(runs[market], day, region=market[1]).belief
        except CatalogError:  # nobody quoted such chips: their price stands as given
            continue
    return held


def _goodputs(development: Development, day: dt.date | None) -> tuple[tuple[str, ...], Row | None]:
    lines = [line for line in development.lines if isinstance(line.run.reliability, Goodput)]
    if not lines:
        return (), None
    row = next(prior_rows("reliability.goodput", lines[0].run, day), None)
    return tuple(f"lines.{line.name}.run.reliability.goodput" for line in lines), row
