"""Strip of a verdict's picture: hours predicted from other labs' runs, the reported hours, and measured runs of the same model."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..auditing.comparison import ordinal
from ..auditing.hours import BlindHours
from ..auditing.verdict import Verdict
from ..catalog.rows import find
from ..core.units import human
from .density import density
from .marks import log_axis, written
from .picture import ACROSS, Canvas
from .style import TEXT, lines_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STRIP, LEFT = 1.7, 2.3
"""Height of the strip with its axis, and left edge of the axes [inch]."""


def finding(found: BlindHours) -> tuple[str, str]:
    """The strip's question and its answer."""
    at = found.percentile(found.reported)
    inside = "within" if 5 <= at <= 95 else "at the edge of" if 0.5 <= at <= 99.5 else "outside"
    few = "few" if at < 50 else "many"
    return f"Could the run take so {few} hours?", f"{inside} what other labs' runs suggest: {ordinal(at).replace('pct.', 'percentile')}"


def strip(canvas: Canvas, verdict: Verdict, number: int, top: float) -> None:
    """Draw the strip.

    Args:
        canvas: the canvas to draw on.
        verdict: a verdict with predicted hours.
        number: number of the heading.
        top: upper edge of the strip [inch].
    """
    found = verdict.blind
    assert found is not None  # checked by the caller
    question, answer = finding(found)
    heading(canvas, f"{number}  {question}", answer, top)
    axes = canvas.axes(LEFT, top, ACROSS - LEFT - 0.1, STRIP - 0.62)
    told = found.reported
    measured = {row: hours for row, hours in verdict.others.items() if not find("runs", row).derived_from}
    ends, peak = [told, *measured.values()], 1.5
    hours, expected = density(lambda levels: [found.quantile(q) for q in levels])
    if expected.max() > 0:
        axes.fill_between(hours, expected / expected.max(), color=canvas.theme.blue, alpha=0.28, lw=0)
        ends += [float(hours[0]), float(hours[-1])]
    axes.set_xlim(min(ends) * 0.85, max(ends) * 1.15)
    axes.set_ylim(0, peak)
    axes.axvline(told, color=canvas.theme.ink, lw=2)
    log_axis(axes, lambda value: f"{written(value)} h")
    axes.set_yticks([])
    axes.set_xlabel("accelerator-hours")
    _labels(canvas, axes, verdict, measured, (hours, expected), peak)


def _labels(canvas: Canvas, axes: Axes, verdict: Verdict, measured: dict[str, float], curve: Any, peak: float) -> None:
    """Label the reported figure, the measured figures and the density, each at a free position."""
    theme, found = canvas.theme, verdict.blind
    assert found is not None  # checked by the caller
    told, (hours, expected) = found.reported, curve
    taken = [_pixels(axes, told, 0.0, peak), *(_pixels(axes, each, 0.0, 0.06 * peak, 9.0) for each in measured.values())]

    def write(text: str, x: float, y: float, side: str, **style: Any) -> Callable[[], Any]:
        return lambda: axes.text(x, y, text, ha=side, va="center", fontsize=TEXT, **style)

    stated = f"reported {human(told)}"
    tries = [write(stated, told * f, peak * 0.93, side, fontweight="bold") for side, f in (("right", 0.97), ("left", 1.03))]
    taken.append(canvas.box(canvas.free(axes, taken, tries)))
    shown = sorted(measured.items(), key=lambda item: item[1])
    for row, there in shown[:1] + shown[-1:] if len(shown) > 1 else shown:
        axes.plot([there], [0], marker="s", ms=7, color=theme.green, clip_on=False, zorder=5)
        text = f"{find('runs', row).get('org')}, same model: {human(there)}"
        sides = [(side, there * f) for side, f in (("left", 1.25), ("right", 0.8), ("left", 1.06), ("right", 0.94))]
        sides += [("left", max(there, told) * 1.05)]
        low, high = axes.get_xlim()
        tries = [write(text, x, peak * y, side, color=theme.green) for y in (0.72, 0.56, 0.88, 0.4) for side, x in sides]
        at_the_ends = [("right", high / 1.02), ("left", low * 1.02)]
        tries += [write(text, x, peak * y, side, color=theme.green) for y in (0.93, 0.76, 0.6, 0.44) for side, x in at_the_ends]
        label = canvas.free(axes, taken, tries)
        taken.append(canvas.box(label))
        axes.annotate("", (there, 0), xytext=label.get_position(), arrowprops={"arrowstyle": "-", "color": theme.green, "lw": 0.8})
    height = expected / expected.max() if expected.max() > 0 else expected
    beyond = [i for share in (0.62, 0.45, 0.3, 0.15) for i in [int(np.flatnonzero(height >= share)[-1])]]
    places = [(float(hours[i]) * 1.04, height[i] + 0.14, "left") for i in beyond]
    before = [int(np.flatnonzero(height >= share)[0]) for share in (0.62, 0.45, 0.3, 0.15)]
    places += [(float(hours[i]) * 0.96, height[i] + 0.14, "right") for i in before]
    canvas.free(axes, taken, [write("what other labs' runs suggest", x, y, s, color=theme.blue) for x, y, s in places])


def heading(canvas: Canvas, head: str, text: str, top: float) -> None:
    """A question in bold and its answer below, left of the axes."""
    y = top + 0.1
    for line in lines_of(head, TEXT + 1.5, LEFT - 0.25, "bold"):
        canvas.text(0.0, y, line, size=TEXT + 1.5, weight="bold")
        y += 0.2
    for line in lines_of(text, TEXT, LEFT - 0.25):
        canvas.text(0.0, y + 0.03, line, color=canvas.theme.muted)
        y += 0.17


def _pixels(axes: Axes, x: float, low: float, high: float, width: float = 4.0) -> Any:
    """Bounding box of a vertical line or a mark [pixel]."""
    from matplotlib.transforms import Bbox

    ends = axes.transData.transform([(x, low), (x, high)])
    return Bbox([ends[0] - [width, 0.0], ends[1] + [width, 0.0]])
