"""Multi-head, multi-query and grouped-query attention."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal, Self

from ...core.errors import SpecError
from ...core.spec import AsTuple, Count, Spec, invariant
from ..masks import Bidirectional, Blocks, Causal, Chunked, Mask, Nearby, SelectedBlocks, SlidingWindow
from ..ops import Attend, MatMul, Op, Stream
from .base import Attention


class BlockIndexer(Spec):
    """An indexer: a few heads score every earlier key, and attention uses the best blocks (MiniMax-M3, ``MiniMaxM3VLIndexer``).

    The training of this indexer is not published. Here it only runs forward, as in its class of transformers 5.24.

    Args:
        heads, head_dim: heads of the scores, and width of a head; all heads share one key.
        block: keys of a block.
        count: number of blocks that a query attends to, including its own.

    >>> [op.name for op in BlockIndexer(heads=4, head_dim=128, block=128, count=16).ops(6144)]
    ['indexer.q', 'indexer.k', 'indexer.norms', 'indexer.scores']
    """

    heads: Count
    head_dim: Count
    block: Count
    count: Count

    def ops(self, hidden: int) -> Iterator[Op]:
        """Queries, a key, their norms, and scores of all earlier keys."""
        width = self.heads * self.head_dim
        yield MatMul(name="indexer.q", inner=hidden, cols=width, axes=("hidden", "rank"), gradients="none")
        yield MatMul(name="indexer.k", inner=hidden, cols=self.head_dim, axes=("hidden", "rank"), gradients="none")
        moved = float(width + self.head_dim)
        yield Stream(name="indexer.norms", params=2 * self.head_dim, axis="rank", read=moved, written=moved)
        yield Attend(name="indexer.scores", heads=self.heads, d_qk=self.head_dim, d_v=0, gradients="none")


class GroupedQueryAttention(Attention):
    """Softmax attention whose key and value heads serve groups of query heads (Ainslie et al. 2023, arXiv:2305.13245).

    ``kv_heads = heads`` is multi-head, ``kv_heads = 1`` multi-query attention.

    Args:
        heads, kv_heads, head_dim: sizes; ``heads · head_dim`` need not be the hidden size.
        window: keys that a query attends to, its own included; None for all. In both directions, a window
            of ``w`` reaches ``w // 2`` tokens before and after the query.
        chunk: tokens of a chunk; attention stays inside a chunk (in a picture, inside a square window of as many patches); None for one
            chunk.
        v_dim: width of a value head; None for ``head_dim``.
        biases: which of the projections q, k, v, o and the gate's have a bias.
        qk_norm: a norm on queries and keys: per head (one vector of ``head_dim``), over the full width, or weightless.
        qk_norm_bias: whether these norms have a second vector.
        sinks: one learned logit per head in the softmax (gpt-oss).
        gate: a gate on the output before the output projection, one number per element or per query head (Qwen3-Next).
        gate_shift: a learned number per head added to the gate's (Beam).
        output_norm: a norm on the output before the output projection (BitNet).
        direction: "causal", or "both": a query attends to the keys after it too (encoders).
        indexer: the indexer that selects blocks of keys; None if a query attends to all keys that the mask allows.
        values: "own" if values have a projection; "keys" if the keys before their norm serve as values (Gemma 4).
        kv: "own" if the layer has keys and values; "earlier" if it uses those of an earlier layer and projects only queries (Gemma 3n).

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
    v_dim: Count | None = None
    biases: Annotated[tuple[Literal["q", "k", "v", "o", "gate"], ...], AsTuple] = ()
    qk_norm: Literal["none", "head", "full", "weightless"] = "none"
    qk_norm_bias: Literal["none", "bias"] = "none"
    sinks: Literal["none", "head"] = "none"
    gate: Literal["none", "element", "head"] = "none"
    gate_shift: Literal["none", "head"] = "none"
    output_norm: Literal["none", "full"] = "none"
    direction: Literal["causal", "both"] = "causal"
    values: Literal["own", "keys"] = "own"
    kv: Literal["own", "earlier"] = "own"
    indexer: BlockIndexer | None = None

    @invariant
    def _consistent(self) -> Self:
        if self.heads % self.kv_heads:
            divisors = ", ".join(str(d) for d in range(1, min(self.heads, 4096) + 1) if self.heads % d == 0)
            raise SpecError("kv_heads", self.kv_heads, f"does not divide heads={self.heads}", f"divisors: {divisors}", "conflict")
        if self.window is not None and self.chunk is not None:
            raise SpecError(
                "chunk", self.chunk, f"can't be combined with window={self.window}", "a layer has a window or chunks, not both", "conflict"
            )
        return self

    @property
    def mask(self) -> Mask:
        """The keys that a query attends to."""
        if self.indexer is not None:
            return SelectedBlocks(self.indexer.block, self.indexer.count)
        if self.direction == "both":
            inside = Bidirectional() if self.chunk is None else Blocks(self.chunk)
            return inside if self.window is None else Nearby(self.window // 2)
        if self.window is not None:
            return SlidingWindow(self.window)
        return Causal() if self.chunk is None else Chunked(self.chunk)

    def ops(self, hidden: int) -> Iterator[Op]:
        """Projections, norms of queries and keys, core, gate, output."""
        q, kv, own = self.heads * self.head_dim, self.kv_heads * self.head_dim, self.kv == "own"
        d_v = self.v_dim or self.head_dim
        values, given = self.kv_heads * d_v, self.heads * d_v
        yield MatMul(name="q", inner=hidden, cols=q, axes=("hidden", "head"), bias=q * ("q" in self.biases), saved=hidden)
        if own:
            yield MatMul(name="k", inner=hidden, cols=kv, axes=("hidden", "kv"), bias=kv * ("k" in self.biases))
            if self.values == "own":
                yield MatMul(name="v", inner=hidden, cols=values, axes=("hidden", "kv"), bias=values * ("v" in self.biases))
        if self.qk_norm != "none":
            wide = {"head": (self.head_dim, self.head_dim), "full": (q, kv), "weightless": (0, 0)}[self.qk_norm]
            vectors = 2 if self.qk_norm_bias == "bias" else 1
            yield Stream(name="q_norm", params=wide[0] * vectors, axis="head", read=q, written=q, saved=q)
            if own:
                yield Stream(name="k_norm", params=wide[1] * vectors, axis="kv", read=kv, written=kv, saved=kv)
        if self.indexer is not None:
            yield from self.indexer.ops(hidden)
        kept = q + given + (kv + values) * own
        yield Attend(name="core", heads=self.heads, d_qk=self.head_dim, d_v=d_v, mask=self.mask, saved=kept)
        if self.sinks == "head":
            yield Stream(name="sinks", params=self.heads, axis="head", role="bias")
        yield from self._gate(hidden, given)
        if self.output_norm == "full":
            yield Stream(name="output_norm", params=given, axis="head", read=given, written=given, saved=given)
        own_input = self.gate != "none" or self.output_norm != "none"
        saved = float(given) if own_input else 0.0
        yield MatMul(name="o", inner=given, cols=hidden, axes=("head", "hidden"), bias=hidden * ("o" in self.biases), saved=saved)

    def _gate(self, hidden: int, width: int) -> Iterator[Op]:
        """The projection of the gate, and the product of gate and output."""
        if self.gate != "none":
            gates = width if self.gate == "element" else self.heads
            yield MatMul(name="gate", inner=hidden, cols=gates, axes=("hidden", "head"), bias=gates * ("gate" in self.biases))
            if self.gate_shift == "head":
                yield Stream(name="gate_shift", params=self.heads, role="bias", axis="head")
            yield Stream(name="gated", axis="head", read=width + gates, written=width, saved=gates)
