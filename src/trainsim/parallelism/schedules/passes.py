"""Passes of a pipeline, slots of a rank, and the order of slots.

A pipeline has stages in the order data flows through them. A pass is a letter, a stage and a micro-batch: ``F`` forward, ``B`` the whole
backward pass, ``I`` backward for inputs, ``W`` backward for weights. A slot is one pass, or two that overlap.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

Letter = Literal["F", "B", "I", "W"]


class Pass(NamedTuple):
    """One pass of one micro-batch through one stage."""

    letter: Letter
    stage: int
    micro_batch: int


Slot = tuple[Pass, ...]
"""One pass, or a forward and a backward pass that overlap."""


@dataclass(frozen=True, eq=False)
class Order:
    """The slots of every rank, first to last.

    Args:
        schedule: name of the schedule.
        stages: number of stages; a rank may have several.
        micro_batches: micro-batches per step.
        slots: rank → its slots in order.
        copies: pipelines that share the ranks and split the micro-batches among them.
    """

    schedule: str
    stages: int
    micro_batches: int
    slots: tuple[tuple[Slot, ...], ...]
    copies: int = 1

    @property
    def ranks(self) -> int:
        """Pipeline ranks."""
        return len(self.slots)
