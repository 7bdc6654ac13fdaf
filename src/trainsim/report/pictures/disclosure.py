"""Value of disclosure: the interval of a quantity if some of its inputs were known."""

from __future__ import annotations

from functools import cached_property

from ...uncertainty.analysis.influence import DisclosureValue, DisclosureValues
from ..picture import ACROSS, Canvas, Picture
from ..style import SMALL, TEXT, cut
from ..words import QUANTITIES, input_words, share_words

ROW, LEFT, RIGHT, AXIS = 0.3, 3.0, 1.3, 0.3
"""Heights of a line and of the axis; widths of inputs and of figures [inch]."""
SHOWN = 10
"""Largest number of sets of inputs drawn."""


class DisclosurePicture(Picture):
    """Width of a quantity's 90 % interval if one, two or three inputs were known.

    Args:
        answer: the sets of inputs.
    """

    answers = (DisclosureValues,)

    def __init__(self, answer: DisclosureValues) -> None:
        super().__init__(answer)
        self.name = QUANTITIES.get(answer.of, (answer.of.replace("_", " "), ""))[0]

    @cached_property
    def values(self) -> tuple[DisclosureValue, ...]:
        """The sets that narrow the interval most: all of one input, then of several inputs, up to the largest number drawn."""
        kept = sorted(self.answer, key=lambda v: (len(v.paths) > 1, float(v.width)))[:SHOWN]
        return tuple(sorted(kept, key=lambda v: (len(v.paths), float(v.width))))

    @property
    def title(self) -> str:
        """Title: the single input that narrows the interval most."""
        first = self.values[0]
        return f"The interval of {self.name} would be {share_words(first.value)} narrower if {_words(first)} were known"

    @property
    def subtitle(self) -> str:
        """Subtitle: the quantity of the bars."""
        return f"Expected width of the 90 % interval of {self.name} if these inputs were known, relative to its present width"

    @property
    def alt(self) -> str:
        """Alternative text: every width."""
        return f"Bars of the expected width of the interval: {', '.join(f'{_words(v)} {share_words(v.width)}' for v in self.values)}."

    @property
    def note(self) -> str:
        """Note: the omitted sets of inputs, and the meaning of the figures."""
        more = len(self.answer) - len(self.values)
        return f"± standard error. Shorter is better known.{f' {more} other sets of inputs are not drawn.' if more else ''}"

    @property
    def height(self) -> float:
        """Height of all lines and the axis [inch]."""
        return ROW * len(self.values) + AXIS

    def paint(self, canvas: Canvas) -> None:
        """Draw one bar per set of inputs."""
        theme, n = canvas.theme, len(self.values)
        axes = canvas.axes(LEFT, 0.0, ACROSS - LEFT - RIGHT, ROW * n)
        axes.set_ylim(n - 0.5, -0.5)
        axes.set_xlim(0, max(1.0, *(1.02 * float(v.width) for v in self.values)))
        for i, value in enumerate(self.values):
            y = ROW * (i + 0.5)
            axes.barh(i, float(value.width), height=0.6, color=theme.series[len(value.paths) - 1])
            canvas.text(0.0, y, cut(_words(value), TEXT, LEFT - 0.1))
            canvas.text(ACROSS - RIGHT + 0.1, y, share_words(value.width), weight="bold")
            canvas.text(ACROSS, y, f"± {share_words(value.width.standard_error)}", size=SMALL, color=theme.muted, ha="right")
        axes.set_yticks([])
        axes.set_xticks([0, 0.25, 0.5, 0.75, 1.0], ["0", "25 %", "50 %", "75 %", "100 %"])
        axes.grid(axis="x")


def _words(value: DisclosureValue) -> str:
    return " and ".join(input_words(path) for path in value.paths)
