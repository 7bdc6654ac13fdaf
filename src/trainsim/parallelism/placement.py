"""Which layers stand on which stage, and what of them each rank of a pipeline runs: one answer for seconds and for bytes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ..core.errors import SpecError
from ..model.transformer import Model
from .schedules.schedule import Schedule, standing
from .shapes import shapes_of

Array = NDArray[np.float64]
BESIDE = ("embedding", "head", "mtp")
"""What stands beside the layers: the embedding on the first stage, prediction modules and head on the last."""
TOWERS = "towers:"
"""How the kinds of layers of a tower begin; all of a tower stands on the first stage, beside the embedding."""
USUAL_LENGTH = 4096.0
"""Sequence length by which layers are weighed against each other when stages are cut [token]."""


@lru_cache(maxsize=4096)
def stage_counts(model: Model, stages: int, layers: tuple[int, ...] = ()) -> Array:
    """How many of each kind of layer every stage holds, ``(stages, kinds)``: seconds, bytes and FLOPs of stages are ``counts @ per_kind``.

    Args:
        model: its layout says which kind each layer is; kinds are those of :func:`~trainsim.parallelism.shapes.shapes_of`.
        stages: in the order data flows, ``pp·vpp`` of them for interleaved.
        layers: layers of each stage, embedding on the first, prediction modules and head on the last; empty for equal numbers where they
            divide, else for the cut with the least sum of squared FLOPs, where embedding, modules and head are layers of their own; of
            cuts that cost the same, the one with less on the first stages, which hold more micro-batches.

    Raises:
        SpecError: more stages than there is to cut, or layers that don't add up to the model's.

    Source: equal numbers, Narayanan et al. 2021 (arXiv:2104.04473), section 2.2; the cut gives Llama 3 405B the layer less on its first and
    last stage that arXiv:2407.21783, section 3.3.2, tells of.
    """
    kinds = shapes_of(model).kinds
    items = ["embedding", *model.layout, *(["mtp"] * model.mtp.depth if model.mtp is not None else []), "head"]
    if stages > len(items):
        rule = f"makes more stages than the model's {model.layers} layers and what stands beside them"
        raise SpecError("plan.pp", stages, rule, f"give at most {model.layers}", "conflict")
    if layers and (len(layers) != stages or sum(layers) != model.layers):
        rule = f"is not {model.layers} layers on {stages} stages"
        raise SpecError("plan.stage_layers", layers, rule, f"leave it out for {spread_layers(model, stages)}", "conflict")
    if layers or model.layers % stages == 0:
        ends = [1 + n for n in np.cumsum(layers or [model.layers // stages] * stages)[:-1]]
    else:
        ends = _least_squares(np.array([_cost(model, kind) for kind in items]), stages)
    counts = np.zeros((stages, len(kinds)))
    for i, kind in enumerate(items):
        counts[int(np.searchsorted(ends, i, side="right")), kinds.index(kind)] += 1
    for at, kind in enumerate(kinds):
        if kind.startswith(TOWERS):
            counts[0, at] = shapes_of(model).layers.item(at)
    return counts


def beside_layers(kind: str) -> bool:
    """Whether a kind stands beside the layers of the stack.

    >>> beside_layers("moe"), beside_layers("towers:vision:block")
    (False, True)
    """
    return kind in BESIDE or kind.startswith(TOWERS)


def spread_layers(model: Model, stages: int) -> tuple[int, ...]:
    """Layers of each stage where nobody says.

    >>> from trainsim.model.attention.grouped_query import GroupedQueryAttention
    >>> from trainsim.model.feedforward import GatedMLP
    >>> from trainsim.model.layers import Block, Layers
    >>> block = Block(attention=GroupedQueryAttention(heads=128, kv_heads=8, head_dim=128), ffn=GatedMLP(width=53248))
    >>> spread_layers(Model(hidden=16384, vocab=128256, stack=[Layers(name="dense", count=126, block=block)]), 16)
    (7, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 7)
    """
    of_layers = [not beside_layers(kind) for kind in shapes_of(model).kinds]
    return tuple(int(n) for n in stage_counts(model, stages)[:, of_layers].sum(axis=1))


def of_ranks(stages: Array, schedule: Schedule, pp: int, vpp: int) -> Array:
    """Rows of stages as rows of ranks, for one micro-batch: ``(stages, kinds) → (ranks, kinds)``."""
    ranks: Array = standing(schedule, pp, vpp).share @ stages
    return ranks


@dataclass(frozen=True, eq=False)
class Placed:
    """Layers of each kind on the stages and on the ranks of a pipeline; stages and ranks of the same layers are worked out once.

    Args:
        stages: ``(stages, kinds)``.
        apart: stages that differ from all before them, themselves or in what stands on the stage as far from the other end.
        like: of each stage, which among these it is like; None where all differ.
        ranks: ``(ranks, kinds)``, for one micro-batch.
        first: ranks that differ from all before them.
        layers: those of them, ``(rows, kinds)``.
        row: of each rank among these.
        chunks: stages whose passes a rank runs for one micro-batch.
        before: layers of the stages before a rank's first one, ``(ranks, kinds)``.
        last: layers whose weight passes a rank runs after all its other passes, ``(ranks, kinds)``; None where backward passes are whole.
    """

    stages: Array
    apart: NDArray[np.intp]
    like: NDArray[np.intp] | None
    ranks: Array
    first: NDArray[np.intp]
    layers: Array
    row: NDArray[np.intp]
    chunks: int
    before: Array
    last: Array | None


@lru_cache(maxsize=4096)
def placed(model: Model, schedule: Schedule, pp: int, vpp: int, layers: tuple[int, ...] = ()) -> Placed:
    """Where the layers of a model stand; errors and ``layers`` as for :func:`stage_counts`."""
    stages = stage_counts(model, schedule.stages(pp, vpp), layers)
    ranks = of_ranks(stages, schedule, pp, vpp)
    first, row = _differing(ranks)
    stand = standing(schedule, pp, vpp)
    before, last = (np.cumsum(stages, axis=0) - stages)[stand.first], None if stand.last is None else stand.last @ stages
    apart, like = _differing(np.hstack([stages, stages[::-1]]))
    return Placed(
        stages, apart, like if len(apart) < len(stages) else None, ranks, first, ranks[first], row, len(stages) // pp, before, last
    )


def _differing(rows: Array) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows that differ from all before them, and which of these each row is like."""
    number: dict[bytes, int] = {}
    like = np.array([number.setdefault(each.tobytes(), len(number)) for each in rows])
    return np.unique(like, return_index=True)[1], like


