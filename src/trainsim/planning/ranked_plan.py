"""RankedPlan: one layout of a search, and its description in one line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..core.units import human
from ..gpu_memory.fit import Word
from ..parallelism.plan import Plan, data_parallel
from ..uncertainty.sampling.simulation import Figure


@dataclass(frozen=True)
class RankedPlan:
    """One layout of a search.

    Args:
        plan: the layout.
        gpus: accelerators [GPU].
        seconds: time of one optimizer step [s].
        memory: peak memory of the fullest accelerator [B].
        word: whether the layout fits, by :func:`~trainsim.gpu_memory.fit.fit_word`.
        cost: cost of the phase [USD]; None if the run lacks a price, reliability or tokens.
        quantile: quantile of the ranking objective under beliefs; None without beliefs.
    """

    plan: Plan
    gpus: int
    seconds: float
    memory: float
    word: Word
    cost: float | None = None
    quantile: Figure | None = None

    def __str__(self) -> str:
        words = [
            f"{human(self.seconds, 4):>8} s  {self.memory / 1e9:6.1f} GB{'' if self.word == 'fits' else f', {self.word}':<7}",
            *([] if self.cost is None else [f"${human(self.cost)}"]),
            *([] if self.quantile is None else [str(self.quantile)]),
            f"{self.gpus:,} GPUs",
            layout_words(self.plan, self.gpus),
        ]
        return "  ".join(words)


def layout_words(plan: Plan, gpus: int) -> str:
    """A plan in one line: degrees above one, and fields that differ from the default plan.

    >>> layout_words(Plan(pp=16, ep=64, zero=1, schedule="dualpipe"), 2048)
    'pp=16 dp=128 ep=64 zero=1 schedule=dualpipe'
    >>> layout_words(Plan(), 1)
    'one GPU per copy'
    """
    usual = {**dict(Plan()), "dp": 1}
    shown = {"tp": plan.tp, "pp": plan.pp, "dp": data_parallel(plan, gpus)} | {name: value for name, value in plan if name != "dp"}
    return " ".join(f"{name}={_word(value)}" for name, value in shown.items() if value != usual[name]) or "one GPU per copy"


def _word(value: Any) -> str:
    return "+".join(map(str, value)) if isinstance(value, tuple) else str(getattr(value, "name", value))
