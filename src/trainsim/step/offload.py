"""Seconds of what a plan keeps on the host: the optimizer's update there, and activations on their way out and back."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..cluster.hardware import Cluster, Host
from ..cluster.stack import Stack
from ..core.errors import EstimateError
from ..core.units import Num
from ..gpu_memory.activations import kept_by_kind
from ..model.transformer import Model
from ..parallelism.layout import Layout
from ..parallelism.plan import Plan, Recompute

Array = NDArray[np.float64]


def host_of(cluster: Cluster) -> Host:
    """The host of a cluster's accelerators.

    Raises:
        EstimateError: it is unknown.
    """
    if cluster.host is None:
        remedy = "give cluster.host=ts.Host(link=ts.Link(bandwidth=…), memory_bandwidth=…, accelerators=…)"
        raise EstimateError("cluster.host", None, "is needed to time what the plan offloads", remedy, "missing")
    return cluster.host


def host_update_seconds(share: Num, moved: Num, owned: Num, layout: Layout, cluster: Cluster, stack: Stack) -> Num:
    """Seconds of an update on the host, ``(ranks, n)``: gradients out, the update, weights back, one after the other.

    ``t = f · [P·(g + w) / (link · share) + P·traffic·accelerators / (memory bandwidth · share)]``

    Args:
        share: of the optimizer's states that rest on the host [1].
        moved: memory traffic of a rank's whole update, ``(ranks, n)`` [B].
        owned: parameters that a rank updates, ``(ranks, n)`` [1].
        layout: its recipe says how wide gradients and working copies are.
        cluster, stack: the host, and what its link and its memory reach.

    Raises:
        EstimateError: the host is unknown.

    Source: Ren et al. 2021 (arXiv:2101.06840), sections 4.1 and 5.1: the processors' update is bound by their memory.
    """
    host = host_of(cluster)
    passed = owned * (layout.recipe.gradients + layout.recipe.gathered) / (host.link.bandwidth * stack.host_link)
    updated = moved * host.accelerators / (host.memory_bandwidth * stack.host_memory)
    seconds: Num = share * (passed + updated)
    return seconds


def kept_seconds(model: Model, layout: Layout, cluster: Cluster, stack: Stack) -> Num:
    """Seconds to move one micro-batch's kept activations of one layer of each kind to the host, ``(kinds, n)``; as long back.

    ``t = a · kept bytes / (link · share)``

    Args:
        model: its op table says what a layer keeps.
        layout: how many tokens a rank has, and what it computes again.
        cluster, stack: the link to the host, and what of it is reached.

    Raises:
        EstimateError: the host is unknown.

    Source: Rajbhandari et al. 2021 (arXiv:2104.07857), section 5.1.2.
    """
    assert layout.offload is not None
    link = host_of(cluster).link.bandwidth * stack.host_link
    kept = kept_by_kind(model, _keeping(layout))
    kinds = dict.fromkeys(entry.kind for entry in model.table.entries)
    whole = layout.tokens / layout.sequence_split
    sizes = [
        b.whole * whole + b.split * layout.split_tokens + b.routed * layout.routed_tokens + b.per_key * layout.keys
        for b in (kept[kind].all_kept for kind in kinds)
    ]
    seconds: Num = np.stack(np.broadcast_arrays(*map(np.atleast_1d, sizes))) * layout.offload.activations / link
    return seconds


def _keeping(layout: Layout) -> Plan:
    """The fields of a plan that say what a layer keeps."""
    recompute: Recompute = "none" if not layout.again else "full" if layout.again == {"full"} else "selective"
    return Plan(recompute=recompute, recompute_parts=tuple(sorted(layout.again)), precision=layout.recipe, attention=layout.attention)
