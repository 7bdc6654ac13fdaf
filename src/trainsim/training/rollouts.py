"""Rollouts: the time of a reinforcement-learning phase, modelled from its loop."""

from __future__ import annotations

from typing import ClassVar

from ..core.units import Num
from .efficiency import Efficiency, Flow, Work
from .reinforcement import Reinforcement, estimate_reinforcement


class Rollouts(Efficiency):
    """Time of reinforcement learning, modelled from its rollouts and updates.

    ``GPU-s = 3600 · gpu_hours(recipe)``; see :func:`~trainsim.training.reinforcement.estimate_reinforcement`. The phase needs no
    tokens; its FLOPs and MFU by pre-training conventions are undefined.

    Args:
        recipe: steps, prompts, responses, engine, and the utilisation of each part.
        time: "busy": the modelled time is that of useful steps only.

    Raises:
        EstimateError: (from an estimate) the phase has a teacher, or the engine can't hold the model.

    >>> from trainsim.training.reinforcement import Engine, Responses
    >>> answers = Responses(prompt=150, start=600, end=1200, spread=0.8, maximum=8192)
    >>> engine = Engine(gpus=2, bandwidth_share=0.6, compute_share=0.4, step_overhead_seconds=0.005, max_batch=256)
    >>> recipe = Reinforcement(steps=100, prompts=128, samples=8, prefill_mfu=0.4, learning_mfu=0.25, sync_seconds=20,
    ...                        responses=answers, engine=engine)
    >>> Rollouts(recipe).time
    'busy'
    """

    positional: ClassVar[tuple[str, ...]] = ("recipe",)
    recipe: Reinforcement
    time: Flow = "busy"  # type: ignore[misc]

    def gpu_seconds(self, work: Work) -> Num:
        """Time of all rounds × accelerators [GPU-s]."""
        work.refuse_teacher("Rollouts")
        return estimate_reinforcement(work.model, work.cluster, self.recipe).gpu_hours.total * 3600.0
