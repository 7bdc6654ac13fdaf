"""Detect outputs that are products of factors of one input each, by evaluating them at probes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..distributions.composed import Empirical, Joint
from ..distributions.distribution import Array, Distribution
from ..distributions.tables import accurate_sampler
from .sweep import Study, evaluate

NODES = np.linspace(-8.0, 8.0, 257)
"""Normal scores at which factors are tabulated."""
PROBE = 256
TOLERANCE = 1e-9


@dataclass(frozen=True)
class ProductFactors:
    """Factors of an output ``y = scale Π r_i(x_i)``.

    Args:
        scale: the output with all inputs at their medians.
        nodes: normal scores, (nodes,); the middle one is zero.
        ratios: r_i at the nodes, (d, nodes); 1 at the median.
    """

    scale: float
    nodes: Array
    ratios: Array

    @cached_property
    def variations(self) -> Array:
        """Squared coefficient of variation of each factor, (d,), for independent inputs."""
        # the trapezoidal rule, whose error for smooth factors is below rounding
        masses = np.exp(-0.5 * self.nodes**2)
        masses /= masses.sum()
        means = self.ratios @ masses
        return np.asarray((self.ratios - means[:, None]) ** 2 @ masses / means**2)


def find_factors(study: Study, of: str, nodes: Array = NODES) -> ProductFactors | None:
    """The factors of an output; None if it is not their product at every probe."""
    laws = [column.law for column in study.resolved.columns]
    if any(isinstance(law, (Joint, Empirical)) for law in laws):
        return None
    d = len(laws)
    u = next(study.points.blocks(slice(0, 1), 0, PROBE, PROBE))
    scores = study.resolved.scores(u)
    probes = np.array([_values(laws[i], scores.get(i), u[i]) for i in range(d)])
    lines = np.array([_values(law, nodes, None) for law in laws])
    middle = lines[:, len(nodes) // 2]
    # one call: all medians; each input alone at its nodes and probes; all inputs at their probes
    alone = np.concatenate([lines, probes], axis=1)
    width = alone.shape[1]
    table = np.repeat(middle[:, None], 1 + d * width + PROBE, axis=1)
    for i in range(d):
        table[i, 1 + i * width : 1 + (i + 1) * width] = alone[i]
    table[:, 1 + d * width :] = probes
    drawn = {path: table[i] for i, column in enumerate(study.resolved.columns) for path in column.paths}
    y = _evaluate(study, drawn, of)
    if y[0] == 0:
        return None
    ratios = y[1 : 1 + d * width].reshape(d, width) / y[0]
    whole, product = y[1 + d * width :], y[0] * np.prod(ratios[:, len(nodes) :], axis=0)
    agree = np.all(np.abs(whole - product) <= TOLERANCE * np.maximum(np.abs(whole), np.abs(product)))
    return ProductFactors(float(y[0]), nodes, ratios[:, : len(nodes)]) if agree else None


def _evaluate(study: Study, drawn: Mapping[str, Array], of: str) -> Array:
    return evaluate(study, drawn, len(next(iter(drawn.values()))), (of,))[of]


def _values(law: Distribution | Joint, scores: Array | None, u: Array | None) -> Array:
    assert isinstance(law, Distribution)
    if scores is not None:
        return accurate_sampler(law).from_score(scores)
    assert u is not None
    return accurate_sampler(law).ppf(u)
