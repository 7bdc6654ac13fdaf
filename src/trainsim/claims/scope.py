"""Scope: which costs a figure covers, how accelerator-hours are priced, and whether it is a flow or a stock."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import field_validator

from ..core.errors import ClaimError, did_you_mean
from ..core.spec import AsTuple, Spec

Content = Literal[
    "pretraining", "context_extension", "post_training", "downtime", "failed_runs", "feeder_runs", "experiments", "data", "people",
    "evaluation", "infrastructure", "electricity", "fleet", "company",
]  # fmt: skip
"""One part of a cost. The first three are the final run; ``company`` includes all others."""
Basis = Literal["market rent", "cloud list", "contract", "owner's cash", "owner's amortised"]
"""How accelerator-hours are priced: market rent, a cloud's list price, a contract price, the owner's cash or amortised cost."""
Kind = Literal["run", "year", "stock"]
"""The total of a run, a flow per year, or a stock bought once."""
CONTENTS: tuple[Content, ...] = get_args(Content)
FINAL_RUN: tuple[Content, ...] = ("pretraining", "context_extension", "post_training")
MODEL: tuple[Content, ...] = (*FINAL_RUN, "downtime", "failed_runs", "feeder_runs", "experiments", "data", "people")
GROUPS: dict[str, tuple[Content, ...]] = {"final_run": FINAL_RUN, "model": MODEL}
"""Short names for several contents."""
BASES = {
    "rent": "market rent",
    "list": "cloud list",
    "cash": "owner's cash",
    "owner": "owner's amortised",
    "amortised": "owner's amortised",
}
"""Short name → basis."""


def expand_contents(contents: Any) -> tuple[Content, ...]:
    """Replace the groups ``"final_run"`` and ``"model"`` by their contents; each content once, in the order of ``CONTENTS``.

    Args:
        contents: names of contents or groups.

    Returns:
        the contents.

    Raises:
        ClaimError: a name is neither a content nor a group.

    >>> expand_contents(["people", "final_run"])
    ('pretraining', 'context_extension', 'post_training', 'people')
    """
    found: set[str] = set()
    for name in (contents,) if isinstance(contents, str) else contents:
        if name not in GROUPS and name not in CONTENTS:
            meant = did_you_mean(str(name), (*GROUPS, *CONTENTS), "contents")
            raise ClaimError("", name, "is not a content of a scope", meant, "unknown-name")
        found |= set(GROUPS.get(name, (name,)))
    return tuple(c for c in CONTENTS if c in found)


class Scope(Spec):
    """What a figure covers: contents, basis and kind. Scopes compare and add only at equal basis and kind.

    Args:
        contents: parts included in the figure; ``"final_run"`` and ``"model"`` are groups of several.
        basis: how accelerator-hours are priced; the short names ``rent``, ``list``, ``cash`` and ``owner`` are accepted.
        kind: ``"run"`` (a run's flow), ``"year"`` (a yearly flow), ``"stock"`` (bought once).

    Raises:
        ClaimError: a content is unknown.

    >>> Scope(contents=("final_run",)).inside(Scope(contents=("model",)))
    True
    >>> Scope(("final_run", "people"), "rent").basis
    'market rent'
    """

    positional: ClassVar[tuple[str, ...]] = ("contents", "basis", "kind")
    contents: Annotated[tuple[Content, ...], AsTuple]
    basis: Basis = "market rent"
    kind: Kind = "run"

    @field_validator("contents", mode="before")
    @classmethod
    def _expanded(cls, contents: Any) -> tuple[Content, ...]:
        return expand_contents(contents)

    @field_validator("basis", mode="before")
    @classmethod
    def _named(cls, basis: Any) -> Any:
        return BASES.get(basis, basis) if isinstance(basis, str) else basis

    def inside(self, other: Scope) -> bool:
        """Whether the other scope includes every content of this one; ``company`` includes all.

        Raises:
            ClaimError: the other scope has another basis or kind.
        """
        self._same(other)
        return contents_include(other.contents, self.contents)

    def __add__(self, other: Scope) -> Scope:
        """A scope with the contents of both.

        Raises:
            ClaimError: the other scope has another basis or kind, or a content is in both.
        """
        self._same(other)
        twice = set(self.contents) & set(other.contents)
        if twice:
            raise ClaimError("scope", sorted(twice), "is in both scopes", "count it once", "duplicate")
        return Scope(contents=(*self.contents, *other.contents), basis=self.basis, kind=self.kind)

    def lacks(self, other: Scope) -> tuple[Content, ...]:
        """Contents of the other scope that this one does not include."""
        self._same(other)
        return tuple(c for c in other.contents if c not in self.contents)

    def comparable(self, other: Scope) -> bool:
        """Whether figures with these scopes measure the same thing: basis, kind and contents are equal."""
        return (self.basis, self.kind, self.contents) == (other.basis, other.kind, other.contents)

    def _same(self, other: Scope) -> None:
        if (self.basis, self.kind) != (other.basis, other.kind):
            rule = f"is {self.basis}, {self.kind}; the other is {other.basis}, {other.kind}"
            remedy = "convert one of them first: another basis or kind needs its own inputs"
            raise ClaimError("scope", self.contents, rule, remedy, "unit-mismatch")


def contents_include(whole: tuple[str, ...] | frozenset[str], part: tuple[str, ...] | frozenset[str]) -> bool:
    """Whether contents include all of some other contents; ``company`` includes all.

    >>> contents_include(("company",), ("fleet",)), contents_include(("people",), ("fleet",))
    (True, False)
    """
    return "company" in whole or set(part) <= set(whole)


NAMES: dict[frozenset[str], str] = {
    frozenset(FINAL_RUN): "the final run",
    frozenset((*FINAL_RUN, "downtime")): "the final run with downtime",
    frozenset(FINAL_RUN[:1]): "pre-training",
    frozenset(MODEL[:6]): "all runs of the model",
    frozenset(MODEL[:7]): "all compute of the model",
    frozenset(MODEL): "the whole model",
}
"""Name of common combinations of contents."""
WORDS: dict[str, str] = {
    "pretraining": "pre-training", "context_extension": "context extension", "post_training": "post-training",
    "failed_runs": "failed runs", "feeder_runs": "runs that feed it", "fleet": "the machines", "company": "the whole company",
}  # fmt: skip


def contents_text(contents: tuple[str, ...] | frozenset[str]) -> str:
    """Contents as text for a reader.

    >>> contents_text(frozenset(MODEL)), contents_text(("people", "data"))
    ('the whole model', 'data and people')
    """
    given = frozenset(contents)
    if given in NAMES:
        return NAMES[given]
    run, parts = frozenset(FINAL_RUN) <= given, [WORDS.get(c, c) for c in CONTENTS if c in given]
    if run:
        parts = ["the final run", *(WORDS.get(c, c) for c in CONTENTS if c in given and c not in FINAL_RUN)]
    return f"{', '.join(parts[:-1])} and {parts[-1]}" if len(parts) > 1 else parts[0] if parts else "nothing"
