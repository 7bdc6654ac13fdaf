"""Axes of ``solve_for``: the range of the number that is solved for, and the root search on it."""

from __future__ import annotations

import abc
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from ..core.errors import EstimateError, SpecError
from ..core.units import Unit
from ..parallelism.plan import Plan, micro_batches
from ..run.run import Run
from ..training.efficiency import is_reported
from ..training.phases import Phase
from .space import divisors

MAX_DOUBLINGS = 20.0
"""Range of a real number, up and down from the run's value [doublings]."""
FINE = 1e-13
"""Tolerance of a root [doublings]."""
COARSE = 1e-6
"""Tolerance for an interval between limits on both sides [doublings]."""
TINY = 2.0**-20
"""Distance by which a start on a bound is moved inside, as a share of the range."""
GPU_DOUBLINGS = 12
"""Range of a GPU count, up from the run's value [doublings]."""
MAX_GPUS = 10**9
"""Largest GPU count."""

Function = Callable[[float], float]


class Axis(abc.ABC):
    """Positions ``t`` on an axis, and the increasing values at them."""

    unit: str
    start: float
    low_value: float
    high_value: float

    @abc.abstractmethod
    def value(self, t: float) -> float:
        """The value at a position."""

    @abc.abstractmethod
    def places(self) -> Iterator[float]:
        """Positions at which the direction of a quantity is checked, in increasing order."""

    @abc.abstractmethod
    def steps(self, way: int) -> Iterator[float]:
        """Positions at increasing distance from the start, up (1) or down (-1), ending at the end of the axis."""

    @abc.abstractmethod
    def boundary(self, excess: Function, met: float, missed: float) -> float:
        """The last position where a limit is met, between a position where it is met and one where it is not."""

    @abc.abstractmethod
    def middle(self, a: float, b: float) -> float | None:
        """A position between two others; None if they are neighbours."""

    @abc.abstractmethod
    def between(self, a: float, b: float, rising: Function) -> Sequence[float]:
        """Positions around the root of an increasing function, between two positions."""

    @abc.abstractmethod
    def near(self, t: float) -> tuple[float, float] | None:
        """Positions just below and above another, for a slope; None for integer axes."""


@dataclass(frozen=True)
class RealAxis(Axis):
    """A real number with a unit. The axis is its logarithm if it is bounded below only, and its log-odds if it has two bounds."""

    at: float
    meaning: Unit

    @property
    def unit(self) -> str:  # type: ignore[override]
        """Unit of the number."""
        return self.meaning.symbol

    @property
    def start(self) -> float:  # type: ignore[override]
        """Position of the run's value."""
        return 0.0

    @property
    def low_value(self) -> float:  # type: ignore[override]
        """Lower bound."""
        return self.meaning.low

    @property
    def high_value(self) -> float:  # type: ignore[override]
        """Upper bound."""
        return self.meaning.high

    def value(self, t: float) -> float:
        """The value at a position; at the end of the axis the upper bound itself, if the field includes it."""
        low, high = self.meaning.low, self.meaning.high
        if math.isfinite(low) and math.isfinite(high):
            if t >= MAX_DOUBLINGS and self.meaning.lt is None:
                return high
            share = min(max((self.at - low) / (high - low), TINY), 1 - TINY)
            odds = share / (1 - share) * math.exp2(t)
            return low + (high - low) * odds / (1 + odds)
        if math.isfinite(low):
            return low + (self.at - low or max(abs(low), 1.0)) * math.exp2(t)
        return self.at + max(abs(self.at), 1.0) * math.sinh(t * math.log(2))

    def places(self) -> Iterator[float]:
        """Positions dense near the start, out to both ends."""
        far = (0.3, 1.0, 2.0, 4.0, 8.0, 12.0, 16.0, MAX_DOUBLINGS)
        yield from (*(-t for t in reversed(far)), 0.0, *far)

    def steps(self, way: int) -> Iterator[float]:
        """Positions at doubling distances."""
        stride = 1.0
        while stride < MAX_DOUBLINGS:
            yield way * stride
            stride *= 2
        yield way * MAX_DOUBLINGS

    def boundary(self, excess: Function, met: float, missed: float) -> float:
        """Brent's method on the logarithm, then a step back to the side where the limit is met."""
        from scipy.optimize import brentq  # imported here because the import takes 0.3 s and only a search needs it

        root = float(brentq(lambda t: math.log(max(excess(t), 1e-300)), met, missed, xtol=FINE, rtol=1e-15))
        back = math.copysign(FINE, met - missed)
        while excess(root) > 1 and (root - met) * back < 0:
            root, back = root + back, 2 * back
        return root if excess(root) <= 1 else met

    def middle(self, a: float, b: float) -> float | None:
        """The midpoint."""
        return (a + b) / 2 if b - a > COARSE else None

    def between(self, a: float, b: float, rising: Function) -> Sequence[float]:
        """The root and both ends."""
        from scipy.optimize import brentq

        if rising(a) < 0 < rising(b):
            return a, float(brentq(rising, a, b, xtol=FINE)), b
        return a, b

    def near(self, t: float) -> tuple[float, float] | None:
        """Positions 0.05 doublings below and above."""
        return max(t - 0.05, -MAX_DOUBLINGS), min(t + 0.05, MAX_DOUBLINGS)


