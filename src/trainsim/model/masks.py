"""Attention masks: the exact number of (query, key) pairs that each allows."""

from __future__ import annotations

import abc
import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..core.units import Num


class Mask(abc.ABC):
    """The keys that a query attends to.

    ``causal`` marks a mask that allows about half of all pairs. Conventions that halve the count of keys do so for these masks only.
    """

    causal: ClassVar[bool] = True

    @abc.abstractmethod
    def keys(self, seq_len: Num) -> Num:
        """Mean number of keys that a query attends to in a sequence.

        Args:
            seq_len: sequence length, number or array ``(n,)`` [token].

        Returns:
            pairs per query [1], the query's own key included.
        """

    @abc.abstractmethod
    def span(self, seq_len: Num) -> Num:
        """Mean number of keys per query in a kernel without masks: the sequence, or the chunk of a chunked form.

        Args:
            seq_len: sequence length, number or array ``(n,)`` [token].
        """

    def window_span(self, seq_len: Num) -> Num:
        """The most keys that a query attends to: the window, the selection, or the span.

        Args:
            seq_len: sequence length, number or array ``(n,)`` [token].
        """
        return self.span(seq_len)

    def window_area(self, seq_len: Num) -> Num:
        """Mean number of keys if positions are continuous.

        With a window of reach r (most keys per query): ``r − r² / 2S``. Without a window: half of the span.

        Args:
            seq_len: sequence length, number or array ``(n,)`` [token].
        """
        return self.span(seq_len) / 2


@dataclass(frozen=True)
class Causal(Mask):
    """Every key up to the query's own.

    >>> Causal().keys(4096)
    2048.5
    """

    def keys(self, seq_len: Num) -> Num:
        """``(S + 1) / 2``."""
        return (seq_len + 1) / 2

    def span(self, seq_len: Num) -> Num:
        """``S``."""
        return seq_len * 1.0


@dataclass(frozen=True)
class SlidingWindow(Mask):
    """The query's own key and the ``window − 1`` before it.

    >>> float(SlidingWindow(2).keys(4.0))
    1.75
    """

    window: int

    def keys(self, seq_len: Num) -> Num:
        """``w − w(w − 1)/(2S)`` with ``w = min(window, S)``: the first ``w`` queries attend to fewer keys."""
        return _latest(seq_len, self.window)

    def span(self, seq_len: Num) -> Num:
        """``S``."""
        return seq_len * 1.0

    def window_span(self, seq_len: Num) -> Num:
        """``min(S, window)``."""
        return np.minimum(float(self.window), seq_len)

    def window_area(self, seq_len: Num) -> Num:
        """``r − r² / 2S`` with ``r = min(S, window)``."""
        return _area(self.window_span(seq_len), seq_len)


@dataclass(frozen=True)
class Chunked(Mask):
    """Causal inside chunks of fixed length; no pairs across chunks.

    >>> float(Chunked(2).keys(4.0))
    1.5
    """

    chunk: int

    def keys(self, seq_len: Num) -> Num:
        """``[⌊S/c⌋ c(c + 1)/2 + r(r + 1)/2] / S``, ``r = S mod c``."""
        return (_squares(seq_len, self.chunk) + 1) / 2

    def span(self, seq_len: Num) -> Num:
        """``S``."""
        return seq_len * 1.0

    def window_span(self, seq_len: Num) -> Num:
        """The mean length of a query's chunk."""
        return _squares(seq_len, self.chunk)

    def window_area(self, seq_len: Num) -> Num:
        """Half of the reach."""
        return self.window_span(seq_len) / 2


@dataclass(frozen=True)
class WithinChunk(Mask):
    """The quadratic part of a chunked scan: causal inside the chunk, with a span of one chunk.

    >>> float(WithinChunk(2).keys(4.0)), float(WithinChunk(2).span(4.0))
    (1.5, 2.0)
    """

    chunk: int

    def keys(self, seq_len: Num) -> Num:
        """As :class:`Chunked`."""
        return (_squares(seq_len, self.chunk) + 1) / 2

    def span(self, seq_len: Num) -> Num:
        """``[⌊S/c⌋ c² + r²] / S``, ``r = S mod c``."""
        return _squares(seq_len, self.chunk)


@dataclass(frozen=True)
class EarlierInChunk(Mask):
    """The keys of the query's chunk before its own key: the triangular system of a delta rule.

    >>> float(EarlierInChunk(2).keys(4.0)), float(EarlierInChunk(2).span(4.0))
    (0.5, 2.0)
    """

    chunk: int

    def keys(self, seq_len: Num) -> Num:
        """``[⌊S/c⌋ c(c − 1)/2 + r(r − 1)/2] / S``, ``r = S mod c``."""
        return (_squares(seq_len, self.chunk) - 1) / 2

    def span(self, seq_len: Num) -> Num:
        """As :class:`WithinChunk`."""
        return _squares(seq_len, self.chunk)


@dataclass(frozen=True)
class Selected(Mask):
    """At most ``count`` keys up to the query's own, selected by an indexer: the query at position ``i`` attends to ``min(i + 1, count)``.

    >>> float(Selected(2).keys(4.0)), float(Selected(2).span(4.0))
    (1.75, 4.0)
    """

    count: int

    def keys(self, seq_len: Num) -> Num:
        """As :class:`SlidingWindow`: the same number of keys, at other positions."""
        return _latest(seq_len, self.count)

    def span(self, seq_len: Num) -> Num:
        """``S``."""
        return seq_len * 1.0

    def window_span(self, seq_len: Num) -> Num:
        """``min(S, count)``."""
        return np.minimum(float(self.count), seq_len)

    def window_area(self, seq_len: Num) -> Num:
        """``r − r² / 2S`` with ``r = min(S, count)``."""
        return _area(self.window_span(seq_len), seq_len)


