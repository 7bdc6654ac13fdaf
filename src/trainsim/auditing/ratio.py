"""Claims that compare two subjects, "18 times cheaper": both sides put at one scope."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..catalog.developments import Programme
from ..catalog.published import row_of
from ..catalog.rents import rent_evidence
from ..catalog.runs import complete
from ..claims.claim import Claim
from ..claims.scope import scope_of
from ..core.errors import CatalogError, ClaimError
from ..core.spec import Spec
from ..core.units import Num, human
from ..cost.pricing import Rental
from ..run.development import Development
from ..run.estimate import estimate
from ..run.run import Run
from ..uncertainty.beliefs.beliefs import Beliefs
from ..uncertainty.distributions.distribution import Belief
from ..uncertainty.sampling.engine import simulate
from ..uncertainty.sampling.simulation import Figure
from .checks import undisclosed
from .hours import TIMED, hours_of
from .measures import ARCHITECTURE, RUN, of_architecture, of_run, run_of_subject
from .scope_ladder import LABELS, at_market, rung_holding, rungs_of
from .words import SEVERITY, Check, word_at, word_for_rounding

POINTS = 1 << 14
"""Points of the simulation: a ratio is told to two digits."""


class Pair(Spec):
    """Two developments side by side, so that what they share is one draw."""

    subject: Development
    versus: Development


@dataclass(frozen=True)
class Side:
    """One side of a comparison.

    Args:
        run: as stated, completed; behind: its programme at market rent; held: what is believed of it.
        rent: belief about an hour of its chips; None where no market is known.
    """

    run: Run
    behind: Programme
    held: Beliefs
    rent: Belief | None


@dataclass(frozen=True)
class Ratio:
    """The other's quantity over the subject's.

    Args:
        checks: what the claimed ratio was held against.
        at: label of a scope → 5, 50 and 95 % quantiles of the ratio there.
    """

    checks: tuple[Check, ...]
    at: Mapping[str, tuple[Figure, ...]]


def compare_claim(
    claim: Claim, subject: Run | None, versus: Run | None, beliefs: Beliefs | None = None, *, day: dt.date | None, seed: int
) -> Ratio:
    """Hold a claimed ratio against both subjects at one scope.

    Dollars are put at the scope of the claim, the last run's rent where it names none, and at every scope both sides have; any
    other quantity is compared as stated.

    Args:
        claim: in ``"times"``, or with both figures.
        subject, versus: the runs compared; the catalogue's own where None.
        beliefs: laid over the subject's.
        day: hide rows public after it.
        seed: of the simulation.

    Raises:
        ClaimError: a subject that is no run, or a figure of nothing.
    """
    if not claim.is_ratio and claim.in_base() == 0:
        raise ClaimError("value", claim.value, "is nothing: no figure is a number of times it", "give the figure as told", "missing")
    value = claim.in_base() if claim.is_ratio else claim.versus_in_base() / claim.in_base()
    other = claim.replace({"subject": claim.versus})
    runs = run_of_subject(claim, subject), run_of_subject(other, versus)
    for run, name in zip(runs, (claim.subject, claim.versus), strict=True):
        if run is None:
            return Ratio((Check("ratio", "CANNOT BE JUDGED", f"×{human(value)}: {undisclosed(name)}"),), {})
    mine, theirs = (complete(run)[0] for run in runs if run is not None)
    if claim.judged_in not in ("times", "USD") or not claim.quantity.startswith("cost"):
        return Ratio((_stated(claim, value, mine, theirs),), {})
    sides = _side(claim, mine, beliefs, day, seed), _side(other, theirs, None, day, seed)
    return _dollars(claim, value, sides, seed)


def _side(claim: Claim, run: Run, beliefs: Beliefs | None, day: dt.date | None, seed: int) -> Side:
    try:
        rent = rent_evidence(run, day, region=run.price.region if isinstance(run.price, Rental) else "").belief
    except CatalogError:
        rent = None
    dollars = claim.replace({"quantity": "cost", "unit": "USD", "versus_value": None})
    hours = hours_of(dollars, run, estimate(run), beliefs, day=day, seed=seed)
    return Side(run, *at_market(run, rent, beliefs, hours.beliefs, hours.carried_by), rent)


def _dollars(claim: Claim, value: float, sides: tuple[Side, Side], seed: int) -> Ratio:
    """Both ladders in one simulation: rent of one generation of chips is one market, and so one draw."""
    mine, theirs = sides
    held: dict[tuple[str, ...], Belief] = {}
    for head, side in (("subject", mine), ("versus", theirs)):
        held |= {tuple(f"{head}.{p}" for p in paths): belief for paths, belief in side.held.items()}
    rents = ("subject.price.usd_per_gpu_hour", "versus.price.usd_per_gpu_hour")
    if mine.rent is not None and mine.rent == theirs.rent and (rents[0],) in held and (rents[1],) in held:
        belief = held.pop((rents[0],))
        del held[rents[1],]
        held[rents] = belief
    dollars = rungs_of(mine.behind.final), rungs_of(theirs.behind.final)
    common = [n for n in dollars[0](mine.behind.development) if n in dollars[1](theirs.behind.development)]

    def ratios(pair: Pair) -> dict[str, Num]:
        ours, others = dollars[0](pair.subject), dollars[1](pair.versus)
        return {name: others[name] / ours[name] for name in common}

    pair = Pair(subject=mine.behind.development, versus=theirs.behind.development)
    sim = simulate(pair, Beliefs(held), ratios, n=POINTS, seed=seed)
    at = {LABELS[name]: sim.quantile(name, (0.05, 0.5, 0.95)) for name in common}
    scope = scope_of(claim.scope)
    name = "run" if scope is None else rung_holding(scope, common)
    if name is None:
        return Ratio((Check("ratio", "CANNOT BE JUDGED", f"not both sides are priced at {claim.scope!r}"),), at)
    percentile = float(sim.percentile(name, value))
    low, mid, high = (human(float(q)) for q in at[LABELS[name]])
    finding = f"claimed ×{human(value)}; both sides at {LABELS[name].removeprefix('+ ')}: ×{low} [×{mid}] ×{high}"
    words = word_at(percentile, claim.bound), word_for_rounding(value, float(at[LABELS[name]][1]), claim.bound)
    return Ratio((Check("ratio", min(words, key=SEVERITY.index), finding, percentile),), at)


def _stated(claim: Claim, value: float, mine: Run, theirs: Run) -> Check:
    """Any other quantity, as each side states it: the first reading of each."""
    ours, others = (_first(claim.quantity, run) for run in (mine, theirs))
    if not ours or not others:
        return Check("ratio", "CANNOT BE JUDGED", f"{claim.quantity} of one side was never published")
    finding = f"claimed ×{human(value)}; {human(others, 4)} over {human(ours, 4)} is ×{human(others / ours, 4)}"
    return Check("ratio", word_for_rounding(value, others / ours, claim.bound), finding)


def _first(quantity: str, run: Run) -> float:
    if quantity in ARCHITECTURE:
        return next(iter(of_architecture(quantity, run.model).values()))
    if quantity in RUN:
        return next(iter(of_run(quantity, run).values()), 0.0)
    est = estimate(run)
    if quantity == "gpu_hours" and row_of(run) is not None:
        return float(est.told_gpu_hours)
    return float(np.asarray(getattr(est, quantity))) if quantity in TIMED else 0.0
