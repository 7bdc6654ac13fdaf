"""One micro-batch through the layers of a pipeline's ranks: compute, and what shows and what hides of the exchanges."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..cluster.stack import Stack
from ..core.units import Num, any_true
from ..parallelism.layout import Layout
from ..parallelism.placement import Placed
from ..parallelism.recompute import Again
from ..parallelism.schedules.schedule import Schedule
from .context import VISITS
from .layers import LayerTimes

SUMS = 4.0
"""Halves of the two sums of a layer's forward pass under tensor parallelism: a gather or a scatter before and after each sublayer."""
Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Passes:
    """One micro-batch through a layer of each kind, exchanges included: seconds ``(kinds, n)``.

    ``forward``, ``inputs`` and ``weights`` share what shows of the exchanges, half in each direction. ``alone`` is what routed exchanges
    take of one direction where nothing runs beside them, beyond that.
    """

    forward: Num
    inputs: Num
    weights: Num
    alone: Num


@dataclass(frozen=True, eq=False)
class OverlapPass:
    """One micro-batch through the layers of every rank: seconds by what they are spent on.

    Args:
        placed: which layers a rank has.
        compute: everything but exchanges in a layer of each kind, ``(kinds, n)`` [s].
        exposed, hidden: what shows of each exchange and what hides, ``(kinds, n)`` [s].
        passes: the same by pass.
    """

    placed: Placed
    compute: Num
    exposed: Mapping[str, Num]
    hidden: Mapping[str, Num]
    passes: Passes

    @cached_property
    def worked(self) -> Array:
        """Compute and what shows of the exchanges on ranks that differ, ``(rows, n)`` [s]."""
        return self.placed.layers @ (self.compute + sum(self.exposed.values()))

    @property
    def whole(self) -> Array:
        """The same on every rank, ``(ranks, n)`` [s]."""
        return self.worked[self.placed.row]


def pass_of(
    times: LayerTimes, again: Again, place: Placed, schedule: Schedule, layout: Layout, stack: Stack, kept: Num | None = None
) -> OverlapPass:
    """One micro-batch through every rank: forward and backward, exchanges split into what shows and what hides.

    Args:
        times, again: seconds of the layers, and what of them backward computes again.
        place: which layers a rank has.
        schedule, layout, stack: what runs beside an exchange, and how much of it hides there.
        kept: seconds that activations take to the host, and as long back, beside the pass that makes or reads them; None where they stay.

    Returns:
        seconds by kind of layer, and on every rank when they are asked for [s].
    """
    last = {"whole": 0.0, "early-stop": 1.0 / SUMS}[stack.checkpoint] * again.whole
    # an exchange of forward happens again in backward, and in whatever of forward runs a second time
    sums, visits = (2.0 + again.sums - last) * times.tp, 2.0 + again.routed
    exchanged: dict[str, Num] = {
        "tp": sums + visits * times.expert_tp,
        "ep": visits * times.ep,
        "cp": (VISITS[layout.cp_exchange] + again.keys) * times.cp,
    }
    hidden = {"tp": _sums(sums, layout, stack), "ep": _routed(times, schedule, layout, stack), "cp": _keys(times, layout, stack)}
    hidden = {kind: seconds if kind in layout.overlap else np.zeros_like(seconds) for kind, seconds in hidden.items()}
    if kept is not None:
        backward = times.inputs + times.weights + times.again
        exchanged["host"], hidden["host"] = 2.0 * kept, np.minimum(kept, times.forward) + np.minimum(kept, backward)
    exposed: dict[str, Num] = {kind: exchanged[kind] - hidden[kind] for kind in exchanged}
    exposed["lent"] = stack.exchange_processors / (1.0 - stack.exchange_processors) * hidden["ep"]
    inputs = times.inputs + times.again
    compute = times.forward + inputs + times.weights
    exposed["idle"] = _idle(compute + exposed["lent"], times, schedule, layout, stack)
    half = sum(exposed.values()) / 2
    return OverlapPass(
        placed=place,
        compute=compute,
        exposed=exposed,
        hidden=hidden,
        passes=Passes(times.forward + half, inputs + half, times.weights, (hidden["ep"] - exposed["lent"] - exposed["idle"]) / 2),
    )


def _idle(beside: Num, times: LayerTimes, schedule: Schedule, layout: Layout, stack: Stack) -> Num:
    """How long two passes side by side both wait for tokens, ``(kinds, n)``: ``q / (1 - q)`` of their compute in layers that route."""
    if not (any_true(layout.ep != 1) and any_true(stack.paired_idle != 0)) or (layout.expert_overlap == "off" and not schedule.pairs):
        return np.zeros_like(beside)
    share: Num = stack.paired_idle / (1.0 - stack.paired_idle)
    return np.asarray(share * beside * (times.ep > 0), dtype=np.float64)


def _sums(sums: Num, layout: Layout, stack: Stack) -> Num:
    """What hides of the sums over tensor-parallel ranks, ``(kinds, n)``."""
    return stack.overlap_tp * sums if any_true(layout.tp != 1) else sums


def _routed(times: LayerTimes, schedule: Schedule, layout: Layout, stack: Stack) -> Num:
    """What hides of the exchanges with experts, ``(kinds, n)``: behind the pass itself, or another's that runs beside it."""
    if not any_true(layout.ep != 1):
        return times.ep
    backward = times.inputs + times.weights
    inside = schedule.hides_exchanges * stack.overlap_ep * (np.minimum(times.ep, times.forward) + np.minimum(times.ep, backward))
    if layout.expert_overlap == "off" and not schedule.pairs:
        return inside
    return np.maximum(inside, stack.overlap_ep_beside * np.minimum(2.0 * times.ep, times.forward + backward))


def _keys(times: LayerTimes, layout: Layout, stack: Stack) -> Num:
    """What hides of a ring's keys and values behind the attention cores beside them, ``(kinds, n)``: nothing of what comes first."""
    if not any_true(layout.cp != 1) or layout.cp_exchange != "ring":
        return np.zeros_like(times.cp)
    return stack.overlap_cp * (np.minimum(times.cp, times.attending[0]) + np.minimum(2.0 * times.cp, times.attending[1]))
