"""One optimizer step as a ledger of seconds on the critical path."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..cluster.collectives import Fabric, all_gather, all_reduce, members_per_domain, point_to_point, reduce_scatter, tree_all_reduce
from ..cluster.hardware import Cluster
from ..cluster.stack import Stack
from ..errors import EstimateError
from ..ledger import Ledger, tree, unread
from ..model.transformer import Model
from ..units import Num
from .layers import BF16_BYTES, LayerTimes, Layout, fabric_of, layer_times
from .plan import Plan
from .schedule import busy_seconds, waiting_seconds
from .schedule.events import Times
from .shapes import Again, Shapes, again_of, shapes_of

if TYPE_CHECKING:
    from ..run import Run

NODE = 8.0
"""Accelerators of the machine that jitter is counted from."""
SUMS = 4.0
"""Halves of the two sums of a layer's forward pass under tensor parallelism: a gather or a scatter before and after each sublayer."""
Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Passes:
    """One micro-batch through a layer of each kind, exchanges included: seconds ``(kinds, n)``.

    ``forward``, ``inputs`` and ``weights`` share what shows of the exchanges, half in each direction. ``alone`` is what routed exchanges
    take of one direction where nothing runs beside them, beyond that.
    """

    forward: Num
    inputs: Num
    weights: Num
    alone: Num


@dataclass(frozen=True, eq=False)
class Pass:
    """One micro-batch through the layers of every rank: seconds ``(ranks, n)`` by what they are spent on."""

    forward: Num
    inputs: Num
    weights: Num
    again: Num
    exposed: Mapping[str, Num]
    hidden: Mapping[str, Num]
    passes: Passes

    @property
    def compute(self) -> Num:
        """Everything but exchanges [s]."""
        return self.forward + self.inputs + self.weights + self.again

    @property
    def whole(self) -> Num:
        """Compute and what shows of the exchanges [s]."""
        return self.compute + sum(self.exposed.values())


@dataclass(frozen=True, eq=False)
class Step:
    """One optimizer step in seconds, each number ``(n,)``; ``seconds`` is the sum on the critical path.

    ``alone`` is what exchanges take beyond that in passes that no other pass runs beside.
    """

    micro_batches: Num
    slowest: NDArray[np.intp]
    times: LayerTimes
    counts: Array
    busy: Pass
    alone: Num
    bubble: Num
    sending: Num
    synchronise: Num
    synchronise_hidden: Num
    optimizer: Num
    norm: Num
    jitter: Num
    factor: Num

    @property
    def seconds(self) -> Num:
        """Seconds of the step on the critical path."""
        busy = self.micro_batches * _at(self.busy.whole, self.slowest) + self.alone + self.bubble + self.sending
        return (busy + self.synchronise - self.synchronise_hidden + self.optimizer + self.norm) * self.jitter * self.factor


def _at(values: Num, rank: NDArray[np.intp]) -> Num:
    """The row of each column's slowest rank: ``(ranks, n)`` → ``(n,)``."""
    whole = np.asarray(values)
    picked: Num = whole[rank, 0] if whole.shape[1] == 1 else whole[rank, np.arange(len(rank))]
    return picked


# layers onto ranks -----------------------------------------------------------------------------------------------------


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


def _of_ranks(stages: Array, schedule: str) -> Array:
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


# one step ----------------------------------------------------------------------------------------------------------------


