"""GPipe: all forward passes, then all backward passes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ...core.units import Num
from .events import Times
from .passes import Pass, Slot
from .schedule import Schedule


class GPipe(Schedule):
    """All forward passes of a step, then all backward passes; 1F1B takes the same time with fewer micro-batches in flight.

    Source: Huang et al. 2019 (arXiv:1811.06965), section 2.3.
    """

    name = "gpipe"
    words: ClassVar[Mapping[str, str]] = {"torchtitan": "GPipe"}
    searched = False

    def slots(self, rank: int, pp: int, micro_batches: int, vpp: int) -> Iterator[Slot]:
        """All forward passes in order, then all backward passes in order."""
        del pp, vpp
        yield from ((Pass("F", rank, n),) for n in range(micro_batches))
        yield from ((Pass("B", rank, n),) for n in range(micro_batches))

    def closed_form(self, times: Times, micro_batches: Num, pp: int, vpp: int) -> Num:
        """On any stages: :func:`gpipe_seconds`."""
        del vpp
        return gpipe_seconds(times.on(pp).by_stage, micro_batches)

    def one_rank_sets_the_pace(self, times: Times, pp: int, delay: NDArray[np.float64]) -> bool:
        """Never: one stage may be the slowest in the forward and another in the backward pass."""
        del times, pp, delay
        return False


def gpipe_seconds(times: Times, micro_batches: Num) -> Num:
    """GPipe, any stages: ``Σf + (m − 1)·max f + Σb + (m − 1)·max b``, two flow shops of identical jobs [s].

    Source: Huang et al. 2019 (arXiv:1811.06965), section 2.3; equals the event simulation for every m >= 1.

    >>> float(gpipe_seconds(Times(np.array([1.0, 2.0]), np.array([1.0, 2.0]), np.array([1.0, 2.0])), 3))
    21.0
    """
    f, b = times.forward, times.inputs + times.weights
    seconds: Num = f.sum(axis=0) + b.sum(axis=0) + (micro_batches - 1) * (f.max(axis=0) + b.max(axis=0))
    return seconds
