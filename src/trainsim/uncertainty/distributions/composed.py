# ruff: noqa: D102  (members inherit the docstrings of the base class)
"""Mixtures of distributions, and beliefs given by samples."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike
from pydantic import BeforeValidator

from trainsim.core.errors import BeliefError
from trainsim.core.spec import AsTuple
from trainsim.core.units import Unit

from .distribution import Array, Belief, Distribution


def _floats(values: Any) -> Any:
    """A list of numbers as a hashable tuple of floats."""
    try:
        return tuple(np.asarray(values, dtype=np.float64).ravel().tolist())
    except (TypeError, ValueError, OverflowError):
        return values


Floats = Annotated[tuple[float, ...], BeforeValidator(_floats)]
Laws = Annotated[tuple[Distribution, ...], AsTuple]


class Mixture(Distribution):
    """Mixture of distributions: ``F(x) = Σ w_i F_i(x)``.

    Args:
        laws: the distributions.
        weights: their weights, normalised to sum to one [1].

    >>> from trainsim.uncertainty.distributions.parametric import uniform
    >>> mixture([uniform(0, 1), uniform(2, 3)], [0.25, 0.75]).cdf([1.0, 2.5])
    array([0.25 , 0.625])
    """

    positional: ClassVar[tuple[str, ...]] = ("laws", "weights")
    laws: Laws
    weights: Floats

    def model_post_init(self, context: Any) -> None:
        super().model_post_init(context)
        if not self.laws or len(self.laws) != len(self.weights):
            raise BeliefError(
                "mixture",
                self.weights,
                f"has {len(self.weights)} weights for {len(self.laws)} distributions",
                "give one weight per distribution",
                "conflict",
            )
        _check_weights("mixture", self.weights)

    @cached_property
    def _shares(self) -> Array:
        return np.asarray(self.weights) / math.fsum(self.weights)

    def ppf(self, u: ArrayLike) -> Array:
        u = np.asarray(u, dtype=np.float64)
        ends = np.stack([law.ppf(u) for law, share in zip(self.laws, self._shares, strict=True) if share > 0])
        low, high = ends.min(axis=0), ends.max(axis=0)
        for _ in range(64):  # bisection between the smallest and largest quantile of the components
            middle = low + (high - low) / 2
            below = self.cdf(middle) < u
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        return np.asarray(high)

    def cdf(self, x: ArrayLike) -> Array:
        return np.asarray(sum(share * law.cdf(x) for law, share in zip(self.laws, self._shares, strict=True)))

    @property
    def support(self) -> tuple[float, float]:
        lows, highs = zip(*(law.support for law in self.laws), strict=True)
        return min(lows), max(highs)

    @property
    def mean(self) -> float:
        return float(sum(share * law.mean for law, share in zip(self.laws, self._shares, strict=True)))

    @property
    def sd(self) -> float:
        second = sum(share * (law.sd**2 + law.mean**2) for law, share in zip(self.laws, self._shares, strict=True))
        return math.sqrt(max(0.0, second - self.mean**2))


class Empirical(Distribution):
    """Empirical distribution of a sample.

    Args:
        samples: values (n,) [the field's unit].
        weights: weights of the values (n,); empty for equal weights [1].

    >>> empirical([3.0, 1.0, 2.0]).ppf([0.1, 0.5, 0.9])
    array([1., 2., 3.])
    """

    positional: ClassVar[tuple[str, ...]] = ("samples", "weights")
    samples: Floats
    weights: Floats = ()

    def model_post_init(self, context: Any) -> None:
        super().model_post_init(context)
        _check_samples("empirical", np.asarray(self.samples)[:, None], self.weights)

    @cached_property
    def _sorted(self) -> tuple[Array, Array]:
        values = np.asarray(self.samples)
        order = np.argsort(values, kind="stable")
        return values[order], _cumulative_shares(np.asarray(self.weights)[order] if self.weights else np.ones(len(values)))

    def ppf(self, u: ArrayLike) -> Array:
        values, steps = self._sorted
        return np.asarray(values[np.searchsorted(steps, np.asarray(u)).clip(max=len(values) - 1)])

    def cdf(self, x: ArrayLike) -> Array:
        values, steps = self._sorted
        return np.asarray(np.concatenate(([0.0], steps))[np.searchsorted(values, np.asarray(x), side="right")])

    @property
    def support(self) -> tuple[float, float]:
        return min(self.samples), max(self.samples)

    @property
    def mean(self) -> float:
        return float(np.average(self.samples, weights=self.weights or None))

    @property
    def sd(self) -> float:
        return float(np.sqrt(np.average((np.asarray(self.samples) - self.mean) ** 2, weights=self.weights or None)))


class Joint(Belief):
    """Joint samples of several numbers; whole rows are drawn, so that dependence between columns is preserved.

    Args:
        columns: values of each path, each of length n.
        names: path of each column; empty if the columns follow the order of the paths in the beliefs.
        weights: weights of the rows, length n; empty for equal weights [1].
    """

    columns: Annotated[tuple[Floats, ...], AsTuple]
    names: Annotated[tuple[str, ...], AsTuple] = ()
    weights: Floats = ()

    def model_post_init(self, context: Any) -> None:
        super().model_post_init(context)
        lengths = {len(column) for column in self.columns}
        if len(lengths) != 1:
            raise BeliefError(
                "joint", sorted(lengths), "has columns of different lengths", "give every path the same number of rows", "conflict"
            )
        if self.names and len(self.names) != len(self.columns):
            raise BeliefError(
                "joint",
                self.names,
                f"names {len(self.names)} paths for {len(self.columns)} columns",
                "give one name per column",
                "conflict",
            )
        _check_samples("joint", np.asarray(self.columns).T, self.weights)

    @cached_property
    def _table(self) -> tuple[Array, Array]:
        """Rows sorted by the first column, which preserves low discrepancy, and their cumulative shares."""
        rows = np.asarray(self.columns).T
        order = np.lexsort(rows.T[::-1])
        return rows[order], _cumulative_shares(np.asarray(self.weights)[order] if self.weights else np.ones(len(rows)))

    def rows(self, u: ArrayLike) -> Array:
        """Rows at levels u, shape ``(*u.shape, k)``."""
        table, steps = self._table
        return np.asarray(table[np.searchsorted(steps, np.asarray(u)).clip(max=len(table) - 1)])

    def named(self, paths: tuple[str, ...]) -> Joint:
        """The same samples with the path of each column as its name.

        Raises:
            BeliefError: the columns are not those of the paths.
        """
        if self.names and set(self.names) != set(paths):
            raise BeliefError(
                " = ".join(paths), self.names, "are not the columns of the joint belief", "name each column by its path", "conflict"
            )
        if len(self.columns) != len(paths):
            rule = f"the joint belief has {len(self.columns)} columns for {len(paths)} paths"
            raise BeliefError(" = ".join(paths), len(self.columns), rule, "give one column per path, in the same order", "conflict")
        return Joint(columns=self.columns, names=self.names or paths, weights=self.weights).only(tuple(sorted(paths)))

    def only(self, kept: tuple[str, ...]) -> Joint:
        """The same samples with these columns only."""
        return Joint(columns=tuple(self.columns[self.names.index(path)] for path in kept), names=kept, weights=self.weights)

    def marginal(self, column: int) -> Empirical:
        """Empirical distribution of one column."""
        return Empirical(samples=self.columns[column], weights=self.weights)

    def for_field(self, unit: Unit, path: str) -> Distribution:
        """Empirical distribution of the column of that path."""
        return self.marginal(self.names.index(path)).for_field(unit, path)


def _cumulative_shares(weights: Array) -> Array:
    return np.asarray(np.cumsum(weights) / np.sum(weights))


def _check_weights(what: str, weights: Sequence[float]) -> None:
    if not all(math.isfinite(w) and w >= 0 for w in weights) or not math.fsum(weights) > 0:
        raise BeliefError(
            f"{what}.weights",
            weights,
            "are not all finite and >= 0 with a positive sum",
            "give the relative weight of each",
            "out-of-bounds",
        )


def _check_samples(what: str, rows: Array, weights: Sequence[float]) -> None:
    if rows.size == 0:
        raise BeliefError(what, (), "has no samples", "give at least one", "too-few-data")
    if not np.all(np.isfinite(rows)):
        bad = int(np.argmin(np.isfinite(rows).all(axis=1)))
        raise BeliefError(what, rows[bad].tolist(), f"row {bad} is not finite", "remove that row, or find the cause", "not-finite")
    if weights:
        if len(weights) != len(rows):
            raise BeliefError(
                f"{what}.weights",
                len(weights),
                f"is not the number of samples, {len(rows)}",
                "give one weight per sample",
                "conflict",
            )
        _check_weights(what, weights)


def mixture(laws: Sequence[Distribution], weights: Sequence[float] | None = None) -> Mixture:
    """Mixture of distributions.

    Args:
        laws: the distributions, in the field's unit.
        weights: one per distribution; equal weights by default [1].

    Returns:
        the mixture; its density is the weighted sum of theirs.

    >>> from trainsim.uncertainty.distributions.parametric import uniform
    >>> float(mixture([uniform(0, 1), uniform(2, 3)], [0.25, 0.75]).cdf(1.5))
    0.25
    """
    return Mixture(laws=tuple(laws), weights=(1.0,) * len(laws) if weights is None else tuple(weights))


def empirical(samples: ArrayLike, weights: ArrayLike | None = None) -> Empirical:
    """Empirical distribution of a sample.

    Args:
        samples: values (n,) [the field's unit].
        weights: weights of the values (n,); equal weights by default [1].

    Returns:
        the distribution.

    >>> float(empirical([1.0, 2.0, 4.0]).mean)
    2.3333333333333335
    """
    return Empirical(samples=_floats(samples), weights=() if weights is None else _floats(weights))


def joint(samples: Mapping[str, ArrayLike] | ArrayLike, weights: ArrayLike | None = None) -> Joint:
    """Joint samples of several numbers, drawn as whole rows.

    Args:
        samples: path → values (n,), or an array (n, k) whose columns follow the order of the paths in the beliefs.
        weights: weights of the rows (n,); equal weights by default [1].

    Returns:
        the joint belief.

    >>> joint({"a": [1.0, 2.0], "b": [10.0, 20.0]}).rows([0.2, 0.9])
    array([[ 1., 10.],
           [ 2., 20.]])
    """
    given = () if weights is None else _floats(weights)
    if isinstance(samples, Mapping):
        return Joint(columns=tuple(map(_floats, samples.values())), names=tuple(samples), weights=given)
    try:
        rows = np.asarray(samples, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        rows = np.empty(0)
    if rows.ndim != 2:
        raise BeliefError("joint", samples, "is not a table of samples", "give an array (n, k), or a mapping path → (n,)", "wrong-type")
    return Joint(columns=tuple(map(_floats, rows.T)), weights=given)
