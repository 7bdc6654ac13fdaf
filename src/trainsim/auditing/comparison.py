"""Compare a stated figure with a figure, a bound, a count or a prediction; each rule returns a word of the verdict."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from ..claims.claim import Bound
from ..core.units import half_last_digit

Word = Literal["CONFIRMED", "NOT REFUTED", "STRAINED", "REFUTED", "IMPOSSIBLE", "CANNOT BE JUDGED"]
"""The word for a number; defined in the glossary."""
Faithfulness = Literal["FAIR", "MISLEADING", "CANNOT BE JUDGED", "NOT UNDERSTOOD"]
"""The word for a claim's words; defined in the glossary."""
SEVERITY: tuple[Word, ...] = ("CONFIRMED", "NOT REFUTED", "CANNOT BE JUDGED", "STRAINED", "REFUTED", "IMPOSSIBLE")
"""Words from best to worst; CANNOT BE JUDGED is between NOT REFUTED and STRAINED."""
CLOSE, NEAR = math.log(1.1), math.log(1.3)
"""Largest distances |ln(claim / figure)| of a confirmed and of a strained figure."""
LITTLE = math.log(3.0)
"""Ratio to the fact above which a true bound says little."""
POWER = 10.0
"""Largest P95 / P5 of a prediction that can judge claims inside its 99 % interval."""
LEVELS = (0.005, 0.05, 0.5, 0.95, 0.995)
"""Levels of a prediction's quantiles: the ends of its 99 % and 90 % intervals, and its median."""


@dataclass(frozen=True)
class Stated:
    """A claimed figure: a point, a range, or a bound, in the base unit of its quantity.

    >>> Stated(6e6, 6e6).is_range
    False
    """

    low: float
    high: float
    bound: Bound = ""

    @property
    def is_range(self) -> bool:
        """Whether the figure is a range."""
        return self.low != self.high

    @property
    def value(self) -> float:
        """The figure; the geometric mean of a range."""
        return self.low if not self.is_range else math.sqrt(self.low * self.high)

    def scaled(self, factor: float) -> Stated:
        """The figure in another unit."""
        return Stated(self.low * factor, self.high * factor, self.bound)


@dataclass(frozen=True)
class Prediction:
    """Prediction of a figure, made without its maker's disclosure.

    Args:
        quantiles: quantiles at ``LEVELS``.
        cdf: value → probability of at most that value.
    """

    quantiles: tuple[float, float, float, float, float]
    cdf: Callable[[float], float]

    @property
    def median(self) -> float:
        """The median."""
        return self.quantiles[2]

    @property
    def ninety(self) -> tuple[float, float]:
        """The 90 % interval."""
        return self.quantiles[1], self.quantiles[3]

    @property
    def width(self) -> float:
        """P95 / P5."""
        return self.quantiles[3] / self.quantiles[1] if self.quantiles[1] > 0 else math.inf


def distance(claimed: float, figure: float) -> float:
    """Distance of a claimed figure from another, ``|ln(claimed / figure)|``; infinite if only one is positive.

    >>> round(distance(6e6, 5.576e6), 3)
    0.073
    """
    if claimed == figure:
        return 0.0
    return abs(math.log(claimed / figure)) if claimed > 0 and figure > 0 else math.inf


def worse(words: Iterable[Word]) -> Word:
    """The worst of some words."""
    return max(words, key=SEVERITY.index)


def better(words: Iterable[Word]) -> Word:
    """The best of some words."""
    return min(words, key=SEVERITY.index)


def by_distance(far: float) -> Word:
    """The word for a distance from a disclosed figure.

    >>> by_distance(0.07), by_distance(0.2), by_distance(0.3)
    ('CONFIRMED', 'STRAINED', 'REFUTED')
    """
    return "CONFIRMED" if far <= CLOSE else "STRAINED" if far <= NEAR else "REFUTED"


def compare_with_figure(stated: Stated, figure: float) -> Word:
    """The word for a stated figure compared with a disclosed point.

    A true bound is confirmed; a wrong bound is strained within ln 1.1 of the figure, else refuted. A range that contains the figure is
    confirmed if both ends lie within ln 1.3 of it, else not refuted. Any other range is strained if its nearer end lies within ln 1.3,
    else refuted.

    >>> compare_with_figure(Stated(5e8, 5e8, "at least"), 8e8), compare_with_figure(Stated(2e6, 5e6), 3e6)
    ('CONFIRMED', 'NOT REFUTED')
    """
    if stated.bound:
        missed = missed_by(stated, figure)
        return "CONFIRMED" if missed <= 0 else "STRAINED" if missed <= CLOSE else "REFUTED"
    ends = distance(stated.low, figure), distance(stated.high, figure)
    if not stated.is_range:
        return by_distance(ends[0])
    if stated.low <= figure <= stated.high:
        return "CONFIRMED" if max(ends) <= NEAR else "NOT REFUTED"
    return "STRAINED" if min(ends) <= NEAR else "REFUTED"


