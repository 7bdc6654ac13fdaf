"""Memory of pipeline ranks while a step runs, compared with the capacity of a GPU."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from ...run.memory_over_step import MemoryOverStep
from ..marks import plain_axis
from ..picture import ACROSS, Canvas, Picture
from ..style import TEXT

TALL, LEFT, GIGA = 2.9, 0.55, 1e9
"""Heights of the axes and of their marks [inch]; bytes per gigabyte."""
SHOWN = 4
"""Number of ranks drawn: the first, the last, and some between."""


class MemoryOverStepPicture(Picture):
    """Memory of some ranks from event to event."""

    answers = (MemoryOverStep,)

    @cached_property
    def fullest(self) -> str:
        """The rank that uses most memory."""
        most = {rank: float(held.max()) for rank, (_, held) in self.answer.ranks.items()}
        fullest: str = max(most, key=most.__getitem__)
        return fullest

    @cached_property
    def shown(self) -> tuple[str, ...]:
        """Ranks that are drawn, in order."""
        names = list(self.answer.ranks)
        steps = {round(i * (len(names) - 1) / max(1, SHOWN - 1)) for i in range(SHOWN)}
        return tuple(name for i, name in enumerate(names) if i in steps or name == self.fullest)

    @property
    def title(self) -> str:
        """Title: the smallest and largest memory of the fullest rank."""
        held = self.answer.ranks[self.fullest][1] / GIGA
        spread = f"{held.min():.3g} to {held.max():.3g} GB of {self.answer.capacity / GIGA:.3g} GB"
        return f"{self.fullest.replace('-', ' ').capitalize()} holds most during a step: {spread}"

    @property
    def subtitle(self) -> str:
        """Subtitle: the run, and the cause of the changes."""
        return f"{self.answer.name or 'a run'}: GB of one GPU over a step; a forward pass adds activations, its backward pass frees them"

    @property
    def alt(self) -> str:
        """Alternative text: the range of each rank shown."""
        told = [
            f"{rank} {h.min() / GIGA:.3g} to {h.max() / GIGA:.3g} GB" for rank, (_, h) in self.answer.ranks.items() if rank in self.shown
        ]
        return f"Lines of memory over time: {'; '.join(told)}. A GPU has {self.answer.capacity / GIGA:.3g} GB."

    @property
    def height(self) -> float:
        """Height of axes and legend [inch]."""
        return 0.25 + TALL + 0.75

    def paint(self, canvas: Canvas) -> None:
        """Draw one stepped line per rank, and the capacity."""
        theme, capacity = canvas.theme, self.answer.capacity / GIGA
        axes = canvas.axes(LEFT, 0.25, ACROSS - LEFT - 0.1, TALL)
        most, last = capacity, 0.0
        for i, rank in enumerate(self.shown):
            at, held = self.answer.ranks[rank]
            axes.step(at, held / GIGA, where="post", color=theme.series[i % 6], lw=1.4)
            most, last = max(most, float(held.max()) / GIGA), max(last, float(at[-1]))
        axes.axhline(capacity, color=theme.ink, lw=2)
        style: dict[str, Any] = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points", "ha": "right", "va": "bottom"}
        axes.annotate(f"a GPU has {capacity:.3g} GB", (1.0, capacity), xytext=(0, 3), fontsize=TEXT, **style)
        axes.set_xlim(0, last)
        axes.set_ylim(0, most * 1.12)
        plain_axis(axes)
        axes.set_xlabel("seconds")
        axes.set_ylabel("GB")
        axes.tick_params(axis="y", labelcolor=theme.muted)
        axes.grid()
        canvas.legend(0.25 + TALL + 0.62, [("s", theme.series[i % 6], rank.replace("-", " ")) for i, rank in enumerate(self.shown)], LEFT)
