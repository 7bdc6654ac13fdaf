"""What the host does for one pass over a layer: kernels it launches, graphs it launches instead, and what it waits for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..cluster.collectives import expected_largest_normal
from ..cluster.stack import Dispatcher, Stack
from ..core.units import Num
from ..model.ops import Lookup
from ..model.transformer import Model
from ..parallelism.layout import Layout
from ..parallelism.recompute import ENDS
from ..parallelism.shapes import Shapes, answers, check_parts, expert_product, shapes_of

STEP, LAYER = "step", "layer"
"""Captured whole: every pass of a step in one graph; every layer in one of its own."""
UNFUSED_KERNELS = 4.0
"""Kernels that unfused attention launches beyond a fused one: two products for one, scale and mask, softmax, dropout."""
Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Launched:
    """What is left for the host of one pass over a layer of each kind, ``(kinds, 1)``.

    ``kernels`` it launches, a captured part for one; ``experts`` are products of experts among them; ``routed`` marks layers whose experts
    it launches when it knows how many tokens each got; ``loose`` marks kinds that no graph holds whole.
    """

    kernels: Array
    experts: Array
    routed: Array
    loose: Array


@lru_cache(maxsize=256)
def launched_of(model: Model, graphs: frozenset[str]) -> Launched:
    """What is left for the host where parts of a layer are captured in graphs.

    Args:
        model: what is trained.
        graphs: captured parts: names of ops and sections, ``layer`` for whole layers, ``step`` for everything.

    Raises:
        SpecError: a part that no layer has.

    Source: Megatron-LM, ``cuda_graph_impl`` and ``cuda_graph_modules`` of ``transformer_config.py``.
    """
    shapes = shapes_of(model)
    if graphs:
        check_parts("plan.graphs", sorted(graphs), model, {LAYER, STEP})
    if STEP in graphs:
        return Launched(shapes.nothing, shapes.nothing, shapes.nothing, shapes.nothing)
    kernels, experts, routed = shapes.kernels.copy(), shapes.products_of @ shapes.routed, shapes.routed_layers.copy()
    loose = np.ones_like(shapes.layers)
    for at, kind in enumerate(shapes.kinds):
        if kind in ENDS:
            continue
        entries = {e.within: e.op for e in model.table.entries if e.kind == kind and not isinstance(e.op, Lookup)}
        held = {part: {path for path in entries if part == LAYER or answers(path, part)} for part in graphs}
        captured = set().union(*held.values())
        kernels[at] += sum(map(bool, held.values())) - len(captured)
        experts[at] -= sum(expert_product(entries[path]) for path in captured)
        routed[at] *= experts[at] > 0
        loose[at] = float(LAYER not in graphs)
    return Launched(kernels, experts, routed, loose)


def host_seconds(shapes: Shapes, launched: Launched, layout: Layout, stack: Stack) -> Num:
    """Time of a host for one pass over one layer of each kind, ``(kinds, n)`` [s]."""
    extra = {"fused": 0.0, "unfused": UNFUSED_KERNELS}[attention_of(layout, stack)] * shapes.cores_of.sum(axis=1, keepdims=True)
    sums = shapes.split_sublayers * (layout.tp > 1)
    loss = stack.loss_kernels * (shapes.logits > 0)
    host: Num = stack.launch * (kernels_of(shapes, launched, layout, stack) + (extra + sums + loss) * launched.loose)
    return host * (1.0 + stack.host_spread * expected_largest_normal(layout.tp))


def host_floor(chip_seconds: Num, host_seconds: Num, stack: Stack) -> Num:
    """Seconds until both chip and host are done: a soft maximum, ``(t_chip^p + t_host^p)^(1/p)``.

    Args:
        chip_seconds: what the kernels take [s].
        host_seconds: what launching them takes [s].
        stack: gives the exponent p.

    >>> round(float(host_floor(1.0, 1.0, Stack("s", architecture="hopper"))), 3)
    1.189
    """
    p = stack.sharpness
    soft: Num = np.power(np.power(chip_seconds, p) + np.power(host_seconds, p), 1.0 / np.asarray(p))
    return soft


def kernels_of(shapes: Shapes, launched: Launched, layout: Layout, stack: Stack) -> Num:
    """Kernels that a host launches for the ops of one pass, ``(kinds, n)``: of the experts' products one for each, or one for all.

    Source: DeepGEMM's grouped products are one kernel; Transformer Engine's ``GroupedLinear`` calls cuBLAS once an expert (recalled).
    """
    match stack.expert_launches:
        case "together":
            return launched.kernels
        case "apart":
            return launched.kernels + launched.experts * (shapes.experts / layout.ep - 1.0)


def waits_of(launched: Launched, layout: Layout, stack: Stack) -> Num:
    """How long a chip stands still in one pass until its host knows the experts' token counts and has launched them, ``(kinds, n)`` [s].

    Source: ``token_dispatcher.py`` of Megatron-Core: counts are copied to the host, which waits for them.
    """
    return launched.routed * {"alltoall": stack.routing_wait, "fused": stack.fused_routing_wait}[dispatcher_of(layout, stack)]


def dispatcher_of(layout: Layout, stack: Stack) -> Dispatcher:
    """How tokens reach their experts: as the plan says, or as the stack does."""
    return layout.dispatcher or stack.dispatcher


def attention_of(layout: Layout, stack: Stack) -> Literal["fused", "unfused"]:
    """Fused where the plan wants it and the stack has it."""
    return "fused" if (layout.attention, stack.attention) == ("fused", "fused") else "unfused"
