"""Compare the speed of counting with the formulas of Megatron-LM, MaxText and verl and with llm-analysis' summary, in one run on one core.

    python benchmarks/counting/speed.py [--megatron megatron/training/training.py] [--maxtext src/maxtext/utils/maxtext_utils.py]

A peer that is not installed is listed with the reason. Ratios are the peer's time over ours. The last column is the relative difference of
the peer's figure from ours under the convention of its name.
"""

from __future__ import annotations

import argparse
import sys
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))
import peers
from timing import best

import trainsim as ts

PUBLISHED = Path(__file__).parents[2] / "tests" / "model" / "published.toml"
MODELS = ("deepseek-v3", "llama3.1-405b", "mixtral-8x7b", "gpt-neox-20b")
LENGTHS = 65_536
SEQ_LEN = 4096
STRETCH, LONG = 1024, 10.0


def ours(config: dict[str, Any]) -> dict[str, float]:
    model = ts.from_hf(config)
    lengths = np.linspace(1.0, 131072.0, LENGTHS)
    return {
        "from_hf": best(lambda: ts.from_hf(config)),
        "count_params": best(lambda: ts.count_params(model).total),
        "flops_per_token": best(lambda: ts.flops_per_token(model, SEQ_LEN).total),
        "all three, nothing cached": best(lambda: _from_scratch(config)),
        "vectorised": best(lambda: ts.flops_per_token(model, lengths).total, seconds=1.0),
    }


def _from_scratch(config: dict[str, Any]) -> float:
    model = ts.from_hf(config)
    return float(ts.count_params(model).total + ts.flops_per_token(model, SEQ_LEN).total)


def loop(formula: peers.Formula) -> float:
    """Time of one pass of the peer's own loop over all lengths [s]; after ten seconds the rest is extrapolated."""
    lengths = np.random.default_rng(1).permutation(np.linspace(1, 131072, LENGTHS).astype(int)).tolist()
    start = time.perf_counter()
    for first in range(0, LENGTHS, STRETCH):
        for length in lengths[first : first + STRETCH]:
            formula(length)
        if time.perf_counter() - start > LONG:
            return (time.perf_counter() - start) * LENGTHS / (first + STRETCH)
    return time.perf_counter() - start


def _difference(config: dict[str, Any], peer: str, value: Any) -> str:
    """Relative difference of the peer's figure from ours under the convention of its name."""
    convention = {"Megatron-LM": "megatron", "MaxText": "maxtext", "verl": "verl"}.get(peer)
    if convention is None:
        return "another model"
    mine = float(ts.flops_per_token(ts.from_hf(config), SEQ_LEN, convention).total)
    return f"{value / mine - 1:+.1e}"


def main() -> None:
    cli = argparse.ArgumentParser()
    cli.add_argument("--megatron", type=Path)
    cli.add_argument("--maxtext", type=Path)
    args = cli.parse_args()
    published = tomllib.loads(PUBLISHED.read_text())
    asked: dict[str, Callable[[dict[str, Any]], peers.Formula]] = {
        "Megatron-LM": lambda config: peers.megatron(config, args.megatron),
        "MaxText": lambda config: peers.maxtext(config, args.maxtext),
        "verl": peers.verl,
        "llm-analysis": peers.llm_analysis,
    }
    for name in MODELS:
        config = published[name]["config"]
        mine = ours(config)
        print(f"\n{name}: " + ", ".join(f"{what} {seconds * 1e6:,.0f} µs" for what, seconds in mine.items()))
        columns = f"{'one call':>12}{'÷ cached call':>15}{'÷ from scratch':>16}{f'loop of {LENGTHS:,}':>18}"
        print(f"  {'':<14}{columns}{'÷ vectorised':>14}{'value − ours':>16}")
        for peer, make in asked.items():
            try:
                formula = make(config)
                one, many = best(lambda f=formula: f(SEQ_LEN)), loop(formula)
            except peers.AbsentError as reason:
                print(f"  {peer:<14}SKIPPED: {reason}")
                continue
            except AssertionError as reason:
                print(f"  {peer:<14}SKIPPED: it refuses this model: {reason}")
                continue
            print(
                f"  {peer:<14}{one * 1e6:>9,.1f} µs{one / mine['flops_per_token']:>15.2f}{one / mine['all three, nothing cached']:>16.3f}"
                f"{many:>16.2f} s{many / mine['vectorised']:>13,.0f}×{_difference(config, peer, formula(SEQ_LEN)):>16}"
            )


if __name__ == "__main__":
    main()
