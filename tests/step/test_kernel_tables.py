"""Measured kernels (catalog/data/kernels.csv) compared with the library's model of each kernel."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest

import trainsim as ts
from trainsim.catalog.rows import Row, rows
from trainsim.cluster.kernels import fused_attention_seconds, product_seconds

STACKS = {"hopper": "fp8-block-hopper", "blackwell": "mcore-blackwell"}
WITHIN = 0.25
"""Largest accepted error of the median row of a source."""

FAR = {
    ("vllm-deepgemm", "product", "forward"): "the library on its first day: half of what its authors print for the same shape weeks later",
    (
        "flash-attention-4-table",
        "attention",
        "forward",
    ): "kernels of mid-2026, a third faster than those of Megatron's runs",
}
"""Tables with larger errors, each with the reason."""


def predicted(row: Row) -> float:
    """Modelled TFLOP/s of the row's kernel, as in the step of a run."""
    chip = ts.catalog.chip(str(row["chip"]))
    stack = ts.catalog.stack(STACKS[chip.architecture])  # type: ignore[index]
    if row["what"] == "attention":
        causal, length = bool(row["causal"]), float(row["length"])
        tokens, width = row["batch"] * length, row["width"] + row["value_width"]
        keys = (length + 1) / 2 if causal else length
        backward = float(row["direction"] == "backward")
        flop = 2 * tokens * row["heads"] * width * (length / 2 if causal else length) * (2.5 if backward else 1.0)
        seconds = fused_attention_seconds(tokens, row["heads"], width, keys, length, chip.peak.bf16, stack, backward=backward)  # type: ignore[arg-type]
        return float(flop / seconds / 1e12)
    assert chip.peak.fp8 is not None
    share = stack.fp8 * (stack.weight_gradient_block if row["direction"] == "weights" and row["scaled"] == "block" else 1.0)
    seconds = product_seconds(
        row["rows"], row["cols"], row["depth"], row["groups"], chip.peak.fp8, share, chip.memory_bandwidth, stack,
        element_bytes=1.0, output_bytes=4.0 if row["accumulate"] == "fp32" else 2.0,
    )  # fmt: skip
    return float(2 * row["groups"] * row["rows"] * row["cols"] * row["depth"] / seconds / 1e12)


def errors() -> dict[tuple[str, str, str], list[float]]:
    found = defaultdict(list)
    for row in rows("kernels").values():
        found[(row.source[0], str(row["what"]), str(row["direction"]))].append(predicted(row) / row["tflops"] - 1)
    return dict(found)


@pytest.mark.parametrize("table", errors(), ids=" ".join)
def test_the_median_error_of_a_kernel_table_is_small(table: tuple[str, str, str]) -> None:
    assert (np.median(np.abs(errors()[table])) <= WITHIN) == (table not in FAR)
