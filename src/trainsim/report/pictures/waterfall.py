"""Seconds of a step as a waterfall: parts, hidden time as negative bars, and the sum."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ...core.ledger import Ledger
from ..picture import ACROSS, Canvas, Picture
from ..style import SMALL, TEXT, cut, stacked
from ..words import amount, part_words, share_words

ROW, LEFT, RIGHT = 0.27, 2.05, 1.25
"""Height of a line; widths of names and of figures [inch]."""
LEAST = 0.01
"""Share of the sum below which lines are drawn as one."""


@dataclass(frozen=True)
class WaterfallRow:
    """One line of a waterfall: name, group and time [s]."""

    name: str
    group: str
    seconds: float


class WaterfallPicture(Picture):
    """Time of a step by part."""

    answers = (Ledger,)

    @classmethod
    def draws(cls, answer: object) -> bool:
        """A ledger of seconds."""
        return isinstance(answer, Ledger) and answer.unit == "s"

    @cached_property
    def bars(self) -> tuple[WaterfallRow, ...]:
        """Every line; small lines are drawn as one at the end."""
        whole = self.seconds
        found = list(_bars(self.answer.to_dict()))
        kept = [bar for bar in found if abs(bar.seconds) >= LEAST * whole]
        rest = [bar for bar in found if abs(bar.seconds) < LEAST * whole and bar.seconds]
        together = sum(bar.seconds for bar in rest)
        return (*kept, *(rest if len(rest) == 1 else [WaterfallRow(f"{len(rest)} smaller lines", "rest", together)] if rest else []))

    @cached_property
    def seconds(self) -> float:
        """Time of the whole step, or its mean over draws [s]."""
        return float(np.mean(self.answer.total))

    @property
    def title(self) -> str:
        """Title: the largest group, and the exposed exchanges."""
        groups: dict[str, float] = {}
        for bar in self.bars:
            groups[bar.group] = groups.get(bar.group, 0.0) + bar.seconds
        first, *others = sorted((name for name in groups if name != "rest"), key=lambda name: -groups[name])
        share = {name: share_words(seconds / self.seconds) for name, seconds in groups.items()}
        second = f", {part_words(others[0])} {share[others[0]]}" if others else ""
        return f"{part_words(first).capitalize()} takes {share[first]} of a {amount(self.seconds, 's')} step{second}"

    @property
    def subtitle(self) -> str:
        """Subtitle: the meaning of a bar."""
        return "each bar begins where the one above ends"

    @property
    def alt(self) -> str:
        """Alternative text: every line with its seconds."""
        return (
            "Waterfall. " + "; ".join(f"{bar.name} {amount(bar.seconds, 's')}" for bar in self.bars) + f"; sum {amount(self.seconds, 's')}."
        )

    @property
    def note(self) -> str:
        """Note: the meaning of an outlined bar, if there is one."""
        return "Outlined bars are subtracted: exchanges hidden behind compute." if any(bar.seconds < 0 for bar in self.bars) else ""

    @property
    def height(self) -> float:
        """Height of all lines and their sum [inch]."""
        return ROW * (len(self.bars) + 1) + 0.1

    def paint(self, canvas: Canvas) -> None:
        """Draw one bar per line, starting where the bar above ends."""
        theme, tall = canvas.theme, self.height
        axes = canvas.axes(LEFT, 0.0, ACROSS - LEFT - RIGHT, tall)
        axes.set_ylim(len(self.bars) + 0.6, -0.6)
        ends = np.cumsum([0.0, *(bar.seconds for bar in self.bars)])
        axes.set_xlim(min(0.0, float(ends.min())), float(ends.max()) * 1.001)
        axes.set_axis_off()
        colours = stacked(list(dict.fromkeys(bar.group for bar in self.bars)), theme)
        rows = [*zip(self.bars, ends, strict=False), (WaterfallRow("one step", "", self.seconds), 0.0)]
        scale = tall / (len(self.bars) + 1.2)
        for i, (bar, start) in enumerate(rows):
            colour = colours.get(bar.group, theme.ink)
            inside = {"facecolor": colour, "edgecolor": colour} if bar.seconds >= 0 else {"facecolor": "none", "edgecolor": colour}
            axes.barh(i, bar.seconds, left=start, height=0.62, linewidth=1.2, **inside)
            y = (i + 0.6) * scale
            strong: dict[str, Any] = {"weight": "bold"} if not bar.group else {}
            canvas.text(0.0, y, cut(bar.name, TEXT, LEFT - 0.1), **strong)
            share = f"{'−' * (bar.seconds < 0)}{share_words(abs(bar.seconds) / self.seconds)}"
            words = amount(bar.seconds, "s").replace("-", "−")
            canvas.text(ACROSS - RIGHT + 0.08, y, words, **strong)
            canvas.text(ACROSS, y, share if bar.group else "", size=SMALL, color=theme.muted, ha="right")
            axes.axhline(i + 0.5, color=theme.line, lw=0.6, zorder=0)


def _bars(lines: Mapping[str, Any], depth: int = 2, under: tuple[str, ...] = ()) -> Iterator[WaterfallRow]:
    """Lines down to a number of levels, and deeper in parts with negative lines."""
    for name, part in lines.items():
        path = (*under, name)
        if isinstance(part, Mapping) and (len(path) < depth or _mixed(part)):
            yield from _bars(part, depth, path)
        else:
            yield WaterfallRow(part_words(".".join(path)), path[0], _sum(part))


def _sum(part: Any) -> float:
    return sum(map(_sum, part.values())) if isinstance(part, Mapping) else float(np.mean(part))


def _mixed(part: Mapping[str, Any]) -> bool:
    """Whether a part has lines of both signs."""
    values = [_sum(each) for each in part.values()]
    return min(values) < 0 < max(values)
