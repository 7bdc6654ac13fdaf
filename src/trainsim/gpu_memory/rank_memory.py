"""Memory of each pipeline rank, printed as the use of the fullest accelerator."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..core.answer import AnswerRow, Summary, text_of
from ..core.ledger import Ledger
from ..parallelism.plan import Plan
from .fit import MEASURED_OVER_MODELLED, Fit, Spread, fit_from_ledger


class RankMemory(Ledger):
    """Memory of one accelerator of each pipeline rank [B].

    ``total`` sums over the ranks of one pipeline; ``fullest`` is the rank that uses most memory. Arithmetic returns a plain
    :class:`~trainsim.core.ledger.Ledger`.

    >>> ranks = Ledger("B", {"rank-0": {"weights": 50e9, "optimizer": 10e9}, "rank-1": {"weights": 40e9}})
    >>> print(RankMemory.of(ranks, 80e9))
    60.0 of 80 GB on the fullest GPU, rank-0: fits
      weights    50.0 GB
      optimizer  10.0 GB
    """

    __slots__ = ()

    capacity: float
    plan: Plan | None
    spread: Spread
    sharing: float

    @classmethod
    def of(
        cls,
        ledger: Ledger,
        capacity: float,
        plan: Plan | None = None,
        spread: Spread = MEASURED_OVER_MODELLED["dense"],
        sharing: float = math.inf,
    ) -> RankMemory:
        """Add to a ledger of bytes by rank what :func:`~.fit.fit_from_ledger` needs beside it."""
        made = cls._trusted(ledger.unit, ledger.parts, ledger.scale, ledger.kind)
        made.__dict__.update(capacity=capacity, plan=plan, spread=spread, sharing=sharing)
        assert isinstance(made, RankMemory)
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the arguments of :meth:`of`."""
        ledger = Ledger(self.unit, dict(self.parts), self.scale, self.kind)
        return RankMemory.of, (ledger, self.capacity, self.plan, self.spread, self.sharing)

    @property
    def fit(self) -> Fit:
        """Whether the fullest rank fits."""
        return fit_from_ledger(self, self.capacity, self.plan, self.spread, self.sharing)

    @property
    def fullest(self) -> Ledger:
        """Memory of the fullest rank, by part [B]."""
        return self.part(self.fit.rank)

    @property
    def headline(self) -> str:
        """Memory used and capacity of the fullest accelerator, and whether it fits."""
        fit = self.fit
        used = float(np.max(self.fullest.total))
        return f"{used / 1e9:.1f} of {self.capacity / 1e9:g} GB on the fullest GPU, {fit.rank}: {fit.word}"

    def summary(self) -> Summary:
        """The fullest rank by part, then every rank."""
        parts = {name: self.fullest.part(name).total for name in self.fullest}
        rows = [AnswerRow(name, name, size, self.unit) for name, size in parts.items() if np.any(size)]
        ranks = [AnswerRow(f"ranks.{name}", name, self.part(name).total, self.unit, group="Ranks") for name in self]
        return Summary(self.headline, (*rows, *ranks))

    def _text(self) -> str:
        return text_of(self.summary())
