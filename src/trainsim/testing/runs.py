"""Strategies for specs, runs, ledgers and beliefs: small, complete, and inside every field's bounds."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import strategies as st

from ..cluster.hardware import Chip, Cluster, Peak
from ..core.ledger import Ledger
from ..core.spec import Spec
from ..core.units import Unit
from ..cost.rental import Rental
from ..model.attention.grouped_query import GroupedQueryAttention
from ..model.feedforward import GatedMLP, MixtureOfExperts
from ..model.layers import Block, Layers
from ..model.transformer import Head, Model
from ..parallelism.plan import Plan
from ..run.run import Run
from ..training.efficiency import HFU, MFU, BusyHours, Efficiency, StepTime, Throughput
from ..training.phases import Phase
from ..training.reliability import Goodput
from ..uncertainty.beliefs.beliefs import Beliefs
from ..uncertainty.distributions.distribution import Belief
from ..uncertainty.distributions.interval import ci90
from ..uncertainty.distributions.parametric import triangular, uniform

CONVENTIONS = ("causal", "half", "full", "6nd", "megatron")


def numbers_in(unit: Unit, near: float | None = None) -> st.SearchStrategy[float]:
    """Numbers inside a unit's bounds, within a factor of about three of ``near`` where it is given."""
    low, high = unit.low, unit.high
    if near:
        low, high = max(low, near / 3), min(high, near * 3)
    if not math.isfinite(low):
        low = -1e6
    if not math.isfinite(high):
        high = max(low, 1.0) * 1e6
    return st.floats(low, high, exclude_min=unit.gt is not None, exclude_max=unit.lt is not None, allow_subnormal=False)


@st.composite
def small_models(draw: st.DrawFn) -> Model:
    """Dense and sparse transformers of a few layers."""
    heads = draw(st.sampled_from([4, 8]))
    attention = GroupedQueryAttention(heads=heads, kv_heads=draw(st.sampled_from([1, 2, 4])), head_dim=16)
    dense = Block(attention=attention, ffn=GatedMLP(width=draw(st.integers(16, 256))))
    stack = [Layers(name="dense", count=draw(st.integers(1, 4)), block=dense)]
    if draw(st.booleans()):
        experts = MixtureOfExperts(experts=8, top_k=draw(st.integers(1, 8)), width=32, shared_width=draw(st.sampled_from([0, 32])))
        stack.append(Layers(name="moe", count=draw(st.integers(1, 4)), block=Block(attention=attention, ffn=experts)))
    head = Head(weights=draw(st.sampled_from(["own", "tied"])), norm=draw(st.sampled_from(["rms", "layer", None])))
    return Model(hidden=draw(st.sampled_from([64, 128])), vocab=draw(st.integers(100, 1000)), stack=stack, head=head)


def small_clusters() -> st.SearchStrategy[Cluster]:
    """Clusters of one to 512 accelerators."""
    peak = st.floats(1e12, 1e15)
    chip = st.builds(lambda bf16: Chip(name="chip", peak=Peak(bf16=bf16, fp8=2 * bf16), memory=80e9, memory_bandwidth=3e12), peak)
    return st.builds(lambda chip, gpus: Cluster(chip=chip, gpus=gpus), chip, st.sampled_from([1, 8, 64, 512]))


def reported_efficiencies(*, work_known: bool = True) -> st.SearchStrategy[Efficiency]:
    """Reported efficiencies of every kind; if tokens are not known, only reported hours."""
    hours = st.builds(lambda h: BusyHours(gpu_hours=h), st.floats(1.0, 1e6))
    if not work_known:
        return hours
    share, counting = st.floats(0.05, 1.0), st.sampled_from(CONVENTIONS)
    return st.one_of(
        st.builds(lambda m, c: MFU(m, flops=c), share, counting),
        st.builds(lambda h, c: HFU(h, flops=c), share, counting),
        st.builds(lambda rate: Throughput(tokens_per_s_per_gpu=rate), st.floats(1.0, 1e5)),
        st.builds(lambda seconds: StepTime(seconds=seconds), st.floats(0.1, 100.0)),
        hours,
    )


@st.composite
def small_runs(draw: st.DrawFn, *, work_known: bool = True) -> Run:
    """Complete runs of one to three phases; a phase has an efficiency, or uses the run's.

    Args:
        work_known: whether the tokens of every phase are known; if False, some phases may report only hours.
    """
    phases = []
    for name in draw(st.sampled_from([("pretrain",), ("pretrain", "extend"), ("pretrain", "extend", "post-train")])):
        known = name == "pretrain" or work_known or draw(st.booleans())
        own = draw(reported_efficiencies(work_known=known) if not known else st.one_of(st.none(), reported_efficiencies()))
        tokens = draw(st.floats(1e6, 1e13)) if known else None
        seq_len = float(draw(st.integers(1, 131072))) if known else None
        phases.append(Phase(name, tokens=tokens, seq_len=seq_len, batch=float(draw(st.integers(1, 10000))), efficiency=own))
    return Run(
        model=draw(small_models()),
        cluster=draw(small_clusters()),
        phases=phases,
        efficiency=draw(reported_efficiencies()),
        plan=Plan(recompute=draw(st.sampled_from(["none", "selective", "full"]))),
        reliability=Goodput(draw(st.floats(0.2, 1.0))),
        price=Rental(usd_per_gpu_hour=draw(st.floats(0.1, 20.0))),
    )


def small_ledgers(unit: str = "USD") -> st.SearchStrategy[Ledger]:
    """Trees of named lines, up to three levels deep, each level with its own scale."""
    # the product of three scales must be a normal float: smaller floats lose relative accuracy
    values = st.just(0.0) | st.floats(1e-200, 1e12)
    scales = st.floats(1e-3, 1e3)

    def level(names: str, inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Ledger]:
        parts = st.dictionaries(st.sampled_from(names), inner, min_size=1, max_size=4)
        return st.builds(lambda lines, scale: Ledger(unit, lines) * scale, parts, scales)

    return level("abcd", level("efgh", level("ijkl", values)))


@st.composite
def beliefs_over(draw: st.DrawFn, spec: Spec) -> Beliefs:
    """Beliefs over some numbers of a spec, each inside the bounds of its field."""
    known = spec.numbers()
    chosen = draw(st.lists(st.sampled_from(sorted(known)), min_size=1, max_size=4, unique=True))
    return Beliefs({path: draw(_about(float(known[path][0]), known[path][1])) for path in chosen})


def _about(value: float, unit: Unit) -> st.SearchStrategy[Belief]:
    """An interval, a uniform or a triangular distribution around a value."""
    size = abs(value) or 1.0
    low = max(value - 0.2 * size, (value + unit.low) / 2 if math.isfinite(unit.low) else -math.inf)
    high = min(value + 0.2 * size, (value + unit.high) / 2 if math.isfinite(unit.high) else math.inf)
    if not low < value < high:  # a value at a bound
        low, high = (unit.low, value) if math.isfinite(unit.low) and value > unit.low else (value, value + 0.1 * size)
        return st.just(uniform(low, high))
    return st.sampled_from([ci90(low, high), uniform(low, high), triangular(low, value, high)])
