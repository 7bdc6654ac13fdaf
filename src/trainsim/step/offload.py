"""Time of offloading: the optimizer update on the host, and activations moved to the host and back."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..cluster.hardware import Cluster, Host
from ..cluster.stack import Stack
from ..core.errors import EstimateError
from ..core.units import Num
from ..gpu_memory.activations import activations_by_kind
from ..model.transformer import Model
from ..parallelism.layout import Layout
from ..parallelism.plan import Plan, Recompute

Array = NDArray[np.float64]


def host_of(cluster: Cluster) -> Host:
    """The host of a cluster's accelerators.

    Raises:
        EstimateError: the cluster has no host data.
    """
    if cluster.host is None:
        remedy = "give cluster.host=ts.Host(link=ts.Link(bandwidth=…), memory_bandwidth=…, accelerators=…)"
        raise EstimateError("cluster.host", None, "is needed to time what the plan offloads", remedy, "missing")
    return cluster.host


def host_update_seconds(share: Num, moved: Num, owned: Num, layout: Layout, cluster: Cluster, stack: Stack) -> Num:
    """Time of an optimizer update on the host, ``(ranks, n)`` [s]: gradients out, the update, weights back, in sequence.

    ``t = f · [P·(g + w) / (link · share) + P·traffic·accelerators / (memory bandwidth · share)]``

    Args:
        share: share of the optimizer states in host memory [1].
        moved: memory traffic of a rank's whole update, ``(ranks, n)`` [B].
        owned: parameters that a rank updates, ``(ranks, n)`` [1].
        layout: gives the width of gradients and working copies by its recipe.
        cluster, stack: the host, and the shares of its link and memory bandwidth that are reached.

    Raises:
        EstimateError: the cluster has no host data.

    Source: Ren et al. 2021 (arXiv:2101.06840), sections 4.1 and 5.1: the processors' update is bound by their memory.
    """
    host = host_of(cluster)
    passed = owned * (layout.recipe.gradients + layout.recipe.gathered) / (host.link.bandwidth * stack.host_link)
    updated = moved * host.accelerators / (host.memory_bandwidth * stack.host_memory)
    seconds: Num = share * (passed + updated)
    return seconds


def kept_seconds(model: Model, layout: Layout, cluster: Cluster, stack: Stack) -> Num:
    """Time to move the saved activations of one micro-batch in one layer of each kind to the host, ``(kinds, n)`` [s]; the way back takes
    as long.

    ``t = a · saved bytes / (link · share)``

    Args:
        model: gives the tensors that a layer saves by its op table.
        layout: gives tokens per rank and the recomputed parts.
        cluster, stack: the link to the host, and the share of its bandwidth that is reached.

    Raises:
        EstimateError: the cluster has no host data.

    Source: Rajbhandari et al. 2021 (arXiv:2104.07857), section 5.1.2.
    """
    assert layout.offload is not None
    link = host_of(cluster).link.bandwidth * stack.host_link
    saved = activations_by_kind(model, _activation_plan(layout))
    kinds = dict.fromkeys(entry.kind for entry in model.table.entries)
    whole = layout.tokens / layout.sequence_split
    sizes = [
        b.whole * whole + b.split * layout.split_tokens + b.routed * layout.routed_tokens + b.per_key * layout.keys
        for b in (saved[kind].total_saved for kind in kinds)
    ]
    seconds: Num = np.stack(np.broadcast_arrays(*map(np.atleast_1d, sizes))) * layout.offload.activations / link
    return seconds


def _activation_plan(layout: Layout) -> Plan:
    """A plan with the fields that determine what a layer saves."""
    recompute: Recompute = "none" if not layout.recomputed else "full" if layout.recomputed == {"full"} else "selective"
    return Plan(recompute=recompute, recompute_parts=tuple(sorted(layout.recomputed)), precision=layout.recipe, attention=layout.attention)
