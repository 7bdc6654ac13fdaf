"""DualPipeV: DualPipe with one copy of the stages, folded into a V."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

from ...core.units import Num
from .dualpipe import from_both_ends, uniform_seconds
from .events import Times
from .passes import Slot
from .schedule import Schedule


class DualPipeV(Schedule):
    """DualPipe's order with one copy of the stages: rank ``r`` holds stages ``r`` and ``2·pp − 1 − r``.

    Source: DeepSeek's released ``dualpipev.py``, after "Cut-in-half" (Sea AI Lab).
    """

    name = "dualpipe-v"
    words: ClassVar[Mapping[str, str]] = {"torchtitan": "DualPipeV"}
    stages_per_rank = 2
    pairs = True

    def slots(self, rank: int, pp: int, micro_batches: int, vpp: int) -> Iterator[Slot]:
        """The eight phases of DualPipe; the last stage of the V takes the place of the farther end."""
        del vpp
        yield from from_both_ends(rank, pp, micro_batches, [(rank, 0), (2 * pp - 1 - rank, 0)])

    def least(self, pp: int) -> int:
        """``2·pp`` micro-batches, to fill the V down and up."""
        return 2 * pp

    def closed_form(self, times: Times, micro_batches: Num, pp: int, vpp: int) -> Num | None:
        """On uniform stages: :func:`~.dualpipe.dualpipe_seconds` with twice the micro-batches on twice the ranks."""
        del vpp
        return uniform_seconds(times, 2 * micro_batches, pp)
