"""Laws of a modelled step: bounded below by physics, monotone in the hardware, parts that add up, arrays that equal scalars."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import trainsim as ts
from trainsim.core.batch import Batch
from trainsim.core.errors import EstimateError
from trainsim.model.attention.linear import LightningAttention
from trainsim.parallelism.layout import layout_of
from trainsim.parallelism.recompute import recomputed_work
from trainsim.parallelism.schedules.discovery import schedule_of, schedules
from trainsim.parallelism.schedules.events import timeline
from trainsim.parallelism.schedules.schedule import Schedule, slot_order
from trainsim.parallelism.shapes import shapes_of
from trainsim.run.step_time import slot_time
from trainsim.step.step import step_of, step_of_plan
from trainsim.testing import refused
from trainsim.testing.schedules import virtual_stages

STACK = "mcore-hopper"
PLANS = (
    ts.Plan(zero=3),
    ts.Plan(tp=8, zero=1, sequence_parallel="on"),
    ts.Plan(tp=4, pp=8, zero=1, sequence_parallel="on"),
    ts.Plan(tp=4, pp=8, vpp=5, zero=1, sequence_parallel="on", precision="fp8"),
    ts.Plan(tp=2, pp=4, recompute="full"),
    ts.Plan(pp=4, schedule="zero-bubble"),
    ts.Plan(pp=4, schedule="dualpipe"),
)


def run(plan: ts.Plan, model: str = "llama3-70b", **changes: Any) -> ts.Run:
    made = ts.Run(
        model=ts.catalog.model(model),
        cluster=ts.catalog.cluster("hgx-h100", 64),
        phases=[ts.Phase("pretrain", tokens=1e12, seq_len=8192, batch=128)],
        plan=plan,
        efficiency=ts.Modelled(stack=ts.catalog.stack(STACK)),
        reliability=ts.Goodput(0.95),
        price=ts.Rental(usd_per_gpu_hour=2.0),
    )
    return made.replace(changes) if changes else made


def seconds(made: ts.Run) -> float:
    return float(np.asarray(ts.step_time(made).total))


@pytest.mark.parametrize("plan", PLANS, ids=str)
def test_a_step_is_never_shorter_than_flops_over_peak(plan: ts.Plan) -> None:
    made = run(plan)
    flop = float(ts.flops_per_token(made.model, 8192.0).total) * 128 * 8192
    peak = float(made.cluster.chip.peak_of(plan.recipe.products))
    assert seconds(made) >= flop / (made.cluster.gpus * peak)


@pytest.mark.parametrize("plan", PLANS, ids=str)
@pytest.mark.parametrize(
    "path",
    [
        "cluster.scale_up.bandwidth",
        "cluster.scale_out.bandwidth",
        "cluster.chip.memory_bandwidth",
        "cluster.chip.peak.bf16",
        "cluster.chip.peak.fp8",
    ],
)
@given(factor=st.floats(1.0, 8.0))
@settings(max_examples=10)
def test_faster_hardware_never_slows(plan: ts.Plan, path: str, factor: float) -> None:
    made = run(plan)
    assert seconds(made.replace({path: float(made.get(path)) * factor})) <= seconds(made) * (1 + 1e-12)


@pytest.mark.parametrize("plan", PLANS, ids=str)
def test_the_estimate_is_the_ledger_and_the_ledger_adds_up(plan: ts.Plan) -> None:
    made = run(plan)
    step = ts.step_time(made)
    assert np.isclose(sum(v for _, v in step.lines()), step.total, rtol=1e-12)
    est = ts.estimate(made)
    steps = 1e12 / (128 * 8192)
    assert np.isclose(est.busy_gpu_hours, float(step.total) * steps * 64 / 3600, rtol=1e-9)
    assert dict(est.step_time.part("pretrain").lines()) == dict(step.lines())


def test_a_degree_of_one_sends_nothing_of_its_kind() -> None:
    exchange = ts.step_time(run(ts.Plan(zero=3))).part("exchange")
    for kind in ("tp", "ep", "cp", "pp"):
        assert float(exchange.part(kind).total) == 0.0


@pytest.mark.parametrize("plan", PLANS[:4], ids=str)
def test_draws_equal_scalars(plan: ts.Plan) -> None:
    made = run(plan)
    draws = {"efficiency.stack.bf16": np.linspace(0.5, 0.9, 7), "efficiency.stack.scale_up": np.linspace(0.4, 0.95, 7)}
    together = np.asarray(ts.step_time(Batch(made, draws).spec).total)
    alone = [seconds(made.replace({path: float(values[i]) for path, values in draws.items()})) for i in range(7)]
    assert np.allclose(together, alone, rtol=1e-12)


@given(
    schedule=st.sampled_from(list(schedules().values())),
    pp=st.sampled_from([2, 4, 6]),
    vpp=st.integers(2, 3),
    rounds=st.integers(1, 4),
    layers=st.data(),
    ep=st.sampled_from([1, 4]),
)
@settings(max_examples=80, deadline=None)
def test_the_pipeline_time_equals_the_event_simulation(
    schedule: Schedule, pp: int, vpp: int, rounds: int, layers: st.DataObject, ep: int
) -> None:
    """For any layers on the stages, the timeline of the step's passes is the oracle."""
    vpp = vpp if schedule.stages_per_rank is None else 1
    stages = schedule.stages(pp, vpp)
    given_layers = layers.draw(st.lists(st.integers(1, 3), min_size=stages, max_size=stages))
    ffn = ts.GatedMLP(width=8192) if ep == 1 else ts.MixtureOfExperts(experts=16, top_k=4, width=1024)
    block = ts.Block(attention=ts.GroupedQueryAttention(heads=16, kv_heads=8, head_dim=128), ffn=ffn)
    model = ts.Model(hidden=2048, vocab=64000, stack=[ts.Layers(name="dense", count=sum(given_layers), block=block)])
    plan = ts.Plan(pp=pp, vpp=vpp, schedule=schedule, stage_layers=tuple(given_layers), ep=ep, zero=1)
    count = rounds * pp if schedule.stages_per_rank is None else 2 * pp + 2 * rounds
    cluster = ts.catalog.cluster("hgx-h100", 4 * pp)
    step = step_of(model, layout_of(plan, cluster.gpus, 4096.0), 4.0 * count, schedule, 1, cluster, ts.catalog.stack(STACK))
    assert int(step.micro_batches) == count
    drawn = timeline(slot_order(schedule, pp, count, vpp), step.stages)
    whole = np.asarray(step.busy.whole)[step.slowest]
    busiest = np.asarray(step.micro_batches * whole + step.alone).item()
    assert busiest + np.asarray(step.bubble).item() == pytest.approx(np.asarray(drawn.seconds).item(), rel=1e-9)
    assert busiest == pytest.approx(max(np.asarray(drawn.seconds - drawn.bubble(rank)).item() for rank in range(pp)), rel=1e-9)


