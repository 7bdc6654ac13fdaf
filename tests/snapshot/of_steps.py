"""Steps and bytes of layouts, schedules, stacks, exchanges, and measured steps."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any, Literal

import numpy as np
from figures import Named, lines, quantiles, refused, section
from snapshot import DRAWN

import trainsim as ts
from trainsim.cluster.collectives import (
    Fabric,
    all_gather,
    all_reduce,
    all_to_all,
    members_per_domain,
    point_to_point,
    routing_imbalance,
    token_copies,
)

LAYOUTS: dict[str, tuple[str, str, int, str, float, float, Mapping[str, Any]]] = {
    "llama3-8b fsdp": ("llama3-8b", "hgx-h100", 64, "torchtitan-2024", 8192, 128, {"zero": 3}),
    "llama3-8b fsdp 2023": ("llama3-8b", "dgx-a100", 64, "fsdp-2023", 4096, 128, {"zero": 3, "recompute": "full", "loss": "plain"}),
    "llama3-8b tp pp": ("llama3-8b", "hgx-h100", 64, "mcore-hopper", 8192, 128, {"tp": 8, "pp": 2, "zero": 1}),
    "llama3-8b cp": ("llama3-8b", "hgx-h200", 64, "mcore-26.04-hopper", 65536, 16,
                     {"tp": 4, "cp": 4, "zero": 1, "sequence_parallel": "on"}),
    "llama3.1-405b": ("llama3.1-405b", "meta-h100-roce", 8192, "mcore-hopper", 8192, 2048,
                      {"tp": 8, "pp": 16, "vpp": 7, "zero": 1, "schedule": "interleaved", "sequence_parallel": "on"}),
    "gpt3-175b": ("gpt3-175b", "dgx-a100", 1536, "megatron-2021", 2048, 1536,
                  {"tp": 8, "pp": 16, "recompute": "full", "precision": "fp16"}),
    "bloom-176b": ("bloom-176b", "jean-zay-a100", 384, "megatron-2021", 2048, 2048,
                   {"tp": 4, "pp": 12, "micro_batch": 2, "zero": 1, "recompute": "full"}),
    "deepseek-v3": ("deepseek-v3", "hgx-h800", 2048, "deepseek-2024", 4096, 15360,
                    {"pp": 16, "ep": 64, "zero": 1, "schedule": "dualpipe", "precision": "fp8-blockwise"}),
    "deepseek-v3 gb200": ("deepseek-v3", "nvl72-gb200", 256, "mcore-26.04-blackwell", 4096, 4096,
                          {"pp": 4, "vpp": 4, "ep": 64, "zero": 1, "schedule": "interleaved", "precision": "mxfp8", "dispatcher": "fused"}),
    "qwen3-30b-a3b": ("qwen3-30b-a3b", "hgx-b200", 64, "mcore-blackwell", 4096, 512, {"ep": 8, "zero": 1, "expert_overlap": "on"}),
    "mixtral-8x7b": ("mixtral-8x7b", "hgx-h100", 128, "mcore-hopper", 4096, 256,
                     {"tp": 2, "pp": 4, "ep": 8, "zero": 1, "graphs": ("attention",), "optimizer": "muon"}),
    "minimax-text-01": ("minimax-text-01", "hgx-h800", 512, "mcore-hopper", 8192, 512, {"pp": 8, "ep": 32, "zero": 1}),
    "gemma2-9b": ("gemma2-9b", "hgx-h100", 32, "mcore-hopper", 8192, 64,
                  {"tp": 4, "pp": 2, "recompute": "selective", "recompute_parts": ("core",), "dropout": "on"}),
    "olmo2-13b dp": ("olmo2-13b", "hgx-h100", 64, "mcore-hopper", 4096, 512, {"zero": 2, "optimizer": "adamw-8bit"}),
}  # fmt: skip
"""Name → model, cluster, accelerators, stack, sequence length, batch, plan; together they use every mechanism of a step."""
SCHEDULES: dict[str, Mapping[str, Any]] = {
    "gpipe": {"pp": 8}, "1f1b": {"pp": 8}, "interleaved": {"pp": 8, "vpp": 2}, "zero-bubble": {"pp": 8}, "zero-bubble-v": {"pp": 8},
    "dualpipe": {"pp": 8}, "dualpipe-v": {"pp": 8},
}  # fmt: skip
"""Schedule → degrees with which it is evaluated."""


def laid_out(name: str) -> ts.Run:
    model, cluster, gpus, stack, seq_len, batch, plan = LAYOUTS[name]
    return ts.Run(
        name=name, model=ts.catalog.model(model), cluster=ts.catalog.cluster(cluster, gpus=gpus), plan=ts.Plan(**plan),
        phases=[ts.Phase("pretrain", tokens=1e12, seq_len=seq_len, batch=batch)], reliability=ts.Goodput(0.95),
        efficiency=ts.Modelled(stack=ts.catalog.stack(stack)), price=ts.Rental(usd_per_gpu_hour=2.0),
    )  # fmt: skip


def scheduled(schedule: str, model: str) -> ts.Run:
    run = laid_out("llama3-8b tp pp" if model == "llama3-8b" else "minimax-text-01")
    plan = {**dict(LAYOUTS[run.name][-1]), "tp": 1, "schedule": schedule, **SCHEDULES[schedule]}
    return run.replace({"plan": ts.Plan(**plan)})


@section()
def steps() -> Named:
    """Seconds of a step by part, bytes by rank and part, the run's dollars."""
    for name in LAYOUTS:
        est = ts.estimate(laid_out(name))
        yield from lines(f"{name} s", est.step_time.part("pretrain"))
        yield f"{name} USD", est.cost.total
        yield f"{name} mfu", est.mfu
        ranks = est.memory
        for rank in dict.fromkeys((next(iter(ranks.parts)), list(ranks.parts)[-1])):
            for part, value in ranks.part(rank).parts.items():
                yield f"{name} B {rank} {part}", float(np.asarray(value.total if isinstance(value, ts.Ledger) else value))
        yield f"{name} B of all ranks", ranks.total


