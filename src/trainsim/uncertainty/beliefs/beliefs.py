"""Beliefs: distributions of the numbers of a spec, by path."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from scipy import special

from trainsim.core.answer import Answer, Summary
from trainsim.core.errors import BeliefError, PathError, did_you_mean
from trainsim.core.spec import Spec

from ..distributions.composed import Joint
from ..distributions.distribution import Array, Belief, Distribution
from ..distributions.interval import Typed
from ..distributions.tables import Sampler, accurate_sampler, fast_sampler, normal_score_table
from ..sampling.sobol import Points
from . import files
from .correlation import Correlation, LatentCorrelation, cholesky
from .shown import summary_of, table_of

OUTERMOST_SCORES = special.ndtri([0.5**53, 1 - 0.5**53])
"""Smallest and largest normal score of any point."""

Key = str | tuple[str, ...]


class Beliefs(Answer, Mapping[tuple[str, ...], Belief]):
    """Distributions of the numbers of a spec, by path; the spec itself does not change.

    Args:
        beliefs: path → belief, or an interval as text, ``"1.4..3.4"``. A tuple of paths as key means one draw for all of them, or names the
            columns of a ``ts.joint``.
        correlated: (path, path) → correlation. A number is the correlation of the Gaussian copula; use ``ts.rank_correlation`` or
            ``ts.linear_correlation`` for correlations of ranks or values.
        sources: path → source of its belief; by default the user. Sources do not affect equality.

    Raises:
        BeliefError: a path occurs twice, a value is not a belief, or a correlation is invalid.

    >>> from trainsim.uncertainty.distributions.interval import ci90
    >>> from trainsim.uncertainty.distributions.parametric import normal
    >>> mine = Beliefs({"price": ci90(1.4, 3.4), "mfu": ci90(0.3, 0.5)}, correlated={("price", "mfu"): 0.3})
    >>> list((mine | Beliefs({"price": normal(2, 0.1).truncate(0)})).paths)
    ['mfu', 'price']
    """

    def __init__(
        self,
        beliefs: Mapping[Any, Any] | None = None,
        correlated: Mapping[tuple[str, str], float | Correlation] | None = None,
        sources: Mapping[str, str] | None = None,
    ) -> None:
        held: dict[tuple[str, ...], Belief] = {}
        for key, given in (beliefs or {}).items():
            paths = (key,) if isinstance(key, str) else key
            belief = Typed(text=given) if isinstance(given, str) else given
            _check(paths, belief, held)
            held[tuple(sorted(paths))] = belief.named(paths) if isinstance(belief, Joint) else belief
        # sorted, so that beliefs given in another order are equal
        self._held = dict(sorted(held.items()))
        self._correlated = dict(sorted(_pair(pair, rho) for pair, rho in (correlated or {}).items()))
        self._sources = {path: source for path, source in (sources or {}).items() if path in self.paths}

    # a mapping -------------------------------------------------------------------------------------------------

    def __getitem__(self, key: Key) -> Belief:
        return self._held[(key,) if isinstance(key, str) else tuple(sorted(key))]

    def __iter__(self) -> Iterator[tuple[str, ...]]:
        return iter(self._held)

    def __len__(self) -> int:
        return len(self._held)

    def __hash__(self) -> int:
        return hash((tuple(self._held.items()), tuple(self._correlated.items())))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Beliefs) and (self._held, self._correlated) == (other._held, other._correlated)

    def summary(self) -> Summary:
        """Median, 90 % interval and source of every belief."""
        return summary_of(self._held, self._correlated, self._sources)

    def _text(self) -> str:
        return "\n".join([table_of(self._held, self._sources), *(f"- {note}" for note in self.summary().notes)])

    @property
    def paths(self) -> tuple[str, ...]:
        """All paths with a belief."""
        return tuple(sorted(path for paths in self._held for path in paths))

    @property
    def correlated(self) -> dict[tuple[str, str], Correlation]:
        """(path, path) → correlation."""
        return dict(self._correlated)

    @property
    def sources(self) -> dict[str, str]:
        """Path → source of its belief; paths without one were given by the user."""
        return dict(self._sources)

    def from_source(self, source: str) -> Beliefs:
        """The same beliefs, all with one source."""
        return Beliefs(self._held, self._correlated, dict.fromkeys(self.paths, source))

    def __or__(self, other: Mapping[Any, Any]) -> Beliefs:
        """Merge two sets of beliefs; for shared paths the right one is used."""
        right = other if isinstance(other, Beliefs) else Beliefs(other)
        left = self.without(*right.paths, keep_correlations=True)
        return Beliefs({**left._held, **right._held}, {**left._correlated, **right._correlated}, {**left._sources, **right._sources})

    def without(self, *paths: str, keep_correlations: bool = False) -> Beliefs:
        """The beliefs without some paths; other paths of the same draw or joint belief stay."""
        held = {}
        for key, belief in self._held.items():
            left = tuple(path for path in key if path not in paths)
            if left:
                held[left] = belief.only(left) if isinstance(belief, Joint) else belief
        kept = {pair: rho for pair, rho in self._correlated.items() if keep_correlations or not set(pair) & set(paths)}
        return Beliefs(held, kept, self._sources)

    # files -----------------------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Nested plain dict, as written to files."""
        return files.to_dict(self._held, self._correlated, self._sources)

    def save(self, path: str | Path) -> None:
        """Write the beliefs to a ``.toml``, ``.json`` or ``.csv`` file, by its suffix.

        Raises:
            BeliefError: the file has another suffix.
        """
        files.save(self.to_dict(), path)

    @staticmethod
    def load(path: str | Path, *, trusted: Sequence[str] = ()) -> Beliefs:
        """Read beliefs from a file; rows that can't be read are skipped with a warning.

        Args:
            path: a ``.toml``, ``.json`` or ``.csv`` file.
            trusted: modules of user distributions that the file may name; no other module is imported.

        Raises:
            BeliefError: the file does not exist or is truncated, two rows have the same path, or no row can be read.
        """
        return Beliefs(*files.load(path, trusted))

    # resolving -------------------------------------------------------------------------------------------------

    def resolve(self, spec: Spec) -> Resolved:
        """Resolve the beliefs against a spec: find every path, determine every family, factor the correlations.

        Raises:
            PathError: a path is not a number of the spec; the error names similar ones.
            BeliefError: a belief has mass outside its field's bounds, or the correlations are inconsistent.
        """
        return Resolved(spec, self)


