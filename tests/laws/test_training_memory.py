"""Laws of memory: shards add up, every degree reduces memory, and arrays of degrees are elementwise."""

from dataclasses import fields, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import trainsim as ts
from trainsim.gpu_memory.peak import peak_by_zero, peak_memory, rank_memory
from trainsim.parallelism.layout import Degrees
from trainsim.parallelism.plan import Plan

ATTENTION = ts.GroupedQueryAttention(heads=16, kv_heads=8, head_dim=32)
LATENT = ts.LatentAttention(heads=16, kv_rank=64, q_rank=96, nope_dim=32, rope_dim=16, v_dim=32)
MOE = ts.MixtureOfExperts(experts=32, top_k=4, width=64, shared_width=64)
DENSE = ts.Block(attention=ATTENTION, ffn=ts.GatedMLP(width=1024))
SPARSE = ts.Block(attention=LATENT, ffn=MOE)
MODEL = ts.Model(
    hidden=512,
    vocab=4096,
    stack=[ts.Layers(name="dense", count=3, block=DENSE), ts.Layers(name="moe", count=10, block=SPARSE)],
    mtp=ts.MultiTokenPrediction(depth=1, block=SPARSE),
)

M = 16.0
"""Micro-batches of a step."""
degrees = st.builds(
    Degrees,
    tp=st.sampled_from([1.0, 2.0, 4.0, 8.0]),
    dp=st.sampled_from([8.0, 16.0, 64.0]),
    ep=st.sampled_from([1.0, 4.0, 8.0]),
    cp=st.sampled_from([1.0, 2.0, 4.0]),
    expert_tp=st.just(1.0),
    shard=st.sampled_from([8.0, 16.0, 64.0]),
    micro_batch=st.sampled_from([1.0, 2.0, 4.0]),
    seq_len=st.sampled_from([1024.0, 4096.0]),
)
plans = st.builds(
    Plan,
    pp=st.sampled_from([1, 2, 4]),
    zero=st.integers(0, 3),
    recompute=st.sampled_from(["none", "selective", "full"]),
    recompute_parts=st.sampled_from([("core",), ("norms",), ("core", "activation"), ("ffn",), ("ops",)]),
    schedule=st.sampled_from(["1f1b", "gpipe", "zero-bubble"]),
    sequence_parallel=st.sampled_from(["off", "on"]),
    attention=st.sampled_from(["fused", "unfused"]),
    dropout=st.sampled_from(["off", "on"]),
    precision=st.sampled_from(["bf16", "bf16-fsdp", "fp8", "fp8-deepseek"]),
    optimizer=st.sampled_from(["adamw", "adamw-8bit", "muon", "sgd"]),
)


def totals(plan: Plan, d: Degrees) -> Any:
    return np.array([rank.total for rank in rank_memory(MODEL, plan, d, M)])


def with_(plan: Plan, **changes: Any) -> Plan:
    return plan.replace(changes)


@settings(deadline=None, max_examples=60)
@given(plans, st.lists(degrees, min_size=2, max_size=4))
def test_arrays_of_degrees_are_elementwise(plan: Plan, several: list[Degrees]) -> None:
    together = Degrees(**{f.name: np.array([getattr(d, f.name) for d in several]) for f in fields(Degrees)})
    ranks = rank_memory(MODEL, plan, together, M)
    for k, alone in enumerate(several):
        for rank, one in zip(ranks, rank_memory(MODEL, plan, alone, M), strict=True):
            for (name, many), (other, value) in zip(rank.lines(), one.lines(), strict=True):
                assert name == other
                np.testing.assert_allclose(np.broadcast_to(many, len(several))[k], value, rtol=1e-12, atol=1e-6)


@settings(deadline=None, max_examples=20)
@given(plans, degrees)
def test_the_peak_is_the_fullest_rank(plan: Plan, d: Degrees) -> None:
    assert float(peak_memory(MODEL, plan, d, M)) == pytest.approx(totals(plan, d).max(), rel=1e-12)
    by_zero = [float(peak) for peak in peak_by_zero(MODEL, plan, d, M, (0, 1, 2, 3))]
    assert by_zero == pytest.approx([totals(with_(plan, zero=zero), d).max() for zero in range(4)], rel=1e-12)


@settings(deadline=None, max_examples=60)
@given(plans, degrees)
def test_every_line_is_a_size(plan: Plan, d: Degrees) -> None:
    for rank in rank_memory(MODEL, plan, d, M):
        assert all(value >= -1e-6 for _, value in rank.lines())
        assert rank.total == pytest.approx(sum(value for _, value in rank.lines()), rel=1e-12)


@settings(deadline=None, max_examples=40)
@given(plans, degrees)
def test_a_deeper_zero_never_holds_more_of_the_model(plan: Plan, d: Degrees) -> None:
    def held(zero: int) -> float:
        ranks = rank_memory(MODEL, with_(plan, zero=zero), d, M)
        return float(sum(r.part(part).total for r in ranks for part in ("weights", "gradients", "optimizer")))

    assert all(after <= before * (1 + 1e-12) for before, after in pairwise(map(held, range(4))))


@settings(deadline=None, max_examples=40)
@given(plans, degrees)
def test_recompute_never_keeps_more(plan: Plan, d: Degrees) -> None:
    def kept(recompute: str) -> Any:
        return np.array([r.part("activations").total for r in rank_memory(MODEL, with_(plan, recompute=recompute), d, M)])

    assert np.all(kept("selective") <= kept("none") * (1 + 1e-12))
    assert np.all(kept("full") <= kept("selective") * (1 + 1e-12))


@settings(deadline=None, max_examples=60)
@given(plans, degrees, st.sampled_from(["tp", "cp", "shard", "ep"]))
def test_a_larger_degree_never_needs_more(plan: Plan, d: Degrees, which: str) -> None:
    more = replace(d, **{which: getattr(d, which) * 2})
    if which == "ep":  # with more expert parallelism, fewer ranks share the optimizer states of an expert
        plan = with_(plan, zero=0)
    if which == "tp":
        plan = with_(plan, sequence_parallel="off")  # sequence parallelism needs memory for the gathered inputs
    assert np.all(totals(plan, more) <= totals(plan, d) * (1 + 1e-9))


@settings(deadline=None, max_examples=40)
@given(plans, degrees)
def test_a_larger_micro_batch_needs_more(plan: Plan, d: Degrees) -> None:
    assert np.all(totals(plan, replace(d, micro_batch=d.micro_batch * 2)) > totals(plan, d))


@settings(deadline=None, max_examples=40)
@given(st.sampled_from([1, 2, 4, 8]), st.sampled_from([1.0, 4.0, 8.0]), st.sampled_from([1.0, 2.0, 4.0]))
def test_shards_put_together_are_the_model(pp: int, ep: float, tp: float) -> None:
    d = Degrees(tp=tp, dp=32.0 / tp, ep=ep, cp=1.0, micro_batch=1.0, seq_len=1024.0)
    ranks = rank_memory(MODEL, Plan(pp=pp, zero=3, precision="bf16"), d, M)
    whole = ts.count_params(MODEL, mtp="unique").total
    copies = 0 if pp == 1 else 2 * MODEL.vocab * MODEL.hidden  # the prediction module uses the embedding on another rank
    assert sum(float(r.part("weights").total) for r in ranks) * 32 == pytest.approx(2 * whole + copies, rel=1e-12)
