"""The broadcast law: an array of draws gives the results of single draws, for every discovered function of numbers."""

from __future__ import annotations

import dataclasses
import importlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import trainsim as ts
from trainsim.cluster.collectives import Fabric
from trainsim.core.registry import members
from trainsim.gpu_memory.rank_memory import RankMemory
from trainsim.parallelism.schedules.discovery import schedules
from trainsim.parallelism.schedules.schedule import Schedule
from trainsim.testing.laws import Function, Samples, check_broadcast, numeric_functions
from trainsim.training.efficiency import Work
from trainsim.training.failure_laws import Weibull
from trainsim.uncertainty.distributions.distribution import Belief

FOUND = numeric_functions(ts, leave_out=("testing", "report", "cli"))

EXEMPT = {
    "catalog.": "looks rows up for a run as its maker states it; what it gives are beliefs, and it is called once",
    "auditing.": "judges a run as its maker states it; the draws are inside",
    "monitor.": "watches a run as its maker states it; the draws are inside",
    "planning.": "searches and solves for a run as its maker states it; the draws are inside",
    "parallelism.plan.micro_batches": "counts the micro-batches of one batch, or says that it can't be split",
    "frameworks.": "writes a command line",
    "run.inputs.": "takes a run apart, or says what it lacks",
    "gpu_memory.fit.": "judges the fullest rank of a ledger",
    "step.roofline.": "shows a run as its maker states it",
    "run.assumed.": "shows a run as its maker states it",
    "run.roofline.": "shows a run as its maker states it",
    "run.memory_over_step.": "shows a run as its maker states it",
    "step.host.dispatcher_of": "gives a word",
    "step.step.at_rank": "takes an index for each draw",
    "step.host.attention_kernel": "gives a word",
    "step.offload.host_of": "gives the host that a cluster has",
    "run.memory.fits": "judges the fullest rank of a ledger",
    "run.memory_notes.memory_notes": "writes a text",
    "cluster.profile.fit_stack": "fits one stack to what one card measured, by least squares: its answer is one point",
    "calibration.update.": "lays its own draws over a run",
    "calibration.trace_update.": "fits a stack to one trace: its answer is one point",
    "calibration.diagnose.": "lays its own draws over a run",
    "cost.energy.model_card_emissions": "writes a text",
    "inference.what_must_be_true": "lays the draws itself",
    "uncertainty.sampling.simulation.": "asks a finished simulation for quantiles",
    "uncertainty.distributions.composed.empirical": "takes a sample: an array is one belief",
    # from Python 3.12 on, numpy's ArrayLike counts as a number too
    **dict.fromkeys(["uncertainty.distributions.composed.joint"] * (sys.version_info >= (3, 12)), "takes a table: an array is one belief"),
}
"""Functions and modules that never take draws, each with the reason."""


def model() -> ts.Model:
    attention = ts.GroupedQueryAttention(heads=8, kv_heads=2, head_dim=16)
    windowed = ts.GroupedQueryAttention(heads=8, kv_heads=2, head_dim=16, window=64)
    latent = ts.LatentAttention(heads=8, kv_rank=16, q_rank=24, nope_dim=16, rope_dim=8, v_dim=16)
    moe = ts.MixtureOfExperts(experts=16, top_k=2, width=32, shared_width=32)
    blocks = {
        "dense": ts.Block(attention=attention, ffn=ts.GatedMLP(width=256)),
        "moe": ts.Block(attention=latent, ffn=moe),
        "sliding": ts.Block(attention=windowed, ffn=ts.PlainMLP(width=256)),
    }
    stack = [ts.Layers(name=name, count=2, block=block) for name, block in blocks.items()]
    return ts.Model(hidden=128, vocab=1000, stack=stack, mtp=ts.MultiTokenPrediction(depth=1, block=blocks["moe"]))


