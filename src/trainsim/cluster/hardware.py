"""Data-sheet properties of accelerators, links and clusters."""

from __future__ import annotations

from typing import Annotated, Literal

from ..core.errors import EstimateError
from ..core.spec import Count, Spec
from ..core.units import Num, Unit

Architecture = Literal["volta", "ampere", "hopper", "blackwell"]
"""Generation of a chip; the kernels of a stack are written for one generation."""
Flops = Annotated[Num, Unit("FLOP/s", "dense peak", gt=0)]


class Peak(Spec):
    """Dense peak of one accelerator by number format (not the sparse peak).

    Args:
        bf16, fp16, tf32, fp8, fp4, int8: peak in that format; None if the hardware does not support it [FLOP/s].

    >>> h100 = Peak(bf16=989.4e12, fp8=1978.9e12)
    >>> round(h100.fp8 / h100.bf16, 2), h100.fp4
    (2.0, None)
    """

    bf16: Flops | None = None
    fp16: Flops | None = None
    tf32: Flops | None = None
    fp8: Flops | None = None
    fp4: Flops | None = None
    int8: Flops | None = None


class Chip(Spec):
    """One accelerator, as in its data sheet.

    Args:
        name: its name in answers and errors.
        peak: dense peak by number format [FLOP/s].
        memory: size of its high-bandwidth memory [B].
        memory_bandwidth: bandwidth of that memory [B/s].
        power: thermal design power; None if unknown [W].
        architecture: generation of the chip; None if no stack has kernels for it.

    >>> h800 = Chip(name="H800", peak=Peak(bf16=989.4e12), memory=80e9, memory_bandwidth=3.35e12)
    >>> round(h800.peak_of("bf16") / h800.memory_bandwidth)  # FLOP per byte at the ridge of the roofline
    295
    """

    name: str
    peak: Peak
    memory: Annotated[Num, Unit("B", "size of the high-bandwidth memory", gt=0)]
    memory_bandwidth: Annotated[Num, Unit("B/s", "bandwidth of its memory", gt=0)]
    power: Annotated[Num, Unit("W", "thermal design power", gt=0)] | None = None
    architecture: Architecture | None = None

    @property
    def half(self) -> str:
        """The 16-bit number format of its matrix products: ``"bf16"``, or ``"fp16"`` if it does not support BF16.

        >>> Chip(name="V100", peak=Peak(fp16=125e12), memory=32e9, memory_bandwidth=898e9).half
        'fp16'
        """
        return "fp16" if self.peak.bf16 is None and self.peak.fp16 is not None else "bf16"

    def peak_of(self, dtype: str) -> Num:
        """Dense peak in a number format [FLOP/s].

        Raises:
            EstimateError: the chip does not support that format.
        """
        peak: Num | None = getattr(self.peak, dtype, None) if dtype in Peak.model_fields else None
        if peak is None:
            known = ", ".join(n for n in Peak.model_fields if getattr(self.peak, n) is not None)
            raise EstimateError("peak", dtype, f"is not a number format of {self.name}", f"formats: {known}", "unknown-name")
        return peak


class Link(Spec):
    """The network connection of one accelerator, in one direction.

    Args:
        bandwidth: data-sheet bandwidth [B/s].
        achieved: measured bandwidth of large messages; None if not measured [B/s].
        latency: measured latency of one hop; None if not measured [s].
        topology: "switch" if any two accelerators communicate at the full rate, "torus" if only neighbours do.

    >>> nvlink = Link(bandwidth=450e9, achieved=360e9)
    >>> nvlink.achieved / nvlink.bandwidth
    0.8
    """

    bandwidth: Annotated[Num, Unit("B/s", "data-sheet bandwidth per accelerator, one direction", gt=0)]
    achieved: Annotated[Num, Unit("B/s", "measured bandwidth of large messages", gt=0)] | None = None
    latency: Annotated[Num, Unit("s", "latency of one hop", ge=0)] | None = None
    topology: Literal["switch", "torus"] = "switch"


class Host(Spec):
    """The host of some accelerators: it launches their kernels, and its memory holds offloaded tensors.

    Args:
        link: link between an accelerator and its host.
        memory_bandwidth: bandwidth of the host's memory, shared by its accelerators [B/s].
        accelerators: number of accelerators that share the host.
        processor: architecture of its processors; an Arm host launches kernels at another speed (``Stack.arm_launch``).

    >>> host = Host(link=Link(bandwidth=63e9), memory_bandwidth=614.4e9)
    >>> host.memory_bandwidth / host.accelerators
    76800000000.0
    """

    link: Link
    memory_bandwidth: Annotated[Num, Unit("B/s", "bandwidth of the host's memory", gt=0)]
    accelerators: Count = 8
    processor: Literal["x86", "arm"] = "x86"


class Cluster(Spec):
    """The cluster of a run: accelerators of one kind, and the links between them.

    Args:
        name: its name in answers and errors.
        chip: the accelerator.
        gpus: number of accelerators.
        domain: accelerators that share the fast scale-up network: 8 in an HGX node, 72 in an NVL72 rack.
        scale_up, scale_out: link of one accelerator inside its domain, and between domains.
        host: host of the accelerators, needed by plans that offload; None if unknown.

    >>> h800 = Chip(name="H800", peak=Peak(bf16=989.4e12), memory=80e9, memory_bandwidth=3.35e12)
    >>> Cluster(chip=h800, gpus=2048).chip.peak_of("bf16")
    989400000000000.0
    """

    name: str = "cluster"
    chip: Chip
    gpus: Count
    domain: Count = 8
    scale_up: Link | None = None
    scale_out: Link | None = None
    host: Host | None = None
