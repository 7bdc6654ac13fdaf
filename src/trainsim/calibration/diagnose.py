"""Diagnose a measured step: its percentile in the prediction, the likely causes of a difference, and what to measure next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from ..catalog.rows import rows as catalogue_rows
from ..catalog.shipped_calibration import calibration
from ..catalog.software_stacks import fields_at
from ..core.answer import Answer, AnswerRow, Summary
from ..core.batch import Batch
from ..core.errors import SpecError
from ..core.ledger import Ledger
from ..core.units import human
from ..run.inputs import STEP, check_given, needed_stack
from ..run.memory import memory as memory_of
from ..run.run import Run
from ..run.step_time import step_time
from .update import run_log_seconds

Array = NDArray[np.float64]
GRID = 33
"""Number of quantiles of a constant's belief at which it is tried."""
TINY = float(np.finfo(np.float64).tiny)
MAX_CAUSES = 3
"""Number of causes that the next measurement should distinguish."""


@dataclass(frozen=True)
class Cause:
    """One number of the stack that could explain a measured step on its own.

    Args:
        path: path of the number; empty for chance.
        probability: posterior probability of this cause; all causes are equally likely a priori.
        value, usual: the value that explains the step best, and the value in the run.
        percentile: percentile of that value in the belief about the number, 0 to 100.
        lines: time of each part of the step under this cause [s].
    """

    path: str
    probability: float
    value: float
    usual: float
    percentile: float
    lines: Mapping[str, float]


@dataclass(frozen=True, repr=False)
class Diagnosis(Answer):
    """Comparison of a measured step with the modelled one.

    Args:
        modelled: P5, P50 and P95 of the modelled step [s].
        measured: the measured step [s].
        percentile: percentile of the measured step in the prediction, 0 to 100.
        explanations: possible causes, the most likely first.
        measure_next: part of the step whose time best distinguishes the most likely causes; ``tell_apart`` is its former name.
        memory: measured minus modelled bytes of the fullest rank, and its largest parts [B]; None where none was measured.
    """

    modelled: tuple[float, float, float]
    measured: float
    percentile: float
    explanations: tuple[Cause, ...]
    measure_next: str
    memory: tuple[float, Ledger] | None = None

    @property
    def tell_apart(self) -> str:
        """Former name of ``measure_next``."""
        return self.measure_next

    def summary(self) -> Summary:
        """Measured and expected step, and the causes with their probabilities."""
        low, middle, high = self.modelled
        step = [AnswerRow("measured", "measured step", self.measured, "s"), AnswerRow("modelled", "expected step", middle, "s", low, high),
                AnswerRow("percentile", "percentile", self.percentile)]  # fmt: skip
        rows = [] if np.isnan(self.measured) else step
        rows += [AnswerRow(f"cause-{i}", _name(e), 100 * e.probability, "%", group="Causes") for i, e in enumerate(self.explanations, 1)]
        if self.memory is not None:
            rows.append(AnswerRow("memory", "measured minus modelled memory", self.memory[0], "B"))
        return Summary("a measured step against its model", tuple(rows))

    def __str__(self) -> str:
        low, mid, high = self.modelled
        lines = [
            f"measured {self.measured:.4g} s   modelled {low:.3g} [{mid:.3g}] {high:.3g} s   percentile {self.percentile:.0f}",
            *(_line(e) for e in self.explanations[:5]),
        ]
        if self.measure_next:
            times = ", ".join(f"{e.lines[self.measure_next]:.3g} s if {_name(e)}" for e in self.explanations[:MAX_CAUSES])
            lines.append(f"measure {self.measure_next} next: expect {times}")
        if self.memory is not None:
            more, parts = self.memory
            largest = sorted(((float(np.asarray(v)), p) for p, v in parts.lines()), reverse=True)[:3]
            sizes = ", ".join(f"{path} {human(size, 3)}B" for size, path in largest)
            lines.append(f"memory {human(more, 3)}B above the model; largest modelled parts: {sizes}")
        return "\n".join(lines)


def _name(explanation: Cause) -> str:
    return explanation.path.removeprefix("efficiency.stack.") or "chance"


def _line(e: Cause) -> str:
    if not e.path:
        return f"  {100 * e.probability:3.0f} %  chance: within the usual scatter"
    return (
        f"  {100 * e.probability:3.0f} %  {_name(e)} = {human(e.value, 3)} instead of {human(e.usual, 3)} ({e.percentile:.0f}th percentile)"
    )


