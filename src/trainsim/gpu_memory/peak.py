"""Bytes per accelerator by part: weights, gradients, optimizer, activations, buffers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.ledger import Ledger
from ..core.spec import holds_draws
from ..core.units import Num, any_true, choose, larger, smaller
from ..model.transformer import Model
from ..parallelism.layout import Degrees, degrees_of
from ..parallelism.placement import beside_layers, stage_counts
from ..parallelism.plan import Plan
from ..parallelism.schedules.schedule import Schedule
from ..parallelism.shapes import shapes_of
from .activations import Bytes, Kept, kept_by_kind
from .in_flight import held_by_rank, held_by_schedule, largest_states
from .weights import Shares, buffer_bytes, held_bytes, parameters, shares_of

LOGITS = {"plain": 12.0, "vocab-parallel": 8.0, "fused": 6.0}
"""Bytes of a logit at the peak. Fused: BF16 as multiplied, FP32 for the softmax. Megatron-LM's vocab-parallel cross-entropy: the
gradient in BF16 beside them. Plain PyTorch on ``logits.float()``: BF16, FP32, the FP32 log-softmax, and a BF16 gradient."""
GATHERED_INPUTS = 2.0
"""Inputs that sequence parallelism gathers whole for a product: the input and its gradient (arXiv:2205.05198, section 4.2.2)."""
FRAGMENTATION = 0.04
"""Share of everything that moves lost to gaps of a caching allocator: an allowance, not a measurement of any one run."""
CONTEXT = 1.5e9
"""Bytes outside the allocator: driver context, kernels, communication rings: an allowance [B]."""


def memory_by_rank(model: Model, plan: Plan, gpus: int, seq_len: Num, batch: Num) -> Ledger:
    """Bytes of one accelerator of each pipeline rank at the peak of a step, ``"rank-0"`` first [B].

    Args:
        model: what is trained.
        plan: the layout.
        gpus: accelerators.
        seq_len: tokens of a sequence [token].
        batch: sequences of an optimizer step [sequence].
    """
    what: tuple[Any, ...] = (model, plan, gpus, seq_len, batch)
    return (_by_rank if any(map(holds_draws, what)) else _kept)(*what)


def _by_rank(model: Model, plan: Plan, gpus: int, seq_len: Num, batch: Num) -> Ledger:
    degrees = degrees_of(plan, gpus, seq_len)
    ranks = rank_memory(model, plan, degrees, degrees.micro_batches(batch))
    return Ledger("B", {f"rank-{r}": ledger for r, ledger in enumerate(ranks)})


_kept = lru_cache(maxsize=256)(_by_rank)
"""Bytes of plain numbers are kept: draws of a stack or a price, block by block, have the same."""


def rank_memory(model: Model, plan: Plan, degrees: Degrees, micro_batches: Num) -> list[Ledger]:
    """The ledger of each pipeline rank.

    Args:
        model: what is trained.
        plan: structure: pp, vpp, schedule, sharding, recompute, precision, optimizer.
        degrees: the numbers, which may be arrays.
        micro_batches: of one pipeline in a step [1].

    Returns:
        bytes by part, one ledger a rank [B].

    Raises:
        SpecError: more stages than layers.
    """
    counts = stage_counts(model, plan.stages, plan.stage_layers)
    held = [(counts[list(stages)], states) for stages, states in held_by_rank(plan)]
    alike = [(here.tobytes(), states.tobytes()) for here, states in held]  # ranks that hold the same are worked out once
    different = dict(zip(alike, held, strict=True))
    ranks = _ranks(model, plan, degrees, micro_batches, different.values())
    ledgers = {key: _ledger(model, rank) for key, rank in zip(different, ranks, strict=True)}
    return [ledgers[key] for key in alike]


def _ranks(model: Model, plan: Plan, degrees: Degrees, micro_batches: Num, held: Iterable[Holding]) -> list[_Rank]:
    """Ranks that hold so many parts of each kind on each of their stages, and are in so many states."""
    sized = {kind: _Sized(kept, plan, degrees) for kind, kept in kept_by_kind(model, plan).items()}
    shares, kinds = shares_of(plan, degrees), shapes_of(model).kinds
    return [_Rank(plan, degrees, micro_batches, sized, shares, kinds, here, states) for here, states in held]


def peak_memory(model: Model, plan: Plan, degrees: Degrees, micro_batches: Num) -> Num:
    """Bytes of the fullest rank, elementwise over arrays of degrees: what a search compares with an accelerator's memory.

    ``max_r Σ parts``; arguments and errors as for :func:`rank_memory`.

    >>> from trainsim.model.attention.grouped_query import GroupedQueryAttention
    >>> from trainsim.model.feedforward import GatedMLP
    >>> from trainsim.model.layers import Block, Layers
    >>> block = Block(attention=GroupedQueryAttention(heads=16, kv_heads=16, head_dim=128), ffn=GatedMLP(width=5632))
    >>> model = Model(hidden=2048, vocab=32000, stack=[Layers(name="dense", count=24, block=block)])
    >>> alone = degrees_of(Plan(), 1, 2048.0)
    >>> round(float(peak_memory(model, Plan(), alone, 1.0)) / 1e9, 1)
    30.0
    """
    return peak_by_zero(model, plan, degrees, micro_batches, (plan.zero,))[0]


def peak_by_zero(model: Model, plan: Plan, degrees: Degrees, micro_batches: Num, stages: Sequence[int]) -> list[Num]:
    """The peak at several stages of ZeRO, which change what is held and leave what moves: that is worked out once.

    Args:
        model, degrees, micro_batches: as for :func:`rank_memory`.
        plan: its own ``zero`` plays no part.
        stages: of ZeRO, 0 to 3.
    """
    plans = [plan if zero == plan.zero else plan.replace({"zero": zero}) for zero in stages]
    ranks = _ranks(model, plan, degrees, micro_batches, _fullest(model, plan.pass_order, plan.pp, plan.vpp, plan.stage_layers))
    return [_largest(each) for each in zip(*(_totals(model, rank, plans) for rank in ranks), strict=True)]


@lru_cache(maxsize=1024)
def _fullest(model: Model, schedule: Schedule, pp: int, vpp: int, layers: tuple[int, ...]) -> tuple[Holding, ...]:
    """Of ranks with the same layers, one with the states that no other exceeds: only those can be the peak."""
    counts = stage_counts(model, schedule.stages(pp, vpp), layers)
    alike: dict[bytes, list[Holding]] = {}
    for stages, states in held_by_schedule(schedule, pp, vpp):
        here = counts[list(stages)]
        alike.setdefault(here.tobytes(), []).append((here, states))
    return tuple((held[0][0], largest_states(np.concatenate([states for _, states in held]))) for held in alike.values())


def _totals(model: Model, rank: _Rank, plans: Sequence[Plan]) -> Iterator[Num]:
    """Bytes of one rank under plans that differ in ZeRO alone: what its ledger adds up to, lines left out."""
    _, of_stage = _stages(rank)
    activations = _largest([sum((n * size for n, size in zip(state, of_stage, strict=True)), 0.0) for state in rank.under_way])
    activations = activations * _on_chip(rank.plan)
    moving = (1.0 + FRAGMENTATION) * (activations + _sum(_passing(model, rank))) + CONTEXT
    for plan in plans:
        held = _sum(held_bytes(model, plan, rank.shares, rank.whole))
        passing = _sum(buffer_bytes(model, plan, rank.d, rank.shares, rank.whole))
        yield (held + (1.0 + FRAGMENTATION) * passing) + moving


# one rank ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Sized:
    """Bytes of one micro-batch in one layer of a kind: kept with and without recompute, computed again, widest operation."""

    layer: Kept
    plan: Plan
    d: Degrees

    @cached_property
    def all_kept(self) -> Num:
        return _bytes(self.layer.all_kept, self.plan, self.d)

    @cached_property
    def all_whole(self) -> Num:
        return _bytes(self.layer.all_whole, self.plan, self.d)

    @cached_property
    def again(self) -> Num:
        return _bytes(self.layer.all_again, self.plan, self.d)

    @cached_property
    def widest(self) -> Num:
        return _bytes(self.layer.widest, self.plan, self.d)

    def by_section(self, sections: Mapping[str, Bytes]) -> dict[str, Num]:
        return {name: _bytes(b, self.plan, self.d) for name, b in sections.items()}


Holding = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Parts of each kind on each stage of a rank, ``(stages, kinds)``, and the candidates for its peak, ``(states, stages, 2)``."""


