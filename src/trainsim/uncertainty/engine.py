"""simulate: a function of a spec under beliefs, by randomised quasi-Monte Carlo."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from trainsim.errors import BeliefError, PathError, TrainsimWarning, did_you_mean
from trainsim.ledger import Ledger
from trainsim.spec import Batch, Spec

from .beliefs import Beliefs, Resolved
from .distributions import Array
from .points import Points
from .simulation import Simulation, half_width
from .tally import Kept, Tally

REPLICATES = 16
BLOCK = 8192
"""Points evaluated at once: few enough that their arrays stay in cache."""
FIRST = 256
"""Points of each replicate in the first round."""

Function = Callable[[Any], Any]


def simulate(
    spec: Spec,
    beliefs: Beliefs,
    function: Function,
    *,
    n: int | None = None,
    rtol: float = 1e-3,
    seed: int = 0,
    quantiles: Sequence[float] = (0.05, 0.5, 0.95),
    outputs: Sequence[str] = (),
    replicates: int = REPLICATES,
    budget: int = 1 << 22,
) -> Simulation:
    """What a function of a spec comes to under beliefs, to an accuracy.

    Points are scrambled Sobol' sequences, replicated with independent scrambles; the spread over replicates gives a
    standard error for every number. Points are doubled until the half-width of the 95 % interval of every quantile
    asked for, and of the mean, is within ``rtol`` of the value (of half the spread, where quantiles differ in sign).

    Args:
        spec: what the beliefs are laid over.
        beliefs: path → distribution.
        function: takes the spec with arrays of draws, shape (n,), at the believed paths; gives
            {name: array (n,) or Ledger}, or one array, then named ``"value"``.
        n: how many points in all, rounded up to replicates × a power of two; overrides ``rtol``.
        rtol: relative accuracy, the half-width of a 95 % interval.
        seed: the one seed; the same seed gives the same numbers.
        quantiles: the levels whose accuracy counts.
        outputs: the outputs and ledger lines whose accuracy counts; all outputs if empty.
        replicates: independent randomisations, at least 2.
        budget: the most points to spend on reaching ``rtol``.

    Raises:
        BeliefError: bad arguments; beliefs that don't fit the spec; a draw that the function gives no finite answer to.
        PathError: a believed path or an output that is not there.

    Source: L'Ecuyer (2018), "Randomized quasi-Monte Carlo: an introduction for practitioners", MCQMC 2016.

    >>> from trainsim.cost.pricing import Rental
    >>> from trainsim.uncertainty import ci90
    >>> beliefs = Beliefs({"usd_per_gpu_hour": ci90(1.4, 3.4)})
    >>> sim = simulate(Rental(usd_per_gpu_hour=2.0), beliefs, lambda price: 2.788e6 * price.usd_per_gpu_hour)
    >>> round(sim.quantile("value", 0.95) / 2.788e6, 2)
    3.4
    """
    _check_arguments(n, rtol, seed, quantiles, replicates, budget)
    resolved = beliefs.resolve(spec)
    points = resolved.points(seed, replicates)
    run = partial(_draw, resolved, points, function)
    wanted = tuple(outputs)
    if n is not None:
        size = 1 << max(0, math.ceil(math.log2(n / replicates)))
        draws, reached = run(0, size, wanted), True
        tallies = _tallies(draws)
    else:
        size = FIRST
        draws = run(0, size, wanted)
        tallies = _tallies(draws)
        while not (reached := _missed(tallies, quantiles, rtol, replicates) is None) and 2 * size * replicates <= budget:
            more = run(size, 2 * size, wanted)
            draws = {name: np.concatenate((draws[name], more[name]), axis=1) for name in draws}
            size *= 2
            tallies = _tallies(draws)
        if not reached:
            warnings.warn(
                f"{_missed(tallies, quantiles, rtol, replicates)} after {size * replicates:,} points; raise budget= or rtol=",
                TrainsimWarning,
                stacklevel=2,
            )

    def more_of(name: str) -> Tally:
        return _tallies(run(0, size, (name,)))[name]

    method = f"scrambled Sobol', {len(resolved.columns)} dimensions"
    rtol_asked = rtol if n is None else None
    return Simulation(
        spec, beliefs, function, seed, size * replicates, replicates, method, tuple(tallies), rtol_asked, reached, tallies, more_of
    )


def _check_arguments(n: Any, rtol: Any, seed: Any, quantiles: Sequence[float], replicates: Any, budget: Any) -> None:
    whole = (int, np.integer)
    if n is not None and (isinstance(n, bool) or not isinstance(n, whole) or n < 1):
        raise BeliefError("n", n, "is no positive whole number of points", "give n=2**16, or leave it out and give rtol=")
    if not (isinstance(rtol, (int, float)) and 0 < rtol < math.inf):
        raise BeliefError("rtol", rtol, "is no positive accuracy", "give rtol=1e-3 for a tenth of a percent")
    if isinstance(seed, bool) or not isinstance(seed, whole) or seed < 0:
        raise BeliefError("seed", seed, "is no whole number >= 0", "give seed=1")
    if not isinstance(replicates, whole) or replicates < 2:
        raise BeliefError("replicates", replicates, "can't give a standard error", "give at least 2; 16 is usual")
    if not isinstance(budget, whole) or budget < FIRST * replicates:
        raise BeliefError("budget", budget, f"is less than the first round of {FIRST * replicates} points", "raise it, or give n=")
    if not all(0 < level < 1 for level in quantiles):
        raise BeliefError("quantiles", quantiles, "are not all between 0 and 1", "give levels such as [.05, .5, .95]")


def _draw(resolved: Resolved, points: Points, function: Function, start: int, stop: int, outputs: tuple[str, ...]) -> dict[str, Array]:
    """The outputs at points start … stop of every replicate: name → (replicates, stop - start)."""
    size = min(BLOCK, stop - start)
    together = max(1, BLOCK // size)  # short replicates share a block
    rows: dict[str, list[Array]] = {}
    for first in range(0, points.replicates, together):
        pieces: dict[str, list[Array]] = {}
        for u in points.blocks(slice(first, first + together), start, stop, size):
            count = len(u)
            flat = u.swapaxes(0, 1).reshape(u.shape[1], -1)
            for name, values in evaluate(resolved, function, flat, outputs).items():
                pieces.setdefault(name, []).append(values.reshape(count, -1))
        for name, parts in pieces.items():
            rows.setdefault(name, []).append(np.concatenate(parts, axis=1))
    return {name: np.concatenate(parts, axis=0) for name, parts in rows.items()}


def evaluate(resolved: Resolved, function: Function, u: Array, outputs: Sequence[str] = ()) -> dict[str, Array]:
    """The function's outputs at points of the unit cube.

    Args:
        resolved: beliefs that have met their spec.
        function: as for ``simulate``.
        u: points, shape (d, n).
        outputs: the outputs and ledger lines to keep; all outputs if empty.

    Returns:
        name → values, shape (n,).

    Raises:
        BeliefError: no finite answer to a draw; says which.
    """
    drawn = resolved.draw(u)
    answers = function(Batch(resolved.spec, drawn).spec)
    named: Mapping[str, Any] = answers if isinstance(answers, Mapping) else {"value": answers}
    if not named:
        raise BeliefError("function", answers, "gave no output", "return an array, or {name: array or Ledger}")
    count = u.shape[1]
    kept = {name: _numbers(pick(named, name), name, count) for name in outputs or named}
    for name, values in kept.items():
        if not np.isfinite(values.sum()) and not np.all(finite := np.isfinite(values)):
            bad = int(np.argmin(finite))
            inputs = ", ".join(f"{path}={float(draws[bad])!r}" for path, draws in drawn.items())
            raise BeliefError(
                name,
                float(values[bad]),
                f"is what the function gave to the draw {inputs}",
                "narrow or truncate that belief, or let the function answer there",
            )
    return kept


def pick(answers: Mapping[str, Any], name: str) -> Any:
    """An output by name, or a line of its ledger by dotted path.

    Raises:
        PathError: no such output or line.
    """
    head, rest = name, ""
    while head:
        if head in answers:
            found = answers[head]
            if not rest:
                return found.total if isinstance(found, Ledger) else found
            if isinstance(found, Ledger):
                return found.part(rest).total
        head, _, tail = head.rpartition(".")
        rest = f"{tail}.{rest}" if rest else tail
    raise PathError(name, name, "is no output of the function", did_you_mean(name, answers, "its outputs"))


def _numbers(values: Any, name: str, count: int) -> Array:
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise BeliefError(name, type(values).__name__, "is no number or array of numbers", "return arrays of draws, or Ledgers") from None
    if array.shape not in ((), (count,)):
        raise BeliefError(
            name,
            array.shape,
            f"is not one number for each of the {count} draws",
            "write the function so that it broadcasts over arrays (n,)",
        )
    return np.broadcast_to(array, (count,))


def _tallies(draws: Mapping[str, Array]) -> dict[str, Tally]:
    return {name: Kept(values) for name, values in draws.items()}


def _missed(tallies: Mapping[str, Tally], quantiles: Sequence[float], rtol: float, replicates: int) -> str | None:
    """The first number that is not yet as accurate as asked, in words."""
    for name, tally in tallies.items():
        asked = [(f"P{100 * level:g}", *tally.quantile(level)) for level in quantiles] + [("mean", *tally.mean())]
        values = [value for _, value, _ in asked]
        spread = (max(values) - min(values)) / 2 if min(values) < 0 < max(values) else 0.0
        for label, value, error in asked:
            scale = max(abs(value), spread)
            if half_width(error, replicates) > rtol * scale:
                return f"{label} of {name} is only within {half_width(error, replicates) / scale if scale else math.inf:.2g} of its value (rtol={rtol:g})"
    return None
