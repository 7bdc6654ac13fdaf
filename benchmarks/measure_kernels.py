"""Measure kernels on this machine's NVIDIA accelerator, and write them as a stack that the library uses.

    python benchmarks/measure_kernels.py --chip h100-sxm --like mcore-hopper --to mine.toml

then ``ts.Modelled(stack=ts.catalog.stack("mine.toml"))``. Needs PyTorch with CUDA. Products in BF16 and, where the chip has it, FP8;
grouped products; causal fused attention, forward and backward; copies; the launch of an empty kernel. Times are medians by CUDA events;
the second-level cache is flushed before each. ``trainsim/cluster/kernels.py`` defines the numbers, ``trainsim/cluster/profile.py`` fits
them.
"""

from __future__ import annotations

import argparse
import datetime as dt
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import trainsim as ts
from trainsim.cluster.profile import AttentionTiming, KernelProfile, ProductTimings, fit_stack

try:
    import torch
except ImportError:
    torch = None  # type: ignore[assignment]

CHIPS = {
    "A100-SXM4-80GB": "a100-80gb-sxm", "A100-SXM4-40GB": "a100-40gb-sxm", "A100 80GB PCIe": "a100-80gb-pcie", "A800": "a800-80gb-sxm",
    "H100 80GB HBM3": "h100-sxm", "H100 PCIe": "h100-pcie", "H800": "h800-sxm", "H200": "h200-sxm", "H20": "h20", "GH200": "gh200",
    "B200": "b200-sxm", "B300": "b300-sxm", "GB200": "gb200", "GB300": "gb300",
}  # fmt: skip
"""Name of a chip by its driver → its row of the catalogue; the longest matching name counts."""
LIKE = {"a": "fsdp-2023", "h": "mcore-hopper", "g": "mcore-hopper", "b": "mcore-blackwell"}
SHAPES = [
    *((4096, 4096, depth) for depth in (256, 512, 1024, 2048, 4096, 8192, 16384)),
    *((8192, cols, depth) for cols in (2304, 4096, 7168, 11008, 18432) for depth in (2048, 7168)),
    *((rows, 4096, 4096) for rows in (640, 1152, 1536, 2048, 2944, 16384)),
]
"""(rows, cols, depth) of single products: increasing depth, and last waves that are full or partial."""
GROUPED = [(groups, rows, cols, depth) for groups in (4, 16) for rows in (128, 512, 2048) for cols, depth in ((4096, 7168), (7168, 2048))]
HEADS = [(16, 64), (16, 128), (8, 256)]
LENGTHS = (512, 1024, 2048, 4096, 8192, 16384)
TOKENS = 16384
"""Tokens of a batch of attention; the number of sequences follows from their length."""
REPEATS = 15
MOVED = (1 << 28, 1 << 30, 1 << 31)


def seconds(run: Callable[[], Any]) -> float:
    """Median time of a launch by CUDA events, cache flushed before each [s]."""
    flush = torch.empty(1 << 28, dtype=torch.int8, device="cuda")
    for _ in range(3):
        run()
    found = []
    for _ in range(REPEATS):
        flush.zero_()
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        run()
        end.record()
        torch.cuda.synchronize()
        found.append(start.elapsed_time(end) * 1e-3)
    return float(np.median(found))


def bf16_product(groups: int, rows: int, cols: int, depth: int) -> Callable[[], Any]:
    a = torch.randn(groups, rows, depth, dtype=torch.bfloat16, device="cuda")
    b = torch.randn(groups, depth, cols, dtype=torch.bfloat16, device="cuda")
    if groups == 1:
        return lambda: torch.mm(a[0], b[0])
    if hasattr(torch, "_grouped_mm"):
        ends = torch.arange(rows, rows * (groups + 1), rows, dtype=torch.int32, device="cuda")
        flat, kept = a.reshape(groups * rows, depth), b.transpose(1, 2).contiguous().transpose(1, 2)
        return lambda: torch._grouped_mm(flat, kept, offs=ends)
    return lambda: torch.bmm(a, b)


