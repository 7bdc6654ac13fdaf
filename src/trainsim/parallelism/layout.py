"""The layout of a step: the degrees and tokens of a plan as numbers that broadcast, with its settings."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, get_args

from ..cluster.stack import Dispatcher
from ..core.sharing import cached_for_scalars
from ..core.units import Num
from ..model.documents import Documents
from .offload import Offload
from .optimizer import AdamW, Optimizer
from .plan import ContextExchange, Exchange, Loss, Plan, Routing, Switch, data_parallel
from .precision import Precision, recipe_of

BF16, ADAMW, EXCHANGES = recipe_of("bf16"), AdamW(), frozenset[str](get_args(Exchange))


@dataclass(frozen=True, eq=False, kw_only=True)
class Degrees:
    """Degrees as numbers or arrays that broadcast.

    Args:
        tp, dp, ep, cp, expert_tp: as in a :class:`~.plan.Plan` [1].
        shard: data-parallel ranks that shard one copy under ZeRO; None for all of them [1].
        micro_batch: sequences per micro-batch [sequence].
        seq_len: sequence length [token].
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
        """Tokens of a micro-batch on one context-parallel rank [token]."""
        return self.micro_batch * self.seq_len / self.cp

    @cached_property
    def split_tokens(self) -> Num:
        """Tokens of a micro-batch on one context-parallel rank, divided by tensor parallelism [token]."""
        return self.tokens / self.tp

    @cached_property
    def routed_tokens(self) -> Num:
        """Tokens that the experts of one accelerator process for ``top_k = 1`` [token]; multiply by the model's ``top_k``."""
        return self.split_tokens * self.expert_tp

    @cached_property
    def keys(self) -> Num:
        """Pairs of query and key on one accelerator under full attention [1]."""
        return self.split_tokens * self.seq_len

    @property
    def sharing(self) -> Num:
        """Ranks that shard one copy under ZeRO [1]."""
        return self.dp * self.cp if self.shard is None else self.shard

    def micro_batches(self, batch: Num) -> Num:
        """Micro-batches of one pipeline in a step [1]. The number may be fractional; :func:`~.plan.micro_batches` rejects fractions."""
        return batch / (self.dp * self.micro_batch)

    def along(self, sequence_parallel: Switch) -> Num:
        """Tokens per accelerator of the tensors that tensor parallelism replicates [token]; sequence parallelism divides them."""
        return {"on": self.split_tokens, "off": self.tokens}[sequence_parallel]


@dataclass(frozen=True, eq=False, kw_only=True)
class Layout(Degrees):
    """A layout as numbers: degrees, which may be arrays ``(n,)``, and settings, which may not.

    Args:
        gpus: total number of accelerators.
        pp, vpp: pipeline ranks, and stages per rank.
        sequence_split: ranks that divide the tokens of replicated tensors: tp with sequence parallelism, else 1.
        documents: length of the documents packed into a sequence, which attend only within themselves [token].
        recomputed: parts that the backward pass recomputes.
        graphs: parts of a layer that are captured in CUDA graphs.
        dispatcher: how tokens reach their experts; None for the stack's default.
        routing: whether the loads of experts are even, vary by chance, or also by the spread of a learned router.
        capacity_factor, capacity_padding: largest load of an expert relative to an even share, infinite if no token is dropped [1]; whether
            experts are padded to it.
        expert_overlap: whether expert exchanges run beside the pass of another micro-batch.
        cp_exchange, cp_order: how context-parallel ranks exchange keys and values, and which blocks of a sequence each rank has.
        overlap: exchanges that may overlap compute.
        recipe: number formats.
        optimizer: the optimizer.
        loss: implementation of softmax and cross-entropy.
        stage_layers: layers of each stage, in data-flow order; empty for :func:`~trainsim.parallelism.placement.spread_layers`.
        recompute_layers: layers per stage that "full" recomputes; None for all.
        offload: tensors stored in host memory; None for none.
        attention: "fused" keeps scores on the chip, if the stack has fused kernels.
    """

    gpus: Num
    pp: int
    vpp: int
    sequence_split: Num
    recomputed: frozenset[str] = frozenset()
    recipe: Precision = BF16
    optimizer: Optimizer = ADAMW
    loss: Loss = "fused"
    documents: Num | Documents | None = None
    attention: Literal["fused", "unfused"] = "fused"
    graphs: frozenset[str] = frozenset()
    dispatcher: Dispatcher | None = None
    routing: Routing = "even"
    capacity_factor: Num = math.inf
    capacity_padding: Switch = "off"
    expert_overlap: Switch = "off"
    cp_exchange: ContextExchange = "ring"
    cp_order: Literal["balanced", "contiguous"] = "balanced"
    overlap: frozenset[str] = EXCHANGES
    stage_layers: tuple[int, ...] = ()
    recompute_layers: int | None = None
    offload: Offload | None = None


