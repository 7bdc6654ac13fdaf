"""Multi-head, multi-query and grouped-query attention."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import model_validator

from ...core.errors import SpecError
from ...core.spec import AsTuple, Count
from ..masks import Causal, Chunked, Mask, SlidingWindow
from ..ops import Attend, MatMul, Op, Stream
from .base import Attention


class GroupedQueryAttention(Attention):
    """Softmax attention whose key and value heads serve groups of query heads (Ainslie et al. 2023, arXiv:2305.13245).

    ``kv_heads = heads`` is multi-head, ``kv_heads = 1`` multi-query attention.

    Args:
        heads, kv_heads, head_dim: sizes; ``heads · head_dim`` need not be the hidden size.
        window: keys a query sees, its own included; None for all.
        chunk: causal inside chunks of this many tokens; None for one chunk.
        biases: which of the projections q, k, v, o have a bias.
        qk_norm: a norm on queries and keys: per head (one vector of ``head_dim``), over the full width, or weightless.
        sinks: one learned logit per head in the softmax (gpt-oss).

    Raises:
        SpecError: heads that ``kv_heads`` doesn't divide, or window and chunk at once.

    >>> [op.name for op in GroupedQueryAttention(heads=32, kv_heads=8, head_dim=128).ops(4096)]
    ['q', 'k', 'v', 'core', 'o']
    """

    heads: Count
    kv_heads: Count
    head_dim: Count
    window: Count | None = None
    chunk: Count | None = None
    biases: Annotated[tuple[Literal["q", "k", "v", "o"], ...], AsTuple] = ()
    qk_norm: Literal["none", "head", "full", "weightless"] = "none"
    qk_norm_bias: Literal["none", "bias"] = "none"
    sinks: Literal["none", "head"] = "none"

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.heads % self.kv_heads:
            divisors = ", ".join(str(d) for d in range(1, min(self.heads, 4096) + 1) if self.heads % d == 0)
            raise SpecError("kv_heads", self.kv_heads, f"does not divide heads={self.heads}", f"divisors: {divisors}")
        if self.window is not None and self.chunk is not None:
            raise SpecError("chunk", self.chunk, f"stands beside window={self.window}", "a layer has a window or chunks, not both")
        return self

    @property
    def mask(self) -> Mask:
        """Which keys a query sees."""
        if self.window is not None:
            return SlidingWindow(self.window)
        return Causal() if self.chunk is None else Chunked(self.chunk)

    def ops(self, hidden: int) -> Iterator[Op]:
        """Projections, norms of queries and keys, core, output."""
        q, kv = self.heads * self.head_dim, self.kv_heads * self.head_dim
        yield MatMul(name="q", inner=hidden, cols=q, axes=("hidden", "head"), bias=q * ("q" in self.biases), saved=hidden)
        yield MatMul(name="k", inner=hidden, cols=kv, axes=("hidden", "kv"), bias=kv * ("k" in self.biases))
        yield MatMul(name="v", inner=hidden, cols=kv, axes=("hidden", "kv"), bias=kv * ("v" in self.biases))
        if self.qk_norm != "none":
            wide = {"head": (self.head_dim, self.head_dim), "full": (q, kv), "weightless": (0, 0)}[self.qk_norm]
            vectors = 2 if self.qk_norm_bias == "bias" else 1
            yield Stream(name="q_norm", params=wide[0] * vectors, axis="head", read=q, written=q, saved=q)
            yield Stream(name="k_norm", params=wide[1] * vectors, axis="kv", read=kv, written=kv, saved=kv)
        yield Attend(name="core", heads=self.heads, d_qk=self.head_dim, d_v=self.head_dim, mask=self.mask, saved=q + 2 * kv + q)
        if self.sinks == "head":
            yield Stream(name="sinks", params=self.heads, axis="head", role="bias")
        yield MatMul(name="o", inner=q, cols=hidden, axes=("head", "hidden"), bias=hidden * ("o" in self.biases))
