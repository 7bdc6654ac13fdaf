"""``verdict.card()``: draw a verdict as a preview image of 1200 by 630 pixels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from ..auditing.sentences import claimed_in_words, money
from ..auditing.verdict import Verdict
from ..core.version import __version__
from .draw import Drawing
from .marks import log_axis, written
from .style import Theme, cut, drawing_library, lines_of, styled, theme_of
from .table import colour_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ACROSS, TALL, EDGE, DPI = 12.0, 6.3, 0.5, 100
"""Width, height and margin of the image [inch], and its resolution [dot/inch]."""
SENTENCE, LARGE, SMALL = (26.0, 22.0, 19.0), 15.0, 12.0
"""Font sizes [pt]: of the sentence, tried in order until it takes at most three lines; of labels; and of the foot."""


@overload
def card(verdict: Verdict, path: None = None, *, theme: str = "light") -> Drawing: ...
@overload
def card(verdict: Verdict, path: str | Path, *, theme: str = "light") -> Path: ...
def card(verdict: Verdict, path: str | Path | None = None, *, theme: str = "light") -> Drawing | Path:
    """Draw a verdict as a preview image for links: headline, both words, ladder, day, and the parts that depend on judgement.

    Args:
        verdict: result of an audit.
        path: file to write; a PNG has 1200 by 630 pixels. None writes no file.
        theme: ``"light"`` or ``"dark"``.

    Returns:
        the path written, or the drawing if no file was written.

    Raises:
        EstimateError: matplotlib is not installed.
        SpecError: no such theme.

    >>> import trainsim as ts
    >>> card(ts.audit(ts.catalog.claim("deepseek-v3-6m")), "card.png")  # doctest: +SKIP
    PosixPath('card.png')
    """
    drawing_library()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    chosen = theme_of(theme)
    with styled(chosen):
        figure = Figure(figsize=(ACROSS, TALL), dpi=DPI, facecolor=chosen.paper)
        FigureCanvasAgg(figure)
        top = _sentence(figure, verdict, chosen)
        if verdict.rungs:
            _ladder(figure, verdict, chosen, top + 0.15)
        else:
            _checks(figure, verdict, chosen, top + 0.35)
        _foot(figure, verdict, chosen)
    rungs = "; ".join(f"{rung.label} {money(rung.rent[1], 2)}" for rung in verdict.rungs)
    alt = f"Card of a verdict. Number: {verdict.number}. Words: {verdict.words}." + (f" Medians: {rungs}." if rungs else "")
    source = verdict.claim.source.partition(";")[0]
    made = Drawing(_said(verdict), alt, tuple(filter(None, [source])), _command(verdict), chosen, figure, dpi=DPI)
    return made if path is None else made.save(path)


def _said(verdict: Verdict) -> str:
    """The faithful sentence, or the headline if the claim has none."""
    return verdict.quote or verdict.headline


def _command(verdict: Verdict) -> str:
    return f"trainsim audit {verdict.claim.name}" if verdict.claim.name else ""


def _text(figure: Figure, x: float, y: float, words: str, size: float, **style: Any) -> None:
    """Draw a text at a position from the upper left corner, vertically centred [inch]."""
    figure.text(x / ACROSS, 1 - y / TALL, words, fontsize=size, **{"va": "center", **style})


def _sentence(figure: Figure, verdict: Verdict, theme: Theme) -> float:
    """Draw the sentence and both words; returns where they end [inch]."""
    fitting = [(size, lines_of(_said(verdict), size, ACROSS - 2 * EDGE, "bold")) for size in SENTENCE]
    size, lines = next(((size, lines) for size, lines in fitting if len(lines) <= 3), fitting[-1])
    y = EDGE + size / 144
    for line in lines[:4]:
        _text(figure, EDGE, y, line, size, weight="bold")
        y += size * 1.3 / 72
    y += 0.08
    x = EDGE
    for name, word in (("number", verdict.number), ("words", verdict.words)):
        _text(figure, x, y, f"{name}: ", LARGE, color=theme.muted)
        _text(figure, x + 0.95, y, word, LARGE, weight="bold", color=colour_of(word, theme))
        x += 4.2
    return float(y + 0.25)


def _ladder(figure: Figure, verdict: Verdict, theme: Theme, top: float) -> None:
    """Draw one bar per rung [USD], with a line at the claimed figure."""
    rungs, value = verdict.rungs, verdict.claim.in_base()
    bottom, left = TALL - 1.15, 4.3
    axes: Axes = figure.add_axes((left / ACROSS, 1 - bottom / TALL, (ACROSS - left - EDGE) / ACROSS, (bottom - top - 0.3) / TALL))
    low = min(*(float(r.rent[0]) for r in rungs), value)
    high = max(*(float(r.rent[2]) for r in rungs), value)
    axes.set_xlim(low * 0.75, high * 1.9)
    axes.set_ylim(len(rungs) - 0.5, -0.5)
    axes.axvline(value, color=theme.line, lw=9, zorder=0)
    style: dict[str, Any] = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points", "ha": "center", "va": "bottom"}
    axes.annotate(f"“{claimed_in_words(verdict)}”", (value, 1.0), xytext=(0, 3), fontsize=LARGE, fontweight="bold", **style)
    each = (bottom - top - 0.3) / len(rungs)
    for i, rung in enumerate(rungs):
        colour = theme.orange if rung.grade == "C" else theme.blue
        first, middle, last = (float(q) for q in rung.rent)
        axes.plot([first, last], [i, i], color=colour, lw=4, alpha=0.55, solid_capstyle="butt")
        axes.plot(rung.middle or (first, last), [i, i], color=colour, lw=15, solid_capstyle="butt")
        axes.plot([middle], [i], "o", color=theme.paper, ms=8, zorder=4)
        words: dict[str, Any] = {"textcoords": "offset points", "va": "center", "color": colour, "fontweight": "bold"}
        axes.annotate(money(middle, 2), (last, i), xytext=(8, 0), fontsize=LARGE, **words)
        _text(figure, EDGE, top + 0.3 + each * (i + 0.5), cut(rung.label, LARGE, left - EDGE - 0.15), LARGE)
    log_axis(axes, lambda usd: f"${written(usd)}")
    axes.tick_params(axis="x", labelsize=SMALL)
    axes.set_yticks([])
    axes.grid(axis="x")


def _checks(figure: Figure, verdict: Verdict, theme: Theme, top: float) -> None:
    """Draw, for a claim without a ladder, its statement and the comparisons made."""
    told = verdict.claim.statement or claimed_in_words(verdict)
    blocks = [(f"The claim: {told}", theme.ink), *((check.finding, theme.muted) for check in verdict.checks)]
    y = top
    for words, colour in blocks:
        lines = lines_of(words, LARGE, ACROSS - 2 * EDGE)[:3]
        if y + 0.3 * len(lines) > TALL - 0.85:
            return
        for line in lines:
            _text(figure, EDGE, y, line, LARGE, color=colour)
            y += 0.29
        y += 0.14


def _foot(figure: Figure, verdict: Verdict, theme: Theme) -> None:
    """Draw the foot: parts that depend on judgement, days of the audit, and the command that prints the verdict."""
    judged = [rung.label.lstrip("+ ") for rung in verdict.rungs if rung.grade == "C"]
    words = ["Bars: 90 % and 50 % intervals."] if verdict.rungs else []
    words += [f"Orange depends on judgement: {', '.join(judged)}."] if judged else []
    day = f"Figures public by {verdict.clock.known}" if verdict.clock is not None else ""
    signed = " · ".join(filter(None, [day, f"trainsim {__version__}", _command(verdict)]))
    for y, line in ((TALL - 0.55, " ".join(words)), (TALL - 0.3, signed)):
        _text(figure, EDGE, y, cut(line, SMALL, ACROSS - 2 * EDGE), SMALL, color=theme.muted)
