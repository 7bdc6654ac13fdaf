"""Laws of a modelled step over random models, plans and clusters: physical bounds, sums of parts, and equality of arrays and scalars."""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import trainsim as ts
from trainsim.cluster.stack import Dispatcher
from trainsim.core.batch import Batch
from trainsim.core.errors import EstimateError, SpecError
from trainsim.model.ops import MatMul
from trainsim.parallelism.optimizer import OPTIMIZERS
from trainsim.parallelism.plan import Loss, check_plan
from trainsim.parallelism.precision import RECIPES
from trainsim.parallelism.schedules.discovery import schedules
from trainsim.parallelism.shapes import shapes_of
from trainsim.run.memory import memory
from trainsim.step.host import host_work
from trainsim.step.layers import NUMBER_BYTES
from trainsim.testing import hf_configs
from trainsim.testing.schedules import virtual_stages

CLUSTERS = ("hgx-h100", "dgx-a100", "nvl72-gb200", "hgx-h800")
STACKS = ("megatron-2021", "fsdp-2023", "torchtitan-2024", "mcore-hopper", "mcore-blackwell", "deepseek-2024")
LARGE = ("llama3-8b", "mixtral-8x7b", "deepseek-v2-lite", "deepseek-v3", "qwen3-next-80b-a3b", "gemma3-27b", "llama4-maverick")


def _models() -> st.SearchStrategy[ts.Model]:
    """Small models of every family, and published models with prediction modules, linear mixers, windows, or experts in every second
    layer.
    """
    large = [name for name in LARGE if name in ts.catalog.rows("models")]
    return st.one_of(hf_configs().map(ts.from_hf), st.sampled_from(large).map(ts.catalog.model))


@st.composite
def modelled_runs(draw: st.DrawFn) -> ts.Run:
    """Runs with a possible plan, on up to a few hundred accelerators."""
    model = draw(_models())
    degree = st.sampled_from([1, 2, 4, 8])
    schedule = draw(st.sampled_from(list(schedules().values())))
    pp = draw(st.sampled_from([1, 2, 4] if schedule.stages_per_rank == 1 else [2, 4]))
    vpp = draw(st.sampled_from(virtual_stages(schedule)))
    tp, cp, dp, ep = draw(degree), draw(st.sampled_from([1, 2])), draw(degree), draw(degree)
    count, micro = draw(st.integers(1, 6)) * 2 * pp, draw(st.sampled_from([1, 2]))
    cluster = ts.catalog.cluster(draw(st.sampled_from(CLUSTERS)), tp * pp * cp * dp)
    formats = [n for n, r in RECIPES.items() if r.products in NUMBER_BYTES and getattr(cluster.chip.peak, r.products) is not None]
    try:
        plan = ts.Plan(
            tp=tp,
            pp=pp,
            vpp=vpp,
            cp=cp,
            ep=ep,
            expert_tp=draw(st.sampled_from([None, 1, 2])),
            micro_batch=micro,
            zero=draw(st.integers(0, 3)),
            schedule=schedule,
            sequence_parallel=draw(st.sampled_from(["off", "on"])),
            recompute=draw(st.sampled_from(["none", "selective", "full"])),
            precision=draw(st.sampled_from(formats)),
            optimizer=draw(st.sampled_from(sorted(OPTIMIZERS))),
            loss=draw(st.sampled_from(get_args(Loss))),
            dispatcher=draw(st.sampled_from([None, *get_args(Dispatcher)])),
            expert_overlap=draw(st.sampled_from(["off", "on"])) if schedule.pass_beside(pp) else "off",
            graphs=draw(st.sampled_from([(), ("attention",), ("layer",), ("step",)])),
        )
        check_plan(plan, model, cluster.gpus)
        schedule.check(pp, vpp, count)
        shapes_of(model)
        host_work(model, frozenset(plan.graphs))
    except (SpecError, EstimateError):
        assume(False)
    return ts.Run(
        model=model,
        cluster=cluster,
        phases=[
            ts.Phase("pretrain", tokens=1e12, seq_len=float(draw(st.sampled_from([256, 1000, 4096]))), batch=float(dp * micro * count))
        ],
        plan=plan,
        efficiency=ts.Modelled(stack=ts.catalog.stack(draw(st.sampled_from(STACKS)))),
    )


Law = Callable[[Callable[..., None]], Callable[..., None]]


def law(examples: int) -> Law:
    slow = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
    made: Law = settings(max_examples=examples, deadline=None, suppress_health_check=slow)
    return made


def seconds(run: ts.Run) -> float:
    return float(np.asarray(ts.step_time(run).total))


def parts(run: ts.Run) -> tuple[ts.Plan, float, float]:
    """The plan, the sequence length, and the batch."""
    phase = run.phases[0]
    assert run.plan is not None
    assert phase.seq_len is not None
    assert phase.batch is not None
    return run.plan, float(phase.seq_len), float(phase.batch)


@given(modelled_runs())
@law(60)
def test_never_shorter_than_flops_over_peak(run: ts.Run) -> None:
    plan, seq_len, batch = parts(run)
    flop = float(np.asarray(ts.flops_per_token(run.model, seq_len).total)) * batch * seq_len
    peak = max(float(run.cluster.chip.peak_of(plan.recipe.products)), float(run.cluster.chip.peak_of("bf16")))
    assert seconds(run) >= flop / (run.cluster.gpus * peak)


