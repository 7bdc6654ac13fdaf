"""Documents packed into sequences, which attend only within themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Self

import numpy as np

from ..core.errors import SpecError
from ..core.spec import AsTuple, Spec, invariant
from ..core.units import Num


class Documents(Spec):
    """A discrete distribution of document lengths.

    A token of a document of ``L`` tokens attends to ``keys(L)`` keys on average, and long documents hold more of the tokens:
    ``keys = Σᵢ wᵢ Lᵢ keys(min(Lᵢ, S)) / Σᵢ wᵢ Lᵢ``, for a causal mask ``Σᵢ wᵢ Lᵢ(Lᵢ + 1)/2 / Σᵢ wᵢ Lᵢ``.

    Args:
        lengths: lengths of the documents [token]; a document longer than the sequence fills whole sequences.
        weights: number of documents of each length, up to a common factor; empty for equal numbers.

    Raises:
        SpecError: no lengths, a length below one token, a negative weight, not one weight per length, or weights that are all zero.

    >>> Documents(lengths=(100, 300), weights=(3, 1)).mean_length
    150.0
    >>> Documents(lengths=(100, 300), weights=(3, 1)).mean_keys(lambda length: (length + 1) / 2, 4096)
    100.5
    """

    lengths: Annotated[tuple[float | int, ...], AsTuple]
    weights: Annotated[tuple[float | int, ...], AsTuple] = ()

    @invariant
    def _consistent(self) -> Self:
        lengths, weights = np.asarray(self.lengths, dtype=np.float64), np.asarray(self.weights, dtype=np.float64)
        if not lengths.size or not np.all(np.isfinite(lengths)) or np.any(lengths < 1):
            raise SpecError(
                "lengths", self.lengths, "must be one or more lengths of at least one token", "give lengths in tokens", "out-of-bounds"
            )
        if self.weights and len(self.weights) != len(self.lengths):
            raise SpecError(
                "weights",
                len(self.weights),
                f"weights were given for {len(self.lengths)} lengths",
                "give one weight per length",
                "conflict",
            )
        if self.weights and (not np.all(np.isfinite(weights)) or np.any(weights < 0) or weights.sum() <= 0):
            raise SpecError(
                "weights", self.weights, "must be >= 0, and not all zero", "give how many documents have each length", "out-of-bounds"
            )
        return self

    @property
    def _weights(self) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        return np.asarray(self.weights or (1.0,) * len(self.lengths), dtype=np.float64)

    @property
    def mean_length(self) -> float:
        """Mean length of a document: tokens over documents."""
        return float(np.average(self.lengths, weights=self._weights))

    def mean_keys(self, keys: Callable[[Num], Num], seq_len: Num) -> Num:
        """Keys that a token attends to on average, over all tokens.

        Args:
            keys: mean number of keys per query in a document of some length.
            seq_len: sequence length, number or array ``(n,)`` [token].
        """
        column = (-1, *(1 for _ in np.shape(seq_len)))
        lengths = np.asarray(self.lengths, dtype=np.float64).reshape(column)
        tokens = self._weights.reshape(column) * lengths
        mean: Num = (tokens * keys(np.minimum(lengths, seq_len))).sum(axis=0) / tokens.sum(axis=0)
        return mean if np.ndim(mean) else float(mean)


def document_length(seq_len: Num, documents: Num | Documents | None) -> Num:
    """Mean length of the span inside which a query attends: its document, or the sequence [token].

    Args:
        seq_len, documents: as for :func:`document_keys`.

    >>> float(document_length(4096, 99))
    99.0
    """
    return document_keys(lambda length: length, seq_len, documents)


def document_keys(keys: Callable[[Num], Num], seq_len: Num, documents: Num | Documents | None) -> Num:
    """Keys per query if documents attend only within themselves.

    Args:
        keys: mean number of keys per query in a document of some length.
        seq_len: sequence length, number or array ``(n,)`` [token].
        documents: length of the documents [token], :class:`Documents`, or None for one document per sequence.

    >>> float(document_keys(lambda length: (length + 1) / 2, 4096, 99))
    50.0
    """
    if isinstance(documents, Documents):
        return documents.mean_keys(keys, seq_len)
    return keys(seq_len if documents is None else np.minimum(documents, seq_len))
