# ruff: noqa: ANN001, ANN201, ANN202  (scripts: read beside the peers they time)
"""Harness of every peer: smallest n for an accuracy, its time, the throughput, and a check of the distribution."""

import json
import statistics
import sys
import time

import numpy as np
from workload import LEVELS, WORKLOADS

SEEDS = 40
MANY = 1_000_000


def rmse(quantiles, exact, n, seeds=SEEDS):
    found = np.array([quantiles(n, 1000 + seed) for seed in range(seeds)])
    return np.sqrt(np.mean((found / exact - 1) ** 2, axis=0)), found


def seconds(call, runs=5):
    call()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def smallest(quantiles, exact, rtol, first, most):
    """The smallest n whose RMSE is within rtol at every level, in steps of √2 from a start by the n^-1/2 law.

    Above ``most`` nothing is run: the result is extrapolated by that law, and the row is marked.
    """
    error, _ = rmse(quantiles, exact, first)
    n = first * max(1.0, (error.max() / rtol) ** 2)
    n = int(2 ** (np.round(2 * np.log2(n)) / 2 - 0.5))
    while n <= most:
        error, found = rmse(quantiles, exact, n)
        if np.all(error <= rtol):
            return n, error, found
        n = int(n * 2**0.5)
    return n, error, None


def main(name, version, sample, *, correlated=True):
    """Run one peer and print its rows as JSON.

    Args:
        name, version: of the peer.
        sample: (workload function, n, seed) → draws (n,).
        correlated: whether the peer supports the correlation; else it is compared with the distribution of independent inputs.
    """
    arguments = json.loads(sys.argv[1])
    rows = []
    for workload, known in arguments["exact"]["correlated" if correlated else "independent"].items():
        function, exact = WORKLOADS[workload], np.array(known)

        def quantiles(n, seed, function=function):
            return np.quantile(sample(function, n, seed), LEVELS)

        for rtol in arguments["rtols"]:
            row = {"peer": name, "version": version, "workload": workload, "rtol": rtol, "correlated": correlated}
            n, error, found = smallest(quantiles, exact, rtol, 1 << 14, arguments["most"])
            if found is None:
                spent = n * seconds(lambda: quantiles(MANY, 7), 3) / MANY
                rows.append({**row, "n": n, "seconds": spent, "rmse": error.tolist(), "void": False, "note": "extrapolated"})
                continue
            off = np.abs(found.mean(axis=0) - exact) / (found.std(axis=0, ddof=1) / np.sqrt(SEEDS))
            rows.append(
                {
                    **row,
                    "n": n,
                    "seconds": seconds(lambda: quantiles(n, 7)),  # noqa: B023
                    "rmse": error.tolist(),
                    "void": bool(np.any(off > 4)),
                }
            )
        rows.append(
            {
                "peer": name,
                "version": version,
                "workload": workload,
                "n": MANY,
                "correlated": correlated,
                "ns": 1e9 * seconds(lambda: quantiles(MANY, 7), 3) / MANY,
            }
        )
    print(json.dumps(rows))
