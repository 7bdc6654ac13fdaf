"""The picture of a verdict: could the run take so few hours, and what does the figure leave out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..catalog.rows import find
from ..claims.screen import money, ordinal, stated_run, title_of
from ..claims.verdict import Verdict
from ..claims.words import main_phase
from ..errors import EstimateError
from ..units import SECONDS_PER_HOUR, human

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BLUE, ORANGE, GREEN, GREY = "#0072b2", "#d55e00", "#009e73", "#666666"
"""Okabe and Ito's palette: told apart by every reader."""


def draw(verdict: Verdict, path: str | Path, beside: Sequence[Verdict] = ()) -> Path:
    """Draw a verdict as a picture that needs no text beside it.

    Args:
        verdict: what an audit of a run found.
        beside: verdicts on other figures in dollars, drawn below the ladder because they answer other questions.
        path: where to write; the suffix chooses the format (PNG, SVG, PDF).

    Returns:
        the path written.

    Raises:
        EstimateError: matplotlib is not installed.
        ClaimError: the verdict is not about a run: print it, or give it as ``beside``.
    """
    run, _, _ = stated_run(verdict)
    plt = _pyplot()
    tall = 2.9 + 0.62 * max(1, len(verdict.rungs)) + (1.15 if beside else 0.0)
    figure = plt.figure(figsize=(10, tall + 2.2), dpi=120, facecolor="white")
    try:
        figure.text(0.02, 1 - 0.30 / (tall + 2.2), finding(verdict), fontsize=17, fontweight="bold", va="center")
        told = f"{title_of(run)}: what the claim says, and what “cost” can mean"
        figure.text(0.02, 1 - 0.66 / (tall + 2.2), told, fontsize=12, color=GREY, va="center")
        top = 1 - 1.15 / (tall + 2.2)
        strip = 1.05 / (tall + 2.2)
        _hours(figure, figure.add_axes((0.34, top - strip, 0.63, strip)), verdict)
        if verdict.rungs:
            bottom = 1.35 / (tall + 2.2)
            _ladder(figure, figure.add_axes((0.34, bottom, 0.63, top - strip - 1.0 / (tall + 2.2) - bottom)), verdict, beside)
        _foot(figure, verdict)
        figure.savefig(path)
    finally:
        plt.close(figure)
    return Path(path)


def finding(verdict: Verdict) -> str:
    """The finding in one sentence, computed."""
    figure = money(verdict.claim.in_base())
    scope = verdict.claim.scope or "stated"
    number = {
        "HOLDS": f"{figure} holds as {scope}",
        "STRAINED": f"{figure} is strained even as {scope}",
        "FAILS": f"{figure} fails as {scope}",
        "IMPOSSIBLE": f"{figure} is impossible: the chips can't do the work",
        "CANNOT BE JUDGED": f"{figure} cannot be judged",
    }[verdict.number]
    if verdict.words == "MISLEADING" and verdict.rungs:
        times = float(verdict.rungs[-1].rent[1]) / verdict.claim.in_base()
        more = (
            f", and misleads as the model's cost (×{human(times, 2)})" if len(verdict.rungs) > 2 else ", and misleads as the model's cost"
        )
        return number + more
    return number


def _pyplot() -> Any:
    try:
        import matplotlib as mpl

        mpl.use("Agg")
        import matplotlib.pyplot as plt
    except ImportError:
        raise EstimateError("matplotlib", None, "is not installed", "pip install 'trainsim[plots]'") from None
    plt.rcParams.update({"font.family": "DejaVu Sans", "axes.spines.top": False, "axes.spines.right": False, "axes.spines.left": False})
    return plt