@dataclass(frozen=True)
class Column:
    """One stream of draws.

    Args:
        key: key of its random stream.
        paths: paths that get its draws, (k,).
        law: its distribution, or the joint sample whose rows are drawn.
        dimension: its dimension of the Sobol' sequence.
    """

    key: str
    paths: tuple[str, ...]
    law: Distribution | Joint
    dimension: int


@dataclass(frozen=True)
class Resolved:
    """Beliefs resolved against a spec, from which draws are made."""

    spec: Spec
    beliefs: Beliefs

    def __post_init__(self) -> None:
        if not self.beliefs:
            raise BeliefError("beliefs", {}, "is empty", "give at least one belief, or call ts.estimate", "too-few-data")
        _ = self.columns, self.groups

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """One column per belief, in the order of the paths in the spec.

        The Sobol' dimension of a column is the index of its path among all numbers of the spec, not among the beliefs, so that adding
        another belief does not change its draws. Dimensions are counted from the end of the spec: the first dimensions are the most
        uniform, and most beliefs are about the last numbers of a run (price, reliability, efficiency).
        """
        numbers = self.spec.numbers()
        place = {path: i for i, path in enumerate(numbers)}
        last = len(numbers) - 1
        made = []
        for paths, belief in self.beliefs.items():
            for path in paths:
                if path not in numbers:
                    raise PathError(path, path, "is not the path of a number in this spec", did_you_mean(path, numbers, "its numbers"))
            laws = {path: belief.for_field(numbers[path][1], path) for path in paths}
            for path, law in laws.items():
                _check_finite(path, law)
            ordered = sorted(paths, key=place.__getitem__)
            if isinstance(belief, Joint):
                made.append(Column("|".join(ordered), belief.names, belief, last - place[ordered[-1]]))
            else:
                if len(paths) > 1:
                    _check_same_family(paths, laws)
                made.append(Column(ordered[0], tuple(ordered), laws[ordered[0]], last - place[ordered[-1]]))
        return tuple(sorted(made, key=lambda column: -column.dimension))

    @cached_property
    def laws(self) -> dict[str, Distribution]:
        """Path → its distribution."""
        numbers = self.spec.numbers()
        return {path: belief.for_field(numbers[path][1], path) for paths, belief in self.beliefs.items() for path in paths}

    @cached_property
    def groups(self) -> tuple[tuple[tuple[int, ...], Array], ...]:
        """Groups of correlated columns: their indices (k,) and the Cholesky factor of their correlation matrix (k, k)."""
        place = {path: i for i, column in enumerate(self.columns) for path in column.paths}
        pairs: dict[tuple[int, int], float] = {}
        for (a, b), reading in self.beliefs.correlated.items():
            for path in (a, b):
                if path not in place:
                    raise BeliefError(
                        f"correlated[{a!r}, {b!r}]",
                        path,
                        "has no belief to correlate",
                        did_you_mean(path, place, "paths with beliefs"),
                        "missing",
                    )
            i, j = sorted((place[a], place[b]))
            laws = self.columns[i].law, self.columns[j].law
            if i == j or isinstance(laws[0], Joint) or isinstance(laws[1], Joint):
                rule = "involves a joint belief" if i != j else "is for two paths that share a draw"
                raise BeliefError(f"correlated[{a!r}, {b!r}]", reading, rule, "correlate paths whose beliefs are separate", "unsupported")
            pairs[i, j] = reading.latent(laws[0], laws[1], f"correlated[{a!r}, {b!r}]")
        return tuple(_factor(self.columns, group, pairs) for group in _connected_groups(pairs))

    def precision(self, i: int) -> tuple[tuple[int, ...], Array, int]:
        """The correlated group of column ``i`` (``i`` included), the row of ``i`` in the group's precision matrix, and the position of
        ``i`` in the group; empty without correlation.
        """
        for members, factor in self.groups:
            if i in members:
                here = members.index(i)
                return members, np.linalg.inv(factor @ factor.T)[here], here
        return (), np.empty(0), 0

    def points(self, seed: int, replicates: int) -> Points:
        """The low-discrepancy points of the draws."""
        return Points(seed, tuple(c.key for c in self.columns), tuple(c.dimension for c in self.columns), replicates)

    def scores(self, u: Array, normal_score: Callable[[Array], Array] = special.ndtri) -> dict[int, Array]:
        """Normal scores of the correlated columns at points u, (d, n)."""
        found: dict[int, Array] = {}
        for members, factor in self.groups:
            z = [normal_score(u[i]) for i in members]
            found[members[0]] = z[0]
            for row, i in enumerate(members[1:], start=1):
                found[i] = factor[row, row] * z[row]
                for weight, score in zip(factor[row, :row], z[:row], strict=True):
                    found[i] += weight * score
        return found

    def draw(self, u: Array, sampler: Callable[[Distribution], Sampler] = accurate_sampler) -> dict[str, Array]:
        """Draws at points of the unit cube.

        Args:
            u: points, shape (d, n), one row per column.
            sampler: :func:`~.tables.accurate_sampler`, or :func:`~.tables.fast_sampler` for the largest simulations.

        Returns:
            path → draws, shape (n,).
        """
        return self.draw_at(u, self.scores(u, normal_score_table().ppf if sampler is fast_sampler else special.ndtri), sampler)

    def draw_at(
        self, u: Array, scores: Mapping[int, Array], sampler: Callable[[Distribution], Sampler] = accurate_sampler
    ) -> dict[str, Array]:
        """Draws at given normal scores (column → (n,)), and at points u (d, n) for all other columns."""
        drawn: dict[str, Array] = {}
        for i, column in enumerate(self.columns):
            if isinstance(column.law, Joint):
                drawn |= dict(zip(column.paths, column.law.rows(u[i]).T, strict=True))
            else:
                law = sampler(column.law)
                drawn |= dict.fromkeys(column.paths, law.from_score(scores[i]) if i in scores else law.ppf(u[i]))
        return drawn


