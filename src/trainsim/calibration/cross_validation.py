"""Cross-validation of the fit of step times: residuals of rows that a fit has not seen, and the width an interval would have needed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from ..catalog.shipped_calibration import class_of
from .fit import STEP, fit, problem
from .layer_effects import offsets
from .records import MeasuredStep

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class HeldOutPredictions:
    """Rows as predicted by a fit that has not seen them.

    Args:
        steps: the rows.
        residuals: log(modelled / measured) of each, shape ``(rows,)``.
        doubt: standard deviation of that by the constants' own doubt, shape ``(rows,)``.
        known: whether the fit had seen their layers in another configuration of their source, shape ``(rows,)``.
    """

    steps: tuple[MeasuredStep, ...]
    residuals: Array
    doubt: Array
    known: NDArray[np.bool_]

    def only(self, rows: NDArray[np.bool_]) -> HeldOutPredictions:
        """Some of the rows."""
        chosen = tuple(s for s, here in zip(self.steps, rows, strict=True) if here)
        return HeldOutPredictions(chosen, self.residuals[rows], self.doubt[rows], self.known[rows])

    def __add__(self, other: HeldOutPredictions) -> HeldOutPredictions:
        return HeldOutPredictions(
            self.steps + other.steps,
            np.concatenate([self.residuals, other.residuals]),
            np.concatenate([self.doubt, other.doubt]),
            np.concatenate([self.known, other.known]),
        )


def predict_held_out(
    seen: Sequence[MeasuredStep], unseen: Sequence[MeasuredStep], near: Array | None = None, iterations: int = 12
) -> HeldOutPredictions:
    """Fit some rows, predict others; ``near`` only shortens the search, which ends where its own rows say.

    What the fit misses of a source's layers is taken off rows of the same layers (:func:`~trainsim.calibration.layer_effects.offsets`).
    """
    task = problem(seen)
    found = fit(task, starts=1, iterations=iterations, near=near)
    test = problem(unseen)
    around = found.best + np.concatenate([np.zeros((1, len(task.names))), STEP * np.eye(len(task.names))])
    apart = test.residuals(around)
    slope = (apart[:, 1:] - apart[:, :1]) / STEP
    variance = np.einsum("rc,cd,rd->r", slope, found.covariance[int(np.argmin(found.misfit))], slope)
    missed = offsets(task.steps, task.residuals(found.best[None, :])[:, 0])
    off = np.array([missed.get(s.kernels, 0.0) for s in test.steps])
    known = np.array([s.kernels in missed for s in test.steps])
    return HeldOutPredictions(test.steps, apart[:, 0] - off, np.sqrt(np.maximum(variance, 0.0)), known)


Forecaster = Callable[[Sequence[MeasuredStep], Sequence[MeasuredStep]], HeldOutPredictions]
"""What predicts rows from others: (seen, unseen) → rows as predicted."""


Unit = Callable[[MeasuredStep], str]
"""What of a row stays on one side when rows are split into halves."""


def configuration(step: MeasuredStep) -> str:
    """The row's configuration: its repeats stay together."""
    return step.key


def whole_layers(step: MeasuredStep) -> str:
    """The row's layers: all depths, replicas and releases of them stay together; its configuration where they aren't all reported."""
    return step.layers or step.key


def whole_release(step: MeasuredStep) -> str:
    """The source and the release that a row names, ``"25.11"``, whose rows stay together; its configuration where it names none."""
    release = re.search(r"\b2\d\.\d\d\b", step.name)
    return f"{step.source} {release[0]}" if release else step.key


