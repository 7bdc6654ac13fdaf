"""1F1B: one forward and one backward pass in turn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ...core.units import Num
from .events import Times
from .passes import Pass, Slot
from .schedule import Schedule


class OneFOneB(Schedule):
    """Warm-up, one forward and one backward pass in turn, cool-down, with one stage to a rank.

    Source: PipeDream-Flush, Narayanan et al. 2021 (arXiv:2104.04473), section 2.2.1.
    """

    name = "1f1b"
    words: ClassVar[Mapping[str, str]] = {"megatron": "1F1B", "torchtitan": "1F1B"}
    aliases = ("pipedream-flush",)

    def slots(self, rank: int, pp: int, micro_batches: int, vpp: int) -> Iterator[Slot]:
        """As many forward passes ahead as ranks follow."""
        del vpp
        warm_up = min(micro_batches, pp - 1 - rank)
        yield from ((Pass("F", rank, n),) for n in range(warm_up))
        for n in range(micro_batches - warm_up):
            yield (Pass("F", rank, n + warm_up),)
            yield (Pass("B", rank, n),)
        yield from ((Pass("B", rank, n),) for n in range(micro_batches - warm_up, micro_batches))

    def closed_form(self, times: Times, micro_batches: Num, pp: int, vpp: int) -> Num:
        """On any stages: :func:`one_f_one_b_seconds`."""
        del vpp
        return one_f_one_b_seconds(times.on(pp).by_stage, micro_batches)

    def pass_beside(self, pp: int) -> bool:
        """Without a pipeline, where a micro-batch's forward pass may run beside another's backward pass."""
        return pp == 1


def one_f_one_b_seconds(times: Times, micro_batches: Num) -> Num:
    """1F1B, any stages: the longest path that works steadily at a stage ``j``, and may dive deeper before and after.

    ``T = max_j { Σ_{k < j} t_k + (m − u_j)·t_j + H_j + G_j }`` with ``t = f + b``, ``u_l = min(p − 1 − l, m − 1)`` micro-batches sent
    ahead, ``H_j = max_{l ≥ j} { Σ_{j < k ≤ l} t_k + u_l·max_{k ≤ l} f_k }``, and ``G_j`` the same with ``b``; where ``u_j = m − 1`` there
    is one dive for both. Uniform stages: ``(m + p − 1)(f + b)``.

    Source: order of PipeDream-Flush, arXiv:2104.04473, section 2.2.1; the uneven form is derived in ``docs/schedules.md`` and equals
    the events for every m. What blocks a rank on its way to the next belongs to ``f`` and ``b``.

    >>> one = np.ones(4)
    >>> float(one_f_one_b_seconds(Times(one, one, one), 8))
    33.0
    """
    f, b, m = times.forward, times.inputs + times.weights, np.asarray(micro_batches)
    ahead = np.minimum(np.arange(len(f) - 1.0, -1.0, -1.0).reshape(-1, *(1,) * max(f.ndim - 1, m.ndim)), m - 1)
    if f.ndim == 1:  # one set of times, perhaps an array of micro-batches
        f, b = (each.reshape(-1, *(1,) * (ahead.ndim - 1)) for each in (f, b))
    t = f + b
    down = np.cumsum(t, axis=0)
    sent_f, sent_b = (ahead * np.maximum.accumulate(each, axis=0) for each in (f, b))
    dive_f, dive_b = (_from_the_end(down + sent) - down for sent in (sent_f, sent_b))
    dives, few = dive_f + dive_b, ahead >= m - 1
    if few.any():
        once = np.maximum(np.maximum(sent_f + dive_b, sent_b + dive_f), _from_the_end(down + sent_f + sent_b) - down)
        dives = np.where(few, once, dives)
    longest: Num = (down - t + (m - ahead) * t + dives).max(axis=0)
    return longest


def _from_the_end(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The largest from each stage on."""
    return np.maximum.accumulate(values[::-1], axis=0)[::-1]
