"""Diagnose a measured step: its percentile in the prediction, the likely causes of a difference, and what to measure next."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from ..catalog.rows import rows as catalogue_rows
from ..catalog.shipped_calibration import calibration
from ..catalog.software_stacks import fields_at
from ..core.batch import Batch
from ..core.errors import SpecError
from ..core.quantities import typed_number
from ..run.inputs import STEP, check_given, needed_stack
from ..run.memory import memory as memory_of
from ..run.run import Run
from ..run.step_time import step_time
from .diagnosis import CHANCE, MAX_CAUSES, OUTSIDE, Cause, Diagnosis, stack_numbers
from .update import run_log_seconds

Array = NDArray[np.float64]
GRID = 33
"""Number of quantiles of the belief about a constant at which the constant is tried."""
TINY = float(np.finfo(np.float64).tiny)
FAULT = float(np.log(2.0))
"""Mean of ``|log(measured / modelled)|`` for a fault outside the model (judgement, 2026-11-30: no survey of faults was found)."""


def diagnose(run: Run, step_time: float | str | None = None, memory: float | str | None = None) -> Diagnosis:
    """Compare a measured step time, or measured memory, with the prediction of the run's stack.

    Each fitted number c of the stack is considered as the only cause: ``P(c | t) ∝ ∫ N(log t | log f(c), σ²) p(c) dc``, where p is the
        belief about the number and σ the unexplained standard deviation within a source. Three more causes are considered: the factor of
        the source, chance, and "none of these", a fault outside the model with ``|log t - log t̂| ~ Exp(1 / log 2)`` in either direction.

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
    >>> diagnose(run, step_time=3.4 * float(ts.step_time(run).total)).suspect
    'something outside the model'
    """
    step_time = None if step_time is None else typed_number(step_time, "s", "step_time")
    memory = None if memory is None else typed_number(memory, "B", "memory")
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
        measure_next=_measure_next(stack_numbers(explanations)[:MAX_CAUSES]),
        memory=memory_excess,
    )


def _explanations(run: Run, measured: float, noise: float, unseen: float) -> tuple[Cause, ...]:
    """Each fitted number of the stack, the source's factor, chance, and a fault outside the model; the most likely first."""
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
    off = float(np.log(float(np.asarray(usual.total))) - measured)
    # the density of a fault is nearly constant over the width of the noise, so one value suffices; units as in `likely`
    fault = noise * np.sqrt(2 * np.pi) * np.exp(-abs(off) / FAULT) / (2 * FAULT)
    evidence = np.append(likely.mean(axis=1), [np.exp(-((off / noise) ** 2) / 2), fault]) + TINY
    probability = evidence / np.sum(evidence)
    lines = {n: np.broadcast_to(np.asarray(ledger.part(n).total), (residuals.size,)).reshape(residuals.shape) for n in ledger.parts}
    as_is = {n: float(np.asarray(usual.part(n).total)) for n in ledger.parts}
    found = [
        Cause(CHANCE, float(probability[-2]), np.nan, np.nan, np.nan, as_is),
        Cause(OUTSIDE, float(probability[-1]), float(np.exp(-off)), 1.0, np.nan, as_is),
    ]
    for i, n in enumerate(names):
        weight = likely[i] + TINY * (np.abs(residuals[i]) == np.min(np.abs(residuals[i])))
        weight = weight / np.sum(weight)
        parts = {name: float(weight @ line[i]) for name, line in lines.items()}
        usually, value = float(np.asarray(getattr(stack, n))), float(weight @ tried[n])
        meaning = stack.unit_of(n).doc
        found.append(Cause(f"{path}.{n}", float(probability[i]), value, usually, 100 * float(weight @ level), parts, meaning))
    return tuple(sorted(found, key=lambda e: -e.probability))


def _measure_next(causes: tuple[Cause, ...]) -> str:
    """The part of the step whose time differs most between the causes, among the parts that a trace shows."""
    parts = [part for part in causes[0].lines if part != "source"] if len(causes) > 1 else []
    return max(parts, key=lambda part: float(np.ptp([e.lines[part] for e in causes])), default="")
