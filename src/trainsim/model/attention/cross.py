"""Cross-attention that nothing feeds: a decoder taken out of its encoder-decoder."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from ...core.spec import AsTuple, Count
from ..ops import MatMul, Op
from .base import Attention


class IdleCrossAttention(Attention):
    """Attention to another stream that a decoder trained alone stores and never runs (BART, arXiv:1910.13461, as a language model).

    Args:
        heads, head_dim: sizes.
        biases: which of the projections q, k, v, o have a bias.

    >>> sum(op.rows for op in IdleCrossAttention(heads=2, head_dim=8).ops(16))
    0.0
    """

    section: ClassVar[str] = "cross"
    heads: Count
    head_dim: Count
    biases: Annotated[tuple[Literal["q", "k", "v", "o"], ...], AsTuple] = ()

    def ops(self, hidden: int) -> Iterator[Op]:
        """The stored projections: no token passes them."""
        width = self.heads * self.head_dim
        for name in "qkv":
            bias = width * (name in self.biases)
            yield MatMul(name=name, inner=hidden, cols=width, axes=("hidden", "head"), rows=0.0, bias=bias)
        yield MatMul(name="o", inner=width, cols=hidden, axes=("head", "hidden"), rows=0.0, bias=hidden * ("o" in self.biases))
