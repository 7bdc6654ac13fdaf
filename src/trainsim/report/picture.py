"""The picture of a verdict: could the run take so few hours, and what does the figure leave out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from textwrap import shorten, wrap
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..auditing.hours import BlindHours
from ..auditing.run_view import RunView
from ..auditing.scope_ladder import Rung
from ..auditing.sentences import money, told_in_words
from ..auditing.verdict import Verdict
from ..auditing.words import ordinal
from ..catalog.rows import find
from ..core.errors import ClaimError, EstimateError
from ..core.units import human
from .lettering import BLUE, GREEN, GREY, MINUTE, ORANGE, box, fitted, free, pixels
from .table import table, tall

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def draw(verdict: Verdict, path: str | Path, beside: Sequence[Verdict] = ()) -> Path:
    """Draw a verdict as a picture that needs no text beside it.

    Args:
        verdict: what an audit of a run found.
        path: where to write; the suffix chooses the format (PNG, SVG, PDF).
        beside: verdicts on claims that were published with it: dollars are drawn below the ladder because they answer other
            questions, and all are listed with their words.

    Returns:
        the path written.

    Raises:
        EstimateError: matplotlib is not installed.
        ClaimError: the verdict is not about a run: print it, or give it as ``beside``.

    >>> import trainsim as ts
    >>> draw(ts.audit(ts.catalog.claim("deepseek-v3-6m")), "verdict.svg")  # doctest: +SKIP
    PosixPath('verdict.svg')
    """
    figure = sketch(verdict, beside)
    try:
        figure.savefig(path)
    finally:
        pyplot().close(figure)
    return Path(path)


def sketch(verdict: Verdict, beside: Sequence[Verdict] = ()) -> Figure:
    """The picture before it is written: a matplotlib figure, for who wants to go on drawing."""
    view = _view(verdict)
    plt = pyplot()
    others = [b for b in beside if b.claim.quantified and b.claim.base_unit == "USD"]
    hours = verdict.blind is not None and view.reports_hours
    listed = (verdict, *beside) if beside else ()
    below = tall(listed)
    strip = 1.5 if hours else 0.0
    ladder = 0.62 * len(verdict.rungs) + (1.15 if others else 0.0) + 0.9 if verdict.rungs else 0.0
    lines = wrap(verdict.quote, LETTERS_ACROSS)
    head = HEAD + 0.3 * (len(lines) - 1)
    height = head + strip + ladder + below + FOOT
    figure: Figure = plt.figure(figsize=(WIDE, height), dpi=120, facecolor="white")
    for i, line in enumerate(lines):
        fitted(figure, 1 - (0.30 + 0.3 * i) / height, line, size=15, weight="bold")
    said = f", told as “{verdict.claim.told_as}”" if verdict.claim.told_as else ""
    told = shorten(f"The claim: {told_in_words(verdict)}{said}", LETTERS_BELOW, placeholder=" …")
    fitted(figure, 1 - (head - 0.49) / height, told, size=12, color=GREY)
    number = 1
    if hours:
        axes = figure.add_axes((LEFT, 1 - (head + 1.05) / height, ACROSS, 1.05 / height))
        _hours(figure, axes, verdict, number)
        number += 1
    if verdict.rungs:
        axes = figure.add_axes((LEFT, (FOOT + below + 0.35) / height, ACROSS, (ladder - 0.9) / height))
        _ladder(figure, axes, verdict, others, number)
        number += 1
        _legend(figure, verdict, (FOOT + below - 0.38) / height)
    if listed:
        table(figure, listed, number, FOOT + below - 0.9)
    _foot(figure, verdict)
    return figure


def _view(verdict: Verdict) -> RunView:
    """The run of a verdict.

    Raises:
        ClaimError: the verdict is not about a run.
    """
    if verdict.view is None:
        raise ClaimError("subject", verdict.claim.subject, "is no run", "print the verdict: it says what can be said", "wrong-type")
    return verdict.view


LETTERS_ACROSS, LETTERS_BELOW = 88, 150
"""Letters on a line of the title, and of the claim below it."""
WIDE, HEAD, FOOT = 10.0, 1.15, 1.0
"""Inches: the figure across, its heading, its legend."""
LEFT, ACROSS = 0.34, 0.63
"""Where the axes begin, and how wide they are, of the figure."""


def pyplot() -> Any:
    """Matplotlib without a window, in the pictures' style.

    Raises:
        EstimateError: it is not installed.
    """
    try:
        import matplotlib as mpl

        mpl.use("Agg")
        import matplotlib.pyplot as plt
    except ImportError:
        raise EstimateError("matplotlib", None, "is not installed", "pip install 'trainsim[plots]'", "not-installed") from None
    plt.rcParams.update(
        {
            "font.family": "DejaVu Sans",
            "text.parse_math": False,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.spines.left": False,
        }
    )
    return plt


def _hours(figure: Figure, axes: Axes, v: Verdict, number: int) -> None:
    """Hours expected, the stated figure, and independent measurements of the same model."""
    found = v.blind
    assert found is not None  # asked before
    at = found.percentile(found.reported)
    inside = "within" if 5 <= at <= 95 else "at the edge of" if 0.5 <= at <= 99.5 else "outside"
    few = "few" if at < 50 else "many"
    _label(figure, axes, f"{number}  Could the run take\n    so {few} hours?", f"{inside} what other labs'\nruns suggest ({ordinal(at)})")
    told = found.reported
    measured = {row: hours for row, hours in v.others.items() if not find("runs", row).derived_from}
    shown = sorted(measured.items(), key=lambda item: item[1])
    ends = [told, *measured.values()]
    top, expected = 1.5, None
    hours, expected = density(found)
    if expected.max() > 0:
        axes.fill_between(hours, expected / expected.max(), color=BLUE, alpha=0.25, lw=0)
        ends += [float(hours[0]), float(hours[-1])]
    axes.set_xlim(min(ends) * 0.85, max(ends) * 1.15)
    axes.set_ylim(0, top)
    axes.axvline(told, color="black", lw=2)
    taken = [
        box(figure, _log_axis(axes, "", "GPU-h")),
        pixels(axes, told, 0.0, top),
        *(pixels(axes, hours, 0.0, 0.06 * top, 9.0) for hours in measured.values()),
    ]

    def write(text: str, x: float, y: float, side: str, **style: Any) -> Callable[[], Any]:
        return lambda: axes.text(x, y, text, ha=side, va="center", fontsize=10, **style)

    stated = f"reported {human(told)}"
    tries = [write(stated, told * f, top * 0.93, side, fontweight="bold") for side, f in (("right", 0.985), ("left", 1.015))]
    taken.append(box(figure, free(figure, axes, taken, tries)))
    for row, hours_there in shown[:1] + shown[-1:] if len(shown) > 1 else shown:
        axes.plot([hours_there], [0], marker="s", ms=8, color=GREEN, clip_on=False, zorder=5)
        text = f"{find('runs', row).get('org')}, same model: {human(hours_there)}"
        sides = [(side, hours_there * f) for side, f in (("left", 1.25), ("right", 0.8), ("left", 1.06), ("right", 0.94))]
        sides += [("left", max(hours_there, told) * 1.05)]
        places = [(x, y, side) for y in (0.72, 0.56, 0.88, 0.4) for side, x in sides]
        tries = [write(text, x, top * y, side, color=GREEN) for x, y, side in places]
        label = free(figure, axes, taken, tries)
        taken.append(box(figure, label))
        axes.annotate("", (hours_there, 0), xytext=label.get_position(), arrowprops={"arrowstyle": "-", "color": GREEN, "lw": 0.8})
    if expected is not None:
        axis = np.sqrt(hours[0] * hours[-1])
        places = [(float(hours[np.searchsorted(hours, axis * f)]), y, side) for y in (0.12, 0.3, 0.45, 0.6) for side, f in SIDES]
        free(figure, axes, taken, [write("what other labs' runs suggest", x, top * y, side, color=BLUE) for x, y, side in places])


SIDES = (("center", 1.0), ("left", 1.0), ("right", 1.0), ("right", 0.8), ("left", 1.25))
"""Where a label may stand about the middle: how it is anchored, and a factor on the place."""


def density(found: BlindHours, points: int = 400) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A density over the logarithm of predicted hours, without the ripple of counted bins.

    Normal scores of the quantiles are nearly straight in the logarithm; a spline through some of them gives the density as
    ``φ(z) · dz/d ln x``.

    Args:
        found: hours from other labs' runs.
        points: how many.

    Returns:
        hours and the density there, each (points,).
    """
    from scipy.interpolate import CubicSpline
    from scipy.special import ndtr

    z = np.linspace(-3.0, 2.6, 14)
    knots = np.log([found.quantile(q) for q in ndtr(z).tolist()])
    curve = CubicSpline(knots, z)
    at = np.linspace(knots[0], knots[-1], points)
    return np.exp(at), np.maximum(curve(at, 1), 0.0) * np.exp(-(curve(at) ** 2) / 2) / np.sqrt(2 * np.pi)