class _IntegerAxis(Axis):
    """Integer values, defined by subclasses."""

    unit = "GPU"

    @property
    @abc.abstractmethod
    def last(self) -> int:
        """The last position; the first is 0."""

    @property
    def low_value(self) -> float:  # type: ignore[override]
        """The first value."""
        return self.value(0)

    @property
    def high_value(self) -> float:  # type: ignore[override]
        """The last value."""
        return self.value(self.last)

    def steps(self, way: int) -> Iterator[float]:
        """Positions at doubling indices."""
        t = int(self.start) + 1
        end = self.last + 1 if way > 0 else 1
        while t != end:
            t = min(2 * t, end) if way > 0 else max(t // 2, end)
            yield t - 1

    def places(self) -> Iterator[float]:
        """The start and all doublings."""
        yield from sorted({self.start, *self.steps(1), *self.steps(-1)})

    def boundary(self, excess: Function, met: float, missed: float) -> float:
        """Bisection."""
        while abs(met - missed) > 1:
            t = (met + missed) // 2
            met, missed = (t, missed) if excess(t) <= 1 else (met, t)
        return met

    def middle(self, a: float, b: float) -> float | None:
        """The midpoint."""
        return (a + b) // 2 if b - a > 1 else None

    def between(self, a: float, b: float, rising: Function) -> Sequence[float]:
        """Both neighbours of the root, and both ends."""
        first, last = a, b
        while b - a > 1:
            t = (a + b) // 2
            a, b = (t, b) if rising(t) <= 0 else (a, t)
        return first, a, b, last

    def near(self, t: float) -> tuple[float, float] | None:
        """None: integer axes have no slope."""
        del t
        return None


@dataclass(frozen=True)
class MultiplesAxis(_IntegerAxis):
    """Multiples of a stride, such as GPU counts."""

    stride: int
    at: int

    @property
    def start(self) -> float:  # type: ignore[override]
        """Position of the run's value."""
        return float(self.at // self.stride - 1)

    @property
    def last(self) -> int:
        """``GPU_DOUBLINGS`` above the start, at most ``MAX_GPUS``."""
        return min(MAX_GPUS, self.at << GPU_DOUBLINGS) // self.stride - 1

    def value(self, t: float) -> int:
        """The (t + 1)-th multiple."""
        return (int(t) + 1) * self.stride


@dataclass(frozen=True)
class ListedAxis(_IntegerAxis):
    """A list of values."""

    values: tuple[int, ...]

    @property
    def start(self) -> float:  # type: ignore[override]
        """The first position."""
        return 0.0

    @property
    def last(self) -> int:
        """The last position."""
        return len(self.values) - 1

    def value(self, t: float) -> int:
        """The value at a position."""
        return self.values[int(t)]

    def places(self) -> Iterator[float]:
        """All positions."""
        yield from range(len(self.values))


# choice of the axis ------------------------------------------------------------------------------------------------------


def axis_of(run: Run, path: str) -> Axis:
    """The axis for a number of a run.

    Raises:
        PathError: no such number.
        EstimateError: the number is not given, or is an integer other than a GPU count.
    """
    at = run.get(path)
    if isinstance(at, int) and not isinstance(at, bool):
        if not path.endswith("cluster.gpus"):
            remedy = "use ts.search_plans" if ".plan." in f".{path}" else "solve for a number with a unit, or for cluster.gpus"
            raise EstimateError(path, at, "is an integer other than a GPU count, so it can't be solved for", remedy, "unsupported")
        return _gpu_axis(run, path, at)
    unit = run.unit_of(path)
    if at is None:
        raise EstimateError(path, None, "is not given, so there is no start value", "give a rough value")
    return RealAxis(float(at), unit)


def _gpu_axis(run: Run, path: str, at: int) -> Axis:
    """Axis of a GPU count: multiples that all plans on the cluster allow and, if step time is modelled, over which the batch divides."""
    phases = [p for p in run.phases if path == ("cluster.gpus" if p.cluster is None else f"phases.{p.name}.cluster.gpus")]
    plans = [plan for plan in (*(p.plan or run.plan for p in phases), run.plan if path == "cluster.gpus" else None) if plan is not None]
    if any(plan.dp is not None for plan in plans):
        return ListedAxis((at,))
    stride = math.lcm(1, *(_stride(plan) for plan in plans))
    modelled = [
        p for p in phases if not is_reported(p.efficiency or run.efficiency) and p.batch is not None and (p.plan or run.plan) is not None
    ]
    if not modelled:
        return MultiplesAxis(stride, at)
    listed = [_possible_gpu_counts(p.plan or run.plan or Plan(), p) for p in modelled]
    values = sorted(n for n in set.intersection(*listed) if n % stride == 0)
    if not values:
        rule = "has no value that fits both the plan and the batch"
        raise EstimateError(path, at, rule, "change plan.micro_batch or the batch, or use ts.search_plans(run, gpus=[…])", "infeasible")
    return ListedAxis(tuple(values))


def _stride(plan: Plan) -> int:
    """Smallest number of accelerators of a plan; all others are multiples of it."""
    return plan.pp * math.lcm(plan.tp * plan.cp, plan.ep * plan.expert_tp_degree, plan.tp * (plan.shard or 1))


def _possible_gpu_counts(plan: Plan, phase: Phase) -> set[int]:
    """Numbers of accelerators over which a batch can be divided."""
    batch = float(phase.batch or 0.0)
    found = set()
    if batch % plan.micro_batch == 0:
        for dp in divisors(int(batch) // plan.micro_batch):
            gpus = dp * plan.tp * plan.pp * plan.cp
            try:
                micro_batches(plan, batch, gpus)
            except SpecError:
                continue
            found.add(gpus)
    return found
