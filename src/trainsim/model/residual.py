"""Work of a layer on the residual stream besides its mixers: several streams, an input per layer, learned residuals."""

from __future__ import annotations

import abc
from collections.abc import Iterator
from typing import ClassVar, Literal

from ..core.family import Family
from ..core.spec import Count
from .ops import MatMul, Op, Stream


class Residual(Family):
    """A part of a layer that works on the residual stream; yields its ops."""

    section: ClassVar[str] = "residual"

    @abc.abstractmethod
    def ops(self, hidden: int, additions: int) -> Iterator[Op]:
        """The work of one layer.

        Args:
            hidden: width of one residual stream.
            additions: number of additions to the stream: one per mixer.
        """


class HyperConnections(Residual):
    """Several residual streams, read and written with weights that depend on the token (Xie et al. 2025, arXiv:2512.24880, eq. 3-8).

    Each mixer reads ``Σ a_i x_i``, adds its output times ``b_i`` to every stream, and the streams are mixed by a matrix ``C``. One product
    of all streams gives ``a``, ``b`` and ``C``.

    Args:
        streams: residual streams, ``n``.
        mixing: a matrix of ``n × n`` numbers a token (DeepSeek-V4), or none (Tencent Hy 4).

    >>> [op.name for op in HyperConnections(streams=4).ops(4096, 2)]
    ['attention.weights', 'attention.scales', 'attention.mix', 'ffn.weights', 'ffn.scales', 'ffn.mix']
    """

    streams: Count
    mixing: Literal["matrix", "none"] = "matrix"

    def ops(self, hidden: int, additions: int) -> Iterator[Op]:
        """The weights of each mixer's reads and writes, and the mixing of streams."""
        n, mixed = self.streams, self.mixing == "matrix"
        numbers, wide = (2 + n * mixed) * n, n * hidden
        for name in ("attention", "ffn")[:additions]:
            yield MatMul(name=f"{name}.weights", inner=wide, cols=numbers, bias=numbers, saved=wide)
            yield Stream(name=f"{name}.scales", params=2 + mixed, role="bias", read=wide + hidden, written=wide, saved=hidden)
            if mixed:
                yield MatMul(name=f"{name}.mix", inner=n, cols=hidden, rows=n, weight=False, saved=n * n)


class PerLayerInput(Residual):
    """A token embedding for each layer, gated by the stream and added to it (Gemma 3n, Google 2025).

    Args:
        width: of the layer's embedding.

    >>> [op.name for op in PerLayerInput(width=256).ops(2048, 2)]
    ['input.gate', 'input.gated', 'input.up', 'input.norm']
    """

    width: Count

    def ops(self, hidden: int, additions: int) -> Iterator[Op]:
        """Gate, product with the embedding, projection, norm."""
        del additions
        yield MatMul(name="input.gate", inner=hidden, cols=self.width, axes=("hidden", "rank"), saved=hidden)
        yield Stream(name="input.gated", read=2 * self.width, written=self.width, saved=2 * self.width)
        yield MatMul(name="input.up", inner=self.width, cols=hidden, axes=("rank", "hidden"), saved=self.width)
        yield Stream(name="input.norm", params=hidden, read=hidden, written=hidden, saved=hidden)


class AlternatingUpdates(Residual):
    """Several streams; a layer updates one and predicts the others (AltUp, Baykal et al. 2023, arXiv:2301.13310, section 3).

    Args:
        streams: residual streams, ``n``.

    >>> [op.name for op in AlternatingUpdates(streams=4).ops(2048, 2)]
    ['altup.norm', 'altup.route', 'altup.predict', 'altup.mix', 'altup.correct', 'altup.scale']
    """

    streams: Count

    def ops(self, hidden: int, additions: int) -> Iterator[Op]:
        """The router twice, before the layer and after it; predictions of all streams, and their corrections."""
        del additions
        n = self.streams
        yield Stream(name="altup.norm", params=hidden, read=2 * hidden, written=2 * hidden, saved=2 * hidden)
        yield MatMul(name="altup.route", inner=hidden, cols=n, rows=2, saved=2 * hidden)
        yield MatMul(name="altup.predict", inner=n, cols=n * n, saved=n)
        yield MatMul(name="altup.mix", inner=n, cols=n, rows=hidden, weight=False, saved=n * hidden + n * n)
        yield MatMul(name="altup.correct", inner=n, cols=n, saved=n)
        yield Stream(name="altup.scale", params=hidden, role="bias", read=n * hidden, written=n * hidden, saved=2 * hidden)


class LearnedResidual(Residual):
    """A residual of low rank beside attention (LAuReL, Menghani et al. 2024, arXiv:2411.07501, section 2).

    Args:
        rank: width between its two products.

    >>> [op.name for op in LearnedResidual(rank=64).ops(2048, 2)]
    ['laurel.down', 'laurel.up', 'laurel.norm']
    """

    rank: Count

    def ops(self, hidden: int, additions: int) -> Iterator[Op]:
        """Down, up, norm."""
        del additions
        yield MatMul(name="laurel.down", inner=hidden, cols=self.rank, axes=("hidden", "rank"))
        yield MatMul(name="laurel.up", inner=self.rank, cols=hidden, axes=("rank", "hidden"), saved=self.rank)
        yield Stream(name="laurel.norm", params=hidden, read=hidden, written=hidden, saved=hidden)
