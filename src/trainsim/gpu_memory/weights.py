"""Bytes of what a rank holds of the model itself: weights, gradients, optimizer, and weights gathered on their way."""

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
from ..parallelism.shapes import expert_product
from .in_flight import largest_states

GATHERED_LAYERS = 2.0
"""Layers whose weights ZeRO-3 holds whole at once: the one at work and the next, fetched ahead (PyTorch FSDP2)."""


@dataclass(frozen=True)
class Weights:
    """Parameters of one layer of a kind with one role: dense ones and experts', who owns them, and whether they are trained."""

    kind: str
    role: str
    dense: float
    experts: float
    owner: str
    trainable: bool


@lru_cache(maxsize=256)
def weights_of(model: Model) -> tuple[Weights, ...]:
    """Parameters of one layer of each kind by role, those that another kind owns among them."""
    found: dict[tuple[str, str, str, bool], list[float]] = {}
    t = model.table
    for i, entry in enumerate(t.entries):
        op, kind = entry.op, entry.kind
        owner = ("embedding" if isinstance(op, Lookup) or model.head.weights == "tied" else "head") if t.tied[i] else kind
        sizes = found.setdefault((kind, str(t.roles[i]), owner, entry.trainable), [0.0, 0.0])
        sizes[expert_product(op)] += float(t.matrices[i] + t.vectors[i])
    return tuple(Weights(kind, role, dense, experts, owner, trained) for (kind, role, owner, trained), (dense, experts) in found.items())


STAGES = {"weights": 3, "gradients": 2, "master": 1, "moments": 1}
"""From which stage of ZeRO each is sharded."""


@dataclass(frozen=True, eq=False)
class Shares:
    """What of a parameter is on one rank, of dense ones and of experts': ``whole``, and ``sharded`` over data parallelism [1]."""

    whole: tuple[Num, Num]
    sharded: tuple[Num, Num]


def shares_of(plan: Plan, d: Degrees) -> Shares:
    """What of a parameter is on one rank of a layout."""
    shard, spread = d.sharing * float(plan.pass_order.copies), d.ep * d.expert_tp
    dense, experts = 1.0 / d.tp, 1.0 / spread
    return Shares((dense, experts), (dense / larger(shard, 1.0), experts / larger(shard * d.tp / spread, 1.0)))


def held_bytes(model: Model, plan: Plan, shares: Shares, whole: Mapping[str, float]) -> dict[str, Num]:
    """Weights, gradients, master copies and moments of what a rank holds [B]."""
    unsharded = (_unsharded if plan._drawn else _unsharded_once)(model, plan.recipe, plan.update_rule, plan.zero, tuple(whole.items()))
    held: dict[str, Num] = {}
    for name, stage in STAGES.items():
        dense, experts = shares.sharded if plan.zero >= stage else shares.whole
        held[name] = unsharded[name][0] * dense + unsharded[name][1] * experts
    if plan.offload is not None:
        held |= {name: held[name] * (1.0 - plan.offload.optimizer) for name in ("master", "moments")}
    return held


def parameters(model: Model, plan: Plan, shares: Shares, whole: Mapping[str, float]) -> dict[str, Ledger | Num]:
    """The same by name, master copies and moments together as the optimizer's [B]."""
    held = held_bytes(model, plan, shares, whole)
    optimizer = Ledger("B", {"master": held["master"], "moments": held["moments"]})
    return {"weights": held["weights"], "gradients": held["gradients"], "optimizer": optimizer}


def _unsharded(
    model: Model, recipe: Precision, rule: Optimizer, zero: int, whole: tuple[tuple[str, float], ...]
) -> dict[str, tuple[Num, Num]]:
    """Bytes of the dense and of the experts' parameters of so many parts of each kind, before anything divides them."""
    parts = dict(whole)
    dense: dict[str, Num] = dict.fromkeys(STAGES, 0.0)
    experts: dict[str, Num] = dict.fromkeys(STAGES, 0.0)
    for w in weights_of(model):
        elsewhere = w.owner == w.kind or not parts.get(w.owner)  # a tied matrix is held once by a rank that holds its owner too
        count = parts.get(w.kind, 0.0) * elsewhere
        for name, width in _widths(w, model, recipe, rule, zero).items():
            dense[name] = dense[name] + count * w.dense * width
            experts[name] = experts[name] + count * w.experts * width
    return {name: (dense[name], experts[name]) for name in STAGES}


def _widths(w: Weights, model: Model, recipe: Precision, rule: Optimizer, zero: int) -> dict[str, Num]:
    """Bytes of a parameter: its weight alone where it is frozen, in the frozen format, else what its optimizer keeps too [B]."""
    each = recipe.weights if w.role == "linear" else recipe.other_weights
    if not w.trainable:
        working = each if np.any(each) else recipe.gathered
        return {"weights": working if model.base is None or w.role != "linear" else BASE_BYTES[model.base]}
    if zero < 3 and not np.any(each):  # the master is the weight, and stays gathered where its shards aren't given up again
        each = recipe.gathered
    return {"weights": each, "gradients": recipe.gradients, "master": recipe.master, "moments": rule.moments(w.role, recipe)}


_unsharded_once = lru_cache(maxsize=4096)(_unsharded)


def buffer_bytes(model: Model, plan: Plan, d: Degrees, shares: Shares, whole: Mapping[str, float]) -> dict[str, Num]:
    """What passes through: weights gathered under ZeRO-3, a micro-batch on its way between stages, tokens at their experts [B]."""
    recipe = plan.recipe
    largest = _largest_layer(model, shares, whole) if plan.zero >= 2 else 0.0
    return {
        "gathered": (plan.zero >= 3) * GATHERED_LAYERS * recipe.gathered * largest,
        "reduced": (plan.zero >= 2) * (recipe.gathered + recipe.reduced) * largest,
        "passed": (plan.pp > 1) * 2.0 * model.hidden * recipe.activations * d.along(plan.sequence_parallel),
    }


def _largest_layer(model: Model, shares: Shares, whole: Mapping[str, float]) -> Num:
    """Parameters of the largest kind of layer a rank holds, before any shard."""
    dense, experts = shares.whole
    kinds = tuple(kind for kind, count in whole.items() if count)
    return reduce(larger, (few * dense + many * experts for few, many in _largest_layers(model, kinds)))


@lru_cache(maxsize=256)
def _largest_layers(model: Model, kinds: tuple[str, ...]) -> tuple[tuple[float, float], ...]:
    """Parameters of the layers that no other exceeds, dense ones and experts': any of them may be the largest once they are spread."""
    sizes = [[(w.dense, w.experts) for w in weights_of(model) if w.kind == kind] for kind in kinds]
    return tuple(map(tuple, largest_states(np.array([np.sum(each, axis=0) for each in sizes])).tolist()))
