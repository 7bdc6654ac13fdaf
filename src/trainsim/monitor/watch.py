"""Watch the steps of a training loop: compare each with its prediction, and project hours, dollars and last day of the run."""

from __future__ import annotations

import csv
import datetime as dt
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ..catalog.run_beliefs import beliefs as beliefs_about
from ..catalog.runs import complete
from ..core.errors import EstimateError, TrainsimWarning
from ..core.provenance import BY_USER
from ..core.units import human
from ..inference import simulate
from ..model.conventions import CONVENTIONS
from ..model.counting import flops_per_token
from ..run.estimate import estimate
from ..run.run import Run
from ..training.efficiency import StepTime
from ..uncertainty.beliefs.beliefs import Beliefs
from ..uncertainty.distributions.parametric import lognormal

Levels = tuple[float, float, float]
"""5 %, 50 % and 95 % quantiles."""
LEVELS = (0.05, 0.5, 0.95)
WARM_UP = 3
"""Number of warm-up steps, which compile and allocate. They are measured, but excluded from means and warnings."""
SPREAD = 1e-4
"""Smallest relative standard error assumed for a mean step."""
BY = "trainsim"
"""First cell of each CSV line, by which ``ts.calibrate`` recognises the file."""


@dataclass(frozen=True)
class RunProjection:
    """Projected hours, cost and last day of a run, if its steps stay as measured; each is (P5, P50, P95).

    Args:
        hours: wall-clock hours from the first step to the last [h].
        cost: cost of the run [USD].
        finish: day of the last step.
    """

    hours: Levels
    cost: Levels
    finish: tuple[dt.datetime, dt.datetime, dt.datetime]

    def __str__(self) -> str:
        days = f"{human(self.hours[1])} h ({human(self.hours[0])} to {human(self.hours[2])})"
        dollars = f"${human(self.cost[1])} (${human(self.cost[0])} to ${human(self.cost[2])})"
        return f"{days}, {dollars}, done {self.finish[1]:%Y-%m-%d %H:%M} ({self.finish[0]:%m-%d %H:%M} to {self.finish[2]:%m-%d %H:%M})"


@dataclass(frozen=True)
class StepReport:
    """One measured step.

    Args:
        step: number of the step, from 1.
        seconds: measured time [s].
        predicted: P5, P50 and P95 predicted before the run began [s].
        mfu: counting convention → model FLOPs over peak [1].
    """

    step: int
    seconds: float
    predicted: Levels
    mfu: Mapping[str, float]

    @property
    def inside(self) -> bool:
        """Whether the step lies in its predicted 90 % interval."""
        return self.predicted[0] <= self.seconds <= self.predicted[2]

    def __str__(self) -> str:
        low, _, high = self.predicted
        shares = ", ".join(f"{name} {100 * self.mfu[name]:.1f} %" for name in ("causal", "6nd", "megatron"))
        return f"step {self.step}: {self.seconds:.4g} s, predicted {low:.4g} to {high:.4g} s; MFU {shares}"


