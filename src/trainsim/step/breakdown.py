"""Breakdown of a modelled step: ledgers by part and by pipeline slot."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from ..core.errors import EstimateError
from ..core.ledger import Ledger, lazy_ledger, ledger_from_lines
from ..core.units import Num
from ..parallelism.schedules.passes import Slot
from ..parallelism.schedules.pipeline_time import slot_counts
from ..parallelism.shapes import Shapes
from .step import Step, at_rank, scalar_or_array


def step_ledger(step: Step, shapes: Shapes) -> Ledger:
    """Ledger of a step: compute, exchanges (hidden time is a negative line), bubble, optimizer, stragglers [s]."""
    return lazy_ledger("s", scalar_or_array(step.seconds), partial(_parts, step, shapes))


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
    if step.layout.offload is not None:
        lines["optimizer", "host"] = step.on_host
    if np.any(step.orthogonal):
        lines["optimizer", "orthogonal"] = step.orthogonal
    body = sum(lines.values())
    lines["stragglers",] = body * (step.jitter - 1.0)
    lines["source",] = body * step.jitter * (step.factor - 1.0)
    return ledger_from_lines("s", {path: scalar_or_array(value) for path, value in lines.items()}).parts


def _compute(step: Step, shapes: Shapes) -> dict[tuple[str, ...], Num]:
    """Compute of the slowest rank by kind of layer and kernel; time added by kernel launches is the line ``launch`` [s]."""
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
        lines["compute", kind, "recompute"] = layers * _row(t.recompute, kind_at)
    shown = sum(lines.values())
    lines["compute", "launch"] = step.micro_batches * _of_slowest(step, step.busy.compute) - shown
    return lines


def _of_slowest(step: Step, seconds: Num) -> Num:
    """Time of all layers of the slowest rank, from times by kind of layer: ``(kinds, n)`` → ``(n,)`` [s]."""
    total: Num = np.sum(step.counts[step.slowest].T * seconds, axis=0)
    return total


def _row(values: Num, at: int) -> Num:
    whole = np.atleast_2d(values)
    row: Num = whole[at if whole.shape[0] > 1 else 0]
    return row


def slot_ledger(step: Step, rank: int | None = None) -> Ledger:
    """Ledger of one optimizer step of a rank by pipeline slot: single passes, paired passes, bubble.

    Args:
        step: the step; its numbers may be arrays.
        rank: pipeline rank; None for the slowest.

    Returns:
        ledger [s]: unpaired passes: forward (1F), backward (1B), backward for inputs, and for weights (1W); forward paired with backward
        (1F1B); bubble; optimizer with its exposed exchanges; and sends between stages. Each line includes its share of straggling and of
        the stack's residual factor, as measured times do. For every rank the lines sum to the step time.

    Raises:
        EstimateError: there is no such rank.

    Source: the lines are those of DeepSeek's own step log (arXiv:2505.09343, table 4).
    """
    pp, vpp = step.layout.pp, step.layout.vpp
    if rank is not None and not 0 <= rank < pp:
        raise EstimateError("rank", rank, f"is not a rank of a pipeline with {pp} ranks", f"give 0 to {pp - 1}", "unknown-name")
    counts = np.broadcast_to(np.asarray(step.micro_batches), np.shape(step.seconds)).reshape(-1)
    worked = {name: np.zeros((pp, len(counts))) for name in _SLOTS.values()}
    for m in np.unique(counts):
        for at, slots in enumerate(slot_counts(step.schedule, int(m), pp, vpp)):
            for slot, count in slots.items():
                worked[_SLOTS["".join(p.letter for p in slot)]][at] += (counts == m) * count * _slot_seconds(step, slot)
    slowest = np.broadcast_to(step.slowest, counts.shape)
    chosen = slowest if rank is None else np.full_like(slowest, rank)
    kinds = {name: at_rank(seconds, chosen) for name, seconds in worked.items() if np.any(seconds)}
    busy: Any = sum(worked.values())
    lines = kinds | {
        "bubble": step.bubble + at_rank(busy, slowest) - at_rank(busy, chosen),
        "optimizer": step.synchronise - step.synchronise_hidden + step.optimizer + step.on_host + step.orthogonal + step.norm,
        "sends": step.sending,
    }
    slower = step.jitter * step.factor
    return Ledger("s", {name: scalar_or_array(value * slower) for name, value in lines.items()})


_SLOTS = {"F": "forward", "B": "backward", "I": "inputs", "W": "weights", "FB": "forward beside backward"}
"""Letters of a slot's passes → name of its ledger line."""


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
