"""Data-parallel exchanges: reduction of gradients and gathering of weights."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..cluster.collectives import Fabric, all_gather, all_reduce, members_per_domain
from ..core.units import Num, smaller, stack_rows
from ..parallelism.layout import Layout
from ..parallelism.shapes import Shapes
from .overlap import OverlapPass
from .updates import ShardGroups

Array = NDArray[np.float64]

SHARED = frozenset({"dp", "weights"})
"""Exchanges between data-parallel ranks."""
WHOLE_ON_PASS = 3
"""The ZeRO stage that shards weights and gathers them for every pass."""


def synchronise_seconds(
    shapes: Shapes, held: Array, own: ShardGroups, layout: Layout, zero: int, fabric: Fabric, micro_batches: Num, busy: OverlapPass
) -> tuple[Num, Num, Num]:
    """Time of data-parallel exchanges, the part that could hide behind compute, and parameters that a rank updates, each ``(ranks, n)``.

    ``held`` are the layers whose parameters a rank holds. ZeRO-2 reduces gradients after every micro-batch, since a rank stores only a
    shard of them. ZeRO-3 also gathers weights for every pass.

    Source: Rajbhandari et al. 2020 (arXiv:1910.02054), sections 5 and 7.
    """
    stride, every, group = own.stride, own.every, own.group
    params = held @ shapes.trained_params / stride  # (2, ranks, n)
    passed = params if zero < WHOLE_ON_PASS else held @ shapes.params / stride  # frozen weights are gathered only if they are sharded
    sizes = stack_rows(params * layout.recipe.reduced, passed * layout.recipe.gathered)
    if zero == 0:
        summed: Any = all_reduce(sizes[0], every, members_per_domain(every, stride, fabric.domain), fabric)
        gathered: Any = np.zeros_like(summed)
    else:
        each = np.asarray(all_gather(sizes, group, members_per_domain(group, stride, fabric.domain), fabric))
        scattered, gathered_once = each[0], each[1]
        across = 0.0 if layout.shard is None else _between_copies(sizes[0] / group, every / group, stride * group, fabric)
        match zero:
            case 1:
                summed, gathered = scattered + across, gathered_once
            case 2:
                summed, gathered = micro_batches * scattered + across, gathered_once
            case _:
                summed, gathered = micro_batches * (scattered + across), micro_batches * (2.0 * gathered_once)
    owned = params / group if zero > 0 else params * np.ones_like(group)
    compute = busy.placed.layers @ busy.compute
    window = compute * (micro_batches if zero > 1 else _passes_beside(layout, micro_batches))
    needed = params > 0  # a model without experts exchanges nothing for them
    seconds = needed * (summed + gathered)
    may_hide = seconds
    if not layout.overlap >= SHARED:
        may_hide = needed * (("dp" in layout.overlap) * summed + ("weights" in layout.overlap) * gathered)
    return seconds[0] + seconds[1], np.minimum(may_hide[0] + may_hide[1], window), owned[0] + owned[1]


def _passes_beside(layout: Layout, micro_batches: Num) -> Num:
    """Number of micro-batches whose passes can overlap data-parallel exchanges.

    ``(1 + (v − 1)·min(p, n)) / v``. Without interleaving this is one micro-batch, since buckets are sent as they become ready. With ``v``
    chunks, the gradients of one chunk are complete, and the weights of the next chunk needed, a round of ``min(p, n)`` micro-batches before
    those of the chunk after it.

    Source: Jiang et al. 2024, MegaScale (arXiv:2402.15627), section 3.2, which reduces gradients and gathers weights chunk by chunk, as
    Megatron-LM does.
    """
    others: Num = (layout.vpp - 1) * smaller(layout.pp, micro_batches)
    return (1.0 + others) / layout.vpp


def _between_copies(gradients: Num, copies: Num, stride: Num, fabric: Fabric) -> Num:
    """Time to all-reduce a shard's gradients over the copies of hybrid sharding, 0 for one copy (PyTorch ``HYBRID_SHARD``) [s]."""
    return all_reduce(gradients, copies, members_per_domain(copies, stride, fabric.domain), fabric)
