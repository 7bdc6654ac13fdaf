"""Sensitivity: shares of the inputs in the variance of an output."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations

import numpy as np

from trainsim.core.answer import Answer, AnswerRow, Summary
from trainsim.core.errors import BeliefError
from trainsim.core.spec import Spec

from ..beliefs.beliefs import Beliefs
from ..distributions.distribution import Array
from ..sampling.conditional_resampling import redraw
from ..sampling.quantiles import replicate_error
from ..sampling.separable import ProductFactors, find_factors
from ..sampling.simulation import Figure
from ..sampling.sobol import Points, random_stream
from ..sampling.sweep import BLOCK, Function, Study, evaluate

REPLICATES = 16
LARGE = 8
"""Number of replicates for estimated indices. These integrate over twice as many inputs, for which fewer, larger replicates are more
accurate."""
EXHAUSTIVE = 10
"""Largest number of inputs for which Shapley effects use every subset; beyond it, random orders."""
ORDERS = 64


@dataclass(frozen=True, repr=False)
class Sensitivity(Answer):
    """Shares of inputs in the variance of an output, by path.

    Args:
        of: the output.
        first: first-order index ``Var E[y | x_i] / Var y``: share that is removed if this input alone is known.
        total: total index ``E Var[y | x_-i] / Var y``: share that remains if all other inputs are known.
        shapley: Shapley effects, which divide interactions and correlations equally and sum to one; empty without correlations.
        method: method of computation.
    """

    of: str
    first: Mapping[str, Figure]
    total: Mapping[str, Figure]
    shapley: Mapping[str, Figure] = field(default_factory=dict)
    method: str = ""

    @property
    def shares(self) -> Mapping[str, Figure]:
        """Share of each input, the largest first: Shapley effects if inputs are correlated, else total indices."""
        shown = self.shapley or self.total
        return {path: shown[path] for path in sorted(shown, key=lambda path: -shown[path])}

    def summary(self) -> Summary:
        """Share of each input in the variance, and its first-order index."""
        main = [AnswerRow(path, path, 100 * float(share), "%", *_ends(share)) for path, share in self.shares.items()]
        alone = [AnswerRow(f"{path}.alone", path, 100 * float(self.first[path]), "%", group=ALONE) for path in self.shares]
        kind = "Shapley effects" if self.shapley else "total indices"
        return Summary(f"share of the variance of {self.of}, by input ({kind})", (*main, *alone), (self.method,))


ALONE = "Share of the variance removed if the input alone is known"


def _ends(share: Figure) -> tuple[float, float]:
    """The 90 % interval of a share [%]."""
    low, high = share.interval(0.9)
    return 100 * low, 100 * high


def sensitivity(spec: Spec, beliefs: Beliefs, function: Function, *, of: str = "value", n: int = 1 << 13, seed: int = 0) -> Sensitivity:
    """Sobol' indices of an output, and Shapley effects if inputs are correlated.

    For a product of factors of one input each, the indices are exact functions of the factors' coefficients of variation:
    ``S_i = c_i² / (Π (1 + c_j²) - 1)``, ``T_i = S_i Π_{j≠i} (1 + c_j²)``. Otherwise they are estimated from replicated low-discrepancy
    points.

    Args:
        spec: the spec.
        beliefs: path → distribution.
        function: as for ``simulate``.
        of: the output or ledger line.
        n: points per index, rounded up to replicates × a power of two.
        seed: seed of the draws.

    Raises:
        BeliefError: the output does not vary.
        PathError: there is no such output.

    Source: Azzini, Mara & Rosati (2021), Environmental Modelling & Software 144, 105167 (estimators of both indices); Song,
    Nelson & Staum (2016), SIAM/ASA J. Uncertainty Quantification 4, 1060-1083 (Shapley effects).
    """
    study = Study(spec, beliefs, function, seed, REPLICATES, (of,))
    labels = [" = ".join(column.paths) for column in study.resolved.columns]
    if study.resolved.groups:
        return _shapley(study, labels, of, _size(n, REPLICATES))
    found = find_factors(study, of)
    if found is not None:
        return _product_indices(found, labels, of)
    return _estimated_indices(replace(study, replicates=LARGE), labels, of, _size(n, LARGE))


def _size(n: int, replicates: int) -> int:
    """Points of each replicate."""
    return 1 << max(4, math.ceil(math.log2(n / replicates)))


def _product_indices(found: ProductFactors, labels: list[str], of: str) -> Sensitivity:
    squares = found.variations
    whole = np.expm1(np.sum(np.log1p(squares)))
    _check_varies(of, whole)
    first = squares / whole
    total = first * np.exp(np.sum(np.log1p(squares)) - np.log1p(squares))
    exact = [{label: Figure(share, 0.0, REPLICATES) for label, share in zip(labels, shares, strict=True)} for shares in (first, total)]
    return Sensitivity(of, exact[0], exact[1], method="exact: a product of its inputs")


def sample_pairs(study: Study, size: int) -> tuple[Array, Array]:
    """Two independent sets of points, each (d, replicates · size)."""
    d = len(study.resolved.columns)
    one = study.points
    apart = len(study.spec.numbers())
    columns = [*one.columns, *(column + apart for column in one.columns)]
    both = Points(study.seed, [*one.keys, *(f"{key} again" for key in one.keys)], columns, one.replicates)
    u = next(both.blocks(slice(None), 0, size, size))
    return u[:d], u[d:]


def _values(study: Study, drawn: Mapping[str, Array], of: str) -> Array:
    """An output at draws, (replicates, n)."""
    return _values_of(study, [drawn], of)[0]


def _values_of(study: Study, sets: Sequence[Mapping[str, Array]], of: str) -> list[Array]:
    """An output at several sets of draws of equal size, (replicates, n) each; small sets are evaluated together."""
    count = len(next(iter(sets[0].values())))
    together = max(1, BLOCK // count)
    found: list[Array] = []
    for at in range(0, len(sets), together):
        some = sets[at : at + together]
        drawn = {path: np.concatenate([drawn[path] for drawn in some]) for path in some[0]}
        values = evaluate(study, drawn, count * len(some), (of,))[of]
        found += [part.reshape(study.replicates, -1) for part in np.split(values, len(some))]
    return found


def _estimated_indices(study: Study, labels: list[str], of: str, size: int) -> Sensitivity:
    """Both indices from ``y`` at two sets of points a and b, and at each with one input taken from the other, ab and ba.

    ``S = 2 E[(y_ba - y_b)(y_a - y_ab)] / V``, ``T = E[(y_b - y_ba)² + (y_a - y_ab)²] / V``,
    ``V = E[(y_a - y_b)² + (y_ba - y_ab)²]``. Only differences occur, so no mean is needed.
    """
    u, v = sample_pairs(study, size)
    a, b = study.resolved.draw(u), study.resolved.draw(v)
    columns = study.resolved.columns
    swapped = [base | {path: other[path] for path in column.paths} for column in columns for base, other in ((a, b), (b, a))]
    ya, yb, *rest = _values_of(study, [a, b, *swapped], of)
    apart = ((ya - yb) ** 2).mean(axis=1)
    _check_varies(of, float(apart.mean()) / (float(ya.mean()) ** 2 or 1.0))
    first, total = {}, {}
    for label, ab, ba in zip(labels, rest[::2], rest[1::2], strict=True):
        whole = apart + ((ba - ab) ** 2).mean(axis=1)
        down, up = ya - ab, ba - yb
        first[label] = _ratio(2 * (down * up).mean(axis=1), whole)
        total[label] = _ratio((down**2).mean(axis=1) + (up**2).mean(axis=1), whole)
    return Sensitivity(of, first, total, method=f"estimated, {size * study.replicates:,} points")


def _ratio(parts: Array, wholes: Array) -> Figure:
    """Ratio of means over replicates, with its standard error by the delta method."""
    ratio = float(parts.mean() / wholes.mean())
    return Figure(ratio, replicate_error(parts - ratio * wholes) / float(wholes.mean()), len(parts))


def _check_varies(of: str, variance: float) -> None:
    if not variance > 1e-28:
        raise BeliefError(
            of, variance, "does not vary under these beliefs", "choose an output that depends on a path with a belief", "infeasible"
        )


def _shapley(study: Study, labels: list[str], of: str, size: int) -> Sensitivity:
    u, v = sample_pairs(study, size)
    d = len(labels)
    y = _values(study, study.resolved.draw(u), of)
    centre = y.mean()
    known: dict[frozenset[int], Array] = {frozenset(): np.zeros(study.replicates), frozenset(range(d)): ((y - centre) ** 2).mean(axis=1)}

    def explained(subset: frozenset[int]) -> Array:
        """``Var E[y | x_S] = Cov(y, y')`` with y' redrawn given x_S, for each replicate."""
        if subset not in known:
            again = _values(study, redraw(study.resolved, u, v, subset), of)
            known[subset] = ((y - centre) * (again - centre)).mean(axis=1)
        return known[subset]

    whole = explained(frozenset(range(d)))
    _check_varies(of, float(whole.mean()) / (centre**2 or 1.0))
    everyone = frozenset(range(d))
    first = {label: _ratio(explained(frozenset({i})), whole) for i, label in enumerate(labels)}
    total = {label: _ratio(whole - explained(everyone - {i}), whole) for i, label in enumerate(labels)}
    if d <= EXHAUSTIVE:
        effects = [
            sum((_weight(len(s), d) * (explained(s | {i}) - explained(s)) for s in _subsets(everyone - {i})), np.zeros(len(whole)))
            for i in range(d)
        ]
        shapley = {label: _ratio(effect, whole) for label, effect in zip(labels, effects, strict=True)}
    else:
        shapley = _shapley_by_orders(explained, labels, whole, random_stream(study.seed, "orders"))
    return Sensitivity(
        of, first, total, shapley, f"inputs are correlated: Shapley effects, {size * study.replicates:,} points for each subset"
    )


def _subsets(items: frozenset[int]) -> Iterator[frozenset[int]]:
    for size in range(len(items) + 1):
        yield from map(frozenset, combinations(sorted(items), size))


def _weight(size: int, d: int) -> float:
    """Probability that a given subset of this size precedes an input in a random order of d inputs."""
    return 1 / (d * math.comb(d - 1, size))


def _shapley_by_orders(
    explained: Callable[[frozenset[int]], Array], labels: list[str], whole: Array, rng: np.random.Generator
) -> dict[str, Figure]:
    """Shapley effects over random orders and their reverses."""
    d = len(labels)
    halves = [rng.permutation(d) for _ in range(ORDERS // 2)]
    orders = [order for forward in halves for order in (forward, forward[::-1])]
    gains = np.zeros((len(orders), d, len(whole)))
    for row, order in zip(gains, orders, strict=True):
        for k, i in enumerate(order):
            row[i] = explained(frozenset(order[: k + 1].tolist())) - explained(frozenset(order[:k].tolist()))
    shapley = {}
    for i, label in enumerate(labels):
        figure = _ratio(gains[:, i].mean(axis=0), whole)
        by_pair = gains[:, i].mean(axis=1).reshape(-1, 2).mean(axis=1) / whole.mean()
        shapley[label] = Figure(float(figure), math.hypot(figure.standard_error, replicate_error(by_pair)), figure.replicates)
    return shapley
