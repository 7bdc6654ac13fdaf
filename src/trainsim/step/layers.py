"""Times of one layer of each kind for one micro-batch: compute by kernel, and exchanges."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np

from ..cluster.collectives import Deduplication, Fabric, all_gather, all_reduce, exchange, members_per_domain, reduce_scatter, token_copies
from ..cluster.hardware import Chip, Host
from ..cluster.kernels import alignment_speed, fused_attention_seconds, product_seconds, stream_seconds, unfused_attention_seconds
from ..cluster.stack import Dispatcher, Stack
from ..core.errors import EstimateError
from ..core.units import Num, any_true, choose, stack_rows
from ..model.documents import document_keys
from ..parallelism.layout import Layout
from ..parallelism.plan import Loss
from ..parallelism.precision import RECIPES, Precision
from ..parallelism.recompute import Recomputed
from ..parallelism.shapes import Shapes
from .context import block_length, busiest_block, context_seconds
from .experts import expert_load
from .host import STEP, HostWork, attention_kernel, dispatcher_of, host_floor, host_seconds, launched_kernels, routing_waits

BF16_BYTES = 2.0
NUMBER_BYTES = {"bf16": 2.0, "fp16": 2.0, "fp8": 1.0, "fp4": 0.5}
LOSS_BYTES: dict[Loss, tuple[float, float]] = {
    "chunked": (6.0, 0.0), "fused": (6.0, 4.0), "vocab-parallel": (38.0, 14.0), "plain": (14.0, 22.0),
}  # fmt: skip
"""Memory traffic of the loss per logit, forward and backward [B]. Fused (Transformer Engine ``triton/cross_entropy.py``): BF16 logits are
read twice and their gradient is written; backward scales it in place. Chunked (Liger Kernel, arXiv:2410.10989): the same, and forward
goes on to the gradient of the hidden states. Megatron-LM's ``tensor_parallel/cross_entropy.py``: separate passes
for FP32 copy, maximum, difference, exponential, sum and quotient; backward scales and casts. Plain PyTorch on ``logits.float()``: FP32 copy
and log-softmax; backward fills a gradient, runs log-softmax backward and casts."""
PASS_DIMENSIONS = np.array([[0, 0, 1], [2, 1, 2], [1, 2, 0]])
"""Index of (rows, inner, cols) that gives rows, columns and depth of a product's three passes: forward, input gradient, weight gradient."""


@dataclass(frozen=True, eq=False)
class LayerTimes:
    """Times of one layer of each kind for one micro-batch, shapes ``(kinds, n)`` [s].

    Args:
        products, cores: time of each kernel, shapes ``(products, n)`` and ``(cores, n)``: forward, input gradient, weight gradient.
        attending: time that attention adds to a forward and to a backward pass, which context-parallel exchanges can overlap.
        streams, casts, permute: element-wise work, casts to narrow formats, and sorting of tokens.
        forward, inputs, weights: compute of a forward, an input-gradient and a weight-gradient pass, at least the host's time.
        recompute: work that the backward pass recomputes.
        tp, ep, expert_tp, cp: exchanges of one forward pass, before overlap.
    """

    products: tuple[Num, Num, Num]
    cores: tuple[Num, Num]
    attending: tuple[Num, Num]
    streams: tuple[Num, Num]
    casts: tuple[Num, Num]
    permute: Num
    forward: Num
    inputs: Num
    weights: Num
    recompute: Num
    tp: Num
    ep: Num
    expert_tp: Num
    cp: Num