def fp8_product(groups: int, rows: int, cols: int, depth: int) -> Callable[[], Any] | None:
    """One FP8 product with one scale per tensor; None for groups, for which PyTorch has no stable function."""
    if groups > 1:
        return None
    a = torch.randn(rows, depth, device="cuda").to(torch.float8_e4m3fn)
    b = torch.randn(cols, depth, device="cuda").to(torch.float8_e4m3fn).t()
    one = torch.ones((), device="cuda")
    return lambda: torch._scaled_mm(a, b, scale_a=one, scale_b=one, out_dtype=torch.bfloat16, use_fast_accum=True)


def products(number_format: str, make: Callable[[int, int, int, int], Callable[[], Any] | None]) -> ProductTimings:
    """Every shape in one number format, without those that can't run."""
    found = []
    for shape in [*((1, *shape) for shape in SHAPES), *GROUPED]:
        run = make(*shape)
        if run is not None:
            found.append((*shape, seconds(run)))
    groups, rows, cols, depth, took = np.array(found, dtype=np.float64).T
    return ProductTimings(number_format, rows, cols, depth, groups, took)


def attention() -> AttentionTiming:
    """Causal attention by the fastest fused kernel PyTorch picks, forward and backward."""
    found = []
    for heads, width in HEADS:
        for length in LENGTHS:
            q, k, v = (
                torch.randn(TOKENS // length, heads, length, width, dtype=torch.bfloat16, device="cuda", requires_grad=True)
                for _ in range(3)
            )

            def forward(q: Any = q, k: Any = k, v: Any = v) -> Any:
                return torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)

            out = forward()
            grad = torch.randn_like(out)
            with torch.no_grad():
                found.append((TOKENS, heads, 2 * width, length, 0.0, seconds(forward)))
            backward = seconds(lambda out=out, grad=grad: out.backward(grad, retain_graph=True))
            found.append((TOKENS, heads, 2 * width, length, 1.0, backward))
    return AttentionTiming(*np.array(found, dtype=np.float64).T)


def copies() -> tuple[Any, Any]:
    """Bytes moved by large copies, read and written, and their seconds."""
    took = []
    for size in MOVED:
        a, b = (torch.empty(size, dtype=torch.int8, device="cuda") for _ in range(2))
        took.append(seconds(lambda a=a, b=b: b.copy_(a)))
    return 2.0 * np.array(MOVED), np.array(took)


def launch(many: int = 2000) -> float:
    """Host time per launch of a tiny kernel, launched repeatedly [s]."""
    one = torch.zeros(1, device="cuda")
    for _ in range(100):
        one.add_(1.0)
    torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(many):
        one.add_(1.0)
    torch.cuda.synchronize()
    return (time.perf_counter() - start) / many


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chip", help="row of the catalogue's chips; guessed from the driver's name")
    parser.add_argument("--like", help="stack of the catalogue that gives what is not measured; guessed from the chip")
    parser.add_argument("--to", type=Path, default=Path("measured-stack.toml"))
    asked = parser.parse_args()
    if torch is None or not torch.cuda.is_available() or torch.version.cuda is None:
        print("SKIPPED: no NVIDIA GPU")
        return 0
    name = torch.cuda.get_device_name()
    fitting = sorted((words for words in CHIPS if words in name), key=len)
    row = asked.chip or (CHIPS[fitting[-1]] if fitting else None)
    if row is None:
        print(f"--chip is needed: {name} is in no row known here", file=sys.stderr)
        return 2
    chip = ts.catalog.chip(row)
    like = asked.like or LIKE[row[0]]
    measured = [products("bf16", bf16_product)]
    if chip.peak.fp8 is not None and hasattr(torch, "_scaled_mm"):
        measured.append(products("fp8", fp8_product))
    moved, copied = copies()
    fitted = fit_stack(KernelProfile(chip, tuple(measured), attention(), moved, copied, launch()), ts.catalog.stack(like))
    source = f"benchmarks/measure_kernels.py on {name}, PyTorch {torch.__version__}, CUDA {torch.version.cuda}"
    text = ts.catalog.stack_text(asked.to.stem, fitted.stack, like=like, source=source, date=dt.datetime.now(tz=dt.UTC).date().isoformat())
    asked.to.write_text(text, encoding="utf-8")
    print(text)
    for kind, error in fitted.errors.items():
        print(f"# median error left, {kind}: {100 * error:.1f} %")
    return 0


if __name__ == "__main__":
    sys.exit(main())
