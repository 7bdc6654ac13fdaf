"""Host time of one pass over a layer: launching kernels or graphs, and waiting for the experts' token counts."""

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
from ..parallelism.shapes import Shapes, check_part_names, is_expert_product, path_matches, shapes_of

STEP, LAYER = "step", "layer"
"""Names of whole captures: all passes of a step in one graph, or one graph per layer."""
UNFUSED_KERNELS = 4.0
"""Additional kernels of unfused attention over fused attention: a second product, scale and mask, softmax, dropout."""
Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class HostWork:
    """Work of the host in one pass over a layer of each kind, ``(kinds, 1)``.

    Args:
        kernels: launches; a captured part counts as one.
        experts: products of experts among them.
        routed: 1 for layers whose experts can only be launched once the token counts are known.
        uncaptured: 1 for kinds that are not captured as a whole.
    """

    kernels: Array
    experts: Array
    routed: Array
    uncaptured: Array


@lru_cache(maxsize=256)
def host_work(model: Model, graphs: frozenset[str]) -> HostWork:
    """Work of the host when parts of a layer are captured in graphs.

    Args:
        model: the model.
        graphs: captured parts: names of ops and sections, ``layer`` for whole layers, ``step`` for everything.

    Raises:
        SpecError: no layer has one of the parts.

    Source: Megatron-LM, ``cuda_graph_impl`` and ``cuda_graph_modules`` of ``transformer_config.py``.
    """
    shapes = shapes_of(model)
    if graphs:
        check_part_names("plan.graphs", sorted(graphs), model, {LAYER, STEP})
    if STEP in graphs:
        return HostWork(shapes.zeros, shapes.zeros, shapes.zeros, shapes.zeros)
    kernels, experts, routed = shapes.kernels.copy(), shapes.products_of @ shapes.routed, shapes.routed_layers.copy()
    uncaptured = np.ones_like(shapes.layers)
    for at, kind in enumerate(shapes.kinds):
        if kind in ENDS:
            continue
        entries = {e.within: e.op for e in model.table.entries if e.kind == kind and not isinstance(e.op, Lookup)}
        parts = {part: {path for path in entries if part == LAYER or path_matches(path, part)} for part in graphs}
        captured = set().union(*parts.values())
        kernels[at] += sum(map(bool, parts.values())) - len(captured)
        experts[at] -= sum(is_expert_product(entries[path]) for path in captured)
        routed[at] *= experts[at] > 0
        uncaptured[at] = float(LAYER not in graphs)
    return HostWork(kernels, experts, routed, uncaptured)


def host_seconds(shapes: Shapes, launched: HostWork, layout: Layout, stack: Stack) -> Num:
    """Host time of one pass over one layer of each kind, ``(kinds, n)`` [s]."""
    unfused = attention_kernel(layout, stack) == "unfused"
    extra = UNFUSED_KERNELS * shapes.cores_of.sum(axis=1, keepdims=True) if unfused else 0.0
    sums = shapes.split_sublayers * (layout.tp > 1)
    loss = stack.loss_kernels * (shapes.logits > 0)
    host: Num = stack.launch * (launched_kernels(shapes, launched, layout, stack) + (extra + sums + loss) * launched.uncaptured)
    return host * (1.0 + stack.host_spread * expected_largest_normal(layout.tp))


def host_floor(chip_seconds: Num, host_seconds: Num, stack: Stack) -> Num:
    """Soft maximum of chip time and host time, ``(t_chip^p + t_host^p)^(1/p)``.

    Args:
        chip_seconds: time of the kernels [s].
        host_seconds: time to launch them [s].
        stack: gives the exponent p.

    Returns:
        time [s].

    >>> round(float(host_floor(1.0, 1.0, Stack("s", architecture="hopper"))), 3)
    1.189
    """
    p = stack.sharpness
    soft: Num = np.power(np.power(chip_seconds, p) + np.power(host_seconds, p), 1.0 / np.asarray(p))
    return soft


def launched_kernels(shapes: Shapes, launched: HostWork, layout: Layout, stack: Stack) -> Num:
    """Number of kernels that the host launches in one pass, ``(kinds, n)``; a stack launches the experts' products one by one or grouped.

    Source: DeepGEMM's grouped products are one kernel; Transformer Engine's ``GroupedLinear`` calls cuBLAS once an expert (recalled).
    """
    match stack.expert_launches:
        case "together":
            return launched.kernels
        case "apart":
            return launched.kernels + launched.experts * (shapes.experts / layout.ep - 1.0)


def routing_waits(launched: HostWork, layout: Layout, stack: Stack) -> Num:
    """Time per pass that a chip waits for the experts' token counts and launches, ``(kinds, n)`` [s].

    Source: ``token_dispatcher.py`` of Megatron-Core: counts are copied to the host, which waits for them, unless experts are padded
    to their capacity (``drop_and_pad``).
    """
    if layout.capacity_padding == "on":
        return np.zeros_like(launched.routed)
    return launched.routed * {"alltoall": stack.routing_wait, "fused": stack.fused_routing_wait}[dispatcher_of(layout, stack)]


def dispatcher_of(layout: Layout, stack: Stack) -> Dispatcher:
    """The dispatcher of the plan, or else of the stack."""
    return layout.dispatcher or stack.dispatcher


def attention_kernel(layout: Layout, stack: Stack) -> Literal["fused", "unfused"]:
    """Fused attention if both plan and stack use it, else unfused."""
    return "fused" if (layout.attention, stack.attention) == ("fused", "fused") else "unfused"
