"""Compare named figures with those of a file: which changed, from what to what."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from difflib import SequenceMatcher
from pathlib import Path
from typing import TypeAlias

Figure: TypeAlias = float | int | str | list[str] | None
Figures: TypeAlias = dict[str, Figure]
"""Name → a number, a word, or the numbers of a text in their order."""
FILE = Path(__file__).parent / "figures.json"
COMPUTED, DRAWN = 1e-9, 1e-6
"""Relative tolerance of a computed figure, and of a figure from seeded draws, whose order of summation may differ."""
ROUNDING = 1e-14
"""Absolute tolerance, since a line of a step, such as launch time, may be a difference of times that are ten million times longer."""


def recorded() -> dict[str, Figures]:
    """Section → figures of the file; empty before the first recording."""
    found: dict[str, Figures] = json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {}
    return found


def write(sections: Mapping[str, Figures]) -> None:
    """Write the file: sections and figures by name, one figure per line."""
    ordered = {name: dict(sorted(sections[name].items())) for name in sorted(sections)}
    FILE.write_text(json.dumps(ordered, indent=0, ensure_ascii=False) + "\n", encoding="utf-8")


def moved(before: Figures, after: Figures, rtol: float = COMPUTED) -> list[str]:
    """One line for each figure that was removed, added or changed.

    Args:
        before, after: as recorded, and as computed now.
        rtol: relative difference that two numbers may have [1].
    """
    lines = []
    for name in sorted(before.keys() | after.keys()):
        if name not in after:
            lines.append(f"{name}: {_shown(before[name])} → gone")
        elif name not in before:
            lines.append(f"{name}: new → {_shown(after[name])}")
        else:
            lines += _differences(name, before[name], after[name], rtol)
    return lines


def _differences(name: str, a: Figure, b: Figure, rtol: float) -> Iterator[str]:
    if isinstance(a, list) and isinstance(b, list):
        for what, i, j, k, l in SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
            if what != "equal":
                yield f"{name}[{i}]: {' '.join(a[i:j]) or 'nothing'} → {' '.join(b[k:l]) or 'nothing'}"
    elif not _same(a, b, rtol):
        apart = f"   ({b / a - 1:+.2e})" if isinstance(a, int | float) and isinstance(b, int | float) and a else ""
        yield f"{name}: {_shown(a)} → {_shown(b)}{apart}"


def _same(a: Figure, b: Figure, rtol: float) -> bool:
    if isinstance(a, float) and isinstance(b, int | float) and math.isnan(a):
        return math.isnan(b)
    if isinstance(a, int | float) and isinstance(b, int | float):
        return a == b or (a != 0 and abs(b - a) <= rtol * abs(a) + ROUNDING)
    return type(a) is type(b) and a == b


def _shown(figure: Figure) -> str:
    return " ".join(figure) if isinstance(figure, list) else repr(figure)
