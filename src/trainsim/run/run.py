"""Run: model, cluster, phases, efficiency, plan, reliability and price of a training run."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from ..cluster.hardware import Cluster
from ..core.by_name import ByName
from ..core.errors import SpecError, TrainsimWarning
from ..core.spec import Spec, invariant
from ..cost.price import Price
from ..model.transformer import Model
from ..parallelism.plan import Plan, check_plan
from ..training.efficiency import Efficiency, is_reported
from ..training.phases import Phase
from ..training.reliability import Reliability

UNNAMED = "run"
"""Name of a run without a name."""


class Run(Spec):
    """One training run: model, cluster, phases, layout, efficiency, reliability and price.

    Args:
        name: name in reports.
        model, cluster, phases: what is trained, on which accelerators, and for how many tokens.
        efficiency: how time follows from work; a phase may have its own.
        plan: the layout; needed for memory and modelled time.
        reliability: useful share of the wall-clock time.
        price: price of an accelerator-hour.
        evidence: ``"scenario"`` if the run is a guess or a rumour, which neither confirms nor refutes a claim.

    Raises:
        SpecError: no phases, two of one name, or a plan that is impossible for this model on this cluster.

    >>> import trainsim as ts
    >>> run = Run(name="mine", model=ts.catalog.model("llama3-8b"), cluster=ts.catalog.cluster("hgx-h100", 64),
    ...           phases=[ts.Phase("pretrain", tokens=1e12, seq_len=8192)], efficiency=ts.MFU(0.4), reliability=ts.Goodput(0.95))
    >>> print(f"{float(ts.estimate(run).gpu_hours):.2g}")
    3.8e+04
    """

    name: str = UNNAMED
    model: Model
    cluster: Cluster
    phases: Annotated[Sequence[Phase], ByName()]
    efficiency: Efficiency | None = None
    plan: Plan | None = None
    reliability: Reliability | None = None
    price: Price | None = None
    evidence: Literal["", "scenario"] = ""

    @invariant
    def _consistent(self) -> Self:
        if not self.phases:
            raise SpecError("phases", self.phases, "is empty", 'give at least one ts.Phase("pretrain", tokens=…, seq_len=…)', "empty")
        if self.plan is not None:
            check_plan(self.plan, self.model, self.cluster.gpus)
        for phase in self.phases:
            if phase.plan is not None or (phase.cluster is not None and self.plan is not None):
                check_plan(phase.plan or self.plan or Plan(), self.model, (phase.cluster or self.cluster).gpus)
        return self

    @property
    def label(self) -> str:
        """Name of the run in answers: its own, or that of its model if it has none."""
        return self.model.name if self.name in ("", UNNAMED) else self.name

    def phase_label(self, name: str) -> str:
        """Name of a phase in answers about it alone, with the number of phases where the run has others.

        >>> import trainsim as ts
        >>> ts.catalog.run("deepseek-v3").phase_label("pretrain")
        'pretrain, 1 of 4 phases'
        """
        return name if len(self.phases) == 1 else f"{name}, 1 of {len(self.phases)} phases"

    def replace(self, changes: Mapping[str, Any]) -> Self:
        """A new run with other values at some paths; warns if a given efficiency is kept on another cluster."""
        made = super().replace(changes)
        if made._drawn or made.cluster == self.cluster or not any(p == "cluster" or p.startswith("cluster.chip") for p in changes):
            return made
        for phase in made.phases:
            where = "efficiency" if phase.efficiency is None else f"phases.{phase.name}.efficiency"
            efficiency = phase.efficiency or made.efficiency
            if phase.cluster is None and is_reported(efficiency) and not any(_overlaps(p, where) for p in changes):
                warnings.warn(
                    f"{where}={efficiency!r} was given for {self.cluster.name} and may not hold on {made.cluster.name}; give one for it",
                    TrainsimWarning,
                    stacklevel=2,
                )
                break
        return made


def _overlaps(changed: str, path: str) -> bool:
    return changed == path or changed.startswith(f"{path}.") or path.startswith(f"{changed}.")


def load(path: str | Path, *, trusted: Sequence[str] = ()) -> Run:
    """Read a run from a file written by ``run.save``; the catalogue is not needed.

    Args:
        path: a TOML file, or a JSON file that ends in ``.json``.
        trusted: modules with user-defined layers, prices or other classes that the file may name; no others are imported.

    Returns:
        the run, equal to the saved one.

    Raises:
        SpecError: the file is missing or truncated, names a module that is not trusted, or breaks a rule.

    >>> import tempfile
    >>> import trainsim as ts
    >>> run, file = ts.catalog.run("deepseek-v3"), Path(tempfile.mkdtemp()) / "v3.toml"
    >>> _ = run.save(file)
    >>> load(file) == run
    True
    """
    try:
        return Run.load(path, trusted=trusted)
    except SpecError as error:
        if error.path != "model_type":
            raise
        rule, remedy = "is the config of a model, not a run", "read the model with ts.from_hf(path), and build a run with ts.quick"
        raise SpecError("file", str(path), rule, remedy, "wrong-type") from None
