"""Compare the speed of a modelled step with llm-analysis and Calculon, in one run on one core, each with a model that it supports.

    python benchmarks/step/speed.py [--llm-analysis PYTHON] [--calculon PATH_OF_A_CLONE] [--python PYTHON_OF_ITS_ENVIRONMENT]

``--llm-analysis`` is a Python with that package. Milliseconds are the best of many calls. Rates are per CPU second: a draw or a layout
counts once its step time, memory and dollars are computed. Layouts are those that a full search examines: their memory, a lower bound for
those that fit, and the step time in full for those that the bound does not exclude.
"""

from __future__ import annotations

import os

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import argparse
import itertools
import json
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from timing import best

import trainsim as ts
from trainsim.core.batch import Batch

HERE = Path(__file__).parent
CALCULON = HERE.parent / "planning" / "calculon_peer.py"
DRAWS = 1 << 14
DOUBTS = ("half_depth", "elementwise", "memory", "launch", "wave", "overlap_dp", "overlap_tp", "scale_up", "scale_out", "jitter", "factor")


def rate(call: Callable[[], Any], of: int, *, seconds: float = 3.0) -> float:
    """Items per CPU second, for calls that process several items each."""
    call()
    calls, start = 0, time.process_time()
    while time.process_time() - start < seconds:
        call()
        calls += 1
    return of * calls / (time.process_time() - start)


def dense(batch: int = 128, seq_len: int = 8192) -> ts.Run:
    """Llama 3 8B on 64 H100: tensor and pipeline parallelism, a sharded optimizer."""
    return ts.Run(
        model=ts.catalog.model("llama3-8b"),
        cluster=ts.catalog.cluster("hgx-h100", 64),
        plan=ts.Plan(tp=8, pp=2, zero=1),
        phases=[ts.Phase("pretrain", tokens=1e12, seq_len=seq_len, batch=batch)],
        efficiency=ts.Modelled(stack=ts.catalog.stack("mcore-hopper")),
        reliability=ts.Goodput(0.95),
        price=ts.Rental(usd_per_gpu_hour=2.0),
    )


def deepseek() -> ts.Run:
    """DeepSeek-V3 on 2,048 H800 in the layout of its report; the pipeline of every draw is simulated."""
    told = ts.catalog.run("deepseek-v3")
    phase = ts.Phase("pretrain", tokens=14.8e12, seq_len=4096, batch=15360)
    return dense().replace({"model": told.model, "cluster": told.cluster, "plan": told.plan, "phases": [phase]}).replace(
        {"efficiency.stack": ts.catalog.stack("deepseek-2024")}
    )  # fmt: skip


def answers(run: ts.Run) -> tuple[Any, Any, Any]:
    """Step, memory and dollars of a run, or of a block of draws of it."""
    est = ts.estimate(run)
    return est.step_time.total, est.memory.total, est.cost.total


def block(run: ts.Run) -> ts.Run:
    """A block of draws: eleven numbers of the stack, and the price."""
    random = np.random.default_rng(1)
    paths = [f"efficiency.stack.{name}" for name in DOUBTS] + ["price.usd_per_gpu_hour"]
    return Batch(run, {path: float(run.get(path)) * random.uniform(0.9, 1.0, DRAWS) for path in paths}).spec


def believed(run: ts.Run) -> ts.Run:
    """A block of draws of all uncertain numbers of the stack."""
    drawn: dict[str, Any] = {}

    def keep(some: ts.Run) -> dict[str, Any]:
        if np.ndim(some.get("efficiency.stack.launch")):
            drawn["run"] = some
        return {"step": ts.step_time(some).total}

    ts.simulate(run, ts.catalog.stack_beliefs("deepseek-2024"), keep, n=DRAWS)
    made: ts.Run = drawn["run"]
    return made


def ours() -> dict[str, float]:
    counter = itertools.count(128 * 64, 64)
    run, v3 = dense(), deepseek()
    batches, lengths = (dense(batch) for batch in counter), (dense(seq_len=length) for length in itertools.count(8193))
    found = ts.search_plans(v3)
    return {
        "step_time": best(lambda: ts.step_time(run)),
        "step_time, of a batch never asked before": _first(batches),
        "step_time, of a length never asked before": _first(lengths),
        "estimate": best(lambda: ts.estimate(run)),
        "draws": rate(partial(answers, block(run)), DRAWS),
        "draws, DeepSeek-V3": rate(partial(answers, block(v3)), DRAWS),
        "draws, DeepSeek-V3, its stack's beliefs": rate(partial(answers, believed(v3)), DRAWS),
        "layouts": rate(lambda: ts.search_plans(v3), found.possible),
    }


def _first(runs: Any, tries: int = 500) -> float:
    least = float("inf")
    for run in itertools.islice(runs, tries):
        start = time.perf_counter()
        ts.step_time(run)
        least = min(least, time.perf_counter() - start)
    return least


def told(python: str, script: Path, *arguments: str) -> dict[str, Any] | str:
    """The output of a peer's script, or the reason that there is none."""
    done = subprocess.run([python, str(script), *arguments], capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        return done.stderr.strip().splitlines()[-1]
    answer: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return answer


def main() -> None:
    cli = argparse.ArgumentParser()
    cli.add_argument("--llm-analysis", default=sys.executable)
    cli.add_argument("--calculon", type=Path)
    cli.add_argument("--python", default=sys.executable)
    args = cli.parse_args()
    mine = ours()
    asked = ("step_time", "step_time, of a batch never asked before", "step_time, of a length never asked before", "estimate")
    for name in asked:
        print(f"trainsim      {name:<44}{mine[name] * 1e3:>10.3f} ms")
    for name in ("draws", "draws, DeepSeek-V3", "draws, DeepSeek-V3, its stack's beliefs", "layouts"):
        print(f"trainsim      {name + ': step, memory, dollars':<64}{mine[name]:>14,.0f} /s")
    peer = told(args.llm_analysis, HERE / "llm_analysis_peer.py")
    if isinstance(peer, str):
        print(f"llm-analysis  SKIPPED: {peer}")
    else:
        ratios = "; ".join(f"{peer['seconds'] / mine[name]:.2f} × {name}" for name in asked)
        print(f"llm-analysis  training() of {peer['model']:<21}{peer['seconds'] * 1e3:>7.3f} ms: {ratios}")
    peer = told(args.python, CALCULON, str(args.calculon), "20") if args.calculon is not None else "give --calculon=PATH of a clone"
    if isinstance(peer, str):
        print(f"Calculon      SKIPPED: {peer}")
    else:
        theirs = peer["layouts"] / peer["seconds"]
        print(f"Calculon      layouts tried                      {theirs:>24,.0f} /s: ours {mine['layouts'] / theirs:,.0f} ×")


if __name__ == "__main__":
    main()
