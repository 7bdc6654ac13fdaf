"""Uncertainty of runs: ``ts.simulate`` and its like, with a run's estimate as the function.

The engine knows specs, paths and a function. Here the function of a run is its estimate; for any other spec it is given.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Literal, overload

from .claims.claim import Claim
from .core.errors import EstimateError
from .core.ledger import Ledger
from .core.spec import Spec
from .core.units import Num
from .run.compare import Comparison
from .run.compare import compare as compare_runs
from .run.estimate import QUANTITIES, UNITS, Estimate, estimate, unit_of
from .run.run import Run
from .uncertainty.analysis import comparison as comparison_of_draws
from .uncertainty.analysis import condition as condition_of_draws
from .uncertainty.analysis import influence as influence_of_draws
from .uncertainty.analysis import inverse as inverse_of_draws
from .uncertainty.analysis import sensitivity as sensitivity_of_draws
from .uncertainty.analysis.comparison import Difference, Disagreement
from .uncertainty.analysis.condition import Measured, Posterior
from .uncertainty.analysis.influence import DisclosureValue, Region, Swing
from .uncertainty.analysis.inverse import MustBeTrue
from .uncertainty.analysis.sensitivity import Sensitivity
from .uncertainty.beliefs.beliefs import Beliefs
from .uncertainty.sampling import engine as engine_of_draws
from .uncertainty.sampling.simulation import Simulation

Function = Callable[[Any], Any]
DOUBTED = ("cost", "busy_gpu_hours", "gpu_hours", "wall_days", "mfu")
"""What a run is asked for under beliefs, where nothing else is asked."""


def quantities(run: Run, names: tuple[str, ...] = ()) -> dict[str, Ledger | Num]:
    """A run's quantities by name, each a ledger where it has parts; broadcasts over draws.

    Without names: its cost, hours, days, and its utilisation if any phase's work is known.
    """
    known = any(phase.tokens is not None for phase in run.phases)
    return estimate(run).quantities(names or tuple(n for n in DOUBTED if n != "mfu" or known))


def _function_of(spec: Spec, function: Function | None, of: str = "") -> Function:
    """The function a spec is put through: for a run, the quantities asked for."""
    if function is not None:
        return function
    if not isinstance(spec, Run):
        remedy = "give function=, which takes the spec and gives arrays"
        raise EstimateError("function", None, f"is needed for a {type(spec).__name__}", remedy)
    head = of.partition(".")[0]
    return partial(quantities, names=(head,)) if head in QUANTITIES else quantities


def _asked(function: Function | None) -> str:
    """What is asked for where no quantity is named."""
    return "cost" if function is None else "value"


def simulate(spec: Spec, beliefs: Beliefs, function: Function | None = None, **options: Any) -> Simulation:
    """A run, or any spec with a function of it, under beliefs.

    Args:
        spec: a run; or any spec, with ``function``.
        beliefs: path → distribution.
        function: takes the spec with arrays of draws at the believed paths and gives {name: array or Ledger}, or one array, then
            named ``"value"``; for a run, its cost, hours, days and utilisation where nothing is given.
        **options: of :func:`trainsim.uncertainty.simulate`: ``n``, ``rtol``, ``seed``, ``quantiles``, ``outputs``, ``executor`` …

    Returns:
        the simulation: quantiles, mean and probabilities of each quantity, each with its standard error.

    Raises:
        EstimateError: no function for a spec that is no run, or the run lacks an input.
        BeliefError: bad arguments; beliefs that don't fit the spec; a draw that the function gives no finite answer to.
        PathError: a believed path or an output that is not there.

    >>> import trainsim as ts
    >>> doubt = ts.Beliefs({"price.usd_per_gpu_hour": ts.uniform(1, 3)})
    >>> found = simulate(ts.catalog.run("deepseek-v3"), doubt, n=1024)
    >>> round(found.quantile("cost", 0.5) / 1e6, 1)
    5.9
    """
    found = engine_of_draws.simulate(spec, beliefs, _function_of(spec, function), **options)
    return found if function is not None else replace(found, units=UNITS)


def sensitivity(spec: Spec, beliefs: Beliefs, of: str = "", function: Function | None = None, **options: Any) -> Sensitivity:
    """Which inputs the doubt about a quantity comes from: Sobol' indices, Shapley effects where inputs are correlated.

    Args:
        spec, beliefs, function: as for :func:`simulate`.
        of: the quantity, or a line of it: ``"cost.pretrain"``; a run's cost, or what a function of one output gives, where none is named.
        **options: ``n``, ``seed``.

    Returns:
        shares of the variance by input [1].

    Raises:
        BeliefError: the quantity does not vary under these beliefs.

    Source: Azzini, Mara & Rosati (2021), Environmental Modelling & Software 144, 105167 (estimators of both indices); Song,
    Nelson & Staum (2016), SIAM/ASA J. Uncertainty Quantification 4, 1060-1083 (Shapley effects).

    >>> import trainsim as ts
    >>> doubt = ts.Beliefs({"price.usd_per_gpu_hour": ts.uniform(1, 3), "reliability.goodput": ts.uniform(0.9, 1.0)})
    >>> found = sensitivity(ts.catalog.run("deepseek-v3"), doubt, n=1024)
    >>> round(found.total["price.usd_per_gpu_hour"], 1)
    1.0
    """
    of = of or _asked(function)
    return sensitivity_of_draws.sensitivity(spec, beliefs, _function_of(spec, function, of), of=of, **options)


def tornado(spec: Spec, beliefs: Beliefs, of: str = "", function: Function | None = None) -> tuple[Swing, ...]:
    """How far each input moves a quantity from its 5th to its 95th percentile, all others at their medians.

    Args:
        spec, beliefs, function: as for :func:`simulate`.
        of: as for :func:`sensitivity`.

    Returns:
        a swing of each input, the largest first.

    >>> import trainsim as ts
    >>> doubt = ts.Beliefs({"price.usd_per_gpu_hour": ts.uniform(1, 3), "reliability.goodput": ts.uniform(0.9, 1.0)})
    >>> [(swing.path, round(swing.size / 1e6, 1)) for swing in tornado(ts.catalog.run("deepseek-v3"), doubt)]
    [('price.usd_per_gpu_hour', 5.3), ('reliability.goodput', 0.6)]
    """
    of = of or _asked(function)
    return influence_of_draws.tornado(spec, beliefs, _function_of(spec, function, of), of=of)


def disclosure(spec: Spec, beliefs: Beliefs, of: str = "", function: Function | None = None, **options: Any) -> tuple[DisclosureValue, ...]:
    """How much the interval of a quantity would shrink if an input, a pair or a triple were known.

    Equation: ``E[width of y | x_S] / width of y``, the width being that of the P5 to P95 interval.

    Args:
        spec, beliefs, function: as for :func:`simulate`.
        of: as for :func:`sensitivity`.
        **options: ``up_to``, the largest number of inputs known at once; ``seed``.

    Returns:
        the sets of inputs, the one that narrows the interval most first.

    Raises:
        BeliefError: the quantity does not vary under these beliefs.

    >>> import trainsim as ts
    >>> doubt = ts.Beliefs({"price.usd_per_gpu_hour": ts.uniform(1, 3), "reliability.goodput": ts.uniform(0.9, 1.0)})
    >>> first = disclosure(ts.catalog.run("deepseek-v3"), doubt)[0]
    >>> first.paths, round(first.value, 1)
    (('price.usd_per_gpu_hour',), 0.9)
    """
    of = of or _asked(function)
    return influence_of_draws.disclosure(spec, beliefs, _function_of(spec, function, of), of=of, **options)


def region(spec: Spec, beliefs: Beliefs, of: str = "", function: Function | None = None, **options: Any) -> Region:
    """How the inputs differ where a quantity lies above or below a value.

    Args:
        spec, beliefs, function: as for :func:`simulate`.
        of: as for :func:`sensitivity`.
        **options: ``above``, ``below``, the bounds of the region in the quantity's unit; ``n``, ``seed``.

    Returns:
        the probability of the region [1], and per input how far its distribution moves there, the farthest first.

    Raises:
        BeliefError: fewer than 100 of the points fall into the region, or fewer than 100 out of it.

    Source: Spear & Hornberger (1980), Water Research 14, 43-49 (Monte Carlo filtering).

    >>> import trainsim as ts
    >>> doubt = ts.Beliefs({"price.usd_per_gpu_hour": ts.uniform(1, 3), "reliability.goodput": ts.uniform(0.9, 1.0)})
    >>> region(ts.catalog.run("deepseek-v3"), doubt, above=8e6, n=1024).shifts[0].path
    'price.usd_per_gpu_hour'
    """
    of = of or _asked(function)
    return influence_of_draws.region(spec, beliefs, _function_of(spec, function, of), of=of, **options)


def condition(
    spec: Spec, beliefs: Beliefs, evidence: Mapping[str, Measured], function: Function | None = None, **options: Any
) -> Posterior:
    """Beliefs given what was measured.

    Args:
        spec, beliefs, function: as for :func:`simulate`.
        evidence: quantity or a line of it → what was measured, with its error: a likelihood, not a target.
        **options: ``n``, ``seed``.

    Warns:
        TrainsimWarning: the evidence contradicts the prior; says at which percentile of the prior it lies.

    Returns:
        the posterior: beliefs that can be used wherever the prior could.

    Raises:
        BeliefError: no evidence, or beliefs that don't fit the spec.
        PathError: no such output.

    Source: Del Moral, Doucet & Jasra (2006), "Sequential Monte Carlo samplers", JRSS B 68(3), 411-436, section 3.3.1.

    >>> import trainsim as ts
    >>> doubt = ts.Beliefs({"price.usd_per_gpu_hour": ts.uniform(1, 3), "reliability.goodput": ts.uniform(0.9, 1.0)})
    >>> known = condition(ts.catalog.run("deepseek-v3"), doubt, {"gpu_hours": ts.measured(2.85e6, rel=0.01)}, n=1024)
    >>> 10 < known.percentiles["gpu_hours"] < 30
    True
    """
    return condition_of_draws.condition(spec, beliefs, evidence, _function_of(spec, function), **options)


def what_must_be_true(
    claim: Claim,
    spec: Spec,
    beliefs: Beliefs,
    function: Function | None = None,
    *,
    side: Literal["below", "above"] = "below",
    seed: int = 0,
) -> MustBeTrue:
    """What would have to be true for a claim to hold: per input the value that alone does it, and the likeliest combination.

    Args:
        claim: its quantity and value are the target.
        spec, beliefs, function: as for :func:`simulate`.
        side: whether the quantity should lie below or above the claimed value.
        seed: the one seed.

    Returns:
        the probability that the claim holds [1], and what would make it hold.

    Raises:
        ClaimError: the claim has no value, or a unit of another dimension.

    Source: Hasofer & Lind (1974), J. Eng. Mech. 100, 111-121; Rackwitz & Fiessler (1978), Computers & Structures 9,
    489-494 (the iteration).

    >>> import trainsim as ts
    >>> doubt = ts.Beliefs({"price.usd_per_gpu_hour": ts.uniform(1, 3)})
    >>> found = what_must_be_true(ts.catalog.claim("deepseek-v3-6m"), ts.catalog.run("deepseek-v3"), doubt)
    >>> round(found.alone[0].value, 2), round(found.probability, 1)
    (2.04, 0.5)
    """
    of = claim.quantity
    return inverse_of_draws.what_must_be_true(spec, beliefs, _function_of(spec, function, of), of=of, seed=seed, **{side: claim.in_base()})


@overload
def compare(a: Run | Estimate, b: Run | Estimate, beliefs: None = None, of: str = "cost", **options: Any) -> Comparison: ...
@overload
def compare(a: Run, b: Run, beliefs: Beliefs, of: str = "cost", **options: Any) -> Difference: ...
def compare(
    a: Run | Estimate, b: Run | Estimate, beliefs: Beliefs | None = None, of: str = "cost", **options: Any
) -> Comparison | Difference:
    """Why one run costs more than another; with beliefs, how sure that is.

    Args:
        a, b: runs, or without beliefs their estimates.
        beliefs: laid over both, one draw where a path is in both; None compares the points, factor by factor.
        of: the quantity whose difference is asked for, with beliefs.
        **options: of :func:`simulate`, with beliefs.

    Returns:
        the factors between the points; with beliefs, the distribution of the difference.

    Raises:
        EstimateError: an input of either run is missing, or beliefs over an estimate.

    >>> import trainsim as ts
    >>> run = ts.catalog.run("deepseek-v3")
    >>> dearer = run.replace({"price.usd_per_gpu_hour": 4.0})
    >>> print(str(compare(run, dearer)).splitlines()[-1].split()[3])
    0.5
    """
    if beliefs is None:
        return compare_runs(a, b)
    if isinstance(a, Estimate) or isinstance(b, Estimate):
        raise EstimateError("a, b", "an estimate", "has no numbers to lay beliefs over", "compare the runs", "empty")
    found = comparison_of_draws.difference(a, b, beliefs, _function_of(a, None, of), of=of, **options)
    return replace(found, simulation=replace(found.simulation, units=UNITS | dict.fromkeys(found.simulation.outputs, unit_of(of))))


def compare_beliefs(
    spec: Spec, views: Mapping[str, Beliefs], of: str = "", function: Function | None = None, **options: Any
) -> Disagreement:
    """Who disagrees about a quantity, and through which paths.

    Args:
        spec, function: as for :func:`simulate`.
        views: name → beliefs.
        of: as for :func:`sensitivity`.
        **options: of :func:`simulate`.

    Returns:
        the simulation of each view; per other view and path, the ratio of the first view's median once it takes over that path's belief.

    >>> import trainsim as ts
    >>> views = {who: ts.Beliefs({"price.usd_per_gpu_hour": ts.uniform(low, 4)}) for who, low in {"mine": 1, "yours": 3}.items()}
    >>> found = compare_beliefs(ts.catalog.run("deepseek-v3"), views, n=1024)
    >>> round(found.through["yours"]["price.usd_per_gpu_hour"], 1)
    1.4
    """
    of = of or _asked(function)
    return comparison_of_draws.compare_beliefs(spec, views, _function_of(spec, function, of), of=of, **options)
