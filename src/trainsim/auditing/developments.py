"""The ladder of a development as a user gives it: rents from the market, the rest as given or as believed."""

from __future__ import annotations

import datetime as dt

import numpy as np

from ..catalog.developments import Programme
from ..catalog.evidence import GENERATIONS, interval, prior_rows
from ..catalog.rents import rent_evidence
from ..catalog.rows import Row
from ..core.errors import CatalogError
from ..cost.pricing import Rental
from ..run.development import Development, estimate_development
from ..run.run import Run
from ..training.reliability import Goodput
from ..uncertainty.beliefs.beliefs import Beliefs
from ..uncertainty.distributions.distribution import Belief
from .scope_ladder import Ladder, climb


def ladder_of(
    development: Development, value: float, beliefs: Beliefs | None = None, *, day: dt.date | None = None, seed: int = 1
) -> Ladder:
    """What a development's dollars come to, rung by rung.

    Rents are believed to be the market's on the day: chips of one generation are one draw. Goodputs that were told as numbers are
    believed as prior rows say. All else stands as given, unless the user believes otherwise.

    Args:
        development: as given.
        value: the claimed value [USD], for the odds.
        beliefs: a user's own, by path of the development; they win.
        day: hide rows public after it.
        seed: of the simulation.

    >>> import trainsim as ts
    >>> v3 = ts.catalog.run("deepseek-v3")
    >>> whole = ts.Development(lines=[ts.Line(name="v3", run=v3)], experiments=3.2, people=None)
    >>> [rung.label for rung in ladder_of(whole, 6e6).rungs]
    ['the last run', '+ downtime, failed runs', '+ experiments']
    """
    final = _largest(development)
    goodputs, row = _goodputs(development, day)
    held: dict[tuple[str, ...], Belief] = _rents(development, day)
    if goodputs and row is not None:
        held[goodputs] = interval(row)
    behind = Programme(development, final, Beliefs({}), {} if row is None else dict.fromkeys(goodputs, row))
    return climb(behind, Beliefs(held) | (beliefs or Beliefs({})), value, seed, None, beliefs)


def _largest(development: Development) -> str:
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
