"""Op → seconds: roofline with size-dependent efficiency.

Every function is pure and broadcasts over all its numbers, shapes ``(ops, n)`` over draws and layouts alike.
"""

from __future__ import annotations

import numpy as np

from ..core.units import Num
from .stack import Stack

WANTED = 16
"""Bytes whose multiples tensor cores load at full speed."""
SHORT = np.log2(WANTED / np.maximum(np.arange(WANTED + 1.0), 1.0)) / 3.0
"""By how much a row that so many bytes divide falls short of that, 1 at 2 bytes."""


def computed(rows: Num, cols: Num, groups: Num, stack: Stack) -> Num:
    """Output elements that a launch takes the time of: tiles are computed whole, and the last wave leaves processors idle.

    ``t²·[(1 − w)·W·P + w·⌈W⌉·P]``, ``W = G·⌈M/t⌉⌈N/t⌉ / P``.

    Args:
        rows, cols: output dimensions M, N of one product [element].
        groups: products G in one launch [1].
        stack: tile t, processors P and the weight w of the last wave.

    Returns:
        elements [1], at least ``G·M·N``.

    Source: NVIDIA, Matrix Multiplication Background User's Guide, sections on tile and wave quantization.

    >>> stack = Stack("s", architecture="hopper", tile=128.0, processors=128.0, wave=1.0)
    >>> float(computed(128.0 * 128, 128.0, 1.0, stack)) / (128 * 128 * 128), float(computed(64.0, 16384.0, 1.0, stack)) / (64 * 16384)
    (1.0, 2.0)
    """
    tiles = groups * (np.ceil(rows / stack.tile) * np.ceil(cols / stack.tile))
    waves = np.ceil(tiles / stack.processors) * stack.processors
    area = np.square(stack.tile)
    return tiles * area + stack.wave * ((waves - tiles) * area)


def aligned(inner: Num, cols: Num, element_bytes: Num, stack: Stack) -> Num:
    """Share of its speed that a product keeps whose rows don't start on 16-byte boundaries: ``misaligned^(log₂(16/a)/3)``.

    ``a`` is the largest power of two, up to 16 bytes, that divides every stored row; at 2 bytes the whole penalty is paid.

    Args:
        inner, cols: stored rows of the operands and of the result [element].
        element_bytes: bytes of each [B].
        stack: gives what is kept at 2 bytes.

    Source: NVIDIA, Matrix Multiplication Background User's Guide, section 4.1: tensor cores want multiples of 16 bytes.

    >>> s = Stack("s", architecture="ampere", misaligned=0.4)
    >>> float(aligned(4096, 50304, 2.0, s)), float(aligned(4096, 50257, 2.0, s))
    (1.0, 0.4)
    """
    rows = ((np.floor(inner) * element_bytes).astype(np.int64) | (np.floor(cols) * element_bytes).astype(np.int64)) | WANTED
    kept: Num = np.power(stack.misaligned, SHORT[rows & -rows])  # the lowest bit set is the largest power of two that divides both
    return kept


def product_seconds(
    rows: Num, cols: Num, depth: Num, groups: Num, peak: Num, share: Num, bandwidth: Num, stack: Stack, *,
    element_bytes: Num, output_bytes: Num,
) -> Num:  # fmt: skip
    """Seconds of ``groups`` products ``rows × depth`` by ``depth × cols``: the slower of arithmetic and memory.

    ``t = max(2·K·E / rate, bytes / (memory · bandwidth))``, ``rate = peak · share · K / (K + K_half)``, ``E`` the elements computed,
    :func:`computed`.

    Args:
        rows, cols, depth: M, N, K of one product [element].
        groups: products in one launch [1].
        peak, share: dense peak [FLOP/s], and what large products reach of it.
        bandwidth: of the memory by the data sheet [B/s].
        element_bytes, output_bytes: per element of the operands, and per element of the result [B].

    Returns:
        seconds [s], broadcast over all arguments; never less than FLOPs over peak or bytes over bandwidth.

    Source: Williams, Waterman, Patterson 2009 (Commun. ACM 52:65), the roofline; the rate reproduces DeepGEMM's table of FP8 products
    (README, H800, K from 512 to 16,384) within 4 %.

    >>> s = Stack("s", architecture="hopper")
    >>> round(1e3 * float(product_seconds(8192., 8192., 8192., 1., 989e12, .7, 3.35e12, s, element_bytes=2., output_bytes=2.)), 2)
    1.65
    """
    arithmetic = computed(rows, cols, groups, stack) * (depth + stack.half_depth) * (2.0 / (peak * share))
    moved = groups * (element_bytes * (depth * (rows + cols)) + output_bytes * (rows * cols))
    slower: Num = np.maximum(arithmetic, moved * (1.0 / (stack.memory * bandwidth)))
    return slower


