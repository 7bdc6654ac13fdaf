"""What a user asks of a modelled step: its seconds by part, and by the slots of its pipeline."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ..cluster.stack import Stack
from ..core.errors import EstimateError
from ..core.ledger import Ledger, _lazy_ledger, tree
from ..core.units import Num
from ..parallelism.schedules.passes import Slot
from ..parallelism.schedules.uneven import slot_counts
from ..parallelism.shapes import Shapes, shapes_of
from .step import Step, _at_rank, plain, step_of_plan

if TYPE_CHECKING:
    from ..run.run import Run
    from ..training.phases import Phase


def ledger_of(step: Step, shapes: Shapes) -> Ledger:
    """The step's seconds by name: compute by part, exchanges with what hides as a negative line, bubble, update, stragglers [s]."""
    return _lazy_ledger("s", plain(step.seconds), partial(_parts, step, shapes))


def _parts(step: Step, shapes: Shapes) -> Mapping[str, Ledger | Num]:
    n = step.micro_batches
    exchanges: dict[tuple[str, ...], Num] = {}
    for kind, hidden in step.busy.hidden.items():
        exchanges["exchange", kind, "sent"] = n * _of_slowest(step, step.busy.exposed[kind] + hidden)
        exchanges["exchange", kind, "hidden"] = -n * _of_slowest(step, hidden)
    exchanges["exchange", "ep", "processors"] = n * _of_slowest(step, step.busy.exposed["lent"])
    exchanges["exchange", "ep", "idle"] = n * _of_slowest(step, step.busy.exposed["idle"])
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
    if np.any(step.orthogonal):
        lines["optimizer", "orthogonal"] = step.orthogonal
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
    lines["compute", "launch"] = step.micro_batches * _of_slowest(step, step.busy.compute) - shown
    return lines


def _of_slowest(step: Step, seconds: Num) -> Num:
    """What the layers of the slowest rank take, from seconds by kind of layer: ``(kinds, n)`` → ``(n,)``."""
    taken: Num = np.sum(step.counts[step.slowest].T * seconds, axis=0)
    return taken


def _row(values: Num, at: int) -> Num:
    whole = np.atleast_2d(values)
    row: Num = whole[at if whole.shape[0] > 1 else 0]
    return row


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
    chosen = _phase(run, phase)
    return ledger_of(_step(run, chosen), shapes_of(chosen.model_of(run.model)))


def slot_time(run: Run, phase: str | None = None, rank: int | None = None) -> Ledger:
    """Seconds of one optimizer step of a rank by what its pipeline runs: passes alone, passes beside each other, waiting.

    Args:
        run, phase: as for :func:`step_time`.
        rank: of the pipeline, as a log on that rank would have it; None for the slowest.

    Returns:
        ledger [s]: forward (1F), backward (1B), inputs and weights (1W) where no other pass runs beside them, forward beside backward
        (1F1B), bubble, optimizer with what shows of its exchanges, sends between stages. Each holds its share of stragglers, and of what no
        mechanism explains, as a clock on the machine would. Every rank's lines sum to the step: who works less waits longer.

    Raises:
        EstimateError: as :func:`step_time` does, or no such rank.

    Source: the lines are those of DeepSeek's own step log (arXiv:2505.09343, table 4).
    """
    chosen = _phase(run, phase)
    step, plan = _step(run, chosen), chosen.plan or run.plan
    assert plan is not None
    if rank is not None and not 0 <= rank < plan.pp:
        raise EstimateError("rank", rank, f"is no rank of a pipeline of {plan.pp}", f"give 0 to {plan.pp - 1}", "unknown-name")
    counts = np.broadcast_to(np.asarray(step.micro_batches), np.shape(step.seconds)).reshape(-1)
    worked = {name: np.zeros((plan.pp, len(counts))) for name in _SLOTS.values()}
    for m in np.unique(counts):
        for at, slots in enumerate(slot_counts(plan.pass_order, int(m), plan.pp, plan.vpp)):
            for slot, count in slots.items():
                worked[_SLOTS["".join(p.letter for p in slot)]][at] += (counts == m) * count * _slot_seconds(step, slot)
    slowest = np.broadcast_to(step.slowest, counts.shape)
    asked = slowest if rank is None else np.full_like(slowest, rank)
    kinds = {name: _at_rank(seconds, asked) for name, seconds in worked.items() if np.any(seconds)}
    busy: Any = sum(worked.values())
    lines = kinds | {
        "bubble": step.bubble + _at_rank(busy, slowest) - _at_rank(busy, asked),
        "optimizer": step.synchronise - step.synchronise_hidden + step.optimizer + step.orthogonal + step.norm,
        "sends": step.sending,
    }
    told = step.jitter * step.factor
    return Ledger("s", {name: plain(value * told) for name, value in lines.items()})


_SLOTS = {"F": "forward", "B": "backward", "I": "inputs", "W": "weights", "FB": "forward beside backward"}
"""Letters of a slot's passes → its line."""


def _slot_seconds(step: Step, slot: Slot) -> Any:
    times, at = step.stages.by_stage, slot[0].stage
    match "".join(p.letter for p in slot):
        case "F":
            return times.forward[at]
        case "I":
            return times.inputs[at]
        case "W":
            return times.weights[at]
        case "B":
            return times.inputs[at] + times.weights[at]
        case _:
            return times.pair[at] if times.pair is not None else times.forward[at]


def _phase(run: Run, name: str | None) -> Phase:
    chosen = next((p for p in run.phases if name in {None, p.name}), None)
    if chosen is None:
        raise EstimateError("phase", name, "is no phase of the run", f"phases: {', '.join(p.name for p in run.phases)}", "unknown-name")
    return chosen


def _step(run: Run, phase: Phase) -> Step:
    """The modelled step of a phase, its inputs there."""
    plan, cluster, stack = phase.plan or run.plan, phase.cluster or run.cluster, needed_stack(run, phase)
    for name, value in ((f"phases.{phase.name}.seq_len", phase.seq_len), (f"phases.{phase.name}.batch", phase.batch), ("plan", plan)):
        if value is None:
            raise EstimateError(name, None, "is needed to model a step", f"give {name}")
    return step_of_plan(phase.model_of(run.model), plan, cluster, stack, phase.seq_len, phase.batch, phase.document_length)  # type: ignore[arg-type]
