"""ZB-V: two stages per rank, folded into a V, with separate weight passes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

import numpy as np

from ...core.units import Num
from .events import Times
from .passes import Letter, Pass, Slot
from .schedule import Schedule


class ZeroBubbleV(Schedule):
    """ZB-V: rank ``r`` has stages ``r`` and ``2·pp − 1 − r``; weight passes directly follow input passes until the cool-down.

    Source: Qi et al. 2024 (arXiv:2401.10241), section 6, figure 6. The published implementation runs one pass at a time.
    """

    name = "zero-bubble-v"
    words: ClassVar[Mapping[str, str]] = {"torchtitan": "ZBVZeroBubble"}
    aliases = ("zb-v",)
    stages_per_rank = 2
    hides_exchanges = False

    def slots(self, rank: int, pp: int, micro_batches: int, vpp: int) -> Iterator[Slot]:
        """Warm-up down the V and back up, alternating passes, cool-down."""
        del vpp
        near, far = rank, 2 * pp - 1 - rank
        done = {(letter, stage): 0 for letter in "FIW" for stage in (near, far)}

        def run(letter: Letter, stage: int) -> Slot:
            n = done[letter, stage]
            done[letter, stage] += 1
            return (Pass(letter, stage, n),)

        yield from (run("F", near) for _ in range(2 * (pp - rank) - 1))
        for _ in range(rank):
            yield run("F", far)
            yield run("F", near)
        for _ in range(pp - rank):
            yield from (run("F", far), run("I", far), run("W", far))
        while done["F", far] < micro_batches:
            if done["F", near] < micro_batches:
                yield run("F", near)
            yield from (run("I", near), run("W", near), run("F", far), run("I", far), run("W", far))
        for _ in range(rank):
            yield from (run("I", near), run("I", far))
        for _ in range(pp - rank):
            yield from (run("I", near), run("W", near))
        yield from (run("W", far) for _ in range(micro_batches - done["W", far]))
        yield from (run("W", near) for _ in range(micro_batches - done["W", near]))

    def least(self, pp: int) -> int:
        """``2·pp − 1`` micro-batches, to fill the V down and up."""
        return 2 * pp - 1

    def settled(self, pp: int) -> int:
        """Two micro-batches more than the minimum, which fills the V."""
        return 2 * pp + 1

    def closed_form(self, times: Times, micro_batches: Num, pp: int, vpp: int) -> Num | None:
        """On uniform stages: :func:`zero_bubble_v_seconds`."""
        del vpp
        if times.stages > 1:
            return None
        return zero_bubble_v_seconds(times.forward[0], times.inputs[0], times.weights[0], micro_batches, pp)


def zero_bubble_v_seconds(f: Num, i: Num, w: Num, micro_batches: Num, pp: int) -> Num:
    """ZB-V, uniform stages: ``2m(f + i + w)`` plus the longest of nine paths through fill and drain, ``(p − 1)·f`` if f = i = w [s].

    The bubble is counted from the first rank's start to the last rank's end. The paper's zero bubble counts each rank from its own
    start and needs an optimizer that does not synchronise (Qi et al. 2024, arXiv:2401.10241, sections 4 and 6). The table of linear
    forms was derived from the event simulation and equals it for every m >= 2p − 1.

    >>> float(zero_bubble_v_seconds(1.0, 1.0, 1.0, 8, pp=4))
    51.0
    """
    q = pp - 1
    table = np.array(
        [
            (0, 2 * q, -2 * q), (2 * q, -q, -1), (2 * q, 0, -2 * q - 1), (2 * q - 1, 1 - q, 0), (2 * q - 1, 1, -2 * q),
            (0, 1, q - 1), (1, 0, q - 1), (0, q, 0), (q, 0, 0),
        ]
    )  # fmt: skip
    paths = [a * np.asarray(f) + b * np.asarray(i) + c * np.asarray(w) for a, b, c in table] if pp > 1 else [np.zeros(())]
    seconds: Num = 2 * micro_batches * (f + i + w) + np.maximum.reduce(np.broadcast_arrays(*paths))
    return seconds
