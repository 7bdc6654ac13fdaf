"""Build a claim from what people type: options of a command, or fields of a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..claims.claim import Claim
from ..claims.scope import Scope
from ..claims.typed_figure import typed_figure
from ..core.errors import SpecError


@dataclass(frozen=True)
class ClaimRequest:
    """Options that define a claim.

    Args:
        figure: ``"4.6M"``, ``"35M RMB"``, ``"at least 2.788M GPU-hours"``: :func:`~trainsim.claims.typed_figure.typed_figure`.
        quantity: what the figure measures; empty for what its unit says, and for dollars where it has none.
        told_as: the words with which the figure was published.
        scope: what it covers, in words; the published words' own scope if empty.
        includes: what it covers, part by part, in place of words.
        basis: how its hours are priced, beside ``includes``.
        source, date: where and when it was published.
    """

    figure: str
    quantity: str = ""
    told_as: str = ""
    scope: str = ""
    includes: Sequence[str] = ()
    basis: str = ""
    source: str = ""
    date: str = ""


def claim_of(asked: ClaimRequest) -> Claim:
    """A claim from flags.

    Raises:
        SpecError: the figure is not a number in the quantity's unit, or the scope is given both in words and in parts.
    """
    if asked.scope and (asked.includes or asked.basis):
        raise SpecError("--scope", asked.scope, "can't be combined with --includes and --basis", "give the words, or the parts", "conflict")
    if asked.basis and not asked.includes:
        raise SpecError("--basis", asked.basis, "needs --includes", "write --includes final_run --basis rent", "missing")
    scope: str | Scope = asked.scope
    if asked.includes:
        parts: dict[str, Any] = {"contents": tuple(asked.includes)} | ({"basis": asked.basis} if asked.basis else {})
        scope = Scope(**parts)
    given: dict[str, Any] = {"told_as": asked.told_as, "scope": scope, "source": asked.source or "typed", "date": asked.date}
    return Claim(**typed_figure(asked.figure, asked.quantity), **{name: word for name, word in given.items() if word})
