"""Multi-head latent attention."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from ...core.spec import AsTuple, Count
from ..masks import Causal
from ..ops import Attend, MatMul, Op, Stream
from .base import Attention


class LatentAttention(Attention):
    """Keys and values rebuilt from one compressed vector per token (DeepSeek-V2, arXiv:2405.04434, section 2.1, eq. 9-19).

    Args:
        heads: query heads, each with its own keys and values after expansion.
        kv_rank: width of the compressed key-value vector, ``d_c``.
        q_rank: width of the compressed query, ``d'_c``; None for a full query projection.
        nope_dim, rope_dim: key width per head without and with rotary position; the rotary key is shared by all heads.
        v_dim: value width per head.
        biases: which of q, kv, o have a bias (on the down projections where there is one).

    >>> v3 = LatentAttention(heads=128, kv_rank=512, q_rank=1536, nope_dim=128, rope_dim=64, v_dim=128)
    >>> sum(op.inner * op.cols for op in v3.ops(7168) if hasattr(op, "inner"))
    187105280
    """

    heads: Count
    kv_rank: Count
    q_rank: Count | None = None
    nope_dim: Count
    rope_dim: Count
    v_dim: Count
    biases: Annotated[tuple[Literal["q", "kv", "o"], ...], AsTuple] = ()

    @property
    def kv_cache_width(self) -> int:
        """Elements a decoder keeps per token and layer: ``d_c + d_rope`` (section 2.1.4, table 1)."""
        return self.kv_rank + self.rope_dim

    def ops(self, hidden: int) -> Iterator[Op]:
        """Compress, expand, attend, project; the expanded (training) form."""
        d_qk = self.nope_dim + self.rope_dim
        q, kv, v = self.heads * d_qk, self.heads * (self.nope_dim + self.v_dim), self.heads * self.v_dim
        if self.q_rank is None:
            yield MatMul(name="q", inner=hidden, cols=q, axes=("hidden", "head"), bias=q * ("q" in self.biases), saved=hidden)
        else:
            r = self.q_rank
            yield MatMul(name="q_down", inner=hidden, cols=r, axes=("hidden", "rank"), bias=r * ("q" in self.biases), saved=hidden)
            yield Stream(name="q_norm", params=r, role="latent-norm", axis="rank", read=r, written=r, saved=r)
            yield MatMul(name="q_up", inner=r, cols=q, axes=("rank", "head"), saved=r)
        down = self.kv_rank + self.rope_dim
        yield MatMul(name="kv_down", inner=hidden, cols=down, axes=("hidden", "rank"), bias=down * ("kv" in self.biases))
        yield Stream(
            name="kv_norm",
            params=self.kv_rank,
            role="latent-norm",
            axis="rank",
            read=self.kv_rank,
            written=self.kv_rank,
            saved=self.kv_rank,
        )
        yield MatMul(name="kv_up", inner=self.kv_rank, cols=kv, axes=("rank", "head"), saved=self.kv_rank)
        yield Attend(name="core", heads=self.heads, d_qk=d_qk, d_v=self.v_dim, mask=Causal(), saved=2 * q + 2 * v)
        yield MatMul(name="o", inner=v, cols=hidden, axes=("head", "hidden"), bias=hidden * ("o" in self.biases))
