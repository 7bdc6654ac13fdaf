"""Cross-attention: to the outputs of an encoder or a vision tower."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from ...core.spec import AsTuple, Count
from ..masks import TowerKeys
from ..ops import Attend, MatMul, Op, Stream
from .base import Attention


class CrossAttention(Attention):
    """Queries of the sequence, keys and values of a tower's tokens (Vaswani et al. 2017, arXiv:1706.03762, section 3.2.3).

    Args:
        tower: the tower whose tokens are attended to; it has no tokens until it is given an input.
        heads, kv_heads, head_dim: sizes.
        source_width: width of the tower's outputs; None for that of the sequence's own residual stream.
        biases: which of the projections q, k, v, o have a bias.
        qk_norm: a norm per head on queries and keys.

    >>> [op.name for op in CrossAttention(tower="encoder", heads=8, kv_heads=8, head_dim=64).ops(512)]
    ['q', 'k', 'v', 'core', 'o']
    """

    section: ClassVar[str] = "cross"
    tower: str
    heads: Count
    kv_heads: Count
    head_dim: Count
    source_width: Count | None = None
    biases: Annotated[tuple[Literal["q", "k", "v", "o"], ...], AsTuple] = ()
    qk_norm: Literal["none", "head"] = "none"

    def ops(self, hidden: int) -> Iterator[Op]:
        """Queries, keys and values of the tower, core, output."""
        q, kv, source = self.heads * self.head_dim, self.kv_heads * self.head_dim, self.source_width or hidden
        yield MatMul(name="q", inner=hidden, cols=q, axes=("hidden", "head"), bias=q * ("q" in self.biases), saved=hidden)
        for i, name in enumerate(("k", "v")):
            bias, saved = kv * (name in self.biases), 0.0 if i else float(source)
            yield MatMul(name=name, inner=source, cols=kv, axes=("hidden", "kv"), bias=bias, saved=saved, over=self.tower)
        if self.qk_norm == "head":
            yield Stream(name="q_norm", params=self.head_dim, axis="head", read=q, written=q, saved=q)
            yield Stream(name="k_norm", params=self.head_dim, axis="kv")
        yield Attend(name="core", heads=self.heads, d_qk=self.head_dim, d_v=self.head_dim, mask=TowerKeys(self.tower), saved=2.0 * q)
        yield MatMul(name="o", inner=q, cols=hidden, axes=("head", "hidden"), bias=hidden * ("o" in self.biases))


class IdleCrossAttention(Attention):
    """Cross-attention that a decoder without its encoder stores and never runs (BART, arXiv:1910.13461, as a language model).

    Args:
        heads, head_dim: sizes.
        source_width: width of the encoder's outputs; None for that of the decoder's own residual stream.
        biases: which of the projections q, k, v, o have a bias.

    >>> sum(op.rows for op in IdleCrossAttention(heads=2, head_dim=8).ops(16))
    0.0
    """

    section: ClassVar[str] = "cross"
    heads: Count
    head_dim: Count
    source_width: Count | None = None
    biases: Annotated[tuple[Literal["q", "k", "v", "o"], ...], AsTuple] = ()

    def ops(self, hidden: int) -> Iterator[Op]:
        """The stored projections, which no token uses."""
        width = self.heads * self.head_dim
        for name in "qkv":
            bias = width * (name in self.biases)
            inner = hidden if name == "q" else self.source_width or hidden
            yield MatMul(name=name, inner=inner, cols=width, axes=("hidden", "head"), rows=0.0, bias=bias)
        yield MatMul(name="o", inner=width, cols=hidden, axes=("head", "hidden"), rows=0.0, bias=hidden * ("o" in self.biases))
