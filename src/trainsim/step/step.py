"""One optimizer step: seconds of its passes, exchanges, bubble and update on the critical path."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..cluster.collectives import Fabric, all_gather, all_reduce, members_per_domain, point_to_point, tree_all_reduce
from ..cluster.hardware import Chip, Cluster
from ..cluster.kernels import stream_seconds
from ..cluster.network import fabric_of
from ..cluster.stack import Stack
from ..core.spec import holds_draws
from ..core.units import Num, choose, larger
from ..model.documents import Documents
from ..model.transformer import Model
from ..parallelism.layout import Layout, layout_of
from ..parallelism.optimizer import clipping_traffic
from ..parallelism.placement import Placed, beside_layers, placed
from ..parallelism.plan import Plan
from ..parallelism.recompute import Again, again_of
from ..parallelism.schedules.events import Times
from ..parallelism.schedules.schedule import Schedule, standing
from ..parallelism.schedules.uneven import busy_seconds
from ..parallelism.schedules.waiting import staged_seconds
from ..parallelism.shapes import Shapes, shapes_of
from .data_parallel import synchronise_seconds
from .host import launched_of
from .layers import BF16_BYTES, LayerTimes, layer_times
from .offload import host_update_seconds, kept_seconds
from .overlap import OverlapPass, Passes, pass_of
from .updates import orthogonal_seconds, owners, update_bytes

NORM_BYTES = 4.0
"""The norm of the gradients, one FP32 number, as it is summed over all accelerators."""
NODE = 8.0
"""Accelerators of the machine that jitter is counted from."""
Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Step:
    """One optimizer step in seconds, each number ``(n,)``; ``seconds`` is the sum on the critical path.

    ``beside`` are the seconds that each rank works where passes run beside each other, ``(ranks, n)``, None where none does; ``stages`` are
    the seconds of each pass by stage.
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
        """How long the slowest rank waits: filling and draining, idle of uneven stages included; worked out when first asked for [s].

        ``T − max_r busy_r`` with ``T`` the schedule's own seconds, equal to its events (``docs/schedules.md``).

        Raises:
            SpecError: a schedule that can't order that many micro-batches.

        Source: Narayanan et al. 2021 (arXiv:2104.04473), section 2.2; Qi et al. 2023 (arXiv:2401.10241); DeepSeek-V3 (arXiv:2412.19437),
        section 3.2.1.
        """
        pp, vpp = self.layout.pp, self.layout.vpp
        if pp == 1:
            return 0.0
        working = self.working
        idle: Num = np.maximum(staged_seconds(self.schedule, self.stages, self.micro_batches, pp, vpp) - working, 0.0)
        return idle  # rounding may cross zero

    @cached_property
    def working(self) -> Num:
        """How long the slowest rank works on its passes [s]."""
        longest: Num = np.maximum.reduce(self.busy.worked if self.beside is None else self.beside)
        return self.micro_batches * longest if self.beside is None else longest

    @cached_property
    def slowest(self) -> NDArray[np.intp]:
        """The rank that works longest."""
        longest: NDArray[np.intp] = (self.busy.worked if self.beside is None else self.beside).argmax(axis=0)
        return self.busy.placed.first[longest] if self.beside is None else longest

    @property
    def alone(self) -> Num:
        """What exchanges of the slowest rank take in passes that no other pass runs beside, more than in those that one does [s]."""
        if self.beside is None:
            return 0.0
        beside = self.micro_batches * _at_rank(self.busy.worked, self.busy.placed.row[self.slowest])
        return (self.layout.ep != 1) * (self.working - beside)

    @property
    def seconds(self) -> Num:
        """Seconds of the step on the critical path."""
        return self._waiting(self.bubble)

    @property
    def least(self) -> Num:
        """What :attr:`seconds` can't be less than, whatever the pipeline waits for: known without its events [s].

        ``T ≥ max_r { busy_r + Σ_{s before rank r} (f_s + b_s) }``: :func:`fill_and_drain`.
        """
        if self.layout.pp == 1:
            return self._waiting(0.0)
        work = self.micro_batches * self.busy.whole if self.beside is None else self.beside
        filled = work + fill_and_drain(self.busy.placed, self.busy.passes, self.schedule)
        return self._waiting(np.maximum(np.maximum.reduce(filled) - self.working, 0.0))

    def _waiting(self, bubble: Num) -> Num:
        busy = self.working + bubble + self.sending
        update = self.optimizer + self.on_host + self.orthogonal + self.norm
        return (busy + self.synchronise - self.synchronise_hidden + update) * self.jitter * self.factor


