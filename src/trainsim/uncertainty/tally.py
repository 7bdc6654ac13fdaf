# ruff: noqa: D102  (members of a family inherit the docstrings of its face)
"""What is kept of the draws of one output: enough for quantiles, means and probabilities with their errors."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from .distributions import Array


class Tally(ABC):
    """The draws of one output, by replicate."""

    @abstractmethod
    def quantile(self, level: float) -> tuple[float, float]:
        """Quantile and its standard error."""

    @abstractmethod
    def mean(self) -> tuple[float, float]:
        """Mean and its standard error."""

    @abstractmethod
    def probability(self, low: float, high: float) -> tuple[float, float]:
        """Probability of low < value < high and its standard error."""


def over_replicates(estimates: Array) -> float:
    """Standard error of the mean of independent estimates, shape (replicates,)."""
    return float(np.std(estimates, ddof=1) / np.sqrt(len(estimates)))


class Kept(Tally):
    """Every draw kept and sorted.

    A quantile is that of all draws; its error is the spread of the replicates' own quantiles.

    Args:
        draws: shape (replicates, n), in any order.

    Source: Asmussen & Glynn, Stochastic Simulation (2007), section III.5 (sectioning).
    """

    def __init__(self, draws: Array) -> None:
        self.sorted = np.sort(draws, axis=1)
        self.pooled = np.sort(self.sorted, axis=None)

    def quantile(self, level: float) -> tuple[float, float]:
        return float(_quantile(self.pooled, level)), over_replicates(_quantile(self.sorted, level))

    def mean(self) -> tuple[float, float]:
        # sums over sorted draws do not depend on the order in which they came
        return float(np.mean(self.pooled)), over_replicates(np.mean(self.sorted, axis=1))

    def probability(self, low: float, high: float) -> tuple[float, float]:
        shares = np.mean((self.sorted > low) & (self.sorted < high), axis=1)
        return float(np.mean(shares)), max(over_replicates(shares), 1 / self.sorted.size)


def _quantile(draws: Array, level: float) -> Array:
    """Quantile along the last axis of sorted draws: the i-th of n stands at level (i - ½) / n (Hazen)."""
    n = draws.shape[-1]
    position = np.clip(level * n - 0.5, 0, n - 1)
    below = int(position)
    above = min(below + 1, n - 1)
    return np.asarray(draws[..., below] + (position - below) * (draws[..., above] - draws[..., below]))
