"""The scope a claim's words name, by the phrases of the catalogue."""

from __future__ import annotations

from ..catalog.phrases import names, phrases
from ..claims.claim import Claim
from ..claims.scope import CONTENTS, GROUPS, Basis, Scope
from ..claims.scope_parser import Contents, ScopeReading, parse_scope
from ..core.errors import ClaimError
from .architecture import ARCHITECTURE

COUNTED = (*ARCHITECTURE, "mfu", "flops")
"""Quantities whose scope may name a convention instead of contents."""


def read_scope(words: str) -> ScopeReading:
    """The scopes that words may mean, by the phrases of the catalogue; nothing is guessed about a word it doesn't know.

    Args:
        words: in English, as written.

    Returns:
        ``readings`` (sets of contents, the likeliest first), ``basis`` and ``kind`` where the words say them, ``unread`` words that
        could not be placed. With unread words there are no readings.

    >>> [sorted(reading) for reading in read_scope("compute for the experiments, without salaries").readings]
    [['experiments']]
    >>> read_scope("flurble compute").unread
    ('flurble',)
    """
    return parse_scope(words, phrases(), names)


def scope_of(claim: Claim) -> tuple[Contents | None, Basis | None, ScopeReading | None]:
    """What a claim's number is: contents, basis, and the reading of its words; None for each that it doesn't say.

    Raises:
        ClaimError: words that are not understood.
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
    rule = f"is not understood: {', '.join(map(repr, reading.unread))}" if reading.unread else "names nothing that a figure can hold"
    remedy = f"give Scope(contents=…) of {', '.join((*GROUPS, *CONTENTS))}; or words such as 'the final run'"
    return ClaimError("scope", words, rule, remedy, "unknown-name")


def words_of(claim: Claim, of_scope: ScopeReading | None) -> ScopeReading | None:
    """The reading of the words around a number: ``told_as``, else those of its scope; None where neither says anything."""
    return read_scope(claim.told_as) if claim.told_as else of_scope