def fill_and_drain(place: Placed, passes: Passes, schedule: Schedule) -> Array:
    """How long each rank idles at least before its first pass and after its last one, ``(ranks, n)`` [s].

    ``Σ_{s before rank r} (f_s + b_s)``: a micro-batch passes all earlier stages before it reaches a rank, and after it has left. Where
    weight passes are split off, ``Σ f_s + max(0, Σ i_s − w of the passes that a rank runs last)``.
    """
    forward = passes.forward + np.minimum(passes.alone, 0.0) if schedule.pairs else passes.forward
    if place.last is None:
        whole: Array = place.before @ (forward + passes.inputs + passes.weights)
        return whole
    inputs = passes.inputs + np.minimum(passes.alone, 0.0) if schedule.pairs else passes.inputs
    drained: Array = place.before @ forward + np.maximum(place.before @ inputs - place.last @ passes.weights, 0.0)
    return drained


def _at_rank(values: Num, rank: NDArray[np.intp]) -> Num:
    """The row of each column's slowest rank: ``(ranks, n)`` → ``(n,)``."""
    whole = np.asarray(values)
    picked: Num = whole[rank, 0] if whole.shape[1] == 1 else whole[rank, np.arange(len(rank))]
    return picked


# one step ----------------------------------------------------------------------------------------------------------------


def step_of(
    model: Model, layout: Layout, batch: Num, schedule: Schedule, zero: int, cluster: Cluster, stack: Stack, times: LayerTimes | None = None
) -> Step:
    """Time of one optimizer step, its parts kept apart; broadcasts over the layout's, the cluster's and the stack's arrays.

    ``t = [n · t_slowest + idle + sends + max_r (m − overlap · min(m, window)) + max_r update] · (1 + j·log₂(gpus/8)) · factor``; all ranks
    wait for the last one's gradients, whose norm each needs before it updates.

    Args:
        model: what is trained.
        layout: how it is spread; degrees may be arrays ``(n,)``.
        batch: sequences per step.
        schedule, zero: order of the passes; what is sharded over data parallelism.
        cluster, stack: data sheet, and every calibrated number.
        times: seconds of its layers where they are known, from :func:`times_of`; None to work them out.

    Returns:
        the step; ``.seconds`` [s].

    Source: the decomposition is that of Narayanan et al. 2021 (arXiv:2104.04473), section 2, and arXiv:2505.09343, table 4.
    """
    shapes, fabric = shapes_of(model), fabric_of(cluster, stack)
    place, again = placed_and_again(model, layout, schedule)
    if times is None:
        times = layer_times(shapes, again, launched_of(model, layout.graphs), layout, cluster.chip, fabric, stack, float(model.hidden))
    copies, chip = float(schedule.copies), cluster.chip
    kept = None if layout.offload is None else kept_seconds(model, layout, cluster, stack)
    busy, held, own = pass_of(times, again, place, schedule, layout, stack, kept), copies * place.layers, owners(layout, copies)
    micro_batches = np.ceil(layout.micro_batches(batch))
    by_stage = _by_stage(schedule, busy.passes, place)
    synchronise, hideable, owned = synchronise_seconds(shapes, held, own, layout, zero, fabric, micro_batches, busy)
    hidden = np.asarray(stack.overlap_dp * hideable)
    orthogonal = orthogonal_seconds(model, held, layout, own, zero, chip, fabric, stack)
    moved, clipped = update_bytes(model, held, layout, own, zero), np.maximum.reduce(owned) * clipping_traffic(layout.recipe)
    optimizer, on_host = _update(moved, owned, layout, cluster, stack)
    norm = stream_seconds(clipped, chip.memory_bandwidth, stack) + tree_all_reduce(
        NORM_BYTES, layout.gpus, members_per_domain(layout.gpus, 1.0, fabric.domain), fabric
    )
    latest = np.argmax(synchronise - hidden, axis=0)
    return Step(
        micro_batches=micro_batches,
        times=times,
        counts=place.ranks,
        busy=busy,
        beside=_beside(schedule, by_stage, layout, micro_batches),
        schedule=schedule,
        layout=layout,
        stages=by_stage,
        sending=_sending(layout, place.chunks, fabric, float(model.hidden), micro_batches, stack) + _tied(model, layout, schedule, fabric),
        synchronise=_at_rank(synchronise, latest),
        synchronise_hidden=_at_rank(hidden, latest),
        orthogonal=np.maximum.reduce(orthogonal),
        optimizer=optimizer,
        on_host=on_host,
        norm=norm,
        jitter=_jitter(layout, stack),
        factor=stack.factor,
    )


