# ruff: noqa: D102  (members inherit the docstrings of their face)
"""Quantile functions by table, where the exact one is slow: built once for each law, checked against it, and cached."""

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
    """What a draw needs of a law."""

    def ppf(self, u: Array) -> Array:
        """Values at shares u in (0, 1)."""

    def from_score(self, z: Array) -> Array:
        """Values at normal scores z."""


STEPS = (0.1, 0.0125)
"""Distances of knots in normal scores: the first that is accurate is taken."""
REACH = 7.0
"""Normal scores beyond it have a share of 3e-12."""
QUARTILES = special.ndtri([0.25, 0.75])
ACCURACY = 1e-8
"""Largest error of a table between knots, in units of the law's inner half."""


class CubicScoreTable:
    """A law as a cubic over equal steps of the normal score, in the space where its bounds are infinitely far.

    Slopes at the knots are fourth-order differences, so the interpolant errs as the fourth power of the step.

    Args:
        law: a law with a smooth quantile function.
        step: distance of knots in normal scores.
    """

    def __init__(self, law: Distribution, step: float) -> None:
        self._step, (self._low, self._high) = step, law.support
        knots = step * np.arange(-round(REACH / step) - 2, round(REACH / step) + 4)
        # a law that needs small steps may hide a jump between two checks, and so may one of several laws
        checks = 20 if step == STEPS[0] and not _may_jump(law) else round(10 / step)
        self._between = step * (np.linspace(-5 / step, 5 / step, checks).round() + 0.5)
        # one call for all, as a law that is slow to invert is slow to start too
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
        place += REACH / self._step
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
        """Whether it meets the law half-way between knots."""
        return bool(np.all(np.abs(self.from_score(self._between) - self._known) <= ACCURACY * self._scale))


class LineTable:
    """A law as straight lines over many cells, for the largest runs: errs by some 1e-6 of a standard deviation.

    Eight million draws of four beliefs take 1.24 times as long without it (CPU seconds, one run).

    Cells of the share narrow with its distance v to the nearer end, 128 to an octave, so that tails stay as accurate as
    the middle; the cell is read off the bits of v. Cells of the normal score are equal.
    """

    MANTISSA = 7
    OCTAVES = 52
    CELLS = 1 << 12
    WIDEST = 8.5

    def __init__(self, sampler: Sampler) -> None:
        self._first = int(np.float64(2.0 ** -(self.OCTAVES + 1)).view(np.int64)) >> (52 - self.MANTISSA)
        side = (self.OCTAVES << self.MANTISSA) + 1  # a half itself begins another cell
        keys: NDArray[np.int64] = (self._first + np.arange(side + 1, dtype=np.int64)) << (52 - self.MANTISSA)
        v = keys.view(np.float64)
        z = special.ndtri(v)
        # cells of the upper side are negative, and a table of this length counts them from its end onto those of the lower side;
        # what lies behind both is never touched
        self._shares = np.empty((1 << (11 + self.MANTISSA)) + side), np.empty((1 << (11 + self.MANTISSA)) + side)
        for part, at, score in ((slice(side), v, z), (slice(side, 2 * side), -v, -z)):
            self._shares[0][part], self._shares[1][part] = _lines(at, sampler.from_score(score))
        edges = np.linspace(-self.WIDEST, self.WIDEST, self.CELLS + 1)
        self._scores = _lines(edges, sampler.from_score(edges))

    def ppf(self, u: Array) -> Array:
        v = np.rint(u)
        np.subtract(u, v, out=v)  # from the nearer end, negative from the upper one
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


def _lines(at: Array, values: Array) -> tuple[Array, Array]:
    """Constant and slope of the straight line over each cell."""
    slope = np.diff(values) / np.diff(at)
    return values[:-1] - slope * at[:-1], slope


def _slow(law: Distribution) -> bool:
    return isinstance(law, (Beta, Pert, Mixture)) or (isinstance(law, Truncated) and _slow(law.base))


def _may_jump(law: Distribution) -> bool:
    """Whether nothing may lie between two stretches of a law."""
    return _may_jump(law.base) if isinstance(law, Truncated) else isinstance(law, Mixture)


@lru_cache(maxsize=256)
def accurate_sampler(law: Distribution) -> Sampler:
    """The law itself, or a table that is as good to ACCURACY where the law is slow to invert."""
    for step in STEPS if _slow(law) else ():
        table = CubicScoreTable(law, step)
        if table.accurate():
            return table
    return law


@lru_cache(maxsize=64)
def fast_sampler(law: Distribution) -> Sampler:
    """A table of straight lines, for laws whose quantile function has no jumps."""
    sampler = accurate_sampler(law)
    exact = isinstance(law, (Uniform, Empirical)) or (sampler is law and _slow(law))
    return sampler if exact else LineTable(sampler)


@lru_cache(maxsize=1)
def normal_scores() -> LineTable:
    """The table of the standard normal law."""
    return LineTable(Normal(mu=0.0, sigma=1.0))