def layer_times(
    shapes: Shapes,
    recomputed: Recomputed,
    launched: HostWork,
    layout: Layout,
    chip: Chip,
    host: Host | None,
    fabric: Fabric,
    stack: Stack,
    hidden: Num,
) -> LayerTimes:
    """Times of one layer of each kind for one micro-batch on one accelerator.

    Args:
        shapes: shapes of the model's kernels.
        recomputed: work that the backward pass recomputes.
        launched: work of the host.
        layout: degrees and settings.
        chip, host, fabric: the accelerator, its host, and its network under the stack; a host of None launches as an x86 host.
        stack: the calibrated numbers.
        hidden: width of the residual stream [element].

    Returns:
        times [s], one row per kind of layer, broadcast over the layout's and the stack's arrays.
    """
    tiles = gemm_tiles(shapes, layout, stack)
    products = _products(shapes, tiles, layout, chip, stack)
    forward_core, backward_core = _cores(shapes, layout, chip, stack)
    streams = _streams(shapes, layout, chip, stack)
    permute = _permute(shapes, layout, chip, stack)
    casts = _casts(shapes, tiles, layout, chip, stack)
    of, cores_of = shapes.products_of, shapes.cores_of
    core = cores_of @ forward_core
    raw_forward = of @ products[0] + core + streams[0] + casts[0] + permute
    back = cores_of @ backward_core
    raw_inputs = of @ products[1] + back + streams[1] + casts[1] + permute
    raw_weights = of @ products[2]
    pace = stack.arm_launch if host is not None and host.processor == "arm" else 1.0
    hosted, waits = pace * host_seconds(shapes, launched, layout, stack), pace * routing_waits(launched, layout, stack)
    launches = pace * stack.launch * launched_kernels(shapes, launched, layout, stack)
    # backward launches twice the kernels of forward: half with the input gradients, half with the weight gradients
    both: Any = host_floor(stack_rows(raw_forward, raw_inputs), hosted, stack)
    forward, inputs = both[0] + waits, both[1] + waits
    weights = host_floor(raw_weights, launches, stack)
    attending: tuple[Num, Num] = (shapes.zeros, shapes.zeros)
    if any_true(layout.cp != 1):
        others = [host_floor(np.maximum(raw - each, 0.0), hosted, stack) for raw, each in ((raw_forward, core), (raw_inputs, back))]
        attending = (forward - waits - others[0], inputs - waits - others[1])
    repeated = _repeated_forward(shapes, stack, forward, raw_forward, products[0], hosted, waits)
    return LayerTimes(
        products=products,
        cores=(forward_core, backward_core),
        attending=attending,
        streams=streams,
        casts=casts,
        permute=permute,
        forward=forward,
        inputs=inputs,
        weights=weights,
        recompute=_recompute_seconds(shapes, recomputed, layout, chip, stack, (repeated, products[0], forward_core)),
        tp=_tp(shapes, layout, fabric, hidden),
        ep=_ep(shapes, layout, fabric, stack),
        expert_tp=_expert_tp(shapes, layout, fabric, stack),
        cp=context_seconds(shapes, layout, fabric),
    )


def kernel_formats(shapes: Shapes, layout: Layout, chip: Chip, stack: Stack) -> tuple[Num, Num, Num]:
    """Peak [FLOP/s], achievable share of the peak [1] and element size [B] of each product."""
    in_gemm_format, narrow = shapes.low_precision > 0, layout.recipe.products
    peak = np.where(in_gemm_format, _gemm_peak(layout.recipe, chip), chip.peak_of(chip.half))
    share = np.where(in_gemm_format, stack.share(narrow), stack.bf16) * _where_routed(shapes, stack.grouped, 1.0)
    clock = np.where(in_gemm_format, power_speed(chip, stack, narrow), power_speed(chip, stack, "bf16"))
    return peak, np.minimum(share * clock, 1.0), np.where(in_gemm_format, NUMBER_BYTES[narrow], BF16_BYTES)


def _gemm_peak(recipe: Precision, chip: Chip) -> Num:
    """Dense peak of a chip in the GEMM format of a recipe.

    Raises:
        EstimateError: the chip does not support the format.
    """
    peak: Num | None = getattr(chip.peak, recipe.products, None)
    if peak is None:
        fitting = [r.name for r in RECIPES.values() if getattr(chip.peak, r.products) is not None and r.products in NUMBER_BYTES]
        rule = f"multiplies in {recipe.products}, which {chip.name} does not support"
        raise EstimateError("plan.precision", recipe.name, rule, f"supported recipes: {', '.join(fitting)}", "unsupported")
    return peak


def power_speed(chip: Chip, stack: Stack, number_format: str) -> Num:
    """Relative speed of products on a chip with another power limit than in the fit: ``(power / rated)^γ``, ``γ`` by number format."""
    if chip.power is None or not any_true(stack.rated_power != 0):
        return 1.0
    wide = NUMBER_BYTES.get(number_format, BF16_BYTES) >= BF16_BYTES
    return np.power(chip.power / np.asarray(stack.rated_power), stack.power_exponent if wide else stack.power_exponent_narrow)


