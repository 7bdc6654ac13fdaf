"""Simulation engine: a function of a spec under beliefs, by randomised quasi-Monte Carlo."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby
from numbers import Real
from typing import Any

import numpy as np

from trainsim.core.errors import BeliefError, TrainsimWarning, check_type
from trainsim.core.spec import Spec

from ..beliefs.beliefs import Beliefs
from ..distributions.distribution import Array, Distribution
from .allocation import keep_freed_memory
from .exact import check_against_exact
from .preintegration import (
    LinearOutput,
    LinearOutputReducer,
    PreintegratedSketch,
    choose_inputs,
    concatenate_parts,
    conditional_spread,
    probe_draws,
)
from .quantiles import Bins, CountingReducer, Counts, Histogram, QuantileSketch, SortedDraws, size_key
from .simulation import Simulation, half_width
from .sweep import BLOCK, Executor, Function, Progress, Study, evaluate, sweep

REPLICATES = 16
FIRST_ROUND = 512
"""Points per replicate in the first round: enough to hit a region with a probability of one in a thousand."""
STOP_RATIO, MIN_GAIN, MAX_GAIN = 0.5, 0.6, 0.35
"""Ratio of error to requested error below which growth stops at once; factors on the error per doubling of the points, at worst and at
best."""
MAX_KEPT_DRAWS = 1 << 19
"""Largest number of points for which every draw is stored; beyond, draws are counted in bins."""


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
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> Simulation:
    """Simulate a function of a spec under beliefs to a given accuracy.

    Points are Sobol' sequences with independent scrambles; the spread over the replicates gives a standard error of every result. An input
    in which an output is linear is integrated out exactly, so that quantiles converge as fast as means. Points are doubled until the
    half-width of the 95 % confidence interval of every requested quantile, and of the mean, is within ``rtol`` of its value (or of half
    their range, if quantiles differ in sign).

    Args:
        spec: the spec.
        beliefs: path → distribution.
        function: takes the spec with arrays of draws, shape (n,), at the uncertain paths; returns {name: array (n,) or Ledger}, or one
            array, which is named ``"value"``.
        n: total number of points, rounded up to replicates × a power of two; overrides ``rtol``.
        rtol: relative accuracy: half-width of the 95 % confidence interval [1].
        seed: seed of the draws; equal seeds give equal results.
        quantiles: levels whose accuracy is controlled.
        outputs: outputs and ledger lines whose accuracy is controlled; all outputs if empty.
        replicates: independent randomisations, at least 2.
        budget: largest number of points to reach ``rtol``.
        executor: an object with a ``map`` method as in ``concurrent.futures``. Results do not depend on the executor or its number of
            workers.
        progress: function of the points done and the points of the round, such as ``ts.progress_bar``.

    Raises:
        BeliefError: invalid arguments, beliefs that do not fit the spec, or a draw with a result that is not finite.
        PathError: the spec has no such path, or the function no such output.

    Source: L'Ecuyer (2018), "Randomized quasi-Monte Carlo: an introduction for practitioners", MCQMC 2016.

    >>> from trainsim.cost.rental import Rental
    >>> from trainsim.uncertainty.distributions.interval import ci90
    >>> beliefs = Beliefs({"usd_per_gpu_hour": ci90(1.4, 3.4)})
    >>> sim = simulate(Rental(usd_per_gpu_hour=2.0), beliefs, lambda price: 2.788e6 * price.usd_per_gpu_hour)
    >>> round(sim.quantile("value", 0.95) / 2.788e6, 2)
    3.4
    """
    check_type(spec, Spec, "spec", "a ts.Run, or another ts.Spec")
    check_type(beliefs, Beliefs, "beliefs", "ts.Beliefs({path: distribution})")
    _check_points(n, rtol, budget, replicates)
    _check_seed_and_levels(seed, quantiles)
    keep_freed_memory()
    study = Study(spec, beliefs, function, seed, replicates, tuple(outputs))
    run = Runner(study, executor, progress)
    if n is not None:
        accumulated, missed = run.grow(Accumulated(), 1 << max(0, math.ceil(math.log2(n / replicates)))), None
    else:
        accumulated, missed = run.to_accuracy(np.asarray(quantiles, dtype=np.float64), rtol, budget)
        if missed:
            warnings.warn(
                f"{missed} after {accumulated.size * replicates:,} points; increase budget= or rtol=", TrainsimWarning, stacklevel=2
            )

    return Simulation(
        spec,
        beliefs,
        function,
        seed,
        n=accumulated.size * replicates,
        replicates=replicates,
        method=accumulated.method(study),
        outputs=tuple(accumulated.sketches),
        rtol=rtol if n is None else None,
        reached=missed is None,
        _sketches=dict(accumulated.sketches),
        _evaluate_more=evaluate_more,
        _check=check_against_exact,
    )


def evaluate_more(sim: Simulation, name: str) -> QuantileSketch:
    """Evaluate another output or ledger line at the same points."""
    study = Study(sim.spec, sim.beliefs, sim.function, sim.seed, sim.replicates, (name,))
    return Runner(study, None, None).grow(Accumulated(), sim.n // sim.replicates).sketches[name]


@dataclass(frozen=True)
class Accumulated:
    """Results accumulated so far.

    Args:
        size: points per replicate.
        inputs: output → index of the column that is integrated out.
        kept: output → its draws, as long as draws are stored.
        counted: output → counts of each replicate, once draws are counted.
        sketches: output → sketch that gives quantiles, mean and probabilities.
    """

    size: int = 0
    inputs: Mapping[str, int] | None = None
    kept: Mapping[str, LinearOutput | Array] | None = None
    counted: Mapping[str, list[Counts]] | None = None
    sketches: Mapping[str, QuantileSketch] = field(default_factory=dict)

    def method(self, study: Study) -> str:
        """Description of the sampling method."""
        words = f"scrambled Sobol', {len(study.resolved.columns)} dimensions"
        exact = {name: i for name, i in (self.inputs or {}).items() if isinstance(self.sketches.get(name), PreintegratedSketch)}
        over = sorted({study.resolved.columns[i].paths[0] for i in exact.values()})
        if over:
            words += f", {' and '.join(over)} integrated exactly"
        return f"{words}, counted in bins 2^-12 wide" if self.counted else words


@dataclass(frozen=True)
class Runner:
    """Evaluates a study at increasing numbers of points, locally or on an executor."""

    study: Study
    executor: Executor | None
    progress: Progress | None

    def to_accuracy(self, levels: Array, rtol: float, budget: int) -> tuple[Accumulated, str | None]:
        """Grow until every result is accurate enough; also returns the least accurate result as text if the budget is spent.

        A rule that stops at the first small error would favour errors that happen to be underestimated. So an error just below the limit
        stops the growth only if the previous round predicted such an error.
        """
        accumulated, before = self.grow(Accumulated(), FIRST_ROUND), math.inf
        most = 1 << math.floor(math.log2(budget / self.study.replicates))
        while True:
            ratio, words = _least_accurate(accumulated.sketches, levels, rtol, self.study.replicates)
            if ratio <= STOP_RATIO or (ratio <= 1 and before <= 1):
                return accumulated, None
            if accumulated.size >= most:
                return accumulated, words if ratio > 1 else None
            # the fewest doublings that can suffice, at the best convergence rate
            doublings = 1 if math.isinf(ratio) else max(1, math.ceil(-math.log(ratio) / math.log(MAX_GAIN)))
            size = min(accumulated.size << doublings, most)
            skipped = math.log2(size / accumulated.size) - 1
            accumulated, before = self.grow(accumulated, size), ratio * MAX_GAIN**skipped * MIN_GAIN

    def grow(self, accumulated: Accumulated, size: int) -> Accumulated:
        """Results at a larger size; earlier points are not evaluated twice."""
        lines_only = bool(accumulated.sketches) and all(isinstance(sketch, PreintegratedSketch) for sketch in accumulated.sketches.values())
        if size * self.study.replicates > MAX_KEPT_DRAWS and size >= BLOCK and not lines_only:
            return self._count(accumulated, size)
        inputs = accumulated.inputs
        if inputs is None and size * self.study.replicates > BLOCK:  # the choice must be the same in every shard
            inputs = choose_inputs(self.study, probe_draws(self.study))
        new = self._gather(inputs, accumulated.size, size)
        inputs = {name: part.column for name, part in new.items() if isinstance(part, LinearOutput)}
        kept = {name: concatenate_parts([accumulated.kept[name], part], axis=1) for name, part in new.items()} if accumulated.kept else new
        return Accumulated(size, inputs, kept, None, {name: self._sketch(part) for name, part in kept.items()})

    def _gather(self, inputs: Mapping[str, int] | None, start: int, stop: int) -> dict[str, LinearOutput | Array]:
        rows: dict[str, list[LinearOutput | Array]] = {}
        replies = sweep(self.study, LinearOutputReducer(inputs), start, stop, executor=self.executor, progress=self.progress)
        for _, pieces in groupby(replies, key=lambda reply: reply[0][0]):
            parts = [reply for _, reply in pieces]
            for name in parts[0]:
                rows.setdefault(name, []).append(concatenate_parts([part[name] for part in parts], axis=1))
        return {name: concatenate_parts(parts, axis=0) for name, parts in rows.items()}

    def _sketch(self, part: LinearOutput | Array) -> QuantileSketch:
        if not isinstance(part, LinearOutput):
            return SortedDraws(part)
        if not part.linear:
            return SortedDraws(part.value)
        resolved = self.study.resolved
        law = resolved.columns[part.column].law
        assert isinstance(law, Distribution)
        return PreintegratedSketch(law, part, conditional_spread(resolved, part.column))

    def _count(self, accumulated: Accumulated, size: int) -> Accumulated:
        """Count draws in bins: new points add to existing counts, stored draws are counted again, and preintegrated outputs stay as they
        are.
        """
        held = {name: sketch for name, sketch in accumulated.sketches.items() if isinstance(sketch, PreintegratedSketch)}
        bins = {name: part for name, part in self._bins.items() if name not in held}
        start = accumulated.size if accumulated.counted else 0
        counted: dict[str, list[Counts]] = {name: list(counts) for name, counts in (accumulated.counted or {}).items()}
        for shard, reply in sweep(self.study, CountingReducer(bins), start, size, executor=self.executor, progress=self.progress):
            for name, counts in reply.items():
                rows = counted.setdefault(name, [])
                if shard[0] == len(rows):
                    rows.append(counts)
                else:
                    rows[shard[0]] += counts
        sketches: dict[str, QuantileSketch] = {name: Histogram(bins[name], counts) for name, counts in counted.items()}
        return Accumulated(size, accumulated.inputs, None, counted, {name: held.get(name) or sketches[name] for name in self._bins})

    @cached_property
    def _bins(self) -> dict[str, Bins]:
        u = next(self.study.points.blocks(slice(0, 1), 0, FIRST_ROUND, FIRST_ROUND))
        pilot = evaluate(self.study, self.study.resolved.draw(u), FIRST_ROUND, self.study.outputs)
        return {name: Bins(size_key(values)) for name, values in pilot.items()}


MOST_POINTS = 2**40
"""Largest number of points of a simulation."""


def _is_integer(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _check_points(n: Any, rtol: Any, budget: Any, replicates: Any) -> None:
    if n is not None and (not _is_integer(n) or not 1 <= n <= MOST_POINTS):
        rule = f"is not a number of points between 1 and {MOST_POINTS:,}"
        raise BeliefError("n", n, rule, "give n=2**16, or leave it out and give rtol=", "out-of-bounds")
    if not (isinstance(rtol, (int, float)) and 0 < rtol < math.inf):
        raise BeliefError("rtol", rtol, "is not a positive number", "give rtol=1e-3 for 0.1 %", "out-of-bounds")
    if not _is_integer(replicates) or replicates < 2:
        raise BeliefError("replicates", replicates, "is too few for a standard error", "give at least 2; the default is 16", "too-few-data")
    if not _is_integer(budget) or budget < FIRST_ROUND * replicates:
        raise BeliefError(
            "budget",
            budget,
            f"is less than the first round of {FIRST_ROUND * replicates} points",
            "increase it, or give n=",
            "too-few-data",
        )


def _check_seed_and_levels(seed: Any, quantiles: Sequence[float]) -> None:
    if not _is_integer(seed) or seed < 0:
        raise BeliefError("seed", seed, "is not a whole number >= 0", "give seed=1", "out-of-bounds")
    if not isinstance(quantiles, (Sequence, np.ndarray)) or not all(isinstance(level, Real) for level in quantiles):
        raise BeliefError("quantiles", quantiles, "is not a list of levels", "give levels such as [.05, .5, .95]", "wrong-type")
    if not all(0 < level < 1 for level in quantiles):
        raise BeliefError("quantiles", quantiles, "are not all between 0 and 1", "give levels such as [.05, .5, .95]", "out-of-bounds")


def _least_accurate(sketches: Mapping[str, QuantileSketch], levels: Array, rtol: float, replicates: int) -> tuple[float, str]:
    """Largest ratio of relative error to ``rtol``, and the name of that result."""
    farthest, words = 0.0, ""
    for name, sketch in sketches.items():
        (quantiles, sides), (mean, error) = sketch.quantiles(levels), sketch.mean()
        values, errors = np.append(quantiles, mean), np.append(sides.mean(axis=0), error)
        spread = np.ptp(values) / 2 if values.min() < 0 < values.max() else 0.0
        scale = np.maximum(np.abs(values), spread)
        half = half_width(1.0, replicates) * errors
        relative = np.divide(half, scale, out=np.where(half > 0, np.inf, 0.0), where=scale > 0)
        worst = int(np.argmax(relative))
        if relative[worst] > farthest * rtol:
            label = f"P{100 * levels[worst]:g}" if worst < len(levels) else "mean"
            farthest = float(relative[worst]) / rtol
            words = f"{label} of {name} is only within {relative[worst]:.2g} of its value (rtol={rtol:g})"
    return farthest, words
