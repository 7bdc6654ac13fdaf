"""Memory of each pipeline rank while a step runs: a forward pass adds activations, its backward pass frees them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..core.answer import Answer, AnswerRow, Summary
from ..parallelism.schedules.bubble import pipeline_timeline
from ..parallelism.schedules.events import Timeline, Times
from ..step.step import step_of_plan
from .inputs import inputs_of, needed_stack
from .memory import memory
from .run import Run

Array = NDArray[np.float64]
PASSES = ("forward", "inputs", "weights", "pair")
"""Fields of the times of passes by stage."""


@dataclass(frozen=True, repr=False)
class MemoryOverStep(Answer):
    """Memory of one GPU of each pipeline rank, from event to event.

    Args:
        name: name of the run.
        ranks: rank → times of its events [s], and memory used from each event on [B].
        capacity: memory of a GPU [B].
    """

    name: str
    ranks: Mapping[str, tuple[Array, Array]]
    capacity: float

    def summary(self) -> Summary:
        """The smallest and the largest memory of each rank."""
        rows = []
        for rank, (_, held) in self.ranks.items():
            rows.append(AnswerRow(f"{rank}.most", rank, float(held.max()), "B"))
            rows.append(AnswerRow(f"{rank}.least", rank, float(held.min()), "B", group="least"))
        return Summary(f"memory of {self.name or 'a run'} over a step", tuple(rows))


def memory_over_step(run: Run, phase: str | None = None) -> MemoryOverStep:
    """Bytes of each pipeline rank while a step runs.

    ``bytes(t) = peak − activations + activations · in flight(t) / most in flight``

    Memory that changes within a layer (logits, working memory, recomputed activations) counts at its peak all the time.

    Args:
        run: a run with a modelled efficiency and scalar numbers.
        phase: name of the phase; None for the first.

    Returns:
        times and bytes of every rank; the maximum of each rank equals that of :func:`~trainsim.memory`.

    Raises:
        EstimateError: plan, batch or sequence length is missing, or the efficiency is not modelled.

    Source: Narayanan et al. 2021 (arXiv:2104.04473), section 2.2: micro-batches in flight by schedule.

    >>> import trainsim as ts
    >>> run = ts.Run(model=ts.catalog.model("llama3-8b"), cluster=ts.catalog.cluster("hgx-h100", 64), plan=ts.Plan(tp=4, pp=2),
    ...     phases=[ts.Phase("pretrain", tokens=1e12, seq_len=8192, batch=128)],
    ...     efficiency=ts.Modelled(stack=ts.catalog.stack("mcore-hopper")))
    >>> held = memory_over_step(run).ranks["rank-0"][1]
    >>> float(held.max()) == float(ts.memory(run).part("rank-0").total)
    True
    """
    found = inputs_of(run, phase, "to follow memory over a step")
    stack = needed_stack(run, found.phase)
    step = step_of_plan(found.model, found.plan, found.cluster, stack, found.seq_len, found.batch, found.phase.document_length)
    plan, ledger = found.plan, memory(run, phase)
    by_stage = {name: getattr(step.stages.by_stage, name) for name in PASSES}
    times = Times(**{name: np.asarray(rows).reshape(len(rows), -1)[:, 0] for name, rows in by_stage.items() if rows is not None})
    made = pipeline_timeline(plan.pass_order, times, int(np.max(step.micro_batches)), plan.pp, plan.vpp)
    ranks = {name: _held(made, rank, ledger.part(name).total, ledger.part(f"{name}.activations").total) for rank, name in enumerate(ledger)}
    return MemoryOverStep(run.name, ranks, float(np.min(found.cluster.chip.memory)))


def _held(made: Timeline, rank: int, peak: object, activations: object) -> tuple[Array, Array]:
    """Times of the events of one rank, and the memory used from each event on."""
    events = [(0.0, 0)]
    for bar in made.bars:
        if bar.rank == rank:
            starts = sum(part.letter == "F" for part in bar.slot)
            ends = sum(part.letter in "BW" for part in bar.slot)
            events += [(float(np.max(bar.start)), starts), (float(np.max(bar.end)), -ends)]
    # rounding must not swap the end of a slot and the start of the next, which may be equal
    at, change = np.maximum.accumulate([t for t, _ in events]), np.array([c for _, c in events], dtype=np.float64)
    in_flight = np.cumsum(change)
    whole, moving = float(np.max(np.asarray(peak))), float(np.max(np.asarray(activations)))
    return at, whole - moving + moving * in_flight / max(1.0, float(in_flight.max()))