@dataclass(frozen=True, eq=False)
class _Rank:
    """What one rank holds: its stages by kind of part, and the micro-batches under way of each."""

    plan: Plan
    d: Degrees
    micro_batches: Num
    sized: dict[str, _Sized]
    shares: Shares
    kinds: tuple[str, ...]
    here: NDArray[np.float64]
    states: NDArray[np.float64]

    @cached_property
    def whole(self) -> dict[str, float]:
        """Parts of each kind on all its stages."""
        return dict(zip(self.kinds, self.here.sum(axis=0).tolist(), strict=True))

    @cached_property
    def under_way(self) -> list[list[Num]]:
        """Micro-batches of each stage at each candidate for the peak: no more than a step has."""
        m = self.micro_batches
        cut = {(n, each): smaller(n + each * m, m) for n, each in set(map(tuple, self.states.reshape(-1, 2).tolist()))}
        return [[cut[n, each] for n, each in state] for state in self.states.tolist()]


def _ledger(model: Model, rank: _Rank) -> Ledger:
    buffers = Ledger("B", buffer_bytes(model, rank.plan, rank.d, rank.shares, rank.whole))
    passing = {**_passing(model, rank), "buffers": buffers}
    moving: dict[str, Ledger | Num] = {"activations": _activations(rank) * _on_chip(rank.plan), **passing}
    total = sum((part.total if isinstance(part, Ledger) else part for part in moving.values()), 0.0)
    held = parameters(model, rank.plan, rank.shares, rank.whole)
    return Ledger("B", {**held, **moving, "fragmentation": FRAGMENTATION * total, "context": CONTEXT})


