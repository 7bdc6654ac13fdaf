"""Exact distribution of products of independent factors, by convolution in log space; checks the sampler."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy import special

from trainsim.core.errors import BeliefError

from ..distributions.distribution import Array
from .separable import find_factors
from .simulation import ExactCheck, Simulation
from .sweep import Study

CELLS = 1 << 14
FINE = np.linspace(-8.0, 8.0, 4097)
LATENT = np.linspace(-8.0, 8.0, 41)
"""Normal scores of the inputs on which a correlated input is conditioned."""


@dataclass(frozen=True)
class ExactProduct:
    """Distribution of a product ``scale Π r_i``.

    Args:
        edges: increasing values, (cells,).
        below: probability below each value, (cells,).
    """

    edges: Array
    below: Array

    def quantile(self, level: float) -> float:
        """Quantile at a level."""
        inside = (self.below > 1e-13) & (self.below < 1 - 1e-13)
        return float(np.exp(np.interp(special.ndtri(level), special.ndtri(self.below[inside]), np.log(self.edges[inside]))))

    def cdf(self, value: float) -> float:
        """Probability below a value."""
        return float(np.interp(np.log(value), np.log(self.edges), self.below))


def exact_product(study: Study, of: str) -> ExactProduct:
    """Exact distribution of an output that is a product of positive factors of one input each.

    ``log y = Σ log r_i``: distributions of independent terms are convolved on a grid; sums of correlated terms are averaged over the
    normal scores of all but one of them.

    Args:
        study: the study.
        of: the output.

    Raises:
        BeliefError: the output is not such a product, or more than three inputs are correlated.
    """
    found = find_factors(study, of, FINE)
    if found is None or not found.scale > 0 or np.any(found.ratios <= 0):
        raise BeliefError(
            "check",
            of,
            "is not a product of positive factors of one input each",
            "check such an output only",
            "wrong-type",
        )
    logs = np.log(found.ratios)
    low, high = logs.min(axis=1).sum(), logs.max(axis=1).sum()
    step = (high - low) / (CELLS - 8)
    tied = {i for members, _ in study.resolved.groups for i in members}
    spectrum = np.ones(CELLS // 2 + 1, dtype=np.complex128)
    start = 0.0
    for members, factor in [*((m, f) for m, f in study.resolved.groups), *(((i,), np.eye(1)) for i in range(len(logs)) if i not in tied)]:
        first, masses = _summed_masses(logs[list(members)], factor, step, of)
        start += first
        spectrum *= np.fft.rfft(masses, CELLS)
    below = np.concatenate([[0.0], np.cumsum(np.fft.irfft(spectrum, CELLS))])
    # probabilities refer to the centres of cells; the distribution function to their ends
    edges = start + step * (np.arange(CELLS + 1) - 0.5)
    return ExactProduct(found.scale * np.exp(edges), np.clip(below, 0.0, 1.0))


def _summed_masses(logs: Array, factor: Array, step: float, of: str) -> tuple[float, Array]:
    """Probabilities of a sum of correlated terms on a grid.

    Args:
        logs: each term at the scores FINE, (k, nodes).
        factor: Cholesky factor of their correlation matrix, (k, k).
        step: spacing of the grid.

    Returns:
        the start of the grid, and the probabilities.
    """
    k = len(logs)
    rises = np.diff(logs, axis=1)
    if k > 3 or not all(np.all(row >= 0) or np.all(row <= 0) for row in rises):
        rule = "has more than three correlated inputs" if k > 3 else "is not monotone in an input"
        raise BeliefError("check", of, rule, "compare with a simulation with a larger n instead", "unsupported")
    first, last = logs.min(axis=1).sum(), logs.max(axis=1).sum()
    grid = first + step * np.arange(np.ceil((last - first) / step) + 1)
    ends = np.append(grid, grid[-1] + step) - 0.5 * step
    latent = np.array(list(product(LATENT, repeat=k - 1)))
    weights = np.exp(-0.5 * (latent**2).sum(axis=1))
    sign = 1.0 if logs[-1, -1] >= logs[-1, 0] else -1.0
    at, score = (logs[-1], FINE) if sign > 0 else (logs[-1, ::-1], FINE[::-1])
    below = np.zeros(len(ends))
    for zeta, weight in zip(latent, weights / weights.sum(), strict=True):
        others = factor[: k - 1, : k - 1] @ zeta
        shift = sum(np.interp(z, FINE, row) for z, row in zip(others, logs, strict=False))
        z = np.interp(ends - shift, at, score)
        z = np.where(ends - shift <= at[0], -sign * np.inf, np.where(ends - shift >= at[-1], sign * np.inf, z))
        below += weight * special.ndtr(sign * (z - factor[-1, : k - 1] @ zeta) / factor[-1, -1])
    return float(first), np.diff(below)


def check_against_exact(sim: Simulation, of: str, levels: tuple[float, ...] = (0.05, 0.5, 0.95)) -> ExactCheck:
    """Compare a simulation with the exact distribution of a product.

    Raises:
        BeliefError: the output is not a product of positive, monotone factors of one input each.
    """
    truth = exact_product(Study(sim.spec, sim.beliefs, sim.function, sim.seed, sim.replicates, (of,)), of)
    rows = []
    for level, figure in zip(levels, sim.quantile(of, list(levels)), strict=True):
        value = truth.quantile(level)
        rows.append((level, figure, value, (float(figure) - value) / figure.standard_error if figure.standard_error else 0.0))
    return ExactCheck(of, tuple(rows))
