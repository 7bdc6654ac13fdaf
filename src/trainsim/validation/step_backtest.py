"""Compare modelled with measured step times, using the shipped calibration."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from ..calibration.fit import modelled_log_seconds
from ..calibration.readers.measured_steps import read_steps
from ..calibration.records import MeasuredStep
from ..catalog.shipped_calibration import calibration
from ..core.answer import Answer, AnswerRow, Summary, written
from ..core.errors import SpecError, TrainsimError
from ..uncertainty.analysis.scores import interval_score
from ..uncertainty.sampling.sweep import Progress

Array = NDArray[np.float64]
STRATA = 15
"""Number of quantiles of the unexplained factor that are combined with each draw of the constants."""


@dataclass(frozen=True)
class StepForecast:
    """One measured step and its forecast.

    Args:
        step: the measured step.
        modelled: step time at the most probable constants [s].
        low, mid, high: P5, P50 and P95 of the forecast [s].
    """

    step: MeasuredStep
    modelled: float
    low: float
    mid: float
    high: float

    @property
    def inside(self) -> bool:
        """Whether the measured time lies in the 90 % interval."""
        return self.low <= self.step.seconds <= self.high

    @property
    def off(self) -> float:
        """|modelled / measured − 1|."""
        return abs(self.modelled / self.step.seconds - 1.0)

    @property
    def score(self) -> float:
        """Interval score in log seconds; lower is better."""
        return float(interval_score(self.low, self.high, self.step.seconds))


@dataclass(frozen=True)
class Group:
    """Accuracy of a group of forecasts: number of rows and distinct configurations, errors, coverage and interval score."""

    name: str
    rows: int
    configurations: int
    median: float
    mean: float
    bias: float
    coverage: float
    width: float
    score: float

    def cells(self) -> str:
        """The columns of :data:`HEADER`."""
        return (
            f"{self.rows:>6}{self.configurations:>6}{100 * self.median:>7.1f}{100 * self.mean:>6.1f}{100 * self.bias:>+7.1f}"
            f"{100 * self.coverage:>7.0f}{self.width:>6.2f}{self.score:>6.2f}"
        )


HEADER = f"{'rows':>6}{'conf.':>6}{'median':>7}{'mean':>6}{'bias':>7}{'inside':>7}{'x/÷':>6}{'score':>6}"
"""Heads of a group's columns, explained in :data:`LEGEND`."""
LEGEND = (
    "conf.: distinct configurations; median, mean: |modelled / measured - 1| [%]; bias: mean of ln(modelled / measured) [%]; "
    "inside: in the 90 % interval [%]; x/÷: from the middle of the interval to an end; score: interval score in ln(s), lower is better"
)


