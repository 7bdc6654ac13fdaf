"""Uncertainty of runs: ``ts.simulate`` and related functions, applied to the estimate of a run.

The package ``uncertainty`` works on any spec and function; here the default function of a run is its estimate.
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
from .uncertainty.analysis.influence import DisclosureValues, Region, Tornado
from .uncertainty.analysis.inverse import MustBeTrue
from .uncertainty.analysis.sensitivity import Sensitivity
from .uncertainty.beliefs.beliefs import Beliefs
from .uncertainty.sampling import engine as engine_of_draws
from .uncertainty.sampling.simulation import Simulation

Function = Callable[[Any], Any]
DEFAULT_QUANTITIES = ("cost", "busy_gpu_hours", "gpu_hours", "wall_days", "mfu")
"""Default quantities of a run under beliefs."""


def quantities(run: Run, names: tuple[str, ...] = ()) -> dict[str, Ledger | Num]:
    """Quantities of a run by name, as ledgers if they have parts; broadcasts over draws.

    The default is cost, hours and days, and utilisation if the tokens of any phase are known.
    """
    known = any(phase.tokens is not None for phase in run.phases)
    return estimate(run).quantities(names or tuple(n for n in DEFAULT_QUANTITIES if n != "mfu" or known))


def _function_of(spec: Spec, function: Function | None, of: str = "") -> Function:
    """The function to evaluate: by default the quantities of a run."""
    if function is not None:
        return function
    if not isinstance(spec, Run):
        remedy = "give function=, which takes the spec and returns arrays"
        raise EstimateError("function", None, f"is needed for a {type(spec).__name__}", remedy)
    head = of.partition(".")[0]
    return partial(quantities, names=(head,)) if head in QUANTITIES else quantities


def _default_quantity(function: Function | None) -> str:
    """Name of the default quantity."""
    return "cost" if function is None else "value"


def simulate(spec: Spec, beliefs: Beliefs, function: Function | None = None, **options: Any) -> Simulation:
    """Simulate a run, or a function of any spec, under beliefs.

    Args:
        spec: a run; or any spec, with ``function``.
        beliefs: path → distribution.
        function: takes the spec with arrays of draws at the uncertain paths and returns {name: array or Ledger}, or one array, which is
            named ``"value"``. The default for a run is cost, hours, days and utilisation.
        **options: options of :func:`~.uncertainty.sampling.engine.simulate`: ``n``, ``rtol``, ``seed``, ``outputs``, ``executor`` …

    Returns:
        the simulation: quantiles, mean and probabilities of each quantity, each with its standard error.

    Raises:
        EstimateError: ``function`` is missing for a spec other than a run, or the run lacks an input.
        BeliefError: invalid arguments, beliefs that do not fit the spec, or a draw with a result that is not finite.
        PathError: the spec has no such path, or the function no such output.

    >>> import trainsim as ts
    >>> beliefs = ts.Beliefs({"price.usd_per_gpu_hour": ts.uniform(1, 3)})
    >>> found = simulate(ts.catalog.run("deepseek-v3"), beliefs, n=1024)
    >>> round(found.quantile("cost", 0.5) / 1e6, 1)
    5.9
    """
    found = engine_of_draws.simulate(spec, beliefs, _function_of(spec, function), **options)
    return found if function is not None else replace(found, units=UNITS)


def sensitivity(spec: Spec, beliefs: Beliefs, of: str = "", function: Function | None = None, **options: Any) -> Sensitivity:
    """Share of each input in the variance of a quantity: Sobol' indices, or Shapley effects if inputs are correlated.

    Args:
        spec, beliefs, function: as for :func:`simulate`.
        of: the quantity, or a line of it: ``"cost.pretrain"``; by default the cost of a run, or the only output of the function.
        **options: ``n``, ``seed``.

    Returns:
        shares of the variance by input [1].

    Raises:
        BeliefError: the quantity does not vary under these beliefs.

    Source: Azzini, Mara & Rosati (2021), Environmental Modelling & Software 144, 105167 (estimators of both indices); Song,
    Nelson & Staum (2016), SIAM/ASA J. Uncertainty Quantification 4, 1060-1083 (Shapley effects).

    >>> import trainsim as ts
    >>> beliefs = ts.Beliefs({"price.usd_per_gpu_hour": ts.uniform(1, 3), "reliability.goodput": ts.uniform(0.9, 1.0)})
    >>> found = sensitivity(ts.catalog.run("deepseek-v3"), beliefs, n=1024)
    >>> round(found.total["price.usd_per_gpu_hour"], 1)
    1.0
    """
    of = of or _default_quantity(function)
    return sensitivity_of_draws.sensitivity(spec, beliefs, _function_of(spec, function, of), of=of, **options)


def tornado(spec: Spec, beliefs: Beliefs, of: str = "", function: Function | None = None) -> Tornado:
    """Change of a quantity as each input goes from its 5th to its 95th percentile, with all others at their medians.

    Args:
        spec, beliefs, function: as for :func:`simulate`.
        of: as for :func:`sensitivity`.

    Returns:
        the swing of each input, the largest first.

    >>> import trainsim as ts
    >>> beliefs = ts.Beliefs({"price.usd_per_gpu_hour": ts.uniform(1, 3), "reliability.goodput": ts.uniform(0.9, 1.0)})
    >>> [(swing.path, round(swing.size / 1e6, 1)) for swing in tornado(ts.catalog.run("deepseek-v3"), beliefs)]
    [('price.usd_per_gpu_hour', 5.3), ('reliability.goodput', 0.6)]
    """
    of = of or _default_quantity(function)
    found = influence_of_draws.tornado(spec, beliefs, _function_of(spec, function, of), of=of)
    return replace(found, unit=unit_of(of) if function is None else "")


def disclosure(spec: Spec, beliefs: Beliefs, of: str = "", function: Function | None = None, **options: Any) -> DisclosureValues:
    """Relative width of a quantity's interval if one, two or three inputs were known.

    Equation: ``E[width of y | x_S] / width of y``; a width is P95 − P5.

    Args:
        spec, beliefs, function: as for :func:`simulate`.
        of: as for :func:`sensitivity`.
        **options: ``up_to`` is the largest number of inputs known at once; ``seed`` is the seed of the draws.

    Returns:
        the sets of inputs, starting with the one that narrows the interval most.

    Raises:
        BeliefError: the quantity does not vary under these beliefs.

    >>> import trainsim as ts
    >>> beliefs = ts.Beliefs({"price.usd_per_gpu_hour": ts.uniform(1, 3), "reliability.goodput": ts.uniform(0.9, 1.0)})
    >>> first = disclosure(ts.catalog.run("deepseek-v3"), beliefs)[0]
    >>> first.paths, round(first.value, 1)
    (('price.usd_per_gpu_hour',), 0.9)
    """
    of = of or _default_quantity(function)
    return influence_of_draws.disclosure(spec, beliefs, _function_of(spec, function, of), of=of, **options)


def region(spec: Spec, beliefs: Beliefs, of: str = "", function: Function | None = None, **options: Any) -> Region:
    """Distribution of the inputs in the region where a quantity is above or below a value.

    Args:
        spec, beliefs, function: as for :func:`simulate`.
        of: as for :func:`sensitivity`.
        **options: ``above``, ``below``, bounds of the region in the unit of the quantity; ``n``, ``seed``.

    Returns:
        the probability of the region [1], and the shift of each input's distribution there, the largest first.

    Raises:
        BeliefError: fewer than 100 points are inside the region, or fewer than 100 outside.

    Source: Spear & Hornberger (1980), Water Research 14, 43-49 (Monte Carlo filtering).

    >>> import trainsim as ts
    >>> beliefs = ts.Beliefs({"price.usd_per_gpu_hour": ts.uniform(1, 3), "reliability.goodput": ts.uniform(0.9, 1.0)})
    >>> region(ts.catalog.run("deepseek-v3"), beliefs, above=8e6, n=1024).shifts[0].path
    'price.usd_per_gpu_hour'
    """
    of = of or _default_quantity(function)
    return influence_of_draws.region(spec, beliefs, _function_of(spec, function, of), of=of, **options)


def condition(
    spec: Spec, beliefs: Beliefs, evidence: Mapping[str, Measured], function: Function | None = None, **options: Any
) -> Posterior:
    """Condition beliefs on measurements (Bayes' rule).

    Args:
        spec, beliefs, function: as for :func:`simulate`.
        evidence: quantity or a line of it → measurement with its error.
        **options: ``n``, ``seed``.

    Warns:
        TrainsimWarning: the evidence contradicts the prior; gives its percentile in the prior.

    Returns:
        the posterior, which can be used as beliefs.

    Raises:
        BeliefError: there is no evidence, or the beliefs do not fit the spec.
        PathError: there is no such output.

    Source: Del Moral, Doucet & Jasra (2006), "Sequential Monte Carlo samplers", JRSS B 68(3), 411-436, section 3.3.1.

    >>> import trainsim as ts
    >>> beliefs = ts.Beliefs({"price.usd_per_gpu_hour": ts.uniform(1, 3), "reliability.goodput": ts.uniform(0.9, 1.0)})
    >>> known = condition(ts.catalog.run("deepseek-v3"), beliefs, {"gpu_hours": ts.measured(2.85e6, rel=0.01)}, n=1024)
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
    """Inputs for which a claim would hold: for each input the value at which it suffices alone, and the most probable combination.

    Args:
        claim: gives quantity and value.
        spec, beliefs, function: as for :func:`simulate`.
        side: whether the claim holds below or above the claimed value.
        seed: seed of the draws.

    Returns:
        the probability that the claim holds [1], and the inputs for which it would.

    Raises:
        ClaimError: the claim has no value, or its unit has another dimension.

    Source: Hasofer & Lind (1974), J. Eng. Mech. 100, 111-121; Rackwitz & Fiessler (1978), Computers & Structures 9,
    489-494 (the iteration).

    >>> import trainsim as ts
    >>> beliefs = ts.Beliefs({"price.usd_per_gpu_hour": ts.uniform(1, 3)})
    >>> found = what_must_be_true(ts.catalog.claim("deepseek-v3-6m"), ts.catalog.run("deepseek-v3"), beliefs)
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
    """Compare two runs factor by factor; with beliefs, the distribution of the difference.

    Args:
        a, b: runs, or estimates if there are no beliefs.
        beliefs: beliefs about both runs; shared paths have the same draws. None compares point estimates.
        of: the quantity to compare, with beliefs.
        **options: options of :func:`simulate`, with beliefs.

    Returns:
        the factors between the point estimates; with beliefs, the distribution of the difference.

    Raises:
        EstimateError: an input of either run is missing, or beliefs were given for an estimate.

    >>> import trainsim as ts
    >>> run = ts.catalog.run("deepseek-v3")
    >>> dearer = run.replace({"price.usd_per_gpu_hour": 4.0})
    >>> print(str(compare(run, dearer)).splitlines()[-1].split()[3])
    0.5
    """
    if beliefs is None:
        return compare_runs(a, b)
    if isinstance(a, Estimate) or isinstance(b, Estimate):
        raise EstimateError(
            "a, b", "an estimate", "has no inputs that beliefs could refer to", "give the runs instead of their estimates", "empty"
        )
    found = comparison_of_draws.difference(a, b, beliefs, _function_of(a, None, of), of=of, **options)
    return replace(found, simulation=replace(found.simulation, units=UNITS | dict.fromkeys(found.simulation.outputs, unit_of(of))))


def compare_beliefs(
    spec: Spec, views: Mapping[str, Beliefs], of: str = "", function: Function | None = None, **options: Any
) -> Disagreement:
    """Compare several sets of beliefs about a quantity, and attribute their disagreement to paths.

    Args:
        spec, function: as for :func:`simulate`.
        views: name → beliefs.
        of: as for :func:`sensitivity`.
        **options: options of :func:`simulate`.

    Returns:
        the simulation of each view; and for each other view and path, the factor on the first view's median if it adopts the other's
        belief about that path.

    >>> import trainsim as ts
    >>> views = {who: ts.Beliefs({"price.usd_per_gpu_hour": ts.uniform(low, 4)}) for who, low in {"mine": 1, "yours": 3}.items()}
    >>> found = compare_beliefs(ts.catalog.run("deepseek-v3"), views, n=1024)
    >>> round(found.through["yours"]["price.usd_per_gpu_hour"], 1)
    1.4
    """
    of = of or _default_quantity(function)
    return comparison_of_draws.compare_beliefs(spec, views, _function_of(spec, function, of), of=of, **options)
