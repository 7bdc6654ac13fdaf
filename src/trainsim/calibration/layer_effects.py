"""Layer effects: rows of one source that run the same layers share a random effect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from .records import MeasuredStep

Array = NDArray[np.float64]
MAX_RESIDUAL = 0.4
"""Residuals are clipped at ±0.4: larger ones are caused by the machine rather than by the layers."""
MIN_REPEATED_LAYERS = 5
"""Fewest layers measured in several configurations that allow a variance estimate."""


def random_effects(steps: Sequence[MeasuredStep], residuals: Array) -> Mapping[str, float]:
    """Random effects of layers on log(modelled / measured), by fingerprint of the layers: means, shrunk towards 0.

    The effect is ``m·τ²/(τ² + σ²/n)``, where ``m`` is the mean of ``n`` configurations, and ``τ`` and ``σ`` are the standard deviations
    between layers and between configurations of the same layers. Repeats of a configuration count once, by their median. Dense models
    and mixtures of experts are treated separately. The effect is 0 if too few layers were measured in several configurations.

    Args:
        steps, residuals: the rows, and the residuals log(modelled / measured) of a fit to them.

    Source: the best linear unbiased prediction of a random effect, Robinson 1991 (Statist. Sci. 6:15), its variances by moments.
    """
    found: dict[str, float] = {}
    for routed in (False, True):
        rows = [(s, r) for s, r in zip(steps, residuals, strict=True) if s.layer_fingerprint and s.model.is_moe == routed]  # type: ignore[union-attr]
        layers = _configurations(rows)
        several = [each for each in layers.values() if len(each) > 1]
        if len(several) < MIN_REPEATED_LAYERS:
            continue
        within = sum(float(np.sum(np.square(each - np.mean(each)))) for each in several) / sum(len(each) - 1 for each in several)
        between = max(float(np.mean([np.mean(each) ** 2 - within / len(each) for each in layers.values()])), 0.0)
        if between > 0:
            found |= {name: float(np.mean(each)) * between / (between + within / len(each)) for name, each in layers.items()}
    return found


def _configurations(rows: Sequence[tuple[MeasuredStep, float]]) -> dict[str, Array]:
    """Fingerprint of layers → median residual of each configuration of them."""
    repeats: dict[tuple[str, str], list[float]] = {}
    for step, residual in rows:
        repeats.setdefault((step.layer_fingerprint, step.key), []).append(float(np.clip(residual, -MAX_RESIDUAL, MAX_RESIDUAL)))
    layers: dict[str, list[float]] = {}
    for (name, _), each in repeats.items():
        layers.setdefault(name, []).append(float(np.median(each)))
    return {name: np.array(each) for name, each in layers.items()}
