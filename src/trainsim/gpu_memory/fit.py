"""Whether a layout fits in the memory of an accelerator, how certain that is, and which parts to reduce."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from ..core.answer import Answer, AnswerRow, Summary
from ..core.ledger import Ledger
from ..model.transformer import Model
from ..parallelism.plan import Plan

Word = Literal["fits", "tight", "does not fit"]
Spread = tuple[float, float, float]
"""Used over modelled bytes at P5, P50 and P95 [1]."""
Trained = Literal["dense", "routed", "adapters"]
"""Kinds of training by which published peaks are pooled: a dense model, one that routes tokens to experts, adapters beside frozen
weights."""
MEASURED_OVER_MODELLED: dict[Trained, Spread] = {
    "dense": (0.785, 0.953, 1.158),
    "routed": (0.683, 0.953, 1.331),
    "adapters": (0.722, 0.953, 1.259),
}
"""P5, P50 and P95 of used over modelled peak memory for a new source, from the catalogue's published peaks (``docs/memory.md``)."""


def trained_as(model: Model) -> Trained:
    """Kind of training of a model, by which published peaks are pooled."""
    return "adapters" if model.adapters is not None else "routed" if model.is_moe else "dense"


def spread_for(model: Model) -> Spread:
    """P5, P50 and P95 of used over modelled memory for a new source, for models of this kind of training [1]."""
    return MEASURED_OVER_MODELLED[trained_as(model)]


@dataclass(frozen=True, repr=False)
class Fit(Answer):
    """Whether a layout fits in memory, decided on the rank that uses most.

    Args:
        word: ``"fits"`` if the P95 of the used memory is within the capacity, ``"does not fit"`` if the P5 exceeds it, else ``"tight"``.
        used: P5, P50 and P95 of the memory that the fullest rank uses [B].
        capacity: memory of an accelerator [B].
        rank: the fullest rank.
        cuts: ways to free memory, the cheapest in time first; empty if the layout fits.
        plan: the layout; None if only a ledger is known.
        nearest: at most three layouts that fit with the fewest changes; empty if the layout fits or none was found.
        ranks: memory of every rank [B]; None if unknown.
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
        """Capacity minus the P50 of the used memory; negative if the P50 exceeds the capacity [B]."""
        return self.capacity - self.used[1]

    def summary(self) -> Summary:
        """The word for the fit, the memory used, the capacity, possible savings and the nearest layouts that fit."""
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

    def _text(self) -> str:
        low, middle, high = self.used
        head = f"{self.word}: {middle / 1e9:.1f} GB ({low / 1e9:.1f} to {high / 1e9:.1f}) of {self.capacity / 1e9:g} GB on {self.rank}"
        if self.word == "does not fit":
            head += f", {-self.spare / 1e9:.1f} GB too much"
        return "\n".join([head, *(f"cut {cut}" for cut in self.cuts), *(f"fits with {self._changes(plan)}" for plan in self.nearest)])

    def _changes(self, plan: Plan) -> str:
        """The fields in which another plan differs, as text."""
        own = dict(self.plan or Plan())
        return " ".join(f"{name}={value}" for name, value in plan if value != own[name])


def fit_from_ledger(
    ledger: Ledger,
    capacity: float,
    plan: Plan | None = None,
    spread: Spread = MEASURED_OVER_MODELLED["dense"],
    sharing: float = math.inf,
) -> Fit:
    """Whether every rank of a memory ledger fits an accelerator, and which parts to reduce.

    ``used = modelled bytes of the fullest rank × spread``

    Args:
        ledger: bytes by rank, from :func:`~.peak.memory_by_rank` [B].
        capacity: memory of an accelerator [B].
        plan: the layout; reductions that it already has are not proposed.
        spread: used over modelled bytes of published peaks, from :func:`spread_for`.
        sharing: ranks that shard one copy under ZeRO [1]; among one, ZeRO saves nothing and is not proposed.

    >>> print(fit_from_ledger(Ledger("B", {"rank-0": {"weights": 90e9, "logits": 40e9}}), 80e9).word)
    does not fit
    >>> [fit_from_ledger(Ledger("B", {"rank-0": {"weights": size}}), 80e9).word for size in (75e9, 50e9)]
    ['tight', 'fits']
    """
    totals = {name: float(np.max(ledger.part(name).total)) for name in ledger}
    fullest = max(totals, key=totals.__getitem__)
    low, middle, high = (share * totals[fullest] for share in spread)
    word = fit_word(totals[fullest], capacity, spread)
    cuts = () if word == "fits" else tuple(_cuts(ledger.part(fullest), plan or Plan(), sharing))
    return Fit(word, (low, middle, high), capacity, fullest, cuts, plan, ranks=ledger)


def fit_word(modelled: float, capacity: float, spread: Spread = MEASURED_OVER_MODELLED["dense"]) -> Word:
    """``fits``, ``tight`` or ``does not fit``, from the modelled bytes of the fullest rank and the capacity [B].

    >>> fit_word(60e9, 80e9), fit_word(75e9, 80e9), fit_word(293.6e9, 80e9)
    ('fits', 'tight', 'does not fit')
    """
    low, _, high = spread
    if high * modelled <= capacity:
        return "fits"
    return "tight" if low * modelled <= capacity else "does not fit"


def _cuts(rank: Ledger, plan: Plan, sharing: float) -> Iterator[str]:
    """Parts to reduce and how, the cheapest in time first. A remedy that the layout has, or that would save nothing, is left out."""
    spare = sharing > 1  # ranks that could divide a model instead of repeating it
    zero = plan.zero if spare else math.inf
    remedies = {
        "optimizer": {"zero=1": zero < 1, "optimizer='adamw-8bit'": plan.optimizer != "adamw-8bit", "more dp": plan.zero >= 1},
        "activations": {
            "recompute": plan.recompute == "none",
            "a smaller micro_batch": plan.micro_batch > 1,
            "more cp": spare and plan.recompute != "none",
        },
        "gradients": {"zero=2": zero < 2, "more dp": plan.zero >= 2},
        "logits": {"more tp": spare, "loss='fused'": plan.loss != "fused"},
        "weights": {"more tp, pp or ep": spare, "zero=3": zero < 3},
    }
    for name, offered in remedies.items():
        able = [remedy for remedy, helps in offered.items() if helps]
        if able and name in rank.parts and (size := float(np.max(rank.part(name).total))) > 0:
            yield f"{name} {size / 1e9:.1f} GB: {', or '.join(able)}"
