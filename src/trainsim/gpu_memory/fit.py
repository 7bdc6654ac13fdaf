"""Whether a layout fits an accelerator, how surely, and what to cut."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from ..core.answer import Answer, AnswerRow, Summary
from ..core.ledger import Ledger
from ..parallelism.plan import Plan

Word = Literal["fits", "tight", "does not fit"]
SPREAD = (0.95, 1.01, 1.18)
"""Measured over modelled peak at P5, P50 and P95 of the published peaks of the catalogue (``docs/memory.md``)."""


@dataclass(frozen=True, repr=False)
class Fit(Answer):
    """Whether a layout fits, judged on its fullest rank.

    Args:
        word: ``"fits"`` where the P95 of what is used is within the capacity, ``"does not fit"`` where the P5 is beyond it, else
            ``"tight"``.
        used: P5, P50 and P95 of what the fullest rank uses [B].
        capacity: of an accelerator [B].
        rank: the fullest.
        cuts: what would free most and how, what costs least time first; empty where it fits.
        plan: the layout; None where only a ledger is known.
        nearest: layouts that fit with the fewest changes, three at most; empty where it fits, or none is near.
        ranks: bytes by rank, of which the fullest is judged [B]; None where it isn't known.
    """

    word: Word
    used: tuple[float, float, float]
    capacity: float
    rank: str
    cuts: tuple[str, ...]
    plan: Plan | None = None
    nearest: tuple[Plan, ...] = ()
    ranks: Ledger | None = field(default=None, repr=False, compare=False)

    @property
    def spare(self) -> float:
        """Capacity less the P50 of what is used; negative where it doesn't fit [B]."""
        return self.capacity - self.used[1]

    def summary(self) -> Summary:
        """The word, what is used, the capacity, the cuts and the nearest layouts that fit."""
        low, middle, high = self.used
        rows = [
            AnswerRow("word", "memory", self.word),
            AnswerRow("used", f"used on {self.rank}", middle, "B", low, high),
            AnswerRow("capacity", "of a GPU", self.capacity, "B"),
            *(AnswerRow(f"cuts.{i}", f"cut {i}", cut, group="What to cut") for i, cut in enumerate(self.cuts, 1)),
            *(
                AnswerRow(f"nearest.{i}", f"layout {i}", self._changes(plan), group="Layouts that fit")
                for i, plan in enumerate(self.nearest, 1)
            ),
        ]
        return Summary("does the layout fit?", tuple(rows))

    def __str__(self) -> str:
        low, middle, high = self.used
        head = f"{self.word}: {middle / 1e9:.1f} GB ({low / 1e9:.1f} to {high / 1e9:.1f}) of {self.capacity / 1e9:g} GB on {self.rank}"
        return "\n".join([head, *(f"cut {cut}" for cut in self.cuts), *(f"fits with {self._changes(plan)}" for plan in self.nearest)])

    def _changes(self, plan: Plan) -> str:
        """What another plan has otherwise."""
        own = dict(self.plan or Plan())
        return " ".join(f"{name}={value}" for name, value in plan if value != own[name])


def fit_of(ledger: Ledger, capacity: float, plan: Plan | None = None) -> Fit:
    """Whether every rank of a memory ledger fits an accelerator, and what to cut.

    ``used = modelled bytes of the fullest rank × SPREAD``

    Args:
        ledger: bytes by rank, from :func:`~.peak.memory_by_rank` [B].
        capacity: bytes of an accelerator [B].
        plan: the layout, so that what it already cuts isn't proposed; None to propose everything.

    >>> print(fit_of(Ledger("B", {"rank-0": {"weights": 50e9, "logits": 40e9}}), 80e9).word)
    does not fit
    >>> fit_of(Ledger("B", {"rank-0": {"weights": 75e9}}), 80e9).word, fit_of(Ledger("B", {"rank-0": {"weights": 50e9}}), 80e9).word
    ('tight', 'fits')
    """
    totals = {name: float(np.max(ledger.part(name).total)) for name in ledger}
    fullest = max(totals, key=totals.__getitem__)
    low, middle, high = (share * totals[fullest] for share in SPREAD)
    word = word_of(totals[fullest], capacity)
    cuts = () if word == "fits" else tuple(_cuts(ledger.part(fullest), plan or Plan()))
    return Fit(word, (low, middle, high), capacity, fullest, cuts, plan, ranks=ledger)


def word_of(modelled: float, capacity: float) -> Word:
    """The word for so many modelled bytes on the fullest rank.

    >>> word_of(60e9, 80e9), word_of(75e9, 80e9), word_of(293.6e9, 80e9)
    ('fits', 'tight', 'does not fit')
    """
    if SPREAD[2] * modelled <= capacity:
        return "fits"
    return "tight" if SPREAD[0] * modelled <= capacity else "does not fit"


def _cuts(rank: Ledger, plan: Plan) -> Iterator[str]:
    """Parts worth cutting and how, what costs least time first."""
    ways = {
        "optimizer": ("zero=1, or optimizer='adamw-8bit'" if plan.zero < 1 else "optimizer='adamw-8bit', or more dp"),
        "activations": "recompute, or a smaller micro_batch" if plan.recompute == "none" else "a smaller micro_batch, or more cp",
        "gradients": "zero=2" if plan.zero < 2 else "more dp",
        "logits": "more tp, or loss='fused'",
        "weights": "more tp, pp or ep, or zero=3" if plan.zero < 3 else "more tp, pp or ep",
    }
    for name, way in ways.items():
        if name in rank.parts and (size := float(np.max(rank.part(name).total))) > 0:
            yield f"{name} {size / 1e9:.1f} GB: {way}"