def _ladder(figure: Figure, axes: Axes, v: Verdict, others: Sequence[Verdict], number: int) -> None:
    value = v.claim.in_base()
    _label(figure, axes, f"{number}  What does it leave out?", "", above=0.45 / figure.get_figheight())
    y1 = axes.get_position().y1 + 0.13 / figure.get_figheight()
    figure.text(0.045, y1, "each line adds to the one above", fontsize=9.5, color=GREY, va="top")
    lows = [float(r.rent[0]) for r in v.rungs] + [value] + [float(r.owner) for r in v.rungs if r.owner is not None]
    highs = [float(r.rent[2]) for r in v.rungs] + [value, *(b.claim.in_base() for b in others)]
    room = min(b.claim.in_base() for b in others) * 0.6 if others else min(lows)  # half a label left of the leftmost cross
    axes.set_xlim(min(*lows, room) * 0.8, max(highs) * 1.55)
    axes.set_ylim(-len(v.rungs) + 0.45 - (1.9 if others else 0.0), 0.6)
    axes.axvline(value, color="#cccccc", lw=7, zorder=0)
    axes.annotate(
        f"“{told_in_words(v)}”",
        (value, 1.0),
        xycoords=("data", "axes fraction"),
        xytext=(0, 4),
        textcoords="offset points",
        ha="center",
        fontweight="bold",
        fontsize=11,
    )
    for i, rung in enumerate(v.rungs):
        _rung(axes, -float(i), "ABCDEFGH"[i], rung)
    _log_axis(axes, "$", "")
    _others(figure, axes, others, len(v.rungs))
    axes.grid(axis="x", color="#e6e6e6", lw=0.7)
    axes.set_axisbelow(True)


