"""A pipeline: every pass of a step over time, by rank."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...core.errors import EstimateError
from ...core.units import human
from ...parallelism.schedules.events import Timeline
from ..draw import draw
from ..marks import plain_axis
from ..picture import ACROSS, Canvas, Picture
from ..style import POINTS, TEXT, Theme, mixed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = {"F": "blue", "B": "green", "I": "sky", "W": "yellow"}
"""Letter of a pass → its colour in a theme."""
NAMES = {"F": "forward", "B": "backward", "I": "backward, inputs", "W": "backward, weights"}
SECOND = 0.6
"""Lightening of the passes of a rank's other stages [1]."""
HEADING, GAP, LEFT = 0.3, 0.12, 0.3
"""Height of a pipeline's heading, of the gap below a pipeline, and width of the names of ranks [inch]."""
SMALLEST = 5.5
"""Smallest readable font size [pt]; a bar that needs a smaller one has no number."""


def draw_timelines(timelines: Mapping[str, Timeline], path: str | Path, title: str = "") -> Path:
    """Draw pipelines one above the other on one time axis, with the passes and the idle time of every rank.

    Args:
        timelines: heading → timeline of :func:`~trainsim.pipeline_timeline`, with scalar times.
        path: file to write; the suffix chooses the format (PNG, SVG, PDF).
        title: the finding; empty for the computed one.

    Returns:
        the path written.

    Raises:
        EstimateError: matplotlib is not installed, or a timeline holds draws.

    >>> import trainsim as ts
    >>> one = np.ones(1)
    >>> made = ts.pipeline_timeline("1f1b", ts.Times(one, one, one), 8, pp=4)
    >>> draw_timelines({"1f1b": made}, "pipeline.svg")  # doctest: +SKIP
    PosixPath('pipeline.svg')
    """
    return draw(dict(timelines), path, title=title)