def cluster() -> ts.Cluster:
    link = ts.Link(bandwidth=50e9, achieved=40e9, latency=5e-6)
    fast = ts.Link(bandwidth=400e9, achieved=300e9, latency=1e-6)
    peak = ts.Peak(bf16=1e15, fp8=2e15)
    chip = ts.Chip(name="chip", peak=peak, memory=80e9, memory_bandwidth=3e12, power=700)
    host = ts.Host(link=link, memory_bandwidth=600e9)
    return ts.Cluster(chip=chip, gpus=64, scale_up=fast, scale_out=link, host=host)


def run(**changes: Any) -> ts.Run:
    """A run with every efficiency in its own phase, and with every number given."""
    told: dict[str, Any] = {"tokens": 1e10, "seq_len": 4096, "batch": 1024}
    phases = [
        ts.Phase("mfu", **told, document_length=1000),
        ts.Phase("hfu", **told, efficiency=ts.HFU(0.5, flops="full")),
        ts.Phase("rate", **told, efficiency=ts.Throughput(tokens_per_s_per_gpu=1000)),
        ts.Phase("step", **told, efficiency=ts.StepTime(seconds=10)),
        ts.Phase("hours", efficiency=ts.BusyHours(gpu_hours=1000)),
        ts.Phase("taught", **told, teacher=model()),
    ]
    plan = ts.Plan(tp=2, pp=2, ep=4, recompute="selective")
    given: dict[str, Any] = {"efficiency": ts.MFU(0.4), "reliability": ts.Goodput(0.9), "price": ts.Rental(usd_per_gpu_hour=2.0)}
    return ts.Run(model=model(), cluster=cluster(), phases=phases, plan=plan, **given | changes)


def modelled() -> ts.Run:
    """A run with a modelled time, so that every number of its software stack has a path."""
    whole = run().replace({"efficiency": lazily("training.modelled:Modelled", stack=SAMPLES.of["Stack"]())()})
    return whole.replace({"phases": whole.phases[:1]})


def short() -> ts.Run:
    """Two phases, for functions that call those above."""
    whole = run()
    return whole.replace({"phases": whole.phases[:2]})


def work() -> Work:
    def flops(convention: str, mtp: Any) -> ts.Ledger:
        return ts.flops_per_token(model(), 4096.0, convention, mtp)

    return Work("phases.x", model(), 1e10, 4096.0, 1024.0, cluster(), ts.Plan(recompute="full"), flops)


PLAIN, ZERO_BUBBLE, UNIFORM = schedules()["1f1b"], schedules()["zero-bubble"], ts.Times(*(np.ones(1),) * 3)
STAGES = np.array([[1.0], [1.2], [0.9], [1.1]]) * np.ones(1)
ROWS = np.array([[512.0], [4096.0]])
HELD = np.array([[1.0, 2.0, 1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 1.0, 2.0, 1.0, 1.0]])
"""Layers of each kind on two ranks."""
SITE = {"watts": 1000.0, "idle_watts": 300.0, "pue": 1.2, "usd_per_kwh": 0.1, "rated_watts": 1300.0, "usd_per_kw_month": 150.0}


def lazily(path: str, *args: Any, **kwargs: Any) -> Any:
    """A sample whose class is looked up when it is needed."""

    def make() -> Any:
        module, _, name = path.partition(":")
        return getattr(importlib.import_module(f"trainsim.{module}"), name)(*args, **kwargs)

    return make


def owner(**more: Any) -> Any:
    return lazily("cost.ownership:Ownership", usd_per_gpu=3e4, life_years=4.0, operating_share=0.1, utilization=0.8, **more)


def plan() -> ts.Plan:
    """A plan with its own precision, whose bytes have paths."""
    return ts.Plan(tp=2, pp=2, ep=4, precision=lazily("parallelism.precision:Precision", name="mine")())


def degrees() -> Any:
    return lazily("parallelism.layout:degrees_of", plan(), 64, 4096.0)()


def recipe() -> Any:
    told = {"steps": 100.0, "prompts": 64.0, "samples": 16.0, "prefill_mfu": 0.4, "learning_mfu": 0.3, "sync_seconds": 10.0}
    return lazily("training.reinforcement:Reinforcement", **told, responses=SAMPLES.of["Responses"](), engine=SAMPLES.of["Engine"]())()


