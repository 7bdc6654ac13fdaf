"""ZB-H1: 1F1B with separate input and weight passes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ...core.units import Num
from .events import Times
from .passes import Pass, Slot
from .schedule import Schedule


class ZeroBubble(Schedule):
    """ZB-H1: 1F1B whose weight passes are delayed by ``rank`` micro-batches, so that every rank has ``pp`` in flight.

    Source: Qi et al. 2024 (arXiv:2401.10241), section 2.1.1, figure 2; the delay as in PyTorch ``pipelining/schedules.py``. The published
    implementation runs one pass at a time.
    """

    name = "zero-bubble"
    aliases = ("zb-h1", "zb1p", "zbh1")
    hides_exchanges = False

    def slots(self, rank: int, pp: int, micro_batches: int, vpp: int) -> Iterator[Slot]:
        """Input passes in place of the backward passes of 1F1B, weight passes ``rank`` micro-batches later."""
        del vpp
        warm_up = min(micro_batches, pp - 1 - rank)
        yield from ((Pass("F", rank, n),) for n in range(warm_up))
        for n in range(micro_batches):
            if n + warm_up < micro_batches:
                yield (Pass("F", rank, n + warm_up),)
            yield (Pass("I", rank, n),)
            if n >= rank:
                yield (Pass("W", rank, n - rank),)
        yield from ((Pass("W", rank, n),) for n in range(max(0, micro_batches - rank), micro_batches))

    def closed_form(self, times: Times, micro_batches: Num, pp: int, vpp: int) -> Num | None:
        """On uniform stages with at least as many micro-batches as ranks: :func:`zero_bubble_seconds`."""
        del vpp
        if times.stages > 1 or np.any(np.asarray(micro_batches) < pp):
            return None
        return zero_bubble_seconds(times.forward[0], times.inputs[0], times.weights[0], micro_batches, pp)


def zero_bubble_seconds(f: Num, i: Num, w: Num, micro_batches: Num, pp: int) -> Num:
    """ZB-H1, uniform stages: ``m(f + i + w) + (p − 1)·max(f + i − w, f, i)`` [s].

    The published bubble ``(p − 1)(f + i − w)`` (Qi et al. 2024, arXiv:2401.10241, table 2) is the case ``w <= min(f, i)``: longer weight
    passes do not fit into the idle time of one forward or input pass. Equals the event simulation for every m >= p.

    >>> float(zero_bubble_seconds(1.0, 1.0, 1.0, 8, pp=4))
    27.0
    """
    seconds: Num = micro_batches * (f + i + w) + (pp - 1) * np.maximum(f + i - w, np.maximum(f, i))
    return seconds
