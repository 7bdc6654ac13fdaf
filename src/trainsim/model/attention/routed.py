"""Mixture of attention heads: queries and outputs are experts, keys and values are shared."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, Self

from ...core.errors import SpecError
from ...core.spec import Count, invariant
from ..masks import Causal
from ..ops import Attend, MatMul, Op, Stream
from .base import Attention


class RoutedAttention(Attention):
    """A router picks ``top_k`` of ``experts`` query-and-output projections; all share keys and values (JetMoE, arXiv:2404.07413).

    All experts are stored and ``top_k`` run: a token attends with ``top_k · kv_heads`` heads.

    Args:
        experts, top_k: attention experts, and number of experts that each token uses.
        kv_heads, head_dim: key and value heads, which are also the query heads of one expert.
        output_bias: a bias on the merged output of the experts.

    Raises:
        SpecError: more experts per token than there are experts.

    >>> routed = RoutedAttention(experts=8, top_k=2, kv_heads=16, head_dim=128)
    >>> [op.name for op in routed.ops(2048)]
    ['router', 'experts.q', 'k', 'v', 'core', 'experts.o']
    """

    experts: Count
    top_k: Count
    kv_heads: Count
    head_dim: Count
    output_bias: Literal["none", "hidden"] = "none"

    @invariant
    def _consistent(self) -> Self:
        if self.top_k > self.experts:
            raise SpecError("top_k", self.top_k, f"is above experts={self.experts}", f"give at most {self.experts}", "out-of-bounds")
        return self

    def ops(self, hidden: int) -> Iterator[Op]:
        """Route, project the queries of the chosen experts, attend, project back."""
        width = self.kv_heads * self.head_dim
        e, k = self.experts, self.top_k
        yield MatMul(name="router", inner=hidden, cols=e, axes=("hidden", "expert"), role="router", saved=hidden)
        yield MatMul(name="experts.q", inner=hidden, cols=width, axes=("hidden", "head"), experts=e, top_k=k, saved=float(k * hidden))
        yield MatMul(name="k", inner=hidden, cols=width, axes=("hidden", "kv"))
        yield MatMul(name="v", inner=hidden, cols=width, axes=("hidden", "kv"))
        saved = 2.0 * k * width + 2 * width
        yield Attend(name="core", heads=k * self.kv_heads, d_qk=self.head_dim, d_v=self.head_dim, mask=Causal(), saved=saved)
        yield MatMul(name="experts.o", inner=width, cols=hidden, axes=("head", "hidden"), experts=e, top_k=k)
        if self.output_bias == "hidden":
            yield Stream(name="bias", params=hidden, role="bias", read=hidden, written=hidden)
