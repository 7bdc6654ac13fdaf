"""Layers onto the ranks of a pipeline."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ..model.transformer import Model
from .shapes import shapes_of

Array = NDArray[np.float64]


@lru_cache(maxsize=4096)
def layers_per_rank(model: Model, pp: int, vpp: int) -> Array:
    """How many layers of each kind every pipeline rank runs for one micro-batch, shape ``(ranks, kinds)``.

    Layers go to the ``pp · vpp`` chunks in order: equal numbers where they divide, else so that the sum of squared FLOPs is least,
    prediction modules and head counted as layers of their own.

    Source: Narayanan et al. 2021 (arXiv:2104.04473), section 2.2.
    """
    kinds = shapes_of(model).kinds
    chunks = pp * vpp
    items = ["embedding", *model.layout, *(["mtp"] * model.mtp.depth if model.mtp is not None else []), "head"]
    if model.layers % chunks == 0:
        ends = [1 + (c + 1) * (model.layers // chunks) for c in range(chunks - 1)] + [len(items)]
    else:
        ends = _even_ends(np.array([_cost(model, kind) for kind in items]), chunks)
    counts = np.zeros((chunks, len(kinds)))
    for i, kind in enumerate(items):
        counts[int(np.searchsorted(ends, i, side="right")), kinds.index(kind)] += 1
    ranks: Array = counts.reshape(vpp, pp, len(kinds)).sum(axis=0)
    return ranks


def of_ranks(stages: Array, schedule: str) -> Array:
    """Rows of stages as rows of ranks: under DualPipe a rank runs two stages, from both ends, for half of the micro-batches each."""
    return (stages + stages[::-1]) / 2 if schedule == "dualpipe" else stages


USUAL_LENGTH = 4096.0
"""Sequence length by which layers are weighed against each other when stages are cut [token]."""


def _cost(model: Model, kind: str) -> float:
    """Forward FLOP per token of one layer of a kind."""
    t = model.table
    flop = [
        t.flop[i] + (t.flop_per_key[i] * float(t.masks[t.mask_of[i]].keys(USUAL_LENGTH)) if t.mask_of[i] >= 0 else 0.0)
        for i, entry in enumerate(t.entries)
        if entry.path[0] == kind
    ]
    return float(sum(flop))


def _even_ends(costs: Array, chunks: int) -> list[int]:
    """Where to cut a sequence into chunks so that the sum of squared costs is least: the last item of each, exclusive."""
    total = np.concatenate([[0.0], np.cumsum(costs)])
    between = np.where(np.arange(len(total))[:, None] < np.arange(len(total))[None, :], np.square(total[None, :] - total[:, None]), np.inf)
    best, cuts = between[0], []
    for _ in range(chunks - 1):
        reach = best[:, None] + between
        cuts.append(np.argmin(reach, axis=0))
        best = np.min(reach, axis=0)
    ends = [len(costs)]
    for cut in reversed(cuts):
        ends.append(int(cut[ends[-1]]))
    return ends[::-1]