def _hours(figure: Any, axes: Axes, v: Verdict) -> None:
    run, est, _ = stated_run(v)
    told = float(est.phases[main_phase(run)].told_gpu_seconds) / SECONDS_PER_HOUR
    check = v.check("hours")
    _label(
        figure,
        axes,
        "1  Could the run take\n    so few hours?",
        f"{ordinal(check.percentile or 0.0).replace(' pct.', ' percentile')} of what\nothers' runs suggest: {check.word.lower()}",
    )
    if v.blind is not None:
        low, high = (float(v.blind.quantile("hours", q)) for q in (0.02, 0.95))
        edges = np.geomspace(min(low, told) * 0.8, max(high, told) * 1.15, 61)
        # in log hours, as the axis is drawn
        density = np.diff([float(v.blind.cdf("hours", float(e))) for e in edges]) / np.diff(np.log(edges))
        middles = np.sqrt(edges[1:] * edges[:-1])
        axes.fill_between(middles, density, color=BLUE, alpha=0.25, lw=0)
        left = told > float(v.blind.quantile("hours", 0.25))
        beside = told * (0.96 if left else 1.04)
        text = "what others' runs suggest"
        axes.text(beside, density.max() * 0.2, text, color=BLUE, ha="right" if left else "left", va="center", fontsize=10)
        axes.set_xlim(edges[0], edges[-1])
        axes.set_ylim(0, density.max() * 1.5)
    axes.axvline(told, color="black", lw=2)
    axes.annotate(f"stated {human(told)} ", (told, axes.get_ylim()[1] * 0.99), ha="right", va="top", fontweight="bold", fontsize=10.5)
    others = [(row, hours) for row, hours in v.others.items() if not find("runs", row).derived_from]
    for i, (row, hours) in enumerate(sorted(others, key=lambda t: t[1])[:3]):
        axes.plot([hours], [0], marker="s", ms=8, color=GREEN, clip_on=False, zorder=5)
        text = f"{find('runs', row).get('org')}, same model: {human(hours)}"
        at = (hours * 1.25, axes.get_ylim()[1] * (0.72 - 0.16 * i))
        axes.annotate(text, (hours, 0), xytext=at, color=GREEN, fontsize=10, va="center",
                      arrowprops={"arrowstyle": "-", "color": GREEN, "lw": 0.8})  # fmt: skip
    _log_axis(axes, "", " GPU-h")


def _ladder(figure: Any, axes: Axes, v: Verdict, beside: Sequence[Verdict]) -> None:
    value = v.claim.in_base()
    _label(figure, axes, "2  What does it leave out?", "", above=0.05)
    figure.text(0.045, axes.get_position().y1 + 0.012, "each line adds to the one above", fontsize=9.5, color=GREY, va="top")
    axes.axvline(value, color="#cccccc", lw=7, zorder=0)
    axes.annotate(
        f"“{money(value)}”",
        (value, 1.0),
        xycoords=("data", "axes fraction"),
        xytext=(0, 4),
        textcoords="offset points",
        ha="center",
        fontweight="bold",
        fontsize=11,
    )
    for i, rung in enumerate(v.rungs):
        y = -float(i)
        colour = ORANGE if rung.grade == "C" else BLUE
        low, mid, high = (float(q) for q in rung.rent)
        quarter = rung.middle or (low, high)
        axes.plot([low, high], [y, y], color=colour, lw=3, alpha=0.5, solid_capstyle="butt")
        axes.plot(quarter, [y, y], color=colour, lw=11, solid_capstyle="butt")
        axes.plot([mid], [y], "o", color="white", ms=6, zorder=4)
        axes.annotate(
            money(mid, 2), (high, y), xytext=(7, 0), textcoords="offset points", va="center", color=colour, fontweight="bold", fontsize=11.5
        )
        if rung.owner is not None:
            axes.plot([float(rung.owner)], [y - 0.32], "^", mfc="none", mec=colour, ms=7)
        axes.text(-0.50, y + 0.10, f"{'ABCDEFGH'[i]}  {rung.label}", transform=axes.get_yaxis_transform(), fontsize=11.5, va="center")
        axes.text(-0.462, y - 0.26, rung.detail, transform=axes.get_yaxis_transform(), fontsize=8.8, color=GREY, va="center")
    others = [b for b in beside if b.claim.judged_in == "USD" and b.claim.value is not None]
    _others(axes, others, len(v.rungs))
    axes.set_ylim(-len(v.rungs) + 0.45 - (1.9 if others else 0.0), 0.6)
    lows = [float(r.rent[0]) for r in v.rungs] + [value] + [float(r.owner) for r in v.rungs if r.owner is not None]
    highs = [float(r.rent[2]) for r in v.rungs] + [value, *(b.claim.in_base() for b in others)]
    axes.set_xlim(min(lows) * 0.8, max(highs) * 1.55)
    _log_axis(axes, "$", "")
    axes.grid(axis="x", color="#e6e6e6", lw=0.7)
    axes.set_axisbelow(True)