def _update(moved: Num, owned: Num, layout: Layout, cluster: Cluster, stack: Stack) -> tuple[Num, Num]:
    """Seconds of the update on the accelerators, and how much longer the host is at work on what rests with it."""
    share = 0.0 if layout.offload is None else layout.offload.optimizer
    here = stream_seconds(moved * (1.0 - share), cluster.chip.memory_bandwidth, stack)
    longest: Num = np.maximum.reduce(here)
    if layout.offload is None:
        return longest, 0.0
    there = host_update_seconds(share, moved, owned, layout, cluster, stack)
    return longest, np.maximum.reduce(np.maximum(here, there)) - longest


def _jitter(layout: Layout, stack: Stack) -> Num:
    """What stragglers make of a step."""
    slower: Num = 1.0 + stack.jitter * np.log2(larger(layout.gpus / NODE, 1.0))
    return slower


def placed_and_again(model: Model, layout: Layout, schedule: Schedule) -> tuple[Placed, Again]:
    """Where the layers of a layout stand, and what backward computes again there."""
    place = placed(model, schedule, layout.pp, layout.vpp, layout.stage_layers)
    return place, _in_layers(again_of(model, layout.again), shapes_of(model), place.stages, layout)


def times_of(model: Model, layout: Layout, schedule: Schedule, cluster: Cluster, stack: Stack) -> LayerTimes:
    """Seconds of one layer of each kind for one micro-batch, as a step of the layout has them."""
    return _times_on(model, layout, schedule, cluster.chip, fabric_of(cluster, stack), stack)


def _times_on(model: Model, layout: Layout, schedule: Schedule, chip: Chip, fabric: Fabric, stack: Stack) -> LayerTimes:
    _, again = placed_and_again(model, layout, schedule)
    return layer_times(shapes_of(model), again, launched_of(model, layout.graphs), layout, chip, fabric, stack, float(model.hidden))


def _in_layers(again: Again, shapes: Shapes, stages: Array, layout: Layout) -> Again:
    """What backward computes again where only the first layers of every stage do: their share of all layers, alike for every kind."""
    if layout.recompute_layers is None:
        return again
    layers = stages[:, [not beside_layers(kind) for kind in shapes.kinds]].sum(axis=1)
    share = np.minimum(layers, layout.recompute_layers).sum() / layers.sum()
    return Again(**{each.name: share * getattr(again, each.name) for each in fields(again)})


def _beside(schedule: Schedule, times: Times, layout: Layout, micro_batches: Num) -> Array | None:
    """Seconds that each rank works in a step whose passes run beside each other."""
    if layout.pp == 1 or not schedule.pairs:
        return None
    return np.atleast_2d(busy_seconds(schedule, times, micro_batches, layout.pp))


