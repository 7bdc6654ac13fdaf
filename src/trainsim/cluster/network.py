"""The network of a cluster as a software stack drives it."""

from __future__ import annotations

from ..core.errors import EstimateError
from .collectives import Fabric
from .hardware import Cluster
from .stack import Stack


def fabric_of(cluster: Cluster, stack: Stack) -> Fabric:
    """The cluster's network as a stack drives it: achieved bandwidth where it was measured, else a share of the data sheet.

    Raises:
        EstimateError: a link of the cluster is not known, or it is a torus.
    """
    if cluster.scale_up is not None and cluster.scale_up.topology == "torus":
        rule = "is a torus: exchanges are timed through switches here, and no stack of its kernels is known"
        raise EstimateError(
            "cluster.scale_up.topology", "torus", rule, "tell the time instead: efficiency=ts.MFU(…), or ts.StepTime(…)", "unsupported"
        )
    found = {}
    for name, share in (("scale_up", stack.scale_up), ("scale_out", stack.scale_out)):
        link = getattr(cluster, name)
        if link is None:
            raise EstimateError(f"cluster.{name}", None, "is needed to model exchanges", f"give cluster.{name}=Link(bandwidth=…)")
        found[name] = link.bandwidth * share if link.achieved is None else link.achieved
    return Fabric(float(cluster.domain), found["scale_up"], found["scale_out"], stack.inside_latency, stack.outside_latency)
