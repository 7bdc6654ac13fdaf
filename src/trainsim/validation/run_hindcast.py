"""Hindcast published runs: predict their hours from data public the day before disclosure, and compare."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..catalog.evidence import mfu_evidence
from ..catalog.hardware import chip
from ..catalog.models import model_of
from ..catalog.rows import Row, find, rows
from ..cluster.hardware import Cluster
from ..core.answer import Answer, AnswerRow, Summary, written
from ..core.errors import CatalogError
from ..core.units import SECONDS_PER_HOUR, human
from ..model.counting import flops_per_token
from ..parallelism.plan import Plan
from ..run.run import Run
from ..training.efficiency import MFU
from ..training.phases import Phase
from ..uncertainty.analysis.scores import interval_score
from ..uncertainty.sampling.sweep import Progress

if TYPE_CHECKING:
    from .step_backtest import StepBacktest

FLAT_MFU, FLAT_FACTOR = 0.40, 2.0
"""Baseline for comparison: 6ND FLOPs at an MFU of 40 %, within a factor of two."""


@dataclass(frozen=True)
class Hindcast:
    """One published run with its predicted hours.

    Args:
        name, org, day: id of the row, its lab, and the day its hours became public.
        low, mid, high: P5, P50 and P95 of the predicted hours [GPU-h].
        truth: disclosed hours [GPU-h].
        percentile: percentile of the disclosed hours in the prediction, 0 to 100.
        flat: hours of the baseline [GPU-h].
        noted: known peculiarity of the disclosed hours; the run is counted all the same.
    """

    name: str
    org: str
    day: dt.date
    low: float
    mid: float
    high: float
    truth: float
    percentile: float
    flat: float
    noted: str = ""

    @property
    def inside(self) -> bool:
        """Whether the disclosed hours lie in the 90 % interval."""
        return self.low <= self.truth <= self.high

    @property
    def score(self) -> float:
        """Interval score in log hours; lower is better (Gneiting and Raftery 2007, section 6.2)."""
        return float(interval_score(self.low, self.high, self.truth))

    @property
    def flat_score(self) -> float:
        """Interval score of the baseline."""
        return float(interval_score(self.flat / FLAT_FACTOR, self.flat * FLAT_FACTOR, self.truth))


def _over(average: Callable[[Sequence[float]], Any], values: Sequence[float]) -> float:
    """An average; NaN of no values."""
    return float(average(values)) if values else float("nan")


@dataclass(frozen=True, repr=False)
class Backtest(Answer):
    """All hindcasts, misses included, and the runs that could not be predicted, each with the reason."""

    hindcasts: tuple[Hindcast, ...]
    not_run: dict[str, str]

    @property
    def coverage(self) -> float:
        """Share of disclosed hours inside the 90 % interval."""
        return _over(np.mean, [h.inside for h in self.hindcasts])

    @property
    def width(self) -> float:
        """Median of P95 / P5."""
        return _over(np.median, [h.high / h.low for h in self.hindcasts])

    @property
    def scores(self) -> tuple[float, float]:
        """Mean interval score of the predictions, and of the baseline."""
        return _over(np.mean, [h.score for h in self.hindcasts]), _over(np.mean, [h.flat_score for h in self.hindcasts])

    def summary(self) -> Summary:
        """Share inside the intervals, then each run: its disclosed hours with the predicted interval."""
        rows = [
            AnswerRow("coverage", "disclosed hours inside the 90 % interval", 100 * self.coverage, "%"),
            AnswerRow("width", "median width of the interval, high over low", self.width),
        ]
        rows += [
            AnswerRow(h.name, f"{h.name}, disclosed {written(h.truth, 'GPU-h')}", h.mid, "GPU-h", h.low, h.high,
                  grade="inside" if h.inside else "outside", group="Predicted from rows public the day before") for h in self.hindcasts
        ]  # fmt: skip
        return Summary(
            f"hindcasts of {len(self.hindcasts)} published runs", tuple(rows), tuple(f"{n}: {why}" for n, why in self.not_run.items())
        )

    def _text(self) -> str:
        name = max((len(h.name) for h in self.hindcasts), default=3)
        head = f"{'disclosed':<10}  {'run':<{name}}{'P5':>8}{'P50':>8}{'P95':>8}{'hours':>8}{'pct.':>6}"
        ours, flat = self.scores
        labs = len({h.org for h in self.hindcasts})
        foot = (
            f"{len(self.hindcasts)} runs of {labs} labs, {self.coverage:.0%} inside the 90 % interval, median width ×{self.width:.1f}, "
            f"interval score {ours:.2f} (6ND at a flat {FLAT_MFU:.0%} ×/÷{FLAT_FACTOR:g}: {flat:.2f})"
        )
        noted = [f"noted: {h.name}: {h.noted}" for h in self.hindcasts if h.noted]
        rest = [f"not predicted: {name}: {why}" for name, why in self.not_run.items()]
        return "\n".join([head, *(_line(h, name) for h in self.hindcasts), foot, LEGEND, *noted, *rest])


LEGEND = "P5 to P95: predicted [GPU-h]; hours: disclosed [GPU-h], and their percentile in the prediction; MISS: outside P5 to P95"
"""What the columns of a table of hindcasts are."""


def _line(h: Hindcast, name: int) -> str:
    figures = "".join(f"{human(x):>8}" for x in (h.low, h.mid, h.high, h.truth))
    return f"{h.day!s:<10}  {h.name:<{name}}{figures}{h.percentile:6.0f}{'' if h.inside else ' MISS'}"


def hindcasts(names: Iterable[str] | None = None, progress: Progress | None = None) -> Backtest:
    """Predict the hours of each published training run from data public the day before their disclosure.

    Work is counted from the published architecture and tokens. Utilisation is the catalogue's prior as of that day, without the run itself.
    Hours that include downtime are predicted with downtime.

    Args:
        names: ids of the runs to predict; all training runs if None.
        progress: called with the number of runs done and the total, e.g. ``ts.progress_bar``.

    Returns:
        each prediction with the disclosed figure.

    Raises:
        CatalogError: no such run.

    >>> hindcasts(["llama3.1-405b"]).hindcasts[0].inside
    True
    """
    done: list[Hindcast] = []
    not_run: dict[str, str] = {}
    trained = [row for row in rows("runs").values() if row.get("kind") == "training"]
    wanted = trained if names is None else list({row.id: row for row in (find("runs", name) for name in names)}.values())
    for i, row in enumerate(wanted, 1):
        try:
            if row not in trained:
                raise CatalogError(row.address, row.get("kind"), "is not a training run", "give the id of a training run", "unsupported")
            done.append(_hindcast(row))
        except CatalogError as error:
            not_run[row.id] = f"{error.value} {error.rule}" if isinstance(error.value, int) else error.rule
        if progress is not None:
            progress(i, len(wanted))
    return Backtest(tuple(sorted(done, key=lambda h: (h.day, h.name))), not_run)


def _hindcast(row: Row) -> Hindcast:
    phase = next((p for p in row.get("phases", ()) if p.get("tokens") and p.get("gpu_hours")), row.fields)
    seq_len, tokens, truth = phase.get("seq_len", row.get("seq_len")), phase.get("tokens"), phase.get("gpu_hours")
    model = model_of(row)
    if model is None or not seq_len or not tokens or not truth:
        raise CatalogError(row.address, None, "gives no architecture, tokens, sequence length or hours", "complete the row", "missing")
    part = chip(row["chip"])
    if part.peak.bf16 is None:
        raise CatalogError(row.address, None, f"{part.name} has no BF16 peak", "give a peak", "unsupported")
    fp8 = str(row.get("precision", "")).startswith("fp8")
    run = Run(
        name=row.id,
        model=model,
        cluster=Cluster(chip=part, gpus=int(row.get("gpus") or 8)),
        phases=[Phase("pretrain", tokens=float(tokens), seq_len=float(seq_len), plan=Plan(precision="fp8") if fp8 else None)],
        efficiency=MFU(FLAT_MFU),
    )
    before = row.date - dt.timedelta(days=1)
    belief = mfu_evidence(run, before, "busy" if phase.get("hours_are", row.get("hours_are")) == "busy" else "wall").belief
    law = belief.for_field(run.unit_of("efficiency.mfu"), "efficiency.mfu")
    at_peak = float(tokens) / (SECONDS_PER_HOUR * float(part.peak.bf16))
    work = at_peak * float(flops_per_token(model, float(seq_len)).total)
    low, mid, high = (work / float(law.ppf(q)) for q in (0.95, 0.5, 0.05))
    flat = at_peak * float(flops_per_token(model, float(seq_len), "6nd").total) / FLAT_MFU
    percentile = 100.0 * (1.0 - float(law.cdf(min(work / truth, 1.0))))
    return Hindcast(row.id, str(row.get("org")), row.date, low, mid, high, float(truth), percentile, flat, str(row.get("why", "")))


def backtest(rows: str | Path | None = None, progress: Progress | None = None) -> Backtest | StepBacktest:
    """Compare predictions with published figures: the hours of published runs, or measured step times from a file.

    Args:
        rows: a file of measured steps to compare with the model; None for hindcasts of the hours of published runs.
        progress: called with the number of rows done and the total, e.g. ``ts.progress_bar``.

    Returns:
        each prediction with the disclosed figure, and the share inside the intervals.

    Raises:
        SpecError: no such file, or a file with another structure.

    >>> backtest().coverage >= 0.8
    True
    """
    if rows is None:
        return hindcasts(progress=progress)
    from .step_backtest import step_backtest

    return step_backtest(rows, progress)
