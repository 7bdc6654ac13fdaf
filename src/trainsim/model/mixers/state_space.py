"""Selective state-space mixers: Mamba and Mamba-2."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal, Self

from ...core.errors import SpecError
from ...core.spec import Count, invariant
from ..attention.base import Attention
from ..ops import Convolve, MatMul, Op, Scan, Stream


class Mamba2(Attention):
    """State-space duality: a scan whose decay is one number a head and token (Dao & Gu 2024, arXiv:2405.21060, sections 6 and 7).

    ``S_t = a_t S_{t−1} + b_t x_tᵀ``, ``y_t = c_t S_t + d x_t``; ``x``, ``b`` and ``c`` pass a short convolution. Every head has its own
    scores, as in the reference algorithm; kernels may share the scores of a group.

    Args:
        heads, head_dim: heads, and width of each; together the inner width.
        state: elements of the state per channel, ``N``.
        groups: groups of heads that share ``b`` and ``c``.
        taps: tokens of the short convolution.
        chunk: tokens of a chunk.
        norm: whether the gated output has a norm.
        projection_bias: biases of the input and output projections, of one, or none.
        convolution_bias: a bias per channel of the convolution.

    Raises:
        SpecError: heads that ``groups`` doesn't divide.

    >>> [op.name for op in Mamba2(heads=64, head_dim=64, state=128, groups=8).ops(2688)]
    ['in', 'convolution', 'rates', 'core', 'norm', 'out']
    """

    section: ClassVar[str] = "mixer"
    heads: Count
    head_dim: Count
    state: Count
    groups: Count = 1
    taps: Count = 4
    chunk: Count = 256
    norm: Literal["gated", "none"] = "gated"
    projection_bias: Literal["none", "in", "out", "both"] = "none"
    convolution_bias: Literal["none", "channel"] = "channel"

    @invariant
    def _consistent(self) -> Self:
        if self.heads % self.groups:
            divisors = ", ".join(str(d) for d in range(1, min(self.heads, 4096) + 1) if self.heads % d == 0)
            raise SpecError("groups", self.groups, f"does not divide heads={self.heads}", f"divisors: {divisors}", "conflict")
        return self

    def ops(self, hidden: int) -> Iterator[Op]:
        """One projection of gate, ``x``, ``b``, ``c`` and steps; convolution, scan, gated norm, output."""
        width = self.heads * self.head_dim
        mixed = width + 2 * self.groups * self.state
        given = width + mixed + self.heads
        before, after = (self.projection_bias in (end, "both") for end in ("in", "out"))
        bias = mixed * (self.convolution_bias == "channel")
        yield MatMul(name="in", inner=hidden, cols=given, axes=("hidden", "head"), bias=given * before, saved=hidden)
        yield Convolve(name="convolution", channels=mixed, taps=self.taps, bias=bias, saved=mixed)
        yield Stream(name="rates", params=3 * self.heads, role="bias", axis="head", read=self.heads, written=self.heads, saved=self.heads)
        kept = float(mixed + self.heads + width)
        yield Scan(name="core", heads=self.heads, d_k=self.state, d_v=self.head_dim, chunk=self.chunk, saved=kept)
        vector = width * (self.norm == "gated")
        yield Stream(name="norm", params=vector, axis="head", read=2 * width, written=width, saved=width)
        yield MatMul(name="out", inner=width, cols=hidden, axes=("head", "hidden"), bias=hidden * after, saved=width)


class Mamba(Attention):
    """The first selective state-space mixer: one recurrence per channel (Gu & Dao 2023, arXiv:2312.00752, algorithm 2).

    ``h_t = exp(Δ_t A) h_{t−1} + Δ_t b_t x_t``, ``y_t = c_t h_t + d x_t``, token by token: two multiply-adds a channel and state element.

    Args:
        width: channels, the inner width.
        state: elements of the state per channel, ``N``.
        rank: width of the step's low-rank projection.
        taps: tokens of the short convolution.
        norms: whether steps, ``b`` and ``c`` have norms with parameters (Jamba).
        projection_bias: biases of the input and output projections.
        convolution_bias: a bias per channel of the convolution.
        heads: heads of channels, each with its own projection of steps, ``b`` and ``c`` (Zamba); 1 in Mamba itself.

    Raises:
        SpecError: channels that ``heads`` doesn't divide.

    >>> [op.name for op in Mamba(width=8192, state=16, rank=256).ops(4096)]
    ['in', 'convolution', 'select', 'step', 'rates', 'core', 'gate', 'out']
    """

    section: ClassVar[str] = "mixer"
    width: Count
    state: Count
    rank: Count
    taps: Count = 4
    norms: Literal["none", "rms"] = "none"
    projection_bias: Literal["none", "both"] = "none"
    convolution_bias: Literal["none", "channel"] = "channel"
    heads: Count = 1

    @invariant
    def _consistent(self) -> Self:
        if self.width % self.heads:
            raise SpecError("heads", self.heads, f"does not divide width={self.width}", "give a divisor", "conflict")
        return self

    def ops(self, hidden: int) -> Iterator[Op]:
        """Projection of ``x`` and gate, convolution, selection of steps, ``b`` and ``c``; scan, gate, output."""
        width, selected, each = self.width, self.rank + 2 * self.state, self.width // self.heads
        has = self.projection_bias == "both"
        bias = width * (self.convolution_bias == "channel")
        yield MatMul(name="in", inner=hidden, cols=2 * width, axes=("hidden", "head"), bias=2 * width * has, saved=hidden)
        yield Convolve(name="convolution", channels=width, taps=self.taps, bias=bias, saved=width)
        yield MatMul(name="select", inner=each, cols=selected * self.heads, axes=("head", "rank"), saved=width)
        if self.norms == "rms":
            yield Stream(name="selected_norms", params=selected, axis="rank", read=selected, written=selected, saved=selected)
        yield MatMul(name="step", inner=self.rank, cols=width, axes=("rank", "head"), bias=width, saved=self.rank * self.heads)
        yield Stream(name="rates", params=width * (self.state + 1), role="bias", axis="head", read=width, written=width, saved=width)
        kept = float(2 * width + 2 * self.state * self.heads)
        yield Scan(name="core", heads=width, d_k=self.state, d_v=1, saved=kept)
        yield Stream(name="gate", axis="head", read=2 * width, written=width, saved=width)
        yield MatMul(name="out", inner=width, cols=hidden, axes=("head", "hidden"), bias=hidden * has, saved=width)
