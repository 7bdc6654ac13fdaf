"""A verdict on a run: the plausibility of its hours, and the costs that the figure leaves out."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from ...auditing.scope_ladder import Rung
from ...auditing.sentences import claimed_in_words, money
from ...auditing.verdict import Verdict
from ...core.errors import ClaimError
from ..hours_strip import LEFT, STRIP, finding, strip
from ..marks import log_axis, written
from ..picture import ACROSS, Canvas, Picture
from ..style import SMALL, TEXT, cut, lines_of
from ..table import table, tall

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROW, LETTERS = 0.52, "ABCDEFGH"
"""Height of a rung [inch], and letters of the rungs."""
OTHERS, AXIS, HEAD = 1.4, 0.3, 0.42
"""Heights of the figures beside the ladder, of its axis, and of its heading [inch]."""
FLOORS = {"": "", "at least": "≥ ", "at most": "≤ "}
"""Kind of bound → text before the figure."""
SHORT = {
    "cost": "another model",
    "fleet.capex": "fleet, bought",
    "fleet.operating": "fleet, for life",
    "investment": "hardware",
}
"""Quantity of a figure beside the ladder → a short name."""


class VerdictPicture(Picture):
    """Picture of a verdict on a run.

    Args:
        answer: the verdict.
        beside: verdicts on claims that were published with this one. All are listed with their words; dollars are also drawn below the
            ladder, since they answer other questions.

    Raises:
        ClaimError: the verdict is not about a run: print it, or give it as ``beside``.
    """

    answers = (Verdict,)

    def __init__(self, answer: Verdict, beside: Sequence[Verdict] = ()) -> None:
        super().__init__(answer)
        if answer.view is None:
            remedy = "print the verdict instead"
            raise ClaimError("subject", answer.claim.subject, "is not a run", remedy, "wrong-type")
        self.beside = tuple(beside)

    @cached_property
    def others(self) -> tuple[Verdict, ...]:
        """Verdicts on dollars, drawn beside the ladder."""
        return tuple(b for b in self.beside if b.claim.quantified and b.claim.base_unit == "USD")

    @property
    def listed(self) -> tuple[Verdict, ...]:
        """Claims of the table."""
        return (self.answer, *self.beside) if self.beside else ()

    @cached_property
    def hours(self) -> bool:
        """Whether hours were predicted, in which case there is a strip."""
        return self.answer.blind is not None and self.answer.view.reports_hours

    @cached_property
    def ladder(self) -> float:
        """Height of the ladder with its heading and axis [inch]; 0 if no dollars are judged."""
        rungs = self.answer.rungs
        return HEAD + ROW * len(rungs) + (OTHERS if self.others else 0.0) + AXIS + 0.35 if rungs else 0.0

    @property
    def title(self) -> str:
        """Title: the faithful sentence."""
        return str(self.answer.quote)

    @property
    def subtitle(self) -> str:
        """Subtitle: the claim in its own words."""
        said = f", told as “{self.answer.claim.told_as}”" if self.answer.claim.told_as else ""
        return cut(f"The claim: {claimed_in_words(self.answer)}{said}", TEXT, 2.2 * ACROSS)

    @property
    def alt(self) -> str:
        """Alternative text: the verdict's words, hours, and every rung."""
        v = self.answer
        parts = [f"Verdict on the claim of {claimed_in_words(v)}. Number: {v.number}. Words: {v.words}."]
        if self.hours:
            parts.append(f"Hours: {finding(v.blind)[1]}.")
        rungs = [f"{r.label} {money(r.rent[1], 2)} ({money(r.rent[0], 2)} to {money(r.rent[2], 2)})" for r in v.rungs]
        return " ".join(
            [*parts, *([f"Ladder of what the figure leaves out, medians and 90 % intervals: {'; '.join(rungs)}."] if rungs else [])]
        )

    @property
    def height(self) -> float:
        """Height of strip, ladder and table [inch]."""
        return (STRIP if self.hours else 0.0) + self.ladder + tall(self.listed)

    @property
    def note(self) -> str:
        """Note: how to read the bars, and which parts depend on judgement."""
        rungs = self.answer.rungs
        bars = ["Bars: 90 % and 50 % intervals; dot: median."] if rungs else []
        if any(r.grade == "C" for r in rungs):
            bars.append("Orange intervals depend on judgement, since nothing about these parts is disclosed.")
        clock = self.answer.clock
        return " ".join([*bars, *([f"Figures public by {clock.known}."] if clock is not None else [])])

    @property
    def sources(self) -> tuple[str, ...]:
        """Sources of the claim, and of the inputs that its rungs add."""
        said = self.answer.claim.source.partition(";")[0].partition(" (")[0]
        rest = [source.partition(" (")[0].partition(", in ")[0] for rung in self.answer.rungs for source in rung.inputs.values()]
        return tuple(dict.fromkeys(filter(None, [said, *rest])))

    @property
    def command(self) -> str:
        """Command, if the claim is in the catalogue."""
        return f"trainsim audit {self.answer.claim.name}" if self.answer.claim.name else ""

    def paint(self, canvas: Canvas) -> None:
        """Draw strip, ladder and table, if they exist."""
        number, top = 1, 0.05
        if self.hours:
            strip(canvas, self.answer, number, top)
            number, top = 2, top + STRIP
        if self.answer.rungs:
            self._ladder(canvas, number, top)
            number, top = number + 1, top + self.ladder
        if self.listed:
            table(canvas, self.listed, number, top)

    def _ladder(self, canvas: Canvas, number: int, top: float) -> None:
        v, theme = self.answer, canvas.theme
        canvas.text(0.0, top + 0.1, f"{number}  What does it leave out?", size=TEXT + 1.5, weight="bold")
        canvas.text(0.0, top + 0.31, "each line adds to the one above", color=theme.muted)
        value, rungs = v.claim.in_base(), v.rungs
        across = ACROSS - LEFT - 0.1
        high = self.ladder - HEAD - AXIS - 0.35
        axes = canvas.axes(LEFT, top + HEAD, across, high)
        lows = [float(r.rent[0]) for r in rungs] + [value] + [float(r.owner) for r in rungs if r.owner is not None]
        highs = [float(r.rent[2]) for r in rungs] + [value, *(b.claim.in_base() for b in self.others)]
        room = min(b.claim.in_base() for b in self.others) * 0.5 if self.others else min(lows)  # half a label
        axes.set_xlim(min(*lows, room) * 0.75, max(highs) * 2.2)
        axes.set_ylim(high / ROW - 0.5, -0.5)
        axes.axvline(value, color=theme.line, lw=7, zorder=0)
        style: dict[str, Any] = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points", "ha": "center", "va": "bottom"}
        axes.annotate(f"“{claimed_in_words(v)}”", (value, 1.0), xytext=(0, 4), fontweight="bold", fontsize=TEXT + 1, **style)
        for i, rung in enumerate(rungs):
            self._rung(canvas, axes, float(i), rung, top + HEAD + ROW * (i + 0.5))
        log_axis(axes, lambda usd: f"${written(usd)}")
        axes.set_yticks([])
        axes.grid(axis="x")
        self._beside(canvas, axes, top + HEAD + ROW * (len(rungs) + 0.5))
        canvas.legend(top + self.ladder - 0.13, self._entries(canvas), hollow="^")

    def _rung(self, canvas: Canvas, axes: Axes, y: float, rung: Rung, at: float) -> None:
        """Draw one bar: 90 % thin, 50 % thick, a dot at the median, a triangle at the median of the owner's cost."""
        theme = canvas.theme
        colour = theme.orange if rung.grade == "C" else theme.blue
        low, mid, high = (float(q) for q in rung.rent)
        axes.plot([low, high], [y, y], color=colour, lw=2.6, alpha=0.55, solid_capstyle="butt")
        axes.plot(rung.middle or (low, high), [y, y], color=colour, lw=10, solid_capstyle="butt")
        axes.plot([mid], [y], "o", color=theme.paper, ms=5, zorder=4)
        style: dict[str, Any] = {"textcoords": "offset points", "va": "center", "color": colour, "fontweight": "bold"}
        axes.annotate(money(mid, 2), (high, y), xytext=(6, 0), fontsize=TEXT + 1, **style)
        if rung.owner is not None:
            axes.plot([float(rung.owner)], [y + 0.33], "^", mfc="none", mec=colour, ms=5.5)
        letter = LETTERS[int(y)]
        canvas.text(0.02, at - 0.09, letter, size=TEXT + 0.5, color=theme.muted)
        canvas.text(0.2, at - 0.09, cut(rung.label, TEXT + 0.5, LEFT - 0.3), size=TEXT + 0.5)
        for i, line in enumerate(lines_of(rung.detail, SMALL, LEFT - 0.3)[:2]):
            canvas.text(0.2, at + 0.07 + 0.13 * i, cut(line, SMALL, LEFT - 0.3), size=SMALL, color=theme.muted)

    def _beside(self, canvas: Canvas, axes: Axes, at: float) -> None:
        """Draw figures that answer other questions as crosses below the ladder, each with a line to its label on the first free row."""
        if not self.others:
            return
        theme, rungs = canvas.theme, len(self.answer.rungs)
        axes.axhline(rungs - 0.4, color=theme.muted, lw=1, ls=":")
        canvas.text(0.2, at - 0.02, "other questions", size=TEXT + 0.5, color=theme.muted, style="italic")
        taken: list[Any] = []
        for other in sorted(self.others, key=lambda b: b.claim.in_base()):
            value, y = other.claim.in_base(), rungs - 0.1
            axes.plot([value], [y], "x", color=theme.muted, ms=7, mew=1.6)
            label = f"{FLOORS[other.claim.bound]}“{money(value)}”\n{SHORT.get(other.claim.quantity, other.claim.subject)}"

            def write(line: int, text: str = label, x: float = value, y: float = y) -> Any:
                style: dict[str, Any] = {"fontsize": SMALL, "color": theme.muted, "ha": "center", "va": "top", "linespacing": 1.1}
                return axes.text(x, y + 0.24 + 0.55 * line, text, bbox={"facecolor": theme.paper, "lw": 0, "pad": 0.5}, **style)

            drawn = canvas.free(axes, taken, [partial(write, line) for line in range(3)])
            taken.append(canvas.box(drawn))
            axes.plot([value, value], [y + 0.12, drawn.get_position()[1]], color=theme.muted, lw=0.7)

    def _entries(self, canvas: Canvas) -> list[tuple[str, Any, str]]:
        """Legend of the colours and marks of the ladder."""
        theme, rungs = canvas.theme, self.answer.rungs
        grades = {r.grade for r in rungs}
        found = [("s", theme.blue, "market data, others' figures")] if grades - {"C"} else []
        found += [("s", theme.orange, "depends on judgement")] if "C" in grades else []
        found += [("^", theme.muted, "median at owner's cost")] if any(r.owner is not None for r in rungs) else []
        return found
