"""Two runs side by side: the ratio of their costs as a product of factors."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from ...core.units import Num
from ...run.compare import UNKNOWN_WORK, Comparison, Factor
from ..marks import log_axis, written
from ..picture import ACROSS, Canvas, Picture
from ..style import SMALL, TEXT, cut
from ..words import amount

ROW, LEFT, RIGHT, HEAD, AXIS = 0.36, 1.85, 2.3, 0.3, 0.35
"""Heights of a factor, of the heading and of the axis; widths of a name and of both runs' figures [inch]."""
ONE = 1e-9
"""Distance from one below which a factor is left out."""


class ComparisonPicture(Picture):
    """Why one run costs more than another, factor by factor."""

    answers = (Comparison,)

    @cached_property
    def factors(self) -> tuple[Factor, ...]:
        """Factors that differ from one, in the order of the equation."""
        told = self.answer.factors.values()
        return tuple(f for f in told if f.name != UNKNOWN_WORK or abs(_mean(f.value) - 1) > ONE)

    @cached_property
    def names(self) -> tuple[str, str]:
        """Names of the two runs."""
        a, b = (est.run.name or word for est, word in ((self.answer.a, "run a"), (self.answer.b, "run b")))
        return (a, b) if a != b else (f"{a} (a)", f"{b} (b)")

    @cached_property
    def ratio(self) -> float:
        """Ratio of the cost of a to the cost of b."""
        return _mean(self.answer.ratio)

    @property
    def title(self) -> str:
        """Title: the run that costs more, and the largest factor."""
        a, b = self.names
        sign = 1 if self.ratio >= 1 else -1
        largest = max(self.factors, key=lambda f: sign * np.log(_mean(f.value)), default=None)
        if abs(self.ratio - 1) < ONE or largest is None:
            return f"{a} and {b} cost the same"
        return f"{a} costs {self.ratio:.3g} times as much as {b}; the largest factor is {_name(largest)} (×{_mean(largest.value):.3g})"

    @property
    def subtitle(self) -> str:
        """Subtitle: the meaning of the factors."""
        a, b = self.names
        return f"{a} over {b}: the factors multiply to the ratio of their dollars exactly"

    @property
    def alt(self) -> str:
        """Alternative text: every factor."""
        told = ", ".join(f"{_name(f)} ×{_mean(f.value):.3g}" for f in self.factors)
        return f"Factors of the ratio ×{self.ratio:.3g}: {told}."

    @property
    def sources(self) -> tuple[str, ...]:
        """Sources of both runs."""
        each = (*self.answer.a.sources().values(), *self.answer.b.sources().values())
        return tuple(dict.fromkeys(source.partition(" (")[0] for source in each))

    @property
    def height(self) -> float:
        """Height of all factors and the ratio [inch]."""
        return HEAD + ROW * (len(self.factors) + 1) + AXIS

    def paint(self, canvas: Canvas) -> None:
        """Draw one bar per factor, each starting where the bar above ends, and below them the ratio of costs."""
        theme, rows = canvas.theme, len(self.factors) + 1
        axes = canvas.axes(LEFT, HEAD, ACROSS - LEFT - RIGHT, ROW * rows)
        axes.set_ylim(rows - 0.5, -0.5)
        values = [_mean(f.value) for f in self.factors]
        ends = np.cumprod([1.0, *values])
        axes.set_xlim(min(ends) / 1.25, max(ends) * 1.25)
        for x, name in zip((ACROSS - RIGHT + 1.15, ACROSS), self.names, strict=True):
            canvas.text(x, 0.12, cut(name, SMALL, 1.1), size=SMALL, color=theme.muted, ha="right")
        for i, (factor, value, start) in enumerate(zip(self.factors, values, ends, strict=False)):
            colour = theme.orange if value > 1 else theme.green
            axes.plot([start, start * value], [i, i], color=colour, lw=11, solid_capstyle="butt")
            self._line(canvas, i, f"{_name(factor)}  ×{value:.3g}", [amount(_mean(x.total), x.unit) for x in (factor.a, factor.b)])
        axes.plot([1.0, self.ratio], [rows - 1] * 2, color=theme.ink, lw=11, solid_capstyle="butt")
        dollars = [amount(_mean(est.cost.total), "USD") for est in (self.answer.a, self.answer.b)]
        self._line(canvas, rows - 1, f"dollars  ×{self.ratio:.3g}", dollars, weight="bold")
        axes.axvline(1.0, color=theme.muted, lw=1)
        log_axis(axes, lambda ratio: f"×{written(ratio)}", most=5)
        axes.set_yticks([])
        axes.grid(axis="x")

    def _line(self, canvas: Canvas, i: int, name: str, both: list[str], **style: Any) -> None:
        y = HEAD + ROW * (i + 0.5)
        canvas.text(0.0, y, cut(name, TEXT, LEFT - 0.1), **style)
        for x, words in zip((ACROSS - RIGHT + 1.15, ACROSS), both, strict=True):
            canvas.text(x, y, words, size=SMALL, ha="right", **style)


def _name(factor: Factor) -> str:
    if factor.name == UNKNOWN_WORK:
        return "unknown work"
    return factor.name if factor.power > 0 else f"1 / {factor.name}"


def _mean(value: Num) -> float:
    return float(np.mean(value))