def step_of(model: Model, layout: Layout, batch: Num, schedule: str, zero: int, cluster: Cluster, stack: Stack) -> Step:
    """Time of one optimizer step, its parts kept apart; broadcasts over the layout's, the cluster's and the stack's arrays.

    ``t = [n · t_slowest + idle + sends + (m − overlap · min(m, window)) + update] · (1 + j·log₂(gpus/8)) · factor``

    Args:
        model: what is trained.
        layout: how it is spread; degrees may be arrays ``(n,)``.
        batch: sequences per step.
        schedule, zero: order of the passes; what is sharded over data parallelism.
        cluster, stack: data sheet, and every calibrated number.

    Returns:
        the step; ``.seconds`` [s].

    Source: the decomposition is that of Narayanan et al. 2021 (arXiv:2104.04473), section 2, and arXiv:2505.09343, table 4.
    """
    shapes = shapes_of(model)
    fabric = fabric_of(cluster, stack)
    again = again_of(model, layout.again)
    times = layer_times(shapes, again, layout, cluster.chip, fabric, stack, float(model.hidden))
    stages = layers_per_rank(model, layout.pp, layout.vpp)
    counts = _of_ranks(stages, schedule)
    busy = _pass(times, again, counts, layout, stack)
    micro_batches = np.ceil(batch / (layout.dp * layout.micro_batch))
    slowest, alone, bubble = _pipeline(schedule, busy, stages, layout, micro_batches)
    synchronise, hideable, owned = _synchronise(shapes, counts, layout, zero, fabric, stack, micro_batches, busy)
    memory = stack.memory * cluster.chip.memory_bandwidth
    return Step(
        micro_batches=micro_batches,
        slowest=slowest,
        times=times,
        counts=counts,
        busy=busy,
        alone=alone,
        bubble=bubble,
        sending=_sending(layout, fabric, float(model.hidden), micro_batches, stack),
        synchronise=_at(synchronise, slowest),
        synchronise_hidden=stack.overlap_dp * np.minimum(_at(synchronise, slowest), _at(hideable, slowest)),
        optimizer=_at(owned, slowest) * stack.optimizer_bytes / memory,
        norm=_at(owned, slowest) * stack.gradient_bytes / memory
        + tree_all_reduce(4.0, layout.gpus, members_per_domain(layout.gpus, 1.0, fabric.domain), fabric),
        jitter=1.0 + stack.jitter * np.log2(np.maximum(layout.gpus / NODE, 1.0)),
        factor=np.asarray(stack.factor),
    )


def _pass(times: LayerTimes, again: Again, counts: Array, layout: Layout, stack: Stack) -> Pass:
    """One micro-batch through every rank: forward and backward, exchanges split into what shows and what hides."""
    backward = times.inputs + times.weights
    last = {"whole": 0.0, "early-stop": 1.0 / SUMS}[stack.checkpoint] * again.whole
    alone = np.minimum(times.ep, times.forward) + np.minimum(times.ep, backward)
    beside = np.minimum(2.0 * times.ep, times.forward + backward)  # another chunk's pass runs beside the exchange
    routed = stack.overlap_ep * alone if layout.vpp == 1 else np.maximum(stack.overlap_ep * alone, stack.overlap_ep_interleaved * beside)
    core = times.cores
    attention = [np.add.reduce(each, axis=0, keepdims=True) if each.shape[0] else 0.0 for each in core]
    kv = np.minimum(times.cp, attention[0]) + np.minimum(2.0 * times.cp, attention[1])
    # an exchange of forward happens again in backward, and in whatever of forward runs a second time
    exchanged = {"tp": (2.0 + again.sums - last) * times.tp, "ep": (2.0 + again.routed) * times.ep, "cp": (3.0 + again.keys) * times.cp}
    hidden = {"tp": stack.overlap_tp * exchanged["tp"], "ep": routed, "cp": stack.overlap_cp * kv}
    lent = stack.exchange_processors / (1.0 - np.asarray(stack.exchange_processors)) * hidden["ep"]
    shown = sum(exchanged[kind] - hidden[kind] for kind in exchanged) + lent
    half = shown / 2
    rows = [times.forward, times.inputs, times.weights, times.again, *exchanged.values(), *hidden.values(), lent]
    forward, inputs, weights, computed_again, *exchanges, lost = counts @ np.stack(np.broadcast_arrays(*rows))
    sent, hides = dict(zip(exchanged, exchanges, strict=False)), dict(zip(hidden, exchanges[len(exchanged) :], strict=True))
    return Pass(
        passes=Passes(times.forward + half, times.inputs + times.again + half, times.weights, (hidden["ep"] - lent) / 2),
        forward=forward,
        inputs=inputs,
        weights=weights,
        again=computed_again,
        exposed={kind: sent[kind] - hides[kind] for kind in sent} | {"lent": lost},
        hidden=hides,
    )


