"""Reinforcement-learning recipes, built from catalogue rows: the settings of a run known on a day, and the hours predicted from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..cluster.hardware import Cluster
from ..core.errors import CatalogError
from ..model.huggingface.reader import from_hf
from ..model.transformer import Model
from ..run.run import Run
from ..training.decoding import Engine
from ..training.reinforcement import Reinforcement, Responses, estimate_reinforcement
from ..training.rollouts import Rollouts
from ..uncertainty.beliefs.beliefs import Beliefs
from ..uncertainty.distributions.interval import ci90
from ..uncertainty.sampling.engine import simulate
from ..uncertainty.sampling.simulation import Simulation
from .hardware import cluster
from .models import model
from .rl_settings import settings_evidence
from .rows import Row, find

POINTS = 4096
_HALVINGS = 60
_LEVEL_HALVINGS = 12


@dataclass(frozen=True)
class Recipe:
    """A stage of reinforcement learning from a row: the spec, beliefs about its numbers, and the clusters on which it may have run."""

    model: Model
    clusters: tuple[Cluster, ...]
    spec: Reinforcement
    beliefs: Beliefs


@dataclass(frozen=True)
class PredictedHours:
    """Accelerator-hours predicted from a row: a mixture over candidate cluster sizes, summed over stages.

    Args:
        row: the row of ``programmes``.
        p5, p50, p95: quantiles [GPU-h].
        published: the published figure [GPU-h]; None if the row names no published run.
        percentile: percentile of the published figure, from 0 to 100.
    """

    row: Row
    p5: float
    p50: float
    p95: float
    published: float | None
    percentile: float | None
    sims: tuple[Simulation, ...] = field(repr=False, default=())

    def percentile_of(self, gpu_hours: float) -> float:
        """Percentile of a figure, from 0 to 100. Several stages are assumed comonotonic: the percentile is the level at which their
        quantiles sum to the figure.

        >>> predicted = predicted_hours("recipe-r1")
        >>> round(predicted.percentile_of(predicted.p50))
        50
        """
        if len(self.sims) == 1:
            return 100.0 * _share_below(self.sims[0], gpu_hours)
        low, high = 0.0, 1.0
        for _ in range(_LEVEL_HALVINGS):
            middle = (low + high) / 2.0
            low, high = (low, middle) if _total_quantile(self.sims, middle) >= gpu_hours else (middle, high)
        return 50.0 * (low + high)

    @property
    def inside(self) -> bool:
        """Whether the published figure lies in the 90 % interval."""
        return self.published is not None and self.p5 <= self.published <= self.p95


def recipes(name: str) -> tuple[Recipe, ...]:
    """The stages of a row of ``programmes``, in order.

    Raises:
        CatalogError: no such row, or the row is not a recipe.

    >>> recipes("recipe-r1-zero")[0].spec.samples
    16.0
    """
    row = find("programmes", name)
    if row["kind"] == "recipe-by-rule":
        return tuple(_by_rule(row, stage) for stage in recipes(row["like"]))
    if row["kind"] not in ("recipe", "grpo"):
        raise CatalogError(row.address, row["kind"], "is not a recipe", "name a row of kind recipe, recipe-by-rule or grpo", "unknown-name")
    stages: Sequence[Mapping[str, Any]] = row.get("stages", (row.fields,))
    trained = from_hf(dict(row["config"])) if row.get("config") else model(row["model"])
    return tuple(_stage(row, trained, stage) for stage in stages)


def predicted_hours(name: str, *, n: int = POINTS, seed: int = 0) -> PredictedHours:
    """Predicted hours of a row's run, from its own beliefs and those on engines, with the published figure.

    Args:
        name: a row of ``programmes``.
        n: number of points of the simulation.
        seed: seed of the simulation.

    Raises:
        CatalogError: no such row, or the row is not a recipe.
    """
    row, stages = find("programmes", name), recipes(name)
    sims = [_simulate(stage, n, seed) for stage in stages]
    p5, p50, p95 = (_total_quantile(sims, level) for level in (0.05, 0.5, 0.95))
    published = row.get("gpu_hours") or (find("runs", row["judges"].removeprefix("runs/")).get("gpu_hours") if row.get("judges") else None)
    made = PredictedHours(row, p5, p50, p95, published, None, tuple(sims))
    return made if published is None else replace(made, percentile=made.percentile_of(float(published)))


def engine_rows(run: Run) -> dict[str, tuple[Row, list[float]]]:
    """Beliefs about the inference engines of a run's rollouts: path of the run → the row it comes from, and P5, P50, P95.

    Args:
        run: any run; the result is empty if no phase learns from rollouts.
    """
    found: dict[str, tuple[Row, list[float]]] = {}
    for phase in run.phases:
        if isinstance(phase.efficiency, Rollouts):
            cluster = phase.cluster or run.cluster
            many = run.model.is_moe and phase.efficiency.recipe.engine.gpus > cluster.domain
            row = find("programmes", "engine-many-nodes" if many else "engine-one-node")
            found |= {f"phases.{phase.name}.efficiency.recipe.{path}": (row, levels) for path, levels in row["beliefs"].items()}
    return found


def _stage(row: Row, trained: Model, stage: Mapping[str, Any]) -> Recipe:
    engine, fixed = find("programmes", row["engine"]), stage["fixed"]
    believed = {**engine["beliefs"], **stage["beliefs"]}
    middle = {**{path: levels[1] for path, levels in believed.items()}, **fixed}
    inner: dict[str, dict[str, Any]] = {
        "engine": {"gpus": row["engine_gpus"], "weight_bytes": row["weight_bytes"]},
        "responses": {},
        "": {},
    }
    for path, value in middle.items():
        head, _, leaf = path.rpartition(".")
        inner[head][leaf] = value
    parts = {"engine": Engine(**inner["engine"]), "responses": Responses(**inner["responses"]), "rollout_gpus": row.get("rollout_gpus")}
    spec = Reinforcement(**inner[""], **parts)
    sizes = stage["gpus"] if isinstance(stage["gpus"], tuple) else [stage["gpus"]]
    clusters = tuple(cluster(row["cluster"], size) for size in sizes)
    return Recipe(trained, clusters, spec.with_sources({"": row.cited}), Beliefs({p: ci90(*levels) for p, levels in believed.items()}))


def _by_rule(row: Row, stage: Recipe) -> Recipe:
    """The stage with judgements on some settings replaced by predictions from other labs' published settings.

    Responses per step are prompts times samples. Only the product affects the cost, so the samples are left as they are.
    """
    judged = find("runs", row["judges"].removeprefix("runs/"))
    predicted: dict[str, Any] = {}
    for quantity in row["by_rule"]:
        levels = settings_evidence(quantity, row.date, judged).levels
        path, per = ("prompts", float(stage.spec.samples)) if quantity == "responses_per_step" else (quantity, 1.0)
        predicted[path] = ci90(*(level / per for level in levels))
    return replace(stage, beliefs=stage.beliefs | Beliefs(predicted))


def _simulate(stage: Recipe, n: int, seed: int) -> Simulation:
    def hours(spec: Reinforcement) -> dict[str, Any]:
        return {str(c.gpus): estimate_reinforcement(stage.model, c, spec).gpu_hours.total for c in stage.clusters}

    return simulate(stage.spec, stage.beliefs, hours, n=n, seed=seed)


def _total_quantile(sims: Sequence[Simulation], level: float) -> float:
    """Quantile of the total hours. The stages share an engine and are assumed comonotonic, so their quantiles add."""
    return float(sum(_mixture_quantile(sim, level) for sim in sims))


def _mixture_quantile(sim: Simulation, level: float) -> float:
    ends = [float(sim.quantile(name, level)) for name in sim.outputs]
    low, high = np.log(min(ends)), np.log(max(ends))
    for _ in range(_HALVINGS):
        middle = (low + high) / 2.0
        low, high = (low, middle) if _share_below(sim, float(np.exp(middle))) >= level else (middle, high)
    return float(np.exp((low + high) / 2.0))


def _share_below(sim: Simulation, value: float) -> float:
    return float(np.mean([sim.cdf(name, value) for name in sim.outputs]))