def diagnose(run: Run, step_time: float | None = None, memory: float | None = None) -> Diagnosis:
    """Compare a measured step time, or measured memory, with the prediction of the run's stack.

    Each fitted number of the stack is considered as the only cause, ``P(c | t) ∝ ∫ N(log t | log f(c), σ²) p(c) dc``, where p is the belief
    about the number and σ the unexplained standard deviation within a source. The source's factor and chance are considered too.

    Args:
        run: a run with a modelled efficiency, a complete plan and a complete first phase.
        step_time: measured time of an optimizer step [s].
        memory: measured peak memory of the fullest accelerator [B].

    Returns:
        the percentile of the measurement, and the possible causes with their probabilities.

    Raises:
        SpecError: neither measurement is given, or one is not above 0.
        EstimateError: the run's efficiency is given, not modelled.

    >>> import trainsim as ts
    >>> run = ts.Run(model=ts.catalog.model("llama3-8b"), cluster=ts.catalog.cluster("hgx-h100", 64), plan=ts.Plan(zero=3),
    ...     phases=[ts.Phase("pretrain", tokens=1e12, seq_len=8192, batch=128)],
    ...     efficiency=ts.Modelled(stack=ts.catalog.stack("mcore-hopper")))
    >>> slow = diagnose(run, step_time=2 * float(ts.step_time(run).total))
    >>> slow.percentile > 99, round(sum(e.probability for e in slow.explanations), 9)
    (True, 1.0)
    """
    for name, value in (("step_time", step_time), ("memory", memory)):
        if value is not None and not value > 0:
            raise SpecError(name, value, "must be above 0", "give the measured value", "out-of-bounds")
    if step_time is None and memory is None:
        raise SpecError("step_time", None, "is needed, or memory", "give the measured value", "missing")
    memory_excess = None
    if memory is not None:
        ranks = memory_of(run)
        fullest = max(ranks.parts, key=lambda rank: float(np.asarray(ranks.part(rank).total)))
        memory_excess = (memory - float(np.asarray(ranks.part(fullest).total)), ranks.part(fullest))
    if step_time is None:
        return Diagnosis((np.nan, np.nan, np.nan), np.nan, np.nan, (), "", memory_excess)
    check_given(run, run.phases[0], "to model a step", STEP)
    shipped, name = calibration(), needed_stack(run, run.phases[0]).name
    rng = np.random.default_rng(0)
    drawn = np.repeat(run_log_seconds(run), 10) + shipped.spread_unseen(name, routed=run.model.is_moe) * rng.standard_normal(
        10 * len(shipped.draws)
    )
    low, mid, high = np.exp(np.quantile(drawn, (0.05, 0.5, 0.95)))
    explanations = _explanations(
        run, np.log(step_time), shipped.spread_within(name, routed=run.model.is_moe), shipped.spread_unseen(name, routed=run.model.is_moe)
    )
    return Diagnosis(
        modelled=(float(low), float(mid), float(high)),
        measured=step_time,
        percentile=100 * float(np.mean(drawn < np.log(step_time))),
        explanations=explanations,
        measure_next=_measure_next(explanations[:MAX_CAUSES]),
        memory=memory_excess,
    )


def _explanations(run: Run, measured: float, noise: float, unseen: float) -> tuple[Cause, ...]:
    """Possible causes: each fitted number of the stack, the source's factor, and chance; the most likely first."""
    stack, shipped = needed_stack(run, run.phases[0]), calibration()
    fields = fields_at(stack.name, dict(zip(shipped.names, shipped.draws.T, strict=True))) if stack.name in catalogue_rows("stacks") else {}
    names = [*sorted(fields), "factor"]
    level = (np.arange(GRID) + 0.5) / GRID
    factor = np.exp(unseen * ndtri(level))
    tried = {n: factor if n == "factor" else np.quantile(np.asarray(fields[n]), level) for n in names}
    columns = {n: np.full(len(names) * GRID, float(np.asarray(getattr(stack, n)))) for n in names}
    for i, n in enumerate(names):
        columns[n][i * GRID : (i + 1) * GRID] = tried[n]
    path = "efficiency.stack" if run.phases[0].efficiency is None else f"phases.{run.phases[0].name}.efficiency.stack"
    ledger = step_time(Batch(run, {f"{path}.{n}": v for n, v in columns.items()}).spec)
    residuals = (np.log(np.asarray(ledger.total)) - measured).reshape(len(names), GRID)
    likely = np.exp(-np.square(residuals / noise) / 2)
    usual = step_time(run)
    chance = float(np.exp(-np.square((np.log(float(np.asarray(usual.total))) - measured) / noise) / 2))
    evidence = np.append(likely.mean(axis=1), chance) + TINY
    probability = evidence / np.sum(evidence)
    lines = {n: np.broadcast_to(np.asarray(ledger.part(n).total), (residuals.size,)).reshape(residuals.shape) for n in ledger.parts}
    as_is = {n: float(np.asarray(usual.part(n).total)) for n in ledger.parts}
    found = [Cause("", float(probability[-1]), np.nan, np.nan, np.nan, as_is)]
    for i, n in enumerate(names):
        weight = likely[i] + TINY * (np.abs(residuals[i]) == np.min(np.abs(residuals[i])))
        weight = weight / np.sum(weight)
        parts = {name: float(weight @ line[i]) for name, line in lines.items()}
        usually, value = float(np.asarray(getattr(stack, n))), float(weight @ tried[n])
        found.append(Cause(f"{path}.{n}", float(probability[i]), value, usually, 100 * float(weight @ level), parts))
    return tuple(sorted(found, key=lambda e: -e.probability))


def _measure_next(explanations: tuple[Cause, ...]) -> str:
    """The part of the step whose time differs most between the causes."""
    parts = list(explanations[0].lines) if len(explanations) > 1 else []
    return max(parts, key=lambda part: float(np.ptp([e.lines[part] for e in explanations])), default="")