def _pipeline(schedule: str, busy: Pass, stages: Array, layout: Layout, micro_batches: Num) -> tuple[NDArray[np.intp], Num, Num]:
    """The slowest rank, what its lone passes add, and how long it waits: filling and draining, idle of uneven stages included.

    1F1B and GPipe: every other stage's pass, exact where one stage is slowest throughout. Interleaved: that over the virtual stages, exact
    for uniform stages and whole rounds of micro-batches. Zero-bubble and DualPipe: by their events.

    Raises:
        SpecError: a schedule that can't order that many micro-batches.
        EstimateError: a schedule without a time.

    Source: Narayanan et al. 2021 (arXiv:2104.04473), section 2.2; Qi et al. 2023 (arXiv:2401.10241); DeepSeek-V3 (arXiv:2412.19437),
    section 3.2.1.
    """
    whole = np.atleast_2d(busy.whole)
    slowest = np.argmax(whole, axis=0)
    nothing: Num = 0.0
    match schedule:
        case "gpipe" | "1f1b":
            return slowest, nothing, np.sum(whole, axis=0) - _at(whole, slowest)
        case "interleaved":
            return slowest, nothing, (np.sum(whole, axis=0) - _at(whole, slowest)) / layout.vpp
        case "zero-bubble":
            each = busy.passes
            times = Times(*np.broadcast_arrays(stages @ each.forward, stages @ each.inputs, stages @ each.weights))
            return slowest, nothing, waiting_seconds(schedule, times, micro_batches, layout.pp)
        case "dualpipe":
            times = _paired(busy.passes, stages)
            worked = np.atleast_2d(busy_seconds(schedule, times, micro_batches, layout.pp))
            slowest = np.argmax(worked, axis=0)
            alone = _at(worked, slowest) - micro_batches * _at(whole, slowest)
            return slowest, alone, waiting_seconds(schedule, times, micro_batches, layout.pp)
        case _:
            raise EstimateError("plan.schedule", schedule, "has no time here", "use gpipe, 1f1b, interleaved, zero-bubble or dualpipe")


def _paired(passes: Passes, stages: Array) -> Times:
    """Passes by stage, exchanges bare; and a forward pass beside the backward pass of the stage at the other end, exchanges hidden."""
    forward, inputs, weights, alone = (
        np.atleast_2d(stages @ each) for each in (passes.forward, passes.inputs, passes.weights, passes.alone)
    )
    return Times(*np.broadcast_arrays(forward + alone, inputs + alone, weights, forward + (inputs + weights)[::-1]))


def _sending(layout: Layout, fabric: Fabric, hidden: float, micro_batches: Num, stack: Stack) -> Num:
    """Activations to the next stage and gradients back, at the ends of every chunk."""
    size = layout.tokens * hidden * BF16_BYTES / layout.sequence_split
    each = point_to_point(size, layout.gpus / layout.pp, fabric) + stack.launch
    return (layout.pp > 1) * 2.0 * layout.vpp * micro_batches * each


