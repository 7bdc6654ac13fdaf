"""Memory of the model state on a rank: weights, gradients and optimizer states, and the buffers they pass through."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache, reduce

import numpy as np

from ..core.ledger import Ledger
from ..core.units import Num, larger
from ..model.ops import Lookup
from ..model.trainable import BASE_BYTES
from ..model.transformer import Model
from ..parallelism.layout import Degrees
from ..parallelism.optimizer import Optimizer
from ..parallelism.plan import Plan
from ..parallelism.precision import Precision
from ..parallelism.shapes import is_expert_product, shapes_of
from .in_flight import pareto_maximal

GATHERED_LAYERS = 2.0
"""Number of layers whose gathered weights are in memory at once under ZeRO-3: the current one and the prefetched next one (PyTorch
FSDP2)."""


@dataclass(frozen=True)
class KindParameters:
    """Parameters of one layer of a kind with one role.

    Args:
        kind, role: kind of layer, and role of the ops.
        dense, experts: number of parameters outside and inside routed experts.
        owner: kind that stores the parameters; another kind if they are tied to its parameters.
        trainable: whether they are trained.
    """

    kind: str
    role: str
    dense: float
    experts: float
    owner: str
    trainable: bool


@lru_cache(maxsize=256)
def parameters_by_kind(model: Model) -> tuple[KindParameters, ...]:
    """Parameters of one layer of each kind by role, including tied parameters that another kind owns."""
    found: dict[tuple[str, str, str, bool], list[float]] = {}
    t = model.table
    for i, entry in enumerate(t.entries):
        op, kind = entry.op, entry.kind
        ends = "embedding" if isinstance(op, Lookup) or model.head.weights == "tied" else "head"
        owner = (getattr(op, "owner", "") or ends) if t.tied[i] else kind
        for stored_by, elements in ((owner, t.matrices[i]), (kind, t.vectors[i])):  # a tied matrix has a bias of its own
            sizes = found.setdefault((kind, str(t.roles[i]), stored_by, entry.trainable), [0.0, 0.0])
            sizes[is_expert_product(op)] += float(elements)
    return tuple(
        KindParameters(kind, role, dense, experts, owner, trained) for (kind, role, owner, trained), (dense, experts) in found.items()
    )


ZERO_STAGE = {"weights": 3, "gradients": 2, "master": 1, "moments": 1}
"""Model state → the first ZeRO stage that shards it."""


@dataclass(frozen=True, eq=False)
class Shares:
    """Share of a parameter that one rank holds, as (dense, experts), without and with sharding over data-parallel ranks [1]."""

    whole: tuple[Num, Num]
    sharded: tuple[Num, Num]


def rank_shares(plan: Plan, d: Degrees) -> Shares:
    """Share of a parameter that one rank holds in a layout."""
    shard, spread = d.sharing * float(plan.pass_order.copies), d.ep * d.expert_tp
    dense, experts = 1.0 / d.tp, 1.0 / spread
    return Shares((dense, experts), (dense / larger(shard, 1.0), experts / larger(shard * d.tp / spread, 1.0)))


def model_state_bytes(model: Model, plan: Plan, shares: Shares, whole: Mapping[str, float]) -> dict[str, Num]:
    """Bytes of weights, gradients, master copies and moments of the layers on a rank [B]."""
    unsharded = (_unsharded_bytes if plan._drawn else _unsharded_bytes_cached)(
        model, plan.recipe, plan.update_rule, plan.zero, tuple(whole.items())
    )
    held: dict[str, Num] = {}
    for name, stage in ZERO_STAGE.items():
        dense, experts = shares.sharded if plan.zero >= stage else shares.whole
        held[name] = unsharded[name][0] * dense + unsharded[name][1] * experts
    if plan.offload is not None:
        held |= {name: held[name] * (1.0 - plan.offload.optimizer) for name in ("master", "moments")}
    return held


def least_model_state(model: Model, plan: Plan, gpus: int) -> Num:
    """Lower bound on the weights, gradients and optimizer states of one accelerator in any layout: divided evenly over all of them [B].

    Args:
        model: the model; its frozen parts have weights only.
        plan: gives number formats, optimizer and offload; degrees are not used.
        gpus: number of accelerators.

    >>> import trainsim as ts
    >>> round(least_model_state(ts.catalog.model("llama3.1-405b"), ts.Plan(), 8) / 1e9)  # 18 B a parameter
    913
    """
    shapes, share = shapes_of(model), (1.0 / gpus, 1.0 / gpus)
    whole = dict(zip(shapes.kinds, shapes.layers.ravel().tolist(), strict=True))
    return sum(model_state_bytes(model, plan, Shares(share, share), whole).values())


def model_state_parts(model: Model, plan: Plan, shares: Shares, whole: Mapping[str, float]) -> dict[str, Ledger | Num]:
    """The bytes of :func:`model_state_bytes` as ledger parts; master copies and moments are the part ``optimizer`` [B]."""
    held = model_state_bytes(model, plan, shares, whole)
    optimizer = Ledger("B", {"master": held["master"], "moments": held["moments"]})
    return {"weights": held["weights"], "gradients": held["gradients"], "optimizer": optimizer}


def _unsharded_bytes(
    model: Model, recipe: Precision, rule: Optimizer, zero: int, whole: tuple[tuple[str, float], ...]
) -> dict[str, tuple[Num, Num]]:
    """Bytes of the dense and the experts' parameters of the layers on a rank, before any sharding."""
    parts = dict(whole)
    dense: dict[str, Num] = dict.fromkeys(ZERO_STAGE, 0.0)
    experts: dict[str, Num] = dict.fromkeys(ZERO_STAGE, 0.0)
    for w in parameters_by_kind(model):
        count = parts.get(w.kind, 0.0)
        if w.owner != w.kind:  # a rank stores a tied matrix once: counted with the owner if the owner is on this rank, else here
            count = np.minimum(count, 1.0) * (not parts.get(w.owner))
        for name, width in _bytes_per_parameter(w, model, recipe, rule, zero).items():
            dense[name] = dense[name] + count * w.dense * width
            experts[name] = experts[name] + count * w.experts * width
    return {name: (dense[name], experts[name]) for name in ZERO_STAGE}


