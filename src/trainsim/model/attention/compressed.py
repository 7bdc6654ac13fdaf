"""Attention to a window of keys, and to compressed entries, each of which summarises several earlier keys."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np

from ...core.errors import SpecError
from ...core.spec import Count, Spec, invariant
from ...core.units import Num
from ..masks import Mask, SlidingWindow
from ..ops import Attend, MatMul, Op, Stream
from .base import Attention


@dataclass(frozen=True)
class Compressed(Mask):
    """Mask over compressed entries, each of which replaces ``rate`` keys.

    The query at position ``i`` attends to the entries that are complete at ``i``: ``min(⌊(i + 1) / rate⌋, most)``.

    >>> float(Compressed(2).keys(4.0)), float(Compressed(2, most=1).keys(4.0)), float(Compressed(2).span(5.0))
    (1.0, 0.75, 2.0)
    """

    rate: int
    most: int | None = None

    def keys(self, seq_len: Num) -> Num:
        """``[r q(q − 1)/2 + q(s − q r + 1) + (S − s) k] / S`` with ``s = min(S, k r − 1)`` and ``q = ⌊s / r⌋``."""
        r = self.rate
        rising: Num = seq_len * 1.0 if self.most is None else np.minimum(float(self.most * r - 1), seq_len)
        q: Num = np.floor(rising / r)
        within = r * q * (q - 1) / 2 + q * (rising - q * r + 1)
        return (within + (seq_len - rising) * (self.most or 0)) / seq_len

    def span(self, seq_len: Num) -> Num:
        """``⌊S / rate⌋``."""
        entries: Num = np.floor(seq_len / self.rate)
        return entries


class EntryIndexer(Spec):
    """A small attention that scores compressed entries of its own; the main attention uses the entries with the best scores (DeepSeek-V4,
    eq. 13-17).

    Args:
        heads, head_dim: heads of the scores, and width of a head.
        count: entries that a query attends to at most.
        loss: "trained" if the indexer learns the attention's weights, on detached inputs; "none" if it is not trained and only runs
            forward.

    >>> [op.name for op in EntryIndexer(heads=64, head_dim=128, count=512).ops(4096, 1024, rate=4)][-2:]
    ['indexer.weights', 'indexer.scores']
    """

    heads: Count
    head_dim: Count
    count: Count
    loss: Literal["trained", "none"] = "trained"

    def ops(self, hidden: int, q_rank: int, *, rate: int) -> Iterator[Op]:
        """Entries, queries from the compressed query, weights of heads, and scores of all earlier entries."""
        trained = self.loss == "trained"
        linear: Literal["weight", "none"] = "weight" if trained else "none"
        both: Literal["both", "none"] = "both" if trained else "none"
        width = self.heads * self.head_dim
        yield from _compress("indexer.entries.", hidden, self.head_dim, rate, 2, linear)
        yield MatMul(name="indexer.q", inner=q_rank, cols=width, axes=("rank", "rank"), gradients=linear)
        yield MatMul(name="indexer.weights", inner=hidden, cols=self.heads, axes=("hidden", "rank"), gradients=linear)
        kept = float((width + self.heads + self.head_dim / rate) * trained)
        yield Attend(name="indexer.scores", heads=self.heads, d_qk=self.head_dim, d_v=0, mask=Compressed(rate), saved=kept, gradients=both)


class CompressedAttention(Attention):
    """A window of keys, and entries that each replace several earlier keys (DeepSeek-V4, DeepSeek-AI 2026, section 2.3).

    One vector per token is the key and the value of all heads. An entry is a weighted mean of ``rate`` tokens, or of ``2 · rate`` tokens
    that overlap those of the entry before. A query attends to all earlier entries, or to those that an indexer selects. Each group of heads
    projects its output to a low rank; a second product brings all groups to the width of the stream.

    Args:
        heads, head_dim: query heads, and the width of the one key.
        q_rank: width of the compressed query.
        window: uncompressed keys that a query attends to, its own included.
        rate: tokens per entry; None for a window without entries.
        indexer: the indexer that selects entries, whose tokens then overlap; None if a query attends to all earlier entries.
        groups, group_rank: groups of heads of the output projection, and the width that each is projected to.

    Raises:
        SpecError: heads that ``groups`` doesn't divide, or an indexer without entries to select from.

    >>> [op.name for op in CompressedAttention(heads=64, head_dim=512, q_rank=1024, window=128, groups=8, group_rank=1024).ops(4096)]
    ['q_down', 'q_latent_norm', 'q_up', 'q_norm', 'kv', 'kv_norm', 'core', 'sinks', 'o_groups', 'o']
    """

    heads: Count
    head_dim: Count
    q_rank: Count
    window: Count
    rate: Count | None = None
    indexer: EntryIndexer | None = None
    groups: Count
    group_rank: Count

    @invariant
    def _consistent(self) -> Self:
        if self.heads % self.groups:
            raise SpecError("groups", self.groups, f"does not divide heads={self.heads}", "give a divisor", "conflict")
        if self.indexer is not None and self.rate is None:
            raise SpecError("rate", None, "is needed by an indexer", "give rate, or no indexer", "missing")
        return self

    def ops(self, hidden: int) -> Iterator[Op]:
        """Compress and expand queries, one key, entries and their selection, two cores, output in groups."""
        q, d, r, low = self.heads * self.head_dim, self.head_dim, self.q_rank, self.groups * self.group_rank
        yield MatMul(name="q_down", inner=hidden, cols=r, axes=("hidden", "rank"), saved=hidden)
        yield Stream(name="q_latent_norm", params=r, role="latent-norm", axis="rank", read=r, written=r, saved=r)
        yield MatMul(name="q_up", inner=r, cols=q, axes=("rank", "head"), saved=r)
        yield Stream(name="q_norm", axis="head", read=q, written=q, saved=q)
        yield MatMul(name="kv", inner=hidden, cols=d, axes=("hidden", "rank"))
        yield Stream(name="kv_norm", params=d, role="latent-norm", axis="rank", read=d, written=d, saved=d)
        yield Attend(name="core", heads=self.heads, d_qk=d, d_v=d, mask=SlidingWindow(self.window), saved=2.0 * q + d)
        if self.rate is not None:
            yield from _compress("entries.", hidden, d, self.rate, 1 if self.indexer is None else 2, "both")
            if self.indexer is not None:
                yield from self.indexer.ops(hidden, r, rate=self.rate)
            most = None if self.indexer is None else self.indexer.count
            yield Attend(name="entries.core", heads=self.heads, d_qk=d, d_v=d, mask=Compressed(self.rate, most), saved=d / self.rate)
        yield Stream(name="sinks", params=self.heads, axis="head", role="bias")
        yield MatMul(name="o_groups", inner=q // self.groups, cols=low, axes=("head", "rank"), saved=q)
        yield MatMul(name="o", inner=low, cols=hidden, axes=("rank", "hidden"), saved=low)


def _compress(prefix: str, hidden: int, width: int, rate: int, series: int, gradients: Literal["both", "weight", "none"]) -> Iterator[Op]:
    """The values and weights of every token, the weighted means of ``rate`` tokens, and the norm of these means.

    Args:
        series: 1 if every token belongs to one entry; 2 if it belongs to two entries, with separate values and weights for each.
    """
    wide, kept = series * width, gradients != "none"
    for name in ("values", "weights"):
        yield MatMul(name=prefix + name, inner=hidden, cols=wide, axes=("hidden", "rank"), gradients=gradients)
    yield Stream(
        name=f"{prefix}positions", params=rate * wide, role="bias", axis="rank", read=2 * wide, written=wide, saved=2 * wide * kept
    )
    yield Stream(name=f"{prefix}norm", params=width, role="latent-norm", axis="rank", read=width / rate, written=width / rate)