@section()
def schedules() -> Named:
    """Every schedule's step and memory on a dense and a routed model; its events on even, uneven and paired times."""
    for schedule, model in product(SCHEDULES, ("llama3-8b", "minimax-text-01")):
        est, why = refused(ts.estimate, scheduled(schedule, model))
        yield f"{schedule} {model}", why
        if est is not None:
            seconds = est.step_time.part("pretrain")
            yield f"{schedule} {model} s", seconds.total
            yield f"{schedule} {model} bubble", seconds.part("bubble").total if "bubble" in seconds.parts else 0.0
            for rank in est.memory.parts:
                yield f"{schedule} {model} B {rank}", est.memory.part(rank).total
    for schedule, degrees in SCHEDULES.items():
        for pp, m in ((4, 8), (4, 20), (8, 16)):
            vpp = int(degrees.get("vpp", 1))
            stages = pp * (2 if schedule in {"zero-bubble-v", "dualpipe-v"} else vpp)
            spread = 1.0 + 0.1 * np.cos(np.arange(stages))
            for kind, scale in (("even", np.ones(stages)), ("uneven", spread)):
                pair = 2.7 * scale.max() * np.ones(stages) if schedule.startswith("dualpipe") else None
                times = ts.Times(forward=scale, inputs=scale, weights=0.9 * scale, pair=pair)
                for sending in (0.0, 0.05):
                    drawn, why = refused(ts.pipeline_timeline, schedule, times, m, pp, vpp, sending)
                    key = f"{schedule} {pp}x{m} {kind} sending {sending:g}"
                    if drawn is None:
                        yield key, why
                        continue
                    yield key, drawn.seconds
                    yield f"{key} idle", sum(float(np.asarray(drawn.bubble(rank)).item()) for rank in range(pp))


