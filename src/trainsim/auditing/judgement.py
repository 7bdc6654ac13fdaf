"""Judge a claim: the word for its number, and the word for its wording."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..claims.scope import Basis, Scope, contents_include, contents_text
from ..claims.scope_parser import ScopeReading
from ..core.units import human
from .comparison import CLOSE, Check, Faithfulness, Stated, Word, compare_with_prediction, distance, says_little, worse
from .disclosure import Disclosure, nearest, repeated, word_for
from .measure import OWNED, Clock, Contents, Measure, Predicted, Unknown

OF_A_LAB: Contents = OWNED | {"infrastructure", "electricity"}
"""Contents that words about a lab's machines may name."""
CERTAIN = (0.5, 99.5)
"""Percentiles between which a disclosure is plausible."""


@dataclass(frozen=True)
class Number:
    """Judgement of a number.

    Args:
        word, checks: the word, and the checks it follows from.
        fact, predicted: the disclosure or the prediction that decided.
        points_to: related figures that the claim repeats or agrees with, the nearest first.
    """

    word: Word
    checks: tuple[Check, ...]
    fact: Disclosure | None = None
    predicted: Predicted | None = None
    points_to: tuple[Disclosure, ...] = ()


@dataclass(frozen=True)
class Reading:
    """The figure at one possible meaning of a claim's words.

    Args:
        contents, name: contents that the words may mean, and their name.
        words: the judgement at this meaning.
        low, high: the disclosed figure, or the predicted 90 % interval; NaN if there is neither.
        finding: the finding in words.
        at_least: whether ``low`` is only a lower bound.
        newest: day of the newest row used.
    """

    contents: Contents
    name: str
    words: Faithfulness
    low: float
    high: float
    finding: str
    at_least: bool = False
    newest: dt.date | None = None

    def times(self, value: float) -> tuple[float, float]:
        """Ratio of the figure to the claimed value, lower and upper end."""
        return self.low / value, self.high / value


def judge_number(measure: Measure, stated: Stated, contents: Contents | None, basis: Basis | None, clock: Clock) -> Number:
    """Judge a number: by physical bounds, then by a disclosure for the same scope, then by a prediction.

    Args:
        measure, stated: the quantity of the subject, and the claimed figure.
        contents: contents of the figure; None if no scope was stated.
        basis: how hours are priced; None if not stated.
        clock: the two days of the audit.
    """
    if why := measure.impossible(stated, contents):
        return Number("IMPOSSIBLE", (Check("physics", "IMPOSSIBLE", why),))
    found = _of_disclosures(measure, stated, measure.disclosures(contents, basis, clock.known), clock)
    if found is None:
        found = _of_prediction(measure, stated, contents, basis, clock)
    if measure.scenario:
        checks = (*found.checks, Check("scenario", "CANNOT BE JUDGED", measure.scenario))
        return Number("CANNOT BE JUDGED", checks, found.fact, found.predicted, found.points_to)
    return found


def _of_disclosures(measure: Measure, stated: Stated, facts: Sequence[Disclosure], clock: Clock) -> Number | None:
    """Judge by the nearest disclosure; at best STRAINED if the disclosure is implausible; None if there is no disclosure."""
    if not facts:
        return None
    word, fact = nearest(stated, facts)
    if word == "REFUTED" and fact.leaves_open(stated):
        return None
    others = measure.related_figures(clock.known)
    copied = repeated(stated, fact, others) if not any(word_for(stated, f) == "CONFIRMED" and f.count for f in facts) else None
    if copied is not None:
        word = "REFUTED"
    checks = [Check("disclosure", word, _finding(stated, fact), newest=_day(fact.day))]
    fits = [copied] if copied is not None else _fitting(stated, others) if word == "REFUTED" else []
    checks += [Check("elsewhere", word_for(stated, f), f"{'repeats' if copied else 'fits'} {human(f.value, 4)}: {f.label}") for f in fits]
    doubts = measure.plausible(fact, clock.blind)
    if doubts is not None:
        low = doubts.percentile is not None and doubts.percentile < CERTAIN[0]
        note = "; the maker's own figure is implausible" if low else ""
        high = doubts.percentile is not None and doubts.percentile > CERTAIN[1]
        note += "; it includes more than the predicted run" if high else ""
        checks.append(Check(doubts.name, doubts.word, doubts.finding + note, doubts.percentile, doubts.narrow, doubts.wide, doubts.newest))
        word = worse((word, "STRAINED")) if low else word
    return Number(word, tuple(checks), fact, None, tuple(fits))


def _fitting(stated: Stated, others: Sequence[Disclosure]) -> list[Disclosure]:
    """Related figures that the claim is compatible with, the nearest first."""
    fits = [d for d in others if word_for(stated, d) != "REFUTED"]
    return sorted(fits, key=lambda d: distance(stated.value, d.value))


