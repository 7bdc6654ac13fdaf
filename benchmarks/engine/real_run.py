# ruff: noqa: ANN001, ANN201, ANN202  (scripts: read beside the loop they time)
"""Compare ``ts.simulate`` on a Run with a hand-written block loop: the same points, the same formulas, twelve uncertain paths.

    python benchmarks/engine/real_run.py

The loop computes hours as FLOPs over peak and utilisation, and dollars as hours over goodput times price. It uses the same points, tables
and bins, and does nothing else.
"""

import json
import statistics
import time

import numpy as np

import trainsim as ts
from trainsim.inference import quantities
from trainsim.uncertainty.distributions.tables import fast_sampler
from trainsim.uncertainty.sampling.quantiles import Bins, Histogram, size_key
from trainsim.uncertainty.sampling.sweep import BLOCK, Study

N = 1 << 20
RUNS = 7
PHASES = {"pretrain": (14.8e12, 4096), "extend-32k": (6.3e10, 32768), "extend-128k": (2.1e10, 131072), "anneal": (5e11, 8192)}
LEVELS = np.array([0.05, 0.5, 0.95])


def run():
    phases = [
        ts.Phase(name, tokens=tokens, seq_len=seq_len, batch=1024, efficiency=ts.MFU(0.38, peak="bf16", flops="half"))
        for name, (tokens, seq_len) in PHASES.items()
    ]
    return ts.Run(
        model=ts.catalog.model("deepseek-v3"),
        cluster=ts.catalog.cluster("hgx-h800", gpus=2048),
        phases=phases,
        reliability=ts.Goodput(0.95),
        price=ts.Rental(usd_per_gpu_hour=2.0),
    )


def beliefs():
    held = {
        "price.usd_per_gpu_hour": ts.ci90(1.4, 3.4),
        "reliability.goodput": ts.beta(40, 3),
        "cluster.chip.peak.bf16": ts.ci90(9.4e14, 9.9e14),
    }
    for name, (tokens, _) in PHASES.items():
        held[f"phases.{name}.tokens"] = ts.ci90(0.9 * tokens, 1.15 * tokens)
        held[f"phases.{name}.efficiency.mfu"] = ts.beta(24.5, 40)
    held["phases.anneal.efficiency.mfu"] = ts.ci90(0.3, 0.45)
    tied = {
        ("price.usd_per_gpu_hour", "phases.pretrain.efficiency.mfu"): 0.3,
        ("phases.pretrain.tokens", "phases.pretrain.efficiency.mfu"): -0.2,
    }
    return ts.Beliefs(held, correlated=tied)


def cost(spec):
    return quantities(spec, ("cost",))


def by_hand(spec, held):
    """The block loop: points, draws, two formulas, counts."""
    study = Study(spec, held, cost, 0, 16)
    resolved, points, size = study.resolved, study.points, N // 16
    work = {name: ts.flops_per_token(spec.model, seq_len=s, convention="half").total for name, (_, s) in PHASES.items()}

    def dollars(x):
        peak = x["cluster.chip.peak.bf16"]
        seconds = sum(work[p] * x[f"phases.{p}.tokens"] / (peak * x[f"phases.{p}.efficiency.mfu"]) for p in PHASES)
        return seconds / 3600 / x["reliability.goodput"] * x["price.usd_per_gpu_hour"]

    counts, bins = [], None
    for replicate in range(16):
        row = None
        for u in points.blocks(slice(replicate, replicate + 1), 0, size, BLOCK):
            y = dollars(resolved.draw(u, fast_sampler))
            bins = bins or Bins(size_key(y))
            row = bins.count(y) if row is None else row + bins.count(y)
        counts.append(row)
    return Histogram(bins, counts).quantiles(LEVELS)[0]


def main():
    spec, held = run(), beliefs()
    ours = {"ours": [], "loop": []}
    found = {}
    for _ in range(RUNS + 1):
        for name, call in (
            ("ours", lambda: ts.simulate(spec, held, cost, n=N).quantile("cost", LEVELS)),
            ("loop", lambda: by_hand(spec, held)),
        ):
            start = time.perf_counter()
            found[name] = np.array([float(q) for q in call()])
            ours[name].append(time.perf_counter() - start)
    ratio = statistics.median(a / b for a, b in list(zip(ours["ours"], ours["loop"], strict=True))[1:])
    assert np.allclose(found["ours"], found["loop"], rtol=2.0**-12), found
    row = {"peer": "trainsim on a Run", "workload": "run", "n": N, "paths": len(held), "ratio": ratio}
    row |= {f"{name}_ns": 1e9 * statistics.median(spent[1:]) / N for name, spent in ours.items()}
    print(json.dumps([row]))


if __name__ == "__main__":
    main()
