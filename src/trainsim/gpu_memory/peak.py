"""Peak memory of an accelerator by part: weights, gradients, optimizer, activations, buffers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from ..core.ledger import Ledger
from ..core.sharing import cached_for_scalars
from ..core.units import Num, any_true, choose, larger, smaller
from ..model.transformer import Model
from ..parallelism.layout import Degrees, degrees_of
from ..parallelism.placement import is_outside_stack, stage_counts
from ..parallelism.plan import Plan
from ..parallelism.schedules.schedule import Schedule
from ..parallelism.shapes import shapes_of
from .activations import LayerActivations, TokenBytes, activations_by_kind
from .in_flight import in_flight_by_rank, in_flight_by_schedule, pareto_maximal
from .weights import Shares, buffer_bytes, model_state_bytes, model_state_parts, rank_shares

LOGITS = {"plain": 12.0, "vocab-parallel": 8.0, "fused": 6.0, "chunked": 6.0}
"""Bytes per logit at the peak. Fused: BF16 logits and FP32 for the softmax. Megatron-LM's vocab-parallel cross-entropy: a BF16
gradient in addition. Plain PyTorch on ``logits.float()``: BF16, FP32, the FP32 log-softmax and a BF16 gradient. Chunked: as fused, for the
logits of one chunk (Liger Kernel, arXiv:2410.10989, section 3.2)."""
GATHERED_INPUTS = 2.0
"""Number of tensors that sequence parallelism gathers for a product: the input and its gradient (arXiv:2205.05198, section 4.2.2)."""
FRAGMENTATION = 0.04
"""Share of transient memory lost to fragmentation of a caching allocator; an allowance, not measured."""
CONTEXT = 1.5e9
"""Memory outside the allocator (driver context, kernels, communication buffers); an allowance, not measured [B]."""


@cached_for_scalars
def memory_by_rank(model: Model, plan: Plan, gpus: int, seq_len: Num, batch: Num) -> Ledger:
    """Peak memory of one accelerator of each pipeline rank, ``"rank-0"`` first [B].

    Args:
        model: the model.
        plan: the layout.
        gpus: number of accelerators.
        seq_len: sequence length [token].
        batch: sequences per optimizer step [sequence].
    """
    degrees = degrees_of(plan, gpus, seq_len)
    ranks = rank_memory(model, plan, degrees, degrees.micro_batches(batch))
    return Ledger("B", {f"rank-{r}": ledger for r, ledger in enumerate(ranks)})


def rank_memory(model: Model, plan: Plan, degrees: Degrees, micro_batches: Num) -> list[Ledger]:
    """Peak memory of each pipeline rank.

    Args:
        model: the model.
        plan: gives ``pp``, ``vpp``, schedule, sharding, recompute, precision and optimizer.
        degrees: the other degrees, which may be arrays.
        micro_batches: micro-batches per pipeline and step [1].

    Returns:
        one ledger per rank, by part [B].

    Raises:
        SpecError: there are more stages than layers.
    """
    counts = stage_counts(model, plan.stages, plan.stage_layers)
    held = [(counts[list(stages)], states) for stages, states in in_flight_by_rank(plan)]
    keys = [(layers.tobytes(), states.tobytes()) for layers, states in held]  # equal ranks are computed once
    distinct = dict(zip(keys, held, strict=True))
    ranks = _ranks(model, plan, degrees, micro_batches, distinct.values())
    ledgers = {key: _ledger(model, rank) for key, rank in zip(distinct, ranks, strict=True)}
    return [ledgers[key] for key in keys]


def _ranks(model: Model, plan: Plan, degrees: Degrees, micro_batches: Num, held: Iterable[RankStages]) -> list[_Rank]:
    """Build the distinct ranks, from their layers and candidate peak states."""
    layer_bytes = {kind: _LayerBytes(kept, plan, degrees) for kind, kept in activations_by_kind(model, plan).items()}
    shares, kinds = rank_shares(plan, degrees), shapes_of(model).kinds
    return [_Rank(plan, degrees, micro_batches, layer_bytes, shares, kinds, layers, states) for layers, states in held]


def peak_memory(model: Model, plan: Plan, degrees: Degrees, micro_batches: Num) -> Num:
    """Peak memory of the fullest rank, elementwise over arrays of degrees [B].

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
    """Peak memory of the fullest rank for several ZeRO stages [B]. Activations, which the stages share, are computed once.

    Args:
        model, degrees, micro_batches: as for :func:`rank_memory`.
        plan: the layout; ``plan.zero`` is ignored.
        stages: ZeRO stages, 0 to 3.
    """
    plans = [plan if zero == plan.zero else plan.replace({"zero": zero}) for zero in stages]
    ranks = _ranks(model, plan, degrees, micro_batches, _candidate_ranks(model, plan.pass_order, plan.pp, plan.vpp, plan.stage_layers))
    return [_maximum(each) for each in zip(*(_totals(model, rank, plans) for rank in ranks), strict=True)]


