"""Time of the optimizer update on each rank: memory traffic, and matrix products of optimizers such as Muon."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import repeat

import numpy as np
from numpy.typing import NDArray

from ..cluster.collectives import Fabric, all_gather, members_per_domain
from ..cluster.hardware import Chip
from ..cluster.kernels import product_seconds
from ..cluster.stack import Stack
from ..core.sharing import cached_for_scalars
from ..core.units import Num, larger, smaller, stack_rows
from ..gpu_memory.weights import parameters_by_kind
from ..model.ops import MatMul
from ..model.transformer import Model
from ..parallelism.layout import Layout
from ..parallelism.optimizer import Optimizer
from ..parallelism.precision import Precision
from ..parallelism.shapes import shapes_of
from .layers import BF16_BYTES, gemm_tiles, power_speed

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ShardGroups:
    """Groups of ranks that share a stage's parameters, as rows (dense, experts), each ``(2, 1, n)``.

    Args:
        stride: ranks between neighbouring members of a group.
        every: ranks that have the same parameters and reduce their gradients.
        group: ranks that shard one copy under ZeRO.
    """

    stride: Array
    every: Array
    group: Array


def shard_groups(layout: Layout, copies: float) -> ShardGroups:
    """Groups of a layout, with ``copies`` of every stage on the ranks of one pipeline."""
    ranks = layout.dp * layout.cp * copies
    spread = layout.ep * layout.expert_tp
    shard = ranks if layout.shard is None else layout.shard * copies
    every = dense_and_experts(ranks, larger(ranks * layout.tp / spread, 1.0))
    group = every if layout.shard is None else dense_and_experts(shard, larger(shard * layout.tp / spread, 1.0))
    return ShardGroups(dense_and_experts(layout.tp, spread), every, group)


def dense_and_experts(dense: Num, experts: Num) -> Array:
    """Stack a number of dense parameters and one of experts' parameters as rows, ``(2, 1, n)``."""
    return stack_rows(dense, experts).reshape(2, 1, -1)


# element by element ------------------------------------------------------------------------------------------------------


@cached_for_scalars
def _moved_by_kind(model: Model, optimizer: Optimizer, recipe: Precision) -> Array:
    """Data that the update of one layer of each kind moves, as (dense, experts), ``(2, kinds, n)`` [B]."""
    kinds = shapes_of(model).kinds
    stored = [w for w in parameters_by_kind(model) if w.owner == w.kind and w.trainable]  # the owner updates a tied matrix
    roles = tuple(dict.fromkeys(w.role for w in stored))
    params = np.zeros((2, len(kinds), len(roles)))
    for w in stored:
        params[:, kinds.index(w.kind), roles.index(w.role)] += w.dense, w.experts
    moved: Array = params @ stack_rows(*map(optimizer.traffic, roles, repeat(recipe))).reshape(len(roles), -1)
    return moved


def update_bytes(model: Model, held: Array, layout: Layout, own: ShardGroups, zero: int) -> Num:
    """Data that the update reads and writes on each rank, ``(ranks, n)`` [B].

    ``Σ layers · parameters · traffic / shards``

    Args:
        model: the model.
        held: layers of each kind whose parameters a rank holds, ``(ranks, kinds)``.
        layout: gives the bytes moved per parameter by its recipe and optimizer.
        own: groups of ranks that share parameters.
        zero: ZeRO stage; from 1 on a rank updates its shard only.
    """
    moved = _moved_by_kind(model, layout.optimizer, layout.recipe)
    shards = own.group if zero > 0 else np.ones_like(own.group)
    read_and_written: Num = (held @ moved / own.stride / shards).sum(axis=0)
    return read_and_written


# matrix by matrix --------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=256)
def _matrix_iterations(model: Model, optimizer: Optimizer) -> tuple[Array, Array]:
    """Newton-Schulz iterations of each product's matrix ``(products, 1)``, and number of such matrices by kind, ``(kinds, products)``."""
    shapes = shapes_of(model)
    at = {path: i for i, group in enumerate(shapes.paths) for path in group}
    iterations, matrices = np.zeros((len(shapes.paths), 1)), np.zeros_like(shapes.products_of)
    for entry in model.table.entries:
        op = entry.op
        if isinstance(op, MatMul) and op.weight and not op.tied and entry.trainable and optimizer.iterations(op.role) and entry.line in at:
            iterations[at[entry.line]] = optimizer.iterations(op.role)
            matrices[shapes.kinds.index(entry.kind), at[entry.line]] += op.experts
    return iterations, matrices


def orthogonal_seconds(
    model: Model, held: Array, layout: Layout, own: ShardGroups, zero: int, chip: Chip, fabric: Fabric, stack: Stack
) -> Num:
    """Time to orthogonalise the matrix updates of each rank, gathers included, ``(ranks, n)`` [s].

    An iteration on an ``a × b`` matrix, ``a ≤ b``, is ``A = X·Xᵀ``, ``B = bA + cA²``, ``X ← aX + B·X``: ``4a²b + 2a³`` FLOP in BF16. Under
    ZeRO a rank gathers whole matrices, at least one, and works on each alone. Every tensor-parallel shard and every expert is a matrix of
    its own.

    Args:
        model, held, layout, own, zero: as for :func:`update_bytes`.
        chip, fabric, stack: the data sheet, the network, and the achievable shares of both.

    Source: Jordan 2024, Muon: an optimizer for hidden layers in neural networks, for the iteration; Liu et al. 2025 (arXiv:2502.16982),
    algorithm 1, for the gathers; Megatron-LM ``--muon-tp-mode blockwise``, its default, for the split of matrices.
    """
    iterations, matrices = _matrix_iterations(model, layout.optimizer)
    if not matrices.any():
        return np.zeros((len(held), 1))
    shapes = shapes_of(model)
    tiles = gemm_tiles(shapes, layout, stack)
    short, wide = np.minimum(tiles.inner, tiles.cols), np.maximum(tiles.inner, tiles.cols)
    settings = (1.0, chip.peak_of(chip.half), smaller(stack.bf16 * power_speed(chip, stack, "bf16"), 1.0), chip.memory_bandwidth, stack)
    each: Num = iterations * sum(
        product_seconds(short, cols, depth, *settings, element_bytes=BF16_BYTES, output_bytes=BF16_BYTES)
        for cols, depth in ((short, wide), (short, short), (wide, short))
    )
    total: Num = 0.0
    for routed in (0, 1):
        here = held @ (matrices * (shapes.routed[:, 0] == routed))  # (ranks, products)
        count = here / (layout.ep if routed else 1.0)
        group, stride = own.group[routed], own.stride[routed]
        whole, largest = count @ each, np.max((here > 0)[:, :, None] * each, axis=1)
        gathered = all_gather(count @ (BF16_BYTES * short * wide), group, members_per_domain(group, stride, fabric.domain), fabric)
        total = total + (whole if zero == 0 else np.maximum(whole / group, largest) + (np.any(here) * (group > 1)) * gathered)
    return total
