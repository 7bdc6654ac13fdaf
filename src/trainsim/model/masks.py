"""Attention masks: how many (query, key) pairs each lets through, exactly."""

from __future__ import annotations

import abc
from dataclasses import dataclass

import numpy as np

from ..core.units import Num


class Mask(abc.ABC):
    """Which keys a query sees."""

    @abc.abstractmethod
    def keys(self, seq_len: Num) -> Num:
        """Mean number of keys a query sees in a sequence.

        Args:
            seq_len: sequence length, number or array ``(n,)`` [token].

        Returns:
            pairs per query [1], the query's own key included.
        """

    @abc.abstractmethod
    def span(self, seq_len: Num) -> Num:
        """Mean number of keys a kernel that masks nothing meets per query: the sequence, or the chunk of a chunked form.

        Args:
            seq_len: sequence length, number or array ``(n,)`` [token].
        """


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
        """``w − w(w − 1)/(2S)`` with ``w = min(window, S)``: the first ``w`` queries see fewer keys."""
        w: Num = np.minimum(float(self.window), seq_len)
        return w - w * (w - 1) / (2 * seq_len)

    def span(self, seq_len: Num) -> Num:
        """``S``."""
        return seq_len * 1.0


@dataclass(frozen=True)
class Chunked(Mask):
    """Causal inside chunks of fixed length, nothing across them.

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


@dataclass(frozen=True)
class WithinChunk(Mask):
    """The quadratic part of a chunked scan: causal inside the chunk, and no kernel forms a product larger than a chunk.

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
class Bidirectional(Mask):
    """Every key.

    >>> Bidirectional().keys(8.0)
    8.0
    """

    def keys(self, seq_len: Num) -> Num:
        """``S``."""
        return seq_len * 1.0

    def span(self, seq_len: Num) -> Num:
        """``S``."""
        return seq_len * 1.0


def _squares(seq_len: Num, chunk: int) -> Num:
    """Mean length of the chunk a token is in: the sum of the chunks' squared lengths over the sequence."""
    whole: Num = np.floor(seq_len / chunk)
    rest = seq_len - whole * chunk
    return (whole * chunk * chunk + rest * rest) / seq_len
