"""Multi-head latent attention."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal, Self

from ...core.errors import SpecError
from ...core.spec import AsTuple, Count, Spec, invariant
from ..masks import Causal, Mask, Selected, SlidingWindow
from ..ops import Attend, MatMul, Op, Stream
from .base import Attention


class Indexer(Spec):
    """A small attention that scores every earlier key; the main attention uses those with the best scores (DeepSeek-V3.2, arXiv:2512.02556,
    eq. 1).

    ``I_{t,s} = Σ_j w_{t,j} ReLU(q_{t,j} · k_s)`` over all ``s ≤ t``: one key of ``head_dim`` for all heads, one weight a head.

    Args:
        heads, head_dim: heads of the scores, and their width.
        loss: "trained" if the indexer learns the attention's weights, on detached inputs: its projections then compute the gradient of
            their weight only, and the scores both gradients. "none" if the indexer is not trained and only runs forward.

    >>> sum(op.inner * op.cols for op in Indexer(heads=64, head_dim=128).ops(7168, 1536) if hasattr(op, "inner"))
    13959168
    """

    heads: Count
    head_dim: Count
    loss: Literal["trained", "none"] = "trained"

    def ops(self, hidden: int, q_rank: int) -> Iterator[Op]:
        """Queries from the compressed query, a key, weights of heads, and scores of all earlier keys."""
        width, trained = self.heads * self.head_dim, self.loss == "trained"
        linear: Literal["weight", "none"] = "weight" if trained else "none"
        yield MatMul(name="indexer.q", inner=q_rank, cols=width, axes=("rank", "rank"), gradients=linear)
        yield MatMul(name="indexer.k", inner=hidden, cols=self.head_dim, axes=("hidden", "rank"), gradients=linear)
        normed, kept = float(self.head_dim), (width + self.head_dim + self.heads) * trained
        yield Stream(name="indexer.k_norm", params=2 * self.head_dim, axis="rank", read=normed, written=normed, saved=normed * trained)
        yield MatMul(name="indexer.weights", inner=hidden, cols=self.heads, axes=("hidden", "rank"), gradients=linear)
        both: Literal["both", "none"] = "both" if trained else "none"
        yield Attend(name="indexer.scores", heads=self.heads, d_qk=self.head_dim, d_v=1, mask=Causal(), saved=float(kept), gradients=both)


class LatentAttention(Attention):
    """Keys and values rebuilt from one compressed vector per token (DeepSeek-V2, arXiv:2405.04434, section 2.1, eq. 9-19).

    Args:
        heads: query heads, each with its own keys and values after expansion.
        kv_rank: width of the compressed key-value vector, ``d_c``.
        q_rank: width of the compressed query, ``d'_c``; None for a full query projection.
        nope_dim, rope_dim: key width per head without and with rotary position; the rotary key is shared by all heads.
        v_dim: value width per head.
        biases: which of q, kv, o have a bias; for q and kv it is on the down projection if there is one.
        selected: largest number of keys that a query attends to, selected by an indexer; None for all earlier ones.
        indexer: the indexer that selects them; None if the layer uses the selection of an earlier layer.
        gate: a gate on the output before its projection, one number per head or per element.
        sinks: one learned logit per head in the softmax.
        window: keys that a query attends to, its own included; None for all earlier ones.

    Raises:
        SpecError: an indexer without ``selected`` or without a compressed query.

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
    selected: Count | None = None
    indexer: Indexer | None = None
    gate: Literal["none", "head", "element"] = "none"
    sinks: Literal["none", "head"] = "none"
    window: Count | None = None

    @invariant
    def _consistent(self) -> Self:
        for name, needed in (("selected", self.selected), ("q_rank", self.q_rank)):
            if self.indexer is not None and needed is None:
                raise SpecError(name, None, "is needed by an indexer", f"give {name}, or no indexer", "missing")
        return self

    @property
    def mask(self) -> Mask:
        """The keys that a query attends to."""
        if self.selected is not None:
            return Selected(self.selected)
        return Causal() if self.window is None else SlidingWindow(self.window)

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
        if self.indexer is not None and self.q_rank is not None:
            yield from self.indexer.ops(hidden, self.q_rank)
        yield Attend(name="core", heads=self.heads, d_qk=d_qk, d_v=self.v_dim, mask=self.mask, saved=2 * q + 2 * v)
        if self.sinks == "head":
            yield Stream(name="sinks", params=self.heads, axis="head", role="bias")
        gates = {"none": 0, "head": self.heads, "element": v}[self.gate]
        if gates:
            yield MatMul(name="gate", inner=hidden, cols=gates, axes=("hidden", "head"))
            yield Stream(name="gated", axis="head", read=v + gates, written=v, saved=gates)
        given = v if gates else 0.0
        yield MatMul(name="o", inner=v, cols=hidden, axes=("head", "hidden"), bias=hidden * ("o" in self.biases), saved=given)
