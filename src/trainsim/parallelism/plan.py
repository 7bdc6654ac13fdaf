"""Plan: how a model and its batch are distributed over accelerators."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from ..cluster.stack import Dispatcher
from ..core.errors import SpecError
from ..core.registry import with_registered_attributes
from ..core.spec import AsTuple, Count, Spec, invariant
from ..model.feedforward import MixtureOfExperts
from ..model.layers import Block
from ..model.transformer import Model
from .offload import Offload
from .optimizer import Optimizer, OptimizerField, optimizer_of
from .precision import Precision, PrecisionField, recipe_of
from .schedules.discovery import ScheduleField, default_schedule, schedule_of
from .schedules.schedule import Schedule

Recompute = Literal["none", "selective", "full"]
Switch = Literal["off", "on"]
Loss = Literal["chunked", "fused", "vocab-parallel", "plain"]
Elementwise = Literal["fused", "eager"]
Routing = Literal["even", "random", "learned"]
ContextExchange = Literal["ring", "all-gather", "all-to-all"]
"""How context-parallel ranks exchange keys and values: around a ring, by an all-gather, or by an all-to-all that distributes heads."""
Exchange = Literal["tp", "ep", "cp", "dp", "weights"]
"""Exchanges: tensor (activations), expert (tokens), context (keys and values), data (gradients), weights (gathers under ZeRO)."""


@with_registered_attributes
class Plan(Spec):
    """The layout: degrees of parallelism, micro-batch, sharding, recompute, schedule, precision, optimizer.

    Args:
        tp, pp, ep, cp: degrees of tensor, pipeline, expert and context parallelism.
        dp: degree of data parallelism; None for what the other degrees leave of the cluster.
        vpp: stages per pipeline rank, for schedules that leave this to the plan.
        expert_tp: tensor parallelism inside the experts; None for ``tp`` if ``ep`` is 1, else for 1.
        micro_batch: sequences per micro-batch.
        zero: ZeRO stage, what data parallelism shards: nothing (0), optimizer states (1), also gradients (2), also weights (3).
        shard: data-parallel ranks that shard one copy under ZeRO; None for all of them, fewer for hybrid sharding.
        sequence_parallel: whether tensors that tensor parallelism replicates are split along the sequence.
        recompute: activations that the backward pass recomputes: none, those of named parts, or all.
        recompute_parts: parts that "selective" recomputes: ``core`` (attention scores), names of ops or sections, or ``ops`` (torchtitan's
            selective checkpointing by op: all but attention and every second product that is not grouped).
        recompute_layers: layers per stage that "full" recomputes; None for all.
        schedule: a pipeline schedule or its name; the default is 1F1B, interleaved if ``vpp`` is above 1.
        stage_layers: layers of each stage, in data-flow order; empty for a balanced default.
        attention: "fused" keeps attention scores on the chip, "unfused" stores them.
        dispatcher: how tokens reach their experts: ``alltoall`` sends a copy for every expert, ``fused`` one copy to each receiver (DeepEP,
            HybridEP); None for the stack's default.
        routing: loads of the experts: "even"; "random", by chance alone, as under Megatron-LM's forced load balancing; or "learned", by
            chance and by the spread of a learned router, ``Stack.expert_spread``.
        capacity_factor: largest number of tokens that an expert takes, relative to an even share; it drops the others. None drops no
            token [1].
        capacity_padding: whether every expert's input is padded to its capacity, so that its size is known before the tokens are routed.
        expert_overlap: whether expert exchanges run beside the pass of another micro-batch; schedules with paired passes always do this.
        cp_exchange: how context-parallel ranks exchange keys and values: around a ring, which overlaps attention; by an all-gather; or by
            an all-to-all that distributes heads. The latter two do not overlap.
        cp_order: "balanced" gives each rank a block from both ends of a sequence, so that a causal mask costs all ranks the same;
            "contiguous" gives each rank one block.
        overlap: exchanges that may overlap compute, of ``tp``, ``ep``, ``cp``, ``dp`` (gradients) and ``weights`` (their gathers under
            ZeRO); None for those that the stack overlaps, empty for none.
        graphs: parts of a layer captured in CUDA graphs: names as in ``recompute_parts``, ``layer`` for whole layers, ``step`` for all.
        elementwise: "fused" if norms and gates are fused kernels; "eager" if they are the framework's own ops, which save an FP32 copy of a
            norm's input and every intermediate result. The stack has their speed.
        dropout: whether dropout masks are saved for the backward pass.
        loss: implementation of softmax and cross-entropy: a fused kernel, chunks of tokens (Liger Kernel), Megatron-LM's vocab-parallel
            one, or plain PyTorch.
        precision: precision recipe, or its name.
        optimizer: optimizer, or its name.
        offload: tensors stored in host memory; None for none.

    Raises:
        SpecError: the ranks or stages do not suit the schedule.

    >>> Plan(pp=16, ep=64, zero=1, schedule="dualpipe").tp
    1
    """

    tp: Count = 1
    pp: Count = 1
    dp: Count | None = None
    ep: Count = 1
    cp: Count = 1
    vpp: Count = 1
    expert_tp: Count | None = None
    micro_batch: Count = 1
    zero: Annotated[int, Field(ge=0, le=3)] = 0
    shard: Count | None = None
    sequence_parallel: Switch = "off"
    recompute: Recompute = "none"
    recompute_parts: Annotated[tuple[str, ...], AsTuple] = ("core",)
    recompute_layers: Annotated[int, Field(ge=0, le=10**4)] | None = None
    schedule: ScheduleField = "1f1b"
    stage_layers: Annotated[tuple[int, ...], AsTuple] = ()
    attention: Literal["fused", "unfused"] = "fused"
    dispatcher: Dispatcher | None = None
    routing: Routing = "even"
    capacity_factor: Annotated[float, Field(gt=0)] | None = None
    capacity_padding: Switch = "off"
    expert_overlap: Switch = "off"
    cp_exchange: ContextExchange = "ring"
    cp_order: Literal["balanced", "contiguous"] = "balanced"
    overlap: Annotated[tuple[Exchange, ...], AsTuple] | None = None
    graphs: Annotated[tuple[str, ...], AsTuple] = ()
    elementwise: Elementwise = "fused"
    dropout: Switch = "off"
    loss: Loss = "fused"
    precision: PrecisionField = "bf16"
    optimizer: OptimizerField = "adamw"
    offload: Offload | None = None

    @model_validator(mode="before")
    @classmethod
    def _usual_schedule(cls, fields: Any) -> Any:
        vpp = fields.get("vpp") if isinstance(fields, dict) else None
        if isinstance(vpp, int) and vpp > 1 and "schedule" not in fields:
            return {**fields, "schedule": default_schedule(vpp).name}
        return fields

    @invariant
    def _consistent(self) -> Self:
        self.pass_order.check_ranks(self.pp, self.vpp)
        if self.expert_overlap == "on" and not self.pass_order.pass_beside(self.pp):
            rule = f"needs another pass to overlap with, and {self.pass_order.name} on {self.pp} ranks has none"
            raise SpecError("expert_overlap", "on", rule, "give vpp >= 2, or pp=1, or leave it off", "unsupported")
        if self.capacity_padding == "on" and self.capacity_factor is None:
            raise SpecError(
                "capacity_padding", "on", "needs a capacity factor to pad to", "give capacity_factor=1.0, or leave it off", "conflict"
            )
        if self.capacity_padding == "on" and self.dispatcher == "fused":
            rule = "is not possible with fused dispatchers, which send no padding"
            raise SpecError("capacity_padding", "on", rule, "dispatcher='alltoall'", "unsupported")
        if self.stage_layers and len(self.stage_layers) != self.stages:
            rule = f"has {len(self.stage_layers)} numbers for {self.stages} stages"
            raise SpecError("stage_layers", self.stage_layers, rule, "give one number per stage, or none", "conflict")
        return self

    @property
    def stages(self) -> int:
        """Number of pipeline stages; a rank may have several.

        >>> Plan(pp=4, vpp=2, schedule="interleaved").stages
        8
        """
        return self.pass_order.stages(self.pp, self.vpp)

    @property
    def pass_order(self) -> Schedule:
        """The schedule, looked up if ``schedule`` is a name."""
        return schedule_of(self.schedule)

    @property
    def recipe(self) -> Precision:
        """The precision recipe, looked up if ``precision`` is a name."""
        return recipe_of(self.precision)

    @property
    def update_rule(self) -> Optimizer:
        """The optimizer, looked up if ``optimizer`` is a name."""
        return optimizer_of(self.optimizer)

    @property
    def expert_load(self) -> float:
        """Rows of the experts under a balanced router, relative to those without a capacity: ``min(c, 1)``, or ``c`` if padded.

        Source: Fedus et al. 2022 (arXiv:2101.03961), section 2.2; Megatron-Core ``moe_utils.get_capacity``.

        >>> Plan(capacity_factor=1.25).expert_load, Plan(capacity_factor=1.25, capacity_padding="on").expert_load
        (1.0, 1.25)
        """
        if self.capacity_factor is None:
            return 1.0
        return self.capacity_factor if self.capacity_padding == "on" else min(self.capacity_factor, 1.0)

    @property
    def expert_tp_degree(self) -> int:
        """Degree of tensor parallelism inside the experts."""
        return self.expert_tp if self.expert_tp is not None else (self.tp if self.ep == 1 else 1)

    def _comparison_fields(self) -> Mapping[str, Any]:
        """Compare the effective ``expert_tp``, so that a default equals the same value given explicitly."""
        return {**super()._comparison_fields(), "expert_tp": self.expert_tp_degree}

    if TYPE_CHECKING:  # trainsim/__init__.py registers these methods, so that this module does not import frameworks
        from_megatron: ClassVar[Callable[[Mapping[str, Any] | Sequence[str] | str], Plan]]
        to_megatron: ClassVar[Callable[[Plan], list[str]]]
        from_torchtitan: ClassVar[Callable[[str | Mapping[str, Any]], Plan]]
        to_torchtitan: ClassVar[Callable[[Plan], str]]


@lru_cache(maxsize=1024)
def check_plan(plan: Plan, model: Model, gpus: int) -> None:
    """Check that a layout is possible for a model on a number of accelerators.

    Raises:
        SpecError: a degree does not fit; the error names values that would.
    """
    blocks, stages, layers = _blocks(model), plan.stages, model.layers
    for block in blocks:
        _check_block(plan, block)
    if not any(isinstance(block.ffn, MixtureOfExperts) for block in blocks):
        if plan.ep > 1:
            raise SpecError("plan.ep", plan.ep, "needs a model with experts", "set plan.ep=1", "unsupported")
        if plan.capacity_factor is not None:
            raise SpecError("plan.capacity_factor", plan.capacity_factor, "needs a model with experts", "leave it out", "unsupported")
        if plan.routing != "even":
            raise SpecError("plan.routing", plan.routing, "needs a model with experts", "leave it out", "unsupported")
    if stages > layers and not plan.stage_layers:
        path = "plan.pp" if stages == plan.pp else "plan.pp·vpp"
        raise SpecError(path, stages, f"is above the model's {layers} layers", f"give at most {layers}", "out-of-bounds")
    if plan.stage_layers and sum(plan.stage_layers) != layers:
        from .placement import spread_layers  # slow to import, and needed for this error only

        remedy = f"leave it out to get the default {spread_layers(model, stages)}, or make it add up to {layers}"
        raise SpecError("plan.stage_layers", plan.stage_layers, f"does not add up to the model's {layers} layers", remedy, "conflict")
    group = plan.tp * plan.pp * plan.cp
    if gpus % group:
        raise _divide("plan.tp·pp·cp", group, "cluster.gpus", gpus)
    dp = gpus // group
    if plan.dp is not None and plan.dp != dp:
        raise SpecError(
            "plan.dp",
            plan.dp,
            f"does not fill the cluster: {gpus} / (tp·pp·cp = {group}) is {dp}",
            f"set plan.dp={dp}, or leave it out",
            "conflict",
        )
    ranks = dp * plan.tp * plan.cp
    if ranks % plan.ep:
        raise _divide("plan.ep", plan.ep, "the ranks of one pipeline stage", ranks)
    if ranks % (plan.ep * plan.expert_tp_degree):
        raise _divide("plan.expert_tp", plan.expert_tp_degree, "the ranks of one stage over plan.ep", ranks // plan.ep)
    if plan.shard is not None and (dp * plan.cp) % plan.shard:
        raise _divide("plan.shard", plan.shard, "the data-parallel ranks", dp * plan.cp)


def data_parallel(plan: Plan, gpus: int) -> int:
    """Data-parallel degree on a number of accelerators: ``gpus / (tp · pp · cp)``."""
    return plan.dp if plan.dp is not None else gpus // (plan.tp * plan.pp * plan.cp)


def micro_batches(plan: Plan, batch: float, gpus: int) -> int:
    """Micro-batches of one pipeline in one optimizer step: ``batch / (dp · micro_batch)``.

    Raises:
        SpecError: the batch is not divisible, or the schedule does not support the number of micro-batches.

    >>> micro_batches(Plan(pp=16, ep=64, schedule="dualpipe"), 15360, 2048)
    120
    """
    each = data_parallel(plan, gpus) * plan.micro_batch
    if batch % each:
        near = [n for n in (batch // each * each, (batch // each + 1) * each) if n]
        rule = f"is not a multiple of plan.dp·micro_batch = {each}"
        raise SpecError("batch", batch, rule, f"nearest: {', '.join(f'{n:g}' for n in near)}", "conflict")
    count = int(batch // each)
    if plan.pp > 1:
        plan.pass_order.check(plan.pp, plan.vpp, count)
    return count


def _blocks(model: Model) -> list[Block]:
    """Every block of the model, including that of its prediction modules."""
    return [kind.block for kind in model.stack] + ([] if model.mtp is None else [model.mtp.block])


def _check_block(plan: Plan, block: Block) -> None:
    heads, kv_heads = getattr(block.attention, "heads", None), getattr(block.attention, "kv_heads", None)
    if heads is not None and heads % plan.tp:
        raise _divide("plan.tp", plan.tp, "model.heads", heads)
    if kv_heads is not None and kv_heads % plan.tp and plan.tp % kv_heads:
        raise _divide("plan.tp", plan.tp, "model.kv_heads", kv_heads)
    if isinstance(block.ffn, MixtureOfExperts):
        if block.ffn.experts % plan.ep:
            raise _divide("plan.ep", plan.ep, "model.experts", block.ffn.experts)
        if block.ffn.width % plan.expert_tp_degree:
            raise _divide("plan.expert_tp", plan.expert_tp_degree, "the experts' width", block.ffn.width)
    elif (width := getattr(block.ffn, "width", None)) is not None and width % plan.tp:
        raise _divide("plan.tp", plan.tp, "the feed-forward width", width)


def _divide(path: str, value: int, other: str, whole: int) -> SpecError:
    fitting = [d for d in range(1, whole + 1) if whole % d == 0]
    near = sorted(sorted(fitting, key=lambda d: abs(d - value))[:4]) if len(fitting) > 8 else fitting
    return SpecError(
        path,
        value,
        f"does not divide {other}={whole}",
        f"divisors{' nearby' if near != fitting else ''}: {', '.join(map(str, near))}",
        "conflict",
    )