def _rung(axes: Axes, y: float, letter: str, rung: Rung) -> None:
    """One bar: 90 % thin, 50 % thick, a dot for the median, a triangle for it at the owner's cost."""
    colour = ORANGE if rung.grade == "C" else BLUE
    low, mid, high = (float(q) for q in rung.rent)
    axes.plot([low, high], [y, y], color=colour, lw=3, alpha=0.5, solid_capstyle="butt")
    axes.plot(rung.middle or (low, high), [y, y], color=colour, lw=11, solid_capstyle="butt")
    axes.plot([mid], [y], "o", color="white", ms=6, zorder=4)
    axes.annotate(
        money(mid, 2), (high, y), xytext=(7, 0), textcoords="offset points", va="center", color=colour, fontweight="bold", fontsize=11.5
    )
    if rung.owner is not None:
        axes.plot([float(rung.owner)], [y - 0.32], "^", mfc="none", mec=colour, ms=7)
    beside = axes.get_yaxis_transform()
    axes.text(-0.50, y + 0.10, f"{letter}  {rung.label}", transform=beside, fontsize=11.5, va="center")
    axes.text(-0.462, y - 0.26, rung.detail, transform=beside, fontsize=8.8, color=GREY, va="center")


def _others(figure: Figure, axes: Axes, others: Sequence[Verdict], rungs: int) -> None:
    """Figures that answer other questions: crosses below the ladder, each label on the first free line, led to by a thread."""
    if not others:
        return
    axes.axhline(-rungs + 0.35, color="#999999", lw=1, ls=":")
    where = axes.get_yaxis_transform()
    axes.text(-0.50, -rungs - 0.15, "other questions", transform=where, fontsize=11.5, color=GREY, style="italic", va="center")
    taken: list[Any] = []
    for other in sorted(others, key=lambda b: b.claim.in_base()):
        value, y = other.claim.in_base(), -rungs + 0.1
        axes.plot([value], [y], "x", color=GREY, ms=8, mew=1.6)
        label = f"{FLOORS[other.claim.bound]}“{money(value)}”\n{SHORT.get(other.claim.quantity, other.claim.subject)}"

        def write(line: int, text: str = label, x: float = value, y: float = y) -> Any:
            style: dict[str, Any] = {"fontsize": 8.8, "color": GREY, "ha": "center", "va": "top", "linespacing": 1.15}
            return axes.text(x, y - 0.22 - 0.62 * line, text, bbox={"facecolor": "white", "lw": 0, "pad": 0.5}, **style)

        drawn = free(figure, axes, taken, [partial(write, line) for line in range(3)])
        taken.append(box(figure, drawn))
        axes.plot([value, value], [y - 0.12, drawn.get_position()[1]], color=GREY, lw=0.7)


