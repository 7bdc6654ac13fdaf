"""What a question about a layout needs of a run: one phase, its plan, cluster, sequence length and batch."""

from __future__ import annotations

from dataclasses import dataclass

from ..cluster.hardware import Cluster
from ..cluster.stack import Stack
from ..core.errors import EstimateError, did_you_mean
from ..core.units import Num
from ..model.transformer import Model
from ..parallelism.plan import Plan
from ..training.phases import Phase
from .run import Run


@dataclass(frozen=True)
class Inputs:
    """One phase of a run with what a layout's memory and step need.

    Args:
        phase: the phase.
        model: what the phase trains.
        plan, cluster: the phase's own, else the run's.
        seq_len: tokens of a sequence [token].
        batch: sequences of an optimizer step [sequence].
    """

    phase: Phase
    model: Model
    plan: Plan
    cluster: Cluster
    seq_len: Num
    batch: Num


def phase_of(run: Run, name: str | None) -> Phase:
    """A phase by its name, the first where none is given.

    Raises:
        EstimateError: no such phase.
    """
    chosen = next((phase for phase in run.phases if name in {None, phase.name}), None)
    if chosen is None:
        names = [phase.name for phase in run.phases]
        raise EstimateError("phase", name, "is no phase of the run", did_you_mean(str(name), names, "phases"), "unknown-name")
    return chosen


def inputs_of(run: Run, phase: str | None, purpose: str) -> Inputs:
    """What a question about a layout needs.

    Args:
        run: the run.
        phase: name of the phase; None for the first.
        purpose: what it is needed for, in the error's words.

    Raises:
        EstimateError: no such phase, or inputs are missing; names all of them.
    """
    chosen = phase_of(run, phase)
    plan, seq_len, batch = chosen.plan or run.plan, chosen.seq_len, chosen.batch
    if plan is None or seq_len is None or batch is None:
        needed = {"plan": plan, f"phases.{chosen.name}.seq_len": seq_len, f"phases.{chosen.name}.batch": batch}
        missing = [path for path, value in needed.items() if value is None]
        raise EstimateError(missing[0], None, f"is needed {purpose}", f"give {', '.join(missing)}", "missing")
    return Inputs(chosen, chosen.model_of(run.model), plan, chosen.cluster or run.cluster, seq_len, batch)


def needed_stack(run: Run, phase: Phase) -> Stack:
    """The stack that models a phase's time.

    Raises:
        EstimateError: the phase's efficiency is not modelled, or none is given.
    """
    stack = getattr(phase.efficiency or run.efficiency, "stack", None)
    if not isinstance(stack, Stack):
        told = phase.efficiency or run.efficiency
        raise EstimateError("efficiency", told, "names no software stack", "give efficiency=ts.Modelled(stack=ts.catalog.stack(…))")
    return stack
