"""Influence: what an output does when inputs move, are known, or when it is itself in a region."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from trainsim.core.answer import Answer, AnswerRow, Summary
from trainsim.core.errors import BeliefError
from trainsim.core.spec import Spec

from ..beliefs.beliefs import Beliefs
from ..distributions.distribution import Array
from ..sampling.conditional_resampling import redraw
from ..sampling.quantiles import over_replicates
from ..sampling.simulation import Figure
from ..sampling.sweep import Function, Study, evaluate
from .sensitivity import REPLICATES, pairs

TRIPLES = 6
"""Triples are tried among so many inputs, those that matter most alone."""


@dataclass(frozen=True)
class Swing:
    """What an output does as one input goes from its P5 to its P95, the others at their medians."""

    path: str
    low: float
    high: float

    @property
    def size(self) -> float:
        """How far apart the two ends are."""
        return abs(self.high - self.low)


def tornado(spec: Spec, beliefs: Beliefs, function: Function, *, of: str = "value") -> tuple[Swing, ...]:
    """The output at each input's P5 and P95, all other inputs at their medians; the largest swing first.

    Args:
        spec, beliefs, function: as for ``simulate``.
        of: the output or ledger line.
    """
    study = Study(spec, beliefs, function, 0, REPLICATES, (of,))
    columns = study.resolved.columns
    u = np.full((len(columns), 2 * len(columns)), 0.5)
    for i in range(len(columns)):
        u[i, 2 * i : 2 * i + 2] = 0.05, 0.95
    # each input moves on its own here, so scores are those of the marginals
    y = _at(study, u, {}, of).reshape(-1, 2)
    swings = [Swing(" = ".join(column.paths), *map(float, ends)) for column, ends in zip(columns, y, strict=True)]
    return tuple(sorted(swings, key=lambda swing: -swing.size))


def _at(study: Study, u: Array, scores: Mapping[int, Array], of: str) -> Array:
    return evaluate(study, study.resolved.draw_at(u, scores), u.shape[1], (of,))[of]


@dataclass(frozen=True)
class Shift:
    """How one input differs where an output is in a region.

    Args:
        path: the input.
        inside: its P5, P50, P95 given the region.
        overall: its P5, P50, P95 as believed.
        distance: largest difference of the two distribution functions, 0 to 1 (Kolmogorov-Smirnov).
    """

    path: str
    inside: tuple[float, float, float]
    overall: tuple[float, float, float]
    distance: Figure


@dataclass(frozen=True, repr=False)
class Region(Answer):
    """What the inputs look like where an output is in a region; those that differ most first."""

    of: str
    probability: Figure
    shifts: tuple[Shift, ...]

    def summary(self) -> Summary:
        """The probability of the region, and the median and interval of each input there."""
        chance = AnswerRow("probability", "probability", 100 * float(self.probability), "%")
        inside = [AnswerRow(s.path, s.path, s.inside[1], "", s.inside[0], s.inside[2]) for s in self.shifts]
        overall = [
            AnswerRow(f"{s.path}.overall", s.path, s.overall[1], "", s.overall[0], s.overall[2], group="As believed") for s in self.shifts
        ]
        return Summary(f"inputs where {self.of} is in the region: median (5 % to 95 %)", (chance, *inside, *overall))


def region(
    spec: Spec,
    beliefs: Beliefs,
    function: Function,
    *,
    of: str = "value",
    above: float = -math.inf,
    below: float = math.inf,
    n: int = 1 << 15,
    seed: int = 0,
) -> Region:
    """How each input differs where ``above < output < below``.

    Args:
        spec, beliefs, function: as for ``simulate``.
        of: the output or ledger line.
        above, below: the region.
        n: points, rounded up to replicates × a power of two.
        seed: the one seed.

    Raises:
        BeliefError: fewer than 100 of the points fall into the region, or fewer than 100 out of it.

    Source: Spear & Hornberger (1980), Water Research 14, 43-49 (Monte Carlo filtering).
    """
    study = Study(spec, beliefs, function, seed, REPLICATES, (of,))
    size = 1 << max(4, math.ceil(math.log2(n / REPLICATES)))
    u = next(study.points.blocks(slice(None), 0, size, size))
    drawn = study.resolved.draw(u)
    y = evaluate(study, drawn, u.shape[1], (of,))[of]
    inside = (y > above) & (y < below)
    share = Figure(float(inside.mean()), over_replicates(inside.reshape(REPLICATES, -1).mean(axis=1)), REPLICATES)
    if not 100 <= inside.sum() <= len(y) - 100:
        raise BeliefError(
            of,
            (above, below),
            f"{inside.sum()} of {len(y)} points fall into this region",
            "choose a bound nearer to the middle, or raise n",
            "infeasible",
        )
    shifts = [_shift(path, x, inside) for path, x in drawn.items()]
    return Region(of, share, tuple(sorted(shifts, key=lambda shift: -float(shift.distance))))


def _shift(path: str, x: Array, inside: NDArray[np.bool_]) -> Shift:
    rows = zip(x.reshape(REPLICATES, -1), inside.reshape(REPLICATES, -1), strict=True)
    by_replicate = np.array([_distance(a, b) for a, b in rows if 0 < b.sum() < len(b)])
    distance = Figure(_distance(x, inside), over_replicates(by_replicate) if len(by_replicate) > 1 else math.nan, len(by_replicate))
    levels = [0.05, 0.5, 0.95]
    return Shift(path, tuple(np.quantile(x[inside], levels).tolist()), tuple(np.quantile(x, levels).tolist()), distance)


def _distance(x: Array, inside: NDArray[np.bool_]) -> float:
    order = np.argsort(x, kind="stable")
    chosen = inside[order]
    return float(np.max(np.abs(np.cumsum(chosen) / chosen.sum() - np.arange(1, len(x) + 1) / len(x))))


@dataclass(frozen=True)
class DisclosureValue:
    """How much narrower the 90 % interval of an output would be, on average, if some inputs were known.

    Args:
        paths: the inputs.
        width: expected width of the interval once they are known, as a share of today's.
    """

    paths: tuple[str, ...]
    width: Figure

    @property
    def value(self) -> float:
        """The share of the interval that knowing them takes away."""
        return 1 - float(self.width)


def disclosure(
    spec: Spec, beliefs: Beliefs, function: Function, *, of: str = "value", up_to: int = 3, seed: int = 0
) -> tuple[DisclosureValue, ...]:
    """What it would be worth to know an input, a pair or a triple; the one that narrows the interval most first.

    ``E[ width of y | x_S ] / width of y``, with the width that of the P5 to P95 interval.

    Args:
        spec, beliefs, function: as for ``simulate``.
        of: the output or ledger line.
        up_to: the largest number of inputs disclosed at once.
        seed: the one seed.

    Raises:
        BeliefError: the output does not vary.
    """
    study = Study(spec, beliefs, function, seed, REPLICATES, (of,))
    labels = [" = ".join(column.paths) for column in study.resolved.columns]
    today = _widths(study, frozenset(), of).mean()
    if not today > 0:
        raise BeliefError(
            of, float(today), "does not vary under these beliefs", "ask about an output that hangs on a believed path", "infeasible"
        )
    found: dict[frozenset[int], Figure] = {}
    for size in range(1, min(up_to, len(labels) - 1) + 1):
        best = sorted(range(len(labels)), key=lambda i: found.get(frozenset({i}), Figure(0, 0, 2)))
        for subset in map(frozenset, combinations(best[:TRIPLES] if size > 2 else best, size)):
            widths = _widths(study, subset, of).mean(axis=1) / today
            found[subset] = Figure(float(widths.mean()), over_replicates(widths), len(widths))
    order = sorted(found, key=lambda subset: float(found[subset]))
    return tuple(DisclosureValue(tuple(labels[i] for i in sorted(subset)), found[subset]) for subset in order)


OUTER, INNER = 4, 512


def _widths(study: Study, known: frozenset[int], of: str) -> Array:
    """Widths of the P5 to P95 interval given each of some values of the known inputs, (replicates, OUTER)."""
    u, v = pairs(study, INNER)
    d = len(u)
    inner = v.reshape(d, study.replicates, 1, INNER)
    outer = u.reshape(d, study.replicates, INNER)[:, :, :OUTER, None]
    shape = (d, study.replicates, OUTER, INNER)
    drawn = redraw(study.resolved, np.broadcast_to(outer, shape).reshape(d, -1), np.broadcast_to(inner, shape).reshape(d, -1), known)
    y = evaluate(study, drawn, study.replicates * OUTER * INNER, (of,))[of].reshape(shape[1:])
    low, high = np.quantile(y, [0.05, 0.95], axis=-1)
    return np.asarray(high - low)
