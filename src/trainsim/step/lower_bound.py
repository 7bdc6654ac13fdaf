"""What no step of a layout can beat, without its sums over data parallelism and without its pipeline's events."""

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
from .overlap import pass_of
from .step import _jitter, _sending, fill_and_drain, placed_and_again


def least_seconds(model: Model, layout: Layout, batch: Num, schedule: Schedule, cluster: Cluster, stack: Stack, times: LayerTimes) -> Num:
    """What no step of a layout is faster than, whatever is sharded and whatever its pipeline waits for: cheap beside :func:`step_of`.

    ``t >= [max_r { n · Σ_kind counts · (f + i + w) + fill and drain } + sends] · (1 + j·log₂(gpus/8)) · factor``. Under DualPipe every pass
    runs beside another or alone, and counts with the shorter of both.

    Args:
        model, layout, batch, schedule, cluster, stack: as for :func:`step_of`.
        times: of its layers, from :func:`times_of`; layouts that differ in stages, schedule and data parallelism have the same.

    Returns:
        seconds ``(n,)`` [s].
    """
    place, again = placed_and_again(model, layout, schedule)
    passes = pass_of(times, again, place, schedule, layout, stack).passes
    whole = passes.forward + passes.inputs + passes.weights
    if schedule.pairs:
        whole = whole + 2.0 * np.minimum(passes.alone, 0.0)
    micro_batches = np.ceil(layout.micro_batches(batch))
    filled = micro_batches * (place.layers @ whole)[place.row] + fill_and_drain(place, passes, schedule)
    sending = _sending(layout, place.chunks, fabric_of(cluster, stack), float(model.hidden), micro_batches, stack)
    least: Num = (np.maximum.reduce(filled) + sending) * _jitter(layout, stack) * stack.factor
    return least


def columns_of(times: LayerTimes, at: NDArray[np.intp]) -> LayerTimes:
    """Some columns of layers' seconds, as far as a step's sum reads them; its lines by kernel are left out."""

    def picked(seconds: Num) -> Num:
        each = np.asarray(seconds)
        return each if each.shape[-1] == 1 else each.take(at, axis=1)

    forward, backward = times.attending
    read: dict[str, Any] = {
        name: picked(getattr(times, name)) for name in ("forward", "inputs", "weights", "again", "tp", "ep", "expert_tp", "cp")
    }
    unread: dict[str, Any] = dict.fromkeys(("products", "cores", "streams", "casts", "permute"))
    return replace(times, attending=(picked(forward), picked(backward)), **read, **unread)