@lru_cache(maxsize=1024)
def _candidate_ranks(model: Model, schedule: Schedule, pp: int, vpp: int, layers: tuple[int, ...]) -> tuple[RankStages, ...]:
    """Ranks that can be the fullest: ranks with the same layers are merged into one with their Pareto-maximal states."""
    counts = stage_counts(model, schedule.stages(pp, vpp), layers)
    same_layers: dict[bytes, list[RankStages]] = {}
    for stages, states in in_flight_by_schedule(schedule, pp, vpp):
        layers_here = counts[list(stages)]
        same_layers.setdefault(layers_here.tobytes(), []).append((layers_here, states))
    return tuple((ranks[0][0], pareto_maximal(np.concatenate([states for _, states in ranks]))) for ranks in same_layers.values())


def _totals(model: Model, rank: _Rank, plans: Sequence[Plan]) -> Iterator[Num]:
    """Total of the ledger of one rank for each of several plans that differ only in their ZeRO stage [B]."""
    _, of_stage = _stages(rank)
    activations = _maximum([sum((n * size for n, size in zip(state, of_stage, strict=True)), 0.0) for state in rank.in_flight])
    activations = activations * _device_share(rank.plan)
    moving = (1.0 + FRAGMENTATION) * (activations + _sum(_transient(model, rank))) + CONTEXT
    for plan in plans:
        held = _sum(model_state_bytes(model, plan, rank.shares, rank.whole))
        passing = _sum(buffer_bytes(model, plan, rank.d, rank.shares, rank.whole))
        yield (held + (1.0 + FRAGMENTATION) * passing) + moving


# one rank ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _LayerBytes:
    """Bytes of one micro-batch in one layer of a kind on one rank, as in :class:`~.activations.LayerActivations`."""

    layer: LayerActivations
    plan: Plan
    d: Degrees

    @cached_property
    def total_saved(self) -> Num:
        return _bytes(self.layer.total_saved, self.plan, self.d)

    @cached_property
    def total_without_recompute(self) -> Num:
        return _bytes(self.layer.total_without_recompute, self.plan, self.d)

    @cached_property
    def recomputed(self) -> Num:
        return _bytes(self.layer.total_recomputed, self.plan, self.d)

    @cached_property
    def widest(self) -> Num:
        return _bytes(self.layer.widest, self.plan, self.d)

    def by_section(self, sections: Mapping[str, TokenBytes]) -> dict[str, Num]:
        return {name: _bytes(b, self.plan, self.d) for name, b in sections.items()}


