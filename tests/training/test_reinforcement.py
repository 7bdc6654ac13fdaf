from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import trapezoid

import trainsim as ts
from trainsim.cluster.hardware import Chip, Cluster, Peak
from trainsim.core.batch import Batch
from trainsim.core.errors import EstimateError, SpecError
from trainsim.model.attention.grouped_query import GroupedQueryAttention
from trainsim.model.attention.latent import LatentAttention
from trainsim.model.counting import count_params
from trainsim.model.feedforward import GatedMLP, MixtureOfExperts
from trainsim.model.layers import Block, Layers
from trainsim.model.transformer import Model
from trainsim.testing import refused
from trainsim.training.decoding import Engine, cache_elements, concurrent_responses, decode_flops, decode_step, weights_read
from trainsim.training.reinforcement import Reinforcement, Responses, decode_seconds, estimate_reinforcement

CHIP = Chip(name="chip", peak=Peak(bf16=1e15), memory=80e9, memory_bandwidth=3e12)
DENSE = Model(
    hidden=4096,
    vocab=32_000,
    stack=(
        Layers(
            name="dense",
            count=32,
            block=Block(attention=GroupedQueryAttention(heads=32, kv_heads=8, head_dim=128), ffn=GatedMLP(width=14_336)),
        ),
    ),
)
MOE = DENSE.replace({"stack.dense.block": Block(
    attention=LatentAttention(heads=32, kv_rank=512, nope_dim=128, rope_dim=64, v_dim=128),
    ffn=MixtureOfExperts(experts=64, top_k=4, width=1408),
)})  # fmt: skip
ENGINE = Engine(gpus=2, bandwidth_share=0.6, compute_share=0.4, step_overhead_seconds=0.004, max_batch=64)
ANSWERS = Responses(prompt=200, start=600, end=1200, spread=0.8, maximum=8192)
RECIPE: dict[str, Any] = {
    "steps": 100, "prompts": 128, "samples": 8, "prefill_mfu": 0.4, "learning_mfu": 0.25, "sync_seconds": 20,
    "responses": ANSWERS, "engine": ENGINE,
}  # fmt: skip
CLUSTER = Cluster(chip=CHIP, gpus=16)


def recipe(**changes: Any) -> Reinforcement:
    return Reinforcement(**RECIPE | changes)


def seconds(**changes: Any) -> float:
    return float(estimate_reinforcement(DENSE, CLUSTER, recipe(**changes)).seconds.total)


def test_one_token_reads_every_weight_and_multiplies_it_once() -> None:
    stored = float(count_params(DENSE).total) - float(count_params(DENSE).part("embedding.tokens").total)
    norms = 4096 * (2 * 32 + 1)
    assert weights_read(DENSE, 1.0) == pytest.approx(stored - norms, rel=1e-12)
    assert decode_flops(DENSE, 0.0) == pytest.approx(2 * (stored - norms), rel=1e-12)


def test_a_batch_reads_the_experts_that_its_tokens_use() -> None:
    """With random routing, the mean number of distinct experts equals the formula."""
    rng = np.random.default_rng(0)
    per_expert = 32 * 3 * 4096 * 1408.0
    fixed = weights_read(MOE, 1.0) - 4 * per_expert
    for batch in (1, 8, 64):
        distinct = np.mean([len({int(e) for _ in range(batch) for e in rng.choice(64, 4, replace=False)}) for _ in range(300)])
        assert weights_read(MOE, float(batch)) == pytest.approx(fixed + distinct * per_expert, rel=0.01)


def test_the_cache_is_keys_and_values_or_the_latent_vector() -> None:
    assert cache_elements(DENSE, 10.0) == 32 * 2 * 8 * 128 * 10
    assert cache_elements(MOE, 10.0) == 32 * (512 + 64) * 10


