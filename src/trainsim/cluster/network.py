"""Network bandwidth and latency of a cluster under a software stack."""

from __future__ import annotations

from ..core.errors import EstimateError
from .collectives import Fabric
from .hardware import Cluster
from .stack import Stack


def fabric_of(cluster: Cluster, stack: Stack) -> Fabric:
    """The network of a cluster under a stack: measured bandwidth if known, else the stack's share of the data sheet.

    Raises:
        EstimateError: a link of the cluster is unknown, or its topology is a torus.
    """
    if cluster.scale_up is not None and cluster.scale_up.topology == "torus":
        rule = "is a torus; the step-time model covers switched networks only"
        raise EstimateError(
            "cluster.scale_up.topology", "torus", rule, "state the time: efficiency=ts.MFU(…) or ts.StepTime(…)", "unsupported"
        )
    found = {}
    for name, share in (("scale_up", stack.scale_up), ("scale_out", stack.scale_out)):
        link = getattr(cluster, name)
        if link is None:
            raise EstimateError(f"cluster.{name}", None, "is needed to model exchanges", f"give cluster.{name}=Link(bandwidth=…)")
        found[name] = link.bandwidth * share if link.achieved is None else link.achieved
    return Fabric(float(cluster.domain), found["scale_up"], found["scale_out"], stack.inside_latency, stack.outside_latency)
