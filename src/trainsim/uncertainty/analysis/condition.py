"""Conditioning: beliefs updated on measurements by Bayes' rule."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special

from trainsim.core.errors import BeliefError, TrainsimWarning
from trainsim.core.spec import Spec

from ..beliefs.beliefs import Beliefs, Resolved
from ..distributions.composed import Joint
from ..distributions.distribution import Array
from ..sampling.sobol import random_stream
from ..sampling.sweep import Function, Study, evaluate

MIN_EFFECTIVE_SHARE = 1 / 8
"""Smallest share of effective draws for which importance weights are used; below it, draws are tempered."""
METROPOLIS_MOVES = 12
"""Metropolis moves per temperature."""
SURPRISE = 0.5
"""A measurement below this percentile of its prediction, or above 100 minus it, contradicts the prior [%]."""


@dataclass(frozen=True)
class Measured:
    """A measurement with a normal error.

    Args:
        value: the measured value [the output's unit].
        sd: standard deviation of the measurement [the output's unit].
    """

    value: float
    sd: float

    def log_likelihood(self, truth: Array) -> Array:
        """``-½ ((value - truth) / sd)²``, up to a constant; any shape."""
        return np.asarray(-0.5 * ((self.value - truth) / self.sd) ** 2)


def measured(value: float, *, rel: float | None = None, sd: float | None = None) -> Measured:
    """A measurement with a relative or an absolute standard deviation.

    Args:
        value: the measured value, in the quantity's unit.
        rel: standard deviation relative to the value [1].
        sd: standard deviation, in the quantity's unit; give exactly one of the two.

    Returns:
        the measurement.

    Raises:
        BeliefError: neither or both are given, or the deviation is not positive.

    >>> measured(2.664e6, rel=0.01).sd
    26640.0
    """
    if (rel is None) == (sd is None):
        raise BeliefError("measured", (rel, sd), "needs exactly one of rel= and sd=", "give its error: rel=0.01", "missing")
    spread = abs(value) * rel if rel is not None else sd
    if not math.isfinite(value) or spread is None or not 0 < spread < math.inf:
        raise BeliefError(
            "measured",
            (value, spread),
            "is not a finite number with a positive deviation",
            "set a certain value in the spec",
            "out-of-bounds",
        )
    return Measured(float(value), float(spread))


@dataclass(frozen=True)
class Finding:
    """One measurement of one output of one function."""

    function: Function
    output: str
    measured: Measured


class Posterior(Beliefs):
    """Posterior beliefs: joint draws of every path, which can be used as beliefs.

    The prior and all evidence are stored, so conditioning twice equals conditioning on everything at once.
    """

    prior: Beliefs
    findings: tuple[Finding, ...]
    ess: float
    n: int
    method: str
    percentiles: Mapping[str, float]

    @classmethod
    def of(cls, held: Beliefs, **facts: Any) -> Posterior:
        """Beliefs with their provenance: prior, findings, ess, n, method, percentiles."""
        made = cls(held, held.correlated)
        for name, fact in facts.items():
            setattr(made, name, fact)
        return made

    def __repr__(self) -> str:
        facts = ", ".join(f"{f.output}={f.measured.value:g} ± {f.measured.sd:g}" for f in self.findings)
        return f"Posterior(given {facts}; {self.method}, {self.ess:,.0f} of {self.n:,} draws effective)"


def condition(
    spec: Spec, beliefs: Beliefs, evidence: Mapping[str, Measured], function: Function, *, n: int = 1 << 14, seed: int = 0
) -> Posterior:
    """Update beliefs on measurements.

    ``p(x | data) ∝ p(x) Π exp(-½ ((value - f(x)) / sd)²)``: prior draws weighted by the likelihood, or sequential Monte Carlo through
    increasing powers of the likelihood if too few draws stay effective.

    Args:
        spec: the spec.
        beliefs: the prior; a posterior is updated from its own prior and evidence.
        evidence: output or ledger line → measurement.
        function: as for ``simulate``.
        n: number of draws.
        seed: seed of the draws.

    Raises:
        BeliefError: there is no evidence, or the beliefs do not fit the spec.
        PathError: there is no such output.

    Warns:
        TrainsimWarning: the evidence contradicts the prior; gives its percentile.

    Source: Del Moral, Doucet & Jasra (2006), "Sequential Monte Carlo samplers", JRSS B 68(3), 411-436, section 3.3.1.
    """
    _check(evidence, n)
    before = beliefs.findings if isinstance(beliefs, Posterior) else ()
    prior = beliefs.prior if isinstance(beliefs, Posterior) else beliefs
    new = tuple(Finding(function, output, what) for output, what in evidence.items())
    target = _Target(spec, prior, (*before, *new))
    u = next(target.resolved.points(seed, 1).blocks(slice(0, 1), 0, n, n))
    truths = target.truths(u)
    logs = [f.measured.log_likelihood(t) for f, t in zip(target.findings, truths, strict=True)]
    percentiles = _percentiles(target, truths, _weights(sum(logs[: len(before)], np.zeros(n))), len(before))
    facts: dict[str, Any] = {"prior": prior, "findings": target.findings, "n": n, "percentiles": percentiles}
    log = np.asarray(sum(logs))
    if np.ptp(log) == 0:  # the measured output does not depend on the uncertain inputs
        return Posterior.of(prior, ess=float(n), method="unchanged", **facts)
    weights = _weights(log)
    ess = float(1 / np.sum(weights**2))
    if ess >= MIN_EFFECTIVE_SHARE * n:
        return Posterior.of(_joint(target.resolved, u, weights), ess=ess, method="weighted", **facts)
    scores, ess = _tempered_draws(target, special.ndtri(u), log, random_stream(seed, "condition"))
    return Posterior.of(_joint(target.resolved, special.ndtr(scores), None), ess=ess, method="tempered", **facts)


def _check(evidence: Mapping[str, Measured], n: int) -> None:
    if not evidence:
        raise BeliefError("evidence", {}, "is empty", "give {output: ts.measured(value, rel=0.01)}", "too-few-data")
    for output, what in evidence.items():
        if not isinstance(what, Measured):
            raise BeliefError(output, what, "is not a measurement", "give ts.measured(value, rel=0.01)", "wrong-type")
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 64 or n & (n - 1):
        raise BeliefError("n", n, "is not a power of two of at least 64", "give n=2**14", "out-of-bounds")


@dataclass(frozen=True)
class _Target:
    """The prior and all findings as functions of points of the unit cube."""

    spec: Spec
    prior: Beliefs
    findings: tuple[Finding, ...]

    @property
    def resolved(self) -> Resolved:
        return Study(self.spec, self.prior, self.findings[0].function, 0, 1).resolved

    def truths(self, u: Array) -> list[Array]:
        """Values of the measured outputs at points u (d, n), each (n,)."""
        drawn = self.resolved.draw(u)
        answers: dict[int, dict[str, Array]] = {}
        for f in self.findings:
            if id(f.function) not in answers:
                names = tuple(dict.fromkeys(g.output for g in self.findings if g.function is f.function))
                study = Study(self.spec, self.prior, f.function, 0, 1, names)
                answers[id(f.function)] = evaluate(study, drawn, u.shape[1], names)
        return [answers[id(f.function)][f.output] for f in self.findings]

    def log_likelihood(self, u: Array) -> Array:
        """Log-likelihood of all findings at points u (d, n), shape (n,)."""
        pairs = zip(self.findings, self.truths(u), strict=True)
        return np.asarray(sum(f.measured.log_likelihood(truth) for f, truth in pairs))


def _weights(log: Array) -> Array:
    weights = np.exp(log - log.max())
    return np.asarray(weights / weights.sum())


def _percentiles(target: _Target, truths: list[Array], weights: Array, known: int) -> dict[str, float]:
    """Percentile of each new measurement in its predictive distribution, 0 to 100; warns if it is extreme."""
    found = {}
    for f, truth in list(zip(target.findings, truths, strict=True))[known:]:
        expected = 100 * float(weights @ special.ndtr((f.measured.value - truth) / f.measured.sd))
        found[f.output] = expected
        if min(expected, 100 - expected) < SURPRISE:
            words = f"{f.output} = {f.measured.value:g} contradicts the prior: it is at percentile {expected:.3g} of its prediction"
            warnings.warn(f"{words}; widen the beliefs, or check the measurement", TrainsimWarning, stacklevel=4)
    return found


def _joint(resolved: Resolved, u: Array, weights: Array | None) -> Beliefs:
    drawn = resolved.draw(u)
    given = () if weights is None else tuple(weights.tolist())
    return Beliefs({tuple(drawn): Joint(columns=tuple(tuple(x.tolist()) for x in drawn.values()), names=tuple(drawn), weights=given)})


def _tempered_draws(target: _Target, z: Array, log: Array, rng: np.random.Generator) -> tuple[Array, float]:
    """Posterior draws as normal scores (d, n), and the smallest effective sample size."""
    power, n = 0.0, z.shape[1]
    fewest = float(n)
    while power < 1.0:
        step = _next_step(log, 1.0 - power)
        weights = _weights(step * log)
        fewest = min(fewest, float(1 / np.sum(weights**2)))
        power = min(1.0, power + step)
        chosen = np.minimum(np.searchsorted(np.cumsum(weights), (np.arange(n) + rng.random()) / n), n - 1)
        z, log = _metropolis_moves(target, z[:, chosen], log[chosen], power, rng)
    return z, fewest


def _next_step(log: Array, most: float) -> float:
    """The largest increase of the power that leaves half of the draws effective."""

    def enough(step: float) -> bool:
        return bool(1 / np.sum(_weights(step * log) ** 2) >= len(log) / 2)

    low, high = 0.0, most
    if enough(most):
        return most
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if enough(middle) else (low, middle)
    return high


def _metropolis_moves(target: _Target, z: Array, log: Array, power: float, rng: np.random.Generator) -> tuple[Array, Array]:
    """Metropolis moves that leave ``N(z; 0, 1) · likelihood^power`` invariant.

    Source: Roberts, Gelman & Gilks (1997), Ann. Appl. Probab. 7(1), 110-120: steps of 2.38 / √d deviations.
    """
    d, n = z.shape
    spread = np.linalg.cholesky(np.atleast_2d(np.cov(z)) + 1e-12 * np.eye(d))
    scale = 2.38 / math.sqrt(d)
    for _ in range(METROPOLIS_MOVES):
        proposed = z + scale * (spread @ rng.standard_normal((d, n)))
        np.clip(proposed, -8.0, 8.0, out=proposed)
        there = target.log_likelihood(special.ndtr(proposed))
        rise = power * (there - log) - 0.5 * (proposed**2 - z**2).sum(axis=0)
        taken = np.log(rng.random(n)) < rise
        z, log = np.where(taken, proposed, z), np.where(taken, there, log)
        scale *= math.exp(float(np.mean(taken)) - 0.3)
    return z, log
