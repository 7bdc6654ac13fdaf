"""Scope: what is inside a figure, on which basis, and what kind of quantity it is."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from ..core.errors import ClaimError
from ..core.spec import AsTuple, Spec

Basis = Literal["rent", "owner"]
"""Priced as if rented, or by the owner's amortised cost."""
Kind = Literal["run", "year", "stock"]
"""A run's own flow, a flow per year, or a stock that was bought once."""
Content = Literal[
    "run", "downtime", "failed runs", "sibling runs", "experiments", "data", "evaluation", "storage", "people", "fleet", "operation"
]
RUNGS: tuple[Content, ...] = ("run", "downtime", "failed runs", "sibling runs", "experiments", "data", "people")
"""The ladder from the last run to the model, each rung adding one content to the one before."""


class Scope(Spec):
    """A value (contents, basis, kind). Inclusion and addition hold only at equal basis and kind.

    Args:
        contents: what is inside.
        basis: how it is priced.
        kind: what kind of quantity it is.

    >>> SCOPES["final-run rent"].inside(SCOPES["model at rent"])
    True
    """

    contents: Annotated[tuple[Content, ...], AsTuple]
    basis: Basis = "rent"
    kind: Kind = "run"

    def inside(self, other: Scope) -> bool:
        """Whether all that is in this scope is in the other.

        Raises:
            ClaimError: another basis or kind: that is a translation, not an inclusion.
        """
        self._same(other)
        return set(self.contents) <= set(other.contents)

    def __add__(self, other: Scope) -> Scope:
        """What both hold, where nothing is in both.

        Raises:
            ClaimError: another basis or kind, or a content twice.
        """
        self._same(other)
        twice = set(self.contents) & set(other.contents)
        if twice:
            raise ClaimError("scope", sorted(twice), "is in both", "count it once", "duplicate")
        return Scope(contents=(*self.contents, *other.contents), basis=self.basis, kind=self.kind)

    def lacks(self, other: Scope) -> tuple[Content, ...]:
        """What the other holds and this leaves out."""
        self._same(other)
        return tuple(c for c in other.contents if c not in self.contents)

    def _same(self, other: Scope) -> None:
        if (self.basis, self.kind) != (other.basis, other.kind):
            rule = f"is {self.basis}, {self.kind}; the other is {other.basis}, {other.kind}"
            raise ClaimError(
                "scope", self.contents, rule, "translate one of them first: a change of basis or kind needs its own inputs", "unit-mismatch"
            )


SCOPES: dict[str, Scope] = {
    "final-run rent": Scope(contents=("run",)),
    "final run with downtime": Scope(contents=("run", "downtime")),
    "all runs at rent": Scope(contents=RUNGS[:4]),
    "compute at rent": Scope(contents=RUNGS[:5]),
    "model at rent": Scope(contents=RUNGS),
    "model at owner's cost": Scope(contents=RUNGS, basis="owner"),
    "final run at owner's cost": Scope(contents=("run",), basis="owner"),
    "fleet purchase": Scope(contents=("fleet",), basis="owner", kind="stock"),
    "fleet operation per year": Scope(contents=("operation",), basis="owner", kind="year"),
}
"""Scopes by name."""

_PHRASES = (
    (r"(the )?(rent of )?the (last|final)( training)? run", "final-run rent"),
    (
        r"what (training|making|building|developing) .{1,40} cost|the cost of (the|a) model|(training|making|building) (the|a) model",
        "model at rent",
    ),
    (r"(?=.*\b(running|operating|operation)\b).*\b(yearly|annual(ly)?|(a|per|each|every) year)\b.*", "fleet operation per year"),
)
"""What people say → the scope it names: of a whole phrase, in lower case."""


def scope_of(words: str) -> Scope | None:
    """The scope that words name, however they are hyphenated or capitalised; None where they fix none.

    >>> scope_of("The cost of the model").contents[-1], scope_of("what making Llama 3.1 cost").contents[-1]
    ('people', 'people')
    >>> scope_of("final run rent").contents, scope_of("operating costs per year").kind
    (('run',), 'year')
    """
    plain = _plain(words)
    return _BY_NAME.get(plain) or next((SCOPES[name] for phrase, name in _PHRASES if re.fullmatch(phrase, plain)), None)


def _plain(words: str) -> str:
    return " ".join(words.lower().replace("-", " ").split())


_BY_NAME = {_plain(name): scope for name, scope in SCOPES.items()}
