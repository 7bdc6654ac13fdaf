"""Cross-validation of the step-time fit: residuals of held-out rows, and the standard deviations calibrated from them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from ..catalog.shipped_calibration import class_of
from .fit import STEP, fit, fit_problem
from .layer_effects import random_effects
from .records import MeasuredStep

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class HeldOutPredictions:
    """Held-out rows, predicted by a fit to other rows.

    Args:
        steps: the rows.
        residuals: log(modelled / measured) of each row, shape ``(rows,)``.
        parameter_sd: standard deviation of the residual due to uncertainty of the constants, shape ``(rows,)``.
        known_layers: whether the fitted rows included another configuration with the same layers and source, shape ``(rows,)``.
    """

    steps: tuple[MeasuredStep, ...]
    residuals: Array
    parameter_sd: Array
    known_layers: NDArray[np.bool_]

    def subset(self, rows: NDArray[np.bool_]) -> HeldOutPredictions:
        """The rows selected by a mask."""
        chosen = tuple(s for s, here in zip(self.steps, rows, strict=True) if here)
        return HeldOutPredictions(chosen, self.residuals[rows], self.parameter_sd[rows], self.known_layers[rows])

    def __add__(self, other: HeldOutPredictions) -> HeldOutPredictions:
        return HeldOutPredictions(
            self.steps + other.steps,
            np.concatenate([self.residuals, other.residuals]),
            np.concatenate([self.parameter_sd, other.parameter_sd]),
            np.concatenate([self.known_layers, other.known_layers]),
        )


def predict_held_out(
    seen: Sequence[MeasuredStep], unseen: Sequence[MeasuredStep], near: Array | None = None, iterations: int = 12
) -> HeldOutPredictions:
    """Fit the rows ``seen`` and predict the rows ``unseen``; ``near`` is only a warm start.

    Layer effects estimated by the fit are subtracted from rows of the same layers
    (:func:`~trainsim.calibration.layer_effects.random_effects`).
    """
    task = fit_problem(seen)
    found = fit(task, starts=1, iterations=iterations, near=near)
    test = fit_problem(unseen)
    around = found.best + np.concatenate([np.zeros((1, len(task.names))), STEP * np.eye(len(task.names))])
    residuals = test.residuals(around)
    slope = (residuals[:, 1:] - residuals[:, :1]) / STEP
    variance = np.einsum("rc,cd,rd->r", slope, found.covariance[int(np.argmin(found.misfit))], slope)
    effects = random_effects(task.steps, task.residuals(found.best[None, :])[:, 0])
    effect = np.array([effects.get(s.layer_fingerprint, 0.0) for s in test.steps])
    known = np.array([s.layer_fingerprint in effects for s in test.steps])
    return HeldOutPredictions(test.steps, residuals[:, 0] - effect, np.sqrt(np.maximum(variance, 0.0)), known)


Forecaster = Callable[[Sequence[MeasuredStep], Sequence[MeasuredStep]], HeldOutPredictions]
"""Predictor of held-out rows: (seen, unseen) → predictions of the unseen rows."""


GroupBy = Callable[[MeasuredStep], str]
"""Key of a row; rows of one key stay on the same side of a split."""


def configuration_of(step: MeasuredStep) -> str:
    """Configuration of a row, so that its repeats stay on one side."""
    return step.key


def layers_of(step: MeasuredStep) -> str:
    """Layers of a row, so that all depths, replicas and releases of the same layers stay on one side; the configuration if layers are
    unreported.
    """
    return step.layers or step.key


def release_of(step: MeasuredStep) -> str:
    """Source and release of a row, ``"25.11"``, so that a release stays on one side; the configuration if the row names no release."""
    release = re.search(r"\b2\d\.\d\d\b", step.name)
    return f"{step.source} {release[0]}" if release else step.key


def splits(
    steps: Sequence[MeasuredStep], repeats: int = 2, seed: int = 0, group_by: GroupBy = configuration_of
) -> Iterator[tuple[list[MeasuredStep], list[MeasuredStep]]]:
    """Random halves as (seen, unseen); each half is used once as either. Rows of one key stay on one side."""
    rng, names = np.random.default_rng(seed), sorted({group_by(s) for s in steps})
    for _ in range(repeats):
        chosen = set(rng.permutation(names)[: len(names) // 2].tolist())
        one, other = [s for s in steps if group_by(s) in chosen], [s for s in steps if group_by(s) not in chosen]
        yield one, other
        yield other, one


def split_half(
    steps: Sequence[MeasuredStep],
    forecast: Forecaster = predict_held_out,
    repeats: int = 2,
    seed: int = 0,
    group_by: GroupBy = configuration_of,
) -> HeldOutPredictions:
    """Predict each row from random halves that exclude all rows of its key, ``repeats`` times."""
    return concatenate([forecast(seen, unseen) for seen, unseen in splits(steps, repeats, seed, group_by)])


def leave_one_source_out(steps: Sequence[MeasuredStep], forecast: Forecaster = predict_held_out) -> HeldOutPredictions:
    """Predict each row from the rows of all other sources."""
    names = sorted({s.source for s in steps})
    return concatenate([forecast([s for s in steps if s.source != n], [s for s in steps if s.source == n]) for n in names])


def concatenate(parts: Sequence[HeldOutPredictions]) -> HeldOutPredictions:
    """Join several sets of predictions."""
    whole = parts[0]
    for part in parts[1:]:
        whole = whole + part
    return whole


SHRINKAGE = 20.0
"""Shrinkage weight of the pooled variance [configurations], so that a handful of rows does not determine the variance of a class."""


def unexplained_sigmas(halves: HeldOutPredictions, by_source_out: HeldOutPredictions) -> dict[str, Any]:
    """Standard deviations of the unexplained part of log(modelled / measured).

    Args:
        halves: predictions of the rows from random halves.
        by_source_out: predictions of the rows of each source from those of all other sources.

    Returns:
        ``spread``: standard deviation within a source, by class of rows; ``measured``: that for layers which the source has measured
        before, by source; ``unseen``: that of a new source, by kind of model, and that of a new source of a new class.
    """
    return {"spread": by_class(halves), "measured": by_source(halves), "unseen": by_kind(by_source_out)}


SOURCE_SHRINKAGE = 3.0
"""Shrinkage weight of the variance over all sources [sources], so that one or two do not determine the variance of a kind of model."""


def by_kind(unseen: HeldOutPredictions) -> dict[str, float]:
    """Standard deviation for a new source, by kind: dense models, mixtures of experts, and a class without any other source.

    Each source counts once. The variance of a kind is shrunk towards that of all sources. If no other source has rows of the same stack and
    kind of model, leaving the source out leaves out its whole class.
    """
    whole = sigma_of_new_source(unseen)
    classes = np.array([class_of(s.stack, routed=s.model.is_moe) for s in unseen.steps])  # type: ignore[union-attr]
    names = np.array([s.source for s in unseen.steps])
    alone = np.array([len(set(names[classes == of])) == 1 for of in classes])
    rows = {kind: np.array([of.endswith(f"/{kind}") for of in classes]) for kind in ("dense", "moe")} | {"class": alone}
    found = {}
    for kind, here in rows.items():
        number = len(set(names[here]))
        own = sigma_of_new_source(unseen.subset(here)) if number else whole
        found[kind] = round(float(np.sqrt((number * own**2 + SOURCE_SHRINKAGE * whole**2) / (number + SOURCE_SHRINKAGE))), 4)
    return {"": whole} | found


def by_class(unseen: HeldOutPredictions) -> dict[str, float]:
    """Standard deviation within a source, by class of rows: the σ for which 90 % of the rows lie in their 90 % interval.

    Only rows with unknown layers are used. A class is a stack with either dense models or mixtures of experts.
    """
    unseen = unseen.subset(~unseen.known_layers)
    names = [class_of(s.stack, routed=s.model.is_moe) for s in unseen.steps]  # type: ignore[union-attr]
    kinds = np.array([name.rpartition("/")[2] for name in names])
    whole = {str(kind): calibrated_sigma(unseen, _once_a_configuration(unseen) * (kinds == kind)) for kind in sorted(set(kinds))}
    own = {name: _shrunken_sigma(unseen, np.array(names) == name, whole[name.rpartition("/")[2]]) for name in set(names)}
    return {name: round(value, 4) for name, value in sorted((whole | own).items())}


def by_source(unseen: HeldOutPredictions) -> dict[str, float]:
    """Standard deviation for rows with known layers, by source; the key ``""`` is that of all sources, each counted once."""
    unseen = unseen.subset(unseen.known_layers)
    if not unseen.steps:
        return {}
    whole = sigma_of_new_source(unseen)
    names = np.array([s.source for s in unseen.steps])
    return {"": whole} | {str(name): round(_shrunken_sigma(unseen, names == name, whole), 4) for name in sorted(set(names))}


def _shrunken_sigma(unseen: HeldOutPredictions, rows: NDArray[np.bool_], whole: float) -> float:
    """Calibrated σ of some rows, shrunk towards that of all rows; the fewer configurations, the more."""
    number = len({s.key for s, here in zip(unseen.steps, rows, strict=True) if here})
    own = calibrated_sigma(unseen, rows * _once_a_configuration(unseen), members=number)
    return float(np.sqrt((number * own**2 + SHRINKAGE * whole**2) / (number + SHRINKAGE)))


def _once_a_configuration(unseen: HeldOutPredictions) -> Array:
    """Weight of each row with which every configuration counts once, however often it was measured, shape ``(rows,)``."""
    repeats = Counter(s.key for s in unseen.steps)
    return np.array([1.0 / repeats[s.key] for s in unseen.steps])


def sigma_of_new_source(unseen: HeldOutPredictions) -> float:
    """Standard deviation for a new source; each source counts once, however many rows it has."""
    sizes = {source: sum(s.source == source for s in unseen.steps) for source in {s.source for s in unseen.steps}}
    return round(calibrated_sigma(unseen, np.array([1.0 / sizes[s.source] for s in unseen.steps])), 4)


def sigma_of_rows(found: Mapping[str, Any], rows: HeldOutPredictions) -> Array:
    """The σ of each row, shape ``(rows,)``: for known layers that of the source, else that of the class or kind."""
    spread, measured = found["spread"], found["measured"]

    classes = [class_of(step.stack, routed=step.model.is_moe) for step in rows.steps]  # type: ignore[union-attr]
    of_class = [spread.get(name, spread[name.rpartition("/")[2]]) for name in classes]
    of_layers = [measured.get(step.source, measured.get("", np.nan)) for step in rows.steps]
    return np.where(rows.known_layers, of_layers, of_class)


def calibrated_sigma(unseen: HeldOutPredictions, weight: Array, level: float = 0.9, members: int | None = None) -> float:
    """The smallest σ for which a share ``level`` of the rows lies within ``± z · √(parameter_sd² + σ²)``.

    Args:
        unseen: predictions of rows.
        weight: of each row.
        level: share that should lie inside.
        members: number k of exchangeable configurations that the rows belong to. A share ``level`` of the next configuration then needs
            ``level · (k + 1)/k`` of these inside, at most all. None for ``level`` of the rows themselves.

    Source: Lei, G'Sell, Rinaldo, Tibshirani, Wasserman 2018 (JASA 113:1094), split conformal prediction.
    """
    asked = level if members is None else min(level * (members + 1) / members, 1.0)
    z = float(ndtri((1.0 + level) / 2))
    needed = np.sqrt(np.maximum(np.square(unseen.residuals / z) - np.square(unseen.parameter_sd), 0.0))
    order = np.argsort(needed)
    reached = np.cumsum(weight[order]) / np.sum(weight)
    return float(needed[order][min(int(np.searchsorted(reached, asked - 1e-12)), len(order) - 1)])