def _finding(stated: Stated, fact: Disclosure) -> str:
    """A disclosed figure in words, with the deviation of the claim from it."""
    bound = {"": "", "at least": "more than ", "at most": "under "}[fact.bound]
    figure = _short(fact.low) if fact.low == fact.high else f"{_short(fact.low)} to {_short(fact.high)}"
    little = "; true, says little" if says_little(stated, fact.value) else ""
    label = f", {fact.label}" if fact.label else ""
    return f"{bound}{figure} {'disclosed' if fact.sourced else 'given'}{_deviation(stated, fact)}{label}{little}"


def _deviation(stated: Stated, fact: Disclosure) -> str:
    if stated.bound or stated.is_range or fact.value <= 0:
        return ""
    off = stated.value / fact.nearest_to(stated.value)
    if 0.5 < off < 2:
        return f" ({off - 1:+.0%})"
    return f" (×{human(off if off > 1 else 1 / off, 2)})" if off > 0 else ""


def stated_in_words(stated: Stated) -> str:
    """A stated figure in words.

    >>> stated_in_words(Stated(2e6, 5e6)), stated_in_words(Stated(5e8, 5e8, "at least"))
    ('2M–5M', 'at least 500M')
    """
    bound = f"{stated.bound} " if stated.bound else ""
    value = _short(stated.low) if not stated.is_range else f"{_short(stated.low)}–{_short(stated.high)}"
    return f"{bound}{value}"


def _short(value: float) -> str:
    shown = human(value, 4)
    number, suffix = (shown[:-1], shown[-1]) if shown[-1:].isalpha() else (shown, "")
    return (number.rstrip("0").rstrip(".") if "." in number else number) + suffix


def _of_prediction(measure: Measure, stated: Stated, contents: Contents | None, basis: Basis | None, clock: Clock) -> Number:
    """Judge by a prediction from rows public the day before the claim, and by disclosed parts."""
    floor = _disclosed_part(measure, contents, basis, clock.known)
    if floor is not None and not stated.bound and stated.high < floor.value and distance(stated.high, floor.value) > CLOSE:
        check = Check("disclosure", "REFUTED", f"less than a part of it: {human(floor.value, 4)}, {floor.label}", newest=_day(floor.day))
        return Number("REFUTED", (check,), floor)
    near = tuple(_fitting(stated, measure.related_figures(clock.known)))
    pointer = [Check("elsewhere", "CANNOT BE JUDGED", f"{human(d.value, 4)} is {d.label}") for d in near]
    found = measure.predicted(contents, basis, clock.blind)
    if found is None:
        owned = contents is not None and contents <= OWNED and measure.kind == "run" and not isinstance(measure, Unknown)
        why = "machines and a company are a stock, not a scope of a run" if owned else measure.reason_unknown
        return Number("CANNOT BE JUDGED", (Check("judgement", "CANNOT BE JUDGED", why), *pointer), points_to=near)
    word = compare_with_prediction(stated, found.prediction)
    at = 100.0 * float(found.prediction.cdf(stated.value))
    if found.missing:
        word = "REFUTED" if word == "REFUTED" and at < CERTAIN[0] and stated.bound != "at least" else "CANNOT BE JUDGED"
    why = predicted_in_words(found)
    if found.judged:
        word, why = "CANNOT BE JUDGED", f"{why}; it depends on judgement"
    elif word == "CANNOT BE JUDGED" and not found.missing:
        why = f"{why}; too wide to tell"
    check = Check("prediction", word, f"predicted {why}; claimed {stated_in_words(stated)}", at, newest=_day(found.newest))
    return Number(word, (check, *pointer), None, found, near)


def predicted_in_words(found: Predicted) -> str:
    """A prediction in words: median, 90 % interval and width."""
    low, high = found.prediction.ninety
    missing = f", without {', '.join(found.missing)}, which have no price" if found.missing else ""
    width = f", P95/P5 {human(found.prediction.width, 2)}"
    return f"{human(found.prediction.median, 2)} (90 %: {human(low, 2)}–{human(high, 2)}{width}) from {found.how}{missing}"


def _disclosed_part(measure: Measure, contents: Contents | None, basis: Basis | None, day: dt.date) -> Disclosure | None:
    """The largest disclosed figure for a part of some contents, which is a lower bound on the whole."""
    if contents is None:
        return None
    facts = [
        f
        for f in measure.disclosures(None, basis, day)
        if f.contents and f.sourced and contents_include(contents, f.contents) and f.bound != "at most"
    ]
    return max(facts, key=lambda f: f.value, default=None)


def _day(day: dt.date | None) -> str:
    return day.isoformat() if day is not None else ""


# words -------------------------------------------------------------------------------------------------------------


