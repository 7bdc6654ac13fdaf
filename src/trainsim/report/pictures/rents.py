"""Rents over the years: every quote, the fitted trend, and the day of the question."""

from __future__ import annotations

import datetime as dt
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ...catalog.rent_trend import RentTrend
from ..marks import log_axis
from ..picture import ACROSS, Canvas, Picture
from ..style import TEXT

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TALL, LEFT = 3.2, 0.45
"""Heights of the axes and of their marks [inch]."""
TIERS = {"hyperscaler": ("s", "orange"), "specialist": ("o", "blue"), "marketplace": ("^", "green")}
"""Tier of a vendor → its mark and colour."""


class RentPicture(Picture):
    """Quoted rents of a chip, and the rent that one more vendor would have asked."""

    answers = (RentTrend,)

    @property
    def day(self) -> dt.date:
        """The day of the question; by default the last day of the trend."""
        asked: dt.date | None = self.answer.day
        return asked or self.days[-1]

    @property
    def days(self) -> tuple[dt.date, ...]:
        """Days of the trend."""
        found: tuple[dt.date, ...] = self.answer.days
        return found

    @cached_property
    def tiers(self) -> dict[str, int]:
        """Tier → its quotes."""
        return {tier: sum(q.tier == tier for q in self.answer.quotes) for tier in TIERS}

    @property
    def title(self) -> str:
        """Title: the rent on the day of the question."""
        low, middle, high = self.answer.on(self.day)
        spread = f"90 %: ${low:.2f} to ${high:.2f}"
        return f"Around {self.day:%B %Y} a vendor asks ${middle:.2f} for an hour of {self.answer.chip} ({spread})"

    @property
    def subtitle(self) -> str:
        """Subtitle: the quantity drawn."""
        n = len(self.answer.quotes)
        return f"Dollars a GPU-hour: {n} quotes of its silicon, and the fitted trend of {self.answer.term} prices of specialist clouds"

    @property
    def alt(self) -> str:
        """Alternative text: both ends of the trend."""
        a = self.answer
        ends = [f"{day}: ${a.on(day)[1]:.2f}" for day in (a.days[0], self.day, a.days[-1])]
        counts = ", ".join(f"{n} of {tier}s" for tier, n in self.tiers.items() if n)
        return f"Scatter of {len(a.quotes)} quotes over time ({counts}) with a fitted trend: {'; '.join(ends)}."

    @property
    def note(self) -> str:
        """Note: the meaning of the band."""
        return "Band: 90 % of what one more vendor would ask; line: its median."

    @property
    def sources(self) -> tuple[str, ...]:
        """Sources: the number of catalogue rows used."""
        return (f"{len(self.answer.sources)} dated quotes of the catalogue (docs/rents.md)",)

    @property
    def height(self) -> float:
        """Height of axes and legend [inch]."""
        return TALL + 0.65

    def paint(self, canvas: Canvas) -> None:
        """Draw quotes, band, line, and the day of the question."""
        from matplotlib import dates

        marking: Any = dates  # the classes of matplotlib are untyped
        theme, a = canvas.theme, self.answer
        axes = canvas.axes(LEFT, 0.05, ACROSS - LEFT - 0.1, TALL)
        days, levels = np.array([_number(day) for day in self.days]), np.asarray(a.levels)
        axes.fill_between(days, levels[:, 0], levels[:, 2], color=theme.blue, alpha=0.15, lw=0)
        axes.plot(days, levels[:, 1], color=theme.blue, lw=1.8)
        for tier, (mark, colour) in TIERS.items():
            at = [(_number(q.day), q.usd_per_gpu_hour) for q in a.quotes if q.tier == tier]
            if at:
                axes.plot(*zip(*at, strict=True), mark, color=getattr(theme, colour), ms=4.5, alpha=0.7, lw=0)
        prices = [*levels[:, 0], *levels[:, 2], *(q.usd_per_gpu_hour for q in a.quotes)]
        spare = 0.012 * float(days[-1] - days[0])  # half a mark
        axes.set_xlim(float(days[0]) - spare, float(days[-1]) + spare)
        axes.set_ylim(min(prices) / 1.1, max(prices) * 1.1)
        log_axis(axes, lambda usd: f"${usd:g}", vertical=True)
        axes.tick_params(axis="y", labelcolor=theme.muted)
        locator = marking.AutoDateLocator(minticks=3, maxticks=7)
        low, high = axes.get_xlim()
        axes.xaxis.set_major_locator(locator)
        ticks = [float(tick) for tick in axes.get_xticks() if low <= tick <= high]
        axes.set_xticks(ticks, marking.ConciseDateFormatter(locator, show_offset=False).format_ticks(ticks))
        axes.grid()
        self._asked(canvas, axes)
        marks = [(TIERS[tier][0], getattr(theme, TIERS[tier][1]), tier) for tier, n in self.tiers.items() if n]
        canvas.legend(TALL + 0.5, [*marks, ("_", theme.blue, "trend")], LEFT)

    def _asked(self, canvas: Canvas, axes: Axes) -> None:
        """Mark the day of the question."""
        if self.answer.day is None:
            return
        day = _number(self.day)
        axes.axvline(day, color=canvas.theme.ink, lw=1.2, ls="--")
        low, high = axes.get_xlim()
        side, shift = ("right", -5) if day > (low + high) / 2 else ("left", 5)
        words = f"{self.day:%b %Y}"
        style: dict[str, Any] = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points", "ha": side, "va": "top"}
        axes.annotate(words, (day, 0.98), xytext=(shift, 0), fontsize=TEXT, **style)


def _number(day: dt.date) -> float:
    """A day as matplotlib's number."""
    return float((day - dt.date(1970, 1, 1)).days)
