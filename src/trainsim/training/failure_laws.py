"""Distributions of the time between interruptions of a run, and the expected number of saved segments."""

from __future__ import annotations

import abc
from typing import Annotated, ClassVar

import numpy as np
from scipy import special

from ..core.family import Family
from ..core.units import Num, Unit

EXPLICIT_TERMS = 64
"""Number of terms summed explicitly; the Euler-Maclaurin formula approximates the rest."""


class FailureLaw(Family):
    """Distribution of the time between two interruptions of a run, in units of its mean.

    Each interruption restarts the clock: the run is a renewal process.
    """

    @abc.abstractmethod
    def survival(self, age: Num) -> Num:
        """``P(X > age)``."""

    @abc.abstractmethod
    def density(self, age: Num) -> Num:
        """Probability density at an age."""

    @abc.abstractmethod
    def beyond(self, age: Num) -> Num:
        """``E[(X − age)⁺]``, the integral of the survival function from an age on; 1 at age 0."""


class Exponential(FailureLaw):
    """Memoryless failures: many parts, each with a constant failure rate.

    >>> float(Exponential().survival(0.0)), float(Exponential().beyond(0.0))
    (1.0, 1.0)
    """

    def survival(self, age: Num) -> Num:
        """``e^(−x)``."""
        return np.exp(-age)

    def density(self, age: Num) -> Num:
        """``e^(−x)``."""
        return np.exp(-age)

    def beyond(self, age: Num) -> Num:
        """``e^(−x)``."""
        return np.exp(-age)


class Weibull(FailureLaw):
    """Failures that cluster (shape below 1, as in logs of large machines) or wear out (shape above 1).

    ``S(x) = exp(−(x Γ(1 + 1/k))^k)``

    Args:
        shape: ``k``; 1 gives the exponential law [1].

    Source: Schroeder and Gibson 2006, "A large-scale study of failures in high-performance computing systems", section 5.3.

    >>> round(float(Weibull(shape=1).survival(2.0)), 12) == round(float(Exponential().survival(2.0)), 12)
    True
    """

    shape: Annotated[Num, Unit("", "Weibull shape of the time between interruptions", ge=0.2, le=20)]

    def _hazard(self, age: Num) -> Num:
        return (age * special.gamma(1.0 + 1.0 / self.shape)) ** self.shape

    def survival(self, age: Num) -> Num:
        """``exp(−h(x))`` with ``h = (x Γ(1 + 1/k))^k``."""
        return np.exp(-self._hazard(age))

    def density(self, age: Num) -> Num:
        """``k h(x)/x · exp(−h(x))``."""
        hazard = self._hazard(age)
        return self.shape * hazard / age * np.exp(-hazard)

    def beyond(self, age: Num) -> Num:
        """``Q(1/k, h(x))``, the regularised upper incomplete gamma function."""
        mean: Num = special.gammaincc(np.float64(1.0) / self.shape, self._hazard(age))  # type: ignore[assignment]
        return mean


class LogNormalFailures(FailureLaw):
    """Log-normal times between interruptions.

    ``ln X ~ N(−σ²/2, σ²)``

    Args:
        sigma: standard deviation of the logarithm [1].

    >>> round(float(LogNormalFailures(sigma=1.0).beyond(1e-12)), 9)
    1.0
    """

    former_kinds: ClassVar[tuple[str, ...]] = ("LogNormal",)

    sigma: Annotated[Num, Unit("", "standard deviation of the log time between interruptions", gt=0, le=4)]

    def _z(self, age: Num) -> Num:
        return np.log(age) / self.sigma

    def survival(self, age: Num) -> Num:
        """``Φ(−(ln x)/σ − σ/2)``."""
        left: Num = special.ndtr(-self._z(age) - self.sigma / 2)
        return left

    def density(self, age: Num) -> Num:
        """``φ((ln x)/σ + σ/2) / (σ x)``."""
        z = self._z(age) + self.sigma / 2
        height: Num = np.exp(-z * z / 2) / (np.sqrt(2 * np.pi) * self.sigma * age)
        return height

    def beyond(self, age: Num) -> Num:
        """``Φ(−(ln x)/σ + σ/2) − x S(x)``."""
        above: Num = special.ndtr(-self._z(age) + self.sigma / 2)
        return above - age * self.survival(age)


def expected_segments(law: FailureLaw, restart: Num, segment: Num) -> Num:
    """Expected number of segments that are completed and saved between two interruptions.

    ``E⌊(X − R)⁺ / s⌋ = Σ_{k ≥ 1} S(R + k s)``: an interruption is followed by a restart of length R, then segments of length s. A segment
    counts once it is saved; an interruption during a restart or a save loses that restart or segment.

    Args:
        law: distribution of the time between interruptions.
        restart: R in units of the mean time between interruptions, number or array ``(n,)`` [1].
        segment: s, work and save, in the same units, number or array ``(n,)`` [1].

    Returns:
        the expectation [1].

    Source: renewal-reward theorem; the tail beyond ``EXPLICIT_TERMS`` segments by the Euler-Maclaurin formula.

    >>> import numpy as np
    >>> bool(np.isclose(expected_segments(Exponential(), 0.1, 0.05), np.exp(-0.1) / np.expm1(0.05), rtol=1e-9))
    True
    """
    head: Num = sum(law.survival(restart + k * segment) for k in range(1, EXPLICIT_TERMS))
    last = restart + EXPLICIT_TERMS * segment
    return head + law.beyond(last) / segment + law.survival(last) / 2 + segment * law.density(last) / 12
