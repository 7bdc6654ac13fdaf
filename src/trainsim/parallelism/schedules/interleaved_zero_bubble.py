"""Interleaved zero bubble: several stages per rank, and separate input and weight passes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from .events import Times
from .interleaved import round_robin
from .passes import Slot
from .schedule import Schedule


class InterleavedZeroBubble(Schedule):
    """Interleaved 1F1B with a shorter warm-up; each weight pass runs ``rank`` passes after its input pass.

    Source: PyTorch ``ScheduleInterleavedZeroBubble``, ``pipelining/schedules.py``. With one stage per rank it is ZB-H1 (Qi et al. 2024,
    arXiv:2401.10241). It runs one pass at a time.
    """

    name = "interleaved-zero-bubble"
    words: ClassVar[Mapping[str, str]] = {"torchtitan": "InterleavedZeroBubble"}
    stages_per_rank = None
    hides_exchanges = False
    searched = False

    def slots(self, rank: int, pp: int, micro_batches: int, vpp: int) -> Iterator[Slot]:
        """Warm-up of ``pp − 1 − rank + (vpp − 1)·pp`` passes; then forward and input passes, each weight pass ``rank`` passes later."""
        units = micro_batches * vpp
        warm_up = min(units, pp - 1 - rank + (vpp - 1) * pp)
        yield from (round_robin("F", k, rank, pp, vpp) for k in range(warm_up))
        for k in range(units):
            if k + warm_up < units:
                yield round_robin("F", k + warm_up, rank, pp, vpp)
            yield round_robin("I", k, rank, pp, vpp)
            if k >= rank:
                yield round_robin("W", k - rank, rank, pp, vpp)
        yield from (round_robin("W", k, rank, pp, vpp) for k in range(max(0, units - rank), units))

    def period(self, pp: int) -> int:
        """``pp`` micro-batches: one round."""
        return pp

    def one_rank_sets_the_pace(self, times: Times, pp: int, delay: NDArray[np.float64]) -> bool:
        """Never: with unequal stages, ranks that switch stages wait for each other."""
        del times, pp, delay
        return False
