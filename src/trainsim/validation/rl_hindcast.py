"""Hindcast reinforcement-learning runs: hours predicted from the day before their disclosure, compared with the published hours."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from ..catalog.rl_recipes import PredictedHours, predicted_hours
from ..catalog.rows import rows
from ..core.answer import Answer, AnswerRow, Summary, written
from ..core.units import human
from ..uncertainty.analysis.scores import interval_score
from ..uncertainty.sampling.sweep import Progress

KINDS = {
    "recipe": "judged in November 2026 from what was public the day before disclosure",
    "recipe-by-rule": "the same, with batch and rounds predicted from other labs' settings",
    "grpo": "with the disclosed settings",
}
"""Kind of a row of ``programmes`` → what its prediction is based on."""


@dataclass(frozen=True, repr=False)
class ReinforcementBacktest(Answer):
    """Predicted and published hours of all recipes with published hours, misses included."""

    found: tuple[PredictedHours, ...]

    def of_kind(self, kind: str) -> tuple[PredictedHours, ...]:
        """Predictions of one kind of row, by day."""
        return tuple(predicted for predicted in self.found if predicted.row["kind"] == kind)

    def summary(self) -> Summary:
        """Share inside the intervals, then each row: its published hours with the predicted interval."""
        rows = [AnswerRow("coverage", "published hours inside the 90 % interval", 100 * coverage(self.found), "%")]
        for predicted in self.found:
            label = f"{predicted.row.id}, published {written(predicted.published, 'GPU-h')}"
            rows.append(
                AnswerRow(predicted.row.id, label, predicted.p50, "GPU-h", predicted.p5, predicted.p95, group=KINDS[predicted.row["kind"]])
            )
        return Summary(
            f"reinforcement learning: {len(self.found)} published figures of hours",
            tuple(rows),
            sources={s.row.id: s.row.cited for s in self.found},
        )

    def _text(self) -> str:
        name = max((len(predicted.row.id) for predicted in self.found), default=3)
        head = f"{'published':<10}  {'row':<{name}}{'P5':>7}{'P50':>7}{'P95':>7}{'hours':>8}{'pct.':>6}"
        blocks = [f"{words}\n{_table(self.of_kind(kind), name)}" for kind, words in KINDS.items() if self.of_kind(kind)]
        return "\n".join([head, *blocks, f"all\n{_foot(self.found)}"])


def reinforcement_backtest(progress: Progress | None = None, kinds: Collection[str] = tuple(KINDS)) -> ReinforcementBacktest:
    """Predict the hours of each recipe of the catalogue that has published hours.

    Args:
        progress: called with the number of recipes done and the total, e.g. ``ts.progress_bar``.
        kinds: the kinds of recipe to predict, all of them by default.

    >>> len(reinforcement_backtest(kinds=["recipe"]).found)
    2
    """
    named = [name for name, row in rows("programmes").items() if row["kind"] in kinds]
    found = []
    for done, name in enumerate(named, 1):
        found.append(predicted_hours(name))
        if progress is not None:
            progress(done, len(named))
    return ReinforcementBacktest(tuple(sorted(found, key=lambda predicted: (predicted.row.date, predicted.row.id))))


def coverage(found: Sequence[PredictedHours]) -> float:
    """Share of published hours inside the 90 % interval."""
    return float(np.mean([predicted.inside for predicted in found]))


def median_width(found: Sequence[PredictedHours]) -> float:
    """Median of P95 / P5."""
    return float(np.median([predicted.p95 / predicted.p5 for predicted in found]))


def _table(found: Sequence[PredictedHours], name: int) -> str:
    return "\n".join([*(_line(predicted, name) for predicted in found), _foot(found)])


def _foot(found: Sequence[PredictedHours]) -> str:
    score = np.mean([interval_score(predicted.p5, predicted.p95, float(predicted.published or np.nan)) for predicted in found])
    return (
        f"{sum(predicted.inside for predicted in found)} of {len(found)} inside the 90 % interval, "
        f"median width ×{median_width(found):.1f}, interval score {score:.2f}"
    )


def _line(predicted: PredictedHours, name: int) -> str:
    figures = "".join(f"{human(x):>7}" for x in (predicted.p5, predicted.p50, predicted.p95))
    truth, percentile = float(predicted.published or np.nan), float(predicted.percentile or 0.0)
    mark = "" if predicted.inside else " MISS"
    return f"{predicted.row.date!s:<10}  {predicted.row.id:<{name}}{figures}{human(truth):>8}{percentile:6.0f}{mark}"