def splits(
    steps: Sequence[MeasuredStep], repeats: int = 2, seed: int = 0, unit: Unit = configuration
) -> Iterator[tuple[list[MeasuredStep], list[MeasuredStep]]]:
    """Random halves as (seen, unseen), each half once seen and once not; rows of one unit stay on one side."""
    rng, names = np.random.default_rng(seed), sorted({unit(s) for s in steps})
    for _ in range(repeats):
        chosen = set(rng.permutation(names)[: len(names) // 2].tolist())
        one, other = [s for s in steps if unit(s) in chosen], [s for s in steps if unit(s) not in chosen]
        yield one, other
        yield other, one


def split_half(
    steps: Sequence[MeasuredStep], forecast: Forecaster = predict_held_out, repeats: int = 2, seed: int = 0, unit: Unit = configuration
) -> HeldOutPredictions:
    """Every row predicted from random halves without its unit, ``repeats`` times."""
    return together([forecast(seen, unseen) for seen, unseen in splits(steps, repeats, seed, unit)])


def leave_one_source_out(steps: Sequence[MeasuredStep], forecast: Forecaster = predict_held_out) -> HeldOutPredictions:
    """Every row predicted from the rows of all other sources."""
    names = sorted({s.source for s in steps})
    return together([forecast([s for s in steps if s.source != n], [s for s in steps if s.source == n]) for n in names])


def together(parts: Sequence[HeldOutPredictions]) -> HeldOutPredictions:
    """Several sets of predicted rows as one."""
    whole = parts[0]
    for part in parts[1:]:
        whole = whole + part
    return whole


FEW = 20.0
"""Configurations that all rows of a kind count for beside a class's own, so that a handful of rows does not set its spread."""


def spreads(inside: HeldOutPredictions, apart: HeldOutPredictions) -> dict[str, Any]:
    """What is left unexplained, as standard deviations of log(modelled / measured).

    Args:
        inside, apart: rows predicted from random halves, and from the rows of all other sources.

    Returns:
        ``spread`` inside a source by class of rows; ``measured``, of layers that the source was measured with, by source;
        ``unseen``, of a source nobody has seen, by kind of model, and of a source of a class nobody has seen.
    """
    return {"spread": by_class(inside), "measured": by_source(inside), "unseen": by_kind(apart)}


FEW_SOURCES = 3.0
"""Sources that all of them count for beside those of one kind of model, so that one or two do not set its spread."""


def by_kind(apart: HeldOutPredictions) -> dict[str, float]:
    """What is left unexplained of a source nobody has seen: of dense models, of routed ones, and of a class without any other source.

    Each source counts once. A kind is mixed with all sources where it has few. A source is alone in its class where no other has rows
    of the same stack and kind of model: leaving it out left its whole class out.
    """
    whole = spread_unseen(apart)
    classes = np.array([class_of(s.stack, routed=s.model.is_moe) for s in apart.steps])  # type: ignore[union-attr]
    names = np.array([s.source for s in apart.steps])
    alone = np.array([len(set(names[classes == of])) == 1 for of in classes])
    rows = {kind: np.array([of.endswith(f"/{kind}") for of in classes]) for kind in ("dense", "moe")} | {"class": alone}
    found = {}
    for kind, here in rows.items():
        number = len(set(names[here]))
        own = spread_unseen(apart.only(here)) if number else whole
        found[kind] = round(float(np.sqrt((number * own**2 + FEW_SOURCES * whole**2) / (number + FEW_SOURCES))), 4)
    return {"": whole} | found


def by_class(unseen: HeldOutPredictions) -> dict[str, float]:
    """What is left unexplained inside a source: the σ that puts nine tenths of each class of rows inside its 90 % interval.

    Of rows whose layers the fit had not seen; classes are kinds of stack, dense and routed apart.
    """
    unseen = unseen.only(~unseen.known)
    names = [class_of(s.stack, routed=s.model.is_moe) for s in unseen.steps]  # type: ignore[union-attr]
    kinds = np.array([name.rpartition("/")[2] for name in names])
    whole = {str(kind): calibrated_sigma(unseen, 1.0 * (kinds == kind)) for kind in sorted(set(kinds))}
    own = {name: _mixed(unseen, np.array(names) == name, whole[name.rpartition("/")[2]]) for name in set(names)}
    return {name: round(value, 4) for name, value in sorted((whole | own).items())}


def by_source(unseen: HeldOutPredictions) -> dict[str, float]:
    """The same of rows whose layers the fit had seen in another configuration, by source; ``""`` for all of them, each source once."""
    unseen = unseen.only(unseen.known)
    if not unseen.steps:
        return {}
    whole = spread_unseen(unseen)
    names = np.array([s.source for s in unseen.steps])
    return {"": whole} | {str(name): round(_mixed(unseen, names == name, whole), 4) for name in sorted(set(names))}


def _mixed(unseen: HeldOutPredictions, rows: NDArray[np.bool_], whole: float) -> float:
    """The σ that some rows need, mixed with that of all where they are few configurations."""
    number = len({s.key for s, here in zip(unseen.steps, rows, strict=True) if here})
    return float(np.sqrt((number * calibrated_sigma(unseen, rows.astype(np.float64)) ** 2 + FEW * whole**2) / (number + FEW)))


def spread_unseen(unseen: HeldOutPredictions) -> float:
    """What is left unexplained of a source nobody has seen: each source counts once, however many rows it has."""
    sizes = {source: sum(s.source == source for s in unseen.steps) for source in {s.source for s in unseen.steps}}
    return round(calibrated_sigma(unseen, np.array([1.0 / sizes[s.source] for s in unseen.steps])), 4)


def spread_of(found: Mapping[str, Any], rows: HeldOutPredictions) -> Array:
    """The spread of each row: of its layers where they were seen, else of its class or kind. Shape ``(rows,)``."""
    spread, measured = found["spread"], found["measured"]

    classes = [class_of(step.stack, routed=step.model.is_moe) for step in rows.steps]  # type: ignore[union-attr]
    of_class = [spread.get(name, spread[name.rpartition("/")[2]]) for name in classes]
    of_layers = [measured.get(step.source, measured.get("", np.nan)) for step in rows.steps]
    return np.where(rows.known, of_layers, of_class)


def calibrated_sigma(unseen: HeldOutPredictions, weight: Array, level: float = 0.9) -> float:
    """The least σ for which a share ``level`` of the rows lies inside ``± z · √(doubt² + σ²)``."""
    z = float(ndtri((1.0 + level) / 2))
    needed = np.sqrt(np.maximum(np.square(unseen.residuals / z) - np.square(unseen.doubt), 0.0))
    order = np.argsort(needed)
    reached = np.cumsum(weight[order]) / np.sum(weight)
    return float(needed[order][int(np.searchsorted(reached, level))])
