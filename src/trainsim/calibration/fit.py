"""Fit the constants of software stacks to measured steps: robust regularised least squares, and draws from the posterior."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from operator import attrgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from ..catalog.rows import rows as catalogue_rows
from ..catalog.software_stacks import fields_at, prior_stack
from ..core.batch import Batch
from ..core.errors import SpecError
from ..parallelism.layout import Layout
from ..parallelism.schedules.discovery import schedule_of
from ..step.step import step_of
from .layer_effects import random_effects
from .records import MeasuredStep

Array = NDArray[np.float64]

NEAR_BOUND = 5.0
"""A constant at more than this many log-odds is on its bound of 0 or 1."""
LEARNED = 0.8
"""A constant whose posterior standard deviation is below this share of its prior's is tagged fitted, otherwise prior-only."""
FREEDOM = 4.0
"""Degrees of freedom of the Student-t residuals; heavy tails, because badly tuned runs are outliers."""
NOISE = {"MoE": 0.13, "A100 several nodes": 0.09, "torchtitan": 0.12}
USUAL_NOISE = 0.06
"""Scale of log(modelled / measured) within a source, by group, before any fit: repeats differ by 2.5 % (dense) and 14 % (MoE)."""
MAX_GROUP_WEIGHT = 120.0
"""Largest total weight of a group [rows], so that one large table does not determine constants that others share."""


@dataclass(frozen=True, eq=False)
class FitProblem:
    """Rows to fit, and the prior of the constants.

    Args:
        steps: measured steps that can be modelled.
        names, prior, spread: name of each constant, and its prior median and standard deviation on the fitting scale.
        share: whether the fitting scale of each constant is log-odds; otherwise it is logarithmic.
        weight, scale: weight and residual scale of each row.
    """

    steps: tuple[MeasuredStep, ...]
    names: tuple[str, ...]
    prior: Array
    spread: Array
    share: NDArray[np.bool_]
    weight: Array
    scale: Array

    def values(self, theta: Array) -> dict[str, Array]:
        """Constants at points of shape ``(n, constants)`` on the fitting scale."""
        free = np.where(self.share, expit(theta), np.exp(np.where(self.share, 0.0, theta)))
        return {name: free[:, i] for i, name in enumerate(self.names)}

    def residuals(self, theta: Array) -> Array:
        """Residuals log(modelled / measured) of each row at each point, shape ``(rows, n)``."""
        measured = np.log([s.seconds for s in self.steps])
        found: Array = modelled_log_seconds(self.steps, self.values(theta)) - measured[:, None]
        return found

    def misfit(self, theta: Array) -> Array:
        """Negative log posterior up to a constant, shape ``(n,)``: Student-t residuals, normal prior."""
        r = self.residuals(theta) / self.scale[:, None]
        student = (FREEDOM + 1) / 2 * np.log1p(np.square(r) / FREEDOM)
        total: Array = self.weight @ student + np.sum(np.square((theta - self.prior) / self.spread), axis=1) / 2
        return total


def fit_problem(steps: Sequence[MeasuredStep]) -> FitProblem:
    """The fit problem of a set of rows: usable rows whose layout is fully reported, with a time or a rate.

    Raises:
        SpecError: no row can be fitted.
    """
    usable = tuple(s for s in steps if s.usable and not s.alternatives and s.reported_as != "utilisation")
    if not usable:
        raise SpecError(
            "rows", len(steps), "contain no step that can be modelled", "give rows with layout, batch and a measured time", "too-few-data"
        )
    known = catalogue_rows("constants")
    share = np.array([row["kind"] == "share" for row in known.values()], dtype=np.bool_)
    prior = np.array([logit(r["prior"]) if r["kind"] == "share" else np.log(r["prior"]) for r in known.values()])
    return FitProblem(
        steps=usable,
        names=tuple(known),
        prior=prior,
        spread=np.array([row["spread"] for row in known.values()], dtype=np.float64),
        share=share,
        weight=_weights(usable),
        scale=np.array([_noise(s.group) for s in usable]),
    )


def _noise(group: str) -> float:
    return next((scale for word, scale in NOISE.items() if group.startswith(word)), USUAL_NOISE)


def _weights(steps: Sequence[MeasuredStep]) -> Array:
    """Weights of rows: n repeats of a configuration weigh √n in total, and a group at most ``MAX_GROUP_WEIGHT``."""
    repeats = {key: sum(s.key == key for s in steps) for key in {s.key for s in steps}}
    each = np.array([repeats[s.key] ** -0.5 for s in steps])
    for group in {s.group for s in steps}:
        inside = np.array([s.group == group for s in steps])
        each[inside] *= np.minimum(1.0, MAX_GROUP_WEIGHT / np.sum(each[inside]))
    return each