def _check(paths: tuple[str, ...], belief: Any, held: Mapping[tuple[str, ...], Belief]) -> None:
    name = " = ".join(map(str, paths))
    if not isinstance(belief, Belief):
        raise BeliefError(
            name,
            belief,
            "is not a distribution",
            "give a ts.ci90 interval or a distribution; set a certain value in the spec",
            "wrong-type",
        )
    if not paths or not all(isinstance(path, str) and path for path in paths) or len(set(paths)) < len(paths):
        raise BeliefError(
            name, paths, "is not a path or tuple of different paths", 'write "price", or ("a.x", "b.x") for one draw at both', "wrong-type"
        )
    twice = [path for path in paths if any(path in other for other in held)]
    if twice:
        raise BeliefError(
            twice[0], belief, "is a second belief about this path", "give each path one belief; merge two sets with |", "duplicate"
        )


def _check_finite(path: str, law: Distribution) -> None:
    if all(map(math.isfinite, law.support)):
        return
    with np.errstate(over="ignore"):
        farthest = law.from_score(OUTERMOST_SCORES)
    if not np.all(np.isfinite(farthest)):
        raise BeliefError(path, law, "may have infinite draws", "reduce its spread, or truncate it", "not-finite")


def _check_same_family(paths: tuple[str, ...], laws: Mapping[str, Distribution]) -> None:
    kinds = set(laws.values())
    if len(kinds) > 1:
        rule = "has different families at these paths: " + ", ".join(f"{path}: {law.family}" for path, law in laws.items())
        raise BeliefError(
            " = ".join(paths), sorted(law.family for law in kinds), rule, "give a distribution instead of an interval", "conflict"
        )


