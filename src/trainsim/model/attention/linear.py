"""Linear attention in chunks."""

from __future__ import annotations

from collections.abc import Iterator

from ...core.spec import Count
from ..ops import MatMul, Op, Scan, Stream
from .base import Attention


class LightningAttention(Attention):
    """Linear attention with decay, a norm and an output gate (MiniMax-01, arXiv:2501.08313, section 2.2).

    Inside a chunk of ``B`` tokens ``[(QKᵀ) ⊙ M] V``, across chunks ``Q · S`` with a state ``S ← λᴮ S + (λ-weighted K)ᵀ V`` of
    ``head_dim × head_dim`` per head (Lightning Attention-2, arXiv:2401.04658): the op ``Scan``, linear in the sequence.

    Args:
        heads, head_dim: every head has its own keys and values.
        chunk: tokens per chunk, ``B``.

    >>> [op.name for op in LightningAttention(heads=64, head_dim=128, chunk=256).ops(6144)]
    ['q', 'k', 'v', 'core', 'norm', 'gate', 'o']
    """

    heads: Count
    head_dim: Count
    chunk: Count

    def ops(self, hidden: int) -> Iterator[Op]:
        """Projections, scan, norm of the result, gate, output."""
        width = self.heads * self.head_dim
        for i, name in enumerate("qkv"):
            yield MatMul(name=name, inner=hidden, cols=width, axes=("hidden", "head"), saved=0.0 if i else float(hidden))
        yield Scan(name="core", heads=self.heads, d_k=self.head_dim, d_v=self.head_dim, chunk=self.chunk, saved=4.0 * width)
        yield Stream(name="norm", params=width, axis="head", read=width, written=width, saved=width)
        yield MatMul(name="gate", inner=hidden, cols=width, axes=("hidden", "head"))
        yield MatMul(name="o", inner=width, cols=hidden, axes=("head", "hidden"), saved=2.0 * width)
