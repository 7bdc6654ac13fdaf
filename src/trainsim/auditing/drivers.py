"""Drivers of a verdict on dollars: required values of single inputs, and shares of variance."""

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
"""Part of a path → its name on the screen."""
POINTS = 1 << 10
"""Number of points of a sensitivity analysis; enough for shares printed as whole percentages."""
DRAWS = 1 << 12


@dataclass(frozen=True)
class Undisclosed:
    """Predicted cost of a run without its reported hours.

    Args:
        dollars: P5, P50 and P95 [USD].
        needs: input → the value that gives the claimed cost with all other inputs at their medians, and the probability that the input is
            at most that value.
        shares: path → share of variance.
    """

    dollars: tuple[Figure, ...]
    needs: Mapping[str, tuple[float, float]]
    shares: Mapping[str, Figure]


def shares_of(verdict: Verdict) -> Mapping[str, Figure]:
    """Share of variance of the ladder's last rung, interactions included, by path; empty if nothing has a price."""
    rented = verdict.priced
    if rented is None or any(".recipe." in path for path in rented.beliefs.paths) or len(rented.beliefs) == 0:
        return {}
    top = rented.rungs("USD")[-1][1]
    function = sums_of(rented.programme.final, "USD", [top])
    return sensitivity(rented.programme.development, rented.beliefs, function, of=label_of(top), n=POINTS, seed=rented.seed).total


class HoursAtRent(Spec):
    """Inputs of a run's cost: work, utilisation and rent.

    Args:
        work: accelerator-hours at the full peak [GPU-h].
        rest: reported hours of phases with unknown work [GPU-h].
        mfu: model FLOPs over peak [1].
        usd_per_gpu_hour: rent [USD/GPU-h].
    """

    work: Annotated[Num, Unit("GPU-h", "hours at the full peak", gt=0)]
    rest: Annotated[Num, Unit("GPU-h", "hours of unknown work", ge=0)]
    mfu: Annotated[Num, Unit("", "model FLOPs over peak", gt=0, le=1)]
    usd_per_gpu_hour: Annotated[Num, Unit("USD/GPU-h", "rent", gt=0)]


def dollars(run: HoursAtRent) -> Mapping[str, Num]:
    """Cost of a run, ``(work / mfu + rest) · rent`` [USD].

    >>> round(dollars(HoursAtRent(work=1e6, rest=0, mfu=0.5, usd_per_gpu_hour=2))["cost"])
    4000000
    """
    return {"cost": (run.work / run.mfu + run.rest) * run.usd_per_gpu_hour}


def without_hours(verdict: Verdict) -> Undisclosed | None:
    """Predicted cost of a run without its reported hours; None if an input is unknown, or for other claims."""
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
    """Name of a path on the screen; paths that share a draw are named by the last path."""
    first = path.partition(" = ")[0]
    return NAMES.get(first) or next((word for known, word in NAMES.items() if first.endswith(known)), first)
