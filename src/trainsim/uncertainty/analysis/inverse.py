"""Inverse analysis: inputs for which an output reaches a target, and their probability."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from scipy import special

from trainsim.core.answer import Answer, AnswerRow, Summary
from trainsim.core.errors import BeliefError
from trainsim.core.spec import Spec
from trainsim.core.units import human

from ..beliefs.beliefs import Beliefs, Resolved
from ..distributions.distribution import Array
from ..sampling.simulation import Figure
from ..sampling.sweep import Function, Study, evaluate

GRID = np.linspace(-5.0, 5.0, 401)
"""Normal scores at which a single input is tried; they cover all but 6e-7 of the input's probability."""
PROBE = 1 << 14


@dataclass(frozen=True)
class SingleInput:
    """The value of one input at which the output reaches the target, with all others at their medians.

    Args:
        path: the input.
        value: the value; None if there is none [the field's unit].
        percentile: its percentile in the belief, 0 to 100; None if there is no value.
        reach: smallest and largest output over the range of this input.
    """

    path: str
    value: float | None
    percentile: float | None
    reach: tuple[float, float]


@dataclass(frozen=True)
class DesignPoint:
    """The most probable combination of inputs at which the output reaches the target.

    Args:
        values: path → value [the field's unit].
        percentiles: path → percentile in the belief, 0 to 100.
        distance: distance from the medians, in independent normal scores.
    """

    values: dict[str, float]
    percentiles: dict[str, float]
    distance: float


@dataclass(frozen=True, repr=False)
class MustBeTrue(Answer):
    """Inputs for which an output would be below or above a target.

    Args:
        of, target: the output and the target.
        side: whether the output should be below or above.
        probability: probability of that under the beliefs.
        alone: each input alone, the smallest required change first.
        together: the most probable combination; None if no combination reaches the target.
        units: input → its unit.
    """

    of: str
    target: float
    side: Literal["below", "above"]
    probability: Figure
    alone: tuple[SingleInput, ...]
    together: DesignPoint | None
    units: Mapping[str, str] = field(default_factory=dict)

    def summary(self) -> Summary:
        """The probability, the value of each input that suffices alone, and the most probable combination."""
        chance = AnswerRow("probability", "probability", 100 * float(self.probability), "%")
        alone = [
            AnswerRow(
                one.path,
                f"{one.path} alone",
                "no value suffices" if one.value is None else one.value,
                "" if one.value is None else self.unit_of(one.path),
                grade=_percentile(one.percentile),
            )
            for one in self.alone
        ]
        together = []
        if self.together is not None:
            for path, value in self.together.values.items():
                at = _percentile(self.together.percentiles[path])
                together += [AnswerRow(f"together.{path}", path, value, self.unit_of(path), grade=at, group="Likeliest combination")]
        return Summary(f"what must be true for {self.of} {self.side} {human(self.target)}", (chance, *alone, *together))

    def unit_of(self, path: str) -> str:
        """The unit of an input; of several that are drawn together, of the first."""
        return self.units.get(path.partition(" = ")[0], "")


def _percentile(at: float | None) -> str:
    """Percentile of a value in the belief about it, as text."""
    return "" if at is None else f"percentile {at:.3g} of the belief"


