"""Lower bound on the step time of a layout, without data-parallel exchanges and pipeline events."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..cluster.hardware import Cluster
from ..cluster.network import fabric_of
from ..cluster.stack import Stack
from ..core.units import Num
from ..model.transformer import Model
from ..parallelism.layout import Layout
from ..parallelism.schedules.schedule import Schedule
from .layers import LayerTimes
from .overlap import overlap_pass
from .step import fill_and_drain, placement_and_recompute, sending_seconds, straggler_factor


def lower_bound_seconds(
    model: Model, layout: Layout, batch: Num, schedule: Schedule, cluster: Cluster, stack: Stack, times: LayerTimes
) -> Num:
    """Lower bound on the step time for any sharding and pipeline waits; much cheaper than :func:`step_of`.

    ``t >= [max_r { n · Σ_kind counts · (f + i + w) + fill and drain } + sends] · (1 + j·log₂(gpus/8)) · factor``. Under DualPipe the time
    of a pass is the shorter of its unpaired and its paired time.

    Args:
        model, layout, batch, schedule, cluster, stack: as for :func:`step_of`.
        times: times of the model's layers, from :func:`layer_times_of`; they do not depend on stages, schedule and data parallelism.

    Returns:
        lower bound, ``(n,)`` [s].
    """
    place, recomputed = placement_and_recompute(model, layout, schedule)
    passes = overlap_pass(times, recomputed, place, schedule, layout, stack).passes
    whole = passes.forward + passes.inputs + passes.weights
    if schedule.pairs:
        whole = whole + 2.0 * np.minimum(passes.alone, 0.0)
    micro_batches = np.ceil(layout.micro_batches(batch))
    filled = micro_batches * (place.layers @ whole)[place.rank_row] + fill_and_drain(place, passes, schedule)
    sending = sending_seconds(layout, place.chunks, fabric_of(cluster, stack), float(model.hidden), micro_batches, stack)
    least: Num = (np.maximum.reduce(filled) + sending) * straggler_factor(layout, stack) * stack.factor
    return least


def select_columns(times: LayerTimes, at: NDArray[np.intp]) -> LayerTimes:
    """Select columns of layer times; times by kernel are left out, since the total does not need them."""

    def picked(seconds: Num) -> Num:
        each = np.asarray(seconds)
        return each if each.shape[-1] == 1 else each.take(at, axis=1)

    forward, backward = times.attending
    read: dict[str, Any] = {
        name: picked(getattr(times, name)) for name in ("forward", "inputs", "weights", "recompute", "tp", "ep", "expert_tp", "cp")
    }
    unread: dict[str, Any] = dict.fromkeys(("products", "cores", "streams", "casts", "permute"))
    return replace(times, attending=(picked(forward), picked(backward)), **read, **unread)
