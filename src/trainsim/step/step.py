"""Time of one optimizer step: passes, exchanges, bubble and update on the critical path."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, fields
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..cluster.collectives import Fabric, all_gather, all_reduce, members_per_domain, point_to_point, tree_all_reduce
from ..cluster.hardware import Chip, Cluster, Host
from ..cluster.kernels import stream_seconds
from ..cluster.network import fabric_of
from ..cluster.stack import Stack
from ..core.sharing import shared
from ..core.spec import holds_draws
from ..core.units import Num, any_true, choose, larger
from ..model.documents import Documents
from ..model.transformer import Model
from ..parallelism.layout import Layout, layout_of, layout_of_layers
from ..parallelism.optimizer import clipping_traffic
from ..parallelism.placement import Placement, is_outside_stack, place_layers
from ..parallelism.plan import Plan
from ..parallelism.recompute import Recomputed, recomputed_work
from ..parallelism.schedules.bubble import pipeline_step_seconds
from ..parallelism.schedules.events import Times
from ..parallelism.schedules.pipeline_time import busy_seconds
from ..parallelism.schedules.schedule import Schedule, stage_placement
from ..parallelism.shapes import Shapes, shapes_of
from .data_parallel import synchronise_seconds
from .host import host_work
from .layers import BF16_BYTES, LayerTimes, layer_times
from .offload import host_update_seconds, kept_seconds
from .overlap import OverlapPass, PassTimes, overlap_pass
from .updates import orthogonal_seconds, shard_groups, update_bytes

NORM_BYTES = 4.0
"""Size of the gradient norm, one FP32 number, which is summed over all accelerators [B]."""
JITTER_NODE = 8.0
"""Accelerators of one node; jitter grows with the number of nodes."""
Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Step:
    """Times of one optimizer step, each ``(n,)``; ``seconds`` is the critical path [s].

    Args:
        micro_batches: micro-batches per pipeline.
        times: times of the layers.
        counts: layers of each kind on each rank, ``(ranks, kinds)``.
        busy: one micro-batch through the layers of every rank.
        beside: busy time of each rank under a schedule with paired passes, ``(ranks, n)``; None for other schedules.
        schedule, layout: schedule and layout of the step.
        stages: time of each pass by stage.
        sending: sends between stages.
        synchronise, synchronise_hidden: data-parallel exchanges, and the hidden part of them.
        optimizer, orthogonal, norm: memory traffic of the update, its matrix products, and gradient clipping.
        jitter, factor: straggler factor, and residual factor of the stack [1].
    """

    micro_batches: Num
    times: LayerTimes
    counts: Array
    busy: OverlapPass
    beside: Array | None
    schedule: Schedule
    layout: Layout
    stages: Times
    sending: Num
    synchronise: Num
    synchronise_hidden: Num
    optimizer: Num
    on_host: Num
    orthogonal: Num
    norm: Num
    jitter: Num
    factor: Num

    @cached_property
    def bubble(self) -> Num:
        """Idle time of the slowest rank: fill, drain and waits for uneven stages; computed on first use [s].

        ``T − max_r busy_r`` with ``T`` the pipeline time of the schedule (``docs/schedules.md``).

        Raises:
            SpecError: the schedule does not support that number of micro-batches.

        Source: Narayanan et al. 2021 (arXiv:2104.04473), section 2.2; Qi et al. 2023 (arXiv:2401.10241); DeepSeek-V3 (arXiv:2412.19437),
        section 3.2.1.
        """
        pp, vpp = self.layout.pp, self.layout.vpp
        if pp == 1:
            return 0.0
        working = self.working
        idle: Num = np.maximum(pipeline_step_seconds(self.schedule, self.stages, self.micro_batches, pp, vpp) - working, 0.0)
        return idle  # rounding may cross zero

    @cached_property
    def working(self) -> Num:
        """Busy time of the slowest rank [s]."""
        longest: Num = np.maximum.reduce(self.busy.worked if self.beside is None else self.beside)
        return self.micro_batches * longest if self.beside is None else longest

    @cached_property
    def slowest(self) -> NDArray[np.intp]:
        """The rank with the longest busy time."""
        longest: NDArray[np.intp] = (self.busy.worked if self.beside is None else self.beside).argmax(axis=0)
        return self.busy.placed.distinct_ranks[longest] if self.beside is None else longest

    @property
    def alone(self) -> Num:
        """Additional time of the slowest rank's expert exchanges in unpaired passes, compared with paired ones [s]."""
        if self.beside is None:
            return 0.0
        beside = self.micro_batches * at_rank(self.busy.worked, self.busy.placed.rank_row[self.slowest])
        return (self.layout.ep != 1) * (self.working - beside)

    @property
    def seconds(self) -> Num:
        """Step time: the critical path [s]."""
        return self._critical_path * self.factor

    @cached_property
    def _critical_path(self) -> Num:
        """Step time before the residual factor, which differs between copies of one step [s]."""
        return self._waiting(self.bubble)

    @property
    def lower_bound(self) -> Num:
        """Lower bound on :attr:`seconds` from fill and drain only, without pipeline events [s].

        ``T ≥ max_r { busy_r + Σ_{s before rank r} (f_s + b_s) }``: :func:`fill_and_drain`.
        """
        if self.layout.pp == 1:
            return self._waiting(0.0) * self.factor
        work = self.micro_batches * self.busy.whole if self.beside is None else self.beside
        filled = work + fill_and_drain(self.busy.placed, self.busy.passes, self.schedule)
        return self._waiting(np.maximum(np.maximum.reduce(filled) - self.working, 0.0)) * self.factor

    def _waiting(self, bubble: Num) -> Num:
        """Step time before the residual factor, given the idle time of the slowest rank [s]."""
        busy = self.working + bubble + self.sending
        update = self.optimizer + self.on_host + self.orthogonal + self.norm
        return (busy + self.synchronise - self.synchronise_hidden + update) * self.jitter


