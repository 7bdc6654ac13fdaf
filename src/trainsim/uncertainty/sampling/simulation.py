"""Simulation: results under uncertainty, each with its standard error."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any, Self, overload

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from trainsim.core.answer import Answer, AnswerRow, Summary
from trainsim.core.errors import BeliefError
from trainsim.core.registry import kind_of
from trainsim.core.spec import Spec
from trainsim.core.units import human

from ..beliefs.beliefs import Beliefs
from ..distributions.distribution import Array
from .draws import Draws, draws_of
from .quantiles import QuantileSketch
from .sweep import Study


class Figure(float):
    """An estimate: a float with its standard error.

    Args:
        value: the estimate.
        standard_error: standard deviation of the estimate over replicates.
        replicates: number of independent replicates.
        skew: asymmetry of the error, (up − down) / (up + down); not 0 for quantiles in a tail or near a kink [1].

    >>> figure = Figure(2.0, 0.01, 16)
    >>> figure + 1, figure.standard_error
    (3.0, 0.01)
    """

    standard_error: float
    replicates: int
    skew: float

    def __new__(cls, value: float, standard_error: float, replicates: int, skew: float = 0.0) -> Self:
        """Create a float with three more attributes."""
        self = super().__new__(cls, value)
        self.standard_error, self.replicates, self.skew = float(standard_error), replicates, float(skew)
        return self

    def __getnewargs__(self) -> tuple[float, float, int, float]:  # type: ignore[override]
        return float(self), self.standard_error, self.replicates, self.skew

    @property
    def value(self) -> float:
        """The estimate as a plain float."""
        return float(self)

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """The confidence interval ``value ± t · standard_error · (1 ± skew)`` with ``replicates - 1`` degrees of freedom."""
        half = half_width(self.standard_error, self.replicates, level)
        return float(self) - half * (1 - self.skew), float(self) + half * (1 + self.skew)

    def __repr__(self) -> str:
        return f"{float(self):.7g} ± {self.standard_error:.2g}"

    def __str__(self) -> str:
        return f"{human(float(self), 4)} ± {human(self.standard_error, 2)}"


def half_width(standard_error: float, replicates: int, level: float = 0.95) -> float:
    """Half-width of Student's confidence interval of a mean over replicates."""
    return float(special.stdtrit(replicates - 1, (1 + level) / 2)) * standard_error


@dataclass(frozen=True)
class ExactCheck:
    """Comparison of a simulation with the exact distribution.

    Args:
        of: the output.
        rows: (level, simulated, exact, difference in standard errors).
    """

    of: str
    rows: tuple[tuple[float, Figure, float, float], ...]

    @property
    def worst(self) -> float:
        """The largest difference in standard errors."""
        return max(abs(row[3]) for row in self.rows)

    def __str__(self) -> str:
        return "\n".join(
            f"P{100 * level:g} of {self.of}: {figure!r}, exact {exact:.7g}, {off:+.1f} standard errors"
            for level, figure, exact, off in self.rows
        )


