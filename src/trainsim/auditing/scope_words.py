"""Read the scope that a claim's words name, by the phrases of the catalogue."""

from __future__ import annotations

from ..catalog.phrases import labs, names, phrases
from ..claims.claim import Claim
from ..claims.scope import CONTENTS, GROUPS, Basis, Scope
from ..claims.scope_parser import Contents, ScopeReading, parse_scope
from ..core.errors import ClaimError
from .measure import ARCHITECTURE, Measure

COUNTED = (*ARCHITECTURE, "mfu", "flops")
"""Quantities whose scope may name a counting convention instead of contents."""


def read_scope(words: str) -> ScopeReading:
    """Read the scopes that words may mean, by the phrases of the catalogue; unknown words are never guessed.

    Args:
        words: words in English.

    Returns:
        ``readings`` (sets of contents, the most likely first), ``basis`` and ``kind`` where the words name them, and ``unread`` words that
        could not be placed. With unread words there are no readings.

    >>> [sorted(reading) for reading in read_scope("compute for the experiments, without salaries").readings]
    [['experiments']]
    >>> read_scope("flurble compute").unread
    ('flurble',)
    """
    return parse_scope(words, phrases(), names, labs)


def scope_of(claim: Claim) -> tuple[Contents | None, Basis | None, ScopeReading | None]:
    """Scope of a claim's number: contents, basis and parsed words; None for each that the claim does not state.

    Raises:
        ClaimError: the words are not understood.
    """
    scope = claim.scope
    if isinstance(scope, Scope):
        contents = frozenset(scope.contents)
        return contents, scope.basis, ScopeReading("", (contents,), scope.basis, scope.kind)
    if not scope:
        return None, None, None
    reading = read_scope(scope)
    if not reading.understood:
        if claim.quantity in COUNTED or not claim.quantified:
            return None, None, reading
        raise _not_understood(scope, reading)
    return reading.readings[0], reading.basis, reading


def _not_understood(words: str, reading: ScopeReading) -> ClaimError:
    rule = f"is not understood: {', '.join(map(repr, reading.unread))}" if reading.unread else "names no contents"
    remedy = f"give Scope(contents=…) of {', '.join((*GROUPS, *CONTENTS))}; or words such as 'the final run'"
    return ClaimError("scope", words, rule, remedy, "unknown-name")


def words_of(claim: Claim, of_scope: ScopeReading | None) -> ScopeReading | None:
    """Parsed words of a claim: those of ``told_as``, else those of its scope; None if the claim has neither."""
    return read_scope(claim.told_as) if claim.told_as else of_scope


def narrower(words: ScopeReading, measure: Measure) -> Contents | None:
    """Contents that a claim's words name, if they name one set that is not more than the measure's default; None otherwise.

    A claim that states no scope is about no more than its words name: "post-training" is not judged as the whole final run.
    """
    if not words.understood or len(words.readings) > 1 or measure.relevant(words.readings[0]) > measure.default_contents:
        return None
    return words.readings[0]
