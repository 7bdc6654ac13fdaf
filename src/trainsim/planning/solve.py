"""solve_for: the value of one number of a run that meets limits on dollars, days or memory, at a probability."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..core.batch import Batch
from ..core.errors import BeliefError, EstimateError, PathError
from ..core.quantities import typed_number
from ..core.units import Num, human
from ..core.values import to_float
from ..run.estimate import Estimate, estimate, unit_of
from ..run.run import Run
from ..uncertainty.beliefs.beliefs import Beliefs
from ..uncertainty.sampling.simulation import Figure
from .axes import Axis, ListedAxis, axis_of
from .solution import Limit, Solution

Array = NDArray[np.float64]

REPLICATES = 16
DRAWS = 1 << 13
"""Total number of points, the same for every value tried."""
TRIED = 1 << 9
"""Number of points with which monotonicity is checked."""
SAME = 1e-12
"""Relative difference below which two numbers are equal."""


def solve_for(
    run: Run,
    path: str,
    limits: Mapping[str, float | str],
    beliefs: Beliefs | None = None,
    *,
    probability: float = 0.5,
    seed: int = 0,
) -> Solution:
    """Solve for the value of one number of a run that meets all limits, such as the tokens that a budget and a deadline allow.

    ``max or min x such that P(q₁(x) <= L₁ and … and qₖ(x) <= Lₖ) >= p``

    Each quantity must be monotone in the number. This is checked: if a quantity turns, only the monotone range around the run's value is
    searched, and a note says so. Every value is tried with the same draws, so the probability is monotone too, and its root can be
    bracketed.

    Args:
        run: the run; without beliefs, its own numbers are used and ``probability`` has no effect.
        path: path of a number of the run. For ``cluster.gpus``, the only counts tried are those that the plan allows and, if step time is
            modelled, over which the batch divides.
        limits: quantity of an estimate, or a line of one → its upper limit: ``{"cost": "1.2M", "wall_days": 40}``; also ``memory`` of the
            fullest accelerator [B].
        beliefs: path → distribution.
        probability: required probability that all limits are met at once.
        seed: seed of the draws.

    Returns:
        the value, the binding limit, the slack of each limit and the standard error; if no value meets all limits, the nearest value and
        the limits that it would meet.

    Raises:
        EstimateError: no limit, a limit that is not positive, or a quantity that is not monotone in the number or does not depend on it.
        BeliefError: beliefs about the number itself, or a probability outside (0, 1).
        PathError: no such number or quantity.

    >>> import trainsim as ts
    >>> run = ts.catalog.run("deepseek-v3").replace({"phases.pretrain.efficiency": ts.MFU(0.3894, flops="half")})
    >>> budget = float(ts.estimate(run).cost.total)
    >>> print(f"{solve_for(run, 'phases.pretrain.tokens', {'cost': budget, 'wall_days': 365}).value / 1e12:.3f}")
    14.800
    """
    if not isinstance(limits, Mapping) or not limits:
        raise EstimateError("limits", limits, "names no limit", "give {'cost': 1.2e6, 'wall_days': 40}", "wrong-type")
    bounds = {name: typed_number(limit, _unit_of(name), f"limits.{name}", EstimateError) for name, limit in limits.items()}
    if not 0 < to_float(probability, "probability", BeliefError) < 1:
        raise BeliefError("probability", probability, "must be between 0 and 1, both excluded", "give probability=.8", "out-of-bounds")
    if beliefs is not None and path in beliefs.paths:
        raise BeliefError(path, beliefs[path], "is the number solved for", f"leave it out: beliefs.without({path!r})", "conflict")
    axis = axis_of(run, path)
    return _Solver(run, path, axis, dict(sorted(bounds.items())), _draws(run, beliefs, seed), probability).solved()


def _unit_of(quantity: str) -> str:
    return "B" if quantity == "memory" else unit_of(quantity)


def _draws(run: Run, beliefs: Beliefs | None, seed: int) -> dict[str, Array]:
    """Draws of all beliefs, replicate by replicate."""
    if beliefs is None:
        return {}
    resolved = beliefs.resolve(run)
    size = DRAWS // REPLICATES
    u = next(iter(resolved.points(seed, REPLICATES).blocks(slice(0, REPLICATES), 0, size, size)))
    return {path: np.asarray(values) for path, values in resolved.draw(u).items()}


def _quantity(est: Estimate, name: str) -> Num:
    """A quantity of an estimate by name; ``memory`` is that of the fullest rank."""
    if name == "memory":
        ledger = est.memory
        fullest: Num = np.maximum.reduce(np.broadcast_arrays(*(ledger.part(rank).total for rank in ledger)))
        return fullest
    try:
        return est.quantity(name)
    except PathError as error:
        raise PathError(f"limits.{name}", name, error.rule, f"{error.remedy}; or limit memory", error.rule_id) from None


def _changes(found: Array) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Whether each quantity increases, and whether it decreases, in any draw from one position to the next.

    Takes shape ``(positions, limits, draws)`` and gives two masks ``(positions - 1, limits)``. Both are true if a quantity is not finite.
    """
    finite = np.isfinite(found)
    whole = np.where(finite, found, 0.0)
    change, size = np.diff(whole, axis=0), SAME * np.abs(whole[1:])
    broken = ~(finite[1:] & finite[:-1]).all(axis=2)
    return np.asarray((change > size).any(axis=2) | broken), np.asarray((change < -size).any(axis=2) | broken)