def holding() -> Any:
    return lazily("run.fleet:Holding", name="a", gpus=1e4, ownership=owner()())()


def stack() -> Any:
    return lazily("cluster.stack:Stack", "mine", architecture="hopper")()


def layout() -> Any:
    return lazily("parallelism.layout:layout_of", ts.Plan(tp=2, pp=2, ep=4, recompute="selective"), cluster().gpus, 4096.0)()


def one_pass() -> Any:
    again = lazily("parallelism.recompute:recomputed_work", model(), frozenset({"core"}))()
    made = lazily("parallelism.placement:place_layers", model(), PLAIN, 2, 1)()
    times = lazily("step.step:layer_times_of", model(), layout(), PLAIN, cluster(), stack())()
    return lazily("step.overlap:overlap_pass", times, again, made, PLAIN, layout(), stack())()


def offloaded() -> Any:
    made = ts.Plan(tp=2, pp=2, ep=4, recompute="selective", offload=ts.Offload(optimizer=0.5, activations=0.5))
    return lazily("parallelism.layout:layout_of", made, cluster().gpus, 4096.0)()


def development() -> Any:
    people = lazily("run.development:People", headcount=100.0, usd_per_year=1e6, overhead=1.3, share=0.5, years=1.0)()
    return lazily("run.development:Development", lines=[lazily("run.development:Line", name="final", run=run())()], people=people)()