def _cost(model: Model, kind: str) -> float:
    """Forward FLOP per token of one layer of a kind."""
    t = model.table
    flop = [
        t.flop[i] + (t.flop_per_key[i] * float(t.masks[t.mask_of[i]].keys(USUAL_LENGTH)) if t.mask_of[i] >= 0 else 0.0)
        for i, entry in enumerate(t.entries)
        if entry.kind == kind
    ]
    return float(sum(flop))


DIGITS = 9
"""Decimals of squared costs, in units of the mean cost, beyond which cuts cost the same."""


def _least_squares(costs: Array, stages: int) -> list[int]:
    """Where to cut a sequence so that the sum of squared costs is least: the last item of each stage but the last, exclusive."""
    total = np.concatenate([[0.0], np.cumsum(costs)]) / np.mean(costs)
    at = np.arange(len(total))
    between = np.where(at[:, None] < at, np.square(total - total[:, None]), np.inf)
    least, cuts = between[0], []
    for _ in range(stages - 1):
        reach = np.round(least[:, None] + between, DIGITS)
        cuts.append(np.argmin(reach, axis=0))
        least = np.min(reach, axis=0)
    ends = [len(costs)]
    for cut in reversed(cuts):
        ends.append(int(cut[ends[-1]]))
    return ends[:0:-1]