def what_must_be_true(
    spec: Spec,
    beliefs: Beliefs,
    function: Function,
    *,
    of: str = "value",
    below: float | None = None,
    above: float | None = None,
    seed: int = 0,
) -> MustBeTrue:
    """For each input the value at which an output reaches a target, and the most probable combination of inputs.

    The combination is the design point: ``min |z|`` subject to ``y(z) = target`` in independent normal scores z.

    Args:
        spec, beliefs, function: as for ``simulate``.
        of: the output or ledger line.
        below, above: the target, and the side on which the output should be; give one of the two.
        seed: seed of the draws.

    Raises:
        BeliefError: both or neither of below and above are given.
        PathError: there is no such output.

    Source: Hasofer & Lind (1974), J. Eng. Mech. 100, 111-121; Rackwitz & Fiessler (1978), Computers & Structures 9,
    489-494 (the iteration).
    """
    target = below if above is None else above
    if target is None or (below is not None and above is not None) or not math.isfinite(target):
        raise BeliefError("target", (below, above), "is not a single target", "give below= or above=, a finite number", "wrong-type")
    study = Study(spec, beliefs, function, seed, 16, (of,))
    side: Literal["below", "above"] = "below" if above is None else "above"
    u = next(study.points.blocks(slice(None), 0, PROBE // 16, PROBE // 16))
    y = evaluate(study, study.resolved.draw(u), u.shape[1], (of,))[of]
    hits = (y < target if side == "below" else y > target).reshape(16, -1).mean(axis=1)
    probability = Figure(float(hits.mean()), max(float(np.std(hits, ddof=1) / 4), 1 / len(y)), 16)
    found = [_single_input(study, of, i, target) for i in range(len(study.resolved.columns))]
    alone = sorted(found, key=lambda a: math.inf if a.percentile is None else abs(a.percentile - 50))
    numbers = spec.numbers()
    units = {path: numbers[path][1].symbol for column in study.resolved.columns for path in column.paths if path in numbers}
    return MustBeTrue(of, target, side, probability, tuple(alone), _design_point(study, of, target, u, y), units)


def _single_input(study: Study, of: str, i: int, target: float) -> SingleInput:
    """Scan one input over its range, then refine the value."""
    d = len(study.resolved.columns)

    def output(z: Array) -> Array:
        scores = np.zeros((d, len(z)))
        scores[i] = z
        drawn = study.resolved.draw_at(special.ndtr(scores), {})
        return evaluate(study, drawn, len(z), (of,))[of]

    column = study.resolved.columns[i]
    label, y = " = ".join(column.paths), output(GRID)
    reach = float(y.min()), float(y.max())
    crossings = np.flatnonzero((y[:-1] - target) * (y[1:] - target) <= 0)
    if not len(crossings) or reach[0] == reach[1]:
        return SingleInput(label, None, None, reach)
    # of several solutions, the one nearest to the median
    k = int(crossings[np.argmin(np.abs(GRID[crossings]))])
    low, high, rising = GRID[k], GRID[k + 1], y[k + 1] > y[k]
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if (output(np.array([middle]))[0] < target) == rising else (low, middle)
    u = np.full((d, 1), special.ndtr((low + high) / 2))
    value = study.resolved.draw_at(u, {})[column.paths[0]][0]
    return SingleInput(label, float(value), 100 * float(special.ndtr((low + high) / 2)), reach)


def _design_point(study: Study, of: str, target: float, u: Array, y: Array) -> DesignPoint | None:
    """Rackwitz-Fiessler iteration, started at the nearest probe on the other side of the target from the medians."""
    resolved, d = study.resolved, len(u)

    def output(z: Array) -> Array:
        drawn = resolved.draw(special.ndtr(z))
        return evaluate(study, drawn, z.shape[1], (of,))[of]

    middle = float(output(np.zeros((d, 1)))[0])
    beyond = (y - target) * (middle - target) <= 0
    if not beyond.any():
        return None
    starts = special.ndtri(u[:, beyond])
    z = starts[:, int(np.argmin((starts**2).sum(axis=0)))]
    step = 1e-4
    for _ in range(60):
        around = output(np.concatenate([z[:, None], z[:, None] + step * np.eye(d), z[:, None] - step * np.eye(d)], axis=1))
        gradient = (around[1 : d + 1] - around[d + 1 :]) / (2 * step)
        size = gradient @ gradient
        if not size > 0:
            break
        nearest = (gradient @ z - (around[0] - target)) / size * gradient
        nearest = np.clip(nearest, -8.0, 8.0)
        if np.max(np.abs(nearest - z)) < 1e-9:
            z = nearest
            break
        z = z + 0.7 * (nearest - z)
    if abs(float(output(z[:, None])[0]) - target) > 1e-3 * max(abs(target), float(np.ptp(y)) * 1e-3):
        return None
    return _point(resolved, z)


def _point(resolved: Resolved, z: Array) -> DesignPoint:
    drawn = resolved.draw(special.ndtr(z[:, None]))
    values = {path: float(x[0]) for path, x in drawn.items()}
    percentiles = {path: 100 * float(law.cdf(values[path])) for path, law in resolved.laws.items()}
    return DesignPoint(values, percentiles, float(np.sqrt(z @ z)))
