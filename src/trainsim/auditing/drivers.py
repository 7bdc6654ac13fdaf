"""What decides a verdict: what would have to be true, and where the doubt comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..core.units import Num
from ..run.estimate import estimate
from ..run.run import Run
from ..uncertainty.analysis import inverse as inverse_of_draws
from ..uncertainty.analysis import sensitivity as sensitivity_of_draws
from ..uncertainty.analysis.inverse import MustBeTrue
from ..uncertainty.beliefs.beliefs import Beliefs
from ..uncertainty.distributions.distribution import Belief
from ..uncertainty.sampling import engine as engine_of_draws
from ..uncertainty.sampling.simulation import Figure
from .scope_ladder import Ladder, rungs_of

NAMES = {
    "price.usd_per_gpu_hour": "rent",
    "efficiency.mfu": "MFU",
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


@dataclass(frozen=True)
class Undisclosed:
    """A run's dollars had no hours been disclosed.

    Args:
        dollars: 5, 50 and 95 % [USD].
        must: what would have to be true for the run to cost no more than claimed.
        shares: path → share of the variance.
    """

    dollars: tuple[Figure, ...]
    must: MustBeTrue
    shares: Mapping[str, Figure]


@dataclass(frozen=True)
class Decides:
    """What decides.

    Args:
        top: label of the ladder's last rung; shares: path → share of its variance.
        run: the same for the run alone; None where its tokens are unknown, or the claim is not about the run alone.
    """

    top: str
    shares: Mapping[str, Figure]
    run: Undisclosed | None = None


def decides(steps: Ladder, *, seed: int) -> Decides:
    """What the doubt about the ladder's last rung comes from."""
    top = steps.rented.outputs[-1]
    function = rungs_of(steps.programme.final)
    shares = sensitivity_of_draws.sensitivity(
        steps.programme.development, steps.rented.beliefs, function, of=top, n=1 << 12, seed=seed
    ).total
    return Decides(steps.rungs[-1].label, shares)


def undisclosed(blind: Run, value: float, *, mfu: Belief, rent: Belief, seed: int) -> Undisclosed:
    """What the verdict on a run's dollars would hang on had no hours been disclosed.

    Args:
        blind: the run without its disclosed hours, priced by the hour.
        value: the claimed value [USD].
        mfu, rent: beliefs about utilisation and an hour's rent.
        seed: of the simulations.
    """
    held = Beliefs({"efficiency.mfu": mfu, "price.usd_per_gpu_hour": rent})
    sim = engine_of_draws.simulate(blind, held, _busy_cost, seed=seed)
    must = inverse_of_draws.what_must_be_true(blind, held, _busy_cost, of="cost", below=value, seed=seed)
    shares = sensitivity_of_draws.sensitivity(blind, held, _busy_cost, of="cost", seed=seed).total
    return Undisclosed(sim.quantile("cost", (0.05, 0.5, 0.95)), must, shares)


def _busy_cost(run: Run) -> Mapping[str, Num]:
    """Dollars of the useful hours alone: disclosed hours hold no downtime."""
    answer = estimate(run)
    return {"cost": answer.busy_gpu_hours * answer.price.total}


def named(path: str) -> str:
    """A path in a word; several paths of one draw by their last name."""
    first = path.partition(" = ")[0]
    return NAMES.get(first) or next((word for known, word in NAMES.items() if first.endswith(known)), first)


__all__ = ["Decides", "Undisclosed", "decides", "named", "undisclosed"]
