"""Load of the experts on the busiest rank: an uneven router, and a capacity."""

from __future__ import annotations

from ..cluster.collectives import routing_imbalance
from ..cluster.stack import Stack
from ..core.units import Num, smaller
from ..parallelism.layout import Layout
from ..parallelism.shapes import Shapes


def expert_load(shapes: Shapes, layout: Layout, stack: Stack) -> Num:
    """Rows of the busiest rank's experts relative to an even share [1].

    ``min(imbalance, c)`` with the capacity factor ``c``, or ``c`` if experts are padded to it. The imbalance is that of the stack, times
    that of a random or a learned router (:func:`~trainsim.cluster.collectives.routing_imbalance`) over the tokens that one expert-parallel
    group routes together.

    Source: Fedus et al. 2022 (arXiv:2101.03961), section 2.2, for the capacity; ``drop_and_pad`` of Megatron-Core for the padding.
    """
    if layout.capacity_padding == "on":
        return layout.capacity_factor
    if layout.routing == "even":
        return smaller(stack.imbalance, layout.capacity_factor)
    tokens = layout.tokens / layout.tp * layout.ep * layout.expert_tp
    spread = {"random": 0.0, "learned": stack.expert_spread}[layout.routing]
    return smaller(stack.imbalance * routing_imbalance(tokens, shapes.experts, shapes.top_k, layout.ep, spread), layout.capacity_factor)
