"""A reinforcement-learning phase of a run: its time comes from its own loop, never from a pre-training utilisation."""

from __future__ import annotations

from typing import ClassVar

from ..core.units import Num
from .efficiency import Efficiency, Flow, Work
from .reinforcement import Reinforcement, estimate_reinforcement


class Rollouts(Efficiency):
    """Modelled time of rollouts and learning.

    ``GPU-s = 3600 · gpu_hours(recipe)``; see :func:`~trainsim.training.reinforcement.estimate_reinforcement`. The phase needs no
    tokens; its FLOPs by a pre-training convention are unknown, and so is its MFU.

    Args:
        recipe: steps, prompts, responses, engine, and the utilisation of each part.
    """

    positional: ClassVar[tuple[str, ...]] = ("recipe",)
    recipe: Reinforcement
    time: Flow = "busy"  # type: ignore[misc]

    def gpu_seconds(self, work: Work) -> Num:
        """Seconds of all rounds times accelerators."""
        work.refuse_teacher("Rollouts")
        return estimate_reinforcement(work.model, work.cluster, self.recipe).gpu_hours.total * 3600.0
