"""Seconds of a pipeline step in closed form, equal to the events, where one is known.

Notation of the equations: ``p`` ranks, ``m`` micro-batches, ``v`` stages to a rank; ``f``, ``i``, ``w`` seconds of a forward
pass and of the backward passes for inputs and weights of one stage, ``b = i + w``, ``x`` a forward and a backward pass overlapped.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...core.units import Num
from .events import Times
from .orders import Schedule
from .uneven import uneven_seconds


def pipeline_seconds(schedule: Schedule, times: Times, micro_batches: Num, pp: int, vpp: int = 1) -> Num:
    """Seconds from the first forward pass to the end of the last backward pass, bubbles of uneven stages included.

    Closed forms where they equal the events: all schedules on uniform stages, GPipe and 1F1B on any. Elsewhere the
    events themselves, run on a short step and lengthened (:func:`uneven_seconds`).

    Args:
        schedule: the rule.
        times: seconds of each pass; one row for uniform stages, or one a stage in the order data flows.
        micro_batches: per step, number or array that broadcasts with the draws [1].
        pp, vpp: ranks, and stages to a rank: structure, never arrays.

    Returns:
        seconds [s].

    Raises:
        SpecError: the rule can't order that many micro-batches on that many ranks.

    Source: the function of each schedule below.

    >>> one = np.ones(1)
    >>> float(pipeline_seconds("interleaved", Times(one, one, one), 8, pp=4, vpp=2))  # v·m·3 + (p − 1)·3
    57.0
    """
    if schedule == "gpipe":
        return gpipe_seconds(_each(times, pp), micro_batches)
    if schedule == "1f1b":
        return one_f_one_b_seconds(_each(times, pp), micro_batches)
    if times.stages > 1:
        return uneven_seconds(schedule, times, micro_batches, pp, vpp)
    f, i, w = times.forward[0], times.inputs[0], times.weights[0]
    match schedule:
        case "interleaved":
            return interleaved_seconds(f, i + w, micro_batches, pp, vpp)
        case "zero-bubble":
            return zero_bubble_seconds(f, i, w, micro_batches, pp)
        case "zero-bubble-v":
            return zero_bubble_v_seconds(f, i, w, micro_batches, pp)
        case "dualpipe" | "dualpipe-v":
            half, passes = (pp // 2, micro_batches) if schedule == "dualpipe" else (pp, 2 * micro_batches)
            return dualpipe_seconds(f, i, w, f + i + w if times.pair is None else times.pair[0], micro_batches=passes, half=half)


def _each(times: Times, stages: int) -> Times:
    """The same times with one row a stage."""
    if times.stages == stages:
        return times.by_stage
    f, i, w = (np.broadcast_to(t, (stages, *np.shape(t)[1:])) for t in (times.forward, times.inputs, times.weights))
    return Times(f, i, w)


# closed forms ----------------------------------------------------------------------------------------------------------


def gpipe_seconds(times: Times, micro_batches: Num) -> Num:
    """GPipe, any stages: ``Σf + (m − 1)·max f + Σb + (m − 1)·max b``: two flow shops of identical jobs.

    Source: Huang et al. 2019 (arXiv:1811.06965), section 2.3; equals the events for every m >= 1.

    >>> float(gpipe_seconds(Times(np.array([1.0, 2.0]), np.array([1.0, 2.0]), np.array([1.0, 2.0])), 3))
    21.0
    """
    f, b = times.forward, times.inputs + times.weights
    seconds: Num = f.sum(axis=0) + b.sum(axis=0) + (micro_batches - 1) * (f.max(axis=0) + b.max(axis=0))
    return seconds


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


def interleaved_seconds(f: Num, b: Num, micro_batches: Num, pp: int, vpp: int) -> Num:
    """Interleaved 1F1B, uniform stages: ``(v·m + p − 1)(f + b)``, ``f`` and ``b`` of one of a rank's ``v`` stages.

    Source: Narayanan et al. 2021 (arXiv:2104.04473), section 2.2.2; equals the events for every m that p divides.

    >>> interleaved_seconds(1.0, 2.0, 8, pp=4, vpp=2)
    57.0
    """
    return (vpp * micro_batches + pp - 1) * (f + b)


def zero_bubble_seconds(f: Num, i: Num, w: Num, micro_batches: Num, pp: int) -> Num:
    """ZB-H1, uniform stages: ``m(f + i + w) + (p − 1)·max(f + i − w, f, i)``.

    The published bubble ``(p − 1)(f + i − w)`` (Qi et al. 2024, arXiv:2401.10241, table 2) is the case ``w <= min(f, i)``: longer
    weight passes can't be hidden behind the wait of one forward or input pass. Equals the events for every m >= p.

    >>> float(zero_bubble_seconds(1.0, 1.0, 1.0, 8, pp=4))
    27.0
    """
    seconds: Num = micro_batches * (f + i + w) + (pp - 1) * np.maximum(f + i - w, np.maximum(f, i))
    return seconds


def zero_bubble_v_seconds(f: Num, i: Num, w: Num, micro_batches: Num, pp: int) -> Num:
    """ZB-V, uniform stages: ``2m(f + i + w)`` and the longest of nine ways through fill and drain; ``(p − 1)·f`` where f = i = w.

    The bubble counts from the first rank's start to the last rank's end; the paper's zero counts each rank from its own start
    and needs the optimizer to run without waiting (Qi et al. 2024, arXiv:2401.10241, sections 4 and 6). The table holds the
    linear forms found in the events; equals them for every m >= 2p − 1.

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
    ways = [a * np.asarray(f) + b * np.asarray(i) + c * np.asarray(w) for a, b, c in table] if pp > 1 else [np.zeros(())]
    seconds: Num = 2 * micro_batches * (f + i + w) + np.maximum.reduce(np.broadcast_arrays(*ways))
    return seconds


def dualpipe_seconds(f: Num, i: Num, w: Num, x: Num, *, micro_batches: Num, half: int) -> Num:
    """DualPipe on ``2·half`` ranks, uniform stages; DualPipeV on ``half`` ranks is the same with ``2m`` for ``m``.

    ``T = (m − h − 2)·x + 2h·f + (h + 2)·i + 3w + max(h·f, (h − 1)·i) + (h − 1)·max(i, w)``, ``h = half``.

    The published bubble ``(h − 1)(x + b − 3w)`` (DeepSeek-V3, arXiv:2412.19437, table 2, where ``h = PP/2``) agrees where ``f = i``,
    ``w <= i`` and ``x = f + b``, and not away from there. Equals the events for ``m >= 4h`` and ``max(f, b) <= x <= f + b``.

    Source: order of DeepSeek-V3, section 3.2.1, and its released code; the form is the longest path of those events.

    >>> float(dualpipe_seconds(1.0, 1.0, 1.0, 3.0, micro_batches=16, half=4)) - 16 * 3.0
    6.0
    """
    h = half
    ends = np.maximum(h * np.asarray(f), (h - 1) * np.asarray(i)) + (h - 1) * np.maximum(i, w)
    seconds: Num = (micro_batches - h - 2) * x + 2 * h * f + (h + 2) * i + 3 * w + ends
    return seconds