def _synchronise(
    shapes: Shapes, counts: Array, layout: Layout, zero: int, fabric: Fabric, stack: Stack, micro_batches: Num, busy: Pass
) -> tuple[Num, Num, Num]:
    """Gradients summed and weights gathered over data parallelism, the compute that could hide it, and parameters owned, ``(ranks, n)``."""
    kinds = np.stack([counts @ shapes.dense_params, counts @ shapes.routed_params])  # (2, ranks, 1)
    ranks = layout.dp * layout.cp
    group = np.stack(np.broadcast_arrays(ranks, np.maximum(ranks * layout.tp / layout.ep, 1.0)))[:, None]
    stride = np.stack(np.broadcast_arrays(layout.tp, layout.ep))[:, None]
    group, stride = group.reshape(2, 1, -1), stride.reshape(2, 1, -1)
    params = kinds / stride
    near = members_per_domain(group, stride, fabric.domain)
    gradients, weights = params * stack.gradient_bytes, params * stack.gather_bytes
    match zero:
        case 0:
            seconds = all_reduce(gradients, group, near, fabric)
        case 1 | 2:
            seconds = reduce_scatter(gradients, group, near, fabric) + all_gather(weights, group, near, fabric)
        case _:
            each = reduce_scatter(gradients, group, near, fabric) + 2.0 * all_gather(weights, group, near, fabric)
            seconds = micro_batches * each
    owned = params / group if zero > 0 else params * np.ones_like(group)
    window = busy.compute * (micro_batches if zero == 3 else 1.0)
    return np.sum(seconds, axis=0), np.atleast_2d(window), np.sum(owned, axis=0)


# what a user asks for --------------------------------------------------------------------------------------------------


