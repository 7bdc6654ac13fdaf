"""The number that is solved for as an axis: where it may go, and how a root on it is found."""

from __future__ import annotations

import abc
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from ..core.errors import EstimateError, SpecError
from ..core.units import Unit
from ..parallelism.plan import Plan, micro_batches
from ..run.run import Run
from ..training.efficiency import told
from ..training.phases import Phase
from .space import divisors

REACH = 20.0
"""Doublings that an axis reaches up and down from where the run is."""
FINE = 1e-13
"""Doublings to which a root is found."""
COARSE = 1e-6
"""Doublings to which a stretch is cut where limits hold from both sides."""
TINY = 2.0**-20
"""Share of the way between two bounds that a start at one of them is moved off it."""
DOUBLINGS = 12
"""That a number of accelerators reaches up from where the run is."""
MOST = 10**9
"""Of a count."""

Function = Callable[[float], float]


class Axis(abc.ABC):
    """Places ``t`` and the values there, rising."""

    unit: str
    start: float
    low_value: float
    high_value: float

    @abc.abstractmethod
    def value(self, t: float) -> float:
        """The number at a place."""

    @abc.abstractmethod
    def places(self) -> Iterator[float]:
        """Places at which it is looked which way a quantity moves, rising."""

    @abc.abstractmethod
    def steps(self, way: int) -> Iterator[float]:
        """Places further and further from the start, up (1) or down (-1), the end of the axis last."""

    @abc.abstractmethod
    def boundary(self, excess: Function, met: float, missed: float) -> float:
        """The last place where a limit is met between one where it is and one where it isn't."""

    @abc.abstractmethod
    def middle(self, a: float, b: float) -> float | None:
        """A place between two; None where they are neighbours."""

    @abc.abstractmethod
    def between(self, a: float, b: float, rising: Function) -> Sequence[float]:
        """Places around the root of a rising function, between two."""

    @abc.abstractmethod
    def near(self, t: float) -> tuple[float, float] | None:
        """A place below and one above, for a slope; None where values are whole."""


@dataclass(frozen=True)
class Real(Axis):
    """A number with a unit: the axis is its logarithm where it is bounded below, its log-odds between two bounds."""

    at: float
    meaning: Unit

    @property
    def unit(self) -> str:  # type: ignore[override]
        """Of the number."""
        return self.meaning.symbol

    @property
    def start(self) -> float:  # type: ignore[override]
        """Where the run is."""
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
        """The number at a place; the upper bound itself at the end, where it may be reached."""
        low, high = self.meaning.low, self.meaning.high
        if math.isfinite(low) and math.isfinite(high):
            if t >= REACH and self.meaning.lt is None:
                return high
            share = min(max((self.at - low) / (high - low), TINY), 1 - TINY)
            odds = share / (1 - share) * math.exp2(t)
            return low + (high - low) * odds / (1 + odds)
        if math.isfinite(low):
            return low + (self.at - low or max(abs(low), 1.0)) * math.exp2(t)
        return self.at + max(abs(self.at), 1.0) * math.sinh(t * math.log(2))

    def places(self) -> Iterator[float]:
        """Closer near the start, out to both ends."""
        far = (0.3, 1.0, 2.0, 4.0, 8.0, 12.0, 16.0, REACH)
        yield from (*(-t for t in reversed(far)), 0.0, *far)

    def steps(self, way: int) -> Iterator[float]:
        """Doubling strides."""
        stride = 1.0
        while stride < REACH:
            yield way * stride
            stride *= 2
        yield way * REACH

    def boundary(self, excess: Function, met: float, missed: float) -> float:
        """By Brent's method on the logarithm, then back to the side where the limit is met."""
        from scipy.optimize import brentq  # a third of a second, which only a search needs

        root = float(brentq(lambda t: math.log(max(excess(t), 1e-300)), met, missed, xtol=FINE, rtol=1e-15))
        back = math.copysign(FINE, met - missed)
        while excess(root) > 1 and (root - met) * back < 0:
            root, back = root + back, 2 * back
        return root if excess(root) <= 1 else met

    def middle(self, a: float, b: float) -> float | None:
        """Half way."""
        return (a + b) / 2 if b - a > COARSE else None

    def between(self, a: float, b: float, rising: Function) -> Sequence[float]:
        """The root, and both ends."""
        from scipy.optimize import brentq

        if rising(a) < 0 < rising(b):
            return a, float(brentq(rising, a, b, xtol=FINE)), b
        return a, b

    def near(self, t: float) -> tuple[float, float] | None:
        """A tenth of a doubling around."""
        return max(t - 0.05, -REACH), min(t + 0.05, REACH)