@given(modelled_runs())
@law(60)
def test_never_shorter_than_bytes_over_bandwidth(run: ts.Run) -> None:
    """Every micro-batch reads the weights of every product twice and writes their gradients, which bounds the mean rank."""
    plan, _, batch = parts(run)
    dense = experts = 0.0
    for entry in run.model.table.entries:
        if isinstance(entry.op, MatMul) and entry.op.weight:
            size = entry.count * entry.op.experts * float(entry.op.inner) * entry.op.cols
            dense, experts = (dense, experts + size) if entry.op.experts > 1 and entry.op.role == "linear" else (dense + size, experts)
    held = (dense / plan.tp + experts / (plan.ep * plan.expert_tp_degree)) / plan.pp
    passes = batch / (run.cluster.gpus / (plan.tp * plan.pp * plan.cp)) / plan.micro_batch
    assert seconds(run) >= passes * 3 * held * NUMBER_BYTES[plan.recipe.products] / float(run.cluster.chip.memory_bandwidth)


@given(modelled_runs(), st.data(), st.floats(1.0, 10.0))
@law(80)
def test_faster_hardware_never_slows(run: ts.Run, data: st.DataObject, factor: float) -> None:
    known = [
        path for path in run.numbers() if path.startswith("cluster.") and ("bandwidth" in path or ".peak." in path or "achieved" in path)
    ]
    path = data.draw(st.sampled_from(sorted(known)))
    assert seconds(run.replace({path: float(run.get(path)) * factor})) <= seconds(run) * (1 + 1e-12)


@given(modelled_runs())
@law(60)
def test_parts_add_up_and_none_is_negative_but_what_hides(run: ts.Run) -> None:
    step = ts.step_time(run)
    lines = {path: float(np.asarray(value)) for path, value in step.lines()}
    assert sum(lines.values()) == pytest.approx(float(step.total), rel=1e-12)
    # an unpaired pass has neither the idle time of paired slots nor processors used by exchanges: "alone" subtracts both
    returned = "exchange.ep.alone"
    floor = {returned: lines["exchange.ep.idle"] + lines["exchange.ep.processors"]}
    tiny = 1e-12 * float(step.total)
    assert all(value >= -floor.get(path, 0.0) - tiny for path, value in lines.items() if not path.endswith(".hidden"))
    for path, value in lines.items():
        if path.endswith(".hidden"):
            assert 0 >= value >= -lines[path.removesuffix("hidden") + "sent"] * (1 + 1e-12)


@given(modelled_runs())
@law(60)
def test_a_degree_of_one_sends_nothing_of_its_kind_and_more_send_something(run: ts.Run) -> None:
    plan, _, _ = parts(run)
    routed = shapes_of(run.model).experts > 1
    # a DualPipe pipeline holds every stage twice
    copies = run.cluster.gpus // (plan.tp * plan.pp) * plan.pass_order.copies
    degrees = {
        "tp": max(plan.tp, plan.expert_tp_degree if routed else 1),
        "ep": plan.ep,
        "cp": plan.cp,
        "pp": plan.pp,
        "dp": max(copies, copies * plan.tp / (plan.ep * plan.expert_tp_degree) if routed else 1),
    }
    for kind, degree in degrees.items():
        sent = float(np.asarray(ts.step_time(run).part(f"exchange.{kind}").total))
        assert degree > 1 or sent == 0.0, kind
        # the ledger is that of the slowest rank, which may have none of the layers that send
        assert sent > 0.0 or degree == 1 or plan.pp > 1, kind


@given(modelled_runs())
@law(60)
def test_shards_times_ranks_are_the_whole(run: ts.Run) -> None:
    plan, _, _ = parts(run)
    parameters = float(np.asarray(ts.count_params(run.model, mtp="unique").total))
    ledger = memory(run)
    copies = run.cluster.gpus / plan.pp
    held = sum(float(np.asarray(ledger.part(f"rank-{rank}.weights").total)) for rank in range(plan.pp)) * copies
    least = min(plan.recipe.weights, plan.recipe.other_weights) or plan.recipe.gathered * (plan.zero < 3)
    assert held >= parameters * float(least) * (1 - 1e-9)


@given(modelled_runs(), st.integers(0, 2**32 - 1))
@law(40)
def test_draws_equal_scalars(run: ts.Run, seed: int) -> None:
    rng = np.random.default_rng(seed)
    stack = {path: value for path, (value, _) in run.numbers().items() if path.startswith(("efficiency.stack.", "cluster.")) and value}
    chosen = rng.choice(sorted(stack), 4, replace=False)
    draws = {path: float(np.asarray(stack[path])) * rng.uniform(0.7, 1.0, 5) for path in chosen}
    draws = {path: np.maximum(values, run.unit_of(path).low) for path, values in draws.items()}
    together = np.broadcast_to(np.asarray(ts.step_time(Batch(run, draws).spec).total), 5)
    alone = [seconds(run.replace({path: float(values[i]) for path, values in draws.items()})) for i in range(5)]
    np.testing.assert_allclose(together, alone, rtol=1e-12)
