"""An answer of every kind that has a picture, with little computation."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

import trainsim as ts

SIX = "deepseek-v3-6m"
BELIEFS = ts.Beliefs(
    {
        "price.usd_per_gpu_hour": ts.ci90(1.4, 3.4),
        "reliability.goodput": ts.uniform(0.85, 0.99),
        "phases.pretrain.efficiency.gpu_hours": ts.ci90(2.5e6, 3.1e6),
    }
)

GOODPUT = ts.Beliefs({"reliability.goodput": ts.uniform(0.85, 0.99)})


@cache
def v3() -> ts.Run:
    return ts.catalog.run("deepseek-v3")


@cache
def modelled() -> ts.Run:
    return ts.Run(
        name="llama3-8b on 64 H100",
        model=ts.catalog.model("llama3-8b"),
        cluster=ts.catalog.cluster("hgx-h100", 64),
        plan=ts.Plan(tp=4, pp=2),
        phases=[ts.Phase("pretrain", tokens=1e12, seq_len=8192, batch=128)],
        efficiency=ts.Modelled(stack=ts.catalog.stack("mcore-hopper")),
        reliability=ts.Goodput(0.95),
        price=ts.Rental(usd_per_gpu_hour=2.5),
    )


@cache
def verdict(name: str = SIX) -> ts.Verdict:
    return ts.audit(ts.catalog.claim(name))


@cache
def simulation() -> Any:
    return ts.simulate(v3(), BELIEFS, n=1 << 12)


@cache
def backtest() -> Any:
    from trainsim.validation.run_hindcast import Backtest, Hindcast

    days = [dt.date(2024, month, 1) for month in range(1, 8)]
    truths = [1.0e5, 2.0e5, 0.6e5, 3.1e5, 1.2e5, 9.0e5, 1.5e5]
    made = [Hindcast(f"run-{i}", "a lab", d, 0.5e5, 1.3e5, 3.0e5, t, 50.0, 1e5) for i, (d, t) in enumerate(zip(days, truths, strict=True))]
    return Backtest(tuple(made), {})


def steps() -> Any:
    from trainsim.calibration.records import MeasuredStep
    from trainsim.validation.step_backtest import StepBacktest, StepForecast

    measured = [0.8, 1.7, 3.1, 9.6, 24.0]
    rows = [MeasuredStep(f"r{i}", f"row {i}", "a paper", "dense", seconds, key=f"k{i}") for i, seconds in enumerate(measured)]
    off = (1.02, 0.95, 1.4, 0.99, 1.08)
    made = [StepForecast(row, *(row.seconds * x * f for f in (1.0, 0.8, 1.0, 1.2))) for row, x in zip(rows, off, strict=True)]
    return StepBacktest(tuple(made), (), ())


def timelines(*names: str) -> dict[str, Any]:
    one = ts.Times(forward=np.ones(4), inputs=np.ones(4), weights=np.ones(4), pair=2.5 * np.ones(4))
    half = ts.Times(*(np.full(8, 0.5) for _ in range(3)))
    return {n: ts.pipeline_timeline(n, half if n == "interleaved" else one, 8, 4, 2 if n == "interleaved" else 1) for n in names}


def small() -> ts.Run:
    return modelled().replace({"plan.pp": 1, "plan.tp": 1, "plan.zero": 1})


SAMPLES: dict[str, tuple[Callable[[], Any], dict[str, Any]]] = {
    "cost by part": (lambda: ts.estimate(v3()), {}),
    "parameters": (lambda: ts.estimate(v3()), {"of": "params"}),
    "FLOPs, some unknown": (lambda: ts.estimate(v3()), {"of": "flops"}),
    "memory of an estimate": (lambda: ts.estimate(modelled()), {"of": "memory"}),
    "step of an estimate": (lambda: ts.estimate(modelled()), {"of": "step_time"}),
    "a ledger": (lambda: ts.count_params(ts.catalog.model("llama3-8b")), {}),
    "16 ranks": (lambda: ts.fits(v3()), {}),
    "one rank, too much": (lambda: ts.fits(small()), {}),
    "memory over a step": (lambda: ts.memory_over_step(modelled()), {}),
    "memory of many ranks over a step": (lambda: ts.memory_over_step(modelled().replace({"plan.tp": 1, "plan.pp": 8})), {}),
    "bytes alone": (lambda: ts.memory(modelled()), {}),
    "a step": (lambda: ts.step_time(modelled()), {}),
    "a roofline": (lambda: ts.roofline(modelled()), {}),
    "a roofline of two formats": (lambda: ts.roofline(modelled().replace({"plan.precision": "fp8"})), {}),
    "pipelines": (lambda: timelines("1f1b", "interleaved", "zero-bubble", "dualpipe"), {}),
    "one pipeline": (lambda: timelines("1f1b")["1f1b"], {}),
    "a cost": (simulation, {}),
    "days": (simulation, {"of": "wall_days"}),
    "no difference": (lambda: ts.compare(v3(), v3().replace({"price.usd_per_gpu_hour": 3.0}), BELIEFS, n=1 << 12), {}),
    "a difference": (lambda: ts.compare(v3(), v3().replace({"price.usd_per_gpu_hour": 3.0}), GOODPUT, n=1 << 12), {}),
    "shares of the variance": (lambda: ts.sensitivity(v3(), BELIEFS), {}),
    "a tornado": (lambda: ts.tornado(v3(), BELIEFS), {}),
    "value of disclosure": (lambda: ts.disclosure(v3(), BELIEFS), {}),
    "what must be true": (lambda: ts.what_must_be_true(ts.catalog.claim(SIX), v3(), BELIEFS), {}),
    "hindcasts": (backtest, {}),
    "measured steps": (steps, {}),
    "rents": (lambda: ts.catalog.rent_trend(v3()), {}),
    "rents by a day": (lambda: ts.catalog.rent_trend(v3(), as_of="2024-12-25"), {}),
    "a search": (lambda: ts.search_plans(modelled(), space={"schedule": "1f1b"}), {}),
    "two runs": (lambda: ts.compare(v3(), ts.catalog.run("llama3.1-405b")), {}),
    "a run and itself": (lambda: ts.compare(v3(), v3()), {}),
    "a verdict": (verdict, {}),
    "a verdict beside others": (verdict, {"beside": ("gpt-4o-100m", "investment-500m", "fleet-944m", "fleet-1.6b")}),
}
"""Name → function that makes the answer, and options of its picture; ``beside`` by name."""


@cache
def answer(name: str) -> Any:
    return SAMPLES[name][0]()


def options(name: str) -> dict[str, Any]:
    found = SAMPLES[name][1]
    return {**found, "beside": [verdict(n) for n in found["beside"]]} if "beside" in found else found
