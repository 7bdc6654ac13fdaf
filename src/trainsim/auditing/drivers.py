"""What decides a verdict on dollars: what would have to be true, and which inputs the spread comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from ..core.spec import Spec
from ..core.units import SECONDS_PER_HOUR, Num, Unit
from ..uncertainty.analysis.sensitivity import sensitivity
from ..uncertainty.beliefs.beliefs import Beliefs
from ..uncertainty.sampling.engine import simulate
from ..uncertainty.sampling.simulation import Figure
from .amounts import label_of, sums_of
from .hours import blind
from .measure import RUN
from .rent import rent_of
from .run_measures import RunCost
from .verdict import Verdict

NAMES = {
    "usd_per_gpu_hour": "rent",
    "mfu": "MFU",
    "reliability.goodput": "goodput",
    "experiments": "experiments",
    "failed": "failed runs",
    "data.acquisition_usd": "data",
    "people.headcount": "head count",
    "people.usd_per_year": "pay",
    "people.years": "years",
    "people.share": "staff share",
}
"""Paths in a word, for the screen."""
POINTS = 1 << 10
"""Points of a sensitivity whose shares are printed as whole percents."""
DRAWS = 1 << 12


@dataclass(frozen=True)
class Undisclosed:
    """A run's dollars without its reported hours.

    Args:
        dollars: 5, 50 and 95 % [USD].
        needs: input → the value that alone makes the run cost what is claimed, and the probability of at most that value.
        shares: path → share of the variance.
    """

    dollars: tuple[Figure, ...]
    needs: Mapping[str, tuple[float, float]]
    shares: Mapping[str, Figure]


def shares_of(verdict: Verdict) -> Mapping[str, Figure]:
    """Share of the variance of the ladder's last rung, interactions included, by path; empty where nothing was priced."""
    rented = verdict.priced
    if rented is None or any(".recipe." in path for path in rented.beliefs.paths) or len(rented.beliefs) == 0:
        return {}
    top = rented.rungs("USD")[-1][1]
    function = sums_of(rented.programme.final, "USD", [top])
    return sensitivity(rented.programme.development, rented.beliefs, function, of=label_of(top), n=POINTS, seed=rented.seed).total


class HoursAtRent(Spec):
    """Dollars of a run by work, utilisation and rent: ``(work / mfu + rest) · rent``.

    Args:
        work: accelerator-hours at the full peak; rest: reported hours of phases whose work is unknown.
        mfu: model FLOPs over peak. usd_per_gpu_hour: rent.
    """

    work: Annotated[Num, Unit("GPU-h", "hours at the full peak", gt=0)]
    rest: Annotated[Num, Unit("GPU-h", "hours of unknown work", ge=0)]
    mfu: Annotated[Num, Unit("", "model FLOPs over peak", gt=0, le=1)]
    usd_per_gpu_hour: Annotated[Num, Unit("USD/GPU-h", "rent", gt=0)]


def dollars(run: HoursAtRent) -> Mapping[str, Num]:
    """``(work / mfu + rest) · rent`` [USD].

    >>> round(dollars(HoursAtRent(work=1e6, rest=0, mfu=0.5, usd_per_gpu_hour=2))["cost"])
    4000000
    """
    return {"cost": (run.work / run.mfu + run.rest) * run.usd_per_gpu_hour}


def without_hours(verdict: Verdict) -> Undisclosed | None:
    """A run's dollars had its hours not been reported; None where work, utilisation or rent is unknown, or the claim is not of it."""
    view, clock = verdict.view, verdict.clock
    if view is None or clock is None or not isinstance(verdict.measure, RunCost) or not view.reports_hours:
        return None
    found, rent = blind(view, RUN, clock.blind), rent_of(view, "market rent", clock.blind)
    if found is None or rent is None:
        return None
    rest = float(view.stated.busy_gpu_hours) - found.reported
    run = HoursAtRent(work=found.flop / (SECONDS_PER_HOUR * found.peak), rest=max(rest, 0.0), mfu=0.4, usd_per_gpu_hour=2.0)
    held = Beliefs({"mfu": found.evidence.belief, "usd_per_gpu_hour": rent.belief})
    sim = simulate(run, held, dollars, n=DRAWS, seed=view.seed)
    laws = held.resolve(run).laws
    value, mfu, price = verdict.claim.in_base(), float(laws["mfu"].ppf(0.5)), float(laws["usd_per_gpu_hour"].ppf(0.5))
    at_rent = value / (float(run.work) / mfu + float(run.rest))
    needs = {"rent": (at_rent, float(laws["usd_per_gpu_hour"].cdf(at_rent)))}
    spare = value / price - float(run.rest)
    if spare > float(run.work):
        at_mfu = float(run.work) / spare
        needs["MFU"] = (at_mfu, float(laws["mfu"].cdf(at_mfu)))
    shares = sensitivity(run, held, dollars, of="cost", n=POINTS, seed=view.seed).total
    return Undisclosed(sim.quantile("cost", (0.05, 0.5, 0.95)), needs, shares)


def named(path: str) -> str:
    """A path in a word; several paths of one draw by their last name."""
    first = path.partition(" = ")[0]
    return NAMES.get(first) or next((word for known, word in NAMES.items() if first.endswith(known)), first)