def test_an_unpaired_pass_hides_no_exchange() -> None:
    """Unpaired passes of DualPipe take as long as those of 1F1B, which pairs none, under a stack that hides no expert exchange."""
    lone, bare = (ts.catalog.stack("deepseek-2024").replace(each) for each in ({}, {"overlap_ep": 0.0, "overlap_ep_beside": 0.0}))
    model, cluster = ts.catalog.model("deepseek-v2-lite"), ts.catalog.cluster("hgx-h800", 64)

    def stages(schedule: Any, stack: ts.Stack) -> tuple[Any, ...]:
        layout = layout_of(ts.Plan(pp=2, ep=16, schedule=schedule), cluster.gpus, 4096.0)
        times = step_of(model, layout, 256.0, schedule_of(schedule), 0, cluster, stack).stages
        return times.forward, times.inputs, times.weights

    for made, plain, wanted in zip(stages("dualpipe", lone), stages("1f1b", lone), stages("1f1b", bare), strict=True):
        np.testing.assert_allclose(made, wanted, rtol=1e-12)
        np.testing.assert_allclose(plain, wanted, rtol=1e-12)
    hiding = ts.catalog.stack("deepseek-2024").replace({"overlap_ep": 1.0})
    assert float(stages("dualpipe", lone)[0].sum()) > float(stages("1f1b", hiding)[0].sum())


