"""One micro-batch through the layers of every pipeline rank: compute, and the exposed and hidden parts of exchanges."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..cluster.stack import Stack
from ..core.units import Num, any_true
from ..parallelism.layout import Layout
from ..parallelism.placement import Placement
from ..parallelism.recompute import Recomputed
from ..parallelism.schedules.schedule import Schedule
from .context import VISITS
from .layers import LayerTimes

TP_COLLECTIVES = 4.0
"""Collectives in the forward pass of a layer under tensor parallelism: a gather and a scatter for each of two sublayers."""
Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class PassTimes:
    """Time of one micro-batch through a layer of each kind, exchanges included, ``(kinds, n)`` [s].

    Args:
        forward, inputs, weights: passes; exposed exchanges are divided equally between ``forward`` and ``inputs``.
        alone: additional exposed time of expert exchanges, per direction, in a pass that no other pass overlaps.
    """

    forward: Num
    inputs: Num
    weights: Num
    alone: Num


@dataclass(frozen=True, eq=False)
class OverlapPass:
    """Time of one micro-batch through the layers of every rank, split into compute and exchanges.

    Args:
        placed: layers of each rank.
        compute: compute in a layer of each kind, ``(kinds, n)`` [s].
        exposed, hidden: exposed and hidden time of each exchange, ``(kinds, n)`` [s].
        passes: compute and exposed exchanges of each pass.
    """

    placed: Placement
    compute: Num
    exposed: Mapping[str, Num]
    hidden: Mapping[str, Num]
    passes: PassTimes

    @cached_property
    def worked(self) -> Array:
        """Compute and exposed exchanges of the distinct ranks, ``(rows, n)`` [s]."""
        return self.placed.layers @ (self.compute + sum(self.exposed.values()))

    @property
    def whole(self) -> Array:
        """Compute and exposed exchanges of every rank, ``(ranks, n)`` [s]."""
        return self.worked[self.placed.rank_row]


def overlap_pass(
    times: LayerTimes, recomputed: Recomputed, place: Placement, schedule: Schedule, layout: Layout, stack: Stack, kept: Num | None = None
) -> OverlapPass:
    """One micro-batch through every rank, forward and backward, with exchanges split into exposed and hidden time.

    Args:
        times: times of the layers.
        recomputed: work that the backward pass recomputes.
        place: layers of each rank.
        schedule, layout, stack: determine which exchanges overlap with compute, and by how much.
        kept: time to move activations to the host; the way back takes as long, and both overlap the pass; None without offload.

    Returns:
        times by kind of layer and by rank [s].
    """
    last = {"whole": 0.0, "early-stop": 1.0 / TP_COLLECTIVES}[stack.checkpoint] * recomputed.whole
    # exchanges of the forward pass recur in the backward pass and in recomputed forward work
    sums, visits = (2.0 + recomputed.sums - last) * times.tp, 2.0 + recomputed.routed
    exchanged: dict[str, Num] = {
        "tp": sums + visits * times.expert_tp,
        "ep": visits * times.ep,
        "cp": (VISITS[layout.cp_exchange] + recomputed.keys) * times.cp,
    }
    hidden = {
        "tp": _hidden_tp(sums, layout, stack),
        "ep": _hidden_ep(times, schedule, layout, stack),
        "cp": _hidden_cp(times, layout, stack),
    }
    hidden = {kind: seconds if kind in layout.overlap else np.zeros_like(seconds) for kind, seconds in hidden.items()}
    if kept is not None:
        backward = times.inputs + times.weights + times.recompute
        exchanged["host"], hidden["host"] = 2.0 * kept, np.minimum(kept, times.forward) + np.minimum(kept, backward)
    exposed: dict[str, Num] = {kind: exchanged[kind] - hidden[kind] for kind in exchanged}
    exposed["lent"] = stack.exchange_processors / (1.0 - stack.exchange_processors) * hidden["ep"]
    inputs = times.inputs + times.recompute
    compute = times.forward + inputs + times.weights
    exposed["idle"] = _paired_idle(compute + exposed["lent"], times, schedule, layout, stack)
    half = sum(exposed.values()) / 2
    return OverlapPass(
        placed=place,
        compute=compute,
        exposed=exposed,
        hidden=hidden,
        passes=PassTimes(times.forward + half, inputs + half, times.weights, (hidden["ep"] - exposed["lent"] - exposed["idle"]) / 2),
    )


def _paired_idle(beside: Num, times: LayerTimes, schedule: Schedule, layout: Layout, stack: Stack) -> Num:
    """Time in which both of two paired passes wait for tokens: ``q / (1 - q)`` of their compute in routed layers, ``(kinds, n)`` [s]."""
    if not (any_true(layout.ep != 1) and any_true(stack.paired_idle != 0)) or (layout.expert_overlap == "off" and not schedule.pairs):
        return np.zeros_like(beside)
    share: Num = stack.paired_idle / (1.0 - stack.paired_idle)
    return np.asarray(share * beside * (times.ep > 0), dtype=np.float64)


def _hidden_tp(sums: Num, layout: Layout, stack: Stack) -> Num:
    """Hidden time of tensor-parallel collectives, ``(kinds, n)`` [s]."""
    return stack.overlap_tp * sums if any_true(layout.tp != 1) else sums


def _hidden_ep(times: LayerTimes, schedule: Schedule, layout: Layout, stack: Stack) -> Num:
    """Hidden time of expert exchanges, which overlap their own pass or one paired with it, ``(kinds, n)`` [s]."""
    if not any_true(layout.ep != 1):
        return times.ep
    backward = times.inputs + times.weights
    inside = schedule.hides_exchanges * stack.overlap_ep * (np.minimum(times.ep, times.forward) + np.minimum(times.ep, backward))
    if layout.expert_overlap == "off" and not schedule.pairs:
        return inside
    return np.maximum(inside, stack.overlap_ep_beside * np.minimum(2.0 * times.ep, times.forward + backward))


def _hidden_cp(times: LayerTimes, layout: Layout, stack: Stack) -> Num:
    """Hidden time of the exchange of keys and values, ``(kinds, n)`` [s]: a ring overlaps attention, other exchanges are not hidden."""
    if not any_true(layout.cp != 1):
        return times.cp
    if layout.cp_exchange != "ring":
        return np.zeros_like(times.cp)
    return stack.overlap_cp * (np.minimum(times.cp, times.attending[0]) + np.minimum(2.0 * times.cp, times.attending[1]))