@dataclass(frozen=True, repr=False)
class StepBacktest(Answer):
    """All rows of a file of measured steps: forecast, refused because the calibration was fitted to them, or not modelled.

    Rows with an exclusion reason are forecast, but scored separately.
    """

    forecasts: tuple[StepForecast, ...]
    seen: tuple[MeasuredStep, ...]
    not_run: tuple[MeasuredStep, ...]

    @property
    def usable(self) -> tuple[StepForecast, ...]:
        """Forecasts of rows without an exclusion reason."""
        return tuple(f for f in self.forecasts if not f.step.exclusion_reason)

    def groups(self) -> tuple[Group, ...]:
        """Accuracy by kind of model, chip and format, over all usable rows, and over excluded rows."""
        names = sorted({f.step.group for f in self.usable})
        found = [_pooled(name, [f for f in self.usable if f.step.group == name]) for name in names]
        excluded = [f for f in self.forecasts if f.step.exclusion_reason]
        return (*found, *([_pooled("all", self.usable)] if self.usable else []), *([_pooled("excluded", excluded)] if excluded else []))

    def sources(self) -> tuple[Group, ...]:
        """Accuracy by source."""
        names = sorted({f.step.source for f in self.usable})
        return tuple(_pooled(name, [f for f in self.usable if f.step.source == name]) for name in names)

    def summary(self) -> Summary:
        """Each measured step with its forecast, and the pooled errors."""
        pooled = [
            AnswerRow(f"groups.{g.name}", f"{g.name}: inside the 90 % interval", 100 * g.coverage, "%", grade=f"{g.rows} rows")
            for g in self.groups()
        ]
        rows = [
            AnswerRow(f"rows.{i}", f"{f.step.name}, measured {written(f.step.seconds, 's')}", f.mid, "s", f.low, f.high,
                  grade="inside" if f.inside else "outside", group="Steps") for i, f in enumerate(self.forecasts)
        ]  # fmt: skip
        notes = [f"{step.name}: not run, {step.not_modelled}" for step in self.not_run]
        refused = [f"{len(self.seen)} rows are refused: the calibration has seen them"] if self.seen else []
        return Summary(f"{len(self.forecasts)} measured steps beside their forecasts", (*pooled, *rows), (*notes, *refused))

    def _text(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        if self.forecasts:
            yield f"{'measured':>9}{'modelled':>9}{'P5':>9}{'P95':>9}  row [s]"
        for f in self.forecasts:
            mark = ("" if f.inside else " MISS") + "".join(f" ({words})" for words in (f.step.exclusion_reason, f.step.unreported) if words)
            yield f"{f.step.seconds:>9.4g}{f.modelled:>9.4g}{f.low:>9.4g}{f.high:>9.4g}  {f.step.name}{mark}"
        reasons: dict[str, list[str]] = {}
        for step in self.not_run:
            reasons.setdefault(step.not_modelled, []).append(step.name)
        for reason, (first, *more) in reasons.items():
            yield f"not run: {first}{f' and {len(more)} more' if more else ''}: {reason}"
        if self.seen:
            yield f"refused: {len(self.seen)} {'rows' if len(self.seen) > 1 else 'row'} that the calibration has seen"
        if self.forecasts:
            yield from ("", *_grouped("by kind", self.groups()), "", *_grouped("by source", self.sources()), LEGEND)


def _grouped(head: str, groups: Sequence[Group]) -> Iterator[str]:
    wide = max(len(name) for name in (head, *(group.name for group in groups)))
    yield f"{head:<{wide}}{HEADER}"
    yield from (f"{group.name:<{wide}}{group.cells()}" for group in groups)


def _pooled(name: str, forecasts: Sequence[StepForecast]) -> Group:
    residuals = np.log([f.modelled / f.step.seconds for f in forecasts])
    return Group(
        name=name,
        rows=len(forecasts),
        configurations=len({f.step.key for f in forecasts}),
        median=float(np.median([f.off for f in forecasts])),
        mean=float(np.mean([f.off for f in forecasts])),
        bias=float(np.mean(residuals)),
        coverage=float(np.mean([f.inside for f in forecasts])),
        width=float(np.sqrt(np.median([f.high / f.low for f in forecasts]))),
        score=float(np.mean([f.score for f in forecasts])),
    )


def step_backtest(rows: str | Path | Sequence[MeasuredStep], progress: Progress | None = None) -> StepBacktest:
    """Model every measured step of a file with the shipped calibration.

    Args:
        rows: a ``.json`` or ``.csv`` file (:func:`trainsim.calibration.readers.measured_steps.read_steps`), or steps already read.
        progress: called with the number of steps done and the total, e.g. ``ts.progress_bar``.

    Raises:
        SpecError: no such file, or a file with another structure.
    """
    if isinstance(rows, str | Path):
        steps = read_steps(rows)
    elif isinstance(rows, (list, tuple)) and all(isinstance(step, MeasuredStep) for step in rows):
        steps = list(rows)
    else:
        raise SpecError("rows", rows, "is neither a path nor a list of measured steps", "give a .json or .csv file", "wrong-type")
    shipped = calibration()
    able: list[MeasuredStep] = []
    not_run: list[MeasuredStep] = []
    for step in steps:
        (not_run if step.not_modelled or not step.seconds > 0 else able).append(step)
    seen: list[MeasuredStep] = []
    fresh: list[MeasuredStep] = []
    for step in able:
        (seen if step.fingerprint in shipped.rows else fresh).append(step)
    found: list[StepForecast] = []
    for done, step in enumerate(fresh, 1):
        try:
            found.append(_forecast(step))
        except TrainsimError as error:
            not_run.append(replace(step, not_modelled=str(error)))
        if progress is not None:
            progress(done, len(fresh))
    return StepBacktest(tuple(found), tuple(seen), tuple(not_run))


def _forecast(step: MeasuredStep) -> StepForecast:
    """Forecast of a row. If the row does not fully report its layout, the fastest candidate is taken, since published layouts are tuned."""
    shipped = calibration()
    if step.model is None:
        raise SpecError("model", None, "is not known", "give a row with its architecture", "missing")
    points = np.concatenate([shipped.best[None, :], shipped.draws])
    layers = step.layer_fingerprint
    logs = modelled_log_seconds(step.candidates, dict(zip(shipped.names, points.T, strict=True)))
    at = int(np.argmin(logs[:, 0]))
    mean, sigma = shipped.unexplained(step.stack, layers=layers, routed=step.model.is_moe, source=step.source)
    unexplained = mean + sigma * ndtri((np.arange(STRATA) + 0.5) / STRATA)
    low, mid, high = np.exp(np.quantile((logs[at, 1:, None] + unexplained).ravel(), (0.05, 0.5, 0.95)))
    return StepForecast(step, float(np.exp(logs[at, 0] + mean)), float(low), float(mid), float(high))
