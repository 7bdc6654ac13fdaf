"""A search: the best layouts by step time, with the memory of each."""

from __future__ import annotations

from functools import cached_property

from ...planning.ranked_plan import RankedPlan, layout_words
from ...planning.search import PlanSearch
from ..picture import ACROSS, Canvas, Picture
from ..style import SMALL, TEXT, lines_of
from ..words import amount

ROW, LEFT, RIGHT, HEAD = 0.36, 3.0, 1.75, 0.3
"""Heights of a layout and of the heading; widths of its description and of its figures [inch]."""
SHOWN = 10


class SearchPicture(Picture):
    """Layouts of a run, the fastest first."""

    answers = (PlanSearch,)

    @cached_property
    def shown(self) -> tuple[RankedPlan, ...]:
        """The best layouts, and the run's own if it is not among them."""
        best = tuple(self.answer.ranked[:SHOWN])
        own = self.answer.own
        return (*best, own) if own is not None and own not in best else best

    @property
    def title(self) -> str:
        """Title: the best layout, and its gain."""
        best, own = self.answer.best, self.answer.own
        words = f"{layout_words(best.plan, best.gpus)} takes {amount(best.seconds, 's')} a step"
        if own is None:
            return f"Best of {self.answer.fitting:,} layouts that fit: {words}"
        gain = own.seconds / best.seconds - 1
        return (
            f"{words}, {100 * gain:.0f} % faster than the run's own layout"
            if gain >= 0.005
            else f"The run's own layout is the best: {words}"
        )

    @property
    def subtitle(self) -> str:
        """Subtitle: the numbers of layouts considered, allowed and fitting."""
        a = self.answer
        return f"{a.run.name or 'a run'}, {a.phase}: {a.considered:,} layouts, {a.possible:,} allowed, {a.fitting:,} fit the memory"

    @property
    def alt(self) -> str:
        """Alternative text: step time and memory of every layout shown."""
        told = "; ".join(f"{layout_words(r.plan, r.gpus)}: {amount(r.seconds, 's')}, {amount(r.memory, 'B')}" for r in self.shown)
        return f"Bars of step time by layout: {told}."

    @property
    def height(self) -> float:
        """Height of the picture [inch]; each layout takes one row."""
        return HEAD + ROW * len(self.shown)

    def paint(self, canvas: Canvas) -> None:
        """Draw one bar per layout."""
        theme, n = canvas.theme, len(self.shown)
        axes = canvas.axes(LEFT, HEAD, ACROSS - LEFT - RIGHT, ROW * n)
        axes.set_ylim(n - 0.5, -0.5)
        axes.set_xlim(0, max(r.seconds for r in self.shown))
        axes.set_axis_off()
        for x, head in ((ACROSS - RIGHT + 0.55, "a step"), (ACROSS - 0.45, "memory"), (ACROSS, "GPUs")):
            canvas.text(x, 0.12, head, size=SMALL, color=theme.muted, ha="right")
        for i, r in enumerate(self.shown):
            own = r == self.answer.own
            y = HEAD + ROW * (i + 0.5)
            axes.barh(i, r.seconds, height=0.6, color=theme.orange if own else theme.blue)
            words = f"{layout_words(r.plan, r.gpus) or 'one GPU each'}{'  (the run’s own)' if own else ''}"
            lines = lines_of(words, SMALL, LEFT - 0.15)[:2]
            for k, line in enumerate(lines):
                canvas.text(0.0, y + 0.15 * (k - (len(lines) - 1) / 2), line, size=SMALL)
            canvas.text(ACROSS - RIGHT + 0.55, y, amount(r.seconds, "s"), size=TEXT, ha="right")
            canvas.text(ACROSS - 0.45, y, amount(r.memory, "B"), size=SMALL, ha="right")
            canvas.text(ACROSS, y, f"{r.gpus:,}", size=SMALL, color=theme.muted, ha="right")
