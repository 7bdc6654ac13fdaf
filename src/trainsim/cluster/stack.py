"""Stack: the calibrated numbers of a software stack, each with a unit and a tag that names the evidence for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Field

from ..core.errors import SpecError, did_you_mean
from ..core.spec import Spec, invariant
from ..core.units import Num, Unit
from ..core.values import ReadOnlyDict, frozen
from .hardware import Architecture

Tag = Literal["measured", "published", "fitted", "prior-only", "on-bound"]
"""Evidence for a number: measured by us, published in a table, fitted to published runs, a prior without data, or a fit at its bound."""

Dispatcher = Literal["alltoall", "fused"]
"""How tokens reach their experts: the network library's all-to-all with a copy for every expert, or a fused kernel with one copy
for every receiver (DeepEP, HybridEP)."""
Share = Annotated[Num, Unit("", "share of the dense peak that large products reach", gt=0, le=1)]
Overlap = Annotated[Num, Unit("", "hidden share of the time that compute could hide", ge=0, le=1)]
Fraction = Annotated[Num, Unit("", "share of the data-sheet value", gt=0, le=1)]


class Stack(Spec):
    """A software stack on one generation of chips: kernels, libraries and framework as numbers.

    Args:
        name: its name in answers and errors.
        architecture: generation of chips for which the kernels are written.
        attention: "fused" if attention scores stay on the chip, "unfused" if they are stored in memory.
        checkpoint: "whole" if full recompute runs the whole block, "early-stop" if it skips the block's last product, which the
            backward pass does not need.
        bf16, fp8, fp4: share of the dense peak that large products reach, by number format; fp16 uses ``bf16`` [1].
        half_depth: inner dimension at which a product reaches half that speed [element].
        tile: side of an output tile [element].
        processors: streaming multiprocessors that compute tiles [1].
        wave: weight of idle processors in the last wave of tiles [1].
        misaligned: relative speed of a product whose rows are aligned to 2 bytes only [1].
        grouped: speed of the experts' grouped products relative to one large product [1].
        weight_gradient, weight_gradient_block: speed of weight-gradient products relative to forward products, under recipes with one
            scale per tensor and with one per block [1].
        attention_forward, attention_backward: share of the BF16 peak that fused attention reaches at large length and head width [1].
        half_head: head width at which fused attention reaches half that speed [element].
        half_length: sequence length at which fused attention reaches half that speed [token].
        wide_backward: relative speed of the backward pass of fused attention for heads wider than 128 elements [1].
        keys_tile: keys in one tile of fused attention; tiles cut by the mask are computed whole [token].
        backward_flops: FLOPs of the backward pass of fused attention, recomputed scores included, relative to its forward pass [1].
        score_bytes: memory traffic of unfused attention per score and pass [B].
        memory: share of the memory bandwidth that streaming kernels reach [1].
        elementwise: number of passes over the op table's streams in the forward pass [1].
        elementwise_backward: memory traffic of the backward pass over these streams relative to the forward pass [1].
        loss_kernels: kernels that the host launches once per micro-batch, for the loss and similar [1].
        cast_bytes, cast_block_bytes: memory traffic of a cast to a narrow format, with one scale per tensor and one per block [B/element].
        permute_bytes: memory traffic of sorting tokens to experts and back, per routed element and pass [B].
        launch: host time per kernel, on an x86 host [s].
        arm_launch: host time on an Arm host relative to an x86 host [1].
        dispatcher: how tokens reach their experts, unless the plan says so.
        expert_launches: "apart" if every expert's product is a kernel of its own, "together" if one kernel covers all experts of an
            accelerator.
        captured_experts: "fused" if in a captured step with one scale per block the activation and the casts of experts without biases
            are computed inside their products, "separate" if they are kernels of their own.
        expert_bias_bytes: memory traffic of adding the biases of the experts' last product, per routed element of its output in forward;
            the traffic of backward is ``elementwise_backward`` times as large [B].
        routing_wait, fused_routing_wait: time per pass of a routed layer until the host knows the experts' token counts and has launched
            their products, by dispatcher [s].
        alltoall, fused_exchange: bandwidth of the network library's all-to-all and of a fused dispatcher, relative to rings [1].
        host_spread: coefficient of variation of the host time; ranks that reduce a layer together wait for the slowest [1].
        sharpness: exponent of the soft maximum of host time and chip time [1].
        scale_up, scale_out: share of the links' data-sheet bandwidth that large messages reach [1].
        dequantization: speed of widening four-bit weights relative to streams [1]; from LitGPT's table of Llama 2 7B and 13B on A100, 1.47
            and 3.36 minutes more per thousand iterations.
        host_link: share of the data sheet that the link between accelerator and host reaches [1].
        host_memory: share of the host's memory bandwidth that an update on its processors reaches [1].
        inside_latency, outside_latency: latency of one hop inside a scale-up domain and between domains [s].
        overlap_tp, overlap_ep, overlap_cp, overlap_dp: for each kind of exchange, hidden share of the time that compute could hide [1].
        overlap_ep_beside: that share for expert exchanges that overlap the pass of another micro-batch [1].
        exchange_processors: share of the processors that hidden exchanges occupy [1].
        paired_idle: share of a slot with two paired passes in which neither computes, because both wait for tokens [1].
        domains_per_token: scale-up domains that a token may reach; 0 for all [1].
        deduplication: which receiver gets at most one copy of a token from a fused dispatcher: a rank, a domain, or "none".
        imbalance: load of the busiest expert group relative to the mean [1].
        expert_spread: coefficient of variation of the experts' loads under a learned router, beyond chance, if the plan has one [1].
        jitter: relative slow-down per doubling of the accelerators above one node [1].
        rated_power: power at which the shares were fitted; 0 for the chip's own [W].
        power_exponent, power_exponent_narrow: exponent of (power / rated power) in the speed of products, for BF16 and for narrower
            formats [1].
        factor: residual factor of the source on all times, which no mechanism explains [1].
        tags: field → evidence for its number; the default is "prior-only".

    Raises:
        SpecError: a tag is unknown, or belongs to no field.

    >>> Stack(name="mine", architecture="hopper", tags={"bf16": "fitted"}).tag("bf16")
    'fitted'
    """

    positional: ClassVar[tuple[str, ...]] = ("name",)
    name: str
    architecture: Architecture
    attention: Literal["fused", "unfused"] = "fused"
    checkpoint: Literal["whole", "early-stop"] = "whole"
    bf16: Share = 0.7
    fp8: Share = 0.65
    fp4: Share = 0.45
    half_depth: Annotated[Num, Unit("element", "inner dimension at half speed", ge=0)] = 200.0
    tile: Annotated[Num, Unit("element", "side of an output tile", ge=1)] = 128.0
    processors: Annotated[Num, Unit("", "processors that compute tiles", ge=1)] = 132.0
    wave: Annotated[Num, Unit("", "weight of the last wave's idle processors", ge=0, le=1)] = 0.5
    misaligned: Annotated[Num, Unit("", "relative speed without 16-byte rows", gt=0, le=1)] = 0.5
    grouped: Annotated[Num, Unit("", "speed of grouped products relative to single ones", gt=0)] = 0.8
    weight_gradient: Annotated[Num, Unit("", "speed of weight gradients relative to forward products", gt=0)] = 1.0
    weight_gradient_block: Annotated[Num, Unit("", "speed of weight gradients relative to forward products, one scale per block", gt=0)] = (
        1.0
    )
    attention_forward: Share = 0.6
    attention_backward: Share = 0.5
    half_head: Annotated[Num, Unit("element", "head width at half speed", ge=0)] = 40.0
    half_length: Annotated[Num, Unit("token", "sequence length at half speed", ge=0)] = 300.0
    wide_backward: Annotated[Num, Unit("", "relative speed of backward with wide heads", gt=0, le=1)] = 1.0
    keys_tile: Annotated[Num, Unit("token", "keys of a tile", ge=0)] = 128.0
    backward_flops: Annotated[Num, Unit("", "FLOPs of backward relative to forward", ge=2)] = 2.5
    score_bytes: Annotated[Num, Unit("B", "memory traffic per attention score and pass", ge=0)] = 12.0
    memory: Fraction = 0.85
    elementwise: Annotated[Num, Unit("", "forward passes over element-wise tensors", ge=0)] = 1.0
    elementwise_backward: Annotated[Num, Unit("", "memory traffic of backward relative to forward", ge=0)] = 1.5
    loss_kernels: Annotated[Num, Unit("", "kernels launched for the loss of a micro-batch", ge=0)] = 2.0
    cast_bytes: Annotated[Num, Unit("B", "memory traffic per cast element, one scale per tensor", ge=0)] = 4.0
    cast_block_bytes: Annotated[Num, Unit("B", "memory traffic per cast element, one scale per block", ge=0)] = 4.0
    permute_bytes: Annotated[Num, Unit("B", "memory traffic per routed element and pass", ge=0)] = 6.0
    launch: Annotated[Num, Unit("s", "host time per kernel", ge=0)] = 5e-6
    arm_launch: Annotated[Num, Unit("", "host time on Arm relative to x86", gt=0)] = 2.6
    dispatcher: Dispatcher = "alltoall"
    expert_launches: Literal["apart", "together"] = "apart"
    captured_experts: Literal["separate", "fused"] = "separate"
    expert_bias_bytes: Annotated[Num, Unit("B", "memory traffic per routed element in forward", ge=0)] = 8.0
    routing_wait: Annotated[Num, Unit("s", "wait per routed layer and pass", ge=0)] = 0.0
    fused_routing_wait: Annotated[Num, Unit("s", "wait per routed layer and pass", ge=0)] = 0.0
    alltoall: Annotated[Num, Unit("", "bandwidth of an all-to-all relative to rings", gt=0, le=1)] = 1.0
    fused_exchange: Annotated[Num, Unit("", "bandwidth of a fused dispatcher relative to rings", gt=0, le=1)] = 1.0
    host_spread: Annotated[Num, Unit("", "coefficient of variation of the host time", ge=0)] = 0.0
    sharpness: Annotated[Num, Unit("", "exponent of the soft maximum", ge=1)] = 4.0
    scale_up: Fraction = 0.75
    scale_out: Fraction = 0.85
    dequantization: Fraction = 0.28
    host_link: Fraction = 0.8
    host_memory: Fraction = 0.45
    inside_latency: Annotated[Num, Unit("s", "latency of one hop inside a domain", ge=0)] = 2e-6
    outside_latency: Annotated[Num, Unit("s", "latency of one hop between domains", ge=0)] = 8e-6
    overlap_tp: Overlap = 0.0
    overlap_ep: Overlap = 0.0
    overlap_ep_beside: Overlap = 0.0
    overlap_cp: Overlap = 0.8
    overlap_dp: Overlap = 0.8
    exchange_processors: Annotated[Num, Unit("", "share of processors used by exchanges", ge=0, lt=1)] = 0.0
    paired_idle: Annotated[Num, Unit("", "share of paired slots without compute", ge=0, lt=1)] = 0.0
    domains_per_token: Annotated[Num, Unit("", "domains a token may reach; 0 for all", ge=0)] = 0.0
    deduplication: Literal["none", "rank", "domain"] = "none"
    imbalance: Annotated[Num, Unit("", "load of the busiest experts relative to the mean", ge=1)] = 1.0
    expert_spread: Annotated[Num, Unit("", "variation of the experts' loads", ge=0)] = 0.06
    jitter: Annotated[Num, Unit("", "slow-down per doubling above a node", ge=0)] = 0.0
    rated_power: Annotated[Num, Unit("W", "power at which the shares were fitted; 0 for the chip's own", ge=0)] = 0.0
    power_exponent: Annotated[Num, Unit("", "exponent of power over rated power, BF16", ge=0)] = 0.0
    power_exponent_narrow: Annotated[Num, Unit("", "exponent of power over rated power, narrower formats", ge=0)] = 0.0
    factor: Annotated[Num, Unit("", "residual factor of the source", gt=0)] = 1.0
    tags: Annotated[Mapping[str, Tag], Field(strict=False), AfterValidator(frozen)] = Field(default_factory=ReadOnlyDict)

    @invariant
    def _known(self) -> Self:
        for field in self.tags:
            if field not in type(self).model_fields:
                raise SpecError(
                    f"tags.{field}", field, "is not a number of a Stack", did_you_mean(field, self.numbers(), "numbers"), "unknown-field"
                )
        return self

    def _comparison_fields(self) -> Mapping[str, Any]:
        return {**super()._comparison_fields(), "tags": tuple(sorted(self.tags.items()))}

    def tag(self, field: str) -> Tag:
        """Evidence for a number of the stack; "prior-only" by default.

        Raises:
            SpecError: the stack has no such number.
        """
        if field not in self.numbers():
            raise SpecError(field, field, "is not a number of a Stack", did_you_mean(field, self.numbers(), "numbers"), "unknown-field")
        return self.tags.get(field, "prior-only")

    def share(self, number_format: str) -> Num:
        """Share of the dense peak that large products reach in a number format.

        Raises:
            SpecError: the stack has no share for that format.
        """
        field = {"bf16": "bf16", "fp16": "bf16", "fp8": "fp8", "fp4": "fp4"}.get(number_format)
        if field is None:
            raise SpecError(
                "precision",
                number_format,
                f"is not a format of the stack {self.name}",
                "formats: bf16, fp16, fp8, fp4",
                "unknown-name",
            )
        share: Num = getattr(self, field)
        return share