def fill_and_drain(place: Placement, passes: PassTimes, schedule: Schedule) -> Array:
    """Lower bound on the idle time of each rank before its first and after its last pass, ``(ranks, n)`` [s].

    ``Σ_{s before rank r} (f_s + b_s)``: a micro-batch passes all earlier stages before it reaches a rank and after it leaves it. With
    separate weight passes ``Σ f_s + max(0, Σ i_s − w of the rank's trailing weight passes)``.
    """
    forward = passes.forward + np.minimum(passes.alone, 0.0) if schedule.pairs else passes.forward
    if place.trailing_weights is None:
        whole: Array = place.layers_before @ (forward + passes.inputs + passes.weights)
        return whole
    inputs = passes.inputs + np.minimum(passes.alone, 0.0) if schedule.pairs else passes.inputs
    drained: Array = place.layers_before @ forward + np.maximum(place.layers_before @ inputs - place.trailing_weights @ passes.weights, 0.0)
    return drained


def at_rank(values: ArrayLike, rank: NDArray[np.intp]) -> Num:
    """Select one rank per column: ``(ranks, n)`` → ``(n,)``."""
    whole = np.asarray(values)
    picked: Num = whole[rank, 0] if whole.shape[1] == 1 else whole[rank, np.arange(len(rank))]
    return picked


# one step ----------------------------------------------------------------------------------------------------------------


def step_of(
    model: Model, layout: Layout, batch: Num, schedule: Schedule, zero: int, cluster: Cluster, stack: Stack, times: LayerTimes | None = None
) -> Step:
    """Times of one optimizer step; broadcasts over the layout's, the cluster's and the stack's arrays.

    ``t = [n · t_slowest + idle + sends + max_r (m − overlap · min(m, window)) + max_r update] · (1 + j·log₂(gpus/8)) · factor``. Every rank
    waits for the last rank's gradients, since each needs the global norm before its update.

    Args:
        model: the model.
        layout: degrees and settings; degrees may be arrays ``(n,)``.
        batch: sequences per step [sequence].
        schedule, zero: pipeline schedule, and ZeRO stage.
        cluster, stack: the cluster, and the calibrated numbers.
        times: times of the model's layers, from :func:`layer_times_of`; None to compute them.

    Returns:
        the step; its time is ``.seconds`` [s].

    Source: the decomposition is that of Narayanan et al. 2021 (arXiv:2104.04473), section 2, and arXiv:2505.09343, table 4.
    """
    shapes, fabric = shapes_of(model), fabric_of(cluster, stack)
    place, recomputed = placement_and_recompute(model, layout, schedule)
    if times is None:
        launched = host_work(model, layout.graphs)
        times = layer_times(shapes, recomputed, launched, layout, cluster.chip, cluster.host, fabric, stack, float(model.hidden))
    copies, chip = float(schedule.copies), cluster.chip
    kept = None if layout.offload is None else kept_seconds(model, layout, cluster, stack)
    busy = overlap_pass(times, recomputed, place, schedule, layout, stack, kept)
    held, own = copies * place.layers, shard_groups(layout, copies)
    micro_batches = np.ceil(layout.micro_batches(batch))
    by_stage = _by_stage(schedule, busy.passes, place)
    synchronise, hideable, owned = synchronise_seconds(shapes, held, own, layout, zero, fabric, micro_batches, busy)
    hidden = np.asarray(stack.overlap_dp * hideable)
    orthogonal = orthogonal_seconds(model, held, layout, own, zero, chip, fabric, stack)
    moved, clipped = update_bytes(model, held, layout, own, zero), np.maximum.reduce(owned) * clipping_traffic(layout.recipe)
    optimizer, on_host = _update(moved, owned, layout, cluster, stack)
    scaled = stream_seconds(clipped, chip.memory_bandwidth, stack)
    sending = sending_seconds(layout, place.chunks, fabric, float(model.hidden), micro_batches, stack)
    summed = tree_all_reduce(NORM_BYTES, layout.gpus, members_per_domain(layout.gpus, 1.0, fabric.domain), fabric)
    latest = np.argmax(synchronise - hidden, axis=0)
    return Step(
        micro_batches=micro_batches,
        times=times,
        counts=place.ranks,
        busy=busy,
        beside=_paired_busy(schedule, by_stage, layout, micro_batches),
        schedule=schedule,
        layout=layout,
        stages=by_stage,
        sending=sending + _tied_embedding(model, layout, schedule, fabric),
        synchronise=at_rank(synchronise, latest),
        synchronise_hidden=at_rank(hidden, latest),
        orthogonal=np.maximum.reduce(orthogonal),
        optimizer=optimizer,
        on_host=on_host,
        norm=scaled + summed,
        jitter=straggler_factor(layout, stack),
        factor=stack.factor,
    )


