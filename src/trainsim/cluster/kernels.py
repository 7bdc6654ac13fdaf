"""Seconds of kernels: a roofline with efficiency that depends on size.

Every function broadcasts over all its arguments, shapes ``(ops, n)`` over draws and layouts.
"""

from __future__ import annotations

import numpy as np

from ..core.units import Num
from .stack import Stack

ALIGNED_BYTES = 16
"""Alignment of rows that tensor cores load at full speed [B]."""
MISALIGNMENT = np.log2(ALIGNED_BYTES / np.maximum(np.arange(ALIGNED_BYTES + 1.0), 1.0)) / 3.0
"""Misalignment exponent by alignment in bytes: ``log2(16 / alignment) / 3``, 1 at 2 bytes."""


def tiled_elements(rows: Num, cols: Num, groups: Num, stack: Stack) -> Num:
    """Output elements by which a launch is timed. Tiles are computed whole, and some processors idle in the last wave.

    ``t²·[(1 − w)·W·P + w·⌈W⌉·P]``, ``W = G·⌈M/t⌉⌈N/t⌉ / P``.

    Args:
        rows, cols: output dimensions M, N of one product [element].
        groups: products G in one launch [1].
        stack: tile t, processors P and the weight w of the last wave.

    Returns:
        elements [1], at least ``G·M·N``.

    Source: NVIDIA, Matrix Multiplication Background User's Guide, sections on tile and wave quantization.

    >>> stack = Stack("s", architecture="hopper", tile=128.0, processors=128.0, wave=1.0)
    >>> float(tiled_elements(128.0 * 128, 128.0, 1.0, stack)) / (128 * 128 * 128)
    1.0
    >>> float(tiled_elements(64.0, 16384.0, 1.0, stack)) / (64 * 16384)
    2.0
    """
    tiles = groups * (np.ceil(rows / stack.tile) * np.ceil(cols / stack.tile))
    waves = np.ceil(tiles / stack.processors) * stack.processors
    area = np.square(stack.tile)
    return tiles * area + stack.wave * ((waves - tiles) * area)


def alignment_speed(inner: Num, cols: Num, element_bytes: Num, stack: Stack) -> Num:
    """Relative speed of a product by the alignment of its rows: ``misaligned^(log₂(16/a)/3)``.

    ``a`` is the largest power of two, up to 16 bytes, that divides the length of every stored row.

    Args:
        inner, cols: length of the stored rows of the operands and of the result [element].
        element_bytes: size of an element [B].
        stack: gives ``misaligned``, the relative speed at an alignment of 2 bytes.

    Source: NVIDIA, Matrix Multiplication Background User's Guide, section 4.1: tensor cores need multiples of 16 bytes.

    >>> s = Stack("s", architecture="ampere", misaligned=0.4)
    >>> float(alignment_speed(4096, 50304, 2.0, s)), float(alignment_speed(4096, 50257, 2.0, s))
    (1.0, 0.4)
    """
    rows = ((np.floor(inner) * element_bytes).astype(np.int64) | (np.floor(cols) * element_bytes).astype(np.int64)) | ALIGNED_BYTES
    speed: Num = np.power(stack.misaligned, MISALIGNMENT[rows & -rows])  # the lowest set bit is the largest power of two that divides both
    return speed


def product_seconds(
    rows: Num, cols: Num, depth: Num, groups: Num, peak: Num, share: Num, bandwidth: Num, stack: Stack, *,
    element_bytes: Num, output_bytes: Num,
) -> Num:  # fmt: skip
    """Seconds of ``groups`` products ``rows × depth`` by ``depth × cols``: the slower of arithmetic and memory.

    ``t = max(2·K·E / rate, bytes / (memory · bandwidth))`` with ``rate = peak · share · K / (K + K_half)`` and ``E`` from
    :func:`tiled_elements`.

    Args:
        rows, cols, depth: M, N, K of one product [element].
        groups: products in one launch [1].
        peak: dense peak [FLOP/s].
        share: share of the peak that large products reach [1].
        bandwidth: data-sheet bandwidth of the memory [B/s].
        element_bytes, output_bytes: size of an element of the operands and of the result [B].

    Returns:
        time [s], broadcast over all arguments; never less than FLOPs over peak or bytes over bandwidth.

    Source: Williams, Waterman, Patterson 2009 (Commun. ACM 52:65), the roofline. The rate reproduces DeepGEMM's table of FP8
    products (README, H800, K from 512 to 16,384) within 4 %.

    >>> s = Stack("s", architecture="hopper")
    >>> round(1e3 * float(product_seconds(8192., 8192., 8192., 1., 989e12, .7, 3.35e12, s, element_bytes=2., output_bytes=2.)), 2)
    1.65
    """
    arithmetic = tiled_elements(rows, cols, groups, stack) * (depth + stack.half_depth) * (2.0 / (peak * share))
    moved = groups * (element_bytes * (depth * (rows + cols)) + output_bytes * (rows * cols))
    slower: Num = np.maximum(arithmetic, moved * (1.0 / (stack.memory * bandwidth)))
    return slower


