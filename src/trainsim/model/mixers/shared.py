"""A transformer block whose weights several layers share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, ClassVar, Literal, Self

from ...core.errors import SpecError
from ...core.spec import AsTuple, Count, invariant
from ..attention.base import Attention
from ..masks import Causal
from ..ops import Attend, MatMul, Op, Stream

Adapted = Literal["q", "k", "v", "ffn"]


class SharedTransformer(Attention):
    """Attention and a gated feed-forward over the stream and the embedding, with weights that several layers share (Zamba).

    ``y = W FFN(norm(Attention(norm([x, x₀]))))``: the block reads the stream and the embedding side by side. Only ``W`` and the low-rank
    adapters belong to the layer itself. Every use costs FLOPs; the shared weights are stored once. The exchange of their gradients between
    pipeline stages isn't timed.

    Args:
        heads, kv_heads, head_dim: sizes of the attention.
        width: inner width of the feed-forward.
        bias: biases of the feed-forward.
        adapted, adapter_rank: products with an adapter in this layer, and width between the two factors of an adapter.
        adapters: number of adapters that this layer stores for each of these products; it runs one of them.
        stored_in: kind of layer that stores the shared weights; None if this layer does.

    Raises:
        SpecError: key heads that don't divide the heads, or adapters without a rank.

    Source: Glorioso et al. 2024, arXiv:2405.16712, section 2 (Zamba), and arXiv:2411.15242, figure 2 (Zamba2).

    >>> [op.name for op in SharedTransformer(heads=4, kv_heads=4, head_dim=8, width=64, adapted=("ffn",), adapter_rank=4).ops(16)][-6:]
    ['adapters.gate_up.down', 'adapters.gate_up.up', 'activation', 'down', 'join', 'added']
    """

    section: ClassVar[str] = "shared"
    heads: Count
    kv_heads: Count
    head_dim: Count
    width: Count
    bias: Literal["none", "both"] = "none"
    adapted: Annotated[tuple[Adapted, ...], AsTuple] = ()
    adapter_rank: Count | None = None
    adapters: Count = 1
    stored_in: str | None = None

    @invariant
    def _consistent(self) -> Self:
        if self.heads % self.kv_heads:
            raise SpecError("kv_heads", self.kv_heads, f"does not divide heads={self.heads}", "give a divisor", "conflict")
        if self.adapted and self.adapter_rank is None:
            raise SpecError("adapter_rank", None, "is needed by the adapters", "give it, or no adapters", "missing")
        return self

    def ops(self, hidden: int) -> Iterator[Op]:
        """Norm of both streams, attention, norm, feed-forward, and the layer's own projection."""
        both, q, kv = 2 * hidden, self.heads * self.head_dim, self.kv_heads * self.head_dim
        yield self._norm("norm", both)
        projections: tuple[tuple[Adapted, int], ...] = (("q", q), ("k", kv), ("v", kv))
        for i, (name, cols) in enumerate(projections):
            axes: tuple[Literal["hidden"], Literal["head", "kv"]] = ("hidden", "kv" if i else "head")
            yield self._product(MatMul(name=name, inner=both, cols=cols, axes=axes, saved=0.0 if i else float(both)))
            yield from self._adapter(name, name, both, cols)
        yield Attend(name="core", heads=self.heads, d_qk=self.head_dim, d_v=self.head_dim, mask=Causal(), saved=2.0 * q + 2 * kv)
        yield self._product(MatMul(name="o", inner=q, cols=hidden, axes=("head", "hidden")))
        yield self._norm("ffn_norm", hidden)
        bias = self.width * (self.bias == "both") * (self.stored_in is None)
        for i, half in enumerate(("gate", "up")):
            saved = 0.0 if i else float(hidden)
            yield self._product(MatMul(name=half, inner=hidden, cols=self.width, axes=("hidden", "ffn"), bias=bias, saved=saved))
        yield from self._adapter("ffn", "gate_up", hidden, 2 * self.width)
        yield Stream(name="activation", axis="ffn", read=2 * self.width, written=self.width, saved=2 * self.width)
        bias = hidden * (self.bias == "both") * (self.stored_in is None)
        yield self._product(MatMul(name="down", inner=self.width, cols=hidden, axes=("ffn", "hidden"), bias=bias, saved=self.width))
        yield MatMul(name="join", inner=hidden, cols=hidden, saved=hidden)
        yield Stream(name="added", read=2 * hidden, written=hidden)

    def _product(self, op: MatMul) -> MatMul:
        """A product with a shared weight."""
        return replace(op, tied=self.stored_in is not None, owner=self.stored_in or "")

    def _norm(self, name: str, width: int) -> Stream:
        return Stream(name=name, params=width * (self.stored_in is None), read=width, written=width, saved=width)

    def _adapter(self, part: Adapted, name: str, inner: int, cols: int) -> Iterator[Op]:
        """Two products of low rank beside a shared one."""
        if part in self.adapted and self.adapter_rank is not None:
            rank, stored = self.adapter_rank, self.adapters
            axis: Literal["head", "ffn"] = "ffn" if part == "ffn" else "head"
            yield MatMul(name=f"adapters.{name}.down", inner=inner, cols=rank, axes=("hidden", "rank"), experts=stored)
            yield MatMul(name=f"adapters.{name}.up", inner=rank, cols=cols, axes=("rank", axis), experts=stored, saved=rank)
