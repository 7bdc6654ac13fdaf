"""Hindcasts, simulations with seeds, a search, audits."""

from __future__ import annotations

from collections import Counter
from typing import Any

from figures import Named, numbers, quantiles, section
from of_steps import laid_out
from snapshot import DRAWN

import trainsim as ts


@section(DRAWN)
def hindcasts() -> Named:
    """Every published run, predicted from data public the day before."""
    found = ts.hindcasts()
    for h in found.hindcasts:
        yield from quantiles(h.name, (h.low, h.mid, h.high))
        yield f"{h.name} truth", h.truth
        yield f"{h.name} percentile", h.percentile
        yield f"{h.name} flat", h.flat
    yield "coverage", found.coverage
    yield "width", found.width
    yield "score", found.scores[0]
    yield "flat score", found.scores[1]
    yield "not run", sorted(found.not_run)


def bill() -> tuple[ts.Run, ts.Beliefs]:
    run = ts.Run(
        model=ts.catalog.model("llama3-8b"), cluster=ts.catalog.cluster("hgx-h100", gpus=256), reliability=ts.Goodput(0.95),
        phases=[ts.Phase("pretrain", tokens=2e12, seq_len=8192, batch=512)], efficiency=ts.MFU(0.40), price=ts.Rental(usd_per_gpu_hour=2.5),
    )  # fmt: skip
    believed = {"efficiency.mfu": ts.ci90(0.33, 0.47), "price.usd_per_gpu_hour": ts.ci90(1.9, 3.2), "reliability.goodput": ts.beta(38, 2)}
    return run, ts.Beliefs(believed)


@section(DRAWN)
def uncertainty() -> Named:
    """Simulations, sensitivities, evidence, what must be true, with seeds."""
    run, beliefs = bill()
    sim = ts.simulate(run, beliefs, rtol=1e-3, seed=1)
    for quantity in ("cost", "wall_days", "gpu_hours", "busy_gpu_hours", "mfu"):
        yield from quantiles(f"bill {quantity}", sim.quantile(quantity, (0.05, 0.5, 0.95)))
        yield f"bill {quantity} mean", sim.mean(quantity)
    yield "bill below 500K", sim.probability("cost", below=5e5)
    yield "bill n", sim.n
    for kind in ("first", "total", "shapley"):
        for path, share in getattr(ts.sensitivity(run, beliefs, of="cost", seed=1), kind).items():
            yield f"{kind} {path}", share
    known = ts.condition(run, beliefs, {"gpu_hours": ts.measured(9.0e4, rel=0.02)}, n=1 << 12, seed=1)
    sim = ts.simulate(run, known, n=1 << 12, seed=1)
    for quantity in ("cost", "mfu"):
        yield from quantiles(f"conditioned {quantity}", sim.quantile(quantity, (0.05, 0.5, 0.95)))
    must = ts.what_must_be_true(ts.Claim("cost", 4.0e5, unit="USD"), run, beliefs, seed=1)
    yield "must probability", must.probability
    for alone in must.alone:
        yield f"must {alone.path}", alone.value
    v3 = ts.catalog.run("deepseek-v3")
    blind = v3.replace({"efficiency": ts.MFU(0.4), "phases.pretrain.efficiency": None})
    sim = ts.simulate(blind, ts.catalog.beliefs(blind, as_of="2024-12-25"), n=1 << 13, seed=3)
    for quantity in ("cost", "gpu_hours"):
        yield from quantiles(f"blind deepseek-v3 {quantity}", sim.quantile(quantity, (0.05, 0.5, 0.95)))
    comparison: Any = ts.compare(v3, ts.catalog.run("llama3.1-405b"))
    yield "compared ratio", comparison.ratio
    for i, factor in enumerate(comparison.factors.values()):
        yield f"compared factor {i}", factor.value


@section(DRAWN)
def believed_steps() -> Named:
    """Step times under the beliefs of a stack."""
    for name, stack in (("llama3-8b tp pp", "mcore-hopper"), ("deepseek-v3", "deepseek-2024"), ("gpt3-175b", "megatron-2021")):
        run, beliefs = laid_out(name), ts.catalog.stack_beliefs(stack, routed=name == "deepseek-v3")
        sim = ts.simulate(run, beliefs, lambda r: {"step": ts.step_time(r).total}, n=1 << 11, seed=2)
        yield from quantiles(f"{name} s", sim.quantile("step", (0.05, 0.5, 0.95)))


@section(DRAWN)
def planning() -> Named:
    """A search of layouts, and solutions under limits."""
    run = laid_out("llama3-8b tp pp")
    found = ts.search_plans(run, framework="megatron", top=8)
    for quantity in ("considered", "possible", "fitting", "timed", "faster"):
        yield f"search {quantity}", getattr(found, quantity)
    rules: Counter[str] = Counter()
    for rule, refusals in found.rejected.items():
        rules[str(rule).partition(":")[0]] += refusals
    for rule, refusals in rules.items():
        yield f"search rejected by {rule}", refusals
    for i, plan in enumerate(found.ranked):
        yield f"search {i} s", plan.seconds
        yield f"search {i} B", plan.memory
        yield f"search {i} USD", plan.cost
        yield f"search {i} megatron", plan.plan.to_megatron()
    for i, plan in enumerate(found.front):
        yield f"front {i} s", plan.seconds
        yield f"front {i} B", plan.memory
    limits = {"cost": 100e3, "wall_days": 45}
    solved = ts.solve_for(run, "phases.pretrain.tokens", limits, seed=1)
    yield "tokens", solved.value
    rented, beliefs = bill()
    sure = ts.solve_for(rented, "phases.pretrain.tokens", limits, beliefs, probability=0.8, seed=1)
    yield "tokens with 80 %", sure.value
    yield "their probability", sure.probability
    yield "fewest GPUs", ts.solve_for(run, "cluster.gpus", {"wall_days": 300, "memory": 80e9}).value


@section(slow=True)
def search_of_deepseek() -> Named:
    """The search of a mixture of experts on 2,048 accelerators."""
    found = ts.search_plans(laid_out("deepseek-v3"), top=10)
    for quantity in ("considered", "possible", "fitting", "timed", "faster"):
        yield quantity, getattr(found, quantity)
    for i, plan in enumerate(found.ranked):
        yield f"{i} s", plan.seconds
        yield f"{i} B", plan.memory


# is it plausible ---------------------------------------------------------------------------------------------------------


@section(DRAWN)
def audits() -> Named:
    """Every claim of the catalogue: words, checks, rungs, ratios."""
    for name, claim in ts.catalog.claims().items():
        verdict = ts.audit(claim)
        yield f"{name} number", str(verdict.number)
        yield f"{name} words", str(verdict.words)
        yield f"{name} percentile", verdict.percentile
        for i, check in enumerate(verdict.checks):
            yield f"{name} {i} {check.name}", str(check.word)
            yield f"{name} {i} {check.name} figures", numbers(check.finding)
            yield f"{name} {i} {check.name} percentile", check.percentile
        for i, rung in enumerate(verdict.rungs):
            yield from quantiles(f"{name} rung {i}", rung.rent)
            yield f"{name} rung {i} odds", rung.odds
            yield f"{name} rung {i} grade", rung.grade
            if rung.owned:
                yield from quantiles(f"{name} rung {i} owned", rung.owned)
        for i, ratio in enumerate(verdict.ratios.values()):
            yield from quantiles(f"{name} ratio {i}", ratio)
        for row, hours in verdict.others.items():
            yield f"{name} others {row}", hours
        yield f"{name} screen", numbers(str(verdict))
