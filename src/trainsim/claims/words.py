"""The words a verdict is made of, each defined by a figure; and what a claim is held against."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..errors import ClaimError
from ..run import Run

Word = Literal["HOLDS", "STRAINED", "FAILS", "IMPOSSIBLE", "CANNOT BE JUDGED"]
"""What a number can be: inside the 90 % interval; outside it but inside 98 %; outside both; against physics; without evidence."""
Telling = Literal["FAIR", "MISLEADING", "CANNOT BE JUDGED"]
"""What the words around a number can be: true at the scope they suggest; not; or they fix no scope."""
SEVERITY: tuple[Word, ...] = ("CANNOT BE JUDGED", "HOLDS", "STRAINED", "FAILS", "IMPOSSIBLE")
INSIDE, BARELY = (5.0, 95.0), (1.0, 99.0)
"""Percentiles that define the words; see the glossary."""


def word_at(percentile: float) -> Word:
    """The word for a percentile, 0 to 100, of what was expected.

    >>> word_at(16), word_at(3), word_at(99.9)
    ('HOLDS', 'STRAINED', 'FAILS')
    """
    if INSIDE[0] <= percentile <= INSIDE[1]:
        return "HOLDS"
    return "STRAINED" if BARELY[0] <= percentile <= BARELY[1] else "FAILS"


def word_for_rounding(stated: float, computed: float) -> Word:
    """Whether a stated figure is the computed one, rounded to the digits it was told with: 5.58 may be told as 6, not as 6.0.

    Within a tenth it is strained.

    >>> word_for_rounding(6e6, 5.576e6), word_for_rounding(5.6e9, 5.576e6)
    ('HOLDS', 'FAILS')
    """
    if stated == 0:
        return "HOLDS" if computed == 0 else "FAILS"
    exponent = np.floor(np.log10(abs(stated)))
    digits = next(d for d in range(1, 17) if np.isclose(np.round(stated / 10.0**exponent, d - 1), stated / 10.0**exponent, rtol=1e-12))
    half_digit = 0.5 * 10.0 ** (exponent - digits + 1)
    if abs(stated - computed) <= half_digit:
        return "HOLDS"
    return "STRAINED" if abs(stated / computed - 1) <= 0.1 else "FAILS"


@dataclass(frozen=True)
class Check:
    """One thing a claim was held against.

    Args:
        name: what: ``arithmetic``, ``hours``, ``physics``, ``rent``, ``dollars``.
        word: the outcome.
        finding: in words, with the figures.
        percentile: where the stated figure stands in what was expected, 0 to 100; None where no distribution is involved.
        narrow, wide: the same under the narrowest and the widest reading of the evidence that can be defended.
    """

    name: str
    word: Word
    finding: str
    percentile: float | None = None
    narrow: float | None = None
    wide: float | None = None


def main_phase(run: Run) -> str:
    """The phase with the most tokens: the one whose hours decide."""
    known = [p for p in run.phases if p.tokens is not None]
    if not known:
        raise ClaimError(
            "phases",
            [p.name for p in run.phases],
            "have no published tokens",
            "give tokens to the phase that decides: without work there is no physics to check",
        )
    return max(known, key=lambda p: float(p.tokens or 0.0)).name