def modelled_log_seconds(steps: Sequence[MeasuredStep], values: Mapping[str, Any]) -> Array:
    """Logarithm of the modelled time of each step at each point of the constants' arrays, shape ``(rows, n)``.

    Rows of the same structure are evaluated in one call, with their degrees as arrays.
    """
    length = np.size(next(iter(values.values())))
    seconds = np.empty((len(steps), length))
    stacks = {name: (prior_stack(name), columns(fields_at(name, values))) for name in {s.stack for s in steps}}
    by_structure: dict[Any, list[int]] = {}
    for row, step in enumerate(steps):
        by_structure.setdefault(_STRUCTURE(step), []).append(row)
    for rows in by_structure.values():
        one = steps[rows[0]]
        numbers = np.array([_NUMBERS(steps[r]) for r in rows], dtype=np.float64).T
        batch, *degrees = np.repeat(numbers, length, axis=1)
        base, drawn = stacks[one.stack]
        stack = Batch(base, {name: np.tile(column, len(rows)) for name, column in drawn.items()}).spec
        layout = replace(one.layout, **dict(zip(_COLUMNS, degrees, strict=True)))  # type: ignore[type-var]
        made = step_of(one.model, layout, batch, schedule_of(one.schedule), one.zero, one.cluster, stack)  # type: ignore[arg-type]
        seconds[rows] = np.broadcast_to(made.seconds, len(rows) * length).reshape(len(rows), length)
    return np.asarray(np.log(seconds))


_COLUMNS = ("gpus", "tp", "dp", "ep", "cp", "micro_batch", "sequence_split", "expert_tp")
"""Fields of a layout that may be arrays in one call of the step model; rows of one call share all other fields."""
_NUMBERS = attrgetter("batch", *map("layout.{}".format, _COLUMNS))
_STRUCTURE = attrgetter(
    "model", "stack", "schedule", "zero", "cluster.chip", "cluster.domain", "cluster.scale_up", "cluster.scale_out",
    *[f"layout.{f.name}" for f in fields(Layout) if f.name not in _COLUMNS],
)  # fmt: skip
"""Fields of a row that all rows of one call share."""


# point and posterior -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class FittedConstants:
    """Result of a fit from several starts: points ``(starts, constants)`` on the fitting scale, their misfit, and covariance at each."""

    points: Array
    misfit: Array
    covariance: Array

    @property
    def best(self) -> Array:
        """The point of smallest misfit."""
        found: Array = self.points[int(np.argmin(self.misfit))]
        return found


def fit(task: FitProblem, starts: int = 4, iterations: int = 20, seed: int = 0, near: Array | None = None) -> FittedConstants:
    """Minimise the misfit from several starts at once, by damped, iteratively reweighted Gauss-Newton steps.

    Args:
        task: rows and prior.
        starts: number of starts: the prior median, and draws from the prior.
        iterations: largest number of iterations.
        seed: seed of the draws.
        near: first start, in place of the prior median.

    Source: Levenberg 1944, Marquardt 1963; weights of Student-t residuals as in Lange, Little, Taylor 1989 (JASA 84:881).
    """
    rng = np.random.default_rng(seed)
    size = len(task.names)
    theta = task.prior + task.spread * np.concatenate([np.zeros((1, size)), rng.standard_normal((starts - 1, size))])
    theta[0] = task.prior if near is None else near
    damping, misfit = np.full(starts, 1e-2), task.misfit(theta)
    gained = [np.inf] * PATIENCE
    for _ in range(iterations):
        if max(gained[-PATIENCE:]) < MIN_GAIN:
            break
        gradient, curvature = _quadratic(task, theta)
        trial = np.stack([_damped(theta[i], gradient[i], curvature[i], damping[i]) for i in range(starts)])
        reached = task.misfit(trial)
        better = reached < misfit
        gained.append(float(np.max(misfit - reached)))
        theta, misfit = np.where(better[:, None], trial, theta), np.where(better, reached, misfit)
        damping = np.clip(np.where(better, damping / 4, damping * 6), 1e-6, 1e4)
    _, curvature = _quadratic(task, theta)
    return FittedConstants(theta, misfit, np.asarray(np.linalg.inv(curvature), dtype=np.float64))


MIN_GAIN, PATIENCE = 0.01, 3
"""Stop when no start gains 0.01 in three iterations; one standard deviation is a misfit of 0.5."""
STEP = 1e-3
"""Step of finite differences on the fitting scale."""


