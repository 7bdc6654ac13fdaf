"""The matrix LSTM of xLSTM: a matrix state with exponential gates."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

from ...core.spec import Count
from ..attention.base import Attention
from ..ops import MatMul, Op, Scan, Stream


class MatrixLSTM(Attention):
    """The mLSTM of xLSTM-7B (Beck et al. 2025, arXiv:2503.13427, section 2).

    ``C_t = f_t C_{t−1} + i_t k_t v_tᵀ``, ``n_t = f_t n_{t−1} + i_t k_t``, ``h_t = C_tᵀ q_t / max(|n_tᵀ q_t|, e^{−m_t})``: one scan of a
    matrix and one of a vector. The output is normed per head and gated.

    Args:
        heads, key_dim, value_dim: heads, and the widths of a head's queries and keys, and of its values.
        chunk: tokens of a chunk.
        bias: biases of all projections; those of the input and forget gates always have one.

    >>> [op.name for op in MatrixLSTM(heads=8, key_dim=256, value_dim=512).ops(4096)]
    ['q', 'k', 'v', 'gate', 'input_gate', 'forget_gate', 'core', 'normalizer', 'norm', 'gated', 'o']
    """

    section: ClassVar[str] = "mixer"
    heads: Count
    key_dim: Count
    value_dim: Count
    chunk: Count = 64
    bias: Literal["none", "all"] = "none"

    def ops(self, hidden: int) -> Iterator[Op]:
        """Projections, gates, scans of the state and of its normalizer, norm per head, gate, output."""
        keys, values, heads, has = self.heads * self.key_dim, self.heads * self.value_dim, self.heads, self.bias == "all"
        for i, (name, cols) in enumerate((("q", keys), ("k", keys), ("v", values), ("gate", values))):
            saved = 0.0 if i else float(hidden)
            yield MatMul(name=name, inner=hidden, cols=cols, axes=("hidden", "head"), bias=cols * has, saved=saved)
        for name in ("input_gate", "forget_gate"):
            yield MatMul(name=name, inner=hidden, cols=heads, axes=("hidden", "head"), bias=heads)
        kept = float(2 * keys + values + 2 * heads)
        yield Scan(name="core", heads=heads, d_k=self.key_dim, d_v=self.value_dim, chunk=self.chunk, saved=kept)
        yield Scan(name="normalizer", heads=heads, d_k=self.key_dim, d_v=1, state_products=1, saved=2.0 * heads)
        yield Stream(name="norm", params=values * (1 + has), axis="head", read=values, written=values, saved=values)
        yield Stream(name="gated", axis="head", read=2 * values, written=values, saved=2 * values)
        yield MatMul(name="o", inner=values, cols=hidden, axes=("head", "hidden"), bias=hidden * has, saved=values)
