"""Predictions against what was published: hindcasts as a forest, measured steps against the 1:1 line."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from ...core.units import human
from ...validation.run_hindcast import Backtest, Hindcast
from ...validation.step_backtest import StepBacktest, StepForecast
from ..marks import log_axis, written
from ..picture import ACROSS, Canvas, Picture
from ..style import SMALL, TEXT, cut

ROW, LEFT, RIGHT, AXIS, HEAD = 0.175, 2.15, 0.75, 0.5, 0.2
"""Heights of a run, of axis and legend, and of the heading; widths of names and of hours [inch]."""
SQUARE = 4.3
"""Side of the 1:1 picture [inch]."""


class HindcastPicture(Picture):
    """Hours of published runs, each predicted from the day before: a forest plot, misses included."""

    answers = (Backtest,)

    @cached_property
    def runs(self) -> tuple[Hindcast, ...]:
        """The runs, in order of disclosure."""
        return tuple(sorted(self.answer.hindcasts, key=lambda h: h.day))

    @property
    def title(self) -> str:
        """Title: the number of runs inside their intervals."""
        inside = sum(h.inside for h in self.runs)
        return f"{inside} of {len(self.runs)} published runs lie inside the 90 % interval predicted the day before"

    @property
    def subtitle(self) -> str:
        """Subtitle: the quantity drawn, and the width of the intervals."""
        return f"Accelerator-hours over the hours predicted (median); interval ×{self.answer.width:.1f} wide in the median"

    @property
    def alt(self) -> str:
        """Alternative text: the misses by name."""
        misses = [f"{h.name} ({human(h.truth)} hours, predicted {human(h.low)} to {human(h.high)})" for h in self.runs if not h.inside]
        return f"Forest plot of {len(self.runs)} runs. Misses: {'; '.join(misses) or 'none'}."

    @property
    def command(self) -> str:
        """Command that reproduces the predictions."""
        return "trainsim hindcasts"

    @property
    def height(self) -> float:
        """Height of all runs [inch]."""
        return HEAD + ROW * len(self.runs) + AXIS + 0.15

    def paint(self, canvas: Canvas) -> None:
        """Draw one line per run: its interval, with the disclosed hours."""
        theme, n = canvas.theme, len(self.runs)
        axes = canvas.axes(LEFT, HEAD, ACROSS - LEFT - RIGHT, ROW * n)
        axes.set_ylim(n - 0.5, -0.5)
        low = min(min(h.low, h.truth) / h.mid for h in self.runs)
        high = max(max(h.high, h.truth) / h.mid for h in self.runs)
        axes.set_xlim(low / 1.15, high * 1.15)
        axes.axvline(1.0, color=theme.muted, lw=1)
        canvas.text(ACROSS, 0.08, "hours", size=SMALL, color=theme.muted, ha="right")
        for i, h in enumerate(self.runs):
            colour = theme.blue if h.inside else theme.orange
            axes.plot([h.low / h.mid, h.high / h.mid], [i, i], color=theme.sky, lw=3, alpha=0.6, solid_capstyle="butt")
            axes.plot([h.truth / h.mid], [i], "o" if h.inside else "D", color=colour, ms=5, zorder=3)
            y = HEAD + ROW * (i + 0.5)
            strong: dict[str, Any] = {} if h.inside else {"weight": "bold", "color": theme.orange}
            canvas.text(0.0, y, cut(h.name, SMALL, LEFT - 0.62), size=SMALL, **strong)
            canvas.text(LEFT - 0.08, y, f"{h.day:%Y-%m}", size=SMALL, color=theme.muted, ha="right")
            canvas.text(ACROSS, y, human(h.truth), size=SMALL, ha="right")
        log_axis(axes, lambda ratio: f"×{written(ratio)}")
        axes.set_yticks([])
        axes.grid(axis="x")
        entries = [("s", theme.sky, "90 % interval"), ("o", theme.blue, "disclosed, inside"), ("D", theme.orange, "disclosed, outside")]
        canvas.legend(HEAD + ROW * n + AXIS, entries, LEFT)


class OneToOnePicture(Picture):
    """Measured steps against modelled ones, with the 1:1 line and the intervals."""

    answers = (StepBacktest,)

    @cached_property
    def forecasts(self) -> tuple[StepForecast, ...]:
        """Rows without an exclusion reason; all rows if there are none."""
        sound = self.answer.usable or self.answer.forecasts
        return tuple(sound)

    @property
    def off(self) -> float:
        """Median of |modelled / measured − 1|."""
        return float(np.median([f.off for f in self.forecasts]))

    @property
    def title(self) -> str:
        """Title: median error, and share inside the intervals."""
        inside = np.mean([f.inside for f in self.forecasts])
        several = len(self.forecasts) > 1
        what = f"{len(self.forecasts)} measured steps are" if several else "One measured step is"
        return f"{what} {100 * self.off:.1f} % off{' in the median' if several else ''}, {100 * inside:.0f} % inside the 90 % interval"

    @property
    def subtitle(self) -> str:
        """Subtitle: the axes."""
        return "Seconds of an optimizer step: measured across, modelled upwards; on the line they agree"

    @property
    def alt(self) -> str:
        """Alternative text: the number of rows, and those with the largest errors."""
        worst = sorted(self.forecasts, key=lambda f: -f.off)[:5]
        told = "; ".join(f"{f.step.name} {human(f.step.seconds)} s measured, {human(f.modelled)} s modelled" for f in worst)
        return f"Scatter of {len(self.forecasts)} steps about the 1:1 line. Farthest off: {told}."

    @property
    def sources(self) -> tuple[str, ...]:
        """Sources of the rows."""
        return tuple(dict.fromkeys(f.step.source for f in self.forecasts if f.step.source))

    @property
    def height(self) -> float:
        """Height of a square with its axis and legend [inch]."""
        return SQUARE + 0.75

    def paint(self, canvas: Canvas) -> None:
        """Draw one mark per row, with a vertical interval."""
        theme = canvas.theme
        axes = canvas.axes(0.65, 0.05, ACROSS - 0.75, SQUARE)
        ends = [value for f in self.forecasts for value in (f.step.seconds, f.low, f.high)]
        low, high = min(ends) / 1.2, max(ends) * 1.2
        axes.set_xlim(low, high)
        axes.set_ylim(low, high)
        axes.plot([low, high], [low, high], color=theme.muted, lw=1.2)
        for f in self.forecasts:
            colour = theme.blue if f.inside else theme.orange
            axes.plot([f.step.seconds] * 2, [f.low, f.high], color=colour, lw=1.2, alpha=0.45)
            axes.plot([f.step.seconds], [f.modelled], "o" if f.inside else "D", color=colour, ms=4.5, alpha=0.85)
        log_axis(axes, lambda seconds: f"{written(seconds)} s")
        log_axis(axes, lambda seconds: f"{written(seconds)} s", vertical=True)
        axes.tick_params(axis="y", labelcolor=theme.muted)
        axes.grid()
        axes.spines["left"].set_visible(True)
        entries = [("o", theme.blue, "interval holds the measurement"), ("D", theme.orange, "it does not"), ("_", theme.muted, "1:1")]
        canvas.legend(SQUARE + 0.55, entries, 0.65)
        if len(self.forecasts) <= 3:
            for f in self.forecasts:
                axes.annotate(f.step.name, (f.step.seconds, f.modelled), xytext=(7, -9), textcoords="offset points", fontsize=TEXT)