def test_decoding_is_bound_by_memory_at_small_batch_and_by_products_at_large() -> None:
    small, double = (float(decode_step(DENSE, CHIP, ENGINE, b, 100.0)) - 0.004 for b in (1.0, 2.0))
    assert double == pytest.approx(small, rel=0.01)
    large, twice = (float(decode_step(DENSE, CHIP, ENGINE, b, 1.0)) - 0.004 for b in (4000.0, 8000.0))
    assert twice == pytest.approx(2 * large, rel=1e-9)


def test_concurrent_responses_are_limited_by_memory_or_the_engine() -> None:
    assert float(concurrent_responses(DENSE, CHIP, ENGINE, 100.0)) == 64
    held = (2 * 80e9 * 0.9 - weights_read(DENSE, 1.0) * 2) / (cache_elements(DENSE, 50_000.0) * 2)
    assert float(concurrent_responses(DENSE, CHIP, ENGINE, 50_000.0)) == pytest.approx(held)
    with refused(EstimateError, "infeasible", "engine.gpus"):
        concurrent_responses(DENSE.replace({"stack.dense.count": 240}), CHIP, ENGINE.replace({"gpus": 1}), 100.0)


def continuous_batching(lengths: np.ndarray, batch: int, prompt: float, step: Callable[[float, float], float]) -> float:
    """Token by token: full slots, a finished response makes room for the next one waiting."""
    queue, running, clock = list(lengths), np.zeros((0, 2)), 0.0
    while queue or len(running):
        while queue and len(running) < batch:
            running = np.vstack([running, [0.0, queue.pop()]])
        clock += step(float(len(running)), prompt + float(running[:, 0].mean()))
        running[:, 0] += 1
        running = running[running[:, 0] < running[:, 1]]
    return clock


@pytest.mark.parametrize(("per_copy", "spread"), [(16, 0.4), (16, 0.9), (60, 0.7), (200, 0.8)])
def test_the_fluid_limit_agrees_with_token_by_token_simulation(per_copy: int, spread: float) -> None:
    rng = np.random.default_rng(per_copy)
    answers = Responses(prompt=100, start=150, end=150, spread=spread, maximum=1500)
    engine = ENGINE.replace({"max_batch": 16})
    copies = 4
    ours = recipe(prompts=per_copy * copies, samples=1, responses=answers, engine=engine)
    cluster = CLUSTER.replace({"gpus": copies * engine.gpus})

    @cache
    def at(batch: float, context: int) -> float:
        return float(decode_step(DENSE, CHIP, engine, batch, context))

    def step(batch: float, context: float) -> float:
        return at(batch, 25 * round(context / 25))

    rounds = []
    for _ in range(40 if per_copy == 16 else 6):
        lengths = np.minimum(np.exp(rng.normal(np.log(150) - spread**2 / 2, spread, (copies, per_copy))), 1500)
        rounds.append(max(continuous_batching(copy, 16, 100.0, step) for copy in lengths))
    fluid = float(decode_seconds(DENSE, cluster, ours, 0.5, cluster.gpus))
    assert fluid == pytest.approx(float(np.mean(rounds)), rel=0.08)


def test_the_quadrature_is_fine_enough() -> None:
    answers = Responses(prompt=100, start=2000, end=2000, spread=0.9, maximum=32_768)
    one = recipe(responses=answers)
    t = np.linspace(0.25, 32_768, 131_072)
    alive = np.asarray(answers.survival(t, 0.5))
    b = 64.0
    integrand = -np.expm1(64 * 8 * np.log1p(-np.minimum(alive, 1 - 1e-12))) * np.asarray(
        decode_step(DENSE, CHIP, ENGINE, np.maximum(b * alive, 1.0), 100 + t)
    )
    length = float(answers.mean(0.5))
    queue = (1024 / 8 - b) * length / b * float(decode_step(DENSE, CHIP, ENGINE, b, 100 + length / 2))
    assert float(decode_seconds(DENSE, CLUSTER, one, 0.5, 16)) == pytest.approx(queue + float(trapezoid(integrand, t)), rel=2e-3)