def _others(axes: Axes, others: Sequence[Verdict], rungs: int) -> None:
    """Figures that answer other questions: crosses below the ladder, labels on two lines so that none collide."""
    if not others:
        return
    axes.axhline(-rungs + 0.35, color="#999999", lw=1, ls=":")
    axes.text(
        -0.50,
        -rungs - 0.15,
        "other questions",
        transform=axes.get_yaxis_transform(),
        fontsize=11.5,
        color=GREY,
        style="italic",
        va="center",
    )
    for i, other in enumerate(sorted(others, key=lambda b: b.claim.in_base())):
        value, y = other.claim.in_base(), -rungs + 0.1
        axes.plot([value], [y], "x", color=GREY, ms=8, mew=1.6)
        label = f"“{money(value)}”\n{SHORT.get(other.claim.quantity, other.claim.subject)}"
        axes.annotate(label, (value, y - 0.18 - 0.62 * (i % 2)), fontsize=8.8, color=GREY, ha="center", va="top", linespacing=1.15)


SHORT = {
    "cost": "another model",
    "fleet.capex": "fleet, bought",
    "fleet.operating": "fleet, 4 years' running",
    "investment": "hardware, at least",
}
"""What a figure beside the ladder is, in two words."""


def _log_axis(axes: Axes, before: str, after: str) -> None:
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    marks = (1, 3) if high / low > 50 else (1, 2, 5) if high / low > 8 else (1, 2, 3, 5)
    ticks = [m * 10.0**e for e in range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1) for m in marks]
    ticks = [t for t in ticks if low <= t <= high]
    axes.set_xticks(ticks, [before + human(t, 1) + (after if t == ticks[-1] else "") for t in ticks], fontsize=10)
    axes.minorticks_off()
    axes.set_yticks([])


def _label(figure: Any, axes: Axes, head: str, text: str, above: float = 0.0) -> None:
    box = axes.get_position()
    figure.text(0.02, box.y1 + above, head, fontsize=12.5, fontweight="bold", va="top")
    figure.text(0.045, box.y0 + 0.3 * (box.y1 - box.y0), text, fontsize=9.5, color=GREY, va="top")


def _foot(figure: Any, v: Verdict) -> None:
    from .. import __version__

    height = figure.get_figheight()
    marks = [(BLUE, "s", "priced from market data"), (ORANGE, "s", "judgement"), (GREY, "^", "median at owner's cost, not rented")]
    if not v.rungs:
        marks = []
    for i, (colour, marker, text) in enumerate(m for m in marks if m[0] != ORANGE or any(r.grade == "C" for r in v.rungs)):
        x = 0.03 + 0.27 * i
        figure.add_artist(_marker(x, 0.62 / height, marker, colour))
        figure.text(x + 0.014, 0.62 / height, text, fontsize=10, va="center")
    sim = v.dollars or v.blind
    draws = f"{sim.n:,} points, seed {sim.seed}" if sim is not None else ""
    bars = f"Bars: 90 % and 50 %, dot: median. {draws}. Every row behind it, with source and date: verdict.evidence"
    figure.text(0.02, 0.34 / height, bars, fontsize=8, color=GREY, va="center")
    figure.text(
        0.02, 0.16 / height, f"trainsim {__version__} · audit {v.claim.name or v.claim.quantity}", fontsize=8, color=GREY, va="center"
    )


def _marker(x: float, y: float, marker: str, colour: str) -> Any:
    from matplotlib.lines import Line2D

    return Line2D([x], [y], marker=marker, color=colour, mfc="none" if marker == "^" else colour, ms=8, lw=0)