RankStages = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Layers of each kind on each stage of a rank, ``(stages, kinds)``, and its candidate peak states, ``(states, stages, 2)``."""


@dataclass(frozen=True, eq=False)
class _Rank:
    """One rank: the layers of its stages, and the micro-batches in flight on each."""

    plan: Plan
    d: Degrees
    micro_batches: Num
    layer_bytes: dict[str, _LayerBytes]
    shares: Shares
    kinds: tuple[str, ...]
    layers: NDArray[np.float64]
    states: NDArray[np.float64]

    @cached_property
    def whole(self) -> dict[str, float]:
        """Layers of each kind on all stages of the rank."""
        return dict(zip(self.kinds, self.layers.sum(axis=0).tolist(), strict=True))

    @cached_property
    def in_flight(self) -> list[list[Num]]:
        """Micro-batches in flight on each stage at each candidate peak state, at most those of a step."""
        m = self.micro_batches
        cut = {(n, each): smaller(n + each * m, m) for n, each in set(map(tuple, self.states.reshape(-1, 2).tolist()))}
        return [[cut[n, each] for n, each in state] for state in self.states.tolist()]


def _ledger(model: Model, rank: _Rank) -> Ledger:
    buffers = Ledger("B", buffer_bytes(model, rank.plan, rank.d, rank.shares, rank.whole))
    passing = {**_transient(model, rank), "buffers": buffers}
    moving: dict[str, Ledger | Num] = {"activations": _activations(rank) * _device_share(rank.plan), **passing}
    total = sum((part.total if isinstance(part, Ledger) else part for part in moving.values()), 0.0)
    held = model_state_parts(model, rank.plan, rank.shares, rank.whole)
    return Ledger("B", {**held, **moving, "fragmentation": FRAGMENTATION * total, "context": CONTEXT})


def _transient(model: Model, rank: _Rank) -> dict[str, Num]:
    """Memory that is live for part of a step besides the saved activations, independent of the ZeRO stage [B]."""
    plan, d, whole = rank.plan, rank.d, rank.whole
    on_rank = [rank.layer_bytes[kind] for kind in rank.kinds if whole[kind] and kind in rank.layer_bytes]
    heads = bool(whole["head"]) * (1 + (model.mtp.depth if model.mtp is not None else 0))
    # assumed: a chunk is so short that its logits need no more memory than the hidden states of the micro-batch
    whole_logits = min(model.hidden, model.vocab) if plan.loss == "chunked" else model.vocab
    return {
        "logits": heads * LOGITS[plan.loss] * whole_logits * d.split_tokens,
        "recomputed": _maximum([k.recomputed for k in on_rank]),
        "working": _working(model, rank, on_rank),
    }


def _working(model: Model, rank: _Rank, on_rank: Sequence[_LayerBytes]) -> Num:
    """Gradients of the widest operation, and the tensors that sequence parallelism gathers for it [B]."""
    plan, d = rank.plan, rank.d
    widest = _maximum([k.widest for k in on_rank])
    if plan.sequence_parallel == "off":
        return widest * plan.recipe.activations
    gathered = choose(d.tp > 1.0, GATHERED_INPUTS * model.hidden * d.tokens, 0.0)
    return (widest + gathered) * plan.recipe.activations


def _bytes(b: TokenBytes, plan: Plan, d: Degrees) -> Num:
    """Bytes of a micro-batch on one rank, from the bytes per token."""
    tokens = ((b.whole, d.along(plan.sequence_parallel)), (b.split, d.split_tokens), (b.routed, d.routed_tokens), (b.per_key, d.keys))
    return sum((size * each for size, each in tokens if any_true(size != 0)), 0.0)


def _activations(rank: _Rank) -> Ledger:
    """Activations of all micro-batches in flight at the peak state, by kind of layer and section [B]."""
    rows, of_stage = _stages(rank)
    layer_bytes = {kind: rank.layer_bytes[kind] for kind in rank.kinds if kind in rank.layer_bytes and rank.whole[kind]}
    recomputed = [_recomputed_share(rank.plan, row) for row in rows]
    in_flight = _peak_state(rank.in_flight, of_stage)
    lines: dict[str, Ledger] = {}
    for kind, k in layer_bytes.items():
        layers = [(row[kind] * n * a, row[kind] * n * (1 - a)) for row, n, a in zip(rows, in_flight, recomputed, strict=True) if row[kind]]
        short, whole = (sum(column, 0.0) for column in zip(*layers, strict=True))
        parts = {name: size * short for name, size in k.by_section(k.layer.saved).items()}
        if rank.plan.recompute_layers is not None:
            parts |= {name: size * whole + parts.get(name, 0.0) for name, size in k.by_section(k.layer.without_recompute).items()}
        lines[kind] = Ledger("B", parts)
    return Ledger("B", lines)


def _stages(rank: _Rank) -> tuple[list[dict[str, float]], list[Num]]:
    """Layers of each kind on each stage, and the bytes that one micro-batch saves there."""
    rows = [dict(zip(rank.kinds, row.tolist(), strict=True)) for row in rank.layers]
    of_stage: list[Num] = []
    for row in rows:
        a = _recomputed_share(rank.plan, row)
        parts = ((n, rank.layer_bytes[kind]) for kind, n in row.items() if n and kind in rank.layer_bytes)
        of_stage.append(
            sum((n * (k.total_saved if a == 1 else a * k.total_saved + (1 - a) * k.total_without_recompute) for n, k in parts), 0.0)
        )
    return rows, of_stage


def _peak_state(states: list[list[Num]], of_stage: list[Num]) -> list[Num]:
    """The candidate state with the most activation bytes, elementwise over draws."""
    if len(states) == 1:
        return states[0]
    totals = [sum((n * size for n, size in zip(state, of_stage, strict=True)), 0.0) for state in states]
    found = np.argmax(np.stack(np.broadcast_arrays(*totals)), axis=0)
    return [
        np.take_along_axis(np.stack(np.broadcast_arrays(found, *column)[1:]), found[None], axis=0)[0]
        for column in zip(*states, strict=True)
    ]


def _device_share(plan: Plan) -> Num:
    """Share of the saved activations that is not offloaded."""
    return 1.0 if plan.offload is None else 1.0 - plan.offload.activations


def _sum(numbers: Mapping[str, Num]) -> Num:
    return sum(numbers.values(), 0.0)


def _maximum(values: Sequence[Num]) -> Num:
    """Elementwise maximum of several numbers; 0 if there are none."""
    largest: Num = 0.0
    for value in values:
        largest = larger(largest, value)
    return largest


def _recomputed_share(plan: Plan, row: Mapping[str, float]) -> float:
    """Share of a stage's layers that are recomputed: 1, or that of the first ``recompute_layers``."""
    layers = sum(n for kind, n in row.items() if not is_outside_stack(kind))
    return 1.0 if plan.recompute_layers is None else min(plan.recompute_layers, layers) / max(layers, 1.0)