@dataclass
class StepWatch:
    """Watch over the steps of one phase of a run; call it after each optimizer step.

    Args:
        run: a complete run.
        beliefs: beliefs about the run's numbers.
        phase: name of the phase that trains.
        path: CSV file to write; empty for none.
        log: function that takes one line of text; None for no log.
        every: steps between two lines of the log.
        clock: function that gives the time [s].

    >>> import trainsim as ts
    >>> run = ts.quick("7B", chip="h100", gpus=64, tokens="1T", price=2.5)
    >>> watch = watch_steps(run, log=None)
    >>> report = [watch(seconds) for seconds in (9.0, 5.1, 5.0, 5.2, 5.1)][-1]
    >>> report.step, round(report.mfu["causal"], 2), watch.projection().cost[1] > 0
    (5, 0.54, True)
    """

    run: Run
    beliefs: Beliefs
    phase: str
    path: Path | None = None
    log: Callable[[str], None] | None = print
    every: int = 10
    clock: Callable[[], float] = time.perf_counter
    seconds: list[float] = field(default_factory=list)
    began: dt.datetime = field(default_factory=lambda: dt.datetime.now(tz=dt.UTC))
    _last: float | None = None
    _outside: bool = False

    def start(self) -> None:
        """Start the clock of the next step; needed before the first step, and after a pause that belongs to no step."""
        self._last = self.clock()

    def __call__(self, seconds: float | None = None) -> StepReport:
        """Record that a step is done.

        Args:
            seconds: time of the step [s]; by default the time since the last call, or since :meth:`start`.

        Raises:
            EstimateError: no seconds are given, and the clock was never started.
        """
        now = self.clock()
        if seconds is None:
            if self._last is None:
                raise EstimateError(
                    "seconds", None, "is needed: the clock was not started", "call start() before the first step", "missing"
                )
            seconds = now - self._last
        self._last = now
        self.seconds.append(seconds)
        mfu = {name: flop / seconds for name, flop in self._flops_over_peak.items()}
        report = StepReport(len(self.seconds), seconds, self.predicted, mfu)
        self._write(report)
        self._warn(report)
        if self.log is not None and report.step % self.every == 0:
            self.log(f"{report}; {self.projection()}")
        return report

    @cached_property
    def predicted(self) -> Levels:
        """P5, P50 and P95 of a step, predicted before any was measured [s]."""

        def step(run: Run) -> Any:
            found = estimate(run).phases[self.phase]
            return found.busy_gpu_seconds / (found.gpus * self._steps)

        if not self.beliefs:
            point = float(step(self.run))
            return point, point, point
        return _levels(simulate(self.run, self.beliefs, step, rtol=1e-2), "value")

    def projection(self) -> RunProjection:
        """Projection of the whole run, with the measured mean step in place of the predicted one.

        The uncertainty of the mean is its standard error; goodput and price keep their beliefs. During the warm-up the predicted step is
        used.
        """
        run, beliefs = self.run, self.beliefs
        if len(self.seconds) > WARM_UP + 1:
            steady = np.array(self.seconds[WARM_UP:])
            mean, error = float(steady.mean()), float(steady.std(ddof=1) / np.sqrt(len(steady)))
            alone = len(run.phases) == 1 and run.phases[0].efficiency is None
            path = "efficiency" if alone else f"phases.{self.phase}.efficiency"
            run = run.replace({path: StepTime(seconds=mean)})
            kept = self.beliefs.without(*(p for p in self.beliefs.paths if p.startswith(f"{path}.")))
            beliefs = kept | Beliefs({f"{path}.seconds": lognormal(np.log(mean), max(error / mean, SPREAD))})
        if not beliefs:
            found = estimate(run)
            cost, days = ((float(value),) * 3 for value in (found.cost.total, found.wall_days))
        else:
            sim = simulate(run, beliefs, rtol=1e-2, outputs=("cost", "wall_days"))
            cost, days = _levels(sim, "cost"), _levels(sim, "wall_days")
        finish = tuple(self.began + dt.timedelta(days=day) for day in days)
        return RunProjection(tuple(24 * day for day in days), cost, finish)  # type: ignore[arg-type]  # both are three quantiles

    @property
    def _steps(self) -> float:
        """Optimizer steps of the phase."""
        phase = self._phase
        return float(phase.tokens) / (float(phase.batch) * float(phase.seq_len))

    @property
    def _phase(self) -> Any:
        return next(one for one in self.run.phases if one.name == self.phase)

    @cached_property
    def _flops_over_peak(self) -> dict[str, float]:
        """Convention → time of a step at the dense 16-bit peak [s]."""
        phase = self._phase
        machines = phase.cluster or self.run.cluster
        peak = float(machines.chip.peak_of(machines.chip.half)) * machines.gpus
        tokens = float(phase.batch) * float(phase.seq_len)
        model = phase.model_of(self.run.model)
        return {name: tokens * float(flops_per_token(model, float(phase.seq_len), name).total) / peak for name in CONVENTIONS}

    def _write(self, report: StepReport) -> None:
        if self.path is None:
            return
        with self.path.open("w" if report.step == 1 else "a", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            if report.step == 1:
                writer.writerow(
                    ("by", "step", "seconds", "predicted_p5", "predicted_p50", "predicted_p95", *(f"mfu_{n}" for n in report.mfu))
                )
            shown = (report.seconds, *report.predicted, *report.mfu.values())
            writer.writerow((BY, report.step, *(f"{value:.6g}" for value in shown)))

    def _warn(self, report: StepReport) -> None:
        """Warn once when steps leave their interval, and again only after they have returned to it."""
        if report.step <= WARM_UP:
            return
        if not report.inside and not self._outside:
            low, _, high = report.predicted
            word = "above" if report.seconds > high else "below"
            text = f"step {report.step} took {report.seconds:.4g} s, {word} its predicted 90 % interval, {low:.4g} to {high:.4g} s"
            warnings.warn(TrainsimWarning(f"{text}: ts.diagnose(run, step_time={report.seconds:.4g})"), stacklevel=3)
        self._outside = not report.inside


def watch_steps(
    run: Run,
    *,
    beliefs: Beliefs | None = None,
    phase: str = "",
    csv: str | Path = "",
    log: Callable[[str], None] | None = print,
    every: int = 10,
) -> StepWatch:
    """Watch the steps of a training loop; the returned watch is called after each optimizer step.

    Args:
        run: the run that trains; a missing efficiency, goodput or price is filled in from the catalogue.
        beliefs: beliefs about the run's numbers, such as those of ``ts.calibrate``; they override the catalogue's beliefs about inputs that
            were not given.
        phase: name of the phase that trains; the first if left out.
        csv: file to write, one line per step, which ``ts.calibrate(csv, run)`` reads; empty for none.
        log: function that takes one line of text; None for no log.
        every: steps between two lines of the log.

    Returns:
        the watch: ``watch.start()`` before the first step, ``watch()`` after each, ``watch.projection()`` at any time.

    Raises:
        EstimateError: no such phase, or one without tokens, batch or sequence length.

    Warns:
        TrainsimWarning: (from the watch) a step leaves its predicted 90 % interval.

    >>> import trainsim as ts
    >>> watch = watch_steps(ts.quick("7B", chip="h100", gpus=64, tokens="1T"), log=None)
    >>> watch.start()
    >>> watch().step
    1
    """
    whole, _ = complete(run)
    chosen = next((one for one in whole.phases if phase in ("", one.name)), None)
    if chosen is None:
        names = ", ".join(one.name for one in whole.phases)
        raise EstimateError("phase", phase, "is not a phase of the run", f"give one of {names}", "unknown-name")
    if missing := [name for name in ("tokens", "batch", "seq_len") if getattr(chosen, name) is None]:
        paths = ", ".join(f"phases.{chosen.name}.{name}" for name in missing)
        raise EstimateError(paths, None, "is needed to predict a step", f"give {paths}", "missing")
    given = [path for path, source in whole.sources().items() if source == BY_USER and ".stack." not in path]
    held = beliefs_about(whole)
    held = held.without(*(path for path in given if path in held.paths)) | (beliefs or {})
    return StepWatch(whole, held, chosen.name, Path(csv) if csv else None, log, every)


def _levels(sim: Any, name: str) -> Levels:
    low, middle, high = (float(value) for value in sim.quantile(name, list(LEVELS)))
    return low, middle, high
