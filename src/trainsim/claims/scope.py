"""Scope: what is inside a figure, on which basis, and what kind of quantity it is."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import field_validator

from ..core.errors import ClaimError, did_you_mean
from ..core.spec import AsTuple, Spec

Content = Literal[
    "pretraining", "context_extension", "post_training", "downtime", "failed_runs", "feeder_runs", "experiments", "data", "people",
    "evaluation", "infrastructure", "electricity", "fleet", "company",
]  # fmt: skip
"""One part of a cost. The first three are the final run; ``company`` holds all the others."""
Basis = Literal["market rent", "cloud list", "contract", "owner's cash", "owner's amortised"]
"""How accelerator-hours are priced: at a market quote, a cloud's list price, a contract's, as cash, or as the owner's amortised cost."""
Kind = Literal["run", "year", "stock"]
"""What a run takes in all, a flow per year, or a stock that was bought once."""
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
"""Short names of bases."""


def expand(contents: Any) -> tuple[Content, ...]:
    """Contents in the order of ``CONTENTS``, each once; ``"final_run"`` and ``"model"`` stand for their parts.

    Args:
        contents: names of contents or groups.

    Returns:
        the contents.

    Raises:
        ClaimError: a name that is neither.

    >>> expand(["people", "final_run"])
    ('pretraining', 'context_extension', 'post_training', 'people')
    """
    found: set[str] = set()
    for name in (contents,) if isinstance(contents, str) else contents:
        if name not in GROUPS and name not in CONTENTS:
            meant = did_you_mean(str(name), (*GROUPS, *CONTENTS), "contents")
            raise ClaimError("", name, "is no content of a scope", meant, "unknown-name")
        found |= set(GROUPS.get(name, (name,)))
    return tuple(c for c in CONTENTS if c in found)


class Scope(Spec):
    """What a figure includes: contents, basis and kind; inclusion and addition need equal basis and kind.

    Args:
        contents: parts inside the figure; ``"final_run"`` and ``"model"`` stand for several.
        basis: how accelerator-hours are priced; short names ``rent``, ``list``, ``cash``, ``owner`` are read.
        kind: ``"run"`` (a run's flow), ``"year"`` (a yearly flow), ``"stock"`` (bought once).

    Raises:
        ClaimError: an unknown content, or none.

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
        return expand(contents)

    @field_validator("basis", mode="before")
    @classmethod
    def _named(cls, basis: Any) -> Any:
        return BASES.get(basis, basis) if isinstance(basis, str) else basis

    def inside(self, other: Scope) -> bool:
        """Whether every content of this scope is in the other; ``company`` holds all.

        Raises:
            ClaimError: another basis or kind.
        """
        self._same(other)
        return holds(other.contents, self.contents)

    def __add__(self, other: Scope) -> Scope:
        """The contents of both, where none is in both.

        Raises:
            ClaimError: another basis or kind, or a content twice.
        """
        self._same(other)
        twice = set(self.contents) & set(other.contents)
        if twice:
            raise ClaimError("scope", sorted(twice), "is in both", "count it once", "duplicate")
        return Scope(contents=(*self.contents, *other.contents), basis=self.basis, kind=self.kind)

    def lacks(self, other: Scope) -> tuple[Content, ...]:
        """Contents of the other that this scope leaves out."""
        self._same(other)
        return tuple(c for c in other.contents if c not in self.contents)

    def comparable(self, other: Scope) -> bool:
        """Whether two figures at these scopes measure one thing: equal basis and kind, and equal contents."""
        return (self.basis, self.kind, self.contents) == (other.basis, other.kind, other.contents)

    def _same(self, other: Scope) -> None:
        if (self.basis, self.kind) != (other.basis, other.kind):
            rule = f"is {self.basis}, {self.kind}; the other is {other.basis}, {other.kind}"
            remedy = "convert one of them first: another basis or kind needs its own inputs"
            raise ClaimError("scope", self.contents, rule, remedy, "unit-mismatch")


def holds(whole: tuple[str, ...] | frozenset[str], part: tuple[str, ...] | frozenset[str]) -> bool:
    """Whether contents hold all of some other contents; ``company`` holds all.

    >>> holds(("company",), ("fleet",)), holds(("people",), ("fleet",))
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
"""Contents with a name of their own."""
WORDS: dict[str, str] = {
    "pretraining": "pre-training", "context_extension": "context extension", "post_training": "post-training",
    "failed_runs": "failed runs", "feeder_runs": "runs that feed it", "fleet": "the machines", "company": "the whole company",
}  # fmt: skip


def in_words(contents: tuple[str, ...] | frozenset[str]) -> str:
    """Contents as a reader would say them.

    >>> in_words(frozenset(MODEL)), in_words(("people", "data"))
    ('the whole model', 'data and people')
    """
    held = frozenset(contents)
    if held in NAMES:
        return NAMES[held]
    run, parts = frozenset(FINAL_RUN) <= held, [WORDS.get(c, c) for c in CONTENTS if c in held]
    if run:
        parts = ["the final run", *(WORDS.get(c, c) for c in CONTENTS if c in held and c not in FINAL_RUN)]
    return f"{', '.join(parts[:-1])} and {parts[-1]}" if len(parts) > 1 else parts[0] if parts else "nothing"