@pytest.mark.parametrize("schedule", schedules().values(), ids=list(schedules()))
def test_exchanges_with_experts_hide_in_paired_slots_alone(schedule: Schedule) -> None:
    """A stack that hides expert exchanges behind another micro-batch's pass hides them in paired slots, and nowhere else."""
    plan = ts.Plan(pp=2, vpp=virtual_stages(schedule)[0], ep=16, schedule=schedule)
    assert _hides(plan) == schedule.pairs


@pytest.mark.parametrize("plan", [{"pp": 2, "vpp": 2}, {"pp": 1}])
def test_exchanges_with_experts_hide_beside_another_pass_where_the_plan_runs_one(plan: dict[str, Any]) -> None:
    assert not _hides(ts.Plan(ep=16, **plan))
    assert _hides(ts.Plan(ep=16, expert_overlap="on", **plan))


def test_layers_are_timed_once_for_every_batch_and_replica() -> None:
    """The cached times equal those computed anew."""
    from trainsim.step.step import _cached_layer_times, _cached_step

    one = run(ts.Plan(pp=2, zero=1))
    others = [one, one.replace({"phases.pretrain.batch": 512.0}), one.replace({"cluster.gpus": 2 * one.cluster.gpus})]
    anew = []
    for made in others:
        _cached_step.cache_clear()
        _cached_layer_times.cache_clear()
        anew.append(float(ts.step_time(made).total))
    _cached_step.cache_clear()
    _cached_layer_times.cache_clear()
    assert [float(ts.step_time(made).total) for made in others] == anew
    assert (_cached_layer_times.cache_info().misses, len(set(anew))) == (1, 3)


def _hides(plan: ts.Plan) -> bool:
    made = run(plan, "deepseek-v2-lite").replace({"efficiency.stack": ts.catalog.stack("deepseek-2024")})
    exchange = ts.step_time(made).part("exchange.ep")
    assert float(exchange.part("sent").total) > 0
    return float(exchange.part("hidden").total) < 0


@pytest.mark.parametrize(
    "schedule", [one for one in schedules().values() if not one.hides_exchanges and one.stages_per_rank], ids=lambda one: one.name
)
def test_schedules_that_run_one_pass_at_a_time_hide_no_exchange_with_experts(schedule: Any) -> None:
    stack = ts.catalog.stack("deepseek-2024").replace({"overlap_ep": 1.0})
    made = run(ts.Plan(pp=2, ep=16), "deepseek-v2-lite").replace({"efficiency": ts.Modelled(stack=stack)})
    assert float(ts.step_time(made).part("exchange.ep.hidden").total) < 0
    lone = ts.step_time(made.replace({"plan.schedule": schedule}))
    assert float(lone.part("exchange.ep.sent").total) > 0 == float(lone.part("exchange.ep.hidden").total)


def test_both_copies_of_a_dualpipe_stage_sum_its_gradients() -> None:
    """Two ranks have each stage, so a rank has twice the bytes of other schedules; each parameter is updated once."""
    one, two = (ts.step_time(run(ts.Plan(pp=4, zero=1, schedule=schedule))) for schedule in ("1f1b", "dualpipe"))
    assert float(two.part("exchange.dp.sent").total) == pytest.approx(2 * float(one.part("exchange.dp.sent").total), rel=0.1)
    assert float(two.part("optimizer.update").total) == pytest.approx(float(one.part("optimizer.update").total), rel=0.1)


@pytest.mark.parametrize("name", [name for name in ts.catalog.rows("clusters") if name.startswith("tpu")])
def test_a_torus_is_refused_with_a_remedy(name: str) -> None:
    made = run(ts.Plan(zero=3)).replace({"cluster": ts.catalog.cluster(name, 64)})
    with refused(EstimateError, "unsupported", "cluster.scale_up.topology"):
        ts.step_time(made)
    told = made.replace({"efficiency": ts.MFU(0.5, peak="bf16")})
    assert float(np.asarray(ts.estimate(told).busy_gpu_hours)) > 0