def fused_attention_seconds(tokens: Num, heads: Num, width: Num, keys: Num, length: Num, peak: Num, stack: Stack, *, backward: Num) -> Num:
    """Seconds of one forward pass of fused attention, or of one backward pass including the recomputed scores.

    ``t = 2·T·a·(d_qk + d_v)·(keys + t_k/2) · B / (peak · share · d/(d + d_half) · S/(S + S_half))`` with ``d = (d_qk + d_v)/2``. For ``d >
    128`` the share of the backward pass is multiplied by ``wide_backward``, since its tiles are then smaller.

    Args:
        tokens, heads: T and a on this accelerator [1].
        width: ``d_qk + d_v`` [element].
        keys: mean number of keys that a query attends to [1].
        length: sequence length S [token].
        peak: dense BF16 peak [FLOP/s].
        stack: shares, half-speed sizes and tile.
        backward: 1 for a backward pass, 0 for a forward pass; arrays may hold both.

    Source: Dao 2023 (arXiv:2307.08691), section 3.1 for the FLOPs; Shah et al. 2024 (arXiv:2407.08608), figures 5 and 6, for the
    dependence on width and length.

    >>> s = Stack("fa3", architecture="hopper", attention_forward=0.85)
    >>> t = fused_attention_seconds(16384., 16., 256., 2048.5, 4096., 989.4e12, s, backward=0.)
    >>> round(2 * 16384 * 16 * 256 * 2048.5 / float(t) / 1e12)  # the paper's own measure: 579 TFLOP/s
    579
    """
    flop = 2.0 * tokens * heads * width * (keys + stack.keys_tile / 2) * (1.0 + backward * (stack.backward_flops - 1.0))
    head = width / 2
    backward_share = stack.attention_backward * np.where(head > WIDE_HEAD, stack.wide_backward, 1.0)
    share = stack.attention_forward + backward * (backward_share - stack.attention_forward)
    return flop / (peak * share * head / (head + stack.half_head) * length / (length + stack.half_length))


WIDE_HEAD = 128.0
"""Head width above which the backward pass of fused attention uses smaller tiles [element]: FlashAttention's ``tile_size``."""


def unfused_attention_seconds(
    tokens: Num, heads: Num, width: Num, length: Num, peak: Num, bandwidth: Num, stack: Stack, *, backward: Num
) -> Num:
    """Seconds of attention by batched products over all pairs of tokens, with the scores stored in memory.

    ``t = 2·T·a·(d_qk + d_v)·S·(1 + B) / (peak · share · d/(d + d_half)) + T·a·S·bytes / (memory · bandwidth)``, ``B = backward``.

    Args:
        tokens, heads, width, length, peak, stack, backward: as for :func:`fused_attention_seconds`.
        bandwidth: data-sheet bandwidth of the memory [B/s].

    Returns:
        time [s], broadcast over all arguments.

    Source: Korthikanti et al. 2022 (arXiv:2205.05198), section 4: the tensors of size ``a·s²·b``.
    """
    scores = tokens * heads * length
    flop = 2.0 * scores * width * (1.0 + backward)
    head = width / 2
    return flop / (peak * stack.bf16 * head / (head + stack.half_head)) + stream_seconds(scores * stack.score_bytes, bandwidth, stack)


def stream_seconds(moved: Num, bandwidth: Num, stack: Stack) -> Num:
    """Seconds to stream bytes through memory: ``bytes / (memory · bandwidth)`` [s]."""
    return moved / (stack.memory * bandwidth)