def test_mean_length_is_that_of_stopped_responses() -> None:
    rng = np.random.default_rng(0)
    answers = Responses(prompt=1, start=5000, end=9000, spread=0.8, maximum=8192 * 2)
    drawn = np.minimum(np.exp(rng.normal(np.log(7000) - 0.32, 0.8, 400_000)), 8192 * 2)
    assert float(answers.mean(0.5)) == pytest.approx(drawn.mean(), rel=5e-3)


def test_learning_seconds_by_hand() -> None:
    flat = ANSWERS.replace({"start": 600.0, "end": 600.0, "maximum": 1e6})
    est = estimate_reinforcement(DENSE, CLUSTER, recipe(responses=flat))
    tokens = 100 * 1024 * 800
    products = 2 * weights_read(DENSE, 1.0)
    core = 32 * 4 * 32 * 128 * (800 + 1) / 2
    assert float(est.seconds.part("update").total) == pytest.approx(tokens * 3 * (products + core) / (16 * 1e15 * 0.25), rel=1e-6)
    assert float(est.seconds.part("scoring").total) == pytest.approx(float(est.seconds.part("update").total) * 2 / 3, rel=1e-9)
    assert float(est.response_tokens) == pytest.approx(100 * 1024 * 600, rel=1e-6)
    assert float(est.gpu_hours.total) == pytest.approx(float(est.seconds.total) * 16 / 3600)


def test_overlap_hides_the_shorter_side_and_no_more() -> None:
    apart = estimate_reinforcement(DENSE, CLUSTER, recipe()).seconds
    beside = estimate_reinforcement(DENSE, CLUSTER, recipe(overlap=1.0)).seconds
    shorter = min(float(apart.part("learning").total), float(apart.part("rollout.decode").total + apart.part("rollout.prefill").total))
    assert float(apart.total) - float(beside.total) == pytest.approx(shorter, rel=0.01)


def test_separate_pools_split_the_cluster() -> None:
    half = estimate_reinforcement(DENSE, CLUSTER, recipe(rollout_gpus=8)).seconds
    whole = estimate_reinforcement(DENSE, CLUSTER, recipe()).seconds
    assert float(half.part("learning").total) == pytest.approx(2 * float(whole.part("learning").total))
    assert float(half.part("decode").total) > float(whole.part("decode").total)


@settings(max_examples=25, deadline=None)
@given(
    path=st.sampled_from(["steps", "prompts", "samples", "sync_seconds", "reward_seconds", "responses.end", "epochs", "scoring_passes"]),
    factor=st.floats(1.0, 3.0),
)
def test_more_work_never_takes_less_time(path: str, factor: float) -> None:
    base = recipe(reward_seconds=5.0)
    more = base.replace({path: base.get(path) * factor})
    times = [float(estimate_reinforcement(DENSE, CLUSTER, r).seconds.total) for r in (base, more)]
    assert times[1] >= times[0] * (1 - 1e-9)


@settings(max_examples=25, deadline=None)
@given(
    path=st.sampled_from(["learning_mfu", "prefill_mfu", "engine.bandwidth_share", "engine.compute_share", "engine.max_batch"]),
    factor=st.floats(1.0, 1.5),
)
def test_faster_machines_never_take_longer(path: str, factor: float) -> None:
    base = recipe()
    times = [float(estimate_reinforcement(DENSE, CLUSTER, r).seconds.total) for r in (base, base.replace({path: base.get(path) * factor}))]
    assert times[1] <= times[0] * (1 + 1e-6)


def test_discarded_groups_are_generated_and_not_learned() -> None:
    kept, wasted = (estimate_reinforcement(DENSE, CLUSTER, recipe(discarded=d)) for d in (0.0, 0.5))
    assert float(wasted.response_tokens) == pytest.approx(2 * float(kept.response_tokens))
    assert float(wasted.seconds.part("learning").total) == pytest.approx(float(kept.seconds.part("learning").total))


