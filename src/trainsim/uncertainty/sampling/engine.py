"""simulate: a function of a spec under beliefs, by randomised quasi-Monte Carlo."""

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
from .exact import check
from .preintegration import LinearOutput, LinearOutputReducer, PreintegratedSketch, choose_inputs, conditional_spread, first_draws, join
from .quantiles import Bins, CountingReducer, Counts, Histogram, QuantileSketch, SortedDraws, size_key
from .simulation import Simulation, half_width
from .sweep import BLOCK, Executor, Function, Progress, Study, evaluate, sweep

REPLICATES = 16
FIRST = 512
"""Points of each replicate in the first round: enough to meet a bend of the function that one draw in a thousand sees."""
AT_ONCE, A_ROUND, AT_BEST = 0.5, 0.6, 0.35
"""Errors this much smaller than asked for end the growth at once; a doubling makes errors smaller by these, at least and at best."""
KEEP = 1 << 19
"""Up to so many points every draw is kept; beyond, draws are counted."""


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
    """What a function of a spec comes to under beliefs, to an accuracy.

    Points are scrambled Sobol' sequences, replicated with independent scrambles; the spread over replicates gives a
    standard error for every number. An input in which an output is a straight line is integrated out exactly, so that
    its quantiles converge as fast as means. Points are doubled until the half-width of the 95 % interval of every quantile
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
        executor: where to run: anything with a ``map`` as of ``concurrent.futures``; shards are fixed, so the result is
            the same to the bit wherever and on however many workers it runs.
        progress: called with the points done and the points of this round: ``ts.progress_bar``, or your own.

    Raises:
        BeliefError: bad arguments; beliefs that don't fit the spec; a draw that the function gives no finite answer to.
        PathError: a believed path or an output that is not there.

    Source: L'Ecuyer (2018), "Randomized quasi-Monte Carlo: an introduction for practitioners", MCQMC 2016.

    >>> from trainsim.cost.rental import Rental
    >>> from trainsim.uncertainty.distributions.interval import ci90
    >>> beliefs = Beliefs({"usd_per_gpu_hour": ci90(1.4, 3.4)})
    >>> sim = simulate(Rental(usd_per_gpu_hour=2.0), beliefs, lambda price: 2.788e6 * price.usd_per_gpu_hour)
    >>> round(sim.quantile("value", 0.95) / 2.788e6, 2)
    3.4
    """
    check_type(spec, Spec, "spec", "what the beliefs are laid over: a ts.Run, or a spec of your own")
    check_type(beliefs, Beliefs, "beliefs", "ts.Beliefs({path: distribution})")
    _check_points(n, rtol, budget, replicates)
    _check_rest(seed, quantiles)
    keep_freed_memory()
    study = Study(spec, beliefs, function, seed, replicates, tuple(outputs))
    run = Runner(study, executor, progress)
    if n is not None:
        accumulated, missed = run.grow(Accumulated(), 1 << max(0, math.ceil(math.log2(n / replicates)))), None
    else:
        accumulated, missed = run.to_accuracy(np.asarray(quantiles, dtype=np.float64), rtol, budget)
        if missed:
            warnings.warn(f"{missed} after {accumulated.size * replicates:,} points; raise budget= or rtol=", TrainsimWarning, stacklevel=2)

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
        _check=check,
    )


