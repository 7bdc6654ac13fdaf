"""Compare the speed of a full search for DeepSeek-V3 on 2,048 GPUs with Calculon's own search, in one run, each on one core.

    python benchmarks/planning/speed.py [--calculon PATH_OF_A_CLONE] [--python PYTHON_OF_ITS_ENVIRONMENT] [--seconds 60]

Both are CPU seconds, so that other work on the machine matters little; ours is the median of several searches. A layout counts if the
rules allow it. Its memory is computed; if it fits, so is a lower bound on its step time; if the bound does not exclude it, the step is
timed in full. The answer equals that of timing all layouts. Calculon stops at the first rule that a layout breaks, and times the others.
The time to time all layouts that fit is printed too.
"""

from __future__ import annotations

import os

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

import trainsim as ts
from trainsim.planning.memory_filter import filter_layouts
from trainsim.planning.problem import search_problem

PEER = Path(__file__).parent / "calculon_peer.py"


def deepseek() -> ts.Run:
    run = ts.catalog.run("deepseek-v3")
    return run.replace({"efficiency": ts.Modelled(stack=ts.catalog.stack("deepseek-2024")), "phases.pretrain.efficiency": None})


def ours(repeats: int = 9) -> tuple[ts.PlanSearch, float, float]:
    """The search, with the median and the minimum of its CPU seconds, without the first search, which also compiles the model."""
    run = deepseek()
    found, took = ts.search_plans(run), []
    for _ in range(repeats):
        start = time.process_time()
        found = ts.search_plans(run)
        took.append(time.process_time() - start)
    return found, statistics.median(took), min(took)


def everything() -> float:
    """CPU seconds of timing every layout that fits."""
    run = deepseek()
    start = time.process_time()
    layouts = filter_layouts(search_problem(run, None), (run.cluster.gpus,), None, {}).layouts
    assert len(layouts.seconds)
    return time.process_time() - start


def calculon(clone: Path | None, python: str, seconds: float) -> dict[str, float] | str:
    """Layouts and CPU seconds of the peer, or the reason that there are none."""
    if clone is None or not (clone / "calculon").is_dir():
        return "give --calculon=PATH of a clone of github.com/calculon-ai/calculon"
    done = subprocess.run([python, str(PEER), str(clone), str(seconds)], capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        return done.stderr.strip().splitlines()[-1]
    told: dict[str, float] = json.loads(done.stdout)
    return told


def main() -> None:
    cli = argparse.ArgumentParser()
    cli.add_argument("--calculon", type=Path)
    cli.add_argument("--python", default=sys.executable)
    cli.add_argument("--seconds", type=float, default=60.0)
    args = cli.parse_args()
    found, seconds, least = ours()
    rate, full = found.possible / seconds, everything()
    counts = f"{found.possible:,} distinct layouts examined, {found.fitting:,} fit, {found.timed:,} timed in full"
    print(f"trainsim  {counts}: {seconds:.2f} s (least {least:.2f})")
    fit = f"{found.fitting / seconds:,.0f} of those that fit"
    print(f"          {rate:,.0f} distinct layouts/s examined (most {found.possible / least:,.0f}), {fit}")
    print(f"          all that fit timed in full: {full:.2f} s, {found.possible / full:,.0f} layouts/s")
    peer = calculon(args.calculon, args.python, args.seconds)
    if isinstance(peer, str):
        print(f"Calculon  SKIPPED: {peer}")
        return
    theirs = peer["layouts"] / peer["seconds"]
    print(f"Calculon  {peer['layouts']:>9,} layouts tried, {peer['fit']:,} fit: {peer['seconds']:.2f} s, {theirs:,.0f} layouts/s")
    print(f"          {peer['fit'] / peer['seconds']:,.0f} layouts/s if only those are counted that fit")
    fitting, all_timed = found.fitting / seconds / (peer["fit"] / peer["seconds"]), found.possible / full / theirs
    print(f"ratio     {rate / theirs:,.0f}, of fitting ones {fitting:,.0f}, with all that fit timed in full {all_timed:,.0f}")


if __name__ == "__main__":
    main()