def layout_of(plan: Plan, cluster: Cluster, seq_len: Num, document_length: Num | None = None) -> Layout:
    """A plan on a cluster as numbers."""
    again: dict[str, frozenset[str]] = {"none": frozenset(), "selective": frozenset(plan.recompute_parts), "full": frozenset({"full"})}
    return Layout(
        gpus=float(cluster.gpus),
        tp=float(plan.tp),
        dp=float(cluster.gpus // (plan.tp * plan.pp * plan.cp)),
        ep=float(plan.ep),
        cp=float(plan.cp),
        micro_batch=float(plan.micro_batch),
        pp=plan.pp,
        vpp=plan.vpp,
        sequence_split=float(plan.tp),
        seq_len=seq_len,
        keys_len=seq_len if document_length is None else np.minimum(document_length, seq_len),
        low=plan.recipe.products,
        again=again[plan.recompute],
        scaled=plan.recipe.scaled,
    )


def ledger_of(step: Step, shapes: Shapes) -> Ledger:
    """The step's seconds by name: compute by part, exchanges with what hides as a negative line, bubble, update, stragglers [s]."""
    return unread("s", plain(step.seconds), partial(_parts, step, shapes))


def _parts(step: Step, shapes: Shapes) -> Mapping[str, Ledger | Num]:
    n = step.micro_batches
    exchanges: dict[tuple[str, ...], Num] = {}
    for kind, hidden in step.busy.hidden.items():
        shown = _at(np.atleast_2d(step.busy.exposed[kind] + hidden), step.slowest)
        exchanges["exchange", kind, "sent"] = n * shown
        exchanges["exchange", kind, "hidden"] = -n * _at(np.atleast_2d(hidden), step.slowest)
    exchanges["exchange", "ep", "processors"] = n * _at(np.atleast_2d(step.busy.exposed["lent"]), step.slowest)
    lines: dict[tuple[str, ...], Num] = {
        **_compute(step, shapes),
        **exchanges,
        ("exchange", "ep", "alone"): step.alone,
        ("exchange", "pp", "sent"): step.sending,
        ("exchange", "dp", "sent"): step.synchronise,
        ("exchange", "dp", "hidden"): -step.synchronise_hidden,
        ("bubble",): step.bubble,
        ("optimizer", "update"): step.optimizer,
        ("optimizer", "norm"): step.norm,
    }
    body = sum(lines.values())
    lines["stragglers",] = body * (step.jitter - 1.0)
    lines["source",] = body * step.jitter * (step.factor - 1.0)
    return tree("s", {path: plain(value) for path, value in lines.items()}).parts


def _compute(step: Step, shapes: Shapes) -> dict[tuple[str, ...], Num]:
    """Compute of the slowest rank by kind of layer and by kernel; what launching adds stands apart."""
    t, weights = step.times, step.counts[step.slowest]
    lines: dict[tuple[str, ...], Num] = {}
    passes = (("forward", t.products[0], t.cores[0]), ("inputs", t.products[1], t.cores[1]), ("weights", t.products[2], None))
    for kind_at, kind in enumerate(shapes.kinds):
        layers = weights[:, kind_at] * step.micro_batches
        for name, products, cores in passes:
            rows = np.asarray(products)
            parts = [(p, rows[i]) for i, paths in enumerate(shapes.paths) for p in paths]
            parts += [] if cores is None else [(p, np.asarray(cores)[i]) for i, paths in enumerate(shapes.core_paths) for p in paths]
            lines |= {("compute", kind, name, *p[1:]): layers * seconds for p, seconds in parts if p[0] == kind}
        lines["compute", kind, "elementwise"] = layers * _row(t.streams[0] + t.streams[1], kind_at)
        lines["compute", kind, "casts"] = layers * _row(t.casts[0] + t.casts[1], kind_at)
        lines["compute", kind, "permute"] = layers * 2.0 * _row(t.permute, kind_at)
        lines["compute", kind, "again"] = layers * _row(t.again, kind_at)
    shown = sum(lines.values())
    lines["compute", "launch"] = step.micro_batches * _at(np.atleast_2d(step.busy.compute), step.slowest) - shown
    return lines


def _row(values: Num, at: int) -> Num:
    whole = np.atleast_2d(values)
    row: Num = whole[at if whole.shape[0] > 1 else 0]
    return row


def plain(value: Num) -> Num:
    """A column of one as a float."""
    array = np.asarray(value, dtype=np.float64)
    return float(array.reshape(-1)[0]) if array.size == 1 else array


def needed_stack(run: Run, phase: Any) -> Stack:
    """The stack that models a phase's time.

    Raises:
        EstimateError: the phase's efficiency is told, or none is given.
    """
    stack = getattr(phase.efficiency or run.efficiency, "stack", None)
    if not isinstance(stack, Stack):
        told = phase.efficiency or run.efficiency
        raise EstimateError("efficiency", told, "names no software stack", "give efficiency=ts.Modelled(stack=ts.catalog.stack(…))")
    return stack


def step_time(run: Run, phase: str | None = None) -> Ledger:
    """Seconds of one optimizer step on the critical path, by part.

    Args:
        run: its efficiency must be modelled; its numbers may be arrays inside a batch.
        phase: name of the phase; None for the first.

    Returns:
        ledger [s]: compute by kind of layer and kernel, exchanges (what hides as a negative line), bubble, optimizer, stragglers.

    Raises:
        EstimateError: plan, batch or sequence length is missing, or the efficiency is told.
    """
    chosen = next((p for p in run.phases if phase in {None, p.name}), None)
    if chosen is None:
        raise EstimateError("phase", phase, "is no phase of the run", f"phases: {', '.join(p.name for p in run.phases)}")
    plan, cluster, stack = chosen.plan or run.plan, chosen.cluster or run.cluster, needed_stack(run, chosen)
    for name, value in ((f"phases.{chosen.name}.seq_len", chosen.seq_len), (f"phases.{chosen.name}.batch", chosen.batch), ("plan", plan)):
        if value is None:
            raise EstimateError(name, None, "is needed to model a step", f"give {name}")
    layout = layout_of(plan, cluster, chosen.seq_len, chosen.document_length)  # type: ignore[arg-type]
    made = step_of(run.model, layout, chosen.batch, plan.schedule, plan.zero, cluster, stack)  # type: ignore[arg-type, union-attr]
    return ledger_of(made, shapes_of(run.model))