def judge_words(
    measure: Measure, stated: Stated, scope: Scope, reading: ScopeReading, meant: Contents, clock: Clock, number: Number
) -> tuple[Faithfulness, tuple[Reading, ...]]:
    """Judge the words of a claim, and give the figure at each of their possible meanings.

    The figure is the disclosure for what the words name, else the predicted 90 % interval. If a source shows which
    meaning was intended, that one counts; otherwise the widest counts. A stock stated as a flow, or the reverse, is always misleading.

    Args:
        measure, stated: the quantity of the subject, and the claimed figure.
        scope, reading: scope of the number, and the parsed words.
        meant: contents that a source shows were meant; empty if none does.
        clock: the two days of the audit.
        number: the word for the number.
    """
    if not reading.understood:
        return "NOT UNDERSTOOD", ()
    admitted = [c for c in reading.readings if measure.admits(c)] or reading.readings
    at = tuple(_at_reading(measure, stated, scope, c, reading.basis or scope.basis, clock) for c in admitted)
    at = tuple(_as_the_number(r, number) if r.contents == frozenset(scope.contents) else r for r in at)
    chosen = next((r for r in at if meant and r.contents == meant), max(at, key=lambda r: len(r.contents)))
    if _kinds_differ(measure, scope, reading):
        return "MISLEADING", at
    if number.word == "IMPOSSIBLE":
        return "CANNOT BE JUDGED", at  # an impossible figure is impossible at every scope
    return chosen.words, at


def _as_the_number(reading: Reading, number: Number) -> Reading:
    """If the words name the scope of the number, they get the number's judgement, regardless of later publications."""
    words: Faithfulness = {"REFUTED": "MISLEADING", "CANNOT BE JUDGED": reading.words}.get(number.word, "FAIR")
    return replace(reading, words=words)


def _kinds_differ(measure: Measure, scope: Scope, reading: ScopeReading) -> bool:
    """Whether the words state another kind than the figure: stock, flow or yearly flow; or present a lab's machines as a model's cost.

    The kind of an unpublished company's figure is that of the claim's scope, if it states one.
    """
    if measure.default_contents <= OWNED and not any(contents & OF_A_LAB for contents in reading.readings):
        return True
    unpublished = isinstance(measure, Unknown)
    if unpublished and frozenset(scope.contents) <= OWNED and scope.kind == measure.kind:
        return False
    return reading.kind is not None and reading.kind != (scope.kind if unpublished else measure.kind)


def _at_reading(measure: Measure, stated: Stated, scope: Scope, contents: Contents, basis: Basis, clock: Clock) -> Reading:
    """The figure at one meaning of the words, and whether the claim agrees with it."""
    name, own = contents_text(contents), frozenset(scope.contents)
    if stated.bound == "at least" and contents_include(contents, own):
        contents = own  # a lower bound on a part is a lower bound on the whole
    elif stated.bound == "at most" and contents_include(own, contents):
        contents = own  # an upper bound on the whole is an upper bound on its parts
    asked = measure.relevant(contents)
    facts = measure.disclosures(asked, basis, clock.known)
    if facts:
        word, fact = nearest(stated, facts)
    if facts and not (word == "REFUTED" and fact.leaves_open(stated)):
        telling: Faithfulness = "MISLEADING" if word == "REFUTED" else "FAIR"
        return Reading(contents, name, telling, fact.low, fact.high, f"{human(fact.value, 4)}, {fact.label}", newest=fact.day)
    if measure.scenario:
        return Reading(contents, name, "CANNOT BE JUDGED", float("nan"), float("nan"), measure.scenario)
    found = measure.predicted(asked, basis, clock.known)
    floor = _disclosed_part(measure, asked, basis, clock.known)
    if found is None:
        if floor is not None and stated.bound != "at least" and stated.high < floor.value and distance(stated.high, floor.value) > CLOSE:
            return Reading(contents, name, "MISLEADING", floor.value, floor.value, f"more than {floor.label}", True, floor.day)
        return Reading(contents, name, "CANNOT BE JUDGED", float("nan"), float("nan"), measure.reason_unknown)
    low, high = found.prediction.ninety
    inside = _is_consistent(stated, low, high, found.prediction.median)
    telling = "FAIR" if inside else "MISLEADING"
    if found.missing and (inside or stated.value > low or stated.bound == "at least"):
        telling = "CANNOT BE JUDGED"
    return Reading(contents, name, telling, low, high, predicted_in_words(found), bool(found.missing), found.newest)


def _is_consistent(stated: Stated, low: float, high: float, median: float) -> bool:
    """Whether a figure overlaps an interval; a bound is compared on its own side of the median."""
    if stated.bound == "at least":
        return max(stated.low, median) <= high
    if stated.bound == "at most":
        return min(stated.high, median) >= low
    return stated.low <= high and stated.high >= low
