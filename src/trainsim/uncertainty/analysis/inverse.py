"""What must be true: the inputs that would bring an output to a value, and how likely they are."""

from __future__ import annotations

import math
from dataclasses import dataclass
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
"""Normal scores at which an input is tried alone: all but 6e-7 of its mass."""
PROBE = 1 << 14


@dataclass(frozen=True)
class Alone:
    """The value of one input that alone brings the output to the target, the others at their medians.

    Args:
        path: the input.
        value: the value, or None if none does [the field's unit].
        percentile: its percentile in the belief, 0 to 100; None if there is no value.
        reach: smallest and largest output that this input can bring about alone.
    """

    path: str
    value: float | None
    percentile: float | None
    reach: tuple[float, float]


@dataclass(frozen=True)
class DesignPoint:
    """The most likely combination of inputs that brings the output to the target.

    Args:
        values: path → value [the field's unit].
        percentiles: path → percentile in the belief, 0 to 100.
        distance: of the point from the medians, in independent normal scores.
    """

    values: dict[str, float]
    percentiles: dict[str, float]
    distance: float


@dataclass(frozen=True, repr=False)
class MustBeTrue(Answer):
    """What would have to be true for an output to lie below or above a target.

    Args:
        of, target: the output and the value it should reach.
        side: whether it should lie below or above.
        probability: that it does, under the beliefs.
        alone: each input alone; those that need the least first.
        together: the most likely combination; None if no combination within reach does.
    """

    of: str
    target: float
    side: Literal["below", "above"]
    probability: Figure
    alone: tuple[Alone, ...]
    together: DesignPoint | None

    def summary(self) -> Summary:
        """The probability, per input the value that alone does it, and the likeliest combination."""
        chance = AnswerRow("probability", "probability", 100 * float(self.probability), "%")
        alone = [
            AnswerRow(
                one.path, f"{one.path} alone", "no value does it" if one.value is None else one.value, grade=_percentile(one.percentile)
            )
            for one in self.alone
        ]
        found = self.together
        together = [] if found is None else [
            AnswerRow(f"together.{path}", path, value, grade=_percentile(found.percentiles[path]), group="Likeliest combination")
            for path, value in found.values.items()
        ]  # fmt: skip
        return Summary(f"what must be true for {self.of} {self.side} {human(self.target)}", (chance, *alone, *together))


def _percentile(at: float | None) -> str:
    """Where a value stands in the belief about it."""
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
    """Per input the value that alone brings an output to a target, and the most likely combination that does.

    The combination is the design point ``min |z|`` subject to ``y(z) = target`` in independent normal scores z.

    Args:
        spec, beliefs, function: as for ``simulate``.
        of: the output or ledger line.
        below, above: the target, and on which side of it the output should lie; give one.
        seed: the one seed.

    Raises:
        BeliefError: both or neither of below and above are given.
        PathError: no such output.

    Source: Hasofer & Lind (1974), J. Eng. Mech. 100, 111-121; Rackwitz & Fiessler (1978), Computers & Structures 9,
    489-494 (the iteration).
    """
    target = below if above is None else above
    if target is None or (below is not None and above is not None) or not math.isfinite(target):
        raise BeliefError("target", (below, above), "is no single target", "give below= or above=, a finite number", "wrong-type")
    study = Study(spec, beliefs, function, seed, 16, (of,))
    side: Literal["below", "above"] = "below" if above is None else "above"
    u = next(study.points.blocks(slice(None), 0, PROBE // 16, PROBE // 16))
    y = evaluate(study, study.resolved.draw(u), u.shape[1], (of,))[of]
    hits = (y < target if side == "below" else y > target).reshape(16, -1).mean(axis=1)
    probability = Figure(float(hits.mean()), max(float(np.std(hits, ddof=1) / 4), 1 / len(y)), 16)
    found = [_alone(study, of, i, target) for i in range(len(study.resolved.columns))]
    alone = sorted(found, key=lambda a: math.inf if a.percentile is None else abs(a.percentile - 50))
    return MustBeTrue(of, target, side, probability, tuple(alone), _design(study, of, target, u, y))


def _alone(study: Study, of: str, i: int, target: float) -> Alone:
    """Try one input over its range, then close in on the value."""
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
        return Alone(label, None, None, reach)
    # of several values, the one nearest to the median
    k = int(crossings[np.argmin(np.abs(GRID[crossings]))])
    low, high, rising = GRID[k], GRID[k + 1], y[k + 1] > y[k]
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if (output(np.array([middle]))[0] < target) == rising else (low, middle)
    u = np.full((d, 1), special.ndtr((low + high) / 2))
    value = study.resolved.draw_at(u, {})[column.paths[0]][0]
    return Alone(label, float(value), 100 * float(special.ndtr((low + high) / 2)), reach)


def _design(study: Study, of: str, target: float, u: Array, y: Array) -> DesignPoint | None:
    """Rackwitz & Fiessler's iteration from the nearest probe that is on the other side of the target than the medians."""
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
