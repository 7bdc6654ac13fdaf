"""DevelopmentMeasure: cost or hours of a user's development, with market rents and the user's beliefs."""

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
    """Cost or hours of a development that the user gives.

    Args:
        development, unit: the development, and dollars or accelerator-hours.
        beliefs: the user's beliefs by path of the development, which take precedence.
        seed: seed of the simulation.
    """

    development: Development
    unit: Amount
    beliefs: Beliefs
    seed: int = 1

    @cached_property
    def whole(self) -> Contents:
        """All contents that the development has a cost for."""
        parts = amounts_of(largest(self.development), self.unit, self.development)
        return frozenset(c for c in parts if self.unit == "USD" or c not in NO_HOURS)

    @property
    def default_contents(self) -> Contents:
        """All contents that the development has a cost for."""
        return self.whole

    def disclosures(self, contents: Contents | None, basis: Basis | None, day: dt.date) -> tuple[Disclosure, ...]:
        """The hours of the development's runs, as given by the user."""
        if self.unit == "USD" or contents not in (None, self.whole):
            return ()
        total = float(np.asarray(estimate_development(self.development).hours.total))
        return (point(total, "hours of its runs", contents=self.whole, sourced=False),)

    def at_market_rent(self, day: dt.date) -> Priced | None:
        """The development at market rents, where its dollars are judged."""
        return priced_development(self.development, self.beliefs, day, self.seed) if self.unit == "USD" else None

    def predicted(self, contents: Contents | None, basis: Basis | None, day: dt.date) -> Predicted | None:
        """Predicted cost of the development at market rents."""
        return priced_development(self.development, self.beliefs, day, self.seed).predicted(contents or self.whole, self.unit)


def priced_development(development: Development, beliefs: Beliefs, day: dt.date, seed: int = 1) -> Priced:
    """A development with beliefs about its rents and goodputs. All other numbers are as given, unless the user has beliefs about them.

    Rents are market rents; chips of one generation in one region share a draw. Goodputs given as numbers get the belief of a prior row.

    Args:
        development: the development as given.
        beliefs: the user's beliefs, by path of the development.
        day: the last day whose rows may be used.
        seed: seed of the simulation.

    >>> import trainsim as ts
    >>> v3 = ts.catalog.run("deepseek-v3")
    >>> whole = ts.Development(lines=[ts.Line(name="v3", run=v3)], experiments=3.2, people=None)
    >>> sorted(priced_development(whole, ts.Beliefs({}), dt.date(2026, 1, 1)).parts("USD"))[:4]
    ['context_extension', 'downtime', 'experiments', 'failed_runs']
    """
    goodputs, row = _goodputs(development, day)
    believed: dict[tuple[str, ...], Belief] = _rents(development, day)
    if goodputs and row is not None:
        believed[goodputs] = interval(row)
    behind = {} if row is None else dict.fromkeys(goodputs, row)
    made = Programme(development, largest(development), Beliefs({}), behind)
    return Priced(made, Beliefs(believed) | beliefs, "market rent", (), beliefs, frozenset(), seed)


def largest(development: Development) -> str:
    """The final run with the most hours; other final runs are taken as feeder runs."""
    hours = estimate_development(development).hours
    finals = [line.name for line in development.lines if line.contents == "final"]
    return max(finals, key=lambda name: float(np.asarray(hours.part(name).total)))


def _rents(development: Development, day: dt.date | None) -> dict[tuple[str, ...], Belief]:
    """Market rent at each rent path; chips of one generation in one region share a draw."""
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
    believed: dict[tuple[str, ...], Belief] = {}
    for market, known in paths.items():
        try:
            believed[tuple(known)] = rent_evidence(runs[market], day, region=market[1]).belief
        except CatalogError:  # without quotes for these chips their price stays as given
            continue
    return believed


def _goodputs(development: Development, day: dt.date | None) -> tuple[tuple[str, ...], Row | None]:
    lines = [line for line in development.lines if isinstance(line.run.reliability, Goodput)]
    if not lines:
        return (), None
    row = next(prior_rows("reliability.goodput", lines[0].run, day), None)
    return tuple(f"lines.{line.name}.run.reliability.goodput" for line in lines), row