def _update(moved: Num, owned: Num, layout: Layout, cluster: Cluster, stack: Stack) -> tuple[Num, Num]:
    """Time of the update on the accelerators, and how much longer the host takes for the offloaded part [s]."""
    share = 0.0 if layout.offload is None else layout.offload.optimizer
    here = stream_seconds(moved * (1.0 - share), cluster.chip.memory_bandwidth, stack)
    longest: Num = np.maximum.reduce(here)
    if layout.offload is None:
        return longest, 0.0
    there = host_update_seconds(share, moved, owned, layout, cluster, stack)
    return longest, np.maximum.reduce(np.maximum(here, there)) - longest


def straggler_factor(layout: Layout, stack: Stack) -> Num:
    """Factor on the step time by stragglers: ``1 + j·log₂(gpus/8)``."""
    slower: Num = 1.0 + stack.jitter * np.log2(larger(layout.gpus / JITTER_NODE, 1.0))
    return slower


def placement_and_recompute(model: Model, layout: Layout, schedule: Schedule) -> tuple[Placement, Recomputed]:
    """Layers of each stage and rank of a layout, and the work that the backward pass recomputes."""
    place = place_layers(model, schedule, layout.pp, layout.vpp, layout.stage_layers)
    return place, _in_first_layers(recomputed_work(model, layout.recomputed), shapes_of(model), place.stages, layout)


def layer_times_of(model: Model, layout: Layout, schedule: Schedule, cluster: Cluster, stack: Stack) -> LayerTimes:
    """Times of one layer of each kind for one micro-batch in a layout."""
    return _times_on(model, layout, schedule, cluster.chip, cluster.host, fabric_of(cluster, stack), stack)


def _times_on(model: Model, layout: Layout, schedule: Schedule, chip: Chip, host: Host | None, fabric: Fabric, stack: Stack) -> LayerTimes:
    _, recomputed = placement_and_recompute(model, layout, schedule)
    launched = host_work(model, layout.graphs)
    return layer_times(shapes_of(model), recomputed, launched, layout, chip, host, fabric, stack, float(model.hidden))


def _in_first_layers(recomputed: Recomputed, shapes: Shapes, stages: Array, layout: Layout) -> Recomputed:
    """Scale recomputed work to the share of layers that ``recompute_layers`` recomputes, equal for every kind."""
    if layout.recompute_layers is None:
        return recomputed
    layers = stages[:, [not is_outside_stack(kind) for kind in shapes.kinds]].sum(axis=1)
    share = np.minimum(layers, layout.recompute_layers).sum() / layers.sum()
    return Recomputed(**{each.name: share * getattr(recomputed, each.name) for each in fields(recomputed)})


def _paired_busy(schedule: Schedule, times: Times, layout: Layout, micro_batches: Num) -> Array | None:
    """Busy time of each rank under a schedule with paired passes; None for other schedules [s]."""
    if layout.pp == 1 or not schedule.pairs:
        return None
    return np.atleast_2d(busy_seconds(schedule, times, micro_batches, layout.pp))


