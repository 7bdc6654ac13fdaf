"""What a search is about: one phase of a run, all but its layout and the number of accelerators."""

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
class Setting:
    """One phase of a run as a search sees it: all but the layout and the number of accelerators."""

    run: Run
    phase: Phase
    stack: Stack
    seq_len: float
    batch: float

    @property
    def plan(self) -> Plan:
        """The layout the phase has; an empty one where none is given."""
        return self.phase.plan or self.run.plan or Plan()

    @property
    def model(self) -> Model:
        """What the phase runs."""
        return self.phase.model_of(self.run.model)

    @property
    def cluster(self) -> Cluster:
        """Where the phase runs."""
        return self.phase.cluster or self.run.cluster

    def on(self, gpus: int) -> Cluster:
        """The same cluster with so many accelerators."""
        return self.cluster if gpus == self.cluster.gpus else self.cluster.replace({"gpus": gpus})

    def with_plan(self, plan: Plan, gpus: int) -> Run:
        """The run with another layout on so many accelerators in this phase."""
        here = f"phases.{self.phase.name}."
        changes: dict[str, Any] = {"plan" if self.phase.plan is None else f"{here}plan": plan}
        if gpus != self.cluster.gpus:
            changes["cluster.gpus" if self.phase.cluster is None else f"{here}cluster.gpus"] = gpus
        return self.run.replace(changes)


def setting_of(run: Run, phase: str | None) -> Setting:
    """The phase a search is about, with all that a step needs.

    Raises:
        EstimateError: no such phase, or no stack, sequence length or batch; names all that is missing.
    """
    chosen = phase_of(run, phase)
    check_given(run, chosen, "to search layouts", SEARCH)
    assert chosen.seq_len is not None
    assert chosen.batch is not None
    return Setting(run, chosen, needed_stack(run, chosen), float(chosen.seq_len), float(chosen.batch))
