"""Placement of layers on pipeline stages and ranks, shared by step time and memory."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ..core.errors import SpecError
from ..model.transformer import Model
from .schedules.schedule import Schedule, stage_placement
from .shapes import shapes_of

Array = NDArray[np.float64]
OUTSIDE_STACK = ("embedding", "head", "mtp")
"""Kinds that are not layers of the stack: the embedding is on the first stage, prediction modules and head on the last."""
TOWERS = "towers:"
"""Prefix of the kinds of a tower's layers; a whole tower is on the first stage."""
REFERENCE_LENGTH = 4096.0
"""Sequence length at which the FLOPs of layers are compared to balance stages [token]."""


@lru_cache(maxsize=4096)
def stage_counts(model: Model, stages: int, layers: tuple[int, ...] = ()) -> Array:
    """Number of layers of each kind on every stage, ``(stages, kinds)``; quantities of stages are ``counts @ per_kind``.

    Args:
        model: the model; kinds are those of :func:`~trainsim.parallelism.shapes.shapes_of`.
        stages: number of stages, ``pp·vpp`` for an interleaved schedule.
        layers: layers of each stage, in data-flow order. If empty, every stage gets the same number of layers where the number of stages
            divides them. Otherwise the cut has the smallest sum of squared FLOPs per stage; embedding, prediction modules and head then
            count as layers. Of equal cuts, the one with fewer layers on the first stages is taken, since these have more micro-batches in
            flight.

    Raises:
        SpecError: there are more stages than layers, or ``layers`` do not add up to the model's.

    Source: equal numbers, Narayanan et al. 2021 (arXiv:2104.04473), section 2.2. The cut reproduces Llama 3 405B, which has one layer less
    on its first and last stage (arXiv:2407.21783, section 3.3.2).
    """
    kinds = shapes_of(model).kinds
    items = ["embedding", *model.layout, *(["mtp"] * model.mtp.depth if model.mtp is not None else []), "head"]
    if stages > len(items):
        rule = f"makes more stages than the model's {model.layers} layers, embedding, prediction modules and head"
        raise SpecError("plan.pp", stages, rule, f"give at most {model.layers}", "conflict")
    if layers and (len(layers) != stages or sum(layers) != model.layers):
        rule = f"does not put {model.layers} layers on {stages} stages"
        default = spread_layers(model, stages)
        remedy = f"leave it out to get the default {default}, or make it add up to {model.layers} on {stages} stages"
        raise SpecError("plan.stage_layers", layers, rule, remedy, "conflict")
    if layers or model.layers % stages == 0:
        cut_ends = [1 + n for n in np.cumsum(layers or [model.layers // stages] * stages)[:-1]]
    else:
        cut_ends = _balanced_cuts(np.array([_cost(model, kind) for kind in items]), stages)
    counts = np.zeros((stages, len(kinds)))
    for i, kind in enumerate(items):
        counts[int(np.searchsorted(cut_ends, i, side="right")), kinds.index(kind)] += 1
    for at, kind in enumerate(kinds):
        if kind.startswith(TOWERS):
            counts[0, at] = shapes_of(model).layers.item(at)
    return counts


def is_outside_stack(kind: str) -> bool:
    """Whether a kind is not a layer of the stack: embedding, head, prediction module or tower.

    >>> is_outside_stack("moe"), is_outside_stack("towers:vision:block")
    (False, True)
    """
    return kind in OUTSIDE_STACK or kind.startswith(TOWERS)


def spread_layers(model: Model, stages: int) -> tuple[int, ...]:
    """Default number of layers on each stage.

    >>> from trainsim.model.attention.grouped_query import GroupedQueryAttention
    >>> from trainsim.model.feedforward import GatedMLP
    >>> from trainsim.model.layers import Block, Layers
    >>> block = Block(attention=GroupedQueryAttention(heads=128, kv_heads=8, head_dim=128), ffn=GatedMLP(width=53248))
    >>> spread_layers(Model(hidden=16384, vocab=128256, stack=[Layers(name="dense", count=126, block=block)]), 16)
    (7, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 7)
    """
    of_layers = [not is_outside_stack(kind) for kind in shapes_of(model).kinds]
    return tuple(int(n) for n in stage_counts(model, stages)[:, of_layers].sum(axis=1))


def stages_to_ranks(stages: Array, schedule: Schedule, pp: int, vpp: int) -> Array:
    """Layers of each rank from those of each stage, for one micro-batch: ``(stages, kinds) → (ranks, kinds)``."""
    ranks: Array = stage_placement(schedule, pp, vpp).share @ stages
    return ranks


@dataclass(frozen=True, eq=False)
class Placement:
    """Layers of each kind on the stages and ranks of a pipeline, with equal stages and ranks grouped, so that each is computed once.

    Args:
        stages: layers of each stage, ``(stages, kinds)``.
        distinct_stages: indices of the distinct stages. Two stages are equal if their layers are, and those of their mirror images at the
            other end of the pipeline.
        stage_row: index of each stage among the distinct ones; None if all are distinct.
        ranks: layers of each rank for one micro-batch, ``(ranks, kinds)``.
        distinct_ranks: indices of distinct ranks.
        layers: layers of the distinct ranks, ``(rows, kinds)``.
        rank_row: index of each rank among the distinct ones.
        chunks: stages per rank for one micro-batch.
        layers_before: layers of the stages before a rank's first stage, ``(ranks, kinds)``.
        trailing_weights: layers whose weight passes a rank runs after all its other passes, ``(ranks, kinds)``; None if the schedule does
            not split the backward pass.
    """

    stages: Array
    distinct_stages: NDArray[np.intp]
    stage_row: NDArray[np.intp] | None
    ranks: Array
    distinct_ranks: NDArray[np.intp]
    layers: Array
    rank_row: NDArray[np.intp]
    chunks: int
    layers_before: Array
    trailing_weights: Array | None


@lru_cache(maxsize=4096)
def place_layers(model: Model, schedule: Schedule, pp: int, vpp: int, layers: tuple[int, ...] = ()) -> Placement:
    """Place the layers of a model on stages and ranks; errors and ``layers`` as for :func:`stage_counts`."""
    stages = stage_counts(model, schedule.stages(pp, vpp), layers)
    ranks = stages_to_ranks(stages, schedule, pp, vpp)
    distinct, row = _distinct_rows(ranks)
    placement = stage_placement(schedule, pp, vpp)
    mirrored, stage_row = _distinct_rows(np.hstack([stages, stages[::-1]]))
    return Placement(
        stages=stages,
        distinct_stages=mirrored,
        stage_row=stage_row if len(mirrored) < len(stages) else None,
        ranks=ranks,
        distinct_ranks=distinct,
        layers=ranks[distinct],
        rank_row=row,
        chunks=len(stages) // pp,
        layers_before=(np.cumsum(stages, axis=0) - stages)[placement.first_stage],
        trailing_weights=None if placement.trailing_weights is None else placement.trailing_weights @ stages,
    )


def _distinct_rows(rows: Array) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Indices of the distinct rows, and the index of each row among them."""
    number: dict[bytes, int] = {}
    index = np.array([number.setdefault(each.tobytes(), len(number)) for each in rows])
    return np.unique(index, return_index=True)[1], index


def _cost(model: Model, kind: str) -> float:
    """Forward FLOPs per token of one layer of a kind [FLOP/token]."""
    t = model.table
    flop = [
        t.flop[i] + (t.flop_per_key[i] * float(t.masks[t.mask_of[i]].keys(REFERENCE_LENGTH)) if t.mask_of[i] >= 0 else 0.0)
        for i, entry in enumerate(t.entries)
        if entry.kind == kind
    ]
    return float(sum(flop))


TIE_DECIMALS = 9
"""Decimals to which squared costs, relative to the mean, are rounded before ties are broken."""


def _balanced_cuts(costs: Array, stages: int) -> list[int]:
    """Cuts of a sequence that minimise the sum of squared stage costs: the exclusive end of each stage but the last."""
    total = np.concatenate([[0.0], np.cumsum(costs)]) / np.mean(costs)
    at = np.arange(len(total))
    between = np.where(at[:, None] < at, np.square(total - total[:, None]), np.inf)
    least, cuts = between[0], []
    for _ in range(stages - 1):
        reach = np.round(least[:, None] + between, TIE_DECIMALS)
        cuts.append(np.argmin(reach, axis=0))
        least = np.min(reach, axis=0)
    cut_ends = [len(costs)]
    for cut in reversed(cuts):
        cut_ends.append(int(cut[cut_ends[-1]]))
    return cut_ends[:0:-1]
