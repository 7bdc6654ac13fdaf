"""Breadth-first: each stage of a rank processes all micro-batches before the next stage starts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ...core.units import Num
from .events import Times
from .passes import Pass, Slot
from .schedule import Schedule


class BreadthFirst(Schedule):
    """GPipe with ``vpp`` stages per rank, stage ``s`` on rank ``s mod pp``; sharded weights are gathered once per stage and step.

    Interleaved 1F1B takes the same time with fewer micro-batches in flight. The sharing of a gather among micro-batches is not modelled.

    Source: Lamy-Poirier 2023 (arXiv:2211.05953), section 4; the order as in PyTorch's ``ScheduleLoopedBFS``.
    """

    name = "breadth-first"
    words: ClassVar[Mapping[str, str]] = {"torchtitan": "LoopedBFS"}
    aliases = ("looped bfs", "breadth-first pipeline parallelism")
    stages_per_rank = None
    searched = False

    def slots(self, rank: int, pp: int, micro_batches: int, vpp: int) -> Iterator[Slot]:
        """All forward passes stage by stage, then all backward passes in reverse."""
        stages = range(rank, pp * vpp, pp)
        yield from ((Pass("F", stage, n),) for stage in stages for n in range(micro_batches))
        yield from ((Pass("B", stage, n),) for stage in reversed(stages) for n in range(micro_batches))

    def closed_form(self, times: Times, micro_batches: Num, pp: int, vpp: int) -> Num | None:
        """On uniform stages: :func:`breadth_first_seconds`."""
        if times.stages > 1:
            return None
        return breadth_first_seconds(times.forward[0], times.inputs[0] + times.weights[0], micro_batches, pp, vpp)

    def one_rank_sets_the_pace(self, times: Times, pp: int, delay: NDArray[np.float64]) -> bool:
        """Never: each round over the ranks has a slowest stage of its own."""
        del times, pp, delay
        return False


def breadth_first_seconds(f: Num, b: Num, micro_batches: Num, pp: int, vpp: int) -> Num:
    """Breadth-first, uniform stages: ``((v − 1)·max(m, p) + m + p − 1)(f + b)``, ``f`` and ``b`` per stage [s].

    With fewer micro-batches than ranks, a rank waits before each of its stages.

    Source: Lamy-Poirier 2023 (arXiv:2211.05953), section 4.1, for ``m >= p``; equals the events for every m >= 1.

    >>> float(breadth_first_seconds(1.0, 2.0, 8, pp=4, vpp=2)), float(breadth_first_seconds(1.0, 2.0, 2, pp=4, vpp=2))
    (57.0, 27.0)
    """
    seconds: Num = ((vpp - 1) * np.maximum(micro_batches, pp) + micro_batches + pp - 1) * (f + b)
    return seconds
