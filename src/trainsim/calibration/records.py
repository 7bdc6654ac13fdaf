"""One published step: what ran, and how long it took."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Literal

from ..cluster.hardware import Cluster
from ..model.transformer import Model
from ..parallelism.layout import Layout
from ..parallelism.schedules.known import usual_schedule

Told = Literal["time", "rate", "utilisation"]
"""The figure that gives how long a row's step took: seconds, tokens per second, or model FLOPs over the peak."""


@dataclass(frozen=True)
class MeasuredStep:
    """One published step: what ran, and how long a step took; or why it can't be modelled.

    Args:
        id, name, source: where it stands, and whose it is.
        group: what it is scored with.
        seconds: measured, per optimizer step [s].
        model, layout, batch, schedule, zero, cluster, stack: what ran; None where ``why`` says what is missing.
        told: the figure that gives how long it took.
        others: further layouts that ran as likely: what the row doesn't give, each of its usual values.
        assumed: what was taken from elsewhere because the row doesn't give it.
        why: why it can't be modelled; empty where it can.
        doubt: why the row is left out, by its name or its note: it is ambiguous, or drops tokens; scored apart.
        key: the configuration without release and time: repeats share it.
        layers: what a micro-batch asks of a chip in its layers: model but for their number, formats, degrees, tokens; rows that differ
            in pipeline, replicas or releases run the same kernels. Empty where not all of it is given.
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
    schedule: str = usual_schedule(1).name
    zero: int = 0
    cluster: Cluster | None = None
    stack: str = ""
    others: tuple[Layout, ...] = ()
    told: Told = "time"
    assumed: str = ""
    why: str = ""
    doubt: str = ""

    @property
    def hash(self) -> str:
        """Fingerprint of configuration and measured time: copies of a row share it, whatever they and their files are called."""
        return _fingerprint(self.key, f"{self.seconds:.6g}")

    @property
    def kernels(self) -> str:
        """Fingerprint of its layers on its stack, with whose rows they are; empty where not all of them are given."""
        return _fingerprint(self.source, self.layers) if self.layers else ""

    @property
    def sound(self) -> bool:
        """Whether it can be modelled and nothing speaks against what it says."""
        return not (self.why or self.doubt) and self.seconds > 0

    @property
    def readings(self) -> tuple[MeasuredStep, ...]:
        """The step in every layout it may have had."""
        return (self, *(replace(self, layout=layout, schedule=self._order(layout), others=()) for layout in self.others))

    def _order(self, layout: Layout) -> str:
        """The schedule under another layout: interleaved where a rank has several stages."""
        usual = {usual_schedule(vpp).name for vpp in (1, 2)}
        return usual_schedule(layout.vpp).name if self.schedule in usual else self.schedule

    @property
    def untold(self) -> str:
        """What the row doesn't give, with the values it may have had or that were assumed; empty where it gives all."""
        layouts = [reading.layout for reading in self.readings if reading.layout is not None]
        words = {"micro-batch": "micro_batch", "virtual stages": "vpp"}
        values = {word: sorted({float(getattr(layout, name)) for layout in layouts}) for word, name in words.items()}
        several = [f"{word} not told: {', '.join(f'{v:g}' for v in found)}" for word, found in values.items() if len(found) > 1]
        return "; ".join([*several, *filter(None, [self.assumed])])


def _fingerprint(*words: str) -> str:
    return hashlib.sha256("|".join(words).encode()).hexdigest()[:12]
