"""Disclosure: a published figure for a quantity at a scope, and its comparison with a claim."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from ..claims.claim import Bound
from .comparison import SEVERITY, Stated, Word, compare_with_bound, compare_with_count, compare_with_figure, distance, equals_printed

Contents = frozenset[str]


@dataclass(frozen=True)
class Disclosure:
    """A published figure.

    Args:
        low, high: the ends of the figure, in the unit of its quantity; equal for a point.
        label, cited: description of the figure, and its source.
        bound: ``"at least"`` or ``"at most"`` where it was published as a bound.
        day: day it became public; None if unknown.
        contents: contents that it includes.
        sourced: False if only the user gives the figure.
        count: ``"structural"`` for experts and layers, ``"machines"`` for accelerators.
        understates: whether a wider measure of the quantity gives more: a rate over hours that include downtime against the rate
            while stepping, energy of the accelerators alone against energy at the meter.
    """

    low: float
    high: float
    label: str
    cited: str = ""
    bound: Bound = ""
    day: dt.date | None = None
    contents: Contents = frozenset()
    sourced: bool = True
    count: Literal["", "structural", "machines"] = ""
    understates: bool = False

    @property
    def value(self) -> float:
        """The figure; the geometric mean of a range."""
        return self.low if self.low == self.high else float((self.low * self.high) ** 0.5)

    def leaves_open(self, stated: Stated) -> bool:
        """Whether a larger stated figure may be the wider measure.

        >>> point(0.339, "over all hours", understates=True).leaves_open(Stated(0.462, 0.462))
        True
        """
        return self.understates and stated.low > self.value

    def nearest_to(self, value: float) -> float:
        """The point of the figure that is nearest to a value."""
        return min(max(value, self.low), self.high)


def point(value: float, label: str, cited: str = "", **rest: object) -> Disclosure:
    """A disclosure of one figure."""
    return Disclosure(value, value, label, cited, **rest)  # type: ignore[arg-type]


def word_for(stated: Stated, disclosed: Disclosure) -> Word:
    """The word for a stated figure compared with one disclosure. A figure that only the user gives never confirms a claim.

    >>> word_for(Stated(6e6, 6e6), point(5.576e6, "2.788M hours × $2"))
    'CONFIRMED'
    >>> word_for(Stated(6e6, 6e6), point(5.576e6, "2.788M hours × $2", sourced=False))
    'NOT REFUTED'
    """
    if disclosed.bound:
        word = compare_with_bound(stated, disclosed.low, disclosed.bound)
    elif disclosed.count:
        word = compare_with_count(stated, disclosed.low, structural=disclosed.count == "structural")
    else:
        word = compare_with_figure(stated, disclosed.nearest_to(stated.value))
    return "NOT REFUTED" if word == "CONFIRMED" and not disclosed.sourced else word


def nearest(stated: Stated, disclosed: Iterable[Disclosure]) -> tuple[Word, Disclosure]:
    """The disclosure that agrees best with a stated figure, and the word for it.

    Args:
        stated: the claimed figure.
        disclosed: one disclosure or more of the same quantity and scope.
    """
    ranked = [
        (SEVERITY.index(word_for(stated, d)), distance(stated.value, d.nearest_to(stated.value)), i, d) for i, d in enumerate(disclosed)
    ]
    rank, _, _, best = min(ranked, key=lambda r: r[:3])
    return SEVERITY[rank], best


def repeated(stated: Stated, own: Disclosure, others: Iterable[Disclosure]) -> Disclosure | None:
    """A relative's figure that a claim repeats at printed precision; None if the claim repeats the figure of its own subject.

    >>> family = point(7.38e6, "Scout and Maverick")
    >>> repeated(Stated(7.38e6, 7.38e6), point(2.38e6, "Maverick"), [family]).label
    'Scout and Maverick'
    """
    if equals_printed(stated, own.value):
        return None
    return next((d for d in others if not d.bound and d.value != own.value and equals_printed(stated, d.value)), None)
