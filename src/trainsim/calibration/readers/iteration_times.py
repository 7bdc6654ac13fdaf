"""Tables of iteration times: the columns of a row as numbers, or which of them keeps it from being a step."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

DEGREES = ("tensor parallelism", "data parallelism", "pipeline parallelism")
COLUMNS = (
    "gpus", *DEGREES, "global batch", "micro batch", "hidden size", "attention heads", "layers", "sequence length", "iteration time (ms)",
)  # fmt: skip
"""Of a CSV file, in lower case and without a leading #; each a number."""


def numbers_of(row: Mapping[str, Any]) -> tuple[dict[str, float], str]:
    """The numbers of a row by column, and what keeps it from being a step; empty where nothing does.

    >>> numbers_of({"# GPUs": "8"})[1]
    'tensor parallelism=None: is no number above 0; every row needs one'
    """
    cells = {k.strip().lstrip("# ").lower(): v for k, v in row.items() if k}  # a row may have more cells than the head
    numbers = {name: number for name, text in cells.items() if name and (number := _number(text)) is not None}
    return numbers, _odd(numbers, cells)


def _number(text: Any) -> float | None:
    try:
        return float(text)
    except (TypeError, ValueError):
        return None


def _odd(numbers: Mapping[str, float], row: Mapping[str, Any]) -> str:
    """What keeps a row from being a step: a column without a number, or degrees that can't be; empty where nothing does."""
    missing = next((name for name in COLUMNS if not numbers.get(name, 0.0) > 0), None)
    if missing is not None:
        return f"{missing}={row.get(missing)!r}: is no number above 0; every row needs one"
    gpus, tp, heads, layers = (int(numbers[name]) for name in ("gpus", "tensor parallelism", "attention heads", "layers"))
    product = int(prod(numbers[name] for name in DEGREES))
    if product != gpus:
        return f"gpus={gpus}: is not tensor·data·pipeline parallelism, which is {product}"
    if heads % tp:
        return f"tensor parallelism={tp}: does not divide attention heads={heads}"
    if numbers["pipeline parallelism"] > layers:
        return f"pipeline parallelism={numbers['pipeline parallelism']:g}: is above the model's {layers} layers"
    return ""
