"""Build a reinforcement-learning run from model, chip, accelerators, steps and lengths; all other inputs are assumed and marked as such."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..catalog.model_lookup import model_from
from ..catalog.rents import warn_if_too_cheap
from ..catalog.rows import Row, find
from ..catalog.runs import complete
from ..cluster.hardware import Cluster
from ..core.citations import ASSUMED
from ..core.errors import EstimateError, TrainsimWarning
from ..cost.rental import Rental
from ..model.transformer import Model
from ..run.run import Run
from ..training.decoding import Engine
from ..training.phases import Phase
from ..training.reinforcement import Reinforcement, Responses, estimate_reinforcement
from ..training.reliability import Goodput
from ..training.rollouts import Rollouts
from .quick_run import cluster_from

PHASE = "reinforce"
RECIPE = f"phases.{PHASE}.efficiency.recipe"
"""Path of the recipe in the run."""
USUAL = {"prompts": 128.0, "samples": 8.0, "responses.prompt": 200.0}
"""Default prompts per step, responses per prompt and tokens per prompt (judgement: as in most public GRPO recipes)."""
ROOM = 4.0
"""Default ratio of the longest response to the mean at the end (judgement)."""
WHY = {
    "responses.start": "as long as at the end",
    "responses.maximum": "four times the mean at the end",
    "responses.prompt": "that of most public recipes",
    "prompts": "that of most public recipes",
    "samples": "that of most public recipes",
}
"""Reason of each assumed value."""
SLOWER = 1.1
"""Ratio of an engine's time to the fastest engine's from which a hint is printed."""


def quick_reinforcement(
    model: Model | Mapping[str, Any] | str | Path,
    *,
    chip: str,
    gpus: int,
    steps: float | str,
    end: float | str,
    start: float | str | None = None,
    maximum: float | str | None = None,
    prompt: float | str | None = None,
    prompts: float | str | None = None,
    samples: float | str | None = None,
    engine_gpus: int | None = None,
    price: float | str | None = None,
    goodput: float | str | None = None,
    name: str = "",
) -> Run:
    """Build a reinforcement-learning run; inputs left out are assumed and marked as such.

    Args:
        model: as for :func:`~trainsim.planning.quick_run.quick`: a config, an id, a size.
        chip, gpus: a chip or cluster of the catalogue, and accelerators [GPU].
        steps: optimizer steps [step].
        end: mean length of a response at the end of the run [token].
        start: mean length of a response at its start [token]; ``end`` if left out.
        maximum: length at which generation stops [token]; four times the end's mean if left out.
        prompt: mean length of a prompt [token].
        prompts: prompts per step [prompt].
        samples: responses per prompt, GRPO's group size [response/prompt].
        engine_gpus: accelerators per inference engine [GPU]; the fastest number if left out.
        price: rent [USD/GPU-h]; the catalogue's median if left out.
        goodput: busy over wall-clock hours [1]; the catalogue's median if left out.
        name: name of the run; the model's name if left out.

    Returns:
        a complete run with one phase, ready for ``ts.estimate``; the efficiencies of engines and learners are the medians of the
        catalogue's beliefs.

    Raises:
        CatalogError: no such model or chip.
        EstimateError: the model does not fit on an engine of so many accelerators.

    Warns:
        TrainsimWarning: an engine of another size would take a tenth less time; a price below the cheapest quote known.

    >>> run = quick_reinforcement("7B", chip="h100", gpus=64, steps=200, end=2000)
    >>> run.phases[0].efficiency.recipe.engine.gpus, run.sources()[f"{RECIPE}.prompts"]
    (8, 'assumed: that of most public recipes')
    """
    made = model_from(model)
    machines, usual = cluster_from(chip, gpus)
    reached = find("programmes", "engine-many-nodes" if made.is_moe and (engine_gpus or 1) > machines.domain else "engine-one-node")
    given = {"responses.start": start, "responses.maximum": maximum, "responses.prompt": prompt, "prompts": prompts, "samples": samples}
    recipe = _recipe(reached, {"steps": steps, "responses.end": end} | {path: value for path, value in given.items() if value is not None})
    recipe = recipe.replace({"engine.gpus": _engine_size(made, machines, recipe, engine_gpus)})
    run = Run(
        name=name or f"{made.name} reinforcement",
        model=made,
        cluster=machines,
        phases=[Phase(PHASE, efficiency=Rollouts(recipe=recipe))],
        reliability=None if goodput is None else Goodput(goodput),  # type: ignore[arg-type]  # a field reads text
        price=None if price is None else Rental(usd_per_gpu_hour=price),  # type: ignore[arg-type]
    )
    if price is not None:
        warn_if_too_cheap(run)
    whole, filled = complete(run, needs=("reliability", "price"))
    sources = {f"{RECIPE}.{path}": f"{ASSUMED}{WHY[path]}" for path, value in given.items() if value is None}
    sources |= {f"{RECIPE}.{path}": f"{ASSUMED}{reached['scope']}" for path in reached["beliefs"]}
    named = {"steps", "responses.end", *given, *reached["beliefs"]}
    defaults = {path for path in whole.numbers() if path.startswith(f"{RECIPE}.") and path.removeprefix(f"{RECIPE}.") not in named}
    sources |= dict.fromkeys(defaults, f"{ASSUMED}the default of a recipe")
    sources |= {"cluster.scale_out": usual} if usual else {}
    return whole.with_sources({f.path: f"{ASSUMED}{f.source}" for f in filled} | sources)


def _recipe(reached: Row, given: Mapping[str, Any]) -> Reinforcement:
    """A recipe with one accelerator per engine and default values for missing inputs."""
    middle = {path: float(levels[1]) for path, levels in reached["beliefs"].items()}
    values = {**USUAL, **middle, "responses.start": given["responses.end"], "responses.maximum": 1.0, "engine.gpus": 1, **given}
    parts: dict[str, dict[str, Any]] = {"": {}, "responses": {}, "engine": {}}
    for path, value in values.items():
        head, _, leaf = path.rpartition(".")
        parts[head][leaf] = value
    answers = Responses(**parts["responses"])
    if "responses.maximum" not in given:
        answers = answers.replace({"maximum": ROOM * max(float(answers.end), float(answers.start))})
    return Reinforcement(**parts[""], responses=answers, engine=Engine(**parts["engine"]))


def _engine_size(model: Model, machines: Cluster, recipe: Reinforcement, asked: int | None) -> int:
    """Accelerators per engine: the given number, with a hint if it is slow; else the fastest number.

    Raises:
        EstimateError: the model fits on no size of engine.
    """
    seconds: dict[int, float] = {}
    size, failure = 1, None
    while size <= machines.gpus and not (seconds and size > machines.domain):
        try:
            seconds[size] = _seconds(model, machines, recipe, size)
        except EstimateError as error:
            failure = error
        size *= 2
    if not seconds and failure is not None:
        raise failure
    best = min(seconds, key=lambda size: seconds[size])
    if asked is None:
        return best
    slower = _seconds(model, machines, recipe, asked) / seconds[best]
    if slower > SLOWER:
        warnings.warn(TrainsimWarning(f"engine_gpus={asked} takes {slower:.1f} times as long as engine_gpus={best}"), stacklevel=3)
    return asked


def _seconds(model: Model, machines: Cluster, recipe: Reinforcement, size: int) -> float:
    return float(estimate_reinforcement(model, machines, recipe.replace({"engine.gpus": size})).seconds.total)