def test_a_chip_without_bf16_units_runs_in_fp16() -> None:
    made = ts.Run(
        model=ts.catalog.model("gpt2"),
        cluster=ts.catalog.cluster("dgx-1-v100", 8),
        plan=ts.Plan(precision="fp16", attention="unfused", loss="vocab-parallel"),
        phases=[ts.Phase("pretrain", tokens=1e9, seq_len=1024, batch=64)],
        efficiency=ts.Modelled(stack="megatron-2021"),
    )
    flop = float(ts.flops_per_token(made.model, 1024.0).total) * 64 * 1024
    peak = float(np.asarray(made.cluster.chip.peak_of("fp16")))
    assert float(ts.step_time(made).total) > flop / 8 / peak
    with refused(EstimateError, "unsupported", "plan.precision"):
        ts.step_time(made.replace({"plan.precision": "bf16"}))


def test_checkpointing_by_op_computes_grouped_products_again_and_keeps_none() -> None:
    """Of the products of a routed layer, every second one that is not grouped is saved, and every grouped one is recomputed."""
    model = ts.catalog.model("qwen3-30b-a3b")
    again, shapes = recomputed_work(model, frozenset({"ops"})), shapes_of(model)
    at = shapes.kinds.index("moe")
    repeated = {frozenset(p[-1] for p in paths if p[0] == "moe"): again.products[at, i] for i, paths in enumerate(shapes.paths)}
    assert {names: times for names, times in repeated.items() if times} == {
        frozenset({"k", "v"}): 1.0,  # two products of one shape, of which the first is recomputed
        frozenset({"o"}): 1.0,
        frozenset({"gate"}): 1.0,
        frozenset({"up"}): 1.0,
        frozenset({"down"}): 1.0,
    }


def test_a_recurrent_state_is_exchanged_at_any_length() -> None:
    """Context parallelism gathers keys and values for every token, and states for every sequence."""

    def sent(attention: ts.Attention, seq_len: float) -> float:
        block = ts.Block(attention=attention, ffn=ts.GatedMLP(width=4096))
        model = ts.Model(hidden=1024, vocab=32000, stack=[ts.Layers(name="dense", count=4, block=block)])
        made = run(ts.Plan(cp=4, zero=1)).replace({"model": model, "phases.pretrain.seq_len": seq_len, "cluster.gpus": 8})
        free = {"efficiency.stack.inside_latency": 0.0, "efficiency.stack.outside_latency": 0.0}
        return float(ts.step_time(made.replace(free)).part("exchange.cp.sent").total)

    keys = ts.GroupedQueryAttention(heads=8, kv_heads=8, head_dim=128)
    latent = ts.LatentAttention(heads=8, kv_rank=64, q_rank=64, nope_dim=128, rope_dim=64, v_dim=128)
    state = LightningAttention(heads=8, head_dim=128, chunk=256)
    assert sent(keys, 8192) == pytest.approx(2 * sent(keys, 4096), rel=1e-9)
    assert sent(latent, 4096) == pytest.approx(sent(keys, 4096) * (128 + 64 + 128) / 256, rel=1e-9)
    assert sent(state, 8192) == pytest.approx(sent(state, 4096), rel=1e-9)
    assert sent(state, 4096) == pytest.approx(sent(keys, 4096) * 4 * 128 / 2 / 4096, rel=1e-9)  # every rank has a separate state


def test_unfused_attention_writes_scores_to_memory() -> None:
    fused, unfused = run(ts.Plan(tp=8, zero=1)), run(ts.Plan(tp=8, zero=1, attention="unfused"))
    old = {"efficiency.stack.attention": "unfused"}
    assert seconds(unfused) > seconds(fused)
    assert seconds(unfused) == seconds(fused.replace(old)) == seconds(unfused.replace(old))


