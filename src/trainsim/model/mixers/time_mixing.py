"""RWKV: a mean of values with decaying weights, and a gated feed-forward; both read mixes of a token with the token before."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from ...core.spec import Count
from ..attention.base import Attention
from ..feedforward import FeedForward
from ..ops import MatMul, Op, Stream


class TimeMixing(Attention):
    """RWKV-4's token mixer (Peng et al. 2023, arXiv:2305.13048, eq. 11-18).

    The mean of values with weights ``e^{−(t−1−i)w + k_i}``, and ``e^{u + k_t}`` for the token's own, is a recurrence of each channel. It is
    element-wise, so no convention counts it.

    Args:
        width: channels of keys, values and receptance.

    >>> [op.name for op in TimeMixing(width=4096).ops(4096)]
    ['mixes', 'k', 'v', 'receptance', 'recurrence', 'out']
    """

    section: ClassVar[str] = "mixer"
    width: Count

    def ops(self, hidden: int) -> Iterator[Op]:
        """Mixes with the token before, three projections, recurrence, output."""
        width = self.width
        yield Stream(name="mixes", params=3 * hidden, role="bias", read=2 * hidden, written=3 * hidden, saved=2 * hidden)
        for name in ("k", "v", "receptance"):
            yield MatMul(name=name, inner=hidden, cols=width, axes=("hidden", "head"), saved=hidden)
        yield Stream(name="recurrence", params=2 * width, role="bias", axis="head", read=3 * width, written=width, saved=5 * width)
        yield MatMul(name="out", inner=width, cols=hidden, axes=("head", "hidden"), saved=width)


class ChannelMixing(FeedForward):
    """RWKV-4's feed-forward: a plain MLP whose output the receptance gates (arXiv:2305.13048, eq. 19-21).

    Args:
        width: inner width.

    >>> [op.name for op in ChannelMixing(width=16384).ops(4096)]
    ['mixes', 'receptance', 'up', 'activation', 'down', 'gated']
    """

    width: Count

    def ops(self, hidden: int) -> Iterator[Op]:
        """Mixes with the token before, receptance, two products, gate."""
        width = self.width
        yield Stream(name="mixes", params=2 * hidden, role="bias", read=2 * hidden, written=2 * hidden, saved=2 * hidden)
        yield MatMul(name="receptance", inner=hidden, cols=hidden, saved=hidden)
        yield MatMul(name="up", inner=hidden, cols=width, axes=("hidden", "ffn"), saved=hidden)
        yield Stream(name="activation", axis="ffn", read=width, written=width, saved=width)
        yield MatMul(name="down", inner=width, cols=hidden, axes=("ffn", "hidden"), saved=width)
        yield Stream(name="gated", read=2 * hidden, written=hidden, saved=2 * hidden)
