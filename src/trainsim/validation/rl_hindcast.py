"""Reinforcement learning compared with its published hours: what the day before said, and what published settings give."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..catalog.rl_recipes import PredictedHours, predicted_hours
from ..catalog.rows import rows
from ..core.answer import Answer, AnswerRow, Summary, written
from ..core.units import human
from ..uncertainty.analysis.scores import interval_score

KINDS = {
    "recipe": "judged from what was public the day before, written down in November 2026",
    "recipe-by-rule": "the same, batch and rounds by rule",
    "grpo": "settings told",
}
"""Kind of a row of ``programmes`` → what its hours follow from."""


@dataclass(frozen=True, repr=False)
class ReinforcementBacktest(Answer):
    """Hours of every recipe that may be compared with published ones, misses included."""

    found: tuple[PredictedHours, ...]

    def of_kind(self, kind: str) -> tuple[PredictedHours, ...]:
        """Those of one kind of row, by day."""
        return tuple(said for said in self.found if said.row["kind"] == kind)

    def summary(self) -> Summary:
        """Share inside the intervals, then each row: its published hours with the predicted interval."""
        rows = [AnswerRow("coverage", "published hours inside the 90 % interval", 100 * coverage(self.found), "%")]
        for said in self.found:
            label = f"{said.row.id}, published {written(said.published, 'GPU-h')}"
            rows.append(AnswerRow(said.row.id, label, said.p50, "GPU-h", said.p5, said.p95, group=KINDS[said.row["kind"]]))
        return Summary(
            f"reinforcement learning: {len(self.found)} published figures of hours",
            tuple(rows),
            sources={s.row.id: s.row.cited for s in self.found},
        )

    def __str__(self) -> str:
        head = f"{'published':<12}{'row':<32}{'5%':>8}{'50%':>8}{'95%':>8}{'truth':>9}  pct."
        blocks = [f"{words}\n{_table(self.of_kind(kind))}" for kind, words in KINDS.items() if self.of_kind(kind)]
        return "\n".join([head, *blocks, f"all\n{_foot(self.found)}"])


def reinforcement_backtest() -> ReinforcementBacktest:
    """Every recipe of the catalogue with published hours, computed and compared with them.

    >>> len(reinforcement_backtest().of_kind("recipe"))
    2
    """
    named = [name for name, row in rows("programmes").items() if row["kind"] in KINDS]
    return ReinforcementBacktest(tuple(sorted(map(predicted_hours, named), key=lambda said: (said.row.date, said.row.id))))


def coverage(found: Sequence[PredictedHours]) -> float:
    """Share of published hours inside the 90 % interval."""
    return float(np.mean([said.inside for said in found]))


def median_width(found: Sequence[PredictedHours]) -> float:
    """Median of high over low."""
    return float(np.median([said.p95 / said.p5 for said in found]))


def _table(found: Sequence[PredictedHours]) -> str:
    return "\n".join([*map(_line, found), _foot(found)])


def _foot(found: Sequence[PredictedHours]) -> str:
    score = np.mean([interval_score(said.p5, said.p95, float(said.published or np.nan)) for said in found])
    return (
        f"{sum(said.inside for said in found)} of {len(found)} inside the 90 % interval, "
        f"median width ×{median_width(found):.1f}, interval score {score:.2f}"
    )


def _line(said: PredictedHours) -> str:
    figures = "".join(f"{human(x):>8}" for x in (said.p5, said.p50, said.p95))
    truth, percentile = float(said.published or np.nan), float(said.percentile or 0.0)
    return f"{said.row.date!s:<12}{said.row.id:<32}{figures}{human(truth):>9}  {percentile:4.0f}{'' if said.inside else ' MISS'}"
