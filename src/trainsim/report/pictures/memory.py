"""Memory of a GPU by pipeline rank, compared with its capacity."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from ...core.errors import EstimateError
from ...core.ledger import Ledger
from ...gpu_memory.fit import Fit
from ..marks import plain_axis
from ..picture import ACROSS, Canvas, Picture
from ..style import SMALL, TEXT, stacked
from ..words import part_words

LEFT, GIGA = 0.8, 1e9
"""Width of the names of ranks [inch]; bytes per gigabyte."""
NAMED = 6
"""Number of parts drawn by name; smaller parts are drawn together."""


class MemoryPicture(Picture):
    """Memory of a GPU of each pipeline rank by part, compared with its capacity."""

    answers = (Fit, Ledger)

    @classmethod
    def draws(cls, answer: object) -> bool:
        """Whether the answer is a fit, or a ledger in bytes."""
        return isinstance(answer, Fit) or (isinstance(answer, Ledger) and answer.unit == "B")

    @cached_property
    def ranks(self) -> dict[str, dict[str, float]]:
        """Rank → part → bytes [B].

        Raises:
            EstimateError: the answer is not a memory ledger with one entry per rank.
        """
        ledger = self.answer if isinstance(self.answer, Ledger) else self.answer.ranks
        if ledger is None or not all(isinstance(part, Ledger) for part in ledger.parts.values()):
            raise EstimateError(
                "ledger", ledger, "is not a memory ledger with one entry per rank", "draw ts.fits(run) or ts.memory(run)", "wrong-type"
            )
        return {rank: {part: float(np.mean(ledger.part(rank).part(part).total)) for part in ledger.part(rank)} for rank in ledger}

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Parts drawn by name, the largest first."""
        most: dict[str, float] = {}
        for parts in self.ranks.values():
            for name, size in parts.items():
                most[name] = max(size, most.get(name, 0.0))
        return tuple(sorted(most, key=lambda name: -most[name])[:NAMED])

    @cached_property
    def fullest(self) -> str:
        """The rank that uses most memory."""
        return max(self.ranks, key=lambda rank: sum(self.ranks[rank].values()))

    @property
    def fit(self) -> Fit | None:
        """The memory fit, if the answer has one."""
        return self.answer if isinstance(self.answer, Fit) else None

    @property
    def title(self) -> str:
        """Title: whether the fullest rank fits."""
        used = sum(self.ranks[self.fullest].values()) / GIGA
        where = " on " + part_words(self.fullest.replace("-", "\u00a0")) if len(self.ranks) > 1 else ""
        if self.fit is None:
            return f"A GPU holds {used:.3g} GB at its peak{where}"
        word = {"fits": "It fits", "tight": "It is tight", "does not fit": "It does not fit"}[self.fit.word]
        low, middle, high = (used / GIGA for used in self.fit.used)
        beyond = {"fits": "", "tight": f" (90 %: {low:.3g} to {high:.3g})", "does not fit": ""}[self.fit.word]
        return f"{word}: {middle:.3g}{beyond} of {self.fit.capacity / GIGA:.3g} GB{where}"

    @property
    def subtitle(self) -> str:
        """Subtitle: the quantity drawn."""
        return "GB of one GPU at the peak of a step" + (", by pipeline rank" if len(self.ranks) > 1 else "")

    @property
    def alt(self) -> str:
        """Alternative text: parts of the fullest rank, and its interval."""
        parts = ", ".join(f"{part_words(name)} {size / GIGA:.3g} GB" for name, size in self.ranks[self.fullest].items() if size > 0)
        fit = self.fit
        range_ = "" if fit is None else f" With 90 % probability it is between {fit.used[0] / GIGA:.3g} and {fit.used[2] / GIGA:.3g} GB."
        return f"Bars of {len(self.ranks)} pipeline ranks. The fullest, {self.fullest}: {parts}.{range_}"

    @property
    def note(self) -> str:
        """Note: the meaning of the whisker."""
        return (
            "Bars: computed peaks. Dot and whisker: P50, P5 and P95 of the fullest rank, from the errors on published peaks."
            if self.fit is not None
            else ""
        )

    @property
    def row(self) -> float:
        """Height of a rank [inch]."""
        return 0.42 if len(self.ranks) < 5 else 0.22 if len(self.ranks) <= 20 else 0.13

    @property
    def height(self) -> float:
        """Height of ranks, axis and legend [inch]."""
        return 0.3 + self.row * len(self.ranks) + 0.35 + 0.45

    def paint(self, canvas: Canvas) -> None:
        """Draw one bar per rank, its parts one after another."""
        theme, tall = canvas.theme, self.row * len(self.ranks)
        axes = canvas.axes(LEFT, 0.3, ACROSS - LEFT - 0.15, tall)
        colours = stacked([*self.names, "other"], theme)
        colours["other"] = theme.muted
        starts = np.zeros(len(self.ranks))
        for name in (*self.names, "other"):
            sizes = np.array([self._size(parts, name) for parts in self.ranks.values()]) / GIGA
            axes.barh(range(len(self.ranks)), sizes, left=starts, height=0.74, color=colours[name], edgecolor=theme.paper, linewidth=0.6)
            starts += sizes
        most = float(starts.max())
        axes.set_ylim(len(self.ranks) - 0.5, -0.5)
        step = max(1, round(0.16 / self.row))
        shown = range(0, len(self.ranks), step)
        axes.set_yticks(list(shown), [list(self.ranks)[i].replace("-", " ") for i in shown], fontsize=SMALL if self.row < 0.2 else TEXT)
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x")
        if self.fit is not None:
            self._capacity(canvas, axes, self.fit)
            most = max(most, self.fit.used[2] / GIGA, self.fit.capacity / GIGA)
        axes.set_xlim(0, most * 1.04)
        plain_axis(axes)
        entries = [("s", colours[name], part_words(name)) for name in self.names]
        others = any(self._size(parts, "other") > 0 for parts in self.ranks.values())
        canvas.legend(0.3 + tall + 0.47, [*entries, *([("s", colours["other"], "other parts")] if others else [])])

    def _size(self, parts: dict[str, float], name: str) -> float:
        if name == "other":
            return sum(size for part, size in parts.items() if part not in self.names)
        return parts.get(name, 0.0)

    def _capacity(self, canvas: Canvas, axes: Any, fit: Fit) -> None:
        """Draw the capacity of a GPU as a line, and the interval of the fullest rank."""
        theme, (low, middle, high) = canvas.theme, (used / GIGA for used in fit.used)
        axes.axvline(fit.capacity / GIGA, color=theme.ink, lw=2)
        at = list(self.ranks).index(self.fullest)
        axes.plot([low, high], [at, at], color=theme.ink, lw=1.4, marker="|", ms=9, zorder=5)
        axes.plot([middle], [at], "o", color=theme.paper, mec=theme.ink, ms=4.5, zorder=6)
        style: dict[str, Any] = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points", "va": "bottom", "ha": "right"}
        axes.annotate(f"a GPU has {fit.capacity / GIGA:.3g} GB", (fit.capacity / GIGA, 1.0), xytext=(2, 4), fontsize=TEXT, **style)