def test_the_interval_of_a_new_source_is_wide_and_its_stack_says_what_it_knows() -> None:
    made = run(PLANS[3])
    assert set(ts.catalog.stack(STACK).tags.values()) <= {"measured", "published", "prior-only", "fitted", "on-bound"}
    sim = ts.simulate(made, ts.catalog.stack_beliefs(STACK), n=1 << 12, function=lambda r: {"mfu": ts.estimate(r).mfu})
    low, high = sim.quantile("mfu", (0.05, 0.95))
    assert high / low > 1.2


@pytest.mark.parametrize("schedule", schedules().values(), ids=list(schedules()))
def test_the_slots_of_a_step_add_up_to_it(schedule: Schedule) -> None:
    made = run(ts.Plan(pp=4, vpp=virtual_stages(schedule)[0], tp=2, zero=1, schedule=schedule))
    doubted = Batch(made, {"efficiency.stack.factor": np.array([1.0, 1.3]), "efficiency.stack.jitter": np.array([0.0, 0.02])}).spec
    slots, step = slot_time(doubted), ts.step_time(doubted)
    assert np.allclose(slots.total, step.total, rtol=1e-9)
    assert float(np.diff(slots.part("bubble").total)[0]) > 0
    waits = np.array([np.asarray(slot_time(doubted, rank=rank).part("bubble").total) for rank in range(4)])
    assert all(np.allclose(slot_time(doubted, rank=rank).total, step.total, rtol=1e-9) for rank in range(4))
    assert np.allclose(np.min(waits, axis=0), slots.part("bubble").total, rtol=1e-9)


def test_a_ranks_slots_are_those_of_its_timeline() -> None:
    """The waiting time of rank 1 is the idle time of its events, without stragglers."""
    plan = ts.Plan(pp=4, schedule="dualpipe", stage_layers=(10, 30, 25, 15), zero=1)
    made = run(plan).replace({"efficiency.stack.jitter": 0.0})
    step = step_of_plan(made.model, plan, made.cluster, made.efficiency.stack, 8192.0, 128.0, None)  # type: ignore[union-attr]
    drawn = timeline(slot_order(schedule_of("dualpipe"), 4, int(np.asarray(step.micro_batches).item()), 1), step.stages)
    for rank in range(4):
        assert float(np.asarray(slot_time(made, rank=rank).part("bubble").total)) == pytest.approx(
            float(np.asarray(drawn.bubble(rank)).item()), rel=1e-9
        )
    with refused(EstimateError, "unknown-name", "rank"):
        slot_time(made, rank=4)


def test_each_zero_stage_sends_at_least_as_much_as_the_one_before() -> None:
    def sent(zero: int) -> float:
        return float(ts.step_time(run(ts.Plan(zero=zero))).part("exchange.dp.sent").total)

    micro_batches = 128 / 64
    gather = (sent(3) - sent(2)) / (2 * micro_batches - 1)
    scatter = (sent(2) - sent(1)) / (micro_batches - 1)
    assert gather > 0
    assert sent(1) == pytest.approx(scatter + gather)
    assert sent(0) < sent(2)


def test_a_scalar_step_is_cached_and_a_step_of_draws_is_not() -> None:
    made = run(ts.Plan(tp=8, zero=1))
    asked: Any = (made.model, made.plan, made.cluster, ts.catalog.stack(STACK), 8192.0, 128.0, None)
    assert step_of_plan(*asked) is step_of_plan(*asked)
    other: Any = (*asked[:4], 4096.0, *asked[5:])
    assert np.all(step_of_plan(*other).seconds < step_of_plan(*asked).seconds)
    draws: Any = (*asked[:5], np.array([128.0, 256.0]), None)
    assert step_of_plan(*draws) is not step_of_plan(*draws)
    stack: Any = Batch(made, {"efficiency.stack.factor": np.array([1.0, 2.0])}).spec.get("efficiency.stack")
    drawn: Any = (*asked[:3], stack, *asked[4:])
    assert np.shape(step_of_plan(*drawn).seconds) == (2,)
