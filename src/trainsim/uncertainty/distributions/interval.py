# ruff: noqa: D102  (members inherit the docstrings of the base class)
"""Intervals: beliefs given by quantiles, whose family follows from the bounds of the field."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from trainsim.core.errors import BeliefError, SpecError
from trainsim.core.quantities import parse_interval
from trainsim.core.units import Num, Unit

from .distribution import Array, Belief, Distribution, Positive, Real, Truncated
from .parametric import LogNormal, Normal

Quantile = Annotated[Num, Unit("", "a quantile in the unit of the field")] | None
_LEVELS = {"p5": 0.05, "p10": 0.10, "p50": 0.50, "p90": 0.90, "p95": 0.95}


class Linked(Distribution):
    """A transformed normal distribution that fits bounds and a third quantile.

    ``x = link⁻¹(mu + sigma (t(z) - t(0)))`` with ``t(z) = c sinh(asinh(z / c) + e) = z cosh e + √(c² + z²) sinh e``,
    which equals z for ``e = 0``. The link is the identity without bounds, ``log(x - low)`` with a lower bound, ``-log(high - x)`` with an
    upper bound, and the logit of ``(x - low) / (high - low)`` with both. The density is smooth inside the bounds; its tails in link space
    are normal.

    Args:
        mu: median in link space.
        sigma: scale in link space.
        skew: e, asymmetry in link space.
        bend: c, distance from the median at which the asymmetry sets in, in normal scores.
        low, high: bounds, may be infinite [the field's unit].

    Source: Jones & Pewsey (2009), "Sinh-arcsinh distributions", Biometrika 96(4), 761-780, eq. 2 with δ = 1; the links
    are those of Johnson (1949), Biometrika 36, 149-176.
    """

    mu: Real
    sigma: Positive
    skew: Real = 0.0
    bend: Positive = 1.0
    low: float = -math.inf
    high: float = math.inf

    @property
    def family(self) -> str:
        match math.isfinite(self.low), math.isfinite(self.high):
            case False, False:
                name = "normal"
            case True, False:
                name = "log-normal" if self.low == 0 else f"log-normal above {self.low:g}"
            case False, True:
                name = f"log-normal below {self.high:g}"
            case _:
                name = "logit-normal" if (self.low, self.high) == (0, 1) else f"logit-normal on ({self.low:g}, {self.high:g})"
        return f"{name}, skewed" if self.skew else name

    def from_score(self, z: ArrayLike) -> Array:
        z = np.asarray(z, dtype=np.float64)
        e, c = self.skew, self.bend
        skewed = z * np.cosh(e) + (np.sqrt(c**2 + z**2) - c) * np.sinh(e) if e else z
        inside = unlink(self.mu + self.sigma * skewed, self.low, self.high)
        # in the far tails rounding may give exactly a bound, but a bound itself has probability zero
        return np.asarray(np.clip(inside, np.nextafter(self.low, np.inf), np.nextafter(self.high, -np.inf)))

    def score(self, x: ArrayLike) -> Array:
        skewed = (link(np.asarray(x, dtype=np.float64), self.low, self.high) - self.mu) / self.sigma
        e, c = self.skew, self.bend
        return np.asarray(c * np.sinh(np.arcsinh(skewed / c + np.sinh(e)) - e) if e else skewed)

    def ppf(self, u: ArrayLike) -> Array:
        return self.from_score(special.ndtri(np.asarray(u, dtype=np.float64)))

    def cdf(self, x: ArrayLike) -> Array:
        return np.asarray(special.ndtr(self.score(x)))

    @property
    def support(self) -> tuple[float, float]:
        return self.low, self.high


def link(x: Array, low: float, high: float) -> Array:
    """Map a bounded scale to the real line; the bounds map to infinity."""
    with np.errstate(divide="ignore"):
        match math.isfinite(low), math.isfinite(high):
            case True, True:
                return np.asarray(np.log(np.maximum(x - low, 0)) - np.log(np.maximum(high - x, 0)))
            case True, False:
                return np.asarray(np.log(np.maximum(x - low, 0)))
            case False, True:
                return np.asarray(-np.log(np.maximum(high - x, 0)))
            case _:
                return x


def unlink(y: Array, low: float, high: float) -> Array:
    """Inverse of :func:`link`."""
    match math.isfinite(low), math.isfinite(high):
        case True, True:
            with np.errstate(over="ignore"):  # exp overflows far below the bounds, where the result is the lower bound
                share = np.exp(-y)
            share += 1.0
            return np.asarray((high - low) / share + low)
        case True, False:
            return np.asarray(low + np.exp(y))
        case False, True:
            return np.asarray(high - np.exp(-y))
        case _:
            return y


class Interval(Belief):
    """Two or three quantiles of a number, without a family.

    Args:
        p5, p10, p50, p90, p95: quantiles [the field's unit]: two symmetric ones (p5 with p95, p10 with p90), these with the median, or the
            median with one other.

    Raises:
        BeliefError: the quantiles do not increase, or the combination is not supported.

    >>> ci90(1.5, 3.0).for_field(Unit("USD", gt=0), "price").family
    'log-normal'
    >>> ci90(0.2, 0.3, 0.5).for_field(Unit("", gt=0, lt=1), "mfu").ppf([0.05, 0.5, 0.95]).round(12)
    array([0.2, 0.3, 0.5])
    """

    positional: ClassVar[tuple[str, ...]] = ("p5", "p95")
    p5: Quantile = None
    p10: Quantile = None
    p50: Quantile = None
    p90: Quantile = None
    p95: Quantile = None

    def model_post_init(self, context: object) -> None:
        super().model_post_init(context)
        given = self.quantiles
        if set(given) not in (
            {0.05, 0.95},
            {0.1, 0.9},
            {0.05, 0.5, 0.95},
            {0.1, 0.5, 0.9},
            {0.05, 0.5},
            {0.5, 0.95},
            {0.1, 0.5},
            {0.5, 0.9},
        ):
            known = ", ".join(f"p{100 * level:g}" for level in given) or "nothing"
            raise BeliefError(
                "interval",
                known,
                "do not determine a distribution",
                "give p5 and p95, p50 and p95, or p5, p50 and p95 (or p10, p90 for p5, p95)",
                "missing",
            )
        values = list(given.values())
        if any(not a < b for a, b in pairwise(values)):
            remedy = "give them in increasing order; set a certain value in the spec"
            raise BeliefError("interval", self.shown(), "has quantiles that do not increase", remedy, "out-of-bounds")

    @property
    def quantiles(self) -> dict[float, float]:
        """Level → quantile, in increasing order."""
        return {level: float(value) for name, level in _LEVELS.items() if (value := getattr(self, name)) is not None}

    def shown(self) -> str:
        """The quantiles as text."""
        return ", ".join(f"p{100 * level:g}={value:g}" for level, value in self.quantiles.items())

    def truncate(self, *bounds: float) -> Truncated:
        """Always an error: an interval has no family before its field is known."""
        raise BeliefError(
            "truncate",
            (self.shown(), *bounds),
            "is an interval, which has no family to truncate yet",
            "drop truncate: the interval already respects the bounds of its field",
            "missing",
        )

    def for_field(self, unit: Unit, path: str) -> Distribution:
        """A smooth distribution with exactly these quantiles and within the field's bounds."""
        low, high = unit.low, unit.high
        values = np.array(list(self.quantiles.values()))
        if values[0] <= low or values[-1] >= high:
            raise BeliefError(
                path,
                self.shown(),
                f"has a quantile on or outside the bounds of the field ({unit.rule})",
                f"give quantiles between {low:g} and {high:g}",
                "out-of-bounds",
            )
        y, z = link(values, low, high), special.ndtri(list(self.quantiles))
        if len(y) == 2:
            sigma = float((y[1] - y[0]) / (z[1] - z[0]))
            return _through_two(float(y[0] - sigma * z[0]), sigma, low, high)
        return _through_three(y, float(z[2]), low, high)


def _through_three(y: Array, z: float, low: float, high: float) -> Distribution:
    """The distribution through quantiles y in link space at scores -z, 0, z.

    With ``ρ = (y₃ - 2y₂ + y₁) / (y₃ - y₁)`` in (-1, 1), ``tanh e = ρ h`` and ``c = z (h² - 1) / 2h`` match all three quantiles for any h
    in (1, 1/|ρ|). ``h = (3 - ρ²) / 2`` gives ``c = 0.42 z`` without asymmetry, and less with it.
    """
    rho = float((y[2] - 2 * y[1] + y[0]) / (y[2] - y[0]))
    if abs(rho) < 1e-12:
        return _through_two(float(y[1]), float((y[2] - y[0]) / (2 * z)), low, high)
    h = (3 - rho**2) / 2
    skew = math.atanh(rho * h)
    sigma = float((y[2] - y[0]) / (2 * z * math.cosh(skew)))
    return Linked(mu=float(y[1]), sigma=sigma, skew=skew, bend=z * (h**2 - 1) / (2 * h), low=low, high=high)


def _through_two(mu: float, sigma: float, low: float, high: float) -> Distribution:
    match math.isfinite(low), math.isfinite(high):
        case False, False:
            return Normal(mu=mu, sigma=sigma)
        case True, False:
            return LogNormal(mu=mu, sigma=sigma, low=low)
        case _:
            return Linked(mu=mu, sigma=sigma, low=low, high=high)


def ci90(*values: float, p5: float | None = None, p50: float | None = None, p95: float | None = None) -> Interval:
    """A 90 % interval given by its quantiles; the bounds of the field determine its family.

    Args:
        values: ``(p5, p95)`` or ``(p5, p50, p95)`` [the field's unit].
        p5, p50, p95: the same by name; ``p50`` with ``p95`` is also accepted.

    Returns:
        the interval.

    Raises:
        BeliefError: the quantiles do not increase, or the combination is not supported.

    >>> ci90(1.4, 3.4) == ci90(p5=1.4, p95=3.4)
    True
    """
    match values:
        case ():
            return Interval(p5=p5, p50=p50, p95=p95)
        case (low, high):
            return Interval(p5=low, p50=p50, p95=high)
        case (low, middle, high):
            return Interval(p5=low, p50=middle, p95=high)
        case _:
            raise BeliefError(
                "ci90", values, "is not two or three numbers", "give (p5, p95), (p5, p50, p95), or name them: p50=, p95=", "wrong-type"
            )


class Typed(Belief):
    """An interval given as text, parsed in the unit of its field.

    Args:
        text: ``"1.4..3.4"`` (90 % interval), ``"1.4..2..3.4"`` (with its median) or ``"3±20%"``.

    >>> Typed("1.4..3.4").for_field(Unit("USD/GPU-h", gt=0), "price").family
    'log-normal'
    """

    positional: ClassVar[tuple[str, ...]] = ("text",)
    text: str

    def for_field(self, unit: Unit, path: str) -> Distribution:
        """The distribution with the quantiles in the text.

        Raises:
            BeliefError: the text is not an interval in the field's unit.
        """
        try:
            quantiles = parse_interval(self.text, unit.symbol, path, unit.thousand)
        except SpecError as error:
            raise BeliefError(path, self.text, error.rule, error.remedy, error.rule_id) from None
        if quantiles is None:
            remedy = "write 1.4..3.4, its 5 % and 95 % quantiles; set a certain value in the spec"
            raise BeliefError(path, self.text, "is a single number, not an interval", remedy, "wrong-type")
        return ci90(*quantiles).for_field(unit, path)