class PipelinePicture(Picture):
    """One pipeline, or several on one axis of time.

    Args:
        answer: a timeline, or heading → timeline.
        title: the finding; empty for the computed one.

    Raises:
        EstimateError: a timeline holds draws.
    """

    answers = (Timeline,)

    def __init__(self, answer: Timeline | Mapping[str, Timeline], title: str = "") -> None:
        super().__init__(answer)
        self.said = title
        for name, made in self.timelines.items():
            if np.ndim(made.seconds):
                rule = "are many draws, and a picture shows one"
                raise EstimateError(name, np.shape(made.seconds), rule, "give scalar times per stage", "not-scalar")

    @classmethod
    def draws(cls, answer: object) -> bool:
        """Whether the answer is a timeline, or several by name."""
        several = isinstance(answer, Mapping) and bool(answer) and all(isinstance(each, Timeline) for each in answer.values())
        return isinstance(answer, Timeline) or several

    @cached_property
    def timelines(self) -> Mapping[str, Timeline]:
        """Heading → timeline."""
        return {"One pipeline": self.answer} if isinstance(self.answer, Timeline) else self.answer

    @property
    def title(self) -> str:
        """Title: the pipeline that ends first, and by how much."""
        return self.said or finding(self.timelines)

    @property
    def subtitle(self) -> str:
        """Subtitle: the meaning of rows, numbers and shades that occur in these pipelines."""
        bars = [bar for made in self.timelines.values() for bar in made.bars]
        other = " · paler: the rank's other stages" if any(part.stage != bar.rank for bar in bars for part in bar.slot) else ""
        pair = " · two half bars: passes that overlap" if any(len(bar.slot) > 1 for bar in bars) else ""
        return f"Rows: pipeline ranks · numbers: micro-batches{other}{pair}"

    @property
    def alt(self) -> str:
        """Alternative text: time of each pipeline, and idle time of its ranks."""
        told = [
            f"{name}: {made.order.ranks} ranks, {made.order.micro_batches} micro-batches, {_told(made)}" for name, made in self._named()
        ]
        return f"Timeline of every pass of a step. {'; '.join(told)}."

    def _named(self) -> list[tuple[str, Timeline]]:
        return list(self.timelines.items())

    @cached_property
    def row(self) -> float:
        """Height of a rank [inch]."""
        ranks = max(made.order.ranks for made in self.timelines.values())
        return 0.24 if ranks <= 8 else 0.2 if ranks <= 16 else 0.13

    @property
    def height(self) -> float:
        """Height of pipelines, axis and legend [inch]."""
        return sum(HEADING + self.row * made.order.ranks + GAP for made in self.timelines.values()) + 0.6

    def paint(self, canvas: Canvas) -> None:
        """Draw one panel per pipeline."""
        longest = max(float(made.seconds) for made in self.timelines.values())
        top, axes = 0.0, None
        for name, made in self._named():
            canvas.text(LEFT, top + 0.16, name, size=TEXT + 1, weight="bold")
            canvas.text(ACROSS, top + 0.16, _told(made), color=canvas.theme.muted, ha="right")
            top += HEADING
            high = self.row * made.order.ranks
            axes = canvas.axes(LEFT, top, ACROSS - LEFT - 0.08, high)
            self._panel(canvas, axes, made, longest)
            top += high + GAP
        assert axes is not None  # there is at least one pipeline
        axes.tick_params(axis="x", labelbottom=True, length=0)
        letters = {part.letter for made in self.timelines.values() for bar in made.bars for part in bar.slot}
        marks = [("s", _shade(letter, canvas.theme), NAMES[letter]) for letter in "FBIW" if letter in letters]
        canvas.legend(top + 0.42, [*marks, ("s", canvas.theme.line, "idle")], LEFT)

    def _panel(self, canvas: Canvas, axes: Axes, made: Timeline, longest: float) -> None:
        theme, ranks, seconds = canvas.theme, made.order.ranks, float(made.seconds)
        axes.set_xlim(0, longest)
        axes.set_ylim(ranks - 0.5, -0.5)
        axes.barh(range(ranks), [seconds] * ranks, height=0.9, color=theme.fill, lw=0)
        wide = (ACROSS - LEFT - 0.08) / longest
        for bar in made.bars:
            start, length = float(bar.start), float(bar.end - bar.start)
            each = 0.9 / len(bar.slot)
            for k, part in enumerate(bar.slot):
                low = bar.rank - 0.45 + k * each
                own = part.stage == bar.rank
                style: dict[str, Any] = {"color": _shade(part.letter, theme, own=own), "edgecolor": theme.paper, "lw": 0.5}
                axes.barh(low, length, left=start, height=each, align="edge", **style)
                words = str(part.micro_batch % (made.order.micro_batches // made.order.copies) + 1)
                room = min((length * wide - 0.02) * POINTS / (1.05 * len(words)), each * self.row * POINTS * 0.75)
                if room >= SMALLEST:
                    place = (start + length / 2, low + each / 2)
                    axes.text(*place, words, fontsize=min(room, 7.5), color=theme.ink, ha="center", va="center_baseline")
        shown = range(0, ranks, 1 if self.row > 0.18 else 2)
        axes.set_yticks(list(shown), [str(rank) for rank in shown], color=theme.muted)
        axes.tick_params(length=0)
        plain_axis(axes)
        axes.tick_params(axis="x", labelbottom=False)
        for side in axes.spines.values():
            side.set_visible(False)


def finding(timelines: Mapping[str, Timeline]) -> str:
    """One sentence: the pipeline that ends first, and by how much.

    >>> from trainsim.parallelism.schedules.events import Times
    >>> from trainsim.parallelism.schedules.bubble import pipeline_timeline
    >>> one = np.ones(1)
    >>> finding({name: pipeline_timeline(name, Times(one, one, one), 8, pp=4) for name in ("1f1b", "zero-bubble")})
    'zero-bubble is done 18 % sooner than 1f1b'
    """
    by_length = sorted(timelines, key=lambda name: float(timelines[name].seconds))
    first, last = by_length[0], by_length[-1]
    if len(by_length) == 1:
        return f"{first}: {_told(timelines[first])}"
    sooner = 1 - float(timelines[first].seconds) / float(timelines[last].seconds)
    return f"{first} is done {100 * sooner:.0f} % sooner than {last}" if sooner >= 0.005 else f"{first} and {last} take as long"


def _told(made: Timeline) -> str:
    idle = np.mean([float(made.bubble(rank)) for rank in range(made.order.ranks)]) / float(made.seconds)
    return f"step {human(float(made.seconds), 3)}, ranks idle {100 * idle:.0f} % of it"


def _shade(letter: str, theme: Theme, *, own: bool = True) -> tuple[float, float, float]:
    """Colour of a pass by its kind, lighter for stages other than the rank's first; text is readable on it in both themes."""
    return mixed(getattr(theme, COLOURS[letter]), theme.paper, 0.45 if own else 0.45 + (1 - 0.45) * SECOND)
