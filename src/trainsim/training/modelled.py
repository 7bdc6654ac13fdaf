"""Modelled time: seconds from the op table, the plan, the cluster's data sheet and a software stack."""

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
    """Time computed from the step, not stated: ``GPU-s = step seconds · steps · accelerators``.

    Args:
        stack: every number of the software stack, each with its tag, or its id in the catalogue; where all are priors the point
            says little: lay ``catalog.stack_beliefs`` over it.
        time: "busy": what is computed is useful steps alone.

    Raises:
        EstimateError: (when asked) a phase without a plan, tokens, sequence length or batch.

    >>> import trainsim as ts
    >>> Modelled(stack="deepseek-2024").stack.architecture
    'hopper'
    """

    stack: Annotated[Stack, by_id("Stack")]
    time: Flow = "busy"  # type: ignore[misc]

    if TYPE_CHECKING:

        def __init__(self, *, stack: Stack | str, time: Flow = "busy") -> None: ...

    def notes(self, path: str, cluster: Cluster) -> tuple[str, ...]:
        """That its kernels are of another generation of chips, where they are."""
        mine, theirs = self.stack.architecture, cluster.chip.architecture
        if theirs in {None, mine}:
            return ()
        rule = f"is of other kernels than {cluster.chip.name}, which is {theirs}: its shares of the peak were found on other chips"
        return (f"{path}.stack.architecture={mine!r} {rule}; give a stack for {theirs}",)

    def gpu_seconds(self, work: Work) -> Num:
        """Modelled step time times steps times accelerators."""
        return self.time_of(work)[0]

    def time_of(self, work: Work) -> tuple[Num, Ledger | None]:
        """The same, stretch by stretch of a batch ramp, and the step of the last stretch by part."""
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