FLOORS = {"": "", "at least": "≥ ", "at most": "≤ "}
"""What is written before a figure that was stated as a floor or a ceiling."""
SHORT = {
    "cost": "another model",
    "fleet.capex": "fleet, bought",
    "fleet.operating": "fleet, operated for life",
    "investment": "hardware",
}
"""What a figure beside the ladder is, in two words."""


def _log_axis(axes: Axes, before: str, after: str) -> Any:
    """Marks at round numbers, as many as a reader can take in; gives the unit written at its end."""
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    marks = next(m for m in MARKS if sum(low <= t <= high for t in _ticks(m, low, high)) <= 6 or m == MARKS[-1])
    ticks = [t for t in _ticks(marks, low, high) if low <= t <= high]
    axes.set_xticks(ticks, [before + human(t, 2 if t / 10 ** np.floor(np.log10(t)) % 1 else 1) for t in ticks], fontsize=10)
    axes.minorticks_off()
    axes.set_yticks([])
    style: dict[str, Any] = {"textcoords": "offset points", "ha": "right", "fontsize": 9, "color": GREY}
    return axes.annotate(after, (1.0, 0.0), xycoords="axes fraction", xytext=(0, 5), **style)


MARKS: tuple[tuple[float, ...], ...] = ((1, 1.5, 2, 3, 5, 7), (1, 2, 3, 5), (1, 2, 5), (1, 3), (1,))
"""Digits that marks of a logarithmic axis may begin with, the finest first."""


def _ticks(marks: Sequence[float], low: float, high: float) -> list[float]:
    decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    return [float(m) * 10.0**e for e in decades for m in marks]


def _label(figure: Figure, axes: Axes, head: str, text: str, above: float = 0.0) -> None:
    box = axes.get_position()
    figure.text(0.02, box.y1 + above, head, fontsize=12.5, fontweight="bold", va="top")
    figure.text(0.045, box.y0 + 0.3 * (box.y1 - box.y0), text, fontsize=9.5, color=GREY, va="top")


def _legend(figure: Figure, v: Verdict, y: float) -> None:
    """What the colours and marks of the ladder mean."""
    grades = {r.grade for r in v.rungs}
    marks = [(BLUE, "s", "market data, others' figures")] if grades - {"C"} else []
    marks += [(ORANGE, "s", "depends on judgement")] if "C" in grades else []
    marks += [(GREY, "^", "median at owner's cost, not rented")] if any(r.owner is not None for r in v.rungs) else []
    x = 0.03
    for colour, marker, text in marks:
        figure.add_artist(_marker(x, y, marker, colour))
        drawn = figure.text(x + 0.014, y, text, fontsize=10, va="center")
        x = box(figure, drawn).x1 / figure.bbox.width + 0.05


def _foot(figure: Figure, v: Verdict) -> None:
    """How to read the bars, what depends on judgement, and the days behind it."""
    height = figure.get_figheight()
    bars = ["Bars: 90 % and 50 % intervals, dot: median"] if v.rungs else []
    if any(r.grade == "C" for r in v.rungs):
        bars.append("Orange intervals depend on judgement: nobody disclosed what they add")
    figure.text(0.02, 0.34 / height, ". ".join(bars), fontsize=MINUTE, color=GREY, va="center")
    dates = f"figures public by {v.clock.known}" if v.clock is not None else ""
    source = v.claim.source.partition(";")[0].partition(" (")[0]
    signed = ". ".join(filter(None, [f"Claim: {source}" if source else "", f"trainsim, {dates}"]))
    figure.text(0.02, 0.16 / height, signed, fontsize=MINUTE, color=GREY, va="center")


def _marker(x: float, y: float, marker: str, colour: str) -> Any:
    from matplotlib.lines import Line2D

    return Line2D([x], [y], marker=marker, color=colour, mfc="none" if marker == "^" else colour, ms=8, lw=0)
