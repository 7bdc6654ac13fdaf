# ruff: noqa: D102  (members inherit the docstrings of the base class)
# ruff: noqa: ARG002  (some members do not need the distributions)
"""Correlations of beliefs: of normal scores, ranks or values; and consistency of a set of them."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Annotated, ClassVar

import numpy as np

from trainsim.core.errors import BeliefError
from trainsim.core.family import Family
from trainsim.core.units import Num, Unit

from ..distributions.distribution import Array, Distribution

Coefficient = Annotated[Num, Unit("", "a correlation", gt=-1, lt=1)]


class Correlation(Family):
    """Base class of correlations of two numbers."""

    positional: ClassVar[tuple[str, ...]] = ("rho",)
    rho: Coefficient

    @abstractmethod
    def latent(self, a: Distribution, b: Distribution, pair: str) -> float:
        """The equivalent correlation of the Gaussian copula's normal scores."""


class LatentCorrelation(Correlation):
    """Correlation of the copula's normal scores; the meaning of a plain number."""

    former_kinds: ClassVar[tuple[str, ...]] = ("Latent",)

    def latent(self, a: Distribution, b: Distribution, pair: str) -> float:
        return float(self.rho)


class Rank(Correlation):
    """Spearman's rank correlation: ``latent = 2 sin(π rho / 6)``.

    Source: Pearson (1907), "On further methods of determining correlation", as in Kruskal (1958), JASA 53, 814-861.
    """

    def latent(self, a: Distribution, b: Distribution, pair: str) -> float:
        return 2 * math.sin(math.pi * float(self.rho) / 6)


class Linear(Correlation):
    """Pearson's correlation of the values; solved for the latent correlation by bisection.

    Source: Li & Hammond (1975), IEEE Trans. Systems, Man, Cybernetics 5(5), 557-561.
    """

    def latent(self, a: Distribution, b: Distribution, pair: str) -> float:
        low, high = -1.0, 1.0
        ends = _linear_correlation(a, b, low), _linear_correlation(a, b, high)
        if not ends[0] < self.rho < ends[1]:
            remedy = "give a weaker correlation, or ts.rank_correlation"
            raise BeliefError(
                pair,
                self.rho,
                f"is outside the possible range of linear correlations, {ends[0]:.4f} to {ends[1]:.4f}",
                remedy,
                "infeasible",
            )
        for _ in range(50):
            middle = (low + high) / 2
            low, high = (middle, high) if _linear_correlation(a, b, middle) < self.rho else (low, middle)
        return (low + high) / 2


@lru_cache(maxsize=1)
def _quadrature() -> tuple[Array, Array]:
    """Gauss-Hermite nodes and weights of the standard normal."""
    z, w = np.polynomial.hermite_e.hermegauss(80)
    return z, w / w.sum()


def _linear_correlation(a: Distribution, b: Distribution, latent: float) -> float:
    """Pearson's correlation of two distributions given the latent correlation, by Gauss-Hermite quadrature."""
    z, w = _quadrature()
    first = a.from_score(z)
    second = b.from_score(latent * z[:, None] + math.sqrt(1 - latent**2) * z)
    mean_a, mean_b = w @ first, w @ second @ w
    covariance = w @ ((first - mean_a)[:, None] * (second - mean_b)) @ w
    return float(covariance / np.sqrt(w @ (first - mean_a) ** 2 * (w @ (second - mean_b) ** 2 @ w)))


def cholesky(names: Sequence[str], pairs: Mapping[tuple[int, int], float]) -> Array:
    """Cholesky factor of a correlation matrix.

    Args:
        names: the paths, (d,).
        pairs: (i, j) → latent correlation; other pairs are uncorrelated.

    Raises:
        BeliefError: the matrix is not positive definite; the error names a pair and its nearest possible value.
    """
    matrix = np.eye(len(names))
    for (i, j), rho in pairs.items():
        matrix[i, j] = matrix[j, i] = rho
    if np.linalg.eigvalsh(matrix)[0] > 1e-10:
        return np.asarray(np.linalg.cholesky(matrix), dtype=np.float64)
    pair, nearest = _nearest_possible(matrix, pairs)
    where = f"correlated[{names[pair[0]]!r}, {names[pair[1]]!r}]"
    rule = "is inconsistent with the other correlations of these paths"
    raise BeliefError(where, pairs[pair], rule, f"the nearest possible value is {nearest:.4f}", "infeasible")


def _nearest_possible(matrix: Array, pairs: Mapping[tuple[int, int], float]) -> tuple[tuple[int, int], float]:
    """The pair that needs the smallest change, and its new value; if no single change suffices, the pair that differs most from the nearest
    correlation matrix.
    """
    moves = {}
    for (i, j), rho in pairs.items():
        rest = [k for k in range(len(matrix)) if k not in (i, j)]
        inner = matrix[np.ix_(rest, rest)]
        if rest and np.linalg.eigvalsh(inner)[0] <= 1e-10:
            continue
        solved = np.linalg.solve(inner, matrix[np.ix_(rest, [i, j])]) if rest else np.zeros((0, 2))
        explained = matrix[np.ix_([i, j], rest)] @ solved
        slack = (1 - explained[0, 0]) * (1 - explained[1, 1])
        if slack > 0 and explained[0, 0] < 1:
            reach = math.sqrt(slack) * (1 - 1e-6)
            moves[i, j] = float(np.clip(rho, explained[0, 1] - reach, explained[0, 1] + reach))
    if moves:
        return min(((pair, value) for pair, value in moves.items()), key=lambda move: abs(move[1] - pairs[move[0]]))
    values, vectors = np.linalg.eigh(matrix)
    near = (vectors * np.maximum(values, 1e-6)) @ vectors.T
    near /= np.sqrt(np.outer(np.diag(near), np.diag(near)))
    pair = max(pairs, key=lambda p: abs(near[p] - pairs[p]))
    return pair, float(near[pair])


def rank_correlation(rho: float) -> Rank:
    """Spearman's rank correlation.

    Args:
        rho: the correlation, -1 to 1 [1].

    Returns:
        a value of ``correlated`` of :class:`~trainsim.Beliefs`.

    Source: Pearson (1907), "On further methods of determining correlation", as in Kruskal (1958), JASA 53, 814-861.

    >>> rank_correlation(0.5)
    Rank(rho=0.5)
    """
    return Rank(rho=rho)


def linear_correlation(rho: float) -> Linear:
    """Pearson's correlation of the values.

    Args:
        rho: the correlation, -1 to 1 [1].

    Returns:
        a value of ``correlated`` of :class:`~trainsim.Beliefs`.

    Source: Li & Hammond (1975), IEEE Trans. Systems, Man, Cybernetics 5(5), 557-561.

    >>> linear_correlation(0.5)
    Linear(rho=0.5)
    """
    return Linear(rho=rho)
