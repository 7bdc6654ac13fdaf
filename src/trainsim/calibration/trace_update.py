"""Fit the numbers of a stack to a profiler trace, so that kernels of each role and pass take the measured time."""

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
from ..step.step import layer_times_of, placement_and_recompute
from .readers.kernel_roles import Direction, Role
from .readers.traces import Trace, Work

if TYPE_CHECKING:
    from ..run.run import Run

ROUNDS = 6
"""Number of iterations; the times then agree within 0.1 %."""
BESIDE = 0.5
"""Smallest overlap of exchanges with compute at which a trace is taken to run forward and backward passes side by side."""


@dataclass(frozen=True, eq=False)
class TracedStack:
    """A stack fitted to a profiler trace.

    Args:
        stack: the fitted stack, with its fitted numbers tagged "measured".
        fields: the fitted numbers.
        layers: number of forward passes through a layer in the trace.
        measured, before, after: time of one layer by role and pass in the trace, with the original stack, and with the fitted stack [s].
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
    """Fit the stack of a run to a profiler trace of the run.

    Each number is scaled by the ratio of modelled to measured time of the kernels that it affects, until the two times agree. Compute
    kernels that run concurrently share the time. Matrix products that run beside exchanges use the processors that the stack does not
    assign to exchanges.

    Args:
        trace: kernels of whole layers of the run's model; the attention kernels give the number of layers.
        run: the profiled run, with its first phase, its plan and its modelled stack.

    Returns:
        the fitted stack, and times by role and pass before and after.

    Raises:
        SpecError: the trace has no fused attention, so its layers can't be counted.

    Source: :class:`~trainsim.cluster.stack.Stack` defines what each number affects.
    """
    layers = _layers(trace)
    beside = trace.overlap > BESIDE
    base = needed_stack(run, run.phases[0])
    lent = base.exchange_processors if beside else 0.0
    share_lent = 1.0 / (1.0 - lent * trace.overlap)
    measured: dict[Work, float] = {work: float(seconds / layers) for work, seconds in trace.shared.items()}
    observed: dict[Work, float] = {work: measured.get(work, 0.0) / float(share_lent if work[0] == "product" else 1.0) for work in _GOVERNED}
    observed["elementwise", None] = sum(measured.get((role, way), 0.0) for role in _PLAIN for way in _WAYS)
    for role in _MOVES:
        observed[role, None] = sum(measured.get((role, way), 0.0) for way in _WAYS)
    observed = {work: seconds for work, seconds in observed.items() if seconds > 0}
    idle = 1.0 - sum(trace.shared.values()) / trace.span if beside else 0.0
    stack = base.replace({"paired_idle": idle}) if beside else base
    before = layer_seconds(run, stack)
    moved: dict[str, float] = {"paired_idle": idle} if beside else {}
    for _ in range(ROUNDS):
        modelled = layer_seconds(run, stack)
        moved |= _scaled(run, stack, modelled, observed)
        stack = base.replace(dict(moved))
    after = layer_seconds(run, stack)
    compared = {work: seconds for work, seconds in observed.items() if before.get(work)}
    tagged = stack.replace({"tags": {**stack.tags, **dict.fromkeys(moved, "measured")}})
    return TracedStack(tagged, tuple(moved), layers, compared, {w: before[w] for w in compared}, {w: after[w] for w in compared})


_WAYS: tuple[Direction | None, ...] = ("forward", "backward", "weights", None)
_PLAIN: tuple[Role, ...] = ("elementwise", "copy")
_MOVES: tuple[Role, ...] = ("cast", "permute")
_GOVERNED: tuple[Work, ...] = (
    ("product", "forward"), ("product", "backward"), ("product", "weights"), ("attention", "forward"), ("attention", "backward"),
)  # fmt: skip


def _layers(trace: Trace) -> int:
    """Number of forward passes through a layer: calls of the most frequent attention kernel."""
    names: dict[str, int] = {}
    for kernel in trace.kernels:
        if kernel.role == "attention" and kernel.direction == "forward":
            names[kernel.name] = names.get(kernel.name, 0) + 1
    if not names:
        raise SpecError(
            "trace", trace.chip, "has no fused-attention kernel, from which layers are counted", "give a trace of whole layers", "conflict"
        )
    return max(names.values())


def _scaled(run: Run, stack: Stack, modelled: Mapping[Work, float], observed: Mapping[Work, float]) -> dict[str, float]:
    """Numbers of the stack, scaled by the ratio of modelled to measured time of the kernels they affect."""
    plan = run.phases[0].plan or run.plan
    assert plan is not None

    def ratio(*works: Work) -> float | None:
        there = [work for work in works if work in observed and modelled.get(work, 0.0) > 0]
        return sum(modelled[w] for w in there) / sum(observed[w] for w in there) if there else None

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
    """Modelled time of one layer of the run's most common kind for one micro-batch, by role and pass [s]."""
    phase = run.phases[0]
    plan = phase.plan or run.plan
    if plan is None or phase.seq_len is None:
        raise SpecError("run.plan", plan, "is needed to model a layer", "give a run with a plan and a sequence length", "missing")
    layout, shapes = layout_of(plan, run.cluster.gpus, phase.seq_len, phase.document_length), shapes_of(run.model)
    times = layer_times_of(run.model, layout, plan.pass_order, run.cluster, stack)
    _, again = placement_and_recompute(run.model, layout, plan.pass_order)
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