def evaluate_more(sim: Simulation, name: str) -> QuantileSketch:
    """An output or ledger line that was not kept, from the same points."""
    study = Study(sim.spec, sim.beliefs, sim.function, sim.seed, sim.replicates, (name,))
    return Runner(study, None, None).grow(Accumulated(), sim.n // sim.replicates).sketches[name]


@dataclass(frozen=True)
class Accumulated:
    """What has been gathered so far.

    Args:
        size: points of each replicate.
        inputs: output → index of the column it may be integrated over.
        kept: output → its draws, while there are few.
        counted: output → counts of each replicate, once there are many.
        sketches: output → what answers questions.
    """

    size: int = 0
    inputs: Mapping[str, int] | None = None
    kept: Mapping[str, LinearOutput | Array] | None = None
    counted: Mapping[str, list[Counts]] | None = None
    sketches: Mapping[str, QuantileSketch] = field(default_factory=dict)

    def method(self, study: Study) -> str:
        """How the points were laid, in words."""
        words = f"scrambled Sobol', {len(study.resolved.columns)} dimensions"
        exact = {name: i for name, i in (self.inputs or {}).items() if isinstance(self.sketches.get(name), PreintegratedSketch)}
        over = sorted({study.resolved.columns[i].paths[0] for i in exact.values()})
        if over:
            words += f", {' and '.join(over)} integrated exactly"
        return f"{words}, counted in bins 2^-12 wide" if self.counted else words


@dataclass(frozen=True)
class Runner:
    """Evaluates a study at more and more points, wherever it is asked to."""

    study: Study
    executor: Executor | None
    progress: Progress | None

    def to_accuracy(self, levels: Array, rtol: float, budget: int) -> tuple[Accumulated, str | None]:
        """Grow until every number is as accurate as asked; what is still missing, in words, once the budget is spent.

        An error that happens to be estimated low would stop the growth too soon, and its interval would hold the truth
        too rarely; so one that is only just small enough must have been on its way there a round ago.
        """
        accumulated, before = self.grow(Accumulated(), FIRST), math.inf
        most = 1 << math.floor(math.log2(budget / self.study.replicates))
        while True:
            ratio, words = _farthest(accumulated.sketches, levels, rtol, self.study.replicates)
            if ratio <= AT_ONCE or (ratio <= 1 and before <= 1):
                return accumulated, None
            if accumulated.size >= most:
                return accumulated, words if ratio > 1 else None
            # no fewer doublings can do, even if each makes errors as much smaller as it can for the smoothest of functions
            doublings = 1 if math.isinf(ratio) else max(1, math.ceil(-math.log(ratio) / math.log(AT_BEST)))
            size = min(accumulated.size << doublings, most)
            skipped = math.log2(size / accumulated.size) - 1
            accumulated, before = self.grow(accumulated, size), ratio * AT_BEST**skipped * A_ROUND

    def grow(self, accumulated: Accumulated, size: int) -> Accumulated:
        """The accumulated draws at a larger size; what was evaluated before is not evaluated again."""
        lines_only = bool(accumulated.sketches) and all(isinstance(sketch, PreintegratedSketch) for sketch in accumulated.sketches.values())
        if size * self.study.replicates > KEEP and size >= BLOCK and not lines_only:
            return self._count(accumulated, size)
        inputs = accumulated.inputs
        if inputs is None and size * self.study.replicates > BLOCK:  # several shards, which must choose alike
            inputs = choose_inputs(self.study, first_draws(self.study))
        new = self._gather(inputs, accumulated.size, size)
        inputs = {name: part.column for name, part in new.items() if isinstance(part, LinearOutput)}
        kept = {name: join([accumulated.kept[name], part], axis=1) for name, part in new.items()} if accumulated.kept else new
        return Accumulated(size, inputs, kept, None, {name: self._sketch(part) for name, part in kept.items()})

    def _gather(self, inputs: Mapping[str, int] | None, start: int, stop: int) -> dict[str, LinearOutput | Array]:
        rows: dict[str, list[LinearOutput | Array]] = {}
        replies = sweep(self.study, LinearOutputReducer(inputs), start, stop, executor=self.executor, progress=self.progress)
        for _, pieces in groupby(replies, key=lambda reply: reply[0][0]):
            parts = [reply for _, reply in pieces]
            for name in parts[0]:
                rows.setdefault(name, []).append(join([part[name] for part in parts], axis=1))
        return {name: join(parts, axis=0) for name, parts in rows.items()}

    def _sketch(self, part: LinearOutput | Array) -> QuantileSketch:
        if not isinstance(part, LinearOutput):
            return SortedDraws(part)
        if not part.straight:
            return SortedDraws(part.value)
        resolved = self.study.resolved
        law = resolved.columns[part.column].law
        assert isinstance(law, Distribution)
        return PreintegratedSketch(law, part, conditional_spread(resolved, part.column))

    def _count(self, accumulated: Accumulated, size: int) -> Accumulated:
        """From counts, the new points are added; from draws, all is counted afresh. Exact integrals stay as they are."""
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
        u = next(self.study.points.blocks(slice(0, 1), 0, FIRST, FIRST))
        pilot = evaluate(self.study, self.study.resolved.draw(u), FIRST, self.study.outputs)
        return {name: Bins(size_key(values)) for name, values in pilot.items()}


MOST_POINTS = 2**40
"""Points of a simulation: more take years."""


def _whole(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _check_points(n: Any, rtol: Any, budget: Any, replicates: Any) -> None:
    if n is not None and (not _whole(n) or not 1 <= n <= MOST_POINTS):
        rule = f"is not a number of points between 1 and {MOST_POINTS:,}"
        raise BeliefError("n", n, rule, "give n=2**16, or leave it out and give rtol=", "out-of-bounds")
    if not (isinstance(rtol, (int, float)) and 0 < rtol < math.inf):
        raise BeliefError("rtol", rtol, "is no positive accuracy", "give rtol=1e-3 for a tenth of a percent", "out-of-bounds")
    if not _whole(replicates) or replicates < 2:
        raise BeliefError("replicates", replicates, "can't give a standard error", "give at least 2; 16 is usual", "too-few-data")
    if not _whole(budget) or budget < FIRST * replicates:
        raise BeliefError(
            "budget", budget, f"is less than the first round of {FIRST * replicates} points", "raise it, or give n=", "too-few-data"
        )


def _check_rest(seed: Any, quantiles: Sequence[float]) -> None:
    if not _whole(seed) or seed < 0:
        raise BeliefError("seed", seed, "is no whole number >= 0", "give seed=1", "out-of-bounds")
    if not isinstance(quantiles, (Sequence, np.ndarray)) or not all(isinstance(level, Real) for level in quantiles):
        raise BeliefError("quantiles", quantiles, "is not a list of levels", "give levels such as [.05, .5, .95]", "wrong-type")
    if not all(0 < level < 1 for level in quantiles):
        raise BeliefError("quantiles", quantiles, "are not all between 0 and 1", "give levels such as [.05, .5, .95]", "out-of-bounds")


def _farthest(sketches: Mapping[str, QuantileSketch], levels: Array, rtol: float, replicates: int) -> tuple[float, str]:
    """How far the least accurate number is from the accuracy asked for, as a ratio, and which it is, in words."""
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
