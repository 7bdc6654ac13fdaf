"""A ledger by part: an icicle, each column one level deeper than the one before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ...core.ledger import Ledger
from ..picture import ACROSS, Canvas, Picture
from ..style import SMALL, TEXT, cut, mixed, width_of
from ..words import amount, part_words, share_words, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DEPTH, TALL = 3, 4.2
"""Number of columns, and height of a column [inch]."""
ROW = 0.165
"""Smallest height of a named part [inch]; lower parts are drawn together."""
MOST = 0.5
"""Share of a ledger from which the title names a part."""


@dataclass(frozen=True)
class IciclePart:
    """One rectangle of an icicle.

    Args:
        path: path of the line, or of the parent of lines drawn together.
        label: text inside the rectangle.
        start, share: position and height, as shares of the whole.
        level: column, from 0.
        colour: number of the colour, which is that of the line's ancestor in the first column.
    """

    path: str
    label: str
    start: float
    share: float
    level: int
    colour: int


class PartsPicture(Picture):
    """Parameters, FLOPs, hours or dollars by part."""

    answers = (Ledger,)

    @classmethod
    def draws(cls, answer: object) -> bool:
        """Every ledger except seconds and bytes, which have their own pictures."""
        return isinstance(answer, Ledger) and answer.unit not in ("s", "B")

    @cached_property
    def known(self) -> dict[str, Any]:
        """The known lines of the ledger as nested numbers, draws by their mean."""
        return _known(self.answer.to_dict())

    @cached_property
    def total(self) -> float:
        """Of all known lines, in the ledger's unit."""
        return _sum(self.known)

    @cached_property
    def parts(self) -> tuple[IciclePart, ...]:
        """Every rectangle, column by column."""
        return tuple(_parts(self.known, self.total, TALL))

    @property
    def title(self) -> str:
        """Title: the deepest part that is at least half of the whole."""
        path, share = _main(self.known, self.total)
        whole = amount(self.total, self.answer.unit)
        return f"{part_words(path)} is {share_words(share)} of {whole}" if path else f"{whole}, and no part is half of it"

    @property
    def subtitle(self) -> str:
        """Subtitle: the meaning of a column."""
        return f"Each column divides the one before; all lines sum to {amount(self.total, self.answer.unit, 4)}"

    @property
    def alt(self) -> str:
        """Alternative text: the first column, and the largest lines."""
        first = ", ".join(f"{p.label} {share_words(p.share)}" for p in self.parts if p.level == 0)
        deepest = sorted((p for p in self.parts if p.level == DEPTH - 1), key=lambda p: -p.share)[:5]
        rest = ", ".join(f"{part_words(p.path)} {share_words(p.share)}" for p in deepest)
        return f"Icicle of {amount(self.total, self.answer.unit)} by part. First column: {first}." + (
            f" Largest lines: {rest}." if rest else ""
        )

    @property
    def height(self) -> float:
        """Height of every column [inch]."""
        return TALL + 0.05

    def paint(self, canvas: Canvas) -> None:
        """Draw one rectangle per part, with its name if there is room."""
        axes = canvas.axes(0.0, 0.0, ACROSS, TALL)
        axes.set_axis_off()
        columns = 1 + max((p.level for p in self.parts), default=0)
        axes.set_xlim(0, ACROSS)
        axes.set_ylim(TALL, 0)
        for part in self.parts:
            self._one(canvas, axes, part, ACROSS / columns)

    def _one(self, canvas: Canvas, axes: Axes, part: IciclePart, wide: float) -> None:
        from matplotlib.patches import Rectangle

        theme, tall = canvas.theme, TALL * part.share
        colour = mixed(theme.series[part.colour % len(theme.series)], theme.paper, (0.55, 0.68, 0.8)[min(part.level, 2)])
        place = (part.level * wide, TALL * part.start)
        axes.add_patch(Rectangle(place, wide, tall, facecolor=colour, edgecolor=theme.paper, linewidth=1.2))
        if tall < ROW:
            return
        figure = f"{short(part.share * self.total, self.answer.unit)} · {share_words(part.share)}"
        room = wide - 0.16
        if tall >= 2.2 * ROW:
            lines = [cut(part.label, TEXT, room, "bold"), cut(figure, SMALL, room)]
        else:
            name = cut(part.label, SMALL, room - width_of(f"  {figure}", SMALL))
            lines = [f"{name}  {figure}"]
        middle = TALL * part.start + tall / 2
        for i, line in enumerate(lines):
            style: dict[str, Any] = {"fontsize": TEXT, "fontweight": "bold"} if len(lines) > 1 and i == 0 else {"fontsize": SMALL}
            at = middle + (i - (len(lines) - 1) / 2) * ROW
            axes.text(place[0] + 0.08, at, line, va="center", color=theme.ink, **style)


def _known(lines: Mapping[str, Any]) -> dict[str, Any]:
    found = {name: _known(part) if isinstance(part, Mapping) else float(np.mean(part)) for name, part in lines.items()}
    return {name: part for name, part in found.items() if (part if isinstance(part, dict) else not np.isnan(part))}


def _sum(part: Any) -> float:
    return sum(map(_sum, part.values())) if isinstance(part, Mapping) else float(part)


def _main(lines: Mapping[str, Any], total: float) -> tuple[str, float]:
    """The deepest line that is at least half of the whole."""
    path, here, share = [], lines, 1.0
    while isinstance(here, Mapping) and here:
        name = max(here, key=lambda each: _sum(here[each]))
        held = _sum(here[name]) / total if total else 0.0
        if held < MOST:
            break
        path.append(name)
        here, share = here[name], held
    return ".".join(path), share


def _parts(lines: Mapping[str, Any], total: float, tall: float) -> Iterator[IciclePart]:
    """Rectangles of a ledger; parts too low for a name are drawn together, with their number as label."""
    yield from _level(lines, "", 0.0, 0, None, total, ROW / tall)


def _level(
    lines: Mapping[str, Any], under: str, start: float, level: int, colour: int | None, total: float, least: float
) -> Iterator[IciclePart]:
    shares = {name: _sum(part) / total for name, part in lines.items() if _sum(part) > 0}
    low = [name for name, share in shares.items() if share < least]
    together = sum(shares.pop(name) for name in low)
    for i, (name, share) in enumerate(shares.items()):
        path = f"{under}.{name}" if under else name
        mine = i if colour is None else colour
        yield IciclePart(path, part_words(name), start, share, level, mine)
        deeper = lines[name]
        if isinstance(deeper, Mapping) and level + 1 < DEPTH:
            yield from _level(deeper, path, start, level + 1, mine, total, least)
        start += share
    if together > 0:
        words = part_words(low[0]) if len(low) == 1 else f"{len(low)} smaller parts"
        yield IciclePart(f"{under}.{low[0]}".strip(".") if len(low) == 1 else under, words, start, together, level, 6)
