"""A plan as numbers: its degrees, the tokens that an accelerator has under them, and what a step asks of its structure."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

from ..cluster.stack import Dispatcher
from ..core.units import Num
from ..model.documents import Documents
from .offload import Offload
from .optimizer import AdamW, Optimizer
from .plan import ContextExchange, Exchange, Loss, Plan, Switch, data_parallel
from .precision import Precision, recipe_of

BF16, ADAMW, EXCHANGES = recipe_of("bf16"), AdamW(), frozenset[str](get_args(Exchange))


@dataclass(frozen=True, eq=False, kw_only=True)
class Degrees:
    """Degrees as numbers or arrays that broadcast.

    Args:
        tp, dp, ep, cp, expert_tp: as in a :class:`~.plan.Plan` [1].
        shard: data-parallel ranks that share one copy under ZeRO; None for all of them [1].
        micro_batch: sequences of a pipeline slot [sequence].
        seq_len: tokens of a sequence [token].
    """

    tp: Num
    dp: Num
    ep: Num
    cp: Num
    expert_tp: Num = 1.0
    shard: Num | None = None
    micro_batch: Num
    seq_len: Num

    @cached_property
    def tokens(self) -> Num:
        """Tokens of a micro-batch on one context-parallel rank."""
        return self.micro_batch * self.seq_len / self.cp

    @cached_property
    def split_tokens(self) -> Num:
        """The same, shared by the tensor-parallel ranks."""
        return self.tokens / self.tp

    @cached_property
    def routed_tokens(self) -> Num:
        """Those that an accelerator's experts work on, for each expert that a token meets."""
        return self.split_tokens * self.expert_tp

    @cached_property
    def keys(self) -> Num:
        """Keys that those of an accelerator meet, where each meets the whole sequence."""
        return self.split_tokens * self.seq_len

    @property
    def sharing(self) -> Num:
        """Ranks that share one copy under ZeRO."""
        return self.dp * self.cp if self.shard is None else self.shard

    def micro_batches(self, batch: Num) -> Num:
        """Micro-batches of one pipeline in a step of so many sequences; whether they are whole is :func:`~.plan.micro_batches`' to say."""
        return batch / (self.dp * self.micro_batch)

    def along(self, sequence_parallel: Switch) -> Num:
        """Tokens that an accelerator has of streams that tensor parallelism leaves whole."""
        return {"on": self.split_tokens, "off": self.tokens}[sequence_parallel]


@dataclass(frozen=True, eq=False, kw_only=True)
class Layout(Degrees):
    """A layout as numbers: degrees, which may be arrays ``(n,)``, and structure, which may not.

    Args:
        gpus: accelerators in all.
        pp, vpp: pipeline ranks, and stages of each.
        sequence_split: tensor-parallel ranks that share the work on whole streams (sequence parallelism): tp, or 1.
        documents: tokens of the documents packed into a sequence, which attend only within themselves [token].
        again: what backward computes again.
        graphs: parts of a layer that the host launches as one.
        dispatcher: how tokens reach their experts; None for the stack's own way.
        expert_overlap: whether their exchanges run beside another micro-batch's pass.
        cp_exchange, cp_order: how context-parallel ranks meet each other's keys, and which blocks of a sequence they hold.
        overlap: exchanges that may hide behind compute.
        recipe: number formats.
        optimizer: what updates the parameters.
        loss: how softmax and cross-entropy are computed.
        stage_layers: layers of each stage, in the order data flows; empty for :func:`~trainsim.parallelism.placement.spread_layers`.
        recompute_layers: layers of a stage that "full" computes again; None for all.
        offload: what rests on the host; None for nothing.
        attention: whether the plan keeps scores on chip, where the stack can; a stack without fused kernels never does.
    """

    gpus: Num
    pp: int
    vpp: int
    sequence_split: Num
    again: frozenset[str] = frozenset()
    recipe: Precision = BF16
    optimizer: Optimizer = ADAMW
    loss: Loss = "fused"
    documents: Num | Documents | None = None
    attention: Literal["fused", "unfused"] = "fused"
    graphs: frozenset[str] = frozenset()
    dispatcher: Dispatcher | None = None
    expert_overlap: Switch = "off"
    cp_exchange: ContextExchange = "ring"
    cp_order: Literal["balanced", "contiguous"] = "balanced"
    overlap: frozenset[str] = EXCHANGES
    stage_layers: tuple[int, ...] = ()
    recompute_layers: int | None = None
    offload: Offload | None = None


def degrees_of(plan: Plan, gpus: int, seq_len: Num) -> Degrees:
    """A plan's own degrees on so many accelerators.

    Args:
        plan: the layout.
        gpus: accelerators.
        seq_len: tokens of a sequence [token].

    >>> degrees_of(Plan(pp=16, ep=64, schedule="dualpipe"), 2048, 4096.0).micro_batches(15360.0)
    120.0
    """
    return Degrees(
        tp=float(plan.tp), dp=float(data_parallel(plan, gpus)), ep=float(plan.ep), cp=float(plan.cp),
        expert_tp=float(plan.expert_tp_degree), shard=None if plan.shard is None else float(plan.shard),
        micro_batch=float(plan.micro_batch), seq_len=seq_len,
    )  # fmt: skip


def layout_of(plan: Plan, gpus: int, seq_len: Num, documents: Num | Documents | None = None) -> Layout:
    """A plan on so many accelerators as numbers.

    Args:
        plan, gpus, seq_len: as for :func:`degrees_of`.
        documents: tokens of the documents packed into a sequence; None for one document a sequence [token].
    """
    again: dict[str, frozenset[str]] = {"none": frozenset(), "selective": frozenset(plan.recompute_parts), "full": frozenset({"full"})}
    return Layout(
        **vars(degrees_of(plan, gpus, seq_len)),
        gpus=float(gpus), pp=plan.pp, vpp=plan.vpp, sequence_split={"on": float(plan.tp), "off": 1.0}[plan.sequence_parallel],
        attention=plan.attention, graphs=frozenset(plan.graphs), dispatcher=plan.dispatcher, expert_overlap=plan.expert_overlap,
        cp_exchange=plan.cp_exchange, cp_order=plan.cp_order,
        overlap=EXCHANGES if plan.overlap is None else frozenset(plan.overlap),
        stage_layers=plan.stage_layers, recompute_layers=plan.recompute_layers, offload=plan.offload,
        again=again[plan.recompute], recipe=plan.recipe, optimizer=plan.update_rule, loss=plan.loss, documents=documents,
    )  # fmt: skip