@dataclass(frozen=True, eq=False)
class GemmTiles:
    """Products on one accelerator, ``(products, n)``: rows, inner and outer dimension, and products per launch."""

    rows: Num
    inner: Num
    cols: Num
    groups: Num


def gemm_tiles(shapes: Shapes, layout: Layout, stack: Stack) -> GemmTiles:
    """Products on one accelerator, divided by tensor, sequence and expert parallelism."""
    divided = _where_routed(shapes, layout.expert_tp, layout.tp)
    inner = shapes.inner / np.where(shapes.inner_split > 0, divided, 1.0)
    cols = shapes.cols / np.where(shapes.cols_split > 0, divided, 1.0)
    dense = shapes.rows * layout.tokens / np.where(shapes.split > 0, 1.0, layout.sequence_split)
    each = layout.tokens / layout.tp * shapes.top_k * layout.ep * layout.expert_tp / shapes.experts * expert_load(shapes, layout, stack)
    rows = _where_routed(shapes, each * shapes.rows, dense)
    return GemmTiles(rows, inner, cols, _where_routed(shapes, shapes.experts / layout.ep, 1.0))


def _where_routed(shapes: Shapes, routed: Num, dense: Num) -> Num:
    """Select one number for products of routed experts and another for the rest, ``(products, n)``."""
    return dense if shapes.experts == 1 else np.where(shapes.routed > 0, routed, dense)


def _products(shapes: Shapes, tiles: GemmTiles, layout: Layout, chip: Chip, stack: Stack) -> tuple[Num, Num, Num]:
    """Times of each product: forward, input gradient and weight gradient, shapes ``(products, n)`` [s]."""
    peak, share, size = kernel_formats(shapes, layout, chip, stack)
    share = share * alignment_speed(tiles.inner, tiles.cols, size, stack)
    sides = stack_rows(tiles.rows, tiles.inner, tiles.cols)
    gradient = 2.0 * layout.recipe.gradients  # accumulated in place: read and written
    written = stack_rows(BF16_BYTES, BF16_BYTES, gradient).reshape(3, 1, -1)
    rows, cols, depth = sides[PASS_DIMENSIONS]
    settings = (tiles.groups, peak, _by_pass(share, layout, stack), chip.memory_bandwidth, stack)
    seconds: Any = product_seconds(rows, cols, depth, *settings, element_bytes=size, output_bytes=written)
    return seconds[0], seconds[1] * shapes.by_input, seconds[2] * shapes.by_weight


def _by_pass(share: Num, layout: Layout, stack: Stack) -> Num:
    """Share of the peak by pass, ``(3, products, n)``; ``(products, n)`` if weight gradients are as fast as the other passes."""
    relative = {"tensor": stack.weight_gradient, "block": stack.weight_gradient_block}[layout.recipe.scaled]
    return stack_rows(share, share, np.minimum(share * relative, 1.0)) if any_true(relative != 1.0) else share


def _cores(shapes: Shapes, layout: Layout, chip: Chip, stack: Stack) -> tuple[Num, Num]:
    """Forward and backward time of each attention core or recurrent mixer, shapes ``(cores, n)`` [s]."""
    if not shapes.masks:
        return np.zeros((0, 1)), np.zeros((0, 1))
    peak, attention = chip.peak_of(chip.half), attention_kernel(layout, stack)
    found = [_core(shapes, i, layout, chip, peak, stack, attention) for i in range(len(shapes.masks))]
    forward, backward = (stack_rows(*each).reshape(len(found), -1) for each in zip(*found, strict=True))
    return forward, backward


def _core(
    shapes: Shapes, i: int, layout: Layout, chip: Chip, peak: Num, stack: Stack, attention: Literal["fused", "unfused"]
) -> tuple[Num, Num]:
    heads, width, mask = shapes.heads.item(i) / layout.tp, shapes.width.item(i), shapes.masks[i]
    if mask is None:
        alone: Num = layout.tokens * shapes.fixed_flop.item(i) / layout.tp / (peak * stack.attention_forward)
        return alone, alone * stack.backward_flops
    match attention:
        case "fused":
            tokens, length = layout.tokens * busiest_block(mask, layout), block_length(layout)
            keys = document_keys(mask.keys, layout.seq_len, layout.documents)
            timed = partial(fused_attention_seconds, tokens, heads, width, keys, length, peak, stack)
        case "unfused":
            bandwidth = chip.memory_bandwidth
            tokens = layout.tokens * busiest_block(mask, layout)
            timed = partial(unfused_attention_seconds, tokens, heads, width, layout.seq_len, peak, bandwidth, stack)
    return timed(backward=0.0), timed(backward=1.0)