SAMPLES = Samples(
    of={
        "Model": model,
        "Attention": lambda: model().stack[0].block.attention,
        "Cluster": cluster,
        "Chip": lambda: cluster().chip,
        "RankMemory": lambda: RankMemory.of(ts.Ledger("B", {"rank-0": {"weights": 50e9}}), 80e9),
        "Plan": plan,
        "Degrees": lambda: degrees(),
        "Reinforcement": lambda: recipe(),
        "Phase": lambda: run().phases[0],
        "Run": run,
        "Work": work,
        "FailureLaw": Weibull(shape=0.8),
        "Fabric": Fabric(8.0, 300e9, 40e9, 1e-6, 5e-6),
        "SlidingWindow": lazily("model.masks:SlidingWindow", 64),
        "Chunked": lazily("model.masks:Chunked", 64),
        "WithinChunk": lazily("model.masks:WithinChunk", 64),
        "Documents": lazily("model.documents:Documents", lengths=(100, 700), weights=(3, 1)),
        "Ledger": ts.Ledger("USD", {"a": 1.0, "b": {"c": 2.0}}),
        "Ownership": owner(network_share=0.1, cost_of_capital=0.08, residual_share=0.1, support_share=0.02, staff_usd_per_gpu_year=100.0),
        "Site": lazily("cost.ownership:Site", **SITE),
        "ProductTimings": lazily("cluster.profile:ProductTimings", "bf16", ROWS, ROWS / 2, ROWS * 2, ROWS / ROWS, ROWS),
        "Stack": lambda: stack(),
        "Engine": lazily(
            "training.decoding:Engine", gpus=2, weight_bytes=1.0, cache_bytes=1.0, bandwidth_share=0.7, compute_share=0.5,
            step_overhead_seconds=1e-3, max_batch=64.0,
        ),
        "Responses": lazily("training.reinforcement:Responses", prompt=200.0, start=600.0, end=4000.0, spread=0.8, maximum=32768.0),
        "Times": lazily("parallelism.schedules.events:Times", STAGES, STAGES, STAGES * 0.8),
        "Order": lazily("parallelism.schedules.schedule:slot_order", ZERO_BUBBLE, 4, 8),
        "Shapes": lambda: lazily("parallelism.shapes:shapes_of", model())(),
        "Recomputed": lambda: lazily("parallelism.recompute:recomputed_work", model(), frozenset({"core"}))(),
        "HostWork": lambda: lazily("step.host:host_work", model(), frozenset({"attention"}))(),
        "Layout": lambda: layout(),
        "LayerTimes": lambda: lazily("step.step:layer_times_of", model(), layout(), PLAIN, cluster(), stack())(),
        "Placement": lambda: lazily("parallelism.placement:place_layers", model(), PLAIN, 2, 1)(),
        "OverlapPass": lambda: one_pass(),
        "Shares": lambda: lazily("gpu_memory.weights:rank_shares", plan(), degrees())(),
        "ShardGroups": lambda: lazily("step.updates:shard_groups", layout(), 1.0)(),
        "Linked": lazily("uncertainty.distributions.interval:Linked", mu=0.0, sigma=0.5, low=0.0, high=1.0),
        "Truncated": ts.normal(0.4, 0.3).truncate(0, 1),
        "Uniform": ts.uniform(0.1, 0.8),
        "Triangular": ts.triangular(0.1, 0.3, 0.8),
        "Pert": ts.pert(0.1, 0.3, 0.8),
        "Mixture": ts.mixture([ts.uniform(0, 0.5), ts.normal(0.6, 0.1)]),
        "Empirical": ts.empirical([0.3, 0.5, 0.6], [1, 2, 1]),
        "Joint": ts.joint({"a": [0.1, 0.4], "b": [1.0, 2.0]}),
        "Development": development,
        "Fleet": lambda: lazily("run.fleet:Fleet", holdings=[holding()])(),
        "Holding": lambda: holding(),
    },
    ranges={
        "seq_len": (1.0, 10_000.0), "document_length": (1.0, 10_000.0), "context": (1.0, 10_000.0), "position": (1.0, 10_000.0),
        "age": (0.01, 5.0), "segment": (0.005, 0.5), "batch": (1.0, 64.0), "micro_batches": (16.0, 16.0), "step_of.batch": (1024.0, 1024.0),
        "lower_bound_seconds.batch": (1024.0, 1024.0),
        "x": (0.0, 1.0), "z": (-3.0, 3.0),
    },
    words={
        "gpus": 1024, "dtype": "bf16", "number_format": "bf16", "convention": "causal", "keys": lambda length: (length + 1) / 2,
        "progress": 0.4, "index": {2020: 1.0, 2024: 1.2}, "paid": 2020, "wanted": 2024, "pp": 4, "vpp": 1, "half": 2, "schedule": PLAIN,
        "closed_form.times": UNIFORM, "uniform_seconds.times": UNIFORM,
        "step_of.schedule": PLAIN, "lower_bound_seconds.schedule": PLAIN, "zero": 1, "phase": "mfu", "decode_seconds.gpus": 8,
        "compare.a": short(), "compare.b": short(), "quantities.run": short(), "memory.phase": "mfu", "degrees_of.gpus": 64,
        "peak_by_zero.stages": (0, 1, 2, 3),
        "interleaved_seconds.vpp": 2, "kept_seconds.layout": offloaded(), "overlap_pass.kept": None,
        "held": HELD, "whole": {"embedding": 1.0, "dense": 2.0, "moe": 1.0}, "choose.condition": True,
        "lazy_ledger.make": lambda: {"part": 1.0},
    },
    still=frozenset({"lines.final.completed", *(f"run.memory.memory:phases.{name}.batch" for name in ("mfu", "hfu", "rate", "step"))}),
    fixed=(Belief,),
)  # fmt: skip
SAMPLES = dataclasses.replace(
    SAMPLES,
    words={**SAMPLES.words, "step_time.run": modelled(), "step_time.phase": "mfu", "slot_time.run": modelled(), "slot_time.phase": "mfu"},
)