def missed_by(stated: Stated, figure: float) -> float:
    """Log distance by which a bound is wrong; −∞ if the bound is true."""
    if stated.bound == "at least":
        return -math.inf if stated.low <= figure else distance(stated.low, figure)
    return -math.inf if stated.high >= figure else distance(stated.high, figure)


def compare_with_bound(stated: Stated, figure: float, bound: Bound) -> Word:
    """The word for a stated figure compared with a disclosed bound.

    A claim that repeats or weakens the bound is confirmed. A point, a range or a stronger bound on the allowed side is not refuted. On the
    other side a claim is strained within ln 1.1 of the bound, else refuted.

    >>> compare_with_bound(Stated(1e8, 1e8), 1e8, "at least"), compare_with_bound(Stated(5e7, 5e7, "at least"), 1e8, "at least")
    ('NOT REFUTED', 'CONFIRMED')
    """
    above = bound == "at least"
    if stated.bound == bound:
        weaker = stated.low <= figure if above else stated.high >= figure
        return "CONFIRMED" if weaker else "NOT REFUTED"
    reaches = stated.high if above else stated.low
    if stated.bound or (reaches >= figure if above else reaches <= figure):
        allowed = (stated.high >= figure if above else stated.low <= figure) if stated.bound else True
        if allowed:
            return "NOT REFUTED"
    return "STRAINED" if distance(reaches, figure) <= CLOSE else "REFUTED"


def compare_with_count(stated: Stated, count: float, *, structural: bool) -> Word:
    """The word for a count: structural counts must be equal, counts of machines equal at the printed precision of the disclosure.

    >>> compare_with_count(Stated(2048, 2048), 2048, structural=False), compare_with_count(Stated(255, 255), 256, structural=True)
    ('CONFIRMED', 'REFUTED')
    """
    if stated.bound or stated.is_range:
        return compare_with_figure(stated, count)
    if structural:
        return "CONFIRMED" if stated.low == count else "REFUTED"
    if abs(stated.low - count) <= half_last_digit(count):
        return by_distance(distance(stated.low, count))
    return "STRAINED" if distance(stated.low, count) <= NEAR else "REFUTED"


def compare_with_prediction(stated: Stated, predicted: Prediction) -> Word:
    """The word for a stated figure compared with a prediction.

    A figure inside the 90 % interval is not refuted, inside the 99 % interval strained, else refuted. If P95 / P5 exceeds ``POWER``, a
    figure inside the 99 % interval cannot be judged. A bound that the median satisfies counts as the median; a range counts by its point
    nearest to the median.
    """
    low99, low90, median, high90, high99 = predicted.quantiles
    value = stated.low
    if stated.bound:
        value = max(stated.low, median) if stated.bound == "at least" else min(stated.high, median)
    elif stated.is_range:
        value = min(max(median, stated.low), stated.high)
    if not low99 <= value <= high99:
        return "REFUTED"
    if predicted.width > POWER:
        return "CANNOT BE JUDGED"
    return "NOT REFUTED" if low90 <= value <= high90 else "STRAINED"


def says_little(stated: Stated, figure: float) -> bool:
    """Whether a true bound is more than a factor of three from the fact.

    >>> says_little(Stated(1e6, 1e6, "at least"), 5e6)
    True
    """
    return bool(stated.bound) and missed_by(stated, figure) <= 0 and distance(stated.value, figure) > LITTLE


def equals_printed(stated: Stated, figure: float) -> bool:
    """Whether a point equals a figure at the printed precision of the figure.

    >>> equals_printed(Stated(7.38e6, 7.38e6), 7.38e6), equals_printed(Stated(7e6, 7e6), 7.38e6)
    (True, False)
    """
    return not stated.bound and not stated.is_range and abs(stated.low - figure) <= half_last_digit(figure)


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
    """One comparison of a claim.

    Args:
        name: name of the check: ``disclosure``, ``hours``, ``physics``, ``rent``, ``dollars``.
        word: the outcome.
        finding: the finding in words, with figures.
        percentile: percentile of the stated figure in the prediction, 0 to 100; None without a prediction.
        narrow, wide: that percentile under the narrowest and the widest defensible prior.
        newest: day of the newest row used; empty if none is dated.
    """

    name: str
    word: Word
    finding: str
    percentile: float | None = None
    narrow: float | None = None
    wide: float | None = None
    newest: str = ""
