"""Measure: a quantity of a subject, with what is disclosed of it, what is predicted, and what is impossible."""

from __future__ import annotations

import abc
import datetime as dt
from dataclasses import dataclass

from ..claims.scope import FINAL_RUN, Basis, Kind
from .disclosure import Disclosure
from .words import Check, Prediction, Stated

Contents = frozenset[str]
RUN: Contents = frozenset(FINAL_RUN)
OWNED: Contents = frozenset({"fleet", "company"})


@dataclass(frozen=True)
class Predicted:
    """A prediction at a scope.

    Args:
        prediction: its quantiles; of what is priced, where contents are missing.
        how: what it follows from, in words.
        missing: contents of the scope that no row prices: the prediction is then a lower bound.
        judged: whether judgement carries a tenth of it or more.
        newest: the newest row it uses.
    """

    prediction: Prediction
    how: str
    missing: tuple[str, ...] = ()
    judged: bool = False
    newest: dt.date | None = None


@dataclass(frozen=True)
class Clock:
    """The two days of an audit.

    Args:
        known: disclosures and words use rows public by this day.
        blind: plausibility uses rows public by this one, the day before the claim.
    """

    known: dt.date
    blind: dt.date


class Measure(abc.ABC):
    """A quantity of a subject. Every rule of a verdict asks these questions and no others."""

    kind: Kind = "run"
    """Whether the quantity is a run's flow, a yearly flow, or a stock."""

    @property
    def usual(self) -> Contents:
        """What a figure holds where no scope was stated."""
        return RUN

    def relevant(self, contents: Contents) -> Contents:
        """The contents that this quantity can hold: salaries have no GPU-hours."""
        return contents

    def admits(self, contents: Contents) -> bool:
        """Whether words that name these contents can be about this quantity, where they may also mean others."""
        return not contents <= OWNED

    def facts(self, contents: Contents | None, basis: Basis | None, day: dt.date) -> tuple[Disclosure, ...]:
        """What was disclosed by a day for some contents; for whatever reading has a name where None."""
        del contents, basis, day
        return ()

    def elsewhere(self, day: dt.date) -> tuple[Disclosure, ...]:
        """Figures of siblings, of the family, or by another convention, which a claim may have taken for this one."""
        del day
        return ()

    @abc.abstractmethod
    def predicted(self, contents: Contents | None, basis: Basis | None, day: dt.date) -> Predicted | None:
        """What is predicted from rows public by a day; None where no row says anything."""

    def plausible(self, fact: Disclosure, day: dt.date) -> Check | None:
        """A disclosure beside what was predicted without it; None where nothing is."""
        del fact, day
        return None

    def impossible(self, stated: Stated) -> str:
        """Why a figure breaks a bound of nature or counting; empty where it breaks none."""
        del stated
        return ""

    @property
    def scenario(self) -> str:
        """Why figures of the subject are somebody's scenario; empty where they are not."""
        return ""

    @property
    def untold(self) -> str:
        """Why nothing can be said, where there is neither disclosure nor prediction."""
        return "nothing is disclosed that it could be compared with"


@dataclass(frozen=True)
class Unknown(Measure):
    """A quantity of a subject that nobody disclosed anything about.

    Args:
        why: in words; near: figures of subjects it may have been taken from.
        told: disclosures about the subject itself, by quantity and scope.
    """

    why: str
    near: tuple[Disclosure, ...] = ()
    told: tuple[Disclosure, ...] = ()

    def facts(self, contents: Contents | None, basis: Basis | None, day: dt.date) -> tuple[Disclosure, ...]:
        """Disclosures of the catalogue that name the subject."""
        del basis
        return tuple(
            d for d in self.told if (d.day is None or d.day <= day) and (contents is None or not d.contents or d.contents == contents)
        )

    def elsewhere(self, day: dt.date) -> tuple[Disclosure, ...]:
        """Disclosures about its relatives."""
        return tuple(d for d in self.near if d.day is None or d.day <= day)

    def predicted(self, contents: Contents | None, basis: Basis | None, day: dt.date) -> Predicted | None:
        """Nothing."""
        return None

    @property
    def untold(self) -> str:
        """Why nothing can be said."""
        return self.why
