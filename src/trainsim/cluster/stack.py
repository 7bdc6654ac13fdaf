"""Stack: every calibrated number of a software stack, so that each has a path, a unit and a tag."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from ..core.errors import SpecError, did_you_mean
from ..core.spec import Spec
from ..core.units import Num, Unit
from ..core.values import ReadOnlyDict, frozen
from .hardware import Architecture

Tag = Literal["measured", "published", "fitted", "prior-only", "on-bound"]
"""How a number is known: measured here; from a published table; fitted to published runs; nobody's data; where a fit ran into its bound."""

Dispatcher = Literal["alltoall", "fused"]
"""How tokens reach their experts: the network library's all-to-all, a copy for every expert; or one kernel that sends a copy once to
everyone who needs it (DeepEP, HybridEP)."""
Share = Annotated[Num, Unit("", "share of the dense peak that large products reach", gt=0, le=1)]
Overlap = Annotated[Num, Unit("", "share of the hideable time that is hidden", ge=0, le=1)]
Fraction = Annotated[Num, Unit("", "share of the data sheet", gt=0, le=1)]


class Stack(Spec):
    """A software stack on one generation of chips: kernels, libraries and framework as numbers.

    Args:
        name: its name in answers and errors.
        architecture: generation of chips its kernels are written for.
        attention: whether scores stay on chip (fused) or pass through memory (unfused).
        checkpoint: whether "full" recompute runs a block whole, or stops once backward has all it needs (its last product is not).
        bf16, fp8, fp4: share of the dense peak that large products reach, by number format; fp16 counts as bf16 [1].
        half_depth: inner dimension at which a product reaches half of that [element].
        tile: side of an output tile [element].
        processors: processors that take tiles [1].
        wave: weight of the processors that stay idle in the last wave of tiles [1].
        misaligned: share of its speed that a product keeps when rows start on 2-byte boundaries [1].
        grouped: speed of the grouped products of experts over that of one large product [1].
        weight_gradient, weight_gradient_block: speed of the products that give gradients of weights over that of forward products, under
            recipes with one scale a tensor and with one a block [1].
        attention_forward, attention_backward: share of the BF16 peak of fused attention at great length and head width [1].
        half_head: head width at which it reaches half [element].
        half_length: sequence length at which it reaches half [token].
        wide_backward: share of its speed that the backward pass of fused attention keeps where heads are wider than 128 elements [1].
        keys_tile: keys computed whole where the mask's edge cuts a tile [token].
        backward_flops: FLOPs of fused attention's backward over its forward (scores are computed again) [1].
        score_bytes: memory traffic of unfused attention per score and pass [B].
        memory: share of the memory bandwidth that streaming kernels reach [1].
        elementwise: passes over the op table's streams in the forward pass [1].
        elementwise_backward: their traffic in the backward pass over that in the forward pass [1].
        loss_kernels: kernels of the loss, and of all else that a micro-batch asks of the host once [1].
        cast_bytes, cast_block_bytes: traffic of a cast to a narrow format per element, with one scale a tensor and one a block [B].
        permute_bytes: traffic of sorting tokens to experts and back, per routed element and pass [B].
        launch: host time per kernel [s].
        dispatcher: how tokens reach their experts where the plan doesn't say.
        expert_launches: "apart" where every expert's product is a kernel of its own, "together" where one kernel multiplies for all experts
            of an accelerator.
        routing_wait, fused_routing_wait: time that a pass of a routed layer waits until the host knows how many tokens each expert got
            and has launched them, by dispatcher [s].
        alltoall, fused_exchange: bandwidth of the network library's all-to-all, and of a fused dispatcher, over that of rings [1].
        host_spread: standard deviation over mean of a host's time: ranks that sum a layer together wait for the slowest [1].
        sharpness: exponent of the soft maximum of host and chip [1].
        scale_up, scale_out: share of the links' data-sheet bandwidth that large messages reach [1].
        inside_latency, outside_latency: time of one hop inside a scale-up domain and between domains [s].
        overlap_tp, overlap_ep, overlap_cp, overlap_dp: share of each kind of exchange that hides behind compute that could hide it [1].
        overlap_ep_beside: the same for exchanges with experts where the plan, or a schedule of paired slots, lets another micro-batch's
            pass run beside them [1].
        exchange_processors: share of the processors lent to exchanges while they are hidden [1].
        paired_idle: share of a slot of two passes side by side in which neither computes, because both wait for tokens [1].
        domains_per_token: scale-up domains a token may reach; 0 for all [1].
        deduplication: what receives one copy of a token from a fused dispatcher, however many of the token's experts it holds: a rank,
            a domain, or "none".
        imbalance: load of the busiest expert group over the mean [1].
        jitter: slow-down per doubling of accelerators above one node [1].
        rated_power: power the shares were fitted at; 0 for the chip's own [W].
        power_exponent, power_exponent_narrow: the speed of products goes with (power / rated power) to this exponent, for BF16 and for
            narrower formats [1].
        factor: the source's factor over everything: what none of the mechanisms explains [1].
        tags: how each number is known; a name left out is prior-only.

    Raises:
        SpecError: a tag on no field, or no such tag.

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
    processors: Annotated[Num, Unit("", "processors that take tiles", ge=1)] = 132.0
    wave: Annotated[Num, Unit("", "weight of the last wave's idle processors", ge=0, le=1)] = 0.5
    misaligned: Annotated[Num, Unit("", "speed kept without 16-byte rows", gt=0, le=1)] = 0.5
    grouped: Annotated[Num, Unit("", "grouped over single products", gt=0)] = 0.8
    weight_gradient: Annotated[Num, Unit("", "products by weight over forward ones", gt=0)] = 1.0
    weight_gradient_block: Annotated[Num, Unit("", "the same with one scale a block", gt=0)] = 1.0
    attention_forward: Share = 0.6
    attention_backward: Share = 0.5
    half_head: Annotated[Num, Unit("element", "head width at half speed", ge=0)] = 40.0
    half_length: Annotated[Num, Unit("token", "sequence length at half speed", ge=0)] = 300.0
    wide_backward: Annotated[Num, Unit("", "speed kept by backward of wide heads", gt=0, le=1)] = 1.0
    keys_tile: Annotated[Num, Unit("token", "keys of a tile", ge=0)] = 128.0
    backward_flops: Annotated[Num, Unit("", "backward over forward FLOPs", ge=2)] = 2.5
    score_bytes: Annotated[Num, Unit("B", "per score and pass", ge=0)] = 12.0
    memory: Fraction = 0.85
    elementwise: Annotated[Num, Unit("", "passes over the streams", ge=0)] = 1.0
    elementwise_backward: Annotated[Num, Unit("", "backward over forward traffic", ge=0)] = 1.5
    loss_kernels: Annotated[Num, Unit("", "kernels of a micro-batch's loss", ge=0)] = 2.0
    cast_bytes: Annotated[Num, Unit("B", "per cast element, one scale a tensor", ge=0)] = 4.0
    cast_block_bytes: Annotated[Num, Unit("B", "per cast element, one scale a block", ge=0)] = 4.0
    permute_bytes: Annotated[Num, Unit("B", "per routed element and pass", ge=0)] = 6.0
    launch: Annotated[Num, Unit("s", "host time per kernel", ge=0)] = 5e-6
    dispatcher: Dispatcher = "alltoall"
    expert_launches: Literal["apart", "together"] = "apart"
    routing_wait: Annotated[Num, Unit("s", "per routed layer and pass", ge=0)] = 0.0
    fused_routing_wait: Annotated[Num, Unit("s", "per routed layer and pass", ge=0)] = 0.0
    alltoall: Annotated[Num, Unit("", "all-to-all over rings", gt=0, le=1)] = 1.0
    fused_exchange: Annotated[Num, Unit("", "fused dispatcher over rings", gt=0, le=1)] = 1.0
    host_spread: Annotated[Num, Unit("", "deviation over mean of a host's time", ge=0)] = 0.0
    sharpness: Annotated[Num, Unit("", "exponent of the soft maximum", ge=1)] = 4.0
    scale_up: Fraction = 0.75
    scale_out: Fraction = 0.85
    inside_latency: Annotated[Num, Unit("s", "one hop inside a domain", ge=0)] = 2e-6
    outside_latency: Annotated[Num, Unit("s", "one hop between domains", ge=0)] = 8e-6
    overlap_tp: Overlap = 0.0
    overlap_ep: Overlap = 0.0
    overlap_ep_beside: Overlap = 0.0
    overlap_cp: Overlap = 0.8
    overlap_dp: Overlap = 0.8
    exchange_processors: Annotated[Num, Unit("", "share of processors lent to exchanges", ge=0, lt=1)] = 0.0
    paired_idle: Annotated[Num, Unit("", "share of paired slots without compute", ge=0, lt=1)] = 0.0
    domains_per_token: Annotated[Num, Unit("", "domains a token may reach; 0 for all", ge=0)] = 0.0
    deduplication: Literal["none", "rank", "domain"] = "none"
    imbalance: Annotated[Num, Unit("", "busiest over mean load of experts", ge=1)] = 1.0
    jitter: Annotated[Num, Unit("", "slow-down per doubling above a node", ge=0)] = 0.0
    rated_power: Annotated[Num, Unit("W", "the shares were fitted at; 0 for the chip's own", ge=0)] = 0.0
    power_exponent: Annotated[Num, Unit("", "of power over rated power, BF16", ge=0)] = 0.0
    power_exponent_narrow: Annotated[Num, Unit("", "of power over rated power, narrower formats", ge=0)] = 0.0
    factor: Annotated[Num, Unit("", "of the source", gt=0)] = 1.0
    tags: Annotated[Mapping[str, Tag], Field(strict=False), AfterValidator(frozen)] = Field(default_factory=ReadOnlyDict)

    @model_validator(mode="after")
    def _known(self) -> Self:
        for field in self.tags:
            if field not in type(self).model_fields:
                raise SpecError(
                    f"tags.{field}", field, "is no number of a Stack", did_you_mean(field, self.numbers(), "numbers"), "unknown-field"
                )
        return self

    def _comparison_fields(self) -> Mapping[str, Any]:
        return {**super()._comparison_fields(), "tags": tuple(sorted(self.tags.items()))}

    def tag(self, field: str) -> Tag:
        """How a number of the stack is known; prior-only where nobody said otherwise.

        Raises:
            SpecError: no such number.
        """
        if field not in self.numbers():
            raise SpecError(field, field, "is no number of a Stack", did_you_mean(field, self.numbers(), "numbers"), "unknown-field")
        return self.tags.get(field, "prior-only")

    def share(self, number_format: str) -> Num:
        """Share of the dense peak that large products reach in a number format.

        Raises:
            SpecError: a format the stack has no share for.
        """
        field = {"bf16": "bf16", "fp16": "bf16", "fp8": "fp8", "fp4": "fp4"}.get(number_format)
        if field is None:
            raise SpecError(
                "precision", number_format, f"is no number format of the stack {self.name}", "formats: bf16, fp16, fp8, fp4", "unknown-name"
            )
        share: Num = getattr(self, field)
        return share
