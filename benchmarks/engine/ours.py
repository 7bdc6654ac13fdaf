# ruff: noqa: ANN001, ANN201, ANN202  (scripts: read beside the peers they time)
"""trainsim on the workloads: with ``rtol=``, with empty caches and then with filled ones; then the throughput."""

import json
import os
import resource
import sys
import time
from concurrent.futures import ProcessPoolExecutor

import numpy as np
from harness import SEEDS, seconds
from workload import LEVELS

import trainsim
from trainsim.uncertainty.analysis.sensitivity import sensitivity
from trainsim.uncertainty.beliefs.beliefs import Beliefs
from trainsim.uncertainty.distributions import tables
from trainsim.uncertainty.sampling import preintegration as affine
from trainsim.uncertainty.sampling import sweep
from trainsim.uncertainty.sampling.engine import simulate
from trainsim.uncertainty.sampling.exact import exact_product as exact_law
from trainsim.uncertainty.sampling.reference import BELIEFS, ReferenceRun, cost

INDEPENDENT = Beliefs(dict(BELIEFS))
CACHES = (
    affine._repeated_midpoints,
    tables.accurate_sampler,
    tables.fast_sampler,
    tables.normal_score_table,
    sweep._resolved,
    sweep._points,
)


def branches(s):
    c = cost(s)
    return np.where(c > 9e6, 3 * c - 16e6, np.maximum(c, 2 * c - 7e6))


def exact():
    """Exact quantiles of both workloads, with the correlation and without."""
    found = {}
    for name, beliefs in (("correlated", BELIEFS), ("independent", INDEPENDENT)):
        law = exact_law(sweep.Study(ReferenceRun(), beliefs, cost, 0, 16), "value")
        product = [law.quantile(level) for level in LEVELS]
        found[name] = {"product": product, "branches": [3 * c - 16e6 if c > 9e6 else max(c, 2 * c - 7e6) for c in product]}
    return found


def cold():
    for cache in CACHES:
        cache.cache_clear()


def timed_cold(call, runs=15):
    times = []
    for _ in range(runs):
        cold()
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def main():
    arguments = json.loads(sys.argv[1])
    rows = []
    for workload, function in (("product", cost), ("branches", branches)):
        truth = np.array(arguments["exact"]["correlated"][workload])
        for rtol in arguments["rtols"]:

            def quantiles(seed, function=function, rtol=rtol):
                sim = simulate(ReferenceRun(), BELIEFS, function, rtol=rtol, seed=seed, budget=1 << 26)
                return [float(q) for q in sim.quantile("value", list(LEVELS))], sim.n

            runs = [quantiles(1000 + seed) for seed in range(SEEDS if workload == "product" or rtol > 5e-4 else 8)]
            found = np.array([q for q, _ in runs])
            error = np.sqrt(np.mean((found / truth - 1) ** 2, axis=0))
            off = np.abs(found.mean(axis=0) - truth) / (found.std(axis=0, ddof=1) / np.sqrt(len(found)))
            row = {
                "version": trainsim.__version__ if hasattr(trainsim, "__version__") else "",
                "workload": workload,
                "rtol": rtol,
                "correlated": True,
            }
            row |= {
                "n": int(np.median([n for _, n in runs])),
                "rmse": error.tolist(),
                "void": bool(np.any(off > 4) or np.any(error > rtol)),
            }
            rows.append({**row, "peer": "trainsim", "seconds": timed_cold(lambda: quantiles(7), 15 if workload == "product" else 5)})
            rows.append(
                {**row, "peer": "trainsim, second call", "seconds": seconds(lambda: quantiles(7), 15 if workload == "product" else 5)}
            )
        for n in (1 << 20, 1 << 24):

            def throughput(function=function, n=n):
                return simulate(ReferenceRun(), BELIEFS, function, n=n)

            rows += [{"peer": "trainsim", "workload": workload, "n": n, "correlated": True, "ns": 1e9 * seconds(throughput, 5) / n}]
    if not arguments["quick"]:
        n = 1 << 30
        with ProcessPoolExecutor(2) as executor:
            start = time.perf_counter()
            simulate(ReferenceRun(), BELIEFS, cost, n=n, executor=executor)
            spent = time.perf_counter() - start
        peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) / 1024
        rows.append(
            {
                "peer": "trainsim, 2 processes",
                "workload": "product",
                "n": n,
                "correlated": True,
                "ns": 1e9 * spent / n,
                "seconds": spent,
                "peak_mib": peak,
            }
        )
    rows.append(
        {
            "peer": "trainsim",
            "workload": "sobol",
            "n": None,
            "seconds": timed_cold(lambda: sensitivity(ReferenceRun(), INDEPENDENT, cost)),
            "note": "exact for a product",
        }
    )
    truth = {path: float(share) for path, share in sensitivity(ReferenceRun(), INDEPENDENT, cost).first.items()}
    for size in (1 << 12, 1 << 13, 1 << 14, 1 << 15, 1 << 16):
        errors = []
        for seed in range(10):
            found = sensitivity(ReferenceRun(), INDEPENDENT, hidden, n=size, seed=seed)
            errors.append([float(found.first[path]) - share for path, share in truth.items()])
        if np.sqrt(np.mean(np.square(errors), axis=0)).max() <= 1e-3:
            spent = seconds(lambda: sensitivity(ReferenceRun(), INDEPENDENT, hidden, n=size), 7)  # noqa: B023
            rows.append(
                {
                    "peer": "trainsim, estimated",
                    "workload": "sobol",
                    "n": size,
                    "seconds": spent,
                    "note": "the product hidden from the engine",
                }
            )
            break
    print(json.dumps(rows))


def hidden(s):
    """The cost plus a small term that makes it no product, so that indices must be estimated."""
    return cost(s) * (1 + 1e-7 * np.sin(s.k * s.mfu * 40))


if __name__ == "__main__":
    if sys.argv[1] == "exact":
        print(json.dumps(exact()))
    else:
        os.environ.setdefault("OMP_NUM_THREADS", "1")
        main()
