"""DualPipe: micro-batches enter at both ends of the pipeline, and a forward pass runs beside a backward pass."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ...core.units import Num
from .events import Times
from .passes import Letter, Pass, Slot
from .schedule import Schedule


class DualPipe(Schedule):
    """Two copies of a pipeline on the same ranks, one from each end; half of the micro-batches enter at each end.

    Source: DeepSeek-V3 (arXiv:2412.19437), section 3.2.1, figure 5. The order is that of the released ``dualpipe.py``, which waits for
    its messages before a pass (``_commit_and_wait_comm``).
    """

    name = "dualpipe"
    stages_per_rank = 2
    copies = 2
    rank_multiple = 2
    pairs = True

    def slots(self, rank: int, pp: int, micro_batches: int, vpp: int) -> Iterator[Slot]:
        """The eight phases of DualPipe; the second half of the ranks mirrors the first."""
        del vpp
        stages, firsts = (rank, pp - 1 - rank), (0, micro_batches // 2)
        sides = [(stages[i], firsts[i]) for i in ((1, 0) if rank >= pp // 2 else (0, 1))]
        yield from from_both_ends(min(rank, pp - 1 - rank), pp // 2, micro_batches // 2, sides)

    def least(self, pp: int) -> int:
        """``2·pp`` micro-batches, which fill the pipeline from both ends."""
        return 2 * pp

    def period(self, pp: int) -> int:
        """Two: one at each end."""
        del pp
        return 2

    def closed_form(self, times: Times, micro_batches: Num, pp: int, vpp: int) -> Num | None:
        """On uniform stages: :func:`dualpipe_seconds`."""
        del vpp
        return uniform_seconds(times, micro_batches, pp // 2)


def uniform_seconds(times: Times, micro_batches: Num, half: int) -> Num | None:
    """:func:`dualpipe_seconds` of uniform stages, else None. If ``times.pair`` is None, a pair takes the sum of its two passes."""
    if times.stages > 1:
        return None
    f, i, w = times.forward[0], times.inputs[0], times.weights[0]
    return dualpipe_seconds(f, i, w, f + i + w if times.pair is None else times.pair[0], micro_batches=micro_batches, half=half)


def from_both_ends(position: int, ranks: int, each: int, sides: list[tuple[int, int]]) -> Iterator[Slot]:
    """The eight phases of DualPipe on one rank.

    Args:
        position: the rank, counted from the nearer end.
        ranks: ranks from that end to the middle.
        each: micro-batches per side.
        sides: (stage, first micro-batch) of the nearer end and of the farther end.
    """
    done: dict[tuple[str, int], int] = {}
    lagging: list[Pass] = []

    def run(letter: Letter, side: int) -> Pass:
        key = ("F" if letter == "F" else "B", side)
        n = done.get(key, 0)
        done[key] = n + 1
        made = Pass(letter, sides[side][0], sides[side][1] + n)
        if letter == "I":
            lagging.append(made._replace(letter="W"))
        return made

    ranks_after, ranks_before = ranks - position - 1, position + 1
    yield from ((run("F", 0),) for _ in range(2 * ranks_after))
    for _ in range(ranks_before):
        yield (run("F", 0),)
        yield (run("F", 1),)
    for _ in range(ranks_after):
        yield (run("I", 1),)
        yield (lagging.pop(0),)
        yield (run("F", 1),)
    for i in range(each - 2 * ranks + ranks_before):
        if i == 0 and ranks_after == 0:  # unpaired on the innermost rank, since a pair would wait for the inputs of both passes
            yield (run("F", 0),)
            yield (run("B", 1),)
        else:
            yield (run("F", 0), run("B", 1))
        yield (run("F", 1), run("B", 0))
    for _ in range(ranks_after):
        yield (run("B", 1),)
        yield (run("F", 1), run("B", 0))
    for i in range(2 * ranks_before):
        yield (run("I" if i >= ranks_before // 2 * 2 + 1 - position % 2 else "B", 1 - i % 2),)
    for _ in range(ranks_after):
        yield (lagging.pop(0),)
        yield (run("I", 0),)
    yield from ((w,) for w in lagging)


def dualpipe_seconds(f: Num, i: Num, w: Num, x: Num, *, micro_batches: Num, half: int) -> Num:
    """DualPipe on ``2·half`` ranks, uniform stages [s]; for DualPipeV on ``half`` ranks give ``2m`` micro-batches.

    ``T = (m − h − 2)·x + 2h·f + (h + 2)·i + 3w + max(h·f, (h − 1)·i) + (h − 1)·max(i, w)``, ``h = half``.

    The published bubble ``(h − 1)(x + b − 3w)`` (DeepSeek-V3, arXiv:2412.19437, table 2, where ``h = PP/2``) agrees only for ``f = i``,
    ``w <= i`` and ``x = f + b``. Equals the event simulation for ``m >= 4h`` and ``max(f, b) <= x <= f + b``.

    Source: order of DeepSeek-V3, section 3.2.1, and its released code; the formula is the longest path of that order.

    >>> float(dualpipe_seconds(1.0, 1.0, 1.0, 3.0, micro_batches=16, half=4)) - 16 * 3.0
    6.0
    """
    h = half
    ends = np.maximum(h * np.asarray(f), (h - 1) * np.asarray(i)) + (h - 1) * np.maximum(i, w)
    seconds: Num = (micro_batches - h - 2) * x + 2 * h * f + (h + 2) * i + 3 * w + ends
    return seconds
