"""MeasuredStep: one published step, with what ran and how long it took."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Literal

from ..cluster.hardware import Cluster
from ..model.transformer import Model
from ..parallelism.layout import Layout
from ..parallelism.schedules.discovery import default_schedule

ReportedFigure = Literal["time", "rate", "utilisation"]
"""Figure from which the duration of a step is computed: seconds, tokens per second, or model-FLOPs utilisation."""


@dataclass(frozen=True)
class MeasuredStep:
    """One published step: what ran and how long it took, or the reason it can't be modelled.

    Args:
        id, name, source: id of the row, its name, and the source that published it.
        group: rows it is scored with.
        seconds: measured time of an optimizer step [s].
        model, layout, batch, schedule, zero, cluster, stack: what ran; None if ``not_modelled`` names a missing input.
        reported_as: the figure that ``seconds`` was computed from.
        alternatives: further layouts that are equally likely, with the usual values of fields that the row does not report.
        assumed: inputs that the row does not report, and the values assumed.
        not_modelled: reason the row can't be modelled; empty if it can.
        exclusion_reason: reason the row is excluded from fits, by its name or note: the row is ambiguous, or its run drops tokens. Excluded
            rows are scored separately.
        key: the configuration without release and time; repeats share the key.
        layers: the work of a micro-batch in one layer: model without its depth, formats, degrees, tokens. Rows that differ only in
            pipeline, replicas or release share this field. Empty if the row does not fully report it.
    """

    id: str
    name: str
    source: str
    group: str
    seconds: float
    key: str
    layers: str = ""
    model: Model | None = None
    layout: Layout | None = None
    batch: float = 0.0
    schedule: str = default_schedule(1).name
    zero: int = 0
    cluster: Cluster | None = None
    stack: str = ""
    alternatives: tuple[Layout, ...] = ()
    reported_as: ReportedFigure = "time"
    assumed: str = ""
    not_modelled: str = ""
    exclusion_reason: str = ""

    @property
    def fingerprint(self) -> str:
        """Hash of the configuration and the measured time; copies of a row under other names or in other files share the hash."""
        return _fingerprint(self.key, f"{self.seconds:.6g}")

    @property
    def layer_fingerprint(self) -> str:
        """Hash of the source and the layers; empty if the layers are not fully reported."""
        return _fingerprint(self.source, self.layers) if self.layers else ""

    @property
    def usable(self) -> bool:
        """Whether the row can be modelled and is not excluded."""
        return not (self.not_modelled or self.exclusion_reason) and self.seconds > 0

    @property
    def candidates(self) -> tuple[MeasuredStep, ...]:
        """The step in each layout that it may have had."""
        return (self, *(replace(self, layout=layout, schedule=self._order(layout), alternatives=()) for layout in self.alternatives))

    def _order(self, layout: Layout) -> str:
        """The schedule for another layout: interleaved if a rank has several stages."""
        usual = {default_schedule(vpp).name for vpp in (1, 2)}
        return default_schedule(layout.vpp).name if self.schedule in usual else self.schedule

    @property
    def unreported(self) -> str:
        """Inputs that the row does not report, with their possible or assumed values; empty if it reports all."""
        layouts = [step.layout for step in self.candidates if step.layout is not None]
        words = {"micro-batch": "micro_batch", "virtual stages": "vpp"}
        values = {word: sorted({float(getattr(layout, name)) for layout in layouts}) for word, name in words.items()}
        several = [f"{word} not reported: {', '.join(f'{v:g}' for v in found)}" for word, found in values.items() if len(found) > 1]
        return "; ".join([*several, *filter(None, [self.assumed])])


def _fingerprint(*words: str) -> str:
    return hashlib.sha256("|".join(words).encode()).hexdigest()[:12]
