"""Modelled: the time of a phase from the model of a training step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from ..cluster.hardware import Cluster
from ..cluster.stack import Stack
from ..core.errors import EstimateError
from ..core.ledger import Ledger
from ..core.spec import by_id
from ..core.units import Num
from ..parallelism.shapes import shapes_of
from ..step.breakdown import step_ledger
from ..step.step import scalar_or_array, step_of_plan
from .efficiency import Efficiency, Flow, Work


class Modelled(Efficiency):
    """Modelled step time: ``GPU-s = step seconds · steps · accelerators``.

    Args:
        stack: the software stack, or its id in the catalogue. If its numbers are mostly priors, use ``catalog.stack_beliefs`` for an
            interval.
        time: "busy": the modelled time is that of useful steps only.

    Raises:
        EstimateError: (from an estimate) the phase lacks a plan, tokens, sequence length or batch.

    >>> import trainsim as ts
    >>> Modelled(stack="deepseek-2024").stack.architecture
    'hopper'
    """

    stack: Annotated[Stack, by_id("Stack")]
    time: Flow = "busy"  # type: ignore[misc]

    if TYPE_CHECKING:

        def __init__(self, *, stack: Stack | str, time: Flow = "busy") -> None: ...

    def notes(self, path: str, cluster: Cluster) -> tuple[str, ...]:
        """A note if the stack's kernels are for another generation of chips."""
        mine, theirs = self.stack.architecture, cluster.chip.architecture
        if theirs in {None, mine}:
            return ()
        rule = f"was calibrated on {mine} chips; {cluster.chip.name} is {theirs}"
        return (f"{path}.stack {rule}: give a stack for {theirs}",)

    def gpu_seconds(self, work: Work) -> Num:
        """Modelled step time × steps × accelerators [GPU-s]."""
        return self.time_of(work)[0]

    def time_of(self, work: Work) -> tuple[Num, Ledger | None]:
        """Accelerator-seconds summed over the stretches of a batch schedule [GPU-s], and the step ledger of the last stretch [s]."""
        work.refuse_teacher("Modelled")
        if work.plan is None:
            raise EstimateError("plan", None, "is needed to model a step", "give plan=ts.Plan(…)")
        tokens, seq_len, batch = (work.needed(name, "Modelled") for name in ("tokens", "seq_len", "batch"))
        total: Num = 0.0
        ledger = None
        for trained, size in work.stretches or ((tokens, batch),):
            step = step_of_plan(work.model, work.plan, work.cluster, self.stack, seq_len, size, work.document_length)
            ledger = step_ledger(step, shapes_of(work.model))
            total = total + ledger.total * trained / (size * seq_len)
        return scalar_or_array(total) * work.cluster.gpus, ledger
