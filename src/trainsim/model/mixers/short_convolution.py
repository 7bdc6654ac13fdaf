"""Gated short convolutions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

from ...core.spec import Count
from ..attention.base import Attention
from ..ops import Convolve, MatMul, Op, Stream


class ShortConvolution(Attention):
    """A gate, a depthwise convolution over a few tokens, and a gate again (LFM2, Liquid AI 2025, arXiv:2511.23404, section 2).

    ``y = C ⊙ conv(B ⊙ x)`` with ``B``, ``C`` and ``x`` from one projection.

    Args:
        taps: number of tokens in the weighted sum of a channel.
        bias: biases of projections and convolution.

    >>> [op.name for op in ShortConvolution(taps=3).ops(2048)]
    ['in', 'gate.in', 'convolution', 'gate.out', 'out']
    """

    section: ClassVar[str] = "mixer"
    taps: Count
    bias: Literal["none", "all"] = "none"

    def ops(self, hidden: int) -> Iterator[Op]:
        """Projection, gate, convolution, gate, output."""
        has = self.bias == "all"
        yield MatMul(name="in", inner=hidden, cols=3 * hidden, axes=("hidden", "head"), bias=3 * hidden * has, saved=hidden)
        yield Stream(name="gate.in", axis="head", read=2 * hidden, written=hidden, saved=2 * hidden)
        yield Convolve(name="convolution", channels=hidden, taps=self.taps, bias=hidden * has, saved=hidden)
        yield Stream(name="gate.out", axis="head", read=2 * hidden, written=hidden, saved=2 * hidden)
        yield MatMul(name="out", inner=hidden, cols=hidden, axes=("head", "hidden"), bias=hidden * has, saved=hidden)
