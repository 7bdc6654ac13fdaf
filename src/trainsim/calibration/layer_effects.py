"""Layers that were measured before: rows of one source that run the same kernels are off alike, whatever else differs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from .records import MeasuredStep

Array = NDArray[np.float64]
FARTHEST = 0.4
"""How far off a row may count, in logarithms: one that is further says more of its machine than of its layers."""
TELLING = 5
"""Layers measured in several configurations that it takes to tell what configurations of the same layers have in common."""


def offsets(steps: Sequence[MeasuredStep], residuals: Array) -> Mapping[str, float]:
    """What is left of log(modelled / measured) in a source's layers, by their fingerprint: means, drawn towards 0.

    ``m·τ²/(τ² + σ²/n)``, ``m`` the mean of ``n`` configurations, ``τ`` and ``σ`` the standard deviations between layers and between
    configurations of the same layers. Repeats of a configuration count once, by their median. Dense and routed models stand apart;
    none of a kind where too few layers were measured in several configurations to tell ``σ``.

    Args:
        steps, residuals: rows, and how far off a fit to them is.

    Source: the best linear unbiased prediction of a random effect, Robinson 1991 (Statist. Sci. 6:15), its variances by moments.
    """
    found: dict[str, float] = {}
    for routed in (False, True):
        rows = [(s, r) for s, r in zip(steps, residuals, strict=True) if s.kernels and s.model.is_moe == routed]  # type: ignore[union-attr]
        layers = _configurations(rows)
        several = [each for each in layers.values() if len(each) > 1]
        if len(several) < TELLING:
            continue
        within = sum(float(np.sum(np.square(each - np.mean(each)))) for each in several) / sum(len(each) - 1 for each in several)
        between = max(float(np.mean([np.mean(each) ** 2 - within / len(each) for each in layers.values()])), 0.0)
        if between > 0:
            found |= {name: float(np.mean(each)) * between / (between + within / len(each)) for name, each in layers.items()}
    return found


def _configurations(rows: Sequence[tuple[MeasuredStep, float]]) -> dict[str, Array]:
    """How far off every configuration of the same layers is: layers → one number a configuration."""
    repeats: dict[tuple[str, str], list[float]] = {}
    for step, off in rows:
        repeats.setdefault((step.kernels, step.key), []).append(float(np.clip(off, -FARTHEST, FARTHEST)))
    layers: dict[str, list[float]] = {}
    for (name, _), each in repeats.items():
        layers.setdefault(name, []).append(float(np.median(each)))
    return {name: np.array(each) for name, each in layers.items()}