def _streams(shapes: Shapes, layout: Layout, chip: Chip, stack: Stack) -> tuple[Num, Num]:
    """Forward and backward time of element-wise work and the loss, shape ``(kinds, n)`` [s].

    The gradient of a bias reads the gradient of its product's output once, for a sum over all tokens (Megatron-LM,
    ``LinearWithGradAccumulationAndAsyncCommunication``: ``grad_output.sum(dim=0)``). The biases of the experts' last product are weighted
    by the router's probabilities and added expert by expert (Megatron-Core, ``TEGroupedMLP._apply_bias``).
    """
    load = expert_load(shapes, layout, stack)
    more = -1.0 if _experts_are_fused(shapes, layout, stack) else load - 1.0
    split = shapes.split_traffic + more * shapes.expert_activation
    elements = layout.tokens * (split / layout.tp + shapes.whole_traffic / layout.sequence_split)
    moved = BF16_BYTES * stack.elementwise * elements
    logits, (before, after) = layout.tokens * shapes.logits / layout.tp, LOSS_BYTES[layout.loss]
    forward, backward = moved + before * logits, moved * stack.elementwise_backward + after * logits
    if shapes.has_biases:
        biased = layout.tokens * (shapes.split_bias / layout.tp + shapes.whole_bias / layout.sequence_split)
        added = stack.expert_bias_bytes * load * shapes.routed_bias * (layout.tokens / layout.tp * layout.expert_tp)
        forward, backward = forward + added, backward + BF16_BYTES * biased + stack.elementwise_backward * added
    return stream_seconds(forward, chip.memory_bandwidth, stack), stream_seconds(backward, chip.memory_bandwidth, stack)


def _casts(shapes: Shapes, tiles: GemmTiles, layout: Layout, chip: Chip, stack: Stack) -> tuple[Num, Num]:
    """Time of casts to the narrow format: inputs in forward, output gradients in backward, shape ``(kinds, n)`` [s]."""
    weights = _dequantized(shapes, layout, chip, stack)
    if NUMBER_BYTES[layout.recipe.products] == BF16_BYTES:
        return weights, weights
    rows = tiles.rows * tiles.groups
    each = {"tensor": stack.cast_bytes, "block": stack.cast_block_bytes}[layout.recipe.scaled]
    read, written = shapes.low_precision * shapes.own_input * tiles.inner, shapes.low_precision * tiles.cols
    if _experts_are_fused(shapes, layout, stack):
        read, written = read * (1.0 - shapes.routed * shapes.inner_split), written * (1.0 - shapes.routed * shapes.cols_split)
    elements = stack_rows(read, written) * rows
    seconds: Any = stream_seconds(shapes.products_of @ elements * each, chip.memory_bandwidth, stack)
    return seconds[0] + weights, seconds[1] + weights


def _experts_are_fused(shapes: Shapes, layout: Layout, stack: Stack) -> bool:
    """Whether the experts' activation and casts are computed inside their products; never where the experts have biases.

    Source: Transformer Engine's ``forward_grouped_mlp.py`` for the rule, MXFP8 without biases; Megatron-Bridge's recipes turn it on
    together with the capture of a whole step.
    """
    asked = stack.captured_experts == "fused" and STEP in layout.graphs and layout.recipe.scaled == "block"
    return asked and not shapes.has_expert_biases


def _dequantized(shapes: Shapes, layout: Layout, chip: Chip, stack: Stack) -> Num:
    """Time of one pass to widen the weights of a quantized frozen base, shape ``(kinds, n)`` [s].

    ``t = Σ weights · (stored + 2 B) / (memory · bandwidth · share)``: weights are read in four bits and written in BF16 before each
    product.

    Source: Dettmers et al. 2023 (arXiv:2305.14314), eq. 5.
    """
    if not shapes.is_dequantized:
        return shapes.zeros
    dense, routed = shapes.dequantized
    moved = dense / layout.tp + routed / (layout.ep * layout.expert_tp)
    seconds: Num = stream_seconds(moved, chip.memory_bandwidth, stack) / stack.dequantization
    return seconds


