"""Sensitivity: shares of inputs in the variance, and a tornado of swings."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from ...uncertainty.analysis.influence import Swing, Tornado
from ...uncertainty.analysis.sensitivity import Sensitivity
from ..picture import ACROSS, Canvas, Picture
from ..style import SMALL, TEXT, cut
from ..words import QUANTITIES, amount, input_words, share_words

ROW, LEFT, RIGHT, AXIS = 0.3, 2.0, 1.3, 0.3
"""Heights of a line and of the axis; widths of inputs and of figures [inch]."""
SHOWN = 12
"""Largest number of inputs drawn."""


class SensitivityPicture(Picture):
    """Shares of the variance of a quantity, by input."""

    answers = (Sensitivity,)

    @cached_property
    def shares(self) -> list[tuple[str, Any]]:
        """Input → its share, the largest first."""
        shown = self.answer.shapley or self.answer.total
        return sorted(shown.items(), key=lambda item: -item[1])[:SHOWN]

    @property
    def title(self) -> str:
        """Title: the input with the largest share."""
        path, share = self.shares[0]
        name = QUANTITIES.get(self.answer.of, (self.answer.of.replace("_", " "), ""))[0]
        second = f", {input_words(self.shares[1][0])} {share_words(self.shares[1][1])}" if len(self.shares) > 1 else ""
        words = input_words(path)
        return f"{words[:1].upper()}{words[1:]} explains {share_words(share)} of the variance of {name}{second}"

    @property
    def subtitle(self) -> str:
        """Subtitle: the meaning of a share."""
        what = "shares that sum to all of it (Shapley effects)" if self.answer.shapley else "the part left if all other inputs are known"
        return f"Share of the variance: {what}"

    @property
    def alt(self) -> str:
        """Alternative text: every share."""
        told = ", ".join(f"{input_words(path)} {share_words(share)}" for path, share in self.shares)
        return f"Bars of the share of the variance by input: {told}."

    @property
    def note(self) -> str:
        """Note: the meaning of mark and whisker."""
        return "Dot: the part removed if this input alone becomes known. Whisker: two standard errors."

    @property
    def height(self) -> float:
        """Height of all lines [inch]."""
        return ROW * len(self.shares) + AXIS

    def paint(self, canvas: Canvas) -> None:
        """Draw one bar per input."""
        theme, n = canvas.theme, len(self.shares)
        axes = canvas.axes(LEFT, 0.0, ACROSS - LEFT - RIGHT, ROW * n)
        axes.set_ylim(n - 0.5, -0.5)
        axes.set_xlim(0, max(1.0, max(float(share) for _, share in self.shares) * 1.02))
        for i, (path, share) in enumerate(self.shares):
            axes.barh(i, float(share), height=0.6, color=theme.blue)
            error = 2 * share.standard_error
            if error > 0:
                canvas.text(ACROSS, ROW * (i + 0.5), f"± {share_words(error / 2)}", size=SMALL, color=theme.muted, ha="right")
            axes.plot([max(float(share) - error, 0.0), float(share) + error], [i, i], color=theme.ink, lw=1.2)
            axes.plot([max(float(self.answer.first[path]), 0.0)], [i], "o", color=theme.paper, mec=theme.ink, ms=5)
            canvas.text(0.0, ROW * (i + 0.5), cut(input_words(path), TEXT, LEFT - 0.1))
            canvas.text(ACROSS - RIGHT + 0.1, ROW * (i + 0.5), share_words(share), weight="bold")
        axes.set_yticks([])
        axes.set_xticks([0, 0.25, 0.5, 0.75, 1.0], ["0", "25 %", "50 %", "75 %", "100 %"])
        axes.grid(axis="x")


class TornadoPicture(Picture):
    """Change of a quantity by each input alone.

    Args:
        answer: the swings.
    """

    answers = (Tornado,)

    def __init__(self, answer: Tornado) -> None:
        super().__init__(answer)
        self.name, self.unit = QUANTITIES.get(answer.of, (answer.of.replace("_", " "), answer.unit))

    @cached_property
    def swings(self) -> tuple[Swing, ...]:
        """The largest first."""
        return tuple(self.answer)[:SHOWN]

    @cached_property
    def middle(self) -> float:
        """The quantity with every input at its median, approximated from the swings."""
        lows, highs = [min(s.low, s.high) for s in self.swings], [max(s.low, s.high) for s in self.swings]
        return (max(lows) + min(highs)) / 2

    @property
    def title(self) -> str:
        """Title: the largest swing."""
        first = self.swings[0]
        low, high = sorted((first.low, first.high))
        words = input_words(first.path)
        return f"{words[:1].upper()}{words[1:]} alone moves {self.name} from {amount(low, self.unit)} to {amount(high, self.unit)}"

    @property
    def subtitle(self) -> str:
        """Subtitle: the inputs that change, and those that stay."""
        return f"{self.name[:1].upper()}{self.name[1:]} as one input goes from its P5 to its P95, the others at their medians"

    @property
    def alt(self) -> str:
        """Alternative text: every swing."""
        told = ", ".join(f"{input_words(s.path)} {amount(s.low, self.unit)} to {amount(s.high, self.unit)}" for s in self.swings)
        return f"Tornado of swings: {told}."

    @property
    def height(self) -> float:
        """Height of all lines and the legend [inch]."""
        return ROW * len(self.swings) + AXIS + 0.28

    def paint(self, canvas: Canvas) -> None:
        """Draw one bar per input, with its ends in two colours."""
        theme, n = canvas.theme, len(self.swings)
        axes = canvas.axes(LEFT + 0.65, 0.0, ACROSS - LEFT - 1.3, ROW * n)
        axes.set_ylim(n - 0.5, -0.5)
        ends = [end for s in self.swings for end in (s.low, s.high)]
        spare = 0.02 * (max(ends) - min(ends))
        axes.set_xlim(min(ends) - spare, max(ends) + spare)
        for i, swing in enumerate(self.swings):
            for end, colour, word in ((swing.low, theme.sky, "low"), (swing.high, theme.orange, "high")):
                axes.barh(i, end - self.middle, left=self.middle, height=0.6, color=colour)
                side = -1 if end < self.middle or (end == self.middle and word == "low") else 1
                style: dict[str, Any] = {"textcoords": "offset points", "va": "center", "ha": "right" if side < 0 else "left"}
                axes.annotate(amount(end, self.unit), (end, i), xytext=(4 * side, 0), fontsize=SMALL, color=theme.ink, **style)
            canvas.text(0.0, ROW * (i + 0.5), cut(input_words(swing.path), TEXT, LEFT - 0.1))
        axes.axvline(self.middle, color=theme.ink, lw=1.2)
        axes.set_yticks([])
        axes.set_xticks([])
        axes.spines["bottom"].set_visible(False)
        canvas.legend(self.height - 0.15, [("s", theme.sky, "input at its P5"), ("s", theme.orange, "input at its P95")], LEFT)
