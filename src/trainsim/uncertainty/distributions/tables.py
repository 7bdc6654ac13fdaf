# ruff: noqa: D102  (members inherit the docstrings of the base class)
"""Tabulated quantile functions for distributions that are slow to invert: checked against the exact function, and cached."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import special

from .composed import Empirical, Mixture
from .distribution import Array, Distribution, Truncated
from .interval import link, unlink
from .parametric import Beta, Normal, Pert, Uniform


class Sampler(Protocol):
    """Protocol of objects that draw from a distribution."""

    def ppf(self, u: Array) -> Array:
        """Quantiles at levels u in (0, 1)."""

    def from_score(self, z: Array) -> Array:
        """Values at normal scores z."""


KNOT_STEPS = (0.1, 0.0125)
"""Knot spacings in normal scores; the first that is accurate enough is used."""
SCORE_RANGE = 7.0
"""Range of normal scores in the table; the probability outside is 3e-12."""
QUARTILES = special.ndtri([0.25, 0.75])
ACCURACY = 1e-8
"""Largest error of a table between knots, relative to the interquartile range."""


class CubicScoreTable:
    """Cubic interpolation of a quantile function over equally spaced normal scores, in link space.

    Slopes at the knots are fourth-order differences, so the error is of fourth order in the spacing.

    Args:
        law: a distribution with a smooth quantile function.
        step: knot spacing in normal scores.
    """

    def __init__(self, law: Distribution, step: float) -> None:
        self._step, (self._low, self._high) = step, law.support
        knots = step * np.arange(-round(SCORE_RANGE / step) - 2, round(SCORE_RANGE / step) + 4)
        # a distribution that needs small steps, or a mixture, may have a jump between two checks, so more points are checked
        checks = 20 if step == KNOT_STEPS[0] and not _may_jump(law) else round(10 / step)
        self._between = step * (np.linspace(-5 / step, 5 / step, checks).round() + 0.5)
        # one call for all points, since each call has a large overhead
        x = law.from_score(np.concatenate([knots, self._between, QUARTILES]))
        self._known, self._scale = x[len(knots) : -2], x[-1] - x[-2]
        inside = np.maximum(x[: len(knots)], math.nextafter(self._low, math.inf))
        np.minimum(inside, math.nextafter(self._high, -math.inf), out=inside)
        y = link(inside, self._low, self._high)
        slope = (y[:-4] - 8 * y[1:-3] + 8 * y[3:-1] - y[4:]) / 12
        y = y[2:-2]
        rise = np.diff(y)
        columns = (y[:-1], slope[:-1], 3 * rise - 2 * slope[:-1] - slope[1:], slope[:-1] + slope[1:] - 2 * rise)
        self._coefficients = np.stack(columns, axis=1)

    def from_score(self, z: Array) -> Array:
        place = z * (1 / self._step)
        place += SCORE_RANGE / self._step
        np.maximum(place, 0.0, out=place)
        np.minimum(place, len(self._coefficients) - 1.0, out=place)
        cell = np.floor(place)
        place -= cell
        constant, linear, square, cube = np.moveaxis(self._coefficients.take(cell.astype(np.intp), axis=0), -1, 0)
        y = cube * place
        for coefficient in (square, linear):
            y += coefficient
            y *= place
        y += constant
        return unlink(y, self._low, self._high)

    def ppf(self, u: Array) -> Array:
        return self.from_score(special.ndtri(u))

    def accurate(self) -> bool:
        """Whether the error half-way between knots is within ``ACCURACY``."""
        return bool(np.all(np.abs(self.from_score(self._between) - self._known) <= ACCURACY * self._scale))


class PiecewiseLinearPPF:
    """Piecewise-linear quantile function for the largest simulations; its error is about 1e-6 standard deviations.

    Eight million draws of four beliefs take 1.24 times as long without it (CPU seconds, one run).

    Let v be the distance of a level to the nearer end of (0, 1). Cells of the level become narrower with v, 128 per octave, so that tails
    are as accurate as the centre; the bits of v give the index of a cell. Cells of the normal score have equal width.
    """

    MANTISSA = 7
    OCTAVES = 52
    CELLS = 1 << 12
    WIDEST = 8.5

    def __init__(self, sampler: Sampler) -> None:
        self._first = int(np.float64(2.0 ** -(self.OCTAVES + 1)).view(np.int64)) >> (52 - self.MANTISSA)
        side = (self.OCTAVES << self.MANTISSA) + 1  # + 1: v = 0.5 itself falls in one cell more
        keys: NDArray[np.int64] = (self._first + np.arange(side + 1, dtype=np.int64)) << (52 - self.MANTISSA)
        v = keys.view(np.float64)
        z = special.ndtri(v)
        # cells of the upper side have negative indices, which in a table of this length address the entries after those of the lower
        # side; the remaining entries are never used
        self._shares = np.empty((1 << (11 + self.MANTISSA)) + side), np.empty((1 << (11 + self.MANTISSA)) + side)
        for part, at, score in ((slice(side), v, z), (slice(side, 2 * side), -v, -z)):
            self._shares[0][part], self._shares[1][part] = _linear_pieces(at, sampler.from_score(score))
        edges = np.linspace(-self.WIDEST, self.WIDEST, self.CELLS + 1)
        self._scores = _linear_pieces(edges, sampler.from_score(edges))

    def ppf(self, u: Array) -> Array:
        v = np.rint(u)
        np.subtract(u, v, out=v)  # distance to the nearer end, negative for the upper one
        cell = v.view(np.int64) >> (52 - self.MANTISSA)
        cell -= self._first
        constant, linear = self._shares
        v *= linear.take(cell)
        v += constant.take(cell)
        return v

    def from_score(self, z: Array) -> Array:
        place = z + self.WIDEST
        place *= self.CELLS / (2 * self.WIDEST)
        cell = place.astype(np.intp)
        constant, linear = self._scores
        x = linear.take(cell, mode="clip")
        x *= z
        x += constant.take(cell, mode="clip")
        return x


def _linear_pieces(at: Array, values: Array) -> tuple[Array, Array]:
    """Intercept and slope of the line over each cell."""
    slope = np.diff(values) / np.diff(at)
    return values[:-1] - slope * at[:-1], slope


def _slow_to_invert(law: Distribution) -> bool:
    return isinstance(law, (Beta, Pert, Mixture)) or (isinstance(law, Truncated) and _slow_to_invert(law.base))


def _may_jump(law: Distribution) -> bool:
    """Whether the quantile function may have a jump."""
    return _may_jump(law.base) if isinstance(law, Truncated) else isinstance(law, Mixture)


@lru_cache(maxsize=256)
def accurate_sampler(law: Distribution) -> Sampler:
    """The distribution itself, or a table accurate to ``ACCURACY`` if the distribution is slow to invert."""
    for step in KNOT_STEPS if _slow_to_invert(law) else ():
        table = CubicScoreTable(law, step)
        if table.accurate():
            return table
    return law


@lru_cache(maxsize=64)
def fast_sampler(law: Distribution) -> Sampler:
    """A piecewise-linear table, or the distribution itself if its quantile function has jumps or is exact."""
    sampler = accurate_sampler(law)
    exact = isinstance(law, (Uniform, Empirical)) or (sampler is law and _slow_to_invert(law))
    return sampler if exact else PiecewiseLinearPPF(sampler)


@lru_cache(maxsize=1)
def normal_score_table() -> PiecewiseLinearPPF:
    """The piecewise-linear table of the standard normal distribution."""
    return PiecewiseLinearPPF(Normal(mu=0.0, sigma=1.0))
