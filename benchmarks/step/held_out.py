"""Errors of modelled steps on sources that no fit used; each source counts with its median row.

python benchmarks/step/held_out.py [FILE …]

Prints every row of ``reported_steps.toml`` and, of the files given, the rows of sources on the frozen list
(``held_out_sources.toml``): forecast with its interval, then each source, then the headline.
"""

from __future__ import annotations

import argparse
import tomllib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from trainsim.calibration.readers.measured_steps import read_steps
from trainsim.calibration.readers.reported_steps import reported_steps
from trainsim.validation.step_backtest import StepForecast, step_backtest

BLIND = {"deepseek-2024": "fp8-block-hopper"}
"""A stack calibrated on a source's own kernels → the stack without them, which forecasts of that source use here."""
HELD_OUT = Path(__file__).parent / "held_out_sources.toml"
"""The frozen list."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", type=Path)
    names = [source["name"] for source in tomllib.loads(HELD_OUT.read_text(encoding="utf-8"))["source"]]
    steps = [*reported_steps(), *(s for f in parser.parse_args().files for s in read_steps(f) if s.source.startswith(tuple(names)))]
    found = step_backtest([replace(step, stack=BLIND.get(step.stack, step.stack)) for step in steps])
    print(found)
    print(f"\n{headline(found.usable)}")


def headline(forecasts: Sequence[StepForecast]) -> str:
    """The median over sources of the median row of each, with coverage, width and interval score of the rows."""
    by_source: dict[str, list[StepForecast]] = {}
    for each in forecasts:
        by_source.setdefault(each.step.source, []).append(each)
    lines = [f"{'source':<28}{'rows':>5}{'median row':>12}"]
    middles = {name: float(np.median([f.off for f in rows])) for name, rows in sorted(by_source.items())}
    lines += [f"{name:<28}{len(by_source[name]):>5}{100 * off:>11.1f} %" for name, off in middles.items()]
    inside, width = np.mean([f.inside for f in forecasts]), np.mean([f.high / f.low for f in forecasts])
    score = np.mean([np.mean([f.score for f in rows]) for rows in by_source.values()])
    every = 100 * np.array(list(middles.values()))
    lines.append(f"{len(middles)} sources never used: median {np.median(every):.1f} %, mean {np.mean(every):.1f} %")
    lines.append(
        f"{100 * inside:.0f} % of {len(forecasts)} rows inside, P95/P5 {width:.2f} in the mean, interval score {score:.2f} a source"
    )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