@dataclass(frozen=True)
class SelectedBlocks(Mask):
    """At most ``count`` blocks of keys up to the query's own, which is one of them: the query at position ``i`` attends to
    ``min(i // block, count − 1) · block + i mod block + 1``.

    >>> float(SelectedBlocks(2, 2).keys(6.0))
    2.8333333333333335
    """

    block: int
    count: int

    def keys(self, seq_len: Num) -> Num:
        """Causal up to ``count`` blocks; then ``(count − 1) · block`` keys of other blocks, and those of the query's own block."""
        first: Num = np.minimum(float(self.block * self.count), seq_len)
        rest = seq_len - first
        own = (_squares(np.maximum(rest, 1.0), self.block) + 1) / 2
        return (first * (first + 1) / 2 + rest * ((self.count - 1) * self.block + own)) / seq_len

    def span(self, seq_len: Num) -> Num:
        """``S``."""
        return seq_len * 1.0


@dataclass(frozen=True)
class Nearby(Mask):
    """Keys at most ``reach`` tokens before or after the query: a window in both directions.

    >>> float(Nearby(1).keys(4.0))
    2.5
    """

    causal: ClassVar[bool] = False
    reach: int

    def keys(self, seq_len: Num) -> Num:
        """The keys of a sliding window of ``reach + 1`` on either side, the query's own counted once."""
        return 2 * _latest(seq_len, self.reach + 1) - 1

    def span(self, seq_len: Num) -> Num:
        """``S``."""
        return seq_len * 1.0


@dataclass(frozen=True)
class Blocks(Mask):
    """Every key of the query's own block, before and after it: the windows of a vision transformer.

    >>> float(Blocks(2).keys(4.0))
    2.0
    """

    causal: ClassVar[bool] = False
    block: int

    def keys(self, seq_len: Num) -> Num:
        """``[⌊S/b⌋ b² + r²] / S``, ``r = S mod b``."""
        return _squares(seq_len, self.block)

    def span(self, seq_len: Num) -> Num:
        """``S``."""
        return seq_len * 1.0


@dataclass(frozen=True)
class OncePerSequence(Mask):
    """Work done once per sequence, whatever its length: ops over the tokens of a tower.

    >>> OncePerSequence().keys(4.0)
    0.25
    """

    causal: ClassVar[bool] = False

    def keys(self, seq_len: Num) -> Num:
        """``1 / S``."""
        return 1.0 / seq_len

    def span(self, seq_len: Num) -> Num:
        """``1 / S``."""
        return 1.0 / seq_len


@dataclass(frozen=True)
class OtherStreamKeys(Mask):
    """``count`` keys of another stream, whatever the length of the sequence: cross-attention.

    >>> OtherStreamKeys(1500).keys(4.0)
    1500.0
    """

    causal: ClassVar[bool] = False
    count: float

    def keys(self, seq_len: Num) -> Num:
        """``count``."""
        return self.count + 0.0 * seq_len

    def span(self, seq_len: Num) -> Num:
        """``count``."""
        return self.count + 0.0 * seq_len


@dataclass(frozen=True)
class TowerKeys(Mask):
    """Every token of a tower; none until :meth:`Model.seeing` or :meth:`Model.reading` gives it tokens."""

    causal: ClassVar[bool] = False
    tower: str

    def keys(self, seq_len: Num) -> Num:
        """None."""
        return 0.0 * seq_len

    def span(self, seq_len: Num) -> Num:
        """None."""
        return 0.0 * seq_len


@dataclass(frozen=True)
class Bidirectional(Mask):
    """Every key.

    >>> Bidirectional().keys(8.0)
    8.0
    """

    causal: ClassVar[bool] = False

    def keys(self, seq_len: Num) -> Num:
        """``S``."""
        return seq_len * 1.0

    def span(self, seq_len: Num) -> Num:
        """``S``."""
        return seq_len * 1.0


def keys_on_grid(mask: Mask, height: int, width: int, extra: int) -> float:
    """Mean number of keys that a token of a picture attends to.

    Args:
        mask: every key; or :class:`Blocks` of a square number of patches, which are square windows cut off at the edges of the picture.
        height, width: size of the picture [patch].
        extra: number of tokens that are not patches; they are in no window.

    >>> keys_on_grid(Bidirectional(), 3, 4, 1), round(keys_on_grid(Blocks(4), 3, 4, 0), 12)
    (13.0, 3.333333333333)
    """
    if isinstance(mask, Blocks) and not extra:
        side = math.isqrt(mask.block)
        return float(_squares(float(height), side) * _squares(float(width), side))
    return float(mask.keys(float(height * width + extra)))


def _area(reach: Num, seq_len: Num) -> Num:
    return reach - reach * reach / (2 * seq_len)


def _latest(seq_len: Num, most: int) -> Num:
    """Mean number of keys where the query at position ``i`` attends to ``min(i + 1, most)``."""
    w: Num = np.minimum(float(most), seq_len)
    return w - w * (w - 1) / (2 * seq_len)


def _squares(seq_len: Num, chunk: int) -> Num:
    """Mean length of the chunk that a token is in: the sum of squared chunk lengths over the length of the sequence."""
    whole: Num = np.floor(seq_len / chunk)
    rest = seq_len - whole * chunk
    return (whole * chunk * chunk + rest * rest) / seq_len
