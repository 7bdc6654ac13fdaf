"""Notes on phases whose model states fit in no layout; apart from :mod:`.memory`, so that an estimate need not import its formulas."""

from __future__ import annotations

from ..core.spec import holds_draws
from ..model.counting import count_params
from .run import Run

MOST = 32.0
"""Bytes per parameter that the model states of the usual layout do not reach: weight, gradient, master copy and moments are 18."""


def memory_notes(run: Run) -> list[str]:
    """Phases that fit in no layout, in words: weights, gradients and optimizer states alone exceed the memory of all accelerators.

    >>> import trainsim as ts
    >>> memory_notes(ts.quick("llama3.1-405b", chip="h100", gpus=8, tokens=1e12))[0].partition(":")[0]
    'phases.pretrain does not fit'
    >>> memory_notes(ts.catalog.run("llama3.1-405b"))
    []
    """
    notes = []
    for phase in run.phases:
        cluster, plan = phase.cluster or run.cluster, phase.plan or run.plan
        if holds_draws((cluster, plan)) or cluster.chip.memory is None:
            continue
        room = float(cluster.chip.memory)
        if plan is None and MOST * float(count_params(run.model, towers="all").total) <= room * cluster.gpus:
            continue  # most runs: no formula of layouts is imported
        from ..gpu_memory.weights import least_model_state
        from ..parallelism.plan import Plan

        least = float(least_model_state(phase.model_of(run.model), plan or Plan(), cluster.gpus))
        if least > room:
            notes.append(
                f"phases.{phase.name} does not fit: model states need {least / 1e9:,.0f} GB of {room / 1e9:.0f} on each GPU (see memory)"
            )
    return notes
