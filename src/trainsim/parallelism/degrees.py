"""A layout's degrees as numbers, and the tokens that an accelerator has under them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from ..core.units import Num
from .plan import Plan, Switch, data_parallel


@dataclass(frozen=True)
class Degrees:
    """A layout's degrees as numbers or arrays that broadcast; ``pp`` and ``vpp`` stay with the plan, being structure.

    Args:
        tp, dp, ep, cp, expert_tp: as in a :class:`Plan` [1].
        shard: ranks that share one copy under ZeRO [1].
        micro_batch: sequences of a pipeline slot [sequence].
        seq_len: tokens of a sequence [token].
        micro_batches: of one pipeline in a step [1].
    """

    tp: Num
    dp: Num
    ep: Num
    cp: Num
    expert_tp: Num
    shard: Num
    micro_batch: Num
    seq_len: Num
    micro_batches: Num

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

    def along(self, sequence_parallel: Switch) -> Num:
        """Tokens that an accelerator has of streams that tensor parallelism leaves whole."""
        return {"on": self.split_tokens, "off": self.tokens}[sequence_parallel]


def degrees_of(plan: Plan, gpus: int, seq_len: Num, batch: Num) -> Degrees:
    """A plan's own degrees on so many accelerators.

    Args:
        plan: the layout.
        gpus: accelerators.
        seq_len: tokens of a sequence [token].
        batch: sequences of an optimizer step [sequence]; whether the plan can split it is :func:`micro_batches`' to say.

    >>> degrees_of(Plan(pp=16, ep=64, schedule="dualpipe"), 2048, 4096.0, 15360.0).micro_batches
    120.0
    """
    dp = float(data_parallel(plan, gpus))
    shard = float(plan.shard) if plan.shard is not None else dp * plan.cp
    return Degrees(
        tp=float(plan.tp), dp=dp, ep=float(plan.ep), cp=float(plan.cp), expert_tp=float(plan.expert_tp_degree), shard=shard,
        micro_batch=float(plan.micro_batch), seq_len=seq_len, micro_batches=batch / (dp * plan.micro_batch),
    )  # fmt: skip