def test_arrays_equal_scalars() -> None:
    base = recipe()
    draws = {
        "steps": np.array([100.0, 300.0]),
        "responses.end": np.array([900.0, 4000.0]),
        "responses.spread": np.array([0.5, 1.0]),
        "engine.bandwidth_share": np.array([0.4, 0.8]),
        "engine.max_batch": np.array([32.0, 128.0]),
        "learning_mfu": np.array([0.1, 0.3]),
        "overlap": np.array([0.0, 0.5]),
    }
    drawn = estimate_reinforcement(MOE, CLUSTER, Batch(base, draws).spec).gpu_hours.total
    one_by_one = [
        float(estimate_reinforcement(MOE, CLUSTER, base.replace({p: float(v[i]) for p, v in draws.items()})).gpu_hours.total)
        for i in range(2)
    ]
    np.testing.assert_allclose(np.asarray(drawn), one_by_one, rtol=1e-12)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"learning_mfu": 0}, ("out-of-bounds", "learning_mfu")),
        ({"steps": 0}, ("out-of-bounds", "steps")),
        ({"discarded": 1}, ("out-of-bounds", "discarded")),
    ],
)
def test_bad_input(changes: dict[str, Any], complaint: tuple[str, str]) -> None:
    with refused(SpecError, *complaint):
        recipe(**changes)


def test_an_engine_larger_than_the_cluster_and_pools_that_leave_no_learner_are_refused() -> None:
    with refused(SpecError, "out-of-bounds", "engine.gpus"):
        estimate_reinforcement(DENSE, CLUSTER, recipe(engine=ENGINE.replace({"gpus": 32})))
    with refused(SpecError, "conflict", "rollout_gpus"):
        estimate_reinforcement(DENSE, CLUSTER, recipe(rollout_gpus=16))


def test_the_learning_utilisation_has_no_default() -> None:
    with refused(SpecError, "missing", "learning_mfu"):
        Reinforcement(**{k: v for k, v in RECIPE.items() if k != "learning_mfu"})


def test_an_estimate_prints_dollars_if_a_price_is_given() -> None:
    made = recipe_of(gpus=1)
    model, cluster = ts.catalog.model("llama3-8b"), ts.catalog.cluster("hgx-h100", gpus=8)
    free = ts.estimate_reinforcement(model, cluster, made)
    paid = ts.estimate_reinforcement(model, cluster, made, price=ts.Rental(usd_per_gpu_hour=2.5))
    assert float(paid.cost.total) == pytest.approx(2.5 * float(paid.gpu_hours.total))
    assert paid.cost.part("rollout.decode").total == pytest.approx(2.5 * paid.gpu_hours.part("rollout.decode").total)
    assert "cost" in {row.name for row in paid.summary().rows}
    assert "$" in str(paid)
    assert "$" not in str(free)
    with refused(ts.TrainsimError, "missing", path="price"):
        _ = free.cost


def test_a_faster_engine_is_named_and_is_as_fast_as_it_says() -> None:
    model, cluster = ts.catalog.model("llama3-8b"), ts.catalog.cluster("hgx-h100", gpus=8)
    slow = ts.estimate_reinforcement(model, cluster, recipe_of(gpus=1))
    assert slow.faster_engine is not None
    size, seconds = slow.faster_engine
    fast = ts.estimate_reinforcement(model, cluster, recipe_of(gpus=size))
    assert float(fast.seconds.total) == pytest.approx(seconds)
    assert fast.faster_engine is None
    assert f"engine.gpus={size}" in str(slow)
    assert "engine.gpus" not in str(fast)


def recipe_of(gpus: int) -> ts.Reinforcement:
    """A recipe with few prompts, so that engines of one accelerator are idle in the tail."""
    return ts.Reinforcement(
        steps=100, prompts=16, samples=8, prefill_mfu=0.4, learning_mfu=0.25, sync_seconds=2,
        responses=ts.Responses(prompt=150, start=4000, end=9000, spread=0.8, maximum=32768),
        engine=ts.Engine(gpus=gpus, bandwidth_share=0.6, compute_share=0.4, step_overhead_seconds=0.002, max_batch=256),
    )  # fmt: skip
