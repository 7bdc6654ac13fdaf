"""Influence of inputs on an output: swings, value of disclosure, and inputs given a region of the output."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
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
from ..sampling.quantiles import replicate_error
from ..sampling.simulation import Figure
from ..sampling.sweep import Function, Study, evaluate
from .sensitivity import REPLICATES, sample_pairs

TRIPLES = 6
"""Number of inputs from which triples are formed: those with the largest effect alone."""


@dataclass(frozen=True)
class Swing:
    """Change of an output as one input goes from its P5 to its P95, with all others at their medians."""

    path: str
    low: float
    high: float

    @property
    def size(self) -> float:
        """Absolute difference of the two outputs."""
        return abs(self.high - self.low)


@dataclass(frozen=True, repr=False)
class Tornado(Answer):
    """Swings of an output, the largest first; iterates over them.

    Args:
        of: the output.
        swings: the swing of each input.
        unit: unit of the output.
    """

    of: str
    swings: tuple[Swing, ...]
    unit: str = ""

    def __iter__(self) -> Iterator[Swing]:
        return iter(self.swings)

    def __len__(self) -> int:
        return len(self.swings)

    def __getitem__(self, index: int) -> Swing:
        return self.swings[index]

    def summary(self) -> Summary:
        """The size of each swing, and the output at both ends of the input."""
        rows = [AnswerRow(s.path, s.path, s.size, self.unit, s.low, s.high) for s in self.swings]
        return Summary(f"swings of {self.of} as one input goes from its P5 to its P95", tuple(rows))


def tornado(spec: Spec, beliefs: Beliefs, function: Function, *, of: str = "value") -> Tornado:
    """The output at each input's P5 and P95, with all others at their medians; the largest swing first.

    Args:
        spec, beliefs, function: as for ``simulate``.
        of: the output or ledger line.
    """
    study = Study(spec, beliefs, function, 0, REPLICATES, (of,))
    columns = study.resolved.columns
    u = np.full((len(columns), 2 * len(columns)), 0.5)
    for i in range(len(columns)):
        u[i, 2 * i : 2 * i + 2] = 0.05, 0.95
    # each input varies alone, so that its marginal distribution applies
    y = _at(study, u, {}, of).reshape(-1, 2)
    swings = [Swing(" = ".join(column.paths), *map(float, ends)) for column, ends in zip(columns, y, strict=True)]
    return Tornado(of, tuple(sorted(swings, key=lambda swing: -swing.size)))


def _at(study: Study, u: Array, scores: Mapping[int, Array], of: str) -> Array:
    return evaluate(study, study.resolved.draw_at(u, scores), u.shape[1], (of,))[of]


@dataclass(frozen=True)
class Shift:
    """Distribution of one input given a region of an output.

    Args:
        path: the input.
        inside: its P5, P50, P95 given the region.
        overall: its P5, P50, P95 without the condition.
        distance: Kolmogorov-Smirnov distance of the two distributions, 0 to 1.
    """

    path: str
    inside: tuple[float, float, float]
    overall: tuple[float, float, float]
    distance: Figure


@dataclass(frozen=True, repr=False)
class Region(Answer):
    """Inputs given a region of an output; the largest shifts first."""

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
    """Distribution of each input given ``above < output < below``.

    Args:
        spec, beliefs, function: as for ``simulate``.
        of: the output or ledger line.
        above, below: bounds of the region.
        n: points, rounded up to replicates × a power of two.
        seed: seed of the draws.

    Raises:
        BeliefError: fewer than 100 points are inside the region, or fewer than 100 outside.

    Source: Spear & Hornberger (1980), Water Research 14, 43-49 (Monte Carlo filtering).
    """
    study = Study(spec, beliefs, function, seed, REPLICATES, (of,))
    size = 1 << max(4, math.ceil(math.log2(n / REPLICATES)))
    u = next(study.points.blocks(slice(None), 0, size, size))
    drawn = study.resolved.draw(u)
    y = evaluate(study, drawn, u.shape[1], (of,))[of]
    inside = (y > above) & (y < below)
    share = Figure(float(inside.mean()), replicate_error(inside.reshape(REPLICATES, -1).mean(axis=1)), REPLICATES)
    if not 100 <= inside.sum() <= len(y) - 100:
        raise BeliefError(
            of,
            (above, below),
            f"is a region with only {inside.sum()} of {len(y)} points",
            "choose a bound closer to the median, or increase n",
            "infeasible",
        )
    shifts = [_shift(path, x, inside) for path, x in drawn.items()]
    return Region(of, share, tuple(sorted(shifts, key=lambda shift: -float(shift.distance))))


def _shift(path: str, x: Array, inside: NDArray[np.bool_]) -> Shift:
    rows = zip(x.reshape(REPLICATES, -1), inside.reshape(REPLICATES, -1), strict=True)
    by_replicate = np.array([_distance(a, b) for a, b in rows if 0 < b.sum() < len(b)])
    distance = Figure(_distance(x, inside), replicate_error(by_replicate) if len(by_replicate) > 1 else math.nan, len(by_replicate))
    levels = [0.05, 0.5, 0.95]
    return Shift(path, tuple(np.quantile(x[inside], levels).tolist()), tuple(np.quantile(x, levels).tolist()), distance)


def _distance(x: Array, inside: NDArray[np.bool_]) -> float:
    order = np.argsort(x, kind="stable")
    chosen = inside[order]
    return float(np.max(np.abs(np.cumsum(chosen) / chosen.sum() - np.arange(1, len(x) + 1) / len(x))))


@dataclass(frozen=True)
class DisclosureValue:
    """Expected width of an output's 90 % interval if some inputs were known.

    Args:
        paths: the inputs.
        width: expected width, relative to the present width [1].
    """

    paths: tuple[str, ...]
    width: Figure

    @property
    def value(self) -> float:
        """Expected relative reduction of the width [1]."""
        return 1 - float(self.width)


@dataclass(frozen=True, repr=False)
class DisclosureValues(Answer):
    """Sets of inputs, the one that narrows the interval of an output most first; iterates over them.

    Args:
        of: the output.
        values: the value of each set.
    """

    of: str
    values: tuple[DisclosureValue, ...]

    def __iter__(self) -> Iterator[DisclosureValue]:
        return iter(self.values)

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, index: int) -> DisclosureValue:
        return self.values[index]

    def summary(self) -> Summary:
        """The expected width of the interval for each set, in percent of the present width."""
        rows = [AnswerRow(" + ".join(v.paths), " + ".join(v.paths), 100 * float(v.width), "%") for v in self.values]
        return Summary(f"width of the 90 % interval of {self.of} if these inputs were known", tuple(rows))


def disclosure(spec: Spec, beliefs: Beliefs, function: Function, *, of: str = "value", up_to: int = 3, seed: int = 0) -> DisclosureValues:
    """Value of knowing one, two or three inputs; the set that narrows the interval most comes first.

    ``E[ width of y | x_S ] / width of y``, where the width is that of the P5 to P95 interval.

    Args:
        spec, beliefs, function: as for ``simulate``.
        of: the output or ledger line.
        up_to: the largest number of inputs known at once.
        seed: seed of the draws.

    Raises:
        BeliefError: the output does not vary.
    """
    study = Study(spec, beliefs, function, seed, REPLICATES, (of,))
    labels = [" = ".join(column.paths) for column in study.resolved.columns]
    today = _widths(study, frozenset(), of).mean()
    if not today > 0:
        raise BeliefError(
            of, float(today), "does not vary under these beliefs", "choose an output that depends on a path with a belief", "infeasible"
        )
    found: dict[frozenset[int], Figure] = {}
    for size in range(1, min(up_to, len(labels) - 1) + 1):
        best = sorted(range(len(labels)), key=lambda i: found.get(frozenset({i}), Figure(0, 0, 2)))
        for subset in map(frozenset, combinations(best[:TRIPLES] if size > 2 else best, size)):
            widths = _widths(study, subset, of).mean(axis=1) / today
            found[subset] = Figure(float(widths.mean()), replicate_error(widths), len(widths))
    order = sorted(found, key=lambda subset: float(found[subset]))
    values = tuple(DisclosureValue(tuple(labels[i] for i in sorted(subset)), found[subset]) for subset in order)
    return DisclosureValues(of, values)


OUTER, INNER = 4, 512


def _widths(study: Study, known: frozenset[int], of: str) -> Array:
    """Widths of the P5 to P95 interval for sampled values of the known inputs, (replicates, OUTER)."""
    u, v = sample_pairs(study, INNER)
    d = len(u)
    inner = v.reshape(d, study.replicates, 1, INNER)
    outer = u.reshape(d, study.replicates, INNER)[:, :, :OUTER, None]
    shape = (d, study.replicates, OUTER, INNER)
    drawn = redraw(study.resolved, np.broadcast_to(outer, shape).reshape(d, -1), np.broadcast_to(inner, shape).reshape(d, -1), known)
    y = evaluate(study, drawn, study.replicates * OUTER * INNER, (of,))[of].reshape(shape[1:])
    low, high = np.quantile(y, [0.05, 0.95], axis=-1)
    return np.asarray(high - low)
