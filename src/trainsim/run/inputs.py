"""Inputs of a run that questions about its layout need, and the error if some are missing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from ..cluster.hardware import Cluster
from ..cluster.stack import Stack
from ..core.errors import EstimateError, did_you_mean
from ..core.units import Num
from ..model.transformer import Model
from ..parallelism.plan import Plan
from ..training.phases import Phase
from .run import Run


class Inputs(NamedTuple):
    """The inputs of a phase's memory and step time.

    Args:
        phase: the phase.
        model: the model that the phase trains.
        plan, cluster: those of the phase, else those of the run.
        seq_len: sequence length [token].
        batch: sequences per optimizer step [sequence].
    """

    phase: Phase
    model: Model
    plan: Plan
    cluster: Cluster
    seq_len: Num
    batch: Num


def phase_of(run: Run, name: str | None) -> Phase:
    """The phase of a name; the first phase for None.

    Raises:
        EstimateError: no such phase.
    """
    for phase in run.phases:
        if name is None or name == phase.name:
            return phase
    names = [phase.name for phase in run.phases]
    raise EstimateError("phase", name, "is not a phase of the run", did_you_mean(str(name), names, "phases"), "unknown-name")


Need = Literal["plan", "stack", "seq_len", "batch"]
"""Inputs that a question about a layout may need."""
LAYOUT: tuple[Need, ...] = ("plan", "seq_len", "batch")
STEP: tuple[Need, ...] = ("plan", "stack", "seq_len", "batch")
SEARCH: tuple[Need, ...] = ("stack", "seq_len", "batch")


def inputs_of(run: Run, phase: str | None, purpose: str, needs: Sequence[Need] = LAYOUT) -> Inputs:
    """The inputs of a question about a layout.

    Args:
        run: the run.
        phase: name of the phase; None for the first.
        purpose: purpose of the inputs, for the error message.
        needs: the inputs that are needed.

    Raises:
        EstimateError: no such phase, or inputs are missing; the error names all of them.
    """
    chosen = phase_of(run, phase)
    check_given(run, chosen, purpose, needs)
    plan, seq_len, batch = chosen.plan or run.plan, chosen.seq_len, chosen.batch
    assert plan is not None
    assert seq_len is not None
    assert batch is not None
    return Inputs(chosen, chosen.model_of(run.model), plan, chosen.cluster or run.cluster, seq_len, batch)


def check_given(run: Run, phase: Phase, purpose: str, needs: Sequence[Need]) -> None:
    """Check that a phase has the needed inputs.

    Raises:
        EstimateError: inputs are missing; the error names all of them, and the call that fills in those that can be assumed.
    """
    stack = getattr(phase.efficiency or run.efficiency, "stack", None)
    given = {"plan": phase.plan or run.plan, "stack": stack, "seq_len": phase.seq_len, "batch": phase.batch}
    missing = [need for need in needs if given[need] is None]
    if not missing:
        return
    first, efficiency = missing[0], phase.efficiency or run.efficiency
    words = [_GIVE[need].format(phase=phase.name) for need in missing]
    remedy = f"give {', '.join(words)}"
    if {"plan", "stack"} & set(missing):
        remedy += "; or run = ts.with_layout(run) fills in the usual stack and the fastest layout"
    value, rule = (efficiency, "names no software stack") if first == "stack" else (None, "is not given")
    path = {"plan": "plan", "stack": "efficiency"}.get(first, f"phases.{phase.name}.{first}")
    raise EstimateError(path, value, f"{rule}, and is needed {purpose}", remedy, "missing")


_GIVE = {
    "plan": "plan=ts.Plan(…)",
    "stack": "efficiency=ts.Modelled(stack=…, one of ts.catalog.stacks())",
    "seq_len": "phases.{phase}.seq_len",
    "batch": "phases.{phase}.batch",
}
"""Remedy for each missing input."""


def needed_stack(run: Run, phase: Phase) -> Stack:
    """The software stack of a phase.

    Raises:
        EstimateError: the phase's efficiency is not modelled, or none is given.
    """
    stack = getattr(phase.efficiency or run.efficiency, "stack", None)
    if not isinstance(stack, Stack):
        check_given(run, phase, "to model a step", ("stack",))
    assert isinstance(stack, Stack)
    return stack