def _by_stage(schedule: Schedule, passes: PassTimes, place: Placement) -> Times:
    """Time of each pass by stage; under DualPipe also of pairs with the stage at the other end of the pipeline [s]."""
    stages = place.stages[place.distinct_stages]
    if not schedule.pairs:
        return Times(stages @ passes.forward, stages @ passes.inputs, stages @ passes.weights, row=place.stage_row)
    pair = stages @ passes.forward + place.stages[::-1][place.distinct_stages] @ (passes.inputs + passes.weights)
    lone = (stages @ (passes.forward + passes.alone), stages @ (passes.inputs + passes.alone), stages @ passes.weights)
    return Times(*np.broadcast_arrays(*lone, pair), row=place.stage_row)


def sending_seconds(layout: Layout, chunks: int, fabric: Fabric, hidden: float, micro_batches: Num, stack: Stack) -> Num:
    """Time to send activations to the next stage and gradients back [s].

    Each tensor-parallel rank sends its share; without sequence parallelism the receiving ranks then gather the whole tensor.

    Source: the scatter/gather optimization of Narayanan et al. 2021 (arXiv:2104.04473), section 4.1, Megatron-LM's default.
    """
    if layout.pp == 1:
        return 0.0
    size = layout.tokens * hidden * BF16_BYTES
    sent = point_to_point(size / layout.tp, layout.gpus / layout.pp, fabric)
    if any_true(layout.sequence_split < layout.tp):
        gathered = all_gather(size, layout.tp, members_per_domain(layout.tp, 1.0, fabric.domain), fabric)
        sent = sent + choose(layout.sequence_split < layout.tp, gathered, 0.0)
    return 2.0 * chunks * micro_batches * (sent + stack.launch)


def _tied_embedding(model: Model, layout: Layout, schedule: Schedule, fabric: Fabric) -> Num:
    """Time to all-reduce the gradients of a tied embedding between the first and the last stage; 0 if one rank has both [s].

    Source: Megatron-LM ``finalize_model_grads``, its all-reduce over the embedding group.
    """
    if model.head.weights != "tied" or stage_placement(schedule, layout.pp, layout.vpp).one_rank_has_both_ends:
        return 0.0
    apart = layout.gpus / layout.pp * (layout.pp - 1)
    size = float(model.vocab) * float(model.hidden) / layout.tp * layout.recipe.reduced
    return all_reduce(size, 2.0, choose(apart < fabric.domain, 2.0, 1.0), fabric)


# the step of a plan ------------------------------------------------------------------------------------------------------


def step_of_plan(
    model: Model, plan: Plan, cluster: Cluster, stack: Stack, seq_len: Num, batch: Num, documents: Num | Documents | None
) -> Step:
    """Times of one optimizer step under a plan.

    Cached for scalar inputs, so that an estimate and its breakdown share one step. Layer times are cached separately, since they do not
    depend on batch size and data parallelism.
    """
    inputs: tuple[Any, ...] = (model, plan, cluster, stack, seq_len, batch, documents)
    if not any(map(holds_draws, inputs)):
        return _cached_step(*inputs)
    numbers = [value for name, value in stack if name not in APART]
    step = shared(
        lambda: step_of(model, layout_of(plan, cluster.gpus, seq_len, documents), batch, plan.pass_order, plan.zero, cluster, stack),
        model, plan, cluster, seq_len, batch, documents, *numbers,
    )  # fmt: skip
    return step if step.factor is stack.factor else _with_factor(step, stack.factor)


APART = ("factor", "tags")
"""Fields of a stack that enter a step only as its residual factor, or not at all."""


def _with_factor(step: Step, factor: Num) -> Step:
    """The same step with another factor; cached properties stay valid, since none depends on the factor."""
    made = copy(step)
    object.__setattr__(made, "factor", factor)
    return made


@lru_cache(maxsize=256)
def _cached_step(
    model: Model, plan: Plan, cluster: Cluster, stack: Stack, seq_len: Num, batch: Num, documents: Num | Documents | None
) -> Step:
    what: tuple[Any, ...] = (model, plan, cluster.chip, cluster.host, fabric_of(cluster, stack), stack, seq_len, documents)
    layout = layout_of(plan, cluster.gpus, seq_len, documents)
    return step_of(model, layout, batch, plan.pass_order, plan.zero, cluster, stack, _cached_layer_times(*what))


@lru_cache(maxsize=256)
def _cached_layer_times(
    model: Model,
    plan: Plan,
    chip: Chip,
    host: Host | None,
    fabric: Fabric,
    stack: Stack,
    seq_len: Num,
    documents: Num | Documents | None,
) -> LayerTimes:
    """Cached layer times, which do not depend on the number of accelerators."""
    return _times_on(model, layout_of_layers(plan, seq_len, documents), plan.pass_order, chip, host, fabric, stack)


def scalar_or_array(value: Num) -> Num:
    """A float if the array has one element, else the array."""
    array = np.asarray(value, dtype=np.float64)
    return float(array.reshape(-1)[0]) if array.size == 1 else array
