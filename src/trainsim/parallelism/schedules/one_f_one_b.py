"""1F1B: alternating forward and backward passes."""

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
    """Warm-up, alternating forward and backward passes, cool-down, with one stage per rank.

    Source: PipeDream-Flush, Narayanan et al. 2021 (arXiv:2104.04473), section 2.2.1.
    """

    name = "1f1b"
    words: ClassVar[Mapping[str, str]] = {"megatron": "1F1B", "torchtitan": "1F1B"}
    aliases = ("pipedream-flush",)

    def slots(self, rank: int, pp: int, micro_batches: int, vpp: int) -> Iterator[Slot]:
        """Warm-up of one forward pass per later rank, alternating passes, cool-down."""
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
        """Only without a pipeline, where a forward pass may run beside the backward pass of another micro-batch."""
        return pp == 1


def one_f_one_b_seconds(times: Times, micro_batches: Num) -> Num:
    """1F1B, any stages: the longest path, which stays at one stage ``j`` in the steady state and may visit later stages before and after it
    [s].

    ``T = max_j { Σ_{k < j} t_k + (m − u_j)·t_j + H_j + G_j }`` with ``t = f + b``, ``u_l = min(p − 1 − l, m − 1)`` micro-batches sent
    ahead, ``H_j = max_{l ≥ j} { Σ_{j < k ≤ l} t_k + u_l·max_{k ≤ l} f_k }``, and ``G_j`` the same with ``b``. If ``u_j = m − 1``, the path
    visits later stages once. Uniform stages: ``(m + p − 1)(f + b)``. Blocking sends are part of ``f`` and ``b``.

    Source: order of PipeDream-Flush, arXiv:2104.04473, section 2.2.1. The formula for uneven stages is derived in ``docs/schedules.md``
    and equals the event simulation for every m.

    >>> one = np.ones(4)
    >>> float(one_f_one_b_seconds(Times(one, one, one), 8))
    33.0
    """
    f, b, m = times.forward, times.inputs + times.weights, np.asarray(micro_batches)
    ahead = np.minimum(np.arange(len(f) - 1.0, -1.0, -1.0).reshape(-1, *(1,) * max(f.ndim - 1, m.ndim)), m - 1)
    if f.ndim == 1:  # one time per rank, without a draws axis; micro_batches may be a number or an array
        f, b = (each.reshape(-1, *(1,) * (ahead.ndim - 1)) for each in (f, b))
    t = f + b
    down = np.cumsum(t, axis=0)
    sent_f, sent_b = (ahead * np.maximum.accumulate(each, axis=0) for each in (f, b))
    dive_f, dive_b = (_from_the_end(down + sent) - down for sent in (sent_f, sent_b))
    dives, short = dive_f + dive_b, ahead >= m - 1
    if short.any():
        once = np.maximum(np.maximum(sent_f + dive_b, sent_b + dive_f), _from_the_end(down + sent_f + sent_b) - down)
        dives = np.where(short, once, dives)
    longest: Num = (down - t + (m - ahead) * t + dives).max(axis=0)
    return longest


def _from_the_end(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cumulative maximum from the last stage backwards."""
    return np.maximum.accumulate(values[::-1], axis=0)[::-1]
