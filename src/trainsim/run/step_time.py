"""Time of a run's optimizer step: by part on the critical path, and by slot of one pipeline rank."""

from __future__ import annotations

from ..core.ledger import Ledger
from ..parallelism.shapes import shapes_of
from ..step.breakdown import slot_ledger, step_ledger
from ..step.step import Step, step_of_plan
from .inputs import STEP, Inputs, inputs_of, needed_stack
from .run import Run


def step_time(run: Run, phase: str | None = None) -> Ledger:
    """Time of one optimizer step on the critical path, by part.

    Args:
        run: a run with a modelled efficiency; its numbers may be arrays inside a batch. Goodput and price are not needed.
        phase: name of the phase; None for the first.

    Returns:
        ledger [s]: compute by kind of layer and kernel, exchanges (overlap as a negative line), bubble, optimizer, stragglers.

    Raises:
        EstimateError: plan, batch or sequence length is missing, or the efficiency is not modelled.

    >>> import trainsim as ts
    >>> run = ts.Run(model=ts.catalog.model("llama3-8b"), cluster=ts.catalog.cluster("hgx-h100", 64), plan=ts.Plan(zero=3),
    ...     phases=[ts.Phase("pretrain", tokens=1e12, seq_len=8192, batch=128)],
    ...     efficiency=ts.Modelled(stack=ts.catalog.stack("mcore-hopper")))
    >>> 1.5 < float(step_time(run).total) < 2.5
    True
    """
    found = inputs_of(run, phase, "to model a step", STEP)
    return step_ledger(_step(run, found), shapes_of(found.model))


def slot_time(run: Run, phase: str | None = None, rank: int | None = None) -> Ledger:
    """Time of one optimizer step of a pipeline rank by kind of slot: single passes, concurrent passes, waiting.

    Args:
        run, phase: as for :func:`step_time`.
        rank: pipeline rank; None for the slowest.

    Returns:
        ledger [s]: the lines of :func:`~trainsim.step.breakdown.slot_ledger`.

    Raises:
        EstimateError: as for :func:`step_time`, or no such rank.
    """
    return slot_ledger(_step(run, inputs_of(run, phase, "to model a step", STEP)), rank)


def _step(run: Run, found: Inputs) -> Step:
    stack = needed_stack(run, found.phase)
    return step_of_plan(found.model, found.plan, found.cluster, stack, found.seq_len, found.batch, found.phase.document_length)
