"""Measure: a quantity of a subject, with its disclosures, its prediction and its physical bounds."""

from __future__ import annotations

import abc
import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..claims.scope import FINAL_RUN, Basis, Kind
from .comparison import Check, Prediction, Stated
from .disclosure import Disclosure

if TYPE_CHECKING:
    from ..uncertainty.sampling.simulation import Figure

Contents = frozenset[str]
RUN: Contents = frozenset(FINAL_RUN)
OWNED: Contents = frozenset({"fleet", "company"})
ARCHITECTURE = ("params", "active_params", "layers", "experts", "mtp_depth", "tokens_per_position", "kv_bytes_per_token")
"""Quantities of an architecture."""
FLEET = ("fleet.gpus", "fleet.capex", "fleet.operating", "fleet.operating_per_year", "investment")
"""Quantities of a fleet."""


@dataclass(frozen=True)
class Predicted:
    """A prediction at a scope.

    Args:
        prediction: quantiles and CDF of the priced contents.
        how: basis of the prediction, in words.
        missing: contents of the scope without a price; the prediction is then a lower bound.
        judged: whether a tenth or more of the prediction depends on judgement.
        newest: day of the newest row used.
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
        known: disclosures use rows public by this day.
        blind: predictions use rows public by this day, the day before the claim.
    """

    known: dt.date
    blind: dt.date


class Measure(abc.ABC):
    """A quantity of a subject. The rules of a verdict use only this interface."""

    kind: Kind = "run"
    """Whether the quantity is a run's flow, a yearly flow, or a stock."""

    @property
    def default_contents(self) -> Contents:
        """Contents of a figure where no scope was stated."""
        return RUN

    def relevant(self, contents: Contents) -> Contents:
        """The contents that this quantity can include; salaries, for example, have no GPU-hours."""
        return contents

    def admits(self, contents: Contents) -> bool:
        """Whether words that name these contents can refer to this quantity."""
        return not contents <= OWNED

    def disclosures(self, contents: Contents | None, basis: Basis | None, day: dt.date) -> tuple[Disclosure, ...]:
        """Disclosures for some contents that were public by a day; for every named variant if ``contents`` is None."""
        del contents, basis, day
        return ()

    def related_figures(self, day: dt.date) -> tuple[Disclosure, ...]:
        """Figures that a claim may have taken for this one: of siblings, of the family, or by another convention."""
        del day
        return ()

    @abc.abstractmethod
    def predicted(self, contents: Contents | None, basis: Basis | None, day: dt.date) -> Predicted | None:
        """Prediction from rows public by a day; None if there is none."""

    def plausible(self, fact: Disclosure, day: dt.date) -> Check | None:
        """Compare a disclosure with a prediction made without that disclosure; None if there is no prediction."""
        del fact, day
        return None

    def impossible(self, stated: Stated, contents: Contents | None) -> str:
        """Reason that a figure for some contents is physically or logically impossible; empty if it is possible."""
        del stated, contents
        return ""

    def tables(self, day: dt.date) -> list[str]:
        """Totals of analysts' tables public by a day, in words; they confirm nothing."""
        del day
        return []

    def at_each_rung(self, day: dt.date) -> dict[str, tuple[Figure, ...]]:
        """Label of a rung of the ladder → P5, P50 and P95 of a ratio there; empty for a quantity of one subject."""
        del day
        return {}

    @property
    def scenario(self) -> str:
        """Reason that figures of the subject are only a scenario; empty if they are not."""
        return ""

    @property
    def reason_unknown(self) -> str:
        """Reason that there is neither a disclosure nor a prediction."""
        return "nothing is disclosed that it could be compared with"


@dataclass(frozen=True)
class Unknown(Measure):
    """A quantity of a subject without a published run to model.

    Args:
        why: reason, in words.
        near: figures of related subjects.
        disclosed: disclosures about the subject itself, by quantity and scope.
    """

    why: str
    near: tuple[Disclosure, ...] = ()
    disclosed: tuple[Disclosure, ...] = ()

    def disclosures(self, contents: Contents | None, basis: Basis | None, day: dt.date) -> tuple[Disclosure, ...]:
        """Disclosures of the catalogue that name the subject."""
        del basis
        return tuple(
            d for d in self.disclosed if (d.day is None or d.day <= day) and (contents is None or not d.contents or d.contents == contents)
        )

    def related_figures(self, day: dt.date) -> tuple[Disclosure, ...]:
        """Disclosures about relatives of the subject."""
        return tuple(d for d in self.near if d.day is None or d.day <= day)

    def predicted(self, contents: Contents | None, basis: Basis | None, day: dt.date) -> Predicted | None:
        """Always None."""
        return None

    @property
    def reason_unknown(self) -> str:
        """The reason."""
        return self.why
