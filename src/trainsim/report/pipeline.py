"""The picture of a pipeline: every pass of a step in time, rank by rank."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.errors import EstimateError
from ..core.units import human
from ..parallelism.schedules.events import Timeline
from ..parallelism.schedules.passes import Pass
from .lettering import GREY
from .picture import pyplot

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FORWARD, BACKWARD, INPUTS, WEIGHTS, IDLE = "#4c8fc7", "#3d9a7a", "#6fbfa0", "#e3b04b", "#f1f1f1"
COLOURS = {"F": FORWARD, "B": BACKWARD, "I": INPUTS, "W": WEIGHTS}
INK = "#333333"
"""Of numbers on the lighter bars."""
SECOND = 0.35
"""How much lighter the passes of a rank's second stage are."""
NAMES = {"F": "forward", "B": "backward", "I": "backward, inputs", "W": "backward, weights"}
POINTS = 72.0
"""Of an inch: what a number needs to fit its bar is compared in points."""
ROW = 0.24
"""Height of a rank [inch]."""


def draw_timelines(timelines: Mapping[str, Timeline], path: str | Path, title: str = "") -> Path:
    """Draw pipelines one above the other on one axis of time: who works on what, and who waits.

    Args:
        timelines: heading → timeline of :func:`~trainsim.pipeline_timeline`; of one set of times, no draws.
        path: where to write; the suffix chooses the format (PNG, SVG, PDF).
        title: the finding; empty for the computed one.

    Returns:
        the path written.

    Raises:
        EstimateError: matplotlib is not installed, or a timeline of many draws.

    >>> import trainsim as ts
    >>> one = np.ones(1)
    >>> made = ts.pipeline_timeline("1f1b", ts.Times(one, one, one), 8, pp=4)
    >>> draw_timelines({"1f1b": made}, "pipeline.svg")  # doctest: +SKIP
    PosixPath('pipeline.svg')
    """
    for name, made in timelines.items():
        if np.ndim(made.seconds):
            raise EstimateError(
                name, np.shape(made.seconds), "are many draws, and a picture shows one", "give times of one number a stage", "not-scalar"
            )
    plt = pyplot()
    heights = [ROW * made.order.ranks for made in timelines.values()]
    tall = 0.85 + sum(heights) + 0.62 * len(heights) + 0.45
    figure = plt.figure(figsize=(12, tall), dpi=120, facecolor="white")
    try:
        figure.text(0.045, 1 - 0.34 / tall, title or finding(timelines), fontsize=16, fontweight="bold", va="center")
        figure.text(0.045, 1 - 0.66 / tall, _note(timelines), fontsize=10, color=GREY, va="center")
        longest = max(float(made.seconds) for made in timelines.values())
        top = 1 - 0.85 / tall
        axes: Any = None
        for (name, made), height in zip(timelines.items(), heights, strict=True):
            top -= (0.42 + height) / tall
            axes = figure.add_axes((0.045, top, 0.935, height / tall))
            _panel(axes, made, longest)
            figure.text(0.045, top + (height + 0.15) / tall, name, fontsize=12, fontweight="bold", va="center")
            figure.text(0.98, top + (height + 0.15) / tall, _told(made), fontsize=10, color=GREY, va="center", ha="right")
            top -= 0.2 / tall
        axes.tick_params(axis="x", labelbottom=True, length=0)
        _legend(figure, timelines, tall)
        figure.savefig(path)
    finally:
        plt.close(figure)
    return Path(path)


def finding(timelines: Mapping[str, Timeline]) -> str:
    """Which pipeline is done first, and by how much, in one sentence.

    >>> from trainsim.parallelism.schedules.events import Times
    >>> from trainsim.parallelism.schedules.waiting import pipeline_timeline
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


def _panel(axes: Axes, made: Timeline, longest: float) -> None:
    """One pipeline: a row a rank, a bar a pass, two half bars where passes overlap."""
    ranks, seconds = made.order.ranks, float(made.seconds)
    axes.set_xlim(0, longest)
    axes.set_ylim(ranks - 0.5, -0.5)
    axes.barh(range(ranks), [seconds] * ranks, height=0.9, color=IDLE, lw=0)
    inches = axes.get_figure().get_figwidth() * axes.get_position().width / longest  # type: ignore[union-attr]
    for bar in made.bars:
        start, length = float(bar.start), float(bar.end - bar.start)
        each = 0.9 / len(bar.slot)
        for k, part in enumerate(bar.slot):
            low = bar.rank - 0.45 + k * each
            axes.barh(low, length, left=start, height=each, align="edge", color=_colour(part, bar.rank), edgecolor="white", lw=0.5)
            room = min(length * inches * POINTS / (0.8 * len(_number(part, made))), each * ROW * POINTS * 0.85)
            if room >= 4.2:  # smaller than this nobody reads
                size, ink = min(room, 7.5), "white" if part.stage == bar.rank else INK
                place = (start + length / 2, low + each / 2)
                axes.text(*place, _number(part, made), fontsize=size, color=ink, ha="center", va="center_baseline")
    axes.set_yticks(range(ranks), [str(rank) for rank in range(ranks)], fontsize=8, color=GREY)
    axes.tick_params(length=0)
    axes.tick_params(axis="x", labelbottom=False, labelsize=9, labelcolor=GREY)
    for side in axes.spines.values():
        side.set_visible(False)


def _number(part: Pass, made: Timeline) -> str:
    """The micro-batch, counted from the end it entered at."""
    return str(part.micro_batch % (made.order.micro_batches // made.order.copies) + 1)


def _colour(part: Pass, rank: int) -> tuple[float, ...]:
    """By kind of pass; lighter where it belongs to another stage than the rank's first."""
    from matplotlib.colors import to_rgb

    red_green_blue = np.array(to_rgb(COLOURS[part.letter]))
    lighter = SECOND * (part.stage != rank)
    return tuple(red_green_blue + lighter * (1 - red_green_blue))


def _legend(figure: Any, timelines: Mapping[str, Timeline], tall: float) -> None:
    from matplotlib.patches import Rectangle

    letters = {part.letter for made in timelines.values() for bar in made.bars for part in bar.slot}
    marks = [(COLOURS[letter], NAMES[letter]) for letter in "FBIW" if letter in letters] + [(IDLE, "idle")]
    x, y = 0.045, 0.22 / tall
    for colour, name in marks:
        figure.add_artist(Rectangle((x, y - 0.06 / tall), 0.014, 0.12 / tall, color=colour, lw=0))
        figure.text(x + 0.019, y, name, fontsize=9.5, va="center")
        x += 0.04 + 0.0068 * len(name)


def _note(timelines: Mapping[str, Timeline]) -> str:
    """What rows, numbers and shades mean, as far as these pipelines have them."""
    bars = [bar for made in timelines.values() for bar in made.bars]
    other = " · lighter: the rank's other stages" if any(part.stage != bar.rank for bar in bars for part in bar.slot) else ""
    pair = " · two half bars: passes that overlap" if any(len(bar.slot) > 1 for bar in bars) else ""
    return f"rows: pipeline ranks · numbers: micro-batches{other}{pair}"