@section()
def stacks() -> Named:
    """Every number of every stack, and the belief about its factor."""
    for name in STACKS:
        for field, value in ts.catalog.stack(name):
            if isinstance(value, float) or (isinstance(value, int) and not isinstance(value, bool)):
                yield f"{name} {field}", float(value)
        for routed in (True, False):
            factor = ts.catalog.stack_beliefs(name, routed=routed)["efficiency.stack.factor"]
            law = factor.for_field(laid_out("deepseek-v3").unit_of("efficiency.stack.factor"), "factor")
            yield from quantiles(f"{name} factor {'moe' if routed else 'dense'}", (law.ppf(q) for q in (0.05, 0.5, 0.95)))


STACKS = (
    "megatron-2021", "mcore-ampere", "fsdp-2023", "fsdp-2023-hopper", "torchtitan-2024", "torchtitan-2024-async", "mcore-hopper",
    "mcore-blackwell", "deepseek-2024", "mcore-25.09-hopper", "mcore-26.08-hopper", "mcore-25.09-blackwell", "mcore-26.08-blackwell",
)  # fmt: skip


@section()
def collectives() -> Named:
    """Times of exchanges inside a node and between nodes, and copies of tokens."""
    fabric = Fabric(8, 200e9, 50e9, 1e-6, 5e-6)
    for group, size in product((1, 2, 8, 16, 64, 512), (1e4, 1e7, 1e9)):
        near = members_per_domain(group, 1, fabric.domain)
        for exchange in (all_reduce, all_gather, all_to_all):
            yield f"{exchange.__name__} {group} {size:g}", exchange(size, group, near, fabric)
    for distance in (0, 1, 8):
        yield f"point_to_point {distance}", point_to_point(1e6, distance, fabric)
    kinds: tuple[Literal["none", "rank", "domain"], ...] = ("none", "rank", "domain")
    for kind, limit in product(kinds, (np.inf, 4.0)):
        for where, copies in zip(("inside", "outside"), token_copies(kind, 256, 8, 64, 8, limit=limit), strict=True):
            yield f"copies {kind} {limit:g} {where}", copies
    for tokens in (4096, 262144):
        yield f"imbalance {tokens}", routing_imbalance(tokens, 256, 8, 64)


# measured steps ----------------------------------------------------------------------------------------------------------


@section()
def measured_steps() -> Named:
    """Rows of two formats: the forecast, or the field that prevents one."""
    for file in ("rows.json", "rows.csv"):
        found: Any = ts.backtest(rows=Path(__file__).parent / file)
        for forecast in found.forecasts:
            yield f"{forecast.step.name} measured", forecast.step.seconds
            yield f"{forecast.step.name} modelled", forecast.modelled
            yield from quantiles(forecast.step.name, (forecast.low, forecast.mid, forecast.high))
        for step in found.not_run:
            yield f"{step.name} not run", step.not_modelled.partition(":")[0]
        for i, group in enumerate(found.groups()):
            for quantity in ("rows", "configurations", "median", "mean", "bias", "coverage", "width", "score"):
                yield f"{file} group {i} {quantity}", getattr(group, quantity)


@section(DRAWN)
def own_steps() -> Named:
    """Beliefs updated with measured steps, and the diagnosis of a slow step."""
    run = laid_out("llama3-8b fsdp")
    seconds = float(np.asarray(ts.step_time(run).total))
    learnt = ts.calibrate([1.2 * seconds, 1.21 * seconds], run).beliefs
    sim = ts.simulate(run, learnt, lambda r: {"step": ts.step_time(r).total}, n=1 << 11, seed=1)
    yield from quantiles("calibrated step", sim.quantile("step", (0.05, 0.5, 0.95)))
    for times in (1.0, 1.5):
        said = ts.diagnose(run, step_time=times * seconds, memory=60e9)
        yield from quantiles(f"diagnosed {times:g}", said.modelled)
        yield f"diagnosed {times:g} percentile", said.percentile
        for e in said.explanations[:5]:
            yield f"diagnosed {times:g} {e.path or 'chance'}", e.probability
        if said.memory is not None:
            yield f"diagnosed {times:g} memory", said.memory[0]
