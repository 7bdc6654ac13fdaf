"""The words a verdict is made of, each defined by a figure; and what a claim is held against."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..claims.claim import Bound
from ..core.errors import ClaimError
from ..core.units import half_last_digit
from ..run.run import Run

Word = Literal["HOLDS", "STRAINED", "FAILS", "IMPOSSIBLE", "CANNOT BE JUDGED"]
"""What a number can be: inside the 90 % interval; outside it but inside 98 %; outside both; against physics; without evidence."""
Telling = Literal["FAIR", "MISLEADING", "CANNOT BE JUDGED"]
"""What the words around a number can be: true at the scope they suggest; not; or they fix no scope."""
SEVERITY: tuple[Word, ...] = ("CANNOT BE JUDGED", "HOLDS", "STRAINED", "FAILS", "IMPOSSIBLE")
INSIDE, BARELY = (5.0, 95.0), (1.0, 99.0)
"""Percentiles that define the words; see the glossary."""


def word_at(percentile: float, bound: Bound = "") -> Word:
    """The word for a percentile, 0 to 100, of what was expected; a figure told as a bound can be wrong on one side only.

    >>> word_at(16), word_at(3), word_at(99.9), word_at(0.1, "at least")
    ('HOLDS', 'STRAINED', 'FAILS', 'HOLDS')
    """
    if bound:
        percentile = max(percentile, 50.0) if bound == "at least" else min(percentile, 50.0)
    if INSIDE[0] <= percentile <= INSIDE[1]:
        return "HOLDS"
    return "STRAINED" if BARELY[0] <= percentile <= BARELY[1] else "FAILS"


def word_for_rounding(stated: float, computed: float, bound: Bound = "") -> Word:
    """Whether a stated figure is the computed one, rounded to the digits it was told with; or, told as a bound, bounds it.

    5.58 is told as 6; within a tenth a figure is strained.

    >>> word_for_rounding(6e6, 5.576e6), word_for_rounding(5.6e9, 5.576e6), word_for_rounding(5e6, 8e6, "at least")
    ('HOLDS', 'FAILS', 'HOLDS')
    """
    bounded = (bound == "at least" and computed >= stated) or (bound == "at most" and computed <= stated)
    if bounded or abs(stated - computed) <= half_last_digit(stated):
        return "HOLDS"
    return "STRAINED" if abs(stated - computed) <= 0.1 * abs(computed) else "FAILS"


def ordinal(percentile: float) -> str:
    """A percentile in words.

    >>> ordinal(16), ordinal(0.04), ordinal(91.4)
    ('16th pct.', '<1st pct.', '91st pct.')
    """
    if percentile < 1:
        return "<1st pct."
    if percentile > 99:
        return ">99th pct."
    whole = round(percentile)
    suffix = {1: "st", 2: "nd", 3: "rd"}.get(whole % 10 if whole % 100 not in (11, 12, 13) else 0, "th")
    return f"{whole}{suffix} pct."


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
            "too-few-data",
        )
    return max(known, key=lambda p: float(p.tokens or 0.0)).name
