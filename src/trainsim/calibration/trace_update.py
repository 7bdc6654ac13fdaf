"""A profiler trace narrows a stack: its numbers are moved until kernels take the seconds that the trace shows, by role and pass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..cluster.kernels import WIDE_HEAD
from ..cluster.stack import Stack
from ..core.errors import SpecError
from ..parallelism.layout import layout_of
from ..parallelism.shapes import Shapes, shapes_of
from ..run.inputs import needed_stack
from ..step.layers import LayerTimes
from ..step.step import placed_and_again, times_of
from .readers.kernel_roles import Direction, Role
from .readers.traces import Trace, Work

if TYPE_CHECKING:
    from ..run.run import Run

ROUNDS = 6
"""Times that every number is scaled by the ratio of its kernels; the seconds then agree to a thousandth."""
BESIDE = 0.5
"""Share of the exchanges' time that must overlap compute for a trace to be one of passes side by side."""


@dataclass(frozen=True, eq=False)
class TracedStack:
    """A stack whose kernels take the seconds of a trace.

    Args:
        stack: with its moved numbers tagged "measured".
        fields: the numbers moved.
        layers: passes through a layer that the trace shows, forward.
        measured, before, after: seconds of one layer by role and pass: of the trace, of the stack before, and of the stack after [s].
    """

    stack: Stack
    fields: tuple[str, ...]
    layers: int
    measured: Mapping[Work, float]
    before: Mapping[Work, float]
    after: Mapping[Work, float]

    def __str__(self) -> str:
        lines = [
            f"{self.stack.name}: {self.layers} layers, {', '.join(self.fields)}",
            f"{'[ms a layer]':<26}{'trace':>10}{'before':>10}{'after':>10}",
        ]
        for work, seconds in self.measured.items():
            name = " ".join(word for word in work if word)
            lines.append(f"{name:<26}{1e3 * seconds:>10.3f}{1e3 * self.before[work]:>10.3f}{1e3 * self.after[work]:>10.3f}")
        return "\n".join(lines)


def traced_stack(trace: Trace, run: Run) -> TracedStack:
    """The stack of a run, with the numbers that a trace of the run measures moved to what it shows.

    Each number is scaled by the ratio of modelled to measured seconds of the kernels it governs, until they agree. Compute kernels that run
    at once share the time. Products that run beside exchanges are taken to have had the processors that the stack does not lend.

    Args:
        trace: kernels of whole layers of the run's model; how many it counts by its kernels of attention.
        run: its first phase, its plan and its modelled stack are what the trace shows.

    Returns:
        the stack, and seconds by role and pass before and after.

    Raises:
        SpecError: a trace without fused attention, whose layers cannot be counted.

    Source: what each number governs is said in :class:`~trainsim.cluster.stack.Stack`.
    """
    layers = _layers(trace)
    beside = trace.overlap > BESIDE
    base = needed_stack(run, run.phases[0])
    lent = base.exchange_processors if beside else 0.0
    share_lent = 1.0 / (1.0 - lent * trace.overlap)
    measured: dict[Work, float] = {work: float(seconds / layers) for work, seconds in trace.shared.items()}
    shown: dict[Work, float] = {work: measured.get(work, 0.0) / float(share_lent if work[0] == "product" else 1.0) for work in _GOVERNED}
    shown["elementwise", None] = sum(measured.get((role, way), 0.0) for role in _PLAIN for way in _WAYS)
    for role in _MOVES:
        shown[role, None] = sum(measured.get((role, way), 0.0) for way in _WAYS)
    shown = {work: seconds for work, seconds in shown.items() if seconds > 0}
    idle = 1.0 - sum(trace.shared.values()) / trace.span if beside else 0.0
    stack = base.replace({"paired_idle": idle}) if beside else base
    before = layer_seconds(run, stack)
    moved: dict[str, float] = {"paired_idle": idle} if beside else {}
    for _ in range(ROUNDS):
        modelled = layer_seconds(run, stack)
        moved |= _moved(run, stack, modelled, shown)
        stack = base.replace(dict(moved))
    after = layer_seconds(run, stack)
    kept = {work: seconds for work, seconds in shown.items() if before.get(work)}
    tagged = stack.replace({"tags": {**stack.tags, **dict.fromkeys(moved, "measured")}})
    return TracedStack(tagged, tuple(moved), layers, kept, {w: before[w] for w in kept}, {w: after[w] for w in kept})


