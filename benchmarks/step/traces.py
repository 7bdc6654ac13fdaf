"""Are profiler traces read whole, and does one trace predict the products of another? One command for the tables of traces.

python benchmarks/step/traces.py CHIP STACK FILE …

Prints for each file its kernels, the largest gap between busy + idle time and the span over its streams, and the share of kernel time
with a known role. Then, of the traces that record sizes of matrix products, the median error of those products under the stack as it is
(the prior) and under the same stack fitted to each other trace.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

import numpy as np

import trainsim as ts
from trainsim.calibration.readers.traces import Trace
from trainsim.cluster.hardware import Chip
from trainsim.cluster.profile import KernelProfile, fit_stack
from trainsim.cluster.stack import Stack
from trainsim.core.errors import TrainsimError


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("chip", help="chip of the catalogue: h100-sxm")
    parser.add_argument("stack", help="stack whose numbers are the prior: mcore-hopper")
    parser.add_argument("files", nargs="+", type=Path)
    given = parser.parse_args()
    traces = {file.name.split(".")[0]: ts.read_trace(file) for file in given.files}
    print(f"{'trace':<52}{'kernels':>8}{'span ms':>10}{'gap':>9}{'attributed':>12}")
    for name, trace in traces.items():
        print(f"{name[:50]:<52}{len(trace.kernels):>8,}{1e3 * trace.span:>10.1f}{gap(trace):>9.0e}{100 * trace.attributed:>11.1f} %")
    print(transfer(traces, ts.catalog.chip(given.chip), ts.catalog.stack(given.stack)))


def gap(trace: Trace) -> float:
    """Largest ``|busy + idle − span| / span`` over the streams [1]."""
    return max(abs(stream.busy + stream.idle - trace.span) / trace.span for stream in trace.streams)


def transfer(traces: Mapping[str, Trace], chip: Chip, prior: Stack) -> str:
    """Median errors of each trace's products: by the prior, and by the stack fitted to each other trace."""
    profiles, fitted = {}, {}
    for name, trace in traces.items():
        try:
            profiles[name] = trace.profile(chip)
            fitted[name] = fit_stack(profiles[name], prior).stack
        except TrainsimError as error:
            print(f"  {name[:50]}: no profile of products ({error.path} {error.rule})")
    lines, better, pairs = [], 0, 0
    for name, profile in profiles.items():
        before = products_error(profile, prior)
        others = {other: products_error(profile, stack) for other, stack in fitted.items() if other != name}
        better += sum(off < before for off in others.values())
        pairs += len(others)
        lines.append(
            f"{name[:50]:<52}prior {100 * before:5.1f} %  from others {', '.join(f'{100 * off:.1f}' for off in others.values())} %"
        )
    return "\n".join([*lines, f"a profile from another trace is better than the prior in {better} of {pairs} pairs"])


def products_error(profile: KernelProfile, stack: Stack) -> float:
    """Median of |modelled / measured − 1| over the products of a profile [1]."""
    errors = [
        np.abs(
            each.modelled(profile.chip, float(stack.share(each.number_format)) * np.where(each.groups > 1, stack.grouped, 1.0), stack)
            / each.seconds
            - 1.0
        )
        for each in profile.products
    ]
    return float(np.median(np.concatenate(errors)))


if __name__ == "__main__":
    main()