def _bytes_per_parameter(w: KindParameters, model: Model, recipe: Precision, rule: Optimizer, zero: int) -> dict[str, Num]:
    """Bytes per parameter: weight, gradient, master and moments if it is trained, the weight only if it is frozen [B]."""
    each = recipe.weights if w.role == "linear" else recipe.other_weights
    if not w.trainable:
        working = each if np.any(each) else recipe.gathered
        return {"weights": working if model.base is None or w.role != "linear" else BASE_BYTES[model.base]}
    if zero < 3 and not np.any(each):  # the master copy serves as the weight; below ZeRO-3 a gathered copy stays in memory
        each = recipe.gathered
    return {"weights": each, "gradients": recipe.gradients, "master": recipe.master, "moments": rule.moments(w.role, recipe)}


_unsharded_bytes_cached = lru_cache(maxsize=4096)(_unsharded_bytes)


def buffer_bytes(model: Model, plan: Plan, d: Degrees, shares: Shares, whole: Mapping[str, float]) -> dict[str, Num]:
    """Bytes of communication buffers: gathered weights, gradients being reduced, activations sent between stages [B]."""
    recipe = plan.recipe
    largest = _largest_layer(model, shares, whole) if plan.zero >= 2 else 0.0
    return {
        "gathered": (plan.zero >= 3) * GATHERED_LAYERS * recipe.gathered * largest,
        "reduced": (plan.zero >= 2) * (recipe.gathered + recipe.reduced) * largest,
        "passed": (plan.pp > 1) * 2.0 * model.hidden * recipe.activations * d.along(plan.sequence_parallel),
    }


def _largest_layer(model: Model, shares: Shares, whole: Mapping[str, float]) -> Num:
    """Parameters of the largest layer on a rank, before sharding over data parallelism."""
    dense, experts = shares.whole
    kinds = tuple(kind for kind, count in whole.items() if count)
    return reduce(larger, (few * dense + many * experts for few, many in _pareto_largest_layers(model, kinds)))


@lru_cache(maxsize=256)
def _pareto_largest_layers(model: Model, kinds: tuple[str, ...]) -> tuple[tuple[float, float], ...]:
    """(dense, experts) parameters of the Pareto-maximal layers; the degrees decide which of them is largest."""
    sizes = [[(w.dense, w.experts) for w in parameters_by_kind(model) if w.kind == kind] for kind in kinds]
    return tuple(map(tuple, pareto_maximal(np.array([np.sum(each, axis=0) for each in sizes])).tolist()))
