"""Interleaved 1F1B: several stages per rank."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ...core.units import Num
from .events import Times
from .passes import Letter, Pass, Slot
from .schedule import Schedule


class Interleaved(Schedule):
    """1F1B with ``vpp`` stages per rank, stage ``s`` on rank ``s mod pp``; a rank switches stages every ``pp`` micro-batches.

    Messages are sent while the rank works on another stage: they delay the receiver, not the sender.

    Source: Narayanan et al. 2021 (arXiv:2104.04473), sections 2.2.2 and 4.1; Megatron-LM ``schedules.py``.
    """

    name = "interleaved"
    words: ClassVar[Mapping[str, str]] = {"megatron": "interleaved 1F1B", "torchtitan": "Interleaved1F1B"}
    aliases = ("1f1b interleaved", "virtual pipeline")
    stages_per_rank = None
    waits_for_messages = False

    def slots(self, rank: int, pp: int, micro_batches: int, vpp: int) -> Iterator[Slot]:
        """Warm-up of ``2(pp − 1 − rank) + (vpp − 1)·pp`` passes, alternating forward and backward passes, cool-down."""
        units = micro_batches * vpp
        warm_up = min(units, 2 * (pp - 1 - rank) + (vpp - 1) * pp)
        yield from (round_robin("F", k, rank, pp, vpp) for k in range(warm_up))
        for k in range(units - warm_up):
            yield round_robin("F", k + warm_up, rank, pp, vpp)
            yield round_robin("B", k, rank, pp, vpp)
        yield from (round_robin("B", k, rank, pp, vpp) for k in range(units - warm_up, units))

    def period(self, pp: int) -> int:
        """``pp`` micro-batches: one round."""
        return pp

    def closed_form(self, times: Times, micro_batches: Num, pp: int, vpp: int) -> Num | None:
        """On uniform stages: :func:`interleaved_seconds`."""
        if times.stages > 1:
            return None
        return interleaved_seconds(times.forward[0], times.inputs[0] + times.weights[0], micro_batches, pp, vpp)

    def one_rank_sets_the_pace(self, times: Times, pp: int, delay: NDArray[np.float64]) -> bool:
        """If the stages of a rank are equal, and messages arrive while another stage runs.

        Let ``t = f + b`` of a stage and ``d`` the time of a message. A path to the next rank and back is not longer than one that stays if
        ``d <= max t / 2``. A path around all ranks is not longer if ``d <= max t − max(mean f, mean b)``. Both must hold.
        """
        stages = times.by_stage
        chunks = [each.reshape(-1, pp, *each.shape[1:]) for each in (stages.forward, stages.inputs, stages.weights)]
        f, i, w = (each[0] for each in chunks)
        pace, loop = (f + i + w).max(axis=0), np.maximum(f.mean(axis=0), (i + w).mean(axis=0))
        equal = all(np.array_equal(each, np.broadcast_to(each[:1], each.shape)) for each in chunks)
        return equal and bool(np.all(delay <= np.minimum(pace / 2.0, pace - loop)))

    def pass_beside(self, pp: int) -> bool:
        """Always: the rank can run another micro-batch at another of its stages."""
        del pp
        return True


def round_robin(letter: Letter, k: int, rank: int, pp: int, vpp: int) -> Slot:
    """The ``k``-th pass of a kind on a rank that switches stages every ``pp`` micro-batches; backward passes start at the last stage."""
    chunk, micro_batch = k // pp % vpp, k // (pp * vpp) * pp + k % pp
    return (Pass(letter, (chunk if letter == "F" else vpp - 1 - chunk) * pp + rank, micro_batch),)


def interleaved_seconds(f: Num, b: Num, micro_batches: Num, pp: int, vpp: int) -> Num:
    """Interleaved 1F1B, uniform stages: ``(v·m + p − 1)(f + b)``, ``f`` and ``b`` per stage [s].

    Source: Narayanan et al. 2021 (arXiv:2104.04473), section 2.2.2; equals the event simulation for every multiple m of p.

    >>> interleaved_seconds(1.0, 2.0, 8, pp=4, vpp=2)
    57.0
    """
    return (vpp * micro_batches + pp - 1) * (f + b)
