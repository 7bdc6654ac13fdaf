"""Check whether two claims contradict each other: figures at the same scope and kind, or a part that exceeds its whole."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from ..claims.claim import Claim
from ..claims.scope import Scope, contents_include, contents_text
from ..uncertainty.beliefs.beliefs import Beliefs
from .audit import clock_of, in_dollars, judged_scope
from .comparison import CLOSE, NEAR, Stated
from .measure import Clock
from .scope_words import scope_of
from .sentences import UNIT_WORDS
from .subjects import Asked, measure_of, with_known_names


@dataclass(frozen=True)
class Compared:
    """Two claims side by side.

    Args:
        comparable: whether both figures have the same subject, scope and kind.
        word: ``"agrees"``, ``"contradicts"`` or ``"both can be true"``; finding: why.
    """

    comparable: bool
    word: str
    finding: str


def compare_claims(one: Claim, other: Claim) -> Compared:
    """Whether one claim contradicts another.

    Figures of one scope, basis and kind agree within a factor of 1.3. Two bounds agree if they leave room for each other after each is
    widened by a factor of 1.1. Claims at two scopes contradict each other only if a part is more than the whole. A stock never contradicts
    a flow.

    Args:
        one, other: the claims.

    Returns:
        the finding, and whether they contradict each other.

    Raises:
        ClaimError: a scope that is not understood.

    >>> import trainsim as ts
    >>> compare_claims(ts.catalog.claim("fleet-1.6b"), ts.catalog.claim("deepseek-v3-6m")).finding
    'a stock beside a flow: both can be true'
    """
    one, other = with_known_names(one), with_known_names(other)
    clock = clock_of(one, None)
    (first, a), (second, b) = (_side(claim, clock) for claim in (one, other))
    if first.kind != second.kind:
        return _apart(_KINDS[frozenset({first.kind, second.kind})])
    if one.base_unit != other.base_unit:
        units = (UNIT_WORDS.get(unit, unit) for unit in (one.base_unit, other.base_unit))
        return _apart(" beside ".join(units))
    if one.subject != other.subject:
        return _apart(f"{one.subject} beside {other.subject}")
    if first.comparable(second):
        agrees = _gap(a, b) <= (CLOSE if a.bound or b.bound else NEAR)
        finding = f"one scope, {contents_text(first.contents)}: {'they agree' if agrees else 'only one can be true'}"
        return Compared(True, "agrees" if agrees else "contradicts", finding)
    if (first.basis, first.kind) == (second.basis, second.kind):
        for whole, part, upper, lower in ((first, second, a, b), (second, first, b, a)):
            if contents_include(whole.contents, part.contents) and _ends(lower)[0] > _ends(upper)[1] * math.exp(CLOSE):
                names = contents_text(part.contents), contents_text(whole.contents)
                return Compared(False, "contradicts", f"{names[0]} can't be more than {names[1]}")
    return _apart(" beside ".join(f"{contents_text(scope.contents)} ({scope.basis})" for scope in (first, second)))


def _apart(finding: str) -> Compared:
    return Compared(False, "both can be true", f"{finding}: both can be true")


def _ends(stated: Stated) -> tuple[float, float]:
    """Smallest and largest value that a claim allows."""
    low = 0.0 if stated.bound == "at most" else stated.low
    return low, math.inf if stated.bound == "at least" else stated.high


def _gap(one: Stated, other: Stated) -> float:
    """Log distance between the ranges of two claims; 0 if they overlap."""
    (low, high), (below, above) = _ends(one), _ends(other)
    least, most = (high, below) if high < below else (above, low)
    return 0.0 if least >= most else math.log(most / least) if least > 0 else math.inf


_KINDS: Mapping[frozenset[str], str] = {
    frozenset({"stock", "run"}): "a stock beside a flow",
    frozenset({"stock", "year"}): "a stock beside a yearly flow",
    frozenset({"year", "run"}): "a yearly flow beside a run's",
}


def _side(claim: Claim, clock: Clock) -> tuple[Scope, Stated]:
    """Scope and figure of a claim, converted to dollars where it is in another currency."""
    claim = in_dollars(claim, clock)
    measure = measure_of(Asked(claim, None, clock, Beliefs({}), 1), None)
    contents, basis, reading = scope_of(claim)
    return judged_scope(measure, contents, basis, reading), Stated(*claim.ends(), claim.bound)