_WAYS: tuple[Direction | None, ...] = ("forward", "backward", "weights", None)
_PLAIN: tuple[Role, ...] = ("elementwise", "copy")
_MOVES: tuple[Role, ...] = ("cast", "permute")
_GOVERNED: tuple[Work, ...] = (
    ("product", "forward"), ("product", "backward"), ("product", "weights"), ("attention", "forward"), ("attention", "backward"),
)  # fmt: skip


def _layers(trace: Trace) -> int:
    """Passes forward through a layer: kernels of the most frequent name of attention."""
    names: dict[str, int] = {}
    for kernel in trace.kernels:
        if kernel.role == "attention" and kernel.direction == "forward":
            names[kernel.name] = names.get(kernel.name, 0) + 1
    if not names:
        raise SpecError(
            "trace", trace.chip, "has no kernel of fused attention to count layers by", "give a trace of whole layers", "conflict"
        )
    return max(names.values())


def _moved(run: Run, stack: Stack, modelled: Mapping[Work, float], shown: Mapping[Work, float]) -> dict[str, float]:
    """Numbers scaled by the ratio of modelled to shown seconds of the kernels they govern."""
    plan = run.phases[0].plan or run.plan
    assert plan is not None

    def ratio(*works: Work) -> float | None:
        there = [work for work in works if work in shown and modelled.get(work, 0.0) > 0]
        return sum(modelled[w] for w in there) / sum(shown[w] for w in there) if there else None

    block = plan.recipe.scaled == "block"
    wide = any(float(w) / 2 > WIDE_HEAD for w in shapes_of(run.model).width.ravel())
    fast, slow = ("weight_gradient_block" if block else "weight_gradient"), ("cast_block_bytes" if block else "cast_bytes")
    products = ratio(("product", "forward"), ("product", "backward"))
    found: dict[str, tuple[float | None, float]] = {
        {"fp16": "bf16"}.get(plan.recipe.products, plan.recipe.products): (products, 1.0),
        fast: (None if (w := ratio(("product", "weights"))) is None else w / (products or 1.0), 1.5),
        "attention_forward": (ratio(("attention", "forward")), 1.0),
        "wide_backward" if wide else "attention_backward": (ratio(("attention", "backward")), 1.0),
        slow: (_inverse(ratio(("cast", None))), np.inf),
        "permute_bytes": (_inverse(ratio(("permute", None))), np.inf),
        "elementwise": (_inverse(ratio(("elementwise", None))), np.inf),
    }
    return {field: min(float(np.asarray(getattr(stack, field))) * by, most) for field, (by, most) in found.items() if by is not None}


def _inverse(value: float | None) -> float | None:
    return None if value is None else 1.0 / value


def layer_seconds(run: Run, stack: Stack) -> dict[Work, float]:
    """Modelled seconds of one layer of the run's commonest kind for one micro-batch, by role and pass [s]."""
    phase = run.phases[0]
    plan = phase.plan or run.plan
    if plan is None or phase.seq_len is None:
        raise SpecError("run.plan", plan, "is needed to model a layer", "give a run with a plan and a sequence length", "missing")
    layout, shapes = layout_of(plan, run.cluster.gpus, phase.seq_len, phase.document_length), shapes_of(run.model)
    times = times_of(run.model, layout, plan.pass_order, run.cluster, stack)
    _, again = placed_and_again(run.model, layout, plan.pass_order)
    kind = int(np.argmax(shapes.layers[:, 0]))
    return _of_kind(shapes, times, kind, again.products[kind] @ np.asarray(times.products[0]))


def _of_kind(shapes: Shapes, times: LayerTimes, kind: int, repeated: object) -> dict[Work, float]:
    def one(values: object) -> float:
        return float(np.asarray(values, dtype=np.float64).reshape(-1)[0])

    def row(values: object) -> float:
        whole = np.atleast_2d(np.asarray(values, dtype=np.float64))
        return float(whole[kind if whole.shape[0] > 1 else 0].reshape(-1)[0])

    of, cores = shapes.products_of[kind], shapes.cores_of[kind]
    forward, inputs, weights = (one(of @ np.asarray(each)) for each in times.products)
    return {
        ("product", "forward"): forward,
        ("product", "backward"): inputs + one(repeated),
        ("product", "weights"): weights,
        ("attention", "forward"): one(cores @ np.asarray(times.cores[0])),
        ("attention", "backward"): one(cores @ np.asarray(times.cores[1])),
        ("cast", None): row(times.casts[0]) + row(times.casts[1]),
        ("permute", None): 2.0 * row(times.permute),
        ("elementwise", None): row(times.streams[0]) + row(times.streams[1]),
    }
