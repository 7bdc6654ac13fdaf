"""Fit the constants of software stacks to measured steps and write the calibration that the library ships.

python benchmarks/step/calibrate.py FILE [FILE …] [--leave-out SOURCE …]

A file is a JSON list of published runs or a CSV table of iteration times (see ``calibration/readers``). Rows of a source that is left out
are not used. Prints the errors of held-out rows, and the share inside their intervals. Takes about a
quarter of an hour on one core; set OMP_NUM_THREADS=1.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import tomllib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit

from trainsim.calibration import cross_validation as h
from trainsim.calibration import fit as c
from trainsim.calibration.readers.measured_steps import MeasuredStep, read_steps
from trainsim.catalog.shipped_calibration import calibration
from trainsim.validation.step_coverage import (
    HeldOutIntervals,
    Spread,
    by_class,
    by_group,
    constant_mfu,
    held_out_by_halves,
    held_out_by_source,
    report,
)

HELD_OUT = Path(__file__).parent / "held_out_sources.toml"
"""Sources that no fit may use, and the rule by which they were chosen."""
KEPT_ASIDE = [source["name"] for source in tomllib.loads(HELD_OUT.read_text(encoding="utf-8"))["source"]]
OUT = Path(__file__).parents[2] / "src" / "trainsim" / "catalog" / "data" / "calibration.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--leave-out", nargs="*", default=KEPT_ASIDE, help="sources whose rows are not looked at")
    parser.add_argument("--draws", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=40, help="moves of each draw of the posterior")
    parser.add_argument("--starts", type=int, default=4, help="points that the fit starts from")
    parser.add_argument("--iterations", type=int, default=12, help="most iterations of a fit that holds rows out")
    parser.add_argument("--repeats", type=int, default=2, help="times that rows are split into random halves")
    parser.add_argument("--out", type=Path, default=OUT)
    asked = parser.parse_args()
    steps = [s for f in asked.files for s in read_steps(f) if not any(s.source.startswith(name) for name in asked.leave_out)]
    task = c.fit_problem(steps)
    found = c.fit(task, starts=asked.starts, near=shipped_point(task))
    print(f"{len(task.steps)} rows, {len(task.names)} constants; starts came to rest at {np.round(np.sort(found.misfit), 2)}")
    print(table(task.steps, task.residuals(found.best[None, :])[:, 0]), flush=True)
    draws = c.sample(task, found, draws=asked.draws, rounds=asked.rounds)
    print(f"{asked.draws} draws", flush=True)
    forecast = partial(h.predict_held_out, near=found.best, iterations=asked.iterations)
    inside, apart = (held_out(task.steps, forecast, words, asked.repeats) for words in ("random halves", "source left out"))
    sigmas = h.unexplained_sigmas(inside, apart)
    print("\n", sigmas)
    made = c.calibration_data(task, found.best, draws, sigmas, dt.datetime.now(tz=dt.UTC).date(), asked.leave_out)
    asked.out.write_text(json.dumps(made) + "\n")
    for words in WHOLE:  # errors of held-out layers and releases; they do not affect any interval
        held_out(task.steps, forecast, words, asked.repeats)


WHOLE: dict[str, h.GroupBy] = {"whole layers": h.layers_of, "whole releases": h.release_of}
"""Further groups of rows that stay on one side of random halves."""


def shipped_point(task: c.FitProblem) -> NDArray[np.float64]:
    """The shipped calibration on the fitting scale, with prior medians for new constants: the start of a fit with one start."""
    shipped = calibration()
    known = np.array([name in shipped.names for name in task.names])
    at = np.array([shipped.best[shipped.names.index(name)] if name in shipped.names else 0.5 for name in task.names])
    return np.where(known, np.where(task.share, logit(np.where(task.share, at, 0.5)), np.log(at)), task.prior)


def held_out(steps: Sequence[MeasuredStep], forecast: h.Forecaster, words: str, repeats: int) -> h.HeldOutPredictions:
    """Errors of held-out rows, the share inside their intervals, and the score compared with a constant MFU per class."""
    ways: dict[str, Callable[[h.Forecaster, Spread], HeldOutIntervals]] = {
        "random halves": lambda say, spread: held_out_by_halves(steps, say, spread, repeats),
        **{word: partial(_halves_of, steps, unit) for word, unit in WHOLE.items()},
        "source left out": lambda say, _: held_out_by_source(h.leave_one_source_out(steps, say)),
    }
    ours, flat = ways[words](forecast, by_class), ways[words](constant_mfu, by_group)
    print(f"\n{words}\n{table(ours.unseen.steps, ours.unseen.residuals)}\n\n{report(ours, flat)}", flush=True)
    return ours.unseen


def _halves_of(steps: Sequence[MeasuredStep], unit: h.GroupBy, say: h.Forecaster, spread: Spread) -> HeldOutIntervals:
    return held_out_by_halves(steps, say, spread, repeats=1, group_by=unit)


def table(steps: Sequence[MeasuredStep], residuals: NDArray[np.float64]) -> str:
    lines = [f"{'group':<28}{'n':>6}{'median':>8}{'mean':>8}{'bias':>8}"]
    groups = np.array([s.group for s in steps])
    for name in sorted(set(groups)):
        r = residuals[groups == name]
        off, rows = 100 * np.abs(np.expm1(r)), len({s.key for s in steps if s.group == name})
        lines.append(f"{name:<28}{rows:>6}{np.median(off):>8.2f}{np.mean(off):>8.2f}{100 * np.mean(r):>+8.1f}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
