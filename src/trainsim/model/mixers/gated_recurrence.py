"""Gated linear recurrences without a matrix state."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Self

from ...core.errors import SpecError
from ...core.spec import Count, invariant
from ..attention.base import Attention
from ..ops import Convolve, MatMul, Op, Stream


class GatedLinearRecurrence(Attention):
    """The real-gated linear recurrent unit behind a short convolution (Griffin, De et al. 2024, arXiv:2402.19427, eq. 1-4).

    ``h_t = a_t ⊙ h_{t−1} + √(1 − a_t²) ⊙ (i_t ⊙ x_t)``: this is element-wise, so no convention counts it. The gates are products with
    block-diagonal matrices.

    Args:
        width: channels of the recurrence.
        blocks: blocks of the gates' matrices.
        taps: tokens of the short convolution.

    Raises:
        SpecError: channels that ``blocks`` doesn't divide.

    >>> [op.name for op in GatedLinearRecurrence(width=2560, blocks=10).ops(2560)]
    ['x', 'y', 'convolution', 'input_gate', 'recurrence_gate', 'recurrence', 'gate', 'out']
    """

    section: ClassVar[str] = "mixer"
    width: Count
    blocks: Count
    taps: Count = 4

    @invariant
    def _consistent(self) -> Self:
        if self.width % self.blocks:
            raise SpecError("blocks", self.blocks, f"does not divide width={self.width}", "give a divisor", "conflict")
        return self

    def ops(self, hidden: int) -> Iterator[Op]:
        """Two projections, convolution, gates, recurrence, output; all with biases."""
        width, each = self.width, self.width // self.blocks
        yield MatMul(name="x", inner=hidden, cols=width, axes=("hidden", "head"), bias=width, saved=hidden)
        yield MatMul(name="y", inner=hidden, cols=width, axes=("hidden", "head"), bias=width)
        yield Convolve(name="convolution", channels=width, taps=self.taps, bias=width, saved=width)
        yield MatMul(name="input_gate", inner=each, cols=width, axes=("head", "head"), bias=width, saved=width)
        yield MatMul(name="recurrence_gate", inner=each, cols=width, axes=("head", "head"), bias=width)
        yield Stream(name="recurrence", params=width, role="bias", axis="head", read=3 * width, written=width, saved=3 * width)
        yield Stream(name="gate", axis="head", read=2 * width, written=width, saved=2 * width)
        yield MatMul(name="out", inner=width, cols=hidden, axes=("head", "hidden"), bias=hidden, saved=width)
