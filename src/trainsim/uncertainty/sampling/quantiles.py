# ruff: noqa: D102  (members inherit the docstrings of the base class)
"""Mergeable sketches of the draws of one output, for quantiles, means and probabilities with standard errors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
from numpy.typing import NDArray

from ..distributions.distribution import Array
from ..distributions.tables import fast_sampler
from .sweep import Range, Study, blocks, evaluate


class QuantileSketch(ABC):
    """Base class of sketches of the draws of one output, by replicate."""

    resolution: float = 0.0
    """Largest relative error of a quantile due to binning."""

    @abstractmethod
    def quantiles(self, levels: Array) -> tuple[Array, Array]:
        """Quantiles, shape (levels,), and their standard errors downwards and upwards, shape (2, levels)."""

    @abstractmethod
    def mean(self) -> tuple[float, float]:
        """Mean and its standard error."""

    @abstractmethod
    def probability(self, low: float, high: float) -> tuple[float, float]:
        """Probability of low < value < high and its standard error."""


def replicate_error(estimates: Array) -> float:
    """Standard error of the mean of independent estimates, shape (replicates,)."""
    return float(standard_errors(estimates))


def standard_errors(estimates: Array) -> Array:
    """Standard errors of the means of independent estimates, (…, replicates) → (…)."""
    r = estimates.shape[-1]
    off = estimates - estimates.mean(axis=-1, keepdims=True)
    return np.asarray(np.sqrt((off * off).sum(axis=-1) / (r * (r - 1))))


class SortedDraws(QuantileSketch):
    """All draws, sorted.

    A quantile is that of all draws. Its standard error is the standard error, over replicates, of the share of draws below it, times the
    slope of the quantile function. Slopes below and above may differ near a kink, so the error is asymmetric there.

    Args:
        draws: draws in any order, (replicates, n).

    Source: Nakayama (2014), "Confidence intervals for quantiles using sectioning when applying variance-reduction
    techniques", ACM TOMACS 24(4), section 3.
    """

    def __init__(self, draws: Array) -> None:
        self.sorted = np.sort(draws, axis=1)
        self.pooled = np.sort(self.sorted, axis=None)

    def values(self, levels: Array) -> Array:
        """Quantiles without their errors, (levels,)."""
        return np.array([_quantile(self.pooled, level) for level in levels])

    def quantiles(self, levels: Array) -> tuple[Array, Array]:
        values = self.values(levels)
        below = [np.array([_share(row, value) for row in self.sorted]) for value in values]
        errors = [
            _errors(partial(_quantile, self.pooled), level, share, len(self.pooled)) for level, share in zip(levels, below, strict=True)
        ]
        return values, np.array(errors).T

    def mean(self) -> tuple[float, float]:
        # a sum over sorted draws does not depend on the order in which shards arrive
        return float(np.mean(self.pooled)), replicate_error(np.mean(self.sorted, axis=1))

    def probability(self, low: float, high: float) -> tuple[float, float]:
        shares = np.mean((self.sorted > low) & (self.sorted < high), axis=1)
        return float(np.mean(shares)), max(replicate_error(shares), 1 / self.sorted.size)


def _quantile(draws: Array, level: float) -> float:
    """Quantile of sorted draws: the i-th of n has level (i - ½) / n (Hazen)."""
    n = len(draws)
    position = min(max(level * n - 0.5, 0.0), n - 1.0)
    below = int(position)
    above = min(below + 1, n - 1)
    return float(draws[below] + (position - below) * (draws[above] - draws[below]))


def _share(draws: Array, value: float) -> float:
    """Level of a value among sorted draws, the inverse of ``_quantile``."""
    above = int(np.searchsorted(draws, value))
    if above in {0, len(draws)}:
        return float(np.clip(above / len(draws), 0.5 / len(draws), 1 - 0.5 / len(draws)))
    low, high = draws[above - 1], draws[above]
    return float((above - 0.5 + (value - low) / (high - low)) / len(draws))


def _errors(quantile: Callable[[float], float], level: float, shares: Array, n: int) -> tuple[float, float]:
    """Standard errors of a quantile downwards and upwards, from the standard error of the share below it.

    ``dq/dp · se(p)``, with the slope over 3 se(p) on each side, or over a wider range if that contains too few draws.
    """
    error = replicate_error(shares)
    reach = max(3 * error, 24 / n)
    low, middle, high = max(level - reach, 0.5 / n), min(max(level, 1 / n), 1 - 1 / n), min(level + reach, 1 - 0.5 / n)
    value = quantile(middle)
    return error * (value - quantile(low)) / (middle - low), error * (quantile(high) - value) / (high - middle)


MANTISSA = 12
"""Bits of the mantissa in the index of a bin: the relative width of a bin is at most 2^-12."""
DEPTH = 40
"""Octaves below the typical magnitude at which a value counts as zero."""


@dataclass(frozen=True)
class Bins:
    """Logarithmic bins: by sign, exponent and the first bits of the mantissa.

    Args:
        floor: key of the magnitude below which a value counts as zero.
    """

    floor: int

    def keys(self, values: Array) -> NDArray[np.int64]:
        """Bin key of each value; monotone in the value."""
        keys = (np.abs(values).view(np.int64) >> (52 - MANTISSA)) - self.floor
        np.maximum(keys, 0, out=keys)
        return np.where(values < 0, -keys, keys)

    def count(self, values: Array) -> Counts:
        """Number of values in each bin."""
        least, most = float(values.min()), float(values.max())
        first = int(self.keys(np.array([least]))[0])
        if least >= self.least:  # the bits of positive floats increase with the value
            keys = np.asarray(values).view(np.int64) >> (52 - MANTISSA)
            keys -= first + self.floor
        else:
            keys = self.keys(values)
            keys -= first
        return Counts(first, np.bincount(keys), float(values.sum()), least, most)

    @cached_property
    def least(self) -> float:
        """The smallest magnitude that does not count as zero."""
        return float(self.edges(np.array([1]))[0])

    def edges(self, keys: NDArray[np.int64]) -> Array:
        """The edge of a bin that is closer to zero, for keys of either sign; bin zero is the value zero."""
        edges: NDArray[np.float64] = ((np.abs(keys) + self.floor) << (52 - MANTISSA)).view(np.float64)
        return np.asarray(np.sign(keys) * edges)


def size_key(values: Array) -> int:
    """Key of the magnitude below which values count as zero, from typical values."""
    typical = float(np.median(np.abs(values))) or float(np.max(np.abs(values))) or 1.0
    return int(np.float64(typical * 2.0**-DEPTH).view(np.int64)) >> (52 - MANTISSA)


@dataclass(frozen=True)
class Counts:
    """Counts of the draws of one output over a shard; merging adds counts, in any order."""

    first: int
    counts: NDArray[np.int64]
    total: float
    least: float
    most: float

    def __add__(self, other: Counts) -> Counts:
        first = min(self.first, other.first)
        last = max(self.first + len(self.counts), other.first + len(other.counts))
        counts = np.zeros(last - first, dtype=np.int64)
        for part in (self, other):
            counts[part.first - first : part.first - first + len(part.counts)] += part.counts
        return Counts(first, counts, self.total + other.total, min(self.least, other.least), max(self.most, other.most))


@dataclass(frozen=True)
class CountingReducer:
    """Reduces a shard to counts, with constant memory for any number of draws.

    Args:
        bins: output → its bins.
    """

    bins: dict[str, Bins]

    def __call__(self, study: Study, shard: Range) -> dict[str, Counts]:
        """Output → counts over the shard, which is part of one replicate."""
        found: dict[str, Counts] = {}
        for _, u in blocks(study, shard):
            drawn = study.resolved.draw(u, fast_sampler)
            for name, values in evaluate(study, drawn, u.shape[1], tuple(self.bins)).items():
                counts = self.bins[name].count(values)
                found[name] = found[name] + counts if name in found else counts
        return found


class Histogram(QuantileSketch):
    """Histogram of the draws of each replicate.

    Draws are assumed uniform within a bin; the relative error of a quantile is at most the width of a bin, 2^-12.

    Args:
        bins: the bins.
        counts: the counts of each replicate.
    """

    resolution = 2.0**-MANTISSA

    def __init__(self, bins: Bins, counts: list[Counts]) -> None:
        first = min(part.first for part in counts)
        table = np.zeros((len(counts), max(part.first + len(part.counts) for part in counts) - first))
        for row, part in zip(table, counts, strict=True):
            row[part.first - first : part.first - first + len(part.counts)] = part.counts
        keys = first + np.arange(table.shape[1], dtype=np.int64)
        least, most = min(part.least for part in counts), max(part.most for part in counts)
        # negative bins start at the edge farther from zero; bin zero has no width
        self._low = np.maximum(np.where(keys < 0, bins.edges(keys - 1), bins.edges(keys) * (keys != 0)), least)
        self._high = np.minimum(np.where(keys > 0, bins.edges(keys + 1), bins.edges(keys) * (keys != 0)), most)
        np.cumsum(table, axis=1, out=table)  # whole numbers below 2^53: exact
        drawn = table[:, -1].copy()
        self._n = int(drawn.sum())
        self._pooled = table.sum(axis=0) / self._n
        self._means = np.array([part.total for part in counts]) / drawn
        table /= drawn[:, None]
        self._shares = table

    def quantiles(self, levels: Array) -> tuple[Array, Array]:
        values = np.array([self._at(level) for level in levels])
        errors = [_errors(self._at, level, self._below(value), self._n) for level, value in zip(levels, values, strict=True)]
        return values, np.array(errors).T

    def _at(self, level: float) -> float:
        cell = int(np.searchsorted(self._pooled, level))
        before = self._pooled[cell - 1] if cell else 0.0
        inside = (level - before) / (self._pooled[cell] - before)
        return float(self._low[cell] + inside * (self._high[cell] - self._low[cell]))

    def mean(self) -> tuple[float, float]:
        return float(np.mean(self._means)), replicate_error(self._means)

    def probability(self, low: float, high: float) -> tuple[float, float]:
        shares = self._below(high) - self._below(low)
        return float(np.mean(shares)), max(replicate_error(shares), 1 / self._n)

    def _below(self, value: float) -> Array:
        cell = int(np.searchsorted(self._high, value))
        if cell == len(self._high):
            return np.ones(len(self._shares))
        before = self._shares[:, cell - 1] if cell else np.zeros(len(self._shares))
        width = self._high[cell] - self._low[cell]
        inside = np.clip((value - self._low[cell]) / width, 0.0, 1.0) if width > 0 else 0.0
        return np.asarray(before + inside * (self._shares[:, cell] - before))