def _pair(pair: Any, rho: float | Correlation) -> tuple[tuple[str, str], Correlation]:
    if not isinstance(pair, tuple) or len(pair) != 2 or pair[0] == pair[1]:
        raise BeliefError("correlated", pair, "is not a pair of different paths", 'write {("price", "mfu"): 0.3}', "wrong-type")
    a, b = sorted(pair)
    if isinstance(rho, Correlation):
        return (a, b), rho
    try:
        return (a, b), LatentCorrelation(rho=rho)
    except ValueError:
        raise BeliefError(
            f"correlated[{a!r}, {b!r}]",
            rho,
            "is not a correlation between -1 and 1, both excluded",
            "for one shared draw use a tuple of paths as the key",
            "out-of-bounds",
        ) from None


def _connected_groups(pairs: Mapping[tuple[int, int], float]) -> list[tuple[int, ...]]:
    groups: list[set[int]] = []
    for pair in pairs:
        touched = [group for group in groups if group & set(pair)]
        groups = [group for group in groups if group not in touched] + [set(pair).union(*touched)]
    return sorted(tuple(sorted(group)) for group in groups)


def _factor(columns: tuple[Column, ...], group: tuple[int, ...], pairs: Mapping[tuple[int, int], float]) -> tuple[tuple[int, ...], Array]:
    inside = {(group.index(i), group.index(j)): rho for (i, j), rho in pairs.items() if i in group}
    return group, np.asarray(cholesky([columns[i].paths[0] for i in group], inside))
