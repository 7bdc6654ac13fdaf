"""Wrap lines of tables and sentences to the width of a screen."""

from __future__ import annotations

import re
import textwrap

WIDTH = 80
"""Width of the text of an answer [column]."""
_GAP = re.compile(r"(?<=\S) {2,}(?=\S)")
"""Gap between two columns."""
LAST_COLUMN = 0.65
"""Largest share of the screen's width at which a column starts if its text is folded below it."""


def fold(line: str, columns: int) -> str:
    """Wrap a line between words; continuation lines are indented to its last column, or by two.

    >>> print(fold("price.usd_per_gpu_hour  2.87  median of specialist price, on-demand", 50))
    price.usd_per_gpu_hour  2.87  median of specialist
                                  price, on-demand
    """
    if len(line) <= columns:
        return line
    gaps = [gap.end() for gap in _GAP.finditer(line) if gap.end() <= LAST_COLUMN * columns]
    indent = max(gaps, default=0) or len(line) - len(line.lstrip()) + 2
    return textwrap.fill(line, columns, subsequent_indent=" " * indent, break_on_hyphens=False)