@dataclass(frozen=True, repr=False)
class Simulation(Answer):
    """Distributions of a function's outputs under beliefs, with everything needed to reproduce them.

    Args:
        spec, beliefs, function: the inputs of the simulation.
        seed: seed of the draws.
        n: total number of points.
        replicates: independent randomisations.
        method: sampling method, as text.
        outputs: names of the outputs.
        reached: whether the requested accuracy was reached.
        rtol: the requested accuracy; None if n was given.
        units: output → unit, where it is known.
    """

    spec: Spec
    beliefs: Beliefs
    function: Callable[[Any], Any] = field(repr=False)
    seed: int
    n: int
    replicates: int
    method: str
    outputs: tuple[str, ...]
    rtol: float | None
    reached: bool
    _sketches: MutableMapping[str, QuantileSketch] = field(repr=False, compare=False)
    _evaluate_more: Callable[[Simulation, str], QuantileSketch] = field(repr=False, compare=False)
    _check: Callable[[Simulation, str], ExactCheck] = field(repr=False, compare=False)
    units: Mapping[str, str] = field(default_factory=dict, compare=False)

    def _sketch(self, name: str) -> QuantileSketch:
        if name not in self._sketches:
            self._sketches[name] = self._evaluate_more(self, name)
        return self._sketches[name]

    @overload
    def quantile(self, name: str, p: float) -> Figure: ...
    @overload
    def quantile(self, name: str, p: Sequence[float] | Array) -> tuple[Figure, ...]: ...
    def quantile(self, name: str, p: float | Sequence[float] | Array) -> Figure | tuple[Figure, ...]:
        """Quantiles of an output, each with its standard error.

        Args:
            name: an output, or a dotted path into its ledger: ``"cost.pretrain"``.
            p: level or levels in (0, 1).

        Raises:
            BeliefError: a level is outside (0, 1).
            PathError: there is no such output or line.
        """
        levels = np.atleast_1d(np.asarray(p, dtype=np.float64))
        if not np.all((levels > 0) & (levels < 1)):
            raise BeliefError("quantile", p, "is not between 0 and 1, both excluded", "give levels such as [.05, .5, .95]", "out-of-bounds")
        sketch = self._sketch(name)
        values, sides = sketch.quantiles(levels)
        errors = sides.mean(axis=0)
        known = (errors > 0) & np.isfinite(errors)
        skews = np.divide(sides[1] - sides[0], 2 * errors, out=np.zeros_like(errors), where=known)
        figures = tuple(Figure(q, error, self.replicates, skew) for q, error, skew in zip(values, errors, skews, strict=True))
        return figures[0] if np.ndim(p) == 0 else figures

    def mean(self, name: str) -> Figure:
        """Mean of an output."""
        return Figure(*self._sketch(name).mean(), self.replicates)

    def probability(self, name: str, *, below: float | None = None, above: float | None = None) -> Figure:
        """Probability that an output is below or above a value, or between two.

        Raises:
            BeliefError: neither bound is given, or they cross.
        """
        low, high = -math.inf if above is None else above, math.inf if below is None else below
        if (below is None and above is None) or not low < high:
            raise BeliefError(
                "probability", (above, below), "is not a range", "give below=, above=, or both with above < below", "wrong-type"
            )
        return Figure(*self._sketch(name).probability(low, high), self.replicates)

    def cdf(self, name: str, value: float) -> Figure:
        """Probability that an output is at or below a value."""
        return self.probability(name, below=float(np.nextafter(value, np.inf)))

    def percentile(self, name: str, value: float) -> float:
        """Percentile of a value in the distribution of an output, from 0 to 100."""
        return 100 * float(self.cdf(name, value))

    def density(self, name: str, at: ArrayLike) -> Array:
        """Mean density of an output between neighbouring edges, shape (len(at) - 1,)."""
        edges = np.asarray(at, dtype=np.float64)
        below = np.array([float(self.cdf(name, edge)) for edge in edges])
        return np.asarray(np.diff(below) / np.diff(edges))

    def draws(self, path: str) -> Draws:
        """Draws of a path with their weights, for plots and statistics.

        Args:
            path: a path with a belief, ``"price.usd_per_gpu_hour"``, or an output or a line of its ledger, ``"cost.pretrain"``.

        Returns:
            values and weights, each shape ``(n,)``; equal indices of two paths belong to the same point.

        Raises:
            PathError: there is no belief and no output of that name.

        >>> import trainsim as ts
        >>> sim = ts.simulate(ts.catalog.run("deepseek-v3"), ts.Beliefs({"price.usd_per_gpu_hour": ts.uniform(1, 3)}), n=1024)
        >>> price, weights = sim.draws("price.usd_per_gpu_hour")
        >>> len(price), round(float(weights @ price), 2)
        (1024, 2.0)
        """
        study = Study(self.spec, self.beliefs, self.function, self.seed, self.replicates, (path,))
        return draws_of(study, self.n // self.replicates, path)

    def check(self, of: str | None = None) -> ExactCheck:
        """Compare quantiles with the exact ones, for an output that is a product of its inputs.

        Args:
            of: the output; by default the first.

        Raises:
            BeliefError: the output is not a product of positive, monotone factors of one input each.
        """
        return self._check(self, of or self.outputs[0])

    def families(self) -> dict[str, str]:
        """Path → family of its distribution."""
        return {path: law.family for path, law in self.beliefs.resolve(self.spec).laws.items()}

    def record(self) -> dict[str, Any]:
        """Record that reproduces the results: spec, beliefs, function, seed, points and code versions."""
        return {
            "trainsim": version("trainsim"),
            "numpy": np.__version__,
            "function": _name(self.function),
            "seed": self.seed,
            "n": self.n,
            "replicates": self.replicates,
            "method": self.method,
            "spec": {"kind": kind_of(type(self.spec)), **self.spec.to_dict()},
            **self.beliefs.to_dict(),
        }

    @property
    def footnote(self) -> str:
        """Footnote for a figure: version, method, points and seed."""
        return f"trainsim {version('trainsim')}, {self.method}, n={self.n}, replicates={self.replicates}, seed={self.seed}"

    def summary(self) -> Summary:
        """Median and 90 % interval of every output, standard error of each median, and median of every belief."""
        rows, errors = [], []
        for name in self.outputs:
            low, middle, high = self.quantile(name, [0.05, 0.5, 0.95])
            rows.append(AnswerRow(name, name, float(middle), self.units.get(name, ""), float(low), float(high)))
            errors.append(
                AnswerRow(f"{name}.standard_error", name, middle.standard_error, self.units.get(name, ""), group="Standard errors")
            )
        title = f"{getattr(self.spec, 'label', '') or type(self.spec).__name__}: median (5 % to 95 %)"
        return Summary(title, (*rows, *errors), (self.footnote,), self.spec.sources() | self.beliefs.sources)


def _name(function: Callable[[Any], Any]) -> str:
    """Import path of a function."""
    named = function if hasattr(function, "__qualname__") else type(function)
    return f"{named.__module__}:{named.__qualname__}"