def _permute(shapes: Shapes, layout: Layout, chip: Chip, stack: Stack) -> Num:
    """Time to sort tokens to their experts and back in one pass, shape ``(kinds, n)`` [s]."""
    if shapes.experts == 1:
        return shapes.zeros
    elements = shapes.routed_layers * shapes.stream * shapes.top_k * layout.tokens / layout.tp
    return stream_seconds(elements * stack.permute_bytes * expert_load(shapes, layout, stack), chip.memory_bandwidth, stack)


def _repeated_forward(shapes: Shapes, stack: Stack, forward: Num, raw: Num, products: Num, host: Num, waits: Num) -> Num:
    """Time of a recomputed forward pass [s]: whole, or without the layer's last product, whose result the backward pass does not need."""
    match stack.checkpoint:
        case "whole":
            return forward
        case "early-stop":
            return host_floor(np.maximum(raw - shapes.last_of @ products, 0.0), host, stack) + waits


def _recompute_seconds(
    shapes: Shapes, recomputed: Recomputed, layout: Layout, chip: Chip, stack: Stack, times: tuple[Num, Num, Num]
) -> Num:
    """Time of the work that the backward pass recomputes, shape ``(kinds, n)`` [s]."""
    if not layout.recomputed:
        return shapes.zeros
    forward, products, cores = times
    elements = layout.tokens * (recomputed.split_traffic / layout.tp + recomputed.whole_traffic / layout.sequence_split)
    streams = stream_seconds(BF16_BYTES * stack.elementwise * elements, chip.memory_bandwidth, stack)
    seconds: Num = recomputed.whole * forward + recomputed.products @ products + recomputed.cores @ cores + streams
    return seconds


def _tp(shapes: Shapes, layout: Layout, fabric: Fabric, hidden: Num) -> Num:
    """Time of the all-reduces of tensor parallelism in one pass: one per sublayer with a row-split product (arXiv:1909.08053)."""
    if not any_true(layout.tp != 1):
        return shapes.zeros
    size = layout.tokens * hidden * BF16_BYTES
    return shapes.split_sublayers * all_reduce(size, layout.tp, members_per_domain(layout.tp, 1.0, fabric.domain), fabric)


def _ep(shapes: Shapes, layout: Layout, fabric: Fabric, stack: Stack) -> Num:
    """Time to send tokens to their experts and back in one pass (arXiv:2412.19437, section 3.2.2)."""
    if shapes.experts == 1 or not any_true(layout.ep != 1):
        return shapes.zeros
    near = members_per_domain(layout.ep, layout.expert_tp, fabric.domain)
    limit = choose(stack.domains_per_token > 0, stack.domains_per_token, np.inf)
    dispatchers: dict[Dispatcher, tuple[Deduplication, Num]] = {
        "alltoall": ("none", stack.alltoall),
        "fused": (stack.deduplication, stack.fused_exchange),
    }
    deduplication, share = dispatchers[dispatcher_of(layout, stack)]
    copies = token_copies(deduplication, shapes.experts, shapes.top_k, layout.ep, near, limit=limit)
    elements = shapes.stream * layout.tokens / layout.tp / share
    both = stack_rows(layout.recipe.dispatched, layout.recipe.combined).reshape(2, 1, -1)
    seconds: Num = shapes.routed_layers * np.add.reduce(
        exchange(elements * both, *copies, fabric, expert_load(shapes, layout, stack)), axis=0
    )
    return seconds


def _expert_tp(shapes: Shapes, layout: Layout, fabric: Fabric, stack: Stack) -> Num:
    """Time to gather tokens for experts under expert tensor parallelism and to scatter the results in one pass.

    Source: ``MoEAlltoAllTokenDispatcher`` of Megatron-Core: every copy that reaches a rank is gathered over its group.
    """
    if shapes.experts == 1 or not any_true(layout.expert_tp != 1):
        return shapes.zeros
    near = members_per_domain(layout.expert_tp, 1.0, fabric.domain)
    elements = shapes.stream * (shapes.top_k * layout.tokens / layout.tp * layout.expert_tp * expert_load(shapes, layout, stack))
    gathered = all_gather(elements * layout.recipe.dispatched, layout.expert_tp, near, fabric)
    return shapes.routed_layers * (gathered + reduce_scatter(elements * layout.recipe.combined, layout.expert_tp, near, fabric))
