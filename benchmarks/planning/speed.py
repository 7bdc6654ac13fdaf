"""How fast is a full search for DeepSeek-V3 on 2,048 GPUs, beside Calculon's own search? Both in one run, each on one core.

    python benchmarks/planning/speed.py [--calculon PATH_OF_A_CLONE] [--python PYTHON_OF_ITS_ENVIRONMENT] [--seconds 60]

CPU seconds on both sides, so that what else the machine does plays no part. A layout counts where the rules let it be: bytes are worked
out for each, seconds for those that fit, as in Calculon, which stops at the first rule that a layout breaks.
"""

from __future__ import annotations

import os

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import trainsim as ts

PEER = Path(__file__).parent / "calculon_peer.py"


def deepseek() -> ts.Run:
    run = ts.catalog.run("deepseek-v3")
    return run.replace({"efficiency": ts.Modelled(stack=ts.catalog.stack("deepseek-2024")), "phases.pretrain.efficiency": None})


def ours(repeats: int = 3) -> tuple[ts.PlanSearch, float]:
    """The search and the least CPU seconds it took; the first one also folds the model and orders the schedules."""
    run, least = deepseek(), float("inf")
    for _ in range(repeats):
        start = time.process_time()
        found = ts.search_plans(run)
        least = min(least, time.process_time() - start)
    return found, least


def calculon(clone: Path | None, python: str, seconds: float) -> dict[str, float] | str:
    """Layouts and CPU seconds of the peer, or why there are none."""
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
    found, seconds = ours()
    rate = found.possible / seconds
    print(f"trainsim  {found.possible:>9,} layouts possible, {found.fitting:,} fit: {seconds:.2f} s, {rate:,.0f} layouts/s")
    print(f"          {found.fitting / seconds:,.0f} layouts/s if only those are counted that fit and so were timed")
    peer = calculon(args.calculon, args.python, args.seconds)
    if isinstance(peer, str):
        print(f"Calculon  SKIPPED: {peer}")
        return
    theirs = peer["layouts"] / peer["seconds"]
    print(f"Calculon  {peer['layouts']:>9,} layouts tried, {peer['fit']:,} fit: {peer['seconds']:.2f} s, {theirs:,.0f} layouts/s")
    print(f"          {peer['fit'] / peer['seconds']:,.0f} layouts/s if only those are counted that fit")
    print(f"ratio     {rate / theirs:,.0f}, of fitting ones {found.fitting / seconds / (peer['fit'] / peer['seconds']):,.0f}")


if __name__ == "__main__":
    main()