def _by_stage(schedule: Schedule, passes: Passes, place: Placed) -> Times:
    """Passes by stage; under DualPipe with bare exchanges, and a forward pass beside the backward pass of the stage at the other end."""
    stages = place.stages[place.apart]
    if not schedule.pairs:
        return Times(stages @ passes.forward, stages @ passes.inputs, stages @ passes.weights, row=place.like)
    pair = stages @ passes.forward + place.stages[::-1][place.apart] @ (passes.inputs + passes.weights)
    lone = (stages @ (passes.forward + passes.alone), stages @ (passes.inputs + passes.alone), stages @ passes.weights)
    return Times(*np.broadcast_arrays(*lone, pair), row=place.like)


def _sending(layout: Layout, chunks: int, fabric: Fabric, hidden: float, micro_batches: Num, stack: Stack) -> Num:
    """Activations to the next stage and gradients back, at the ends of every chunk.

    Tensor-parallel ranks each send their share; where each of them needs the whole, they gather it on arrival.

    Source: the scatter/gather optimization of Narayanan et al. 2021 (arXiv:2104.04473), section 4.1, Megatron-LM's default.
    """
    if layout.pp == 1:
        return 0.0
    size = layout.tokens * hidden * BF16_BYTES
    gathered = all_gather(size, layout.tp, members_per_domain(layout.tp, 1.0, fabric.domain), fabric)
    sent = point_to_point(size / layout.tp, layout.gpus / layout.pp, fabric)
    whole = choose(layout.sequence_split < layout.tp, gathered, 0.0)
    return 2.0 * chunks * micro_batches * (sent + whole + stack.launch)


def _tied(model: Model, layout: Layout, schedule: Schedule, fabric: Fabric) -> Num:
    """Gradients of an embedding that the head is tied to, summed between the ranks at both ends of a pipeline.

    Nothing where one rank holds both ends. Source: Megatron-LM ``finalize_model_grads``, its sum over the embedding group.
    """
    if model.head.weights != "tied" or standing(schedule, layout.pp, layout.vpp).one_rank_has_both_ends:
        return 0.0
    apart = layout.gpus / layout.pp * (layout.pp - 1)
    size = float(model.vocab) * float(model.hidden) / layout.tp * layout.recipe.reduced
    return all_reduce(size, 2.0, choose(apart < fabric.domain, 2.0, 1.0), fabric)


# the step of a plan ------------------------------------------------------------------------------------------------------


def step_of_plan(
    model: Model, plan: Plan, cluster: Cluster, stack: Stack, seq_len: Num, batch: Num, documents: Num | Documents | None
) -> Step:
    """One optimizer step under a plan.

    Steps of plain numbers are kept: an estimate and who then asks where its time goes share one. So are their layers, which steps of other
    batches and on more replicas share.
    """
    what: tuple[Any, ...] = (model, plan, cluster, stack, seq_len, batch, documents)
    if not any(map(holds_draws, what)):
        return _kept(*what)
    return step_of(model, layout_of(plan, cluster.gpus, seq_len, documents), batch, plan.pass_order, plan.zero, cluster, stack)


@lru_cache(maxsize=256)
def _kept(model: Model, plan: Plan, cluster: Cluster, stack: Stack, seq_len: Num, batch: Num, documents: Num | Documents | None) -> Step:
    what: tuple[Any, ...] = (model, plan, cluster.chip, fabric_of(cluster, stack), stack, seq_len, documents)
    layout = layout_of(plan, cluster.gpus, seq_len, documents)
    return step_of(model, layout, batch, plan.pass_order, plan.zero, cluster, stack, _kept_layers(*what))


@lru_cache(maxsize=256)
def _kept_layers(
    model: Model, plan: Plan, chip: Chip, fabric: Fabric, stack: Stack, seq_len: Num, documents: Num | Documents | None
) -> LayerTimes:
    """Seconds of layers; how many accelerators there are is no number here, so that it would show if it were used."""
    layout = replace(layout_of(plan, plan.tp * plan.pp * plan.cp, seq_len, documents), gpus=np.nan, dp=np.nan)
    return _times_on(model, layout, plan.pass_order, chip, fabric, stack)


def plain(value: Num) -> Num:
    """A column of one as a float."""
    array = np.asarray(value, dtype=np.float64)
    return float(array.reshape(-1)[0]) if array.size == 1 else array
