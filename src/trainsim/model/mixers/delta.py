"""The gated delta rule: a recurrent state that decays, predicts each value, and writes its prediction error."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

from ...core.spec import Count
from ..attention.base import Attention
from ..ops import Convolve, MatMul, Op, Scan, Stream

CHUNK = 64
"""Tokens of a chunk in the kernels of flash-linear-attention, and in the classes of transformers."""


class GatedDeltaNet(Attention):
    """Linear attention by the gated delta rule (Yang et al. 2024, arXiv:2412.06464, eq. 10), as in Qwen3-Next.

    ``S_t = α_t S_{t−1} (I − β_t k_t k_tᵀ) + β_t v_t k_tᵀ``, ``o_t = S_t q_t``: one decay and one writing strength a head. A short
    convolution goes over queries, keys and values; the output is normed per head and gated.

    Args:
        key_heads, value_heads: heads of queries and keys, and of values; each key head serves a group of value heads.
        key_dim, value_dim: width of a key head and of a value head.
        taps: tokens of the short convolution.
        chunk: tokens of a chunk.

    >>> [op.name for op in GatedDeltaNet(key_heads=16, value_heads=32, key_dim=128, value_dim=128).ops(2048)]
    ['qkv', 'gate', 'beta', 'decay', 'convolution', 'rates', 'transform', 'core', 'norm', 'o']
    """

    section: ClassVar[str] = "mixer"
    key_heads: Count
    value_heads: Count
    key_dim: Count
    value_dim: Count
    taps: Count = 4
    chunk: Count = CHUNK

    def ops(self, hidden: int) -> Iterator[Op]:
        """Projections, convolution, delta rule, gated norm, output."""
        keys, values, heads = self.key_heads * self.key_dim, self.value_heads * self.value_dim, self.value_heads
        mixed = 2 * keys + values
        yield MatMul(name="qkv", inner=hidden, cols=mixed, axes=("hidden", "head"), saved=hidden)
        yield MatMul(name="gate", inner=hidden, cols=values, axes=("hidden", "head"))
        yield MatMul(name="beta", inner=hidden, cols=heads, axes=("hidden", "head"))
        yield MatMul(name="decay", inner=hidden, cols=heads, axes=("hidden", "head"))
        yield Convolve(name="convolution", channels=mixed, taps=self.taps, saved=mixed)
        yield Stream(name="rates", params=2 * heads, role="bias", axis="head", read=2 * heads, written=2 * heads, saved=2 * heads)
        yield from delta_rule(heads, self.key_dim, self.value_dim, self.chunk, saved=mixed + 2 * heads)
        yield Stream(name="norm", params=self.value_dim, axis="head", read=2 * values, written=values, saved=values)
        yield MatMul(name="o", inner=values, cols=hidden, axes=("head", "hidden"), saved=values)


class KimiDeltaAttention(Attention):
    """The delta rule with one decay per channel of a key (Kimi Linear, arXiv:2510.26692, section 3).

    Args:
        heads, head_dim: heads, each with its own keys and values of one width.
        gates: projections of the decay and of the output gate in two factors of low rank, or whole (Ling 2.5).
        gate_rank: width between the two factors; None for the head's width.
        taps: tokens of the short convolution.
        chunk: tokens of a chunk.

    >>> [op.name for op in KimiDeltaAttention(heads=32, head_dim=128).ops(2304)][4:8]
    ['beta', 'decay.down', 'decay.up', 'gate.down']
    """

    section: ClassVar[str] = "mixer"
    heads: Count
    head_dim: Count
    gates: Literal["low-rank", "full"] = "low-rank"
    gate_rank: Count | None = None
    taps: Count = 4
    chunk: Count = CHUNK

    def ops(self, hidden: int) -> Iterator[Op]:
        """Projections, convolution, low-rank decay and gate, delta rule, gated norm, output."""
        width, rank, heads = self.heads * self.head_dim, self.gate_rank or self.head_dim, self.heads
        for i, name in enumerate("qkv"):
            yield MatMul(name=name, inner=hidden, cols=width, axes=("hidden", "head"), saved=0.0 if i else float(hidden))
        yield Convolve(name="convolution", channels=3 * width, taps=self.taps, saved=3.0 * width)
        yield MatMul(name="beta", inner=hidden, cols=heads, axes=("hidden", "head"))
        for name in ("decay", "gate"):
            if self.gates == "full":
                yield MatMul(name=name, inner=hidden, cols=width, axes=("hidden", "head"))
                continue
            yield MatMul(name=f"{name}.down", inner=hidden, cols=rank, axes=("hidden", "rank"))
            yield MatMul(name=f"{name}.up", inner=rank, cols=width, axes=("rank", "head"), saved=rank)
        rates = width + heads
        yield Stream(name="rates", params=rates, role="bias", axis="head", read=width, written=width, saved=width)
        yield from delta_rule(heads, self.head_dim, self.head_dim, self.chunk, saved=4.0 * width + heads)
        yield Stream(name="norm", params=self.head_dim, axis="head", read=2 * width, written=width, saved=width)
        yield MatMul(name="o", inner=width, cols=hidden, axes=("head", "hidden"), saved=width)


def delta_rule(heads: int, key_dim: int, value_dim: int, chunk: int, *, saved: float) -> Iterator[Op]:
    """The delta rule in chunks: a triangular system for each chunk, and a scan over the corrected values.

    ``A = tril(β K Kᵀ, −1)`` and ``(I + A) [W, U] = β [K, V]`` by forward substitution. Both run over the keys strictly before a token, with
    ``key_dim`` and with ``key_dim + value_dim`` elements. Then ``V' = U − W S``, ``O = Q S + tril(Q Kᵀ) V'``, ``S ← S + Kᵀ V'``: three
    products with the state.

    Args:
        heads: heads, each with a state of ``key_dim × value_dim``.
        key_dim, value_dim: sides of the state.
        chunk: tokens of a chunk.
        saved: elements per token of queries, keys, values, decays and strengths.

    Source: Yang et al. 2024, arXiv:2406.06484, section 3.2, eq. 8-11.
    """
    width, matrix = key_dim + value_dim, float(heads * chunk)
    yield Scan(name="transform", heads=heads, d_k=key_dim, d_v=width, chunk=chunk, state_products=0, pairs="earlier", saved=matrix)
    yield Scan(name="core", heads=heads, d_k=key_dim, d_v=value_dim, chunk=chunk, state_products=3, saved=saved + heads * value_dim)
