"""SearchProblem: the phase of a run whose layout and number of accelerators are searched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..cluster.hardware import Cluster
from ..cluster.stack import Stack
from ..model.transformer import Model
from ..parallelism.plan import Plan
from ..run.inputs import SEARCH, check_given, needed_stack, phase_of
from ..run.run import Run
from ..training.phases import Phase


@dataclass(frozen=True)
class SearchProblem:
    """The phase of a run whose layout and number of accelerators are searched."""

    run: Run
    phase: Phase
    stack: Stack
    seq_len: float
    batch: float

    @property
    def plan(self) -> Plan:
        """The phase's own plan; the default plan where none is given."""
        return self.phase.plan or self.run.plan or Plan()

    @property
    def model(self) -> Model:
        """The model that the phase runs."""
        return self.phase.model_of(self.run.model)

    @property
    def cluster(self) -> Cluster:
        """The cluster that the phase runs on."""
        return self.phase.cluster or self.run.cluster

    def on(self, gpus: int) -> Cluster:
        """The same cluster with another number of accelerators."""
        return self.cluster if gpus == self.cluster.gpus else self.cluster.replace({"gpus": gpus})

    def with_plan(self, plan: Plan, gpus: int) -> Run:
        """The run with another plan and number of accelerators in this phase."""
        here = f"phases.{self.phase.name}."
        changes: dict[str, Any] = {"plan" if self.phase.plan is None else f"{here}plan": plan}
        if gpus != self.cluster.gpus:
            changes["cluster.gpus" if self.phase.cluster is None else f"{here}cluster.gpus"] = gpus
        return self.run.replace(changes)


def search_problem(run: Run, phase: str | None) -> SearchProblem:
    """The search problem of a run's phase, after a check that all inputs of a step are given.

    Raises:
        EstimateError: no such phase, or the stack, sequence length or batch is missing; the error names all of them.
    """
    chosen = phase_of(run, phase)
    check_given(run, chosen, "to search layouts", SEARCH)
    assert chosen.seq_len is not None
    assert chosen.batch is not None
    return SearchProblem(run, chosen, needed_stack(run, chosen), float(chosen.seq_len), float(chosen.batch))
