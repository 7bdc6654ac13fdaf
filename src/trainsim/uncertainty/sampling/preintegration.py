# ruff: noqa: D102  (members inherit the docstrings of the base class)
"""Preintegration: exact integration over one input in which an output is linear."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import special

from trainsim.core.sharing import sharing

from ..beliefs.beliefs import Resolved
from ..distributions.composed import Empirical, Joint, Mixture
from ..distributions.distribution import Array, Distribution
from ..distributions.tables import accurate_sampler
from .quantiles import QuantileSketch, replicate_error, standard_errors
from .sweep import BLOCK, Range, Study, blocks, drawn_spec, evaluate

TOLERANCE = 1e-9
"""Largest deviation from linearity, relative to the largest value."""
PROBES = 64
"""Draws at which linearity is tested."""
CELLS = 768
"""Number of grid values of an input through which lines are fitted."""
_ALL = slice(None), slice(None)
_FEW = slice(0, 4), slice(0, 256)
SHARES_AT_ONCE = 1 << 15
"""Probabilities computed at once, so that they fit in the cache."""


@dataclass(frozen=True)
class LinearOutput:
    """One output over a shard as a linear function ``constant + slope · input`` at each point.

    Args:
        value: value at the draws, (replicates, n).
        constant, slope: intercept and slope at each point, (replicates, n).
        centre: mean normal score of the input given the other inputs, (replicates, n).
        column: index of the input's column.
        linear: whether the output is linear at every point.
    """

    value: Array
    constant: Array
    slope: Array
    centre: Array
    column: int
    linear: bool


@dataclass(frozen=True)
class LinearOutputReducer:
    """Reduces a shard to linear functions of one input, or to values at the draws for outputs that are not linear in any input.

    Args:
        inputs: output → index of the column in which it is linear; None for the first shard, which chooses.
    """

    inputs: Mapping[str, int] | None

    def __call__(self, study: Study, shard: Range) -> dict[str, LinearOutput | Array]:
        """Output → linear function, or values (replicates, n)."""
        parts: dict[str, list[LinearOutput | Array]] = {}
        for count, u in blocks(study, shard):
            for name, part in self._block(study, u, count).items():
                parts.setdefault(name, []).append(part)
        return {name: concatenate_parts(part, axis=1) for name, part in parts.items()}

    def _block(self, study: Study, u: Array, count: int) -> dict[str, LinearOutput | Array]:
        scores = study.resolved.scores(u)
        drawn = study.resolved.draw_at(u, scores)
        inputs = choose_inputs(study, {path: x[:PROBES] for path, x in drawn.items()}) if self.inputs is None else self.inputs
        held = sorted(set(inputs.values()))
        columns = [study.resolved.columns[i] for i in held]
        others = [_other_values(column.law, u[i]) for i, column in zip(held, columns, strict=True)]
        moved = [dict.fromkeys(column.paths, x) for column, pair in zip(columns, others, strict=True) for x in pair]
        y = _evaluated(study, drawn, [{}, *moved], study.outputs)
        found: dict[str, LinearOutput | Array] = {name: values[0].reshape(count, -1) for name, values in y.items()}
        for k, i in enumerate(held):
            centre = conditional_mean(study.resolved, i, scores, u.shape[1])
            for name in (name for name, j in inputs.items() if j == i and name in y):
                value, here = y[name][0], y[name][1 + 2 * k : 3 + 2 * k]
                constant, slope, on_line = fit_line(drawn[columns[k].paths[0]], value, others[k], here)
                parts = [part.reshape(count, -1) for part in (value, constant, slope, centre)]
                found[name] = LinearOutput(parts[0], parts[1], parts[2], parts[3], i, linear=bool(on_line))
        return found


def concatenate_parts(parts: list[LinearOutput | Array], axis: int) -> LinearOutput | Array:
    """Concatenate parts of one output along an axis."""
    if len(parts) == 1:
        return parts[0]
    if isinstance(parts[0], LinearOutput):
        lines = [part for part in parts if isinstance(part, LinearOutput)]
        names = ("value", "constant", "slope", "centre")
        arrays = [np.concatenate([getattr(line, name) for line in lines], axis=axis) for name in names]
        return LinearOutput(arrays[0], arrays[1], arrays[2], arrays[3], parts[0].column, linear=all(line.linear for line in lines))
    return np.concatenate([part for part in parts if not isinstance(part, LinearOutput)], axis=axis)


def _other_values(law: Distribution | Joint, u: Array) -> Array:
    """Two more values of an input at every point, (2, n), shifted by thirds of the probability, so that the three values cover the input's
    range.
    """
    assert isinstance(law, Distribution)
    cell = (u * CELLS).astype(np.intp)
    return np.asarray(_repeated_midpoints(law).take(cell + np.array([[CELLS // 3], [2 * CELLS // 3]])))


@lru_cache(maxsize=64)
def _repeated_midpoints(law: Distribution) -> Array:
    """Midpoints of cells of equal probability, repeated twice, so that shifted indices need no wrap-around."""
    middles = accurate_sampler(law).ppf((np.arange(CELLS) + 0.5) / CELLS)
    return np.concatenate([middles, middles])


SEPARATE_FROM = 1 << 11
"""Number of points from which variants are evaluated separately; they then share the work that does not depend on the changed input."""


def _stacked(drawn: Mapping[str, Array], variants: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
    """The draws of several variants, one after the other; the arrays of a single one stay the same objects."""
    columns = {path: [variant.get(path, values) for variant in variants] for path, values in drawn.items()}
    return {path: column[0] if len(column) == 1 else np.concatenate(column) for path, column in columns.items()}


def _evaluated(
    study: Study, drawn: Mapping[str, Array], variants: Sequence[Mapping[str, Array]], outputs: Sequence[str]
) -> dict[str, Array]:
    """Outputs at draws with other values at some paths, (variants, n); as many variants at once as fit in a block."""
    n = len(next(iter(drawn.values())))
    with sharing():
        if n >= SEPARATE_FROM:
            spec = drawn_spec(study.spec, drawn)
            found = [evaluate(study, {**drawn, **variant}, n, outputs, drawn_spec(spec, variant)) for variant in variants]
        else:
            at_once = max(1, BLOCK // n)
            parts = [variants[first : first + at_once] for first in range(0, len(variants), at_once)]
            found = [evaluate(study, _stacked(drawn, part), len(part) * n, outputs) for part in parts]
    return {name: np.concatenate([part[name].reshape(-1, n) for part in found]) for name in found[0]}


def fit_line(x: Array, y: Array, xs: Sequence[Array] | Array, ys: Sequence[Array] | Array) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Intercept and slope of the line through two points, shape (…, n), and whether a third point is on it everywhere, (…)."""
    slope = (ys[1] - ys[0]) / (xs[1] - xs[0])
    constant = ys[0] - slope * xs[0]
    off = slope * x
    off += constant
    off -= y
    np.abs(off, out=off)
    size = np.maximum(np.abs(ys[0]), np.abs(ys[1]))
    np.maximum(size, np.abs(y), out=size)
    size *= TOLERANCE
    return constant, slope, np.all((off <= size) & (slope != 0), axis=-1)