FLAT_TOP = {"training.reliability.best_interval": 1e-7}
"""Functions that return the position of a maximum, which is accurate to the square root of the precision."""
SLOW = {
    "run.step_time.step_time", "run.step_time.slot_time",
    "training.reinforcement.estimate_reinforcement", "training.reinforcement.decode_seconds",
    "training.reliability.best_interval", "training.rollouts.Rollouts.gpu_seconds", "parallelism.schedules.events.timeline",
    "run.memory.memory", "gpu_memory.peak.rank_memory", "run.compare.compare", "inference.compare", "inference.quantities",
    "run.development.estimate_development", "step.step.step_of", "step.step.step_of_plan",
}  # fmt: skip
"""Functions that are checked at fewer draws by default, and at all draws in slow tests."""


def why_exempt(label: str) -> str:
    return next((reason for prefix, reason in EXEMPT.items() if label.startswith(prefix)), "")


COVERED = {label: f for label, f in FOUND.items() if not why_exempt(label) and f.call is not Schedule.closed_form}  # the value means "none"


def hold(function: Function, positions: int = 512) -> None:
    with np.errstate(all="ignore"):
        compared = check_broadcast(function, SAMPLES, seed=7, positions=positions, rtol=FLAT_TOP.get(function.label, 1e-12))
    assert compared >= positions


@pytest.mark.parametrize("function", COVERED.values(), ids=COVERED)
def test_an_array_of_draws_gives_what_each_gives_alone(function: Function) -> None:
    hold(function, 16 if function.label in SLOW else 512)


@pytest.mark.slow
@pytest.mark.parametrize("label", sorted(SLOW))
def test_slow_functions_in_all_places(label: str) -> None:
    hold(COVERED[label])


def test_modelled_time_broadcasts_through_an_estimate() -> None:
    of_modelled = dataclasses.replace(SAMPLES, words={**SAMPLES.words, "estimate.run": modelled()})
    stack = {p for p in modelled().numbers() if p.startswith("efficiency.stack.")}
    assert len(stack) > 40
    with np.errstate(all="ignore"):
        assert check_broadcast(COVERED["run.estimate.estimate"], of_modelled, seed=7, positions=16) > 16


def test_functions_of_numbers_are_found() -> None:
    assert len(COVERED) > 80
    assert {"run.estimate.estimate", "run.compare.compare", "model.counting.flops_per_token", "cost.rental.Rental.rate"} <= set(COVERED)


def test_no_function_with_a_unit_is_exempt() -> None:
    assert sum(function.carries_unit for function in FOUND.values()) > 40
    assert [label for label, function in FOUND.items() if function.carries_unit and why_exempt(label)] == []


@pytest.mark.parametrize("prefix", EXEMPT)
def test_every_exemption_exempts_something(prefix: str) -> None:
    room = prefix.rpartition(".")[0]
    assert any(label.startswith(prefix) for label in FOUND) or not (Path(ts.__file__).parent / (room.replace(".", "/") + ".py")).exists()


def test_every_final_member_is_met() -> None:
    """Each efficiency, price, reliability and distribution is tested on its own or as part of the estimated run."""
    for face in (ts.Run.model_fields["efficiency"], ts.Run.model_fields["price"], ts.Run.model_fields["reliability"]):
        family = next(a for a in (face.annotation, *getattr(face.annotation, "__args__", ())) if getattr(a, "__abstractmethods__", None))
        for kind, member in members(family).items():
            if member.__module__.startswith("trainsim."):
                assert any(f".{kind}." in label for label in COVERED), kind


def test_a_function_that_branches_on_numbers_is_caught() -> None:
    def bad(share: ts.Num) -> ts.Num:
        return 1.0 if np.mean(share) > 0.5 else share * 2.0

    found = Function("bad", bad, None, {"share": ts.Num}, {}, frozenset())
    with pytest.raises(AssertionError, match="bad"):
        hold(found)


def test_a_modules_own_classes_come_before_specs_of_the_same_name() -> None:
    class Box(ts.Cluster):
        """A spec that holds numbers, called like a class of ``parallelism.schedules.path_pruning``."""

    assert "parallelism.schedules.path_pruning.prune_dominated_paths" not in numeric_functions(ts, leave_out=("testing", "report", "cli"))
    assert Box.__subclasses__() == []
