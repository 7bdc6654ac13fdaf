"""The layout of a run over its accelerators."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ..cluster.hardware import Cluster
from ..errors import SpecError
from ..model.attention import GroupedQueryAttention, LatentAttention
from ..model.feedforward import MixtureOfExperts
from ..model.transformer import Model
from ..spec import Count, Spec

Recompute = Literal["none", "selective", "full"]


class Plan(Spec):
    """The layout: degrees of parallelism, micro-batch, sharding, recompute, schedule, precision, optimizer.

    Args:
        tp, pp, ep, cp: tensor, pipeline, expert, context parallelism.
        dp: data parallelism; None for what is left of the cluster.
        vpp: virtual stages per pipeline rank.
        micro_batch: sequences per pipeline slot.
        zero: ZeRO stage: what is sharded over data parallelism (0 nothing, 1 optimizer, 2 gradients, 3 weights).
        recompute: activations computed again in backward: none, the attention core, or all.
        schedule: order of forward and backward passes in the pipeline.
        precision: number format of the products.

    >>> Plan(pp=16, ep=64, zero=1, schedule="dualpipe").tp
    1
    """

    tp: Count = 1
    pp: Count = 1
    dp: Count | None = None
    ep: Count = 1
    cp: Count = 1
    vpp: Count = 1
    micro_batch: Count = 1
    zero: Annotated[int, Field(ge=0, le=3)] = 0
    recompute: Recompute = "none"
    schedule: Literal["gpipe", "1f1b", "interleaved", "zero-bubble", "dualpipe"] = "1f1b"
    precision: str = "bf16"
    optimizer: str = "adamw"


def check_plan(plan: Plan, model: Model, cluster: Cluster) -> None:
    """Whether a layout can exist for a model on a cluster.

    Raises:
        SpecError: names the degree, the rule and the values that would do.
    """
    for kind in model.stack:
        attention, ffn = kind.block.attention, kind.block.ffn
        if isinstance(attention, (GroupedQueryAttention, LatentAttention)) and attention.heads % plan.tp:
            raise _divide("plan.tp", plan.tp, "model.heads", attention.heads)
        if isinstance(ffn, MixtureOfExperts) and ffn.experts % plan.ep:
            raise _divide("plan.ep", plan.ep, "model.experts", ffn.experts)
    if plan.ep > 1 and not any(isinstance(kind.block.ffn, MixtureOfExperts) for kind in model.stack):
        raise SpecError("plan.ep", plan.ep, "the model has no experts to spread", "set plan.ep=1")
    if plan.pp > model.layers:
        raise SpecError("plan.pp", plan.pp, f"is above the model's {model.layers} layers", f"give at most {model.layers}")
    group = plan.tp * plan.pp * plan.cp
    if cluster.gpus % group:
        raise _divide("plan.tp·pp·cp", group, "cluster.gpus", cluster.gpus)
    dp = cluster.gpus // group
    if plan.dp is not None and plan.dp != dp:
        raise SpecError(
            "plan.dp",
            plan.dp,
            f"does not fill the cluster: {cluster.gpus} / (tp·pp·cp = {group}) is {dp}",
            f"set plan.dp={dp}, or leave it out",
        )
    if (dp * plan.tp * plan.cp) % plan.ep:
        raise _divide("plan.ep", plan.ep, "the ranks of one pipeline stage", dp * plan.tp * plan.cp)


def _divide(path: str, value: int, other: str, whole: int) -> SpecError:
    fitting = [d for d in range(1, whole + 1) if whole % d == 0]
    near = sorted(sorted(fitting, key=lambda d: abs(d - value))[:4]) if len(fitting) > 8 else fitting
    return SpecError(
        path, value, f"does not divide {other}={whole}", f"divisors{' nearby' if near != fitting else ''}: {', '.join(map(str, near))}"
    )
