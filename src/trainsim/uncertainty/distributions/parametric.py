# ruff: noqa: D102  (members inherit the docstrings of the base class)
"""Named families of distributions: normal, log-normal, uniform, triangular, beta, PERT."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from .distribution import Array, Distribution, Positive, Real, _check_ends, _check_mode


class Normal(Distribution):
    """Normal distribution: ``x = mu + sigma z``.

    Args:
        mu: mean [the field's unit].
        sigma: standard deviation [the field's unit].

    >>> normal(3.0, 0.5).ppf(0.5)
    array(3.)
    """

    positional: ClassVar[tuple[str, ...]] = ("mu", "sigma")
    mu: Real
    sigma: Positive

    def from_score(self, z: ArrayLike) -> Array:
        return np.asarray(self.mu + self.sigma * np.asarray(z))

    def score(self, x: ArrayLike) -> Array:
        return np.asarray((np.asarray(x) - self.mu) / self.sigma)

    def ppf(self, u: ArrayLike) -> Array:
        return self.from_score(special.ndtri(np.asarray(u, dtype=np.float64)))

    def cdf(self, x: ArrayLike) -> Array:
        return np.asarray(special.ndtr(self.score(x)))

    @property
    def support(self) -> tuple[float, float]:
        return -math.inf, math.inf

    @property
    def mean(self) -> float:
        return float(self.mu)

    @property
    def sd(self) -> float:
        return float(self.sigma)


class LogNormal(Distribution):
    """Log-normal distribution above a lower bound: ``x = low + exp(mu + sigma z)``.

    Args:
        mu: mean of log(x - low); the median is ``low + exp(mu)``.
        sigma: standard deviation of log(x - low).
        low: lower bound [the field's unit].

    >>> round(lognormal(0.0, 0.25).mean, 6)
    1.031743
    """

    positional: ClassVar[tuple[str, ...]] = ("mu", "sigma", "low")
    mu: Real
    sigma: Positive
    low: Real = 0.0

    @property
    def family(self) -> str:
        return "log-normal" if self.low == 0 else f"log-normal above {self.low:g}"

    def from_score(self, z: ArrayLike) -> Array:
        above = np.exp(self.mu + self.sigma * np.asarray(z))
        return np.asarray(above if self.low == 0 else np.maximum(self.low + above, np.nextafter(self.low, np.inf)))

    def score(self, x: ArrayLike) -> Array:
        above = np.maximum(np.asarray(x) - self.low if self.low else x, 0.0)
        with np.errstate(divide="ignore"):
            score = np.log(above)
        score -= self.mu
        score *= 1 / self.sigma
        return np.asarray(score)

    def ppf(self, u: ArrayLike) -> Array:
        return self.from_score(special.ndtri(np.asarray(u, dtype=np.float64)))

    def cdf(self, x: ArrayLike) -> Array:
        return np.asarray(special.ndtr(self.score(x)))

    @property
    def support(self) -> tuple[float, float]:
        return float(self.low), math.inf

    @property
    def mean(self) -> float:
        return float(self.low + np.exp(self.mu + self.sigma**2 / 2))

    @property
    def sd(self) -> float:
        return float(np.exp(self.mu + self.sigma**2 / 2) * np.sqrt(np.expm1(self.sigma**2)))


class Uniform(Distribution):
    """Uniform distribution: ``x = low + (high - low) u``."""

    positional: ClassVar[tuple[str, ...]] = ("low", "high")
    low: Real
    high: Real

    def model_post_init(self, context: Any) -> None:
        super().model_post_init(context)
        _check_ends(self, low=self.low, high=self.high)

    def ppf(self, u: ArrayLike) -> Array:
        x = (self.high - self.low) * np.asarray(u, dtype=np.float64)
        x += self.low
        return np.asarray(x)

    def cdf(self, x: ArrayLike) -> Array:
        return np.clip((np.asarray(x) - self.low) / (self.high - self.low), 0.0, 1.0)

    @property
    def support(self) -> tuple[float, float]:
        return float(self.low), float(self.high)

    @property
    def mean(self) -> float:
        return float((self.low + self.high) / 2)

    @property
    def sd(self) -> float:
        return float((self.high - self.low) / math.sqrt(12))


class Triangular(Distribution):
    """Triangular distribution: the density rises linearly from low to the mode and falls linearly to high.

    >>> round(triangular(0.05, 0.15, 0.40).mean, 6)
    0.2
    """

    positional: ClassVar[tuple[str, ...]] = ("low", "mode", "high")
    low: Real
    mode: Real
    high: Real

    def model_post_init(self, context: Any) -> None:
        super().model_post_init(context)
        _check_ends(self, low=self.low, high=self.high)
        _check_mode(self, self.mode, self.low, self.high)

    def ppf(self, u: ArrayLike) -> Array:
        u = np.asarray(u)
        width = self.high - self.low
        peak = (self.mode - self.low) / width
        # distance up to the mode plus distance beyond it (0 below the mode); faster than a branch, which the processor could not predict
        rising = self.low + np.sqrt(np.minimum(u, peak) * (width * (self.mode - self.low)))
        left = np.sqrt((1 - peak) * (width * (self.high - self.mode)))
        return np.asarray(rising + (left - np.sqrt((1 - np.maximum(u, peak)) * (width * (self.high - self.mode)))))

    def cdf(self, x: ArrayLike) -> Array:
        x = np.clip(x, self.low, self.high)
        width = self.high - self.low
        with np.errstate(divide="ignore", invalid="ignore"):
            below = (x - self.low) ** 2 / (width * (self.mode - self.low))
            above = 1 - (self.high - x) ** 2 / (width * (self.high - self.mode))
        return np.asarray(np.where(x < self.mode, below, np.where(x < self.high, above, 1.0)))

    @property
    def support(self) -> tuple[float, float]:
        return float(self.low), float(self.high)

    @property
    def mean(self) -> float:
        return float((self.low + self.mode + self.high) / 3)


class Beta(Distribution):
    """Beta distribution on [low, high].

    Args:
        a, b: shapes; the mean is ``low + (high - low) a / (a + b)`` [1].
        low, high: bounds [the field's unit].
    """

    positional: ClassVar[tuple[str, ...]] = ("a", "b", "low", "high")
    a: Positive
    b: Positive
    low: Real = 0.0
    high: Real = 1.0

    def model_post_init(self, context: Any) -> None:
        super().model_post_init(context)
        _check_ends(self, low=self.low, high=self.high)

    def ppf(self, u: ArrayLike) -> Array:
        return np.asarray(self.low + (self.high - self.low) * special.betaincinv(self.a, self.b, np.asarray(u, dtype=np.float64)))

    def cdf(self, x: ArrayLike) -> Array:
        inside = np.clip((np.asarray(x) - self.low) / (self.high - self.low), 0.0, 1.0)
        return np.asarray(special.betainc(self.a, self.b, inside))

    @property
    def support(self) -> tuple[float, float]:
        return float(self.low), float(self.high)

    @property
    def mean(self) -> float:
        return float(self.low + (self.high - self.low) * self.a / (self.a + self.b))

    @property
    def sd(self) -> float:
        total = self.a + self.b
        return float((self.high - self.low) * np.sqrt(self.a * self.b / (total + 1)) / total)


class Pert(Distribution):
    """PERT distribution: a beta distribution on [low, high] with mean ``(low + 4 mode + high) / 6``.

    ``a = 1 + 4 (mode - low) / (high - low)``, ``b = 1 + 4 (high - mode) / (high - low)``.

    Source: Malcolm, Roseboom, Clark & Fazar (1959), Operations Research 7(5), 646-669; shapes as in Vose,
    Risk Analysis (2008), with weight 4.

    >>> round(pert(0.01, 0.03, 0.12).mean, 6)
    0.041667
    """

    positional: ClassVar[tuple[str, ...]] = ("low", "mode", "high")
    low: Real
    mode: Real
    high: Real

    def model_post_init(self, context: Any) -> None:
        super().model_post_init(context)
        _check_ends(self, low=self.low, high=self.high)
        _check_mode(self, self.mode, self.low, self.high)

    @cached_property
    def _beta(self) -> Beta:
        width = self.high - self.low
        return Beta(a=1 + 4 * (self.mode - self.low) / width, b=1 + 4 * (self.high - self.mode) / width, low=self.low, high=self.high)

    def ppf(self, u: ArrayLike) -> Array:
        return self._beta.ppf(u)

    def cdf(self, x: ArrayLike) -> Array:
        return self._beta.cdf(x)

    @property
    def support(self) -> tuple[float, float]:
        return float(self.low), float(self.high)

    @property
    def mean(self) -> float:
        return float((self.low + 4 * self.mode + self.high) / 6)

    @property
    def sd(self) -> float:
        return self._beta.sd


def normal(mean: float, sd: float) -> Normal:
    """Normal distribution.

    Args:
        mean, sd: mean and standard deviation [the field's unit].

    Returns:
        the distribution.

    >>> float(normal(3.0, 0.5).ppf(0.5))
    3.0
    """
    return Normal(mu=mean, sigma=sd)


def lognormal(mu: float, sigma: float) -> LogNormal:
    """Log-normal distribution with median ``exp(mu)``.

    Args:
        mu, sigma: mean and standard deviation of the natural logarithm [1].

    Returns:
        the distribution.

    >>> float(lognormal(0.0, 0.25).ppf(0.5))
    1.0
    """
    return LogNormal(mu=mu, sigma=sigma)


def uniform(low: float, high: float) -> Uniform:
    """Uniform distribution.

    Args:
        low, high: bounds [the field's unit].

    Returns:
        the distribution.

    >>> float(uniform(1.0, 3.0).ppf(0.25))
    1.5
    """
    return Uniform(low=low, high=high)


def triangular(low: float, mode: float, high: float) -> Triangular:
    """Triangular distribution.

    Args:
        low, mode, high: bounds and most probable value [the field's unit].

    Returns:
        the distribution; its mean is ``(low + mode + high) / 3``.

    >>> round(triangular(0.05, 0.15, 0.40).mean, 6)
    0.2
    """
    return Triangular(low=low, mode=mode, high=high)


def pert(low: float, mode: float, high: float) -> Pert:
    """PERT distribution: a beta distribution on [low, high] with mean ``(low + 4 mode + high) / 6``.

    Args:
        low, mode, high: bounds and most probable value [the field's unit].

    Returns:
        the distribution.

    >>> round(pert(1.0, 2.0, 4.5).mean, 6)
    2.25
    """
    return Pert(low=low, mode=mode, high=high)


def beta(a: float, b: float, low: float = 0.0, high: float = 1.0) -> Beta:
    """Beta distribution on [low, high].

    Args:
        a, b: shapes [1].
        low, high: bounds [the field's unit].

    Returns:
        the distribution; its mean is ``low + (high - low) a / (a + b)``.

    >>> round(beta(2.0, 6.0).mean, 6)
    0.25
    """
    return Beta(a=a, b=b, low=low, high=high)