def _monotone(up: NDArray[np.bool_], down: NDArray[np.bool_], start: int) -> tuple[int, int]:
    """First and last position of the range around the start in which a quantity is monotone.

    The last segment before a turn is excluded too, because the turn may lie in it.

    >>> _monotone(np.array([False, False, True, True, True]), np.array([True, True, False, False, False]), 4)
    (3, 5)
    """
    direction, ends = 0, [start, start]
    for side, segments in ((1, range(start, len(up))), (0, range(start - 1, -1, -1))):
        outward = 1 if side else -1
        for segment in segments:
            here = int(up[segment]) - int(down[segment])
            if (up[segment] and down[segment]) or here * direction < 0:
                ends[side] -= outward * (ends[side] != start)
                break
            direction, ends[side] = direction or here, ends[side] + outward
    return ends[0], ends[1]


@dataclass(frozen=True)
class _Solver:
    """Solver for one number: evaluates the ratios of quantities to their limits, shape ``(limits, draws)``, at each value tried."""

    run: Run
    path: str
    axis: Axis
    limits: Mapping[str, float]
    draws: Mapping[str, Array]
    probability: float

    @cached_property
    def _known(self) -> dict[float, Array]:
        return {}

    def ratios(self, t: float) -> Array:
        """Ratio of each quantity to its limit at a position on the axis."""
        if t not in self._known:
            found = self._evaluate(t, self.draws)
            if not np.all(np.isfinite(found)):
                name = list(self.limits)[int(np.argmin(np.isfinite(found).all(axis=1)))]
                raise EstimateError(
                    f"limits.{name}",
                    self.axis.value(t),
                    f"can't be computed at this value of {self.path}",
                    "give the inputs of the run that it needs",
                    "unknown-name",
                )
            self._known[t] = found
        return self._known[t]

    def _evaluate(self, t: float, draws: Mapping[str, Array]) -> Array:
        made = self.run.replace({self.path: self.axis.value(t)})
        count = len(next(iter(draws.values()))) if draws else 1
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # non-finite results are handled by the caller
            est = estimate(Batch(made, draws).spec if draws else made)
            rows = [np.asarray(_quantity(est, name), dtype=np.float64) / limit for name, limit in self.limits.items()]
        return np.stack([np.broadcast_to(row, (count,)) for row in rows])

    @property
    def moves(self) -> NDArray[np.int_]:
        """Direction in which each quantity changes with the number, 1, -1 or 0; shape ``(limits,)``."""
        return self._monotone_range[2]

    @cached_property
    def _monotone_range(self) -> tuple[float, float, NDArray[np.int_], tuple[str, ...]]:
        """The range of the axis around the start in which every quantity is monotone, their directions, and notes.

        Raises:
            EstimateError: a quantity rises on one side of the start and falls on the other.
        """
        some = {path: values[:TRIED] for path, values in self.draws.items()}
        places = list(self.axis.places())
        start = places.index(self.axis.start)
        found = np.stack([self._evaluate(t, some) for t in places])
        up, down = _changes(found)
        ends = [_monotone(up[:, i], down[:, i], start) for i in range(len(self.limits))]
        first, last = max(low for low, _ in ends), min(high for _, high in ends)
        turning = [name for name, (low, high) in zip(self.limits, ends, strict=True) if (low, high) != (0, len(places) - 1)]
        if first == last:
            values = ", ".join(human(float(x)) for x in found[:, list(self.limits).index(turning[0]), 0] * self.limits[turning[0]])
            rule = f"{turning[0]} is not monotone there: {values} at {', '.join(human(self.axis.value(t)) for t in places)}"
            raise EstimateError(
                self.path, self.axis.value(self.axis.start), rule, "start from another value, or solve for another number", "infeasible"
            )
        inside = slice(first, last)
        ways = np.asarray(up[inside].any(axis=0).astype(np.int_) - down[inside].any(axis=0).astype(np.int_), dtype=np.int_)
        searched = f"only {human(self.axis.value(places[first]))} to {human(self.axis.value(places[last]))} was searched"
        notes = (f"{' and '.join(turning)} is not monotone outside this range: {searched}",) if turning else ()
        return places[first], places[last], ways, notes

    def _steps(self, way: int) -> Iterator[float]:
        """The steps of the axis within the monotone range."""
        low, high, _, _ = self._monotone_range
        for t in self.axis.steps(way):
            if not low < t < high:
                break
            yield t
        end = high if way > 0 else low
        if end != self.axis.start:
            yield end

    def _check(self) -> None:
        """Check that the quantities were monotone at all positions evaluated.

        Raises:
            EstimateError: one was not.
        """
        places = sorted(self._known)
        up, down = _changes(np.stack([self._known[t] for t in places]))
        for i in np.flatnonzero((up & (self.moves[None] <= 0) | down & (self.moves[None] >= 0)).any(axis=0)):
            name = list(self.limits)[i]
            between = " and ".join(human(self.axis.value(t)) for t in (places[0], places[-1]))
            rule = f"{name} is not monotone between {between}"
            raise EstimateError(self.path, self.axis.value(self.axis.start), rule, "solve for another number", "infeasible")

    # quantiles -------------------------------------------------------------------------------------------------

    def excess(self, t: float, rows: NDArray[np.bool_] | None = None) -> float:
        """Quantile, at the requested probability, of the largest ratio of a quantity to its limit; at most 1 if the limits are met."""
        ratios = self.ratios(t) if rows is None else self.ratios(t)[rows]
        return float(self._at(ratios.max(axis=0)))

    def _at(self, ratios: Array) -> Array:
        """Quantile along the last axis, at the requested probability."""
        kth = max(math.ceil(self.probability * ratios.shape[-1] - 1e-9) - 1, 0)
        return np.asarray(np.partition(ratios, kth, axis=-1)[..., kth])

    # solving ---------------------------------------------------------------------------------------------------

    def solved(self) -> Solution:
        """Solve, and return the solution."""
        if isinstance(self.axis, ListedAxis):
            return self._listed(self.axis)
        if not np.any(self.moves):
            raise EstimateError(
                self.path, list(self.limits), "has no effect on the limited quantities", "solve for another number", "infeasible"
            )
        rising, falling, flat = self.moves > 0, self.moves < 0, self.moves == 0
        reachable = not flat.any() or self.excess(self.axis.start, flat) <= 1
        beside = flat if reachable else np.zeros_like(flat)  # a limit that no value can meet does not decide which value is nearest
        up = self._end(1, rising | beside) if rising.any() else None
        down = self._end(-1, falling | beside) if falling.any() else None
        if up is not None and down is not None:
            return self._between(down, up, reachable=reachable)
        end = up if up is not None else down
        assert end is not None
        t, met = end
        first, last, _, notes = self._monotone_range
        outer = (
            self.axis.value(first if up is not None else last) if notes else self.axis.low_value if up is not None else self.axis.high_value
        )
        low, high = sorted((outer, self.axis.value(t)))
        return self._answer(t, met=met and reachable, interval=(low, high) if met and reachable else None)

    def _end(self, way: int, rows: NDArray[np.bool_]) -> tuple[float, bool]:
        """The last position up (1) or down (-1) where some limits are met, and True; if no position meets them, the nearest one and
        False.
        """
        start = self.axis.start
        met = self.excess(start, rows) <= 1
        last = start
        for t in self._steps(way if met else -way):
            if (self.excess(t, rows) <= 1) != met:
                inside, outside = (last, t) if met else (t, last)
                return self.axis.boundary(lambda t: self.excess(t, rows), inside, outside), True
            last = t
        return last, met

    def _between(self, down: tuple[float, bool], up: tuple[float, bool], *, reachable: bool) -> Solution:
        """Solve between lower and upper limits on the number."""
        (low, low_met), (high, high_met) = down, up
        if reachable and low_met and high_met and low <= high:
            ends = self._first(low, high, 1), self._first(low, high, -1)
            if ends[0] is not None and ends[1] is not None:
                return self._answer(ends[0], met=True, interval=(self.axis.value(ends[0]), self.axis.value(ends[1])))
        first, last = sorted((low, high))
        nearest = min(self.axis.between(first, last, self._balance), key=self.excess)
        return self._answer(nearest, met=False, interval=None)

    def _balance(self, t: float) -> float:
        """Log ratio of the excess of increasing quantities to that of decreasing ones; it increases along the axis, and is 0 where both are
        equal.
        """
        flat = self.moves == 0
        return math.log(self.excess(t, flat | (self.moves > 0))) - math.log(self.excess(t, flat | (self.moves < 0)))

    def _first(self, low: float, high: float, way: int) -> float | None:
        """Smallest (1) or largest (-1) position in an interval that meets all limits at once; None if no position does.

        Branch and bound: on an interval, a draw can meet all limits only if it meets those of decreasing quantities at the upper end and
        those of increasing ones at the lower end. An interval is dropped if too few draws can meet
        all limits on it; otherwise it is halved.
        """
        flat = self.moves == 0
        rising, falling = flat | (self.moves > 0), flat | (self.moves < 0)
        stack = [(low, high)]
        while stack:
            a, b = stack.pop()
            ends = (a, b) if way > 0 else (b, a)
            if self.excess(ends[0]) <= 1:
                return ends[0]
            best = np.maximum(self.ratios(a)[rising].max(axis=0), self.ratios(b)[falling].max(axis=0))
            middle = self.axis.middle(a, b)
            if self._at(best) > 1 or middle is None:
                continue
            halves = [(a, middle), (middle, b)]
            stack += reversed(halves) if way > 0 else halves
        return None

    def _listed(self, axis: ListedAxis) -> Solution:
        """Solve by trying all values of a list."""
        places = list(axis.places())
        excess = np.array([self.excess(t) for t in places])
        good = np.flatnonzero(excess <= 1)
        first, last = self.ratios(places[0]), self.ratios(places[-1])
        falls = np.any(self._at(last) < self._at(first) * (1 - SAME))
        notes = (f"tried {', '.join(f'{axis.value(t):,}' for t in places)}, the values that fit the plan and the batch",)
        if not len(good):
            return self._answer(places[int(np.argmin(excess))], met=False, interval=None, notes=notes)
        chosen = good[0] if falls else good[-1]
        return self._answer(places[chosen], met=True, interval=(axis.value(places[good[0]]), axis.value(places[good[-1]])), notes=notes)

    def _answer(self, t: float, *, met: bool, interval: tuple[float, float] | None, notes: tuple[str, ...] = ()) -> Solution:
        ratios, x = self.ratios(t), float(self.axis.value(t))
        each = np.atleast_1d(self._at(ratios))
        joint = self.excess(t)
        moves = np.zeros(len(self.limits), dtype=np.int_)
        if not isinstance(self.axis, ListedAxis):
            self._check()
            moves, notes = self.moves, self._monotone_range[3]
        limits = []
        for i, (name, limit) in enumerate(self.limits.items()):
            missed = each[i] > 1 or (np.all(each <= 1) and each[i] == each.max())
            needed = None if met or not missed else limit * max(float(each[i]), joint if np.all(each <= 1) else 0.0)
            limits.append(Limit(name, limit, float(each[i]) * limit, int(moves[i]), needed))
        free = met and joint < 1 - SAME and not isinstance(self.axis, ListedAxis) and t in self._monotone_range[:2]
        bound = "bounds" if x in {self.axis.low_value, self.axis.high_value} else "searched range"
        return Solution(
            run=self.run, path=self.path, unit=self.axis.unit, value=x if met else None, nearest=x, interval=interval,
            probability=self._met(ratios), standard_error=self._standard_error(t), limits=tuple(limits),
            binds=f"{bound} of {self.path}" if free else list(self.limits)[int(np.argmax(each))], notes=notes,
        )  # fmt: skip

    def _met(self, ratios: Array) -> Figure | None:
        """Probability that all limits are met, with its standard error over replicates."""
        if not self.draws:
            return None
        means = (ratios.max(axis=0) <= 1).reshape(REPLICATES, -1).mean(axis=1)
        return Figure(float(means.mean()), float(means.std(ddof=1)) / math.sqrt(REPLICATES), REPLICATES)

    def _standard_error(self, t: float) -> float | None:
        """Standard error of the value, by the delta method: that of the quantile divided by its slope; None for integers."""
        near = self.axis.near(t)
        if not self.draws or near is None:
            return None
        each = np.log(self._at(self.ratios(t).max(axis=0).reshape(REPLICATES, -1)))
        low, high = near
        slope = (math.log(self.excess(high)) - math.log(self.excess(low))) / (self.axis.value(high) - self.axis.value(low))
        return float(each.std(ddof=1)) / math.sqrt(REPLICATES) / abs(slope) if slope else None
