"""Precomputed sizes and utilisations of published runs.

Building the models of a hundred runs takes longer than the rest of a prior. So this table stores the result of ``evidence.count`` for every
row of the catalogue. A test compares the table with a new count; ``python tests/catalog/test_counted.py`` rewrites it.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from ..core.values import ReadOnlyDict
from .rows import Row, packaged_text, rows

Sizes = tuple[int, int, int]
"""Width, layers and experts per layer, by which tables of runs identify a model."""


@dataclass(frozen=True)
class Counted:
    """Precomputed figures of a published run.

    Args:
        sizes, utilisation: sizes of the run's model, and model FLOPs over the dense half-precision peak; None if that can't be computed.
    """

    sizes: Sizes
    utilisation: float | None

    @property
    def sparsity(self) -> str:
        """``"moe"`` if the model routes tokens to experts, else ``"dense"``."""
        return "moe" if self.sizes[2] > 1 else "dense"


def of_table(row: Row) -> Counted | None:
    """The table's figures for a row; None if there are none, or if the row is a user's row of the same name.

    >>> from trainsim.catalog.rows import find
    >>> of_table(find("runs", "deepseek-v3")).sizes
    (7168, 61, 256)
    """
    found = _table().get(row.id)
    return found if found is not None and rows("runs").get(row.id) is row else None


@lru_cache(maxsize=1)
def _table() -> Mapping[str, Counted]:
    return ReadOnlyDict(read(packaged_text("counted", "csv")))


def read(text: str) -> dict[str, Counted]:
    """Parse a table with one run per line."""
    found = {}
    for line in csv.reader(text.splitlines()[1:]):
        name, hidden, layers, experts, share = line
        found[name] = Counted((int(hidden), int(layers), int(experts)), float(share) if share else None)
    return found


def written(found: Mapping[str, Counted]) -> str:
    """Format a table as text.

    >>> written({"a-run": Counted((4096, 32, 1), 0.5)}).splitlines()[1]
    'a-run,4096,32,1,0.5'
    """
    lines = ["run,hidden,layers,experts,utilisation"]
    for name, one in found.items():
        share = "" if one.utilisation is None else repr(one.utilisation)
        lines.append(",".join((name, *map(str, one.sizes), share)))
    return "\n".join(lines) + "\n"