def degrees_of(plan: Plan, gpus: int, seq_len: Num) -> Degrees:
    """The degrees of a plan on a number of accelerators.

    Args:
        plan: the layout.
        gpus: number of accelerators.
        seq_len: sequence length [token].

    >>> degrees_of(Plan(pp=16, ep=64, schedule="dualpipe"), 2048, 4096.0).micro_batches(15360.0)
    120.0
    """
    return Degrees(
        tp=float(plan.tp), dp=float(data_parallel(plan, gpus)), ep=float(plan.ep), cp=float(plan.cp),
        expert_tp=float(plan.expert_tp_degree), shard=None if plan.shard is None else float(plan.shard),
        micro_batch=float(plan.micro_batch), seq_len=seq_len,
    )  # fmt: skip


def layout_of(plan: Plan, gpus: int, seq_len: Num, documents: Num | Documents | None = None) -> Layout:
    """The layout of a plan on a number of accelerators.

    Args:
        plan, gpus, seq_len: as for :func:`degrees_of`.
        documents: length of the documents packed into a sequence; None for one document per sequence [token].
    """
    return Layout(**_settings(plan), dp=float(data_parallel(plan, gpus)), gpus=float(gpus), seq_len=seq_len, documents=documents)


def layout_of_layers(plan: Plan, seq_len: Num, documents: Num | Documents | None) -> Layout:
    """The layout of a plan for formulas of single layers; ``gpus`` and ``dp`` are NaN, so that a formula that used them would give NaN."""
    return Layout(**_settings(plan), dp=math.nan, gpus=math.nan, seq_len=seq_len, documents=documents)


@cached_for_scalars
def _settings(plan: Plan) -> dict[str, Any]:
    """Fields of a layout that follow from the plan alone."""
    recomputed: dict[str, frozenset[str]] = {"none": frozenset(), "selective": frozenset(plan.recompute_parts), "full": frozenset({"full"})}
    return {
        "tp": float(plan.tp), "ep": float(plan.ep), "cp": float(plan.cp), "expert_tp": float(plan.expert_tp_degree),
        "shard": None if plan.shard is None else float(plan.shard), "micro_batch": float(plan.micro_batch),
        "pp": plan.pp, "vpp": plan.vpp, "sequence_split": {"on": float(plan.tp), "off": 1.0}[plan.sequence_parallel],
        "attention": plan.attention, "graphs": frozenset(plan.graphs), "dispatcher": plan.dispatcher, "expert_overlap": plan.expert_overlap,
        "routing": plan.routing,
        "capacity_factor": math.inf if plan.capacity_factor is None else plan.capacity_factor, "capacity_padding": plan.capacity_padding,
        "cp_exchange": plan.cp_exchange, "cp_order": plan.cp_order,
        "overlap": EXCHANGES if plan.overlap is None else frozenset(plan.overlap),
        "stage_layers": plan.stage_layers, "recompute_layers": plan.recompute_layers, "offload": plan.offload,
        "recomputed": recomputed[plan.recompute], "recipe": plan.recipe, "optimizer": plan.update_rule, "loss": plan.loss,
    }  # fmt: skip
