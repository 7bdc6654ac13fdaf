"""Low-discrepancy points: Sobol' sequences, scrambled anew for every path and replicate."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from trainsim.core.errors import BeliefError

Bits = NDArray[np.int64]

INDEX_BITS = 40
"""A sequence holds 2^40 points."""
DIGITS = 52
"""Binary digits of a point: with the half step added, all that a float64 holds below one."""

CHUNK = 1 << 12
"""Points laid by doubling; further ones repeat them under another shift, so that all of this stays in the cache."""

_ONE = int(np.float64(1.0).view(np.int64))


@lru_cache(maxsize=1)
def _table() -> tuple[tuple[int, ...], ...]:
    text = resources.files(__package__).joinpath("sobol.csv").read_text(encoding="utf-8")
    return tuple(tuple(map(int, line.split(","))) for line in text.splitlines() if not line.startswith("#"))


@lru_cache(maxsize=1024)
def _generator(dimension: int) -> Bits:
    """Which digit depends on which bit of the index: 0 or 1, shape (INDEX_BITS, INDEX_BITS) as [index bit, digit].

    Source: Joe & Kuo (2008), SIAM J. Sci. Comput. 30(5), 2635-2654, section 2.
    """
    polynomial, *numbers = _table()[dimension]
    degree = polynomial.bit_length() - 1
    m = list(numbers)
    for i in range(len(m), INDEX_BITS):
        if degree == 0:
            m.append(1)
            continue
        value = m[i - degree] ^ (m[i - degree] << degree)
        for k in range(1, degree):
            if polynomial >> (degree - k) & 1:
                value ^= m[i - k] << k
        m.append(value)
    return np.array([[m[j] >> (j - digit) & 1 if digit <= j else 0 for digit in range(INDEX_BITS)] for j in range(INDEX_BITS)])


def dimensions() -> int:
    """How many dimensions the table of direction numbers holds."""
    return len(_table())


def stream(seed: int, key: str) -> np.random.Generator:
    """The random stream of a path: the same whatever other paths there are."""
    word = int.from_bytes(hashlib.blake2b(key.encode(), digest_size=16).digest(), "little")
    return np.random.Generator(np.random.PCG64DXSM(np.random.SeedSequence([seed, word])))


@dataclass(frozen=True)
class Points:
    """Replicates of a scrambled Sobol' sequence, one column for each key.

    The scramble (a random lower-triangular matrix and a digital shift over GF(2)) depends on the seed, the replicate
    and the key alone, and the dimension on the caller's word, so a column never depends on the other columns.

    Args:
        seed: the one seed.
        keys: what each column is for, (d,).
        columns: the Sobol' dimension of each, (d,), all different.
        replicates: how many independent scrambles.

    Source: Matoušek (1998), "On the L2-discrepancy for anchored boxes", J. Complexity 14, 527-556 (affine scramble).
    """

    seed: int
    keys: Sequence[str]
    columns: Sequence[int]
    replicates: int

    def __post_init__(self) -> None:
        if self.columns and max(self.columns) >= dimensions():
            remedy = "believe fewer numbers at once, or lay beliefs over a part of the spec"
            raise BeliefError(
                "beliefs", max(self.columns), f"needs a Sobol' dimension above the {dimensions()} known", remedy, "unsupported"
            )

    @cached_property
    def _random(self) -> Bits:
        """The random digits of every scramble, (d, replicates, INDEX_BITS + 1): a triangular matrix and a shift."""
        raw = np.empty((len(self.keys), self.replicates, INDEX_BITS + 1), dtype=np.int64)
        for row, key in zip(raw, self.keys, strict=True):
            # the first bits of raw words, as integers() would give them
            raw_words = stream(self.seed, key).bit_generator.random_raw(row.size)
            row[:] = (raw_words >> np.uint64(64 - DIGITS)).reshape(row.shape)
        return raw

    @cached_property
    def _directions(self) -> dict[int, Bits]:
        return {}

    def _scrambles(self, bits: int) -> tuple[Bits, Bits]:
        """Direction numbers (d, replicates, bits) for indices of so many bits, and shifts (d, replicates)."""
        bits = next(step for step in (12, 20, INDEX_BITS) if bits <= step)
        if bits not in self._directions:
            lead = np.int64(1) << (DIGITS - 1 - np.arange(bits))
            lower = (self._random[..., :bits] & (lead - 1)) | lead  # unit lower triangular: digit k and random digits below it
            picks = -np.array([_generator(dimension)[:bits, :bits] for dimension in self.columns])  # all ones where a digit is picked
            self._directions[bits] = np.bitwise_xor.reduce(lower[:, :, None, :] & picks[:, None], axis=-1)
        return self._directions[bits], self._random[..., INDEX_BITS]

    def blocks(self, replicates: slice, start: int, stop: int, size: int) -> Iterator[NDArray[np.float64]]:
        """Points start … stop of some replicates, at most so many of each at a time.

        Yields:
            One replicate after the other, shape (d, replicates · size); overwritten by the next block.
        """
        direction, shift = (part[:, replicates] for part in self._scrambles(stop.bit_length()))
        size = stop - start if stop - start <= size else math.gcd(stop - start, size)
        chunk = math.gcd(start, size, CHUNK)  # a power of two, as CHUNK is
        # digits behind the bits of 1.0 are a float in [1, 2)
        low = _doubled(direction[..., : chunk.bit_length() - 1], _at(direction, np.array([start]))[..., 0] ^ shift ^ _ONE)
        if stop - start == chunk:
            yield _shares(low)
            return
        bits = np.empty((*shift.shape, size // chunk, chunk), dtype=np.int64)
        for first in range(start, stop, size):
            onwards = _at(direction, np.arange(first, first + size, chunk) ^ start)
            np.bitwise_xor(low[:, :, None, :], onwards[..., None], out=bits)
            yield _shares(bits)


def _shares(bits: Bits) -> NDArray[np.float64]:
    """Floats in (0, 1) from those in [1, 2), in the same memory; all points of a column in one row."""
    u = bits.view(np.float64)
    u -= 1.0 - 0.5**DIGITS / 2
    return u.reshape(len(u), -1)


def _doubled(direction: Bits, first: Bits) -> Bits:
    """The digits of the first and as many points as there are patterns of some bits of the index, (d, replicates, 2^bits)."""
    found = np.empty((*direction.shape[:-1], 1 << direction.shape[-1]), dtype=np.int64)
    found[..., 0] = first
    for j in range(direction.shape[-1]):
        np.bitwise_xor(found[..., : 1 << j], direction[..., j, None], out=found[..., 1 << j : 2 << j])
    return found


def _at(direction: Bits, indices: Bits) -> Bits:
    """The digits of some points before their shift, (d, replicates, points)."""
    picks = -(indices[:, None] >> np.arange(direction.shape[-1]) & 1)  # all ones where a bit of the index is set
    return np.asarray(np.bitwise_xor.reduce(direction[..., None, :] & picks, axis=-1))
