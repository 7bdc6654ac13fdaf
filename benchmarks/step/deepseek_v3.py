"""DeepSeek-V3's step on 2,048 H800, line by line: blind, and with DeepSeek's own kernels.

python benchmarks/step/deepseek_v3.py

Prints the table of docs/step-time.md: point estimate, P5, P50 and P95 of each line of the step log, and its measured time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

import trainsim as ts
from trainsim.calibration.fit import columns
from trainsim.catalog.shipped_calibration import calibration
from trainsim.catalog.software_stacks import fields_at
from trainsim.core.batch import Batch
from trainsim.run.step_time import slot_time

MEASURED = {"step": 19.926, "compute": 17.55, "1F": 1.13, "1B": 1.99, "1W": 0.48, "1F1B": 13.95, "bubble, sends": 2.06, "optimizer": 0.29}
"""Seconds of one step (arXiv:2505.09343, table 4)."""
STACKS = {"blind": "fp8-block-hopper", "with DeepSeek's kernels": "deepseek-2024"}


def main() -> None:
    for words, name in STACKS.items():
        made = run(name)
        point, drawn = lines(made), lines(believed(made, name))
        print(f"\n{words}: {name}\n{'line':<16}{'measured':>9}{'point':>9}{'off':>9}{'5 %':>9}{'50 %':>9}{'95 %':>9}")
        for line, measured in MEASURED.items():
            low, middle, high = np.quantile(np.asarray(drawn[line]), (0.05, 0.5, 0.95))
            miss = "" if low <= measured <= high else "  MISS"
            at = float(np.asarray(point[line]))
            print(f"{line:<16}{measured:>9.2f}{at:>9.2f}{100 * (at / measured - 1):>+8.1f}%{low:>9.2f}{middle:>9.2f}{high:>9.2f}{miss}")
        hours = np.quantile(np.asarray(drawn["step"]), (0.05, 0.5, 0.95)) * 14.8e12 / (4096 * 15360) * 2048 / 3600
        print(f"busy GPU hours of 14.8T tokens: {hours / 1e6} million (2.664 disclosed)")


def run(stack: str) -> ts.Run:
    """The run of the technical report on a stack."""
    found = ts.catalog.run("deepseek-v3")
    phase = ts.Phase("pretrain", tokens=14.8e12, seq_len=4096, batch=15360)
    return found.replace({"phases": [phase], "efficiency": ts.Modelled(stack=ts.catalog.stack(stack))})


def believed(made: ts.Run, name: str, repeats: int = 10) -> ts.Run:
    """The run at the draws of the calibration, with the unexplained factor of a new source."""
    shipped, rng = calibration(), np.random.default_rng(0)
    draws = np.tile(shipped.draws, (repeats, 1))
    fields: dict[str, Any] = columns(fields_at(name, dict(zip(shipped.names, draws.T, strict=True))))
    fields["factor"] = np.exp(shipped.spread_unseen(name, routed=True) * rng.standard_normal(len(draws)))
    return Batch(made, {f"efficiency.stack.{field}": values for field, values in fields.items()}).spec


def lines(made: ts.Run) -> Mapping[str, Any]:
    """Time of each line of the step log on the first rank [s]."""
    slots = slot_time(made, rank=0)
    part = {name: slots.part(name).total for name in slots}
    backward, shared = part.get("backward", 0.0) + part.get("inputs", 0.0), part["forward beside backward"]
    found = {"1F": part["forward"], "1B": backward, "1W": part.get("weights", 0.0), "1F1B": shared}
    waiting = {"bubble, sends": part["bubble"] + part["sends"], "optimizer": part["optimizer"]}
    return {"step": slots.total, "compute": sum(found.values()), **found, **waiting}


if __name__ == "__main__":
    main()