def _quadratic(task: FitProblem, theta: Array) -> tuple[Array, Array]:
    """Gradient and Gauss-Newton Hessian of the misfit at each point, shapes ``(n, c)`` and ``(n, c, c)``."""
    n, c = theta.shape
    around = np.concatenate([theta[:, None, :], theta[:, None, :] + STEP * np.eye(c)], axis=1).reshape(n * (c + 1), c)
    r = (task.residuals(around) / task.scale[:, None]).reshape(-1, n, c + 1)
    here, slope = r[:, :, 0], (r[:, :, 1:] - r[:, :, :1]) / STEP
    weight = task.weight[:, None] * (FREEDOM + 1) / (FREEDOM + np.square(here))
    gradient = np.einsum("rn,rn,rnc->nc", weight, here, slope) + (theta - task.prior) / np.square(task.spread)
    curvature = np.einsum("rn,rnc,rnd->ncd", weight, slope, slope) + np.diag(1.0 / np.square(task.spread))
    return gradient, curvature


def _damped(theta: Array, gradient: Array, curvature: Array, damping: float) -> Array:
    step = np.linalg.solve(curvature + damping * np.diag(np.diag(curvature)), gradient)
    moved: Array = theta - np.clip(step, -1.0, 1.0)
    return moved


def sample(task: FitProblem, found: FittedConstants, draws: int = 400, rounds: int = 40, seed: int = 0) -> Array:
    """Draws from the posterior, shape ``(draws, constants)``, by an ensemble sampler started from the fitted modes.

    Each round moves half of the walkers along lines through the other half and accepts by the posterior ratio.

    Args:
        task, found: the problem and its fit; walkers start around the modes, weighted by their posterior.
        draws: number of walkers, whose final positions are returned.
        rounds: number of moves of each walker.
        seed: seed of all draws.

    Source: Goodman, Weare 2010 (Comm. App. Math. Comp. Sci. 5:65), the stretch move, eq. 7.
    """
    rng = np.random.default_rng(seed)
    mass = np.exp(np.min(found.misfit) - found.misfit)
    mode = rng.choice(len(mass), size=draws, p=mass / np.sum(mass))
    theta = np.stack([rng.multivariate_normal(found.points[m], found.covariance[m], method="cholesky") for m in mode])
    misfit = task.misfit(theta)
    halves = np.array_split(rng.permutation(draws), 2)
    for _ in range(rounds):
        for mine, others in (halves, halves[::-1]):
            stretch = np.square(1.0 + rng.random(len(mine))) / 2.0
            partner = theta[rng.choice(others, size=len(mine))]
            trial = partner + stretch[:, None] * (theta[mine] - partner)
            reached = task.misfit(trial)
            odds = (theta.shape[1] - 1) * np.log(stretch) + misfit[mine] - reached
            taken = np.log(rng.random(len(mine))) < odds
            theta[mine[taken]], misfit[mine[taken]] = trial[taken], reached[taken]
    return theta


def tags(task: FitProblem, best: Array, draws: Array) -> dict[str, str]:
    """Status of each constant after the fit: fitted, prior-only or on-bound."""
    width = np.std(draws, axis=0) / task.spread
    on_bound = task.share & (np.abs(best) > NEAR_BOUND)
    words = np.where(on_bound, "on-bound", np.where(width < LEARNED, "fitted", "prior-only"))
    return dict(zip(task.names, words.tolist(), strict=True))


def calibration_data(
    task: FitProblem, best: Array, draws: Array, sigmas: Mapping[str, Any], day: dt.date, left_out: Sequence[str]
) -> dict[str, Any]:
    """The calibration as plain data for the catalogue; ``sigmas`` are standard deviations of held-out residuals."""
    values, many = task.values(best[None, :]), task.values(draws)
    return {
        "date": day.isoformat(),
        "names": list(task.names),
        "best": [float(f"{values[n][0]:.6g}") for n in task.names],
        "tags": tags(task, best, draws),
        **sigmas,
        "layers": {name: round(off, 4) for name, off in sorted(random_effects(task.steps, task.residuals(best[None, :])[:, 0]).items())},
        "sources": sorted({s.source for s in task.steps}),
        "left_out": list(left_out),
        "rows": sorted({s.fingerprint for s in task.steps}),
        "draws": [[float(f"{many[n][i]:.4g}") for n in task.names] for i in range(len(draws))],
    }


def columns(fields: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    """Fields as arrays of draws, shape ``(n,)``."""
    return {name: np.atleast_1d(np.asarray(value, dtype=np.float64)) for name, value in fields.items()}
