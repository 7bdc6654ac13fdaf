"""Update the shipped beliefs about a stack with a user's own measured steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..catalog.rows import rows as catalogue_rows
from ..catalog.shipped_calibration import calibration, class_of
from ..catalog.software_stacks import Z95, fields_at, stack_beliefs
from ..core.answer import Answer, AnswerRow, Summary
from ..core.batch import Batch
from ..core.errors import EstimateError, SpecError, check_type
from ..core.values import to_float, to_int
from ..run.inputs import needed_stack
from ..run.run import Run
from ..run.step_time import step_time
from ..uncertainty.beliefs.beliefs import Beliefs
from ..uncertainty.distributions.composed import joint
from ..uncertainty.distributions.interval import ci90
from ..uncertainty.distributions.parametric import lognormal
from .fit import columns, modelled_log_seconds
from .readers.logs import seconds_of
from .readers.measured_steps import read_steps
from .readers.traces import Trace, read_trace
from .trace_update import traced_stack

Array = NDArray[np.float64]


@dataclass(frozen=True, repr=False)
class Calibrated(Answer):
    """Beliefs about a stack, updated with measured steps.

    Args:
        beliefs: updated beliefs, for runs modelled with this stack on the same machines and framework.
        stack: name of the stack.
        steps: number of configurations measured.
        before, after: P5, P50 and P95 of log(modelled / measured), before and after the update.
        effective: effective number of posterior draws.
        draws: number of draws of the shipped calibration.
    """

    beliefs: Beliefs
    stack: str
    steps: int
    before: tuple[float, float, float]
    after: tuple[float, float, float]
    effective: float
    draws: int

    def summary(self) -> Summary:
        """Ratio of modelled to measured time before and after, and the effective number of draws."""
        rows = [AnswerRow("steps", "configurations measured", self.steps)]
        for name, ends in (("before", self.before), ("after", self.after)):
            low, middle, high = (100 * float(np.expm1(v)) for v in ends)
            rows.append(AnswerRow(name, f"modelled / measured - 1, {name}", middle, "%", low, high))
        rows.append(AnswerRow("effective", "draws that agree with the steps", self.effective, grade=f"of {self.draws:,}"))
        return Summary(f"{self.stack}, calibrated on your steps", tuple(rows))

    def _text(self) -> str:
        was, now = ((f"{100 * np.expm1(v):+.0f} %" for v in q) for q in (self.before, self.after))
        lines = [
            f"{self.stack}: {self.steps} configuration{'' if self.steps == 1 else 's'} measured",
            f"modelled over measured before  {' '.join(f'{v:>8}' for v in was)}   (5, 50, 95 %)",
            f"                       after   {' '.join(f'{v:>8}' for v in now)}",
        ]
        if self.effective < SPARSE * self.draws:
            lines.append(f"few draws agree with the rows ({self.effective:.0f} of {self.draws}): the steps differ strongly from the prior")
        return "\n".join(lines)


SPARSE = 0.05
"""Share of effective draws below which a warning says that the steps differ strongly from the prior."""
ROWS_DRAWN = 4000
"""Number of draws in the updated joint belief."""


def calibrate(rows: str | Path | Trace | Sequence[float], run: Run | None = None, seed: int = 1) -> Calibrated:
    """Update the shipped beliefs about a stack with your own measured steps.

    Each draw θ of the calibration is weighted by the likelihood of the steps, with one common factor of the source:
    ``log t_j = log f_j(θ) − b + ε_j``, ``b ~ N(0, τ²)``, ``ε ~ N(0, σ²)``, ``w(θ) ∝ ∫ Π_j N(log t_j | ·) N(b) db``. The stack's
    ``factor`` includes b and a new ε.

    Args:
        rows: one of four: a profiler trace of ``run`` (:func:`~.traces.read_trace`) or its ``.trace.json`` or ``.json.gz`` file, whose
            kernels give the numbers of the stack directly; a ``.json`` or ``.csv`` file of measured steps
            (:func:`~.measured_steps.read_steps`); a training log of ``run``; step times of ``run`` [s].
        run: the measured run, with a modelled efficiency, a complete plan and a complete first phase; not needed for a file of steps.
        seed: seed of the draws.

    Returns:
        the updated beliefs, and log(modelled / measured) before and after.

    Raises:
        SpecError: the file holds no steps or steps of several stacks, or ``run`` is missing.

    Source: linear model with a normal offset, Gelman et al. 2013, Bayesian Data Analysis, chapter 5; weights as in importance sampling.

    >>> import trainsim as ts
    >>> run = ts.Run(model=ts.catalog.model("llama3-8b"), cluster=ts.catalog.cluster("hgx-h100", 64), plan=ts.Plan(zero=3),
    ...     phases=[ts.Phase("pretrain", tokens=1e12, seq_len=8192, batch=128)],
    ...     efficiency=ts.Modelled(stack=ts.catalog.stack("mcore-hopper")))
    >>> found = calibrate([2.1, 2.2, 2.1], run)
    >>> found.steps, abs(found.after[1]) < abs(found.before[1])
    (1, True)
    """
    seed = to_int(seed, "seed")
    if run is not None:
        check_type(run, Run, "run", "a ts.Run")
    if run is not None and (isinstance(rows, Trace) or (isinstance(rows, str | Path) and str(rows).endswith(TRACES))):
        return _by_trace(rows if isinstance(rows, Trace) else read_trace(rows), run)
    if isinstance(rows, Trace):
        raise SpecError("run", None, "is needed with a trace", "give run=…, the profiled run", "missing")
    name, routed, modelled, measured = _measured(rows, run)
    shipped = calibration()
    residuals = modelled - np.log(measured)[:, None]
    within, unseen = shipped.spread_within(name, routed=routed), shipped.spread_unseen(name, routed=routed)
    offset = np.sqrt(np.maximum(unseen**2 - within**2, 0.0))
    n, mean = len(residuals), np.mean(residuals, axis=0)
    scatter = np.sum(np.square(residuals - mean), axis=0)
    total = within**2 + n * offset**2
    log_weight = -(scatter / within**2 + n * np.square(mean) / total) / 2
    weight = np.exp(log_weight - np.max(log_weight))
    weight /= np.sum(weight)
    rng = np.random.default_rng(seed)
    rows_of = rng.choice(len(weight), size=ROWS_DRAWN, p=weight)
    learned = -mean[rows_of] * n * offset**2 / total + rng.standard_normal(ROWS_DRAWN) * np.sqrt(within**2 * offset**2 / total)
    factor = np.exp(learned + within * rng.standard_normal(ROWS_DRAWN))
    believed = stack_beliefs(name, routed=routed)
    before = residuals[:, rng.integers(len(weight), size=ROWS_DRAWN)] + unseen * rng.standard_normal(ROWS_DRAWN)
    fields = fields_at(name, dict(zip(shipped.names, shipped.draws.T, strict=True))) if name in catalogue_rows("stacks") else {}
    keys = [*sorted(fields), "factor"]
    drawn = [*(np.asarray(fields[key])[rows_of] for key in keys[:-1]), factor]
    narrowed = Beliefs({tuple(f"efficiency.stack.{key}" for key in keys): joint(np.stack(drawn, axis=1))}).from_source("own steps")
    return Calibrated(
        beliefs=believed | narrowed,
        stack=name,
        steps=n,
        before=_three(before),
        after=_three(residuals[:, rows_of] + np.log(factor)),
        effective=float(1.0 / np.sum(np.square(weight))),
        draws=len(weight),
    )


TRACES = (".trace.json", ".json.gz")
"""File endings of profiler traces."""
TRACED = 0.05
"""Relative standard deviation of a number measured from a trace: the variation between repeats of one kernel."""


def _by_trace(trace: Trace, run: Run) -> Calibrated:
    """Beliefs about a stack whose kernels were profiled: fitted numbers as measured, all others and the factor as calibrated."""
    found = traced_stack(trace, run)
    name, routed, shipped = found.stack.name, run.model.is_moe, calibration()
    fields = fields_at(name, dict(zip(shipped.names, shipped.draws.T, strict=True))) if name in catalogue_rows("stacks") else {}
    rest = sorted(set(fields) - set(found.fields))
    believed_fields: dict[Any, Any] = {f"efficiency.stack.{f}": _about(float(np.asarray(getattr(found.stack, f)))) for f in found.fields}
    if rest:
        believed_fields[tuple(f"efficiency.stack.{f}" for f in rest)] = joint(np.stack([np.asarray(fields[f]) for f in rest], axis=1))
    believed_fields["efficiency.stack.factor"] = lognormal(0.0, shipped.spread_within(name, routed=routed))
    before, after = (np.log([there[w] / found.measured[w] for w in found.measured]) for there in (found.before, found.after))
    return Calibrated(
        beliefs=Beliefs(believed_fields), stack=name, steps=found.layers, before=_three(before), after=_three(after),
        effective=float(len(shipped.draws)), draws=len(shipped.draws),
    )  # fmt: skip


def _about(value: float) -> Any:
    """Belief about a number measured from a trace; a share (a value below 1) stays below 1."""
    wide = float(np.exp(Z95 * TRACED))
    return ci90(value / wide, value, min(value * wide, (1.0 + value) / 2) if value < 1.0 else value * wide)


def _three(values: Array) -> tuple[float, float, float]:
    low, mid, high = np.quantile(values, (0.05, 0.5, 0.95))
    return float(low), float(mid), float(high)


def _step_times(rows: object) -> Array:
    """The given step times, checked [s]."""
    if not isinstance(rows, (Sequence, np.ndarray)) or not len(rows):
        raise SpecError(
            "rows", rows, "is not a list of step times", "give seconds of at least one step, or the path of a log", "wrong-type"
        )
    return np.array([to_float(value, f"rows.{i}", above=0.0) for i, value in enumerate(rows)])


def _measured(rows: str | Path | Sequence[float], run: Run | None) -> tuple[str, bool, Array, Array]:
    """Stack, whether the model is a mixture of experts, modelled log seconds ``(steps, draws)``, and measured seconds ``(steps,)``."""
    if run is not None:
        phase = run.phases[0]
        stack = needed_stack(run, phase)
        for name, value in (("batch", phase.batch), ("seq_len", phase.seq_len)):
            if value is None:
                raise EstimateError(f"phases.{phase.name}.{name}", None, "is needed to model a step", f"give {name}=…")
        tokens = float(np.asarray(phase.batch)) * float(np.asarray(phase.seq_len)) / run.cluster.gpus
        each = seconds_of(rows, tokens) if isinstance(rows, str | Path) else _step_times(rows)
        return stack.name, run.model.is_moe, run_log_seconds(run)[None, :], np.array([np.median(each)])
    if not isinstance(rows, str | Path) or Path(rows).suffix not in {".json", ".csv"}:
        raise SpecError(
            "run", None, "is needed with a log or step times", "give run=…, or a .json or .csv file of measured steps", "missing"
        )
    steps = [s for s in read_steps(rows) if s.usable and not s.alternatives]
    families = sorted({class_of(s.stack, routed=s.model.is_moe) for s in steps})  # type: ignore[union-attr]
    if not families:
        raise SpecError("rows", str(rows), "contains no step that can be modelled", "give all fields of at least one step", "conflict")
    if len(families) > 1:
        rule = f"contains steps of {len(families)} stacks: {', '.join(families)}"
        raise SpecError("rows", str(rows), rule, "give the steps of one stack", "conflict")
    shipped = calibration()
    values = dict(zip(shipped.names, shipped.draws.T, strict=True))
    return steps[0].stack, steps[0].model.is_moe, modelled_log_seconds(steps, values), np.array([s.seconds for s in steps])  # type: ignore[union-attr]


def run_log_seconds(run: Run) -> Array:
    """Logarithm of a run's modelled step time at each draw of the shipped calibration, shape ``(draws,)``."""
    phase = run.phases[0]
    name = needed_stack(run, phase).name
    shipped = calibration()
    if name not in catalogue_rows("stacks"):
        return np.full(len(shipped.draws), np.log(float(np.asarray(step_time(run).total))))
    path = "efficiency.stack" if phase.efficiency is None else f"phases.{phase.name}.efficiency.stack"
    fields = columns(fields_at(name, dict(zip(shipped.names, shipped.draws.T, strict=True))))
    drawn = Batch(run, {f"{path}.{field}": values for field, values in fields.items()}).spec
    return np.asarray(np.log(np.broadcast_to(np.asarray(step_time(drawn).total), (len(shipped.draws),))))
