"""Roofline of a run: kernels by arithmetic intensity and rate, with the limits of the chip."""

from __future__ import annotations

from ..core.errors import EstimateError
from ..core.spec import holds_draws
from ..parallelism.shapes import shapes_of
from ..step.roofline import Roofline, roofline_of
from ..step.step import step_of_plan
from .inputs import inputs_of, needed_stack
from .run import Run


def roofline(run: Run, phase: str | None = None) -> Roofline:
    """Place the kernels of a run's forward pass on the roofline of its chip.

    ``rate = FLOP / s``, ``intensity = FLOP / B``, bounded by ``min(peak, bandwidth · intensity)``

    Args:
        run: a run with a modelled efficiency and scalar inputs.
        phase: name of the phase; None for the first.

    Returns:
        products and fused attention, the slowest first, each with FLOPs, bytes, seconds and launches per micro-batch.

    Raises:
        EstimateError: plan, batch or sequence length is missing, the efficiency is not modelled, or the run holds draws.

    Source: Williams, Waterman, Patterson 2009 (Commun. ACM 52:65).

    >>> import trainsim as ts
    >>> run = ts.Run(model=ts.catalog.model("llama3-8b"), cluster=ts.catalog.cluster("hgx-h100", 64), plan=ts.Plan(zero=3),
    ...     phases=[ts.Phase("pretrain", tokens=1e12, seq_len=8192, batch=128)],
    ...     efficiency=ts.Modelled(stack=ts.catalog.stack("mcore-hopper")))
    >>> first = roofline(run).kernels[0]
    >>> first.name, first.rate < first.roof(3.35e12)
    ('dense.ffn.gate', True)
    """
    found = inputs_of(run, phase, "to place kernels on the roofline")
    stack = needed_stack(run, found.phase)
    if holds_draws(run):
        raise EstimateError(
            "run", run.name, "holds draws, but a roofline needs single numbers", "give one number for each input", "not-scalar"
        )
    step = step_of_plan(found.model, found.plan, found.cluster, stack, found.seq_len, found.batch, found.phase.document_length)
    return roofline_of(run.name, shapes_of(found.model), step.times, step.layout, found.cluster.chip, stack)