def conditional_mean(resolved: Resolved, i: int, scores: Mapping[int, Array], n: int) -> Array:
    """Mean of a column's normal score given the correlated columns, ``-Σ_j P_ij z_j / P_ii``, shape (n,).

    P is the precision matrix.
    """
    members, row, here = resolved.precision(i)
    pulls = [-weight / row[here] * scores[j] for j, weight in zip(members, row, strict=True) if j != i]
    return np.asarray(sum(pulls[1:], pulls[0]) if pulls else np.zeros(n))


def conditional_spread(resolved: Resolved, i: int) -> float | None:
    """Standard deviation of a column's normal score given the correlated columns, ``P_ii^-½``; None if there are none."""
    members, row, here = resolved.precision(i)
    return float(row[here] ** -0.5) if members else None


def probe_draws(study: Study) -> dict[str, Array]:
    """Draws at the first points: path → (PROBES,)."""
    return study.resolved.draw(next(study.points.blocks(slice(0, 1), 0, PROBES, PROBES)))


def choose_inputs(study: Study, drawn: Mapping[str, Array]) -> dict[str, int]:
    """For each output, the input with the largest effect among those in which it is linear; other outputs are left out.

    Args:
        study: the study.
        drawn: path → a few draws at which linearity is tested, (n,).
    """
    resolved = study.resolved
    candidates = [i for i, column in enumerate(resolved.columns) if _smooth(column.law)]
    if not candidates:
        return {}
    # the function is evaluated at the probes, and twice more per candidate input, with only that input's values swapped between probes
    x = np.array([drawn[resolved.columns[i].paths[0]] for i in candidates])
    n = x.shape[1]
    others = np.stack([np.roll(x, n // 3, axis=1), np.roll(x, 2 * n // 3, axis=1)], axis=1)
    moved = [dict.fromkeys(resolved.columns[i].paths, x) for i, pair in zip(candidates, others, strict=True) for x in pair]
    answers = _evaluated(study, drawn, [{}, *moved], study.outputs)
    inner = np.ptp(np.sort(x, axis=1)[:, [n // 4, 3 * n // 4]], axis=1)
    chosen: dict[str, int] = {}
    for name, values in answers.items():
        with np.errstate(divide="ignore", invalid="ignore"):
            _, slope, on_line = fit_line(x, values[0], (others[:, 0], others[:, 1]), (values[1::2], values[2::2]))
        if on_line.any():
            chosen[name] = candidates[int(np.argmax(np.where(on_line, np.abs(slope).mean(axis=1) * inner, -1.0)))]
    return chosen


def _smooth(law: Distribution | Joint) -> bool:
    return not isinstance(law, (Joint, Empirical, Mixture))


class PreintegratedSketch(QuantileSketch):
    """Sketch of an output that is linear in one input, over which it is integrated exactly.

    ``P(y < c) = E[ Φ( sign(b) (score((c - a) / b) - m) / s ) ]`` for ``y = a + b x``, where the normal score of x has mean m and standard
    deviation s given the other inputs. The integrand is smooth, so quantiles converge as fast as means.

    Args:
        law: distribution of that input.
        line: values and linear functions, (replicates, n).
        spread: s; None if the input is independent of the others.

    Source: Griewank, Kuo, Leövey & Sloan (2018), "High dimensional integration of kinks and jumps: smoothing by
    preintegration", J. Comput. Appl. Math. 344, 259-274; the error is the delta method over replicates.
    """

    def __init__(self, law: Distribution, line: LinearOutput, spread: float | None) -> None:
        self._law, self._tied = law, spread is not None
        self._known: dict[tuple[float, ...], tuple[Array, Array]] = {}
        self._value = line.value
        self._inverse = 1 / line.slope
        self._offset = line.constant * self._inverse
        self._falls = line.slope < 0 if np.any(line.slope < 0) else None
        if spread is not None:
            sign = 1.0 if self._falls is None else np.where(self._falls, -1.0, 1.0)
            self._sharpness = np.broadcast_to(sign / spread, line.slope.shape)
            self._pull = line.centre * self._sharpness

    def below(self, at: Array, part: tuple[slice, slice] = _ALL) -> Array:
        """P(y < c) for each replicate: (levels,) → (levels, replicates)."""
        if len(at) * self._inverse[part].size <= SHARES_AT_ONCE:
            return np.asarray(self._share(at[:, None, None], part).mean(axis=-1))
        return np.array([self._share(c, part).mean(axis=-1) for c in at])

    def _share(self, c: Array, part: tuple[slice, slice]) -> Array:
        x = c * self._inverse[part]
        x -= self._offset[part]
        if self._tied:
            score = self._law.score(x)
            score *= self._sharpness[part]
            score -= self._pull[part]
            return np.asarray(special.ndtr(score))
        share = self._law.cdf(x)
        return share if self._falls is None else np.where(self._falls[part], 1 - share, share)

    def quantiles(self, levels: Array) -> tuple[Array, Array]:
        asked = tuple(levels)
        if asked not in self._known:
            self._known[asked] = self._solve(levels)
        return self._known[asked]

    def _solve(self, levels: Array) -> tuple[Array, Array]:
        """Solve for quantiles by Newton steps, started from the quantiles and slope of a subset of draws.

        The slope is accurate to a few tenths of a percent. The result of the final step is not checked if the step is short relative to the
        scale on which the slope changes, and at most eight standard errors: its error is then a few hundredths of a standard error.
        """
        c, slope, width = self._start(levels)
        step, known = np.zeros_like(c), np.full_like(c, np.nan)
        for _ in range(30):
            shares = self.below(c)
            share = shares.mean(axis=1)
            moved = (np.abs(step) > 1e-6 * width) & (share != known)
            if moved.any():
                slope = np.where(moved, (share - known) / np.where(moved, step, 1.0), slope)
            step, known = _newton_step(levels - share, slope, 4 * width), share
            with np.errstate(divide="ignore", invalid="ignore"):
                errors = standard_errors(shares) / slope
            c = c + step
            if np.all(np.abs(step) <= np.maximum(np.minimum(8 * errors, 0.05 * width), 1e-9 * width)):
                break
        return c, np.array([errors, errors])

    def _start(self, levels: Array) -> tuple[Array, Array, Array]:
        """Approximate quantiles and slopes dP/dc, from a parabola through the probabilities of a subset around the plain quantiles.

        Also returns the distance to the quantile one percent closer to the median.
        """
        n = self._value.size
        place = np.minimum(levels * n, n - 1).astype(np.intp)
        places = np.array([place, place + max(1, n // 100) * np.where(levels < 0.5, 1, -1)])
        c, aside = np.sort(self._value, axis=None)[places]
        width = np.abs(aside - c) + 1e-12 * np.abs(c)
        low, here, high = self.below(np.concatenate([c - width / 2, c, c + width / 2]), _FEW).mean(axis=1).reshape(3, -1)
        middle, bend = (high - low) / width, 4 * (high - 2 * here + low) / width**2
        missing = levels - here
        # root of the parabola, or its maximum if it stays below the level
        root = np.sqrt(np.maximum(middle**2 + 2 * bend * missing, middle**2 / 4))
        with np.errstate(divide="ignore", invalid="ignore"):
            step = np.where(middle > 0, np.clip(2 * missing / (middle + root), -width, width), 0.0)
        return c + step, np.maximum(middle + bend * step, middle / 2), width

    def mean(self) -> tuple[float, float]:
        return float(np.mean(self._value)), replicate_error(np.mean(self._value, axis=1))

    def probability(self, low: float, high: float) -> tuple[float, float]:
        ends = self.below(np.array([end for end in (low, high) if np.isfinite(end)]))
        upper = ends[-1] if np.isfinite(high) else np.ones(ends.shape[1])
        shares = upper - (ends[0] if np.isfinite(low) else 0.0)
        return float(np.mean(shares)), replicate_error(shares)


def _newton_step(missing: Array, slope: Array, most: Array) -> Array:
    """Newton step towards a probability; 0 if the slope is 0."""
    return np.clip(np.where(slope > 0, missing / np.where(slope > 0, slope, 1.0), 0.0), -most, most)
