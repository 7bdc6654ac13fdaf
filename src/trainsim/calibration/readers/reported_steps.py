"""Read the catalogue's reported steps, whose sources are held out of every fit."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np

from ...catalog.hardware import cluster as cluster_named
from ...catalog.rows import Row, find, rows
from ...core.errors import TrainsimError
from ...model.counting import flops_per_token
from ...model.huggingface.reader import from_hf
from ...model.transformer import Model
from ...parallelism.layout import layout_of
from ...parallelism.plan import Plan
from ..records import MeasuredStep


@lru_cache(maxsize=1)
def reported_steps() -> tuple[MeasuredStep, ...]:
    """All rows of ``reported_steps.toml``; a row that can't be modelled carries the reason.

    >>> len({step.source for step in reported_steps()})
    15
    """
    return tuple(reported_step(row) for row in rows("reported_steps").values())


def reported_step(row: Row) -> MeasuredStep:
    """A row of ``reported_steps.toml`` as a measured step; with the reason where it can't be modelled."""
    configuration = {
        name: row.get(name) for name in ("model", "config", "cluster", "gpus", "scale_out", "stack", "seq_len", "batch", "plan", "reduced")
    }
    key = json.dumps(configuration, sort_keys=True, default=str)
    base = MeasuredStep(
        id=row.id, name=row.id, source=row.source[0], group="reported", seconds=0.0, key=key, exclusion_reason=row.get("excluded", "")
    )
    try:
        return _modelled(base, row)
    except TrainsimError as error:
        return replace(base, not_modelled=str(error))


def _modelled(base: MeasuredStep, row: Row) -> MeasuredStep:
    model, gpus = _model(row), float(row["gpus"])
    cluster = cluster_named(row["cluster"], int(gpus))
    if row.get("scale_out"):
        cluster = cluster.replace({"scale_out.bandwidth": float(row["scale_out"])})
    fields: dict[str, Any] = {k: tuple(v) if isinstance(v, (list, tuple)) else v for k, v in row["plan"].items()}
    plan = Plan(**fields)
    if row.get("reduced"):
        plan = plan.replace({"precision": plan.recipe.replace({"reduced": float(row["reduced"])})})
    seq_len, batch = float(row["seq_len"]), float(row["batch"])
    generation = str(cluster.chip.architecture).capitalize()
    return replace(
        base,
        group=f"{'MoE' if model.is_moe else 'dense'} {generation}",
        seconds=_seconds(row, model, gpus, seq_len, batch),
        model=model,
        layout=layout_of(plan, int(gpus), seq_len),
        batch=batch,
        schedule=plan.pass_order.name,
        zero=plan.zero,
        cluster=cluster,
        stack=row["stack"],
        assumed=row.get("assumed", ""),
    )


def _model(row: Row) -> Model:
    """A model of the catalogue with changed config fields, or one built from a complete config."""
    changed = dict(row.get("config") or {})
    if not row.get("model"):
        return from_hf(changed)
    named = find("models", row["model"])
    return from_hf({**named["config"], **dict.fromkeys(named.get("null", ())), **changed})


def _seconds(row: Row, model: Model, gpus: float, seq_len: float, batch: float) -> float:
    """Time of a step [s], from the figure that is reported."""
    if row.get("seconds"):
        return float(row["seconds"])
    tokens = seq_len * batch
    if row.get("tokens_per_s_per_gpu"):
        return tokens / (float(row["tokens_per_s_per_gpu"]) * gpus)
    flop = float(np.asarray(flops_per_token(model, seq_len, "megatron").total))
    return tokens * flop / (float(row["tflops_per_gpu"]) * 1e12 * gpus)
