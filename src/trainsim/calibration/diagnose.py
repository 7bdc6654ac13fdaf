"""A measured step compared with a modelled one: how odd it is, what would explain it, and what to measure next."""

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
"""Quantiles of a constant's belief at which it is tried."""
TINY = float(np.finfo(np.float64).tiny)
TOLD_APART = 3
"""Explanations that a further measurement is chosen between."""


@dataclass(frozen=True)
class Cause:
    """One number that alone would explain a measured step.

    Args:
        path: the number; empty for none: chance.
        probability: that it is this one, each equally likely before.
        value, usual: what it would have to be, most likely, and what it is in the run.
        percentile: of that value in what is believed of it, 0 to 100.
        lines: seconds of each part of the step if so [s].
    """

    path: str
    probability: float
    value: float
    usual: float
    percentile: float
    lines: Mapping[str, float]


@dataclass(frozen=True, repr=False)
class Diagnosis(Answer):
    """What a measured step says about a run.

    Args:
        modelled: 5, 50 and 95 % of the modelled step [s].
        measured: what was measured [s].
        percentile: where that stands, 0 to 100.
        explanations: likeliest first.
        tell_apart: part of the step whose own time tells the likeliest explanations apart.
        memory: measured minus modelled bytes of the fullest rank, and its largest parts [B]; None where none was measured.
    """

    modelled: tuple[float, float, float]
    measured: float
    percentile: float
    explanations: tuple[Cause, ...]
    tell_apart: str
    memory: tuple[float, Ledger] | None = None

    def summary(self) -> Summary:
        """Measured and expected step, and the causes with their probabilities."""
        low, middle, high = self.modelled
        step = [AnswerRow("measured", "measured step", self.measured, "s"), AnswerRow("modelled", "expected step", middle, "s", low, high),
                AnswerRow("percentile", "percentile", self.percentile)]  # fmt: skip
        rows = [] if np.isnan(self.measured) else step
        rows += [AnswerRow(f"cause-{i}", _name(e), 100 * e.probability, "%", group="Causes") for i, e in enumerate(self.explanations, 1)]
        if self.memory is not None:
            rows.append(AnswerRow("memory", "measured less modelled memory", self.memory[0], "B"))
        return Summary("a measured step against its model", tuple(rows))

    def __str__(self) -> str:
        low, mid, high = self.modelled
        lines = [
            f"measured {self.measured:.4g} s   modelled {low:.3g} [{mid:.3g}] {high:.3g} s   percentile {self.percentile:.0f}",
            *(_line(e) for e in self.explanations[:5]),
        ]
        if self.tell_apart:
            told = ", ".join(f"{e.lines[self.tell_apart]:.3g} s if {_name(e)}" for e in self.explanations[:TOLD_APART])
            lines.append(f"measure {self.tell_apart}: {told}")
        if self.memory is not None:
            more, parts = self.memory
            largest = sorted(((float(np.asarray(v)), p) for p, v in parts.lines()), reverse=True)[:3]
            sizes = ", ".join(f"{path} {human(size, 3)}B" for size, path in largest)
            lines.append(f"memory {human(more, 3)}B above the model, whose largest parts are {sizes}")
        return "\n".join(lines)


def _name(explanation: Cause) -> str:
    return explanation.path.removeprefix("efficiency.stack.") or "chance"


def _line(e: Cause) -> str:
    if not e.path:
        return f"  {100 * e.probability:3.0f} %  chance: nothing need have moved"
    return (
        f"  {100 * e.probability:3.0f} %  {_name(e)} = {human(e.value, 3)} instead of {human(e.usual, 3)} ({e.percentile:.0f}th percentile)"
    )


def diagnose(run: Run, step_time: float | None = None, memory: float | None = None) -> Diagnosis:
    """Compare a measured step, or measured memory, with what the run's stack leads one to expect.

    Every number of the stack that was fitted is tried alone, over what is believed of it: ``P(c | t) ∝ ∫ N(log t | log f(c), σ²) p(c) dc``,
    σ what a stack leaves unexplained inside a source; beside them the factor of the source, and chance.

    Args:
        run: its efficiency is modelled; its plan and first phase are complete.
        step_time: measured seconds of an optimizer step [s].
        memory: measured peak of the fullest accelerator [B].

    Returns:
        the percentile of the measurement, and the explanations with their probabilities.

    Raises:
        SpecError: nothing was measured, or not above 0.
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
            raise SpecError(name, value, "must be above 0", "give what was measured", "out-of-bounds")
    if step_time is None and memory is None:
        raise SpecError("step_time", None, "is needed, or memory", "give what was measured", "missing")
    held = None
    if memory is not None:
        ranks = memory_of(run)
        fullest = max(ranks.parts, key=lambda rank: float(np.asarray(ranks.part(rank).total)))
        held = (memory - float(np.asarray(ranks.part(fullest).total)), ranks.part(fullest))
    if step_time is None:
        return Diagnosis((np.nan, np.nan, np.nan), np.nan, np.nan, (), "", held)
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
        tell_apart=_tell_apart(explanations[:TOLD_APART]),
        memory=held,
    )


def _explanations(run: Run, measured: float, noise: float, unseen: float) -> tuple[Cause, ...]:
    """Every fitted number of the stack alone, the source's factor, and chance; likeliest first."""
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
    apart = (np.log(np.asarray(ledger.total)) - measured).reshape(len(names), GRID)
    likely = np.exp(-np.square(apart / noise) / 2)
    usual = step_time(run)
    chance = float(np.exp(-np.square((np.log(float(np.asarray(usual.total))) - measured) / noise) / 2))
    evidence = np.append(likely.mean(axis=1), chance) + TINY
    probability = evidence / np.sum(evidence)
    lines = {n: np.broadcast_to(np.asarray(ledger.part(n).total), (apart.size,)).reshape(apart.shape) for n in ledger.parts}
    as_is = {n: float(np.asarray(usual.part(n).total)) for n in ledger.parts}
    found = [Cause("", float(probability[-1]), np.nan, np.nan, np.nan, as_is)]
    for i, n in enumerate(names):
        weight = likely[i] + TINY * (np.abs(apart[i]) == np.min(np.abs(apart[i])))
        weight = weight / np.sum(weight)
        parts = {name: float(weight @ line[i]) for name, line in lines.items()}
        usually, value = float(np.asarray(getattr(stack, n))), float(weight @ tried[n])
        found.append(Cause(f"{path}.{n}", float(probability[i]), value, usually, 100 * float(weight @ level), parts))
    return tuple(sorted(found, key=lambda e: -e.probability))


def _tell_apart(explanations: tuple[Cause, ...]) -> str:
    """The part of the step on whose time the explanations differ most, in seconds."""
    parts = list(explanations[0].lines) if len(explanations) > 1 else []
    return max(parts, key=lambda part: float(np.ptp([e.lines[part] for e in explanations])), default="")
