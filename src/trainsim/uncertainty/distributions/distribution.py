# ruff: noqa: D102  (members inherit the docstrings of the base class)
"""Base classes of beliefs about one number: distributions given by their quantile function."""

from __future__ import annotations

import math
from abc import abstractmethod
from functools import cached_property, lru_cache
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from trainsim.core.errors import BeliefError
from trainsim.core.family import Family
from trainsim.core.units import Num, Unit

Array = NDArray[np.float64]

Real = Annotated[Num, Unit("", "a parameter in the unit of the field")]
Positive = Annotated[Num, Unit("", "a parameter of scale or shape", gt=0)]


@lru_cache(maxsize=1)
def _quadrature() -> tuple[Array, Array]:
    """Gauss-Legendre scores and masses: ``E[x] = Σ mass · from_score(score)``, for families without a closed mean."""
    nodes, weights = np.polynomial.legendre.leggauss(400)
    scores = 8.5 * nodes
    return scores, 8.5 * weights * np.exp(-0.5 * scores**2) / math.sqrt(2 * math.pi)


class Belief(Family):
    """Base class of beliefs about the numbers at one or several paths: a distribution, or an interval without a family."""

    @abstractmethod
    def for_field(self, unit: Unit, path: str) -> Distribution:
        """The distribution of this belief on a field.

        Args:
            unit: unit and bounds of the field.
            path: path of the field, for the error.

        Raises:
            BeliefError: the belief has mass outside the field's bounds.
        """


class Distribution(Belief):
    """Base class of distributions of one number, given by their quantile function.

    ``x = ppf(u)`` for u uniform on (0, 1), and ``x = from_score(z)`` for z standard normal. The second is exact in the tails and is used
    by the Gaussian copula.
    """

    @abstractmethod
    def ppf(self, u: ArrayLike) -> Array:
        """Quantile at level u, any shape."""

    @abstractmethod
    def cdf(self, x: ArrayLike) -> Array:
        """Probability of a value at or below x, any shape."""

    @property
    @abstractmethod
    def support(self) -> tuple[float, float]:
        """The smallest interval with probability one."""

    @property
    def family(self) -> str:
        """Name of the family for reports."""
        return type(self).__name__.lower()

    def from_score(self, z: ArrayLike) -> Array:
        """The value at a normal score: ``ppf(Φ(z))``."""
        return self.ppf(special.ndtr(np.asarray(z, dtype=np.float64)))

    def score(self, x: ArrayLike) -> Array:
        """The normal score of a value: ``Φ⁻¹(cdf(x))``, infinite outside the support."""
        return np.asarray(special.ndtri(self.cdf(x)))

    @property
    def mean(self) -> float:
        """The expected value."""
        scores, masses = _quadrature()
        return float(masses @ self.from_score(scores))

    @property
    def sd(self) -> float:
        """The standard deviation."""
        scores, masses = _quadrature()
        return math.sqrt(float(masses @ (self.from_score(scores) - self.mean) ** 2))

    def for_field(self, unit: Unit, path: str) -> Distribution:
        """Itself, if no mass lies outside the field's bounds."""
        low, high = self.support
        if low < unit.low or high > unit.high:
            cut = f".truncate({unit.low:g}, {unit.high:g})"
            remedy = f"truncate it: {cut}, or give a ts.ci90 interval, whose family follows the bounds"
            raise BeliefError(path, self, f"extends past the bounds of the field ({unit.rule})", remedy, "out-of-bounds")
        return self

    def truncate(self, low: float = -math.inf, high: float = math.inf) -> Truncated:
        """The distribution conditional on a value between two bounds.

        >>> from trainsim.uncertainty.distributions.parametric import normal
        >>> normal(0, 1).truncate(0, 1).ppf([0.0, 0.5, 1.0]).round(4)
        array([0.    , 0.4418, 1.    ])
        """
        return Truncated(base=self, low=low, high=high)


class Truncated(Distribution):
    """A distribution conditional on a value between two bounds.

    ``ppf(u) = base.ppf(F(low) + u (F(high) - F(low)))``, computed from the upper tail where that is more accurate.

    Raises:
        BeliefError: the bounds cross, or there is no mass between them.
    """

    positional: ClassVar[tuple[str, ...]] = ("base", "low", "high")
    base: Distribution
    low: float = -math.inf
    high: float = math.inf

    def model_post_init(self, context: Any) -> None:
        super().model_post_init(context)
        if math.isnan(self.low) or math.isnan(self.high):
            raise BeliefError(
                "truncate", (self.low, self.high), "a bound is not a number", "give low, high, or leave one out", "out-of-bounds"
            )
        _check_ends(self, low=self.low, high=self.high)
        if not self._mass > 0:
            rule = f"the {self.base.family} belief has no mass between the bounds (its support is {self.base.support})"
            raise BeliefError("truncate", (self.low, self.high), rule, "widen the bounds", "infeasible")

    @cached_property
    def _scores(self) -> tuple[float, float]:
        return float(self.base.score(self.low)), float(self.base.score(self.high))

    @cached_property
    def _mirror(self) -> float:
        """-1 if the lower bound is in the upper half, so that probabilities are computed from the upper tail; else 1."""
        return -1.0 if self._scores[0] > 0 else 1.0

    @cached_property
    def _masses(self) -> tuple[float, float]:
        low, high = self._scores
        return float(special.ndtr(self._mirror * low)), float(special.ndtr(self._mirror * high))

    @property
    def _mass(self) -> float:
        return abs(self._masses[1] - self._masses[0])

    @property
    def family(self) -> str:
        return f"{self.base.family}, truncated to [{self.low:g}, {self.high:g}]"

    def ppf(self, u: ArrayLike) -> Array:
        start, end = self._masses
        inside = self.base.from_score(self._mirror * special.ndtri(start + np.asarray(u) * (end - start)))
        return np.clip(inside, *self.support)  # corrects rounding only

    def cdf(self, x: ArrayLike) -> Array:
        start, end = self._masses
        below = special.ndtr(self._mirror * self.base.score(np.clip(x, *self.support)))
        return np.clip((below - start) / (end - start), 0.0, 1.0)

    @property
    def support(self) -> tuple[float, float]:
        low, high = self.base.support
        return max(low, self.low), min(high, self.high)


def _check_ends(spec: Distribution, **ends: Num) -> None:
    low, high = ends["low"], ends["high"]
    if not low < high:
        raise BeliefError(
            spec.family if not isinstance(spec, Truncated) else "truncate",
            (low, high),
            "low is not below high",
            "give the lower end first; if both ends are equal, set the value in the spec instead of a belief",
            "out-of-bounds",
        )


def _check_mode(spec: Distribution, mode: Num, low: Num, high: Num) -> None:
    if not low <= mode <= high:
        raise BeliefError(
            f"{spec.family}.mode",
            mode,
            f"is not between low={low:g} and high={high:g}",
            "give low, mode, high in increasing order",
            "out-of-bounds",
        )
