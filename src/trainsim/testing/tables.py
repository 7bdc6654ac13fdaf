"""Tables of iteration times in the published format."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

HEADER = (
    "# GPUs,global batch,micro batch,hidden size,attention heads,# layers,sequence length,"
    "tensor parallelism,data parallelism,pipeline parallelism,iteration time (ms)"
)


def table_of(file: Path, rows: Iterable[Sequence[object]]) -> Path:
    """Write a CSV file of iteration times.

    Args:
        file: where it is written.
        rows: cells in the order of ``HEADER``.
    """
    file.write_text("\n".join([HEADER, *(",".join(map(str, row)) for row in rows)]) + "\n", encoding="utf-8")
    return file