class _Whole(Axis):
    """Whole values; subclasses say which."""

    unit = "GPU"

    @property
    @abc.abstractmethod
    def last(self) -> int:
        """The last place; the first is 0."""

    @property
    def low_value(self) -> float:  # type: ignore[override]
        """The first value."""
        return self.value(0)

    @property
    def high_value(self) -> float:  # type: ignore[override]
        """The last value."""
        return self.value(self.last)

    def steps(self, way: int) -> Iterator[float]:
        """Doubling strides in place."""
        t = int(self.start) + 1
        end = self.last + 1 if way > 0 else 1
        while t != end:
            t = min(2 * t, end) if way > 0 else max(t // 2, end)
            yield t - 1

    def places(self) -> Iterator[float]:
        """The start and all doublings."""
        yield from sorted({self.start, *self.steps(1), *self.steps(-1)})

    def boundary(self, excess: Function, met: float, missed: float) -> float:
        """By halving."""
        while abs(met - missed) > 1:
            t = (met + missed) // 2
            met, missed = (t, missed) if excess(t) <= 1 else (met, t)
        return met

    def middle(self, a: float, b: float) -> float | None:
        """Half way."""
        return (a + b) // 2 if b - a > 1 else None

    def between(self, a: float, b: float, rising: Function) -> Sequence[float]:
        """Both neighbours of the root, and both ends."""
        first, last = a, b
        while b - a > 1:
            t = (a + b) // 2
            a, b = (t, b) if rising(t) <= 0 else (a, t)
        return first, a, b, last

    def near(self, t: float) -> tuple[float, float] | None:
        """None."""
        del t
        return None


@dataclass(frozen=True)
class Lattice(_Whole):
    """Multiples of a stride."""

    stride: int
    at: int

    @property
    def start(self) -> float:  # type: ignore[override]
        """Where the run is."""
        return float(self.at // self.stride - 1)

    @property
    def last(self) -> int:
        """So many doublings above the start, and no more than a cluster may have."""
        return min(MOST, self.at << DOUBLINGS) // self.stride - 1

    def value(self, t: float) -> int:
        """Multiple number t + 1."""
        return (int(t) + 1) * self.stride


@dataclass(frozen=True)
class Listed(_Whole):
    """Some values."""

    values: tuple[int, ...]

    @property
    def start(self) -> float:  # type: ignore[override]
        """The first."""
        return 0.0

    @property
    def last(self) -> int:
        """The last."""
        return len(self.values) - 1

    def value(self, t: float) -> int:
        """The value at a place."""
        return self.values[int(t)]

    def places(self) -> Iterator[float]:
        """All of them."""
        yield from range(len(self.values))


# which axis a number of a run is -----------------------------------------------------------------------------------------


def axis_of(run: Run, path: str) -> Axis:
    """The axis that a number of a run is on.

    Raises:
        PathError: no such number.
        EstimateError: a number that is not given, or a whole number that is structure.
    """
    at = run.get(path)
    if isinstance(at, int) and not isinstance(at, bool):
        if not path.endswith("cluster.gpus"):
            remedy = "use ts.search_plans" if ".plan." in f".{path}" else "solve for a number with a unit, or for cluster.gpus"
            raise EstimateError(path, at, "is structure: what lies between its values means nothing", remedy, "unsupported")
        return _sizes(run, path, at)
    unit = run.unit_of(path)
    if at is None:
        raise EstimateError(path, None, "is not given, so that there is nothing to start from", "give a rough value")
    return Real(float(at), unit)


def _sizes(run: Run, path: str, at: int) -> Axis:
    """Accelerators: multiples that every plan on that cluster allows; where time is modelled, those its batch can be shared among."""
    phases = [p for p in run.phases if path == ("cluster.gpus" if p.cluster is None else f"phases.{p.name}.cluster.gpus")]
    plans = [plan for plan in (*(p.plan or run.plan for p in phases), run.plan if path == "cluster.gpus" else None) if plan is not None]
    if any(plan.dp is not None for plan in plans):
        return Listed((at,))
    stride = math.lcm(1, *(_stride(plan) for plan in plans))
    modelled = [p for p in phases if not told(p.efficiency or run.efficiency) and p.batch is not None and (p.plan or run.plan) is not None]
    if not modelled:
        return Lattice(stride, at)
    listed = [_shared(p.plan or run.plan or Plan(), p) for p in modelled]
    values = sorted(n for n in set.intersection(*listed) if n % stride == 0)
    if not values:
        rule = "has no value that the plan allows and the batch can be shared among"
        raise EstimateError(path, at, rule, "change plan.micro_batch or the batch, or use ts.search_plans(run, gpus=[…])", "infeasible")
    return Listed(tuple(values))


def _stride(plan: Plan) -> int:
    """Accelerators that a plan comes in multiples of."""
    return plan.pp * math.lcm(plan.tp * plan.cp, plan.ep * plan.expert_tp_degree, plan.tp * (plan.shard or 1))


def _shared(plan: Plan, phase: Phase) -> set[int]:
    """Accelerators among which a batch can be shared."""
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