def _passing(model: Model, rank: _Rank) -> dict[str, Num]:
    """What lives beside the activations for a while, whatever is sharded."""
    plan, d, whole = rank.plan, rank.d, rank.whole
    on_rank = [rank.sized[kind] for kind in rank.kinds if whole[kind] and kind in rank.sized]
    heads = bool(whole["head"]) * (1 + (model.mtp.depth if model.mtp is not None else 0))
    return {
        "logits": heads * LOGITS[plan.loss] * model.vocab * d.split_tokens,
        "recomputed": _largest([k.again for k in on_rank]),
        "working": _working(model, rank, on_rank),
    }


def _working(model: Model, rank: _Rank, on_rank: Sequence[_Sized]) -> Num:
    """Gradients of the widest operation, and what sequence parallelism gathers whole for it."""
    plan, d = rank.plan, rank.d
    widest = _largest([k.widest for k in on_rank])
    if plan.sequence_parallel == "off":
        return widest * plan.recipe.activations
    gathered = choose(d.tp > 1.0, GATHERED_INPUTS * model.hidden * d.tokens, 0.0)
    return (widest + gathered) * plan.recipe.activations


def _bytes(b: Bytes, plan: Plan, d: Degrees) -> Num:
    """Bytes of a micro-batch from those of one token, on one rank."""
    tokens = ((b.whole, d.along(plan.sequence_parallel)), (b.split, d.split_tokens), (b.routed, d.routed_tokens), (b.per_key, d.keys))
    return sum((size * each for size, each in tokens if any_true(size != 0)), 0.0)


def _activations(rank: _Rank) -> Ledger:
    """Bytes of all micro-batches under way, by kind of layer and section, at the state that weighs most."""
    rows, of_stage = _stages(rank)
    sized = {kind: rank.sized[kind] for kind in rank.kinds if kind in rank.sized and rank.whole[kind]}
    again = [_recomputed_share(rank.plan, row) for row in rows]
    under_way = _heaviest(rank.under_way, of_stage)
    lines: dict[str, Ledger] = {}
    for kind, k in sized.items():
        layers = [(row[kind] * n * a, row[kind] * n * (1 - a)) for row, n, a in zip(rows, under_way, again, strict=True) if row[kind]]
        short, whole = (sum(column, 0.0) for column in zip(*layers, strict=True))
        parts = {name: size * short for name, size in k.by_section(k.layer.kept).items()}
        if rank.plan.recompute_layers is not None:
            parts |= {name: size * whole + parts.get(name, 0.0) for name, size in k.by_section(k.layer.whole_layer).items()}
        lines[kind] = Ledger("B", parts)
    return Ledger("B", lines)


def _stages(rank: _Rank) -> tuple[list[dict[str, float]], list[Num]]:
    """Parts of each kind on each stage, and bytes that one micro-batch leaves there."""
    rows = [dict(zip(rank.kinds, row.tolist(), strict=True)) for row in rank.here]
    of_stage: list[Num] = []
    for row in rows:
        a = _recomputed_share(rank.plan, row)
        parts = ((n, rank.sized[kind]) for kind, n in row.items() if n and kind in rank.sized)
        of_stage.append(sum((n * (k.all_kept if a == 1 else a * k.all_kept + (1 - a) * k.all_whole) for n, k in parts), 0.0))
    return rows, of_stage


def _heaviest(states: list[list[Num]], of_stage: list[Num]) -> list[Num]:
    """The state whose micro-batches weigh most, elementwise over draws."""
    if len(states) == 1:
        return states[0]
    totals = [sum((n * size for n, size in zip(state, of_stage, strict=True)), 0.0) for state in states]
    found = np.argmax(np.stack(np.broadcast_arrays(*totals)), axis=0)
    return [
        np.take_along_axis(np.stack(np.broadcast_arrays(found, *column)[1:]), found[None], axis=0)[0]
        for column in zip(*states, strict=True)
    ]


def _on_chip(plan: Plan) -> Num:
    """Share of the kept activations that stays in the accelerator's memory."""
    return 1.0 if plan.offload is None else 1.0 - plan.offload.activations


def _sum(numbers: Mapping[str, Num]) -> Num:
    return sum(numbers.values(), 0.0)


def _largest(values: Sequence[Num]) -> Num:
    """The largest of several numbers, elementwise; 0 of none."""
    largest: Num = 0.0
    for value in values:
        largest = larger(largest, value)
    return largest


def _recomputed_share(plan: Plan, row: Mapping[str, float]) -> float:
    """Share of a stage's layers that are recomputed: all, or the first ``recompute_layers``."""
    layers = sum(n for kind, n in row.items() if not beside_layers(kind))
    return 1.0 if plan.recompute_layers is None else min(plan.recompute_layers, layers) / max(layers, 1.0)