def fused_attention_seconds(tokens: Num, heads: Num, width: Num, keys: Num, length: Num, peak: Num, stack: Stack, *, backward: Num) -> Num:
    """Seconds of fused attention: one pass forward, or backward with the scores computed again.

    ``t = 2·T·a·(d_qk + d_v)·(keys + t_k/2) · B / (peak · share · d/(d + d_half) · S/(S + S_half))``, ``d = (d_qk + d_v)/2``; the share of
    backward falls by ``wide_backward`` where ``d > 128``, since its tiles then leave half the registers.

    Args:
        tokens, heads: T and a on this accelerator.
        width: ``d_qk + d_v`` [element].
        keys: mean keys a query sees [1].
        length: of the sequence, S [token].
        peak: dense BF16 peak [FLOP/s].
        stack: shares, ramps and tile.
        backward: 1 for backward, 0 for forward; arrays may hold both.

    Source: Dao 2023 (arXiv:2307.08691), section 3.1 for the FLOPs; the ramps follow Shah et al. 2024 (arXiv:2407.08608), figures 5, 6.

    >>> s = Stack("fa3", architecture="hopper", attention_forward=0.85)
    >>> t = fused_attention_seconds(16384., 16., 256., 2048.5, 4096., 989.4e12, s, backward=0.)
    >>> round(2 * 16384 * 16 * 256 * 2048.5 / float(t) / 1e12)  # the paper's own measure: 579 TFLOP/s
    579
    """
    flop = 2.0 * tokens * heads * width * (keys + stack.keys_tile / 2) * (1.0 + backward * (stack.backward_flops - 1.0))
    head = width / 2
    narrowed = stack.attention_backward * np.where(head > WIDE_HEAD, stack.wide_backward, 1.0)
    share = stack.attention_forward + backward * (narrowed - stack.attention_forward)
    return flop / (peak * share * head / (head + stack.half_head) * length / (length + stack.half_length))


WIDE_HEAD = 128.0
"""Head width above which backward of fused attention takes smaller tiles [element]: FlashAttention's ``tile_size`` by head width."""


def unfused_attention_seconds(
    tokens: Num, heads: Num, width: Num, length: Num, peak: Num, bandwidth: Num, stack: Stack, *, backward: Num
) -> Num:
    """Seconds of attention by batched products over all pairs, its scores passing through memory.

    ``t = 2·T·a·(d_qk + d_v)·S·(1 + B) / (peak · share · d/(d + d_half)) + T·a·S·bytes / (memory · bandwidth)``, ``B = 1`` in backward.

    Args:
        tokens, heads, width, length, peak, bandwidth, stack, backward: as for the fused kernel and for products.

    Source: Korthikanti et al. 2022 (arXiv:2205.05198), section 4: the tensors of size ``a·s²·b``.
    """
    scores = tokens * heads * length
    flop = 2.0 * scores * width * (1.0 + backward)
    head = width / 2
    return flop / (peak * stack.bf16 * head / (head + stack.half_head)) + stream_seconds(scores * stack.score_bytes, bandwidth, stack)


def stream_seconds(moved: Num, bandwidth: Num, stack: Stack) -> Num:
    """Seconds to stream bytes through memory: ``bytes / (memory · bandwidth)`` [s]."""
    return moved / (stack.memory * bandwidth)
