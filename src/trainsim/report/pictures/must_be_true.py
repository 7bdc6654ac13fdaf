"""What must be true for a claim to hold: the value that each input alone would need, and its percentile."""

from __future__ import annotations

from functools import cached_property

from ...uncertainty.analysis.inverse import MustBeTrue, SingleInput
from ..picture import ACROSS, Canvas, Picture
from ..style import SMALL, TEXT, cut
from ..words import QUANTITIES, amount, input_words

ROW, LEFT, RIGHT, HEAD, AXIS = 0.34, 2.0, 1.75, 0.3, 0.3
"""Heights of a line, of the heading and of the axis; widths of inputs and of values [inch]."""
SHOWN = 12


class MustBeTruePicture(Picture):
    """The value of each input that alone would make a claim true."""

    answers = (MustBeTrue,)

    @cached_property
    def rows(self) -> tuple[SingleInput, ...]:
        """Inputs, the smallest required change first."""
        return tuple(self.answer.alone[:SHOWN])

    @property
    def title(self) -> str:
        """Title: the probability, and the input that needs the smallest change."""
        found: MustBeTrue = self.answer
        name, unit = QUANTITIES.get(found.of, (found.of.replace("_", " "), ""))
        odds = f"{name[:1].upper()}{name[1:]} {found.side} {amount(found.target, unit)} is {100 * float(found.probability):.2g} % likely"
        first = self.rows[0] if self.rows else None
        if first is None or first.value is None or first.percentile is None:
            return f"{odds}; no input is enough alone"
        return f"{odds}; {input_words(first.path)} of {self._needed(first)} (its P{first.percentile:.0f}) is enough alone"

    @property
    def subtitle(self) -> str:
        """Subtitle: the quantity drawn."""
        return "Percentile of the value that each input alone would need, the others at their medians"

    @property
    def alt(self) -> str:
        """Alternative text: every input's value."""
        told = [
            f"{input_words(row.path)} "
            + ("no value is enough alone" if row.value is None else f"{self._needed(row)}, percentile {row.percentile or 0.0:.0f}")
            for row in self.rows
        ]
        return f"Needed values by input: {'; '.join(told)}."

    @property
    def note(self) -> str:
        """Note: the meaning of the shades, and the likeliest combination."""
        together = self.answer.together
        likeliest = ""
        if together is not None:
            few = list(together.values.items())[:4]
            values = ", ".join(f"{input_words(path)} {amount(value, self.answer.unit_of(path))}" for path, value in few)
            likeliest = f" Likeliest combination: {values}."
        return f"Shaded: P5 to P95 of the belief.{likeliest}"

    def _needed(self, row: SingleInput) -> str:
        return amount(row.value or 0.0, self.answer.unit_of(row.path))

    @property
    def height(self) -> float:
        """Height of all lines and the axis [inch]."""
        return HEAD + ROW * len(self.rows) + AXIS

    def paint(self, canvas: Canvas) -> None:
        """Draw one line per input, with a mark at the required percentile."""
        theme, n = canvas.theme, len(self.rows)
        axes = canvas.axes(LEFT, HEAD, ACROSS - LEFT - RIGHT, ROW * n)
        axes.set_ylim(n - 0.5, -0.5)
        axes.set_xlim(-2, 102)
        axes.axvspan(5, 95, color=theme.fill, lw=0, zorder=0)
        canvas.text(ACROSS, 0.12, "value needed", color=theme.muted, ha="right")
        for i, row in enumerate(self.rows):
            y = HEAD + ROW * (i + 0.5)
            axes.axhline(i, color=theme.line, lw=1, zorder=1)
            canvas.text(0.0, y, cut(input_words(row.path), TEXT, LEFT - 0.1))
            if row.value is None or row.percentile is None:
                canvas.text(ACROSS, y, "none is enough alone", size=SMALL, color=theme.muted, ha="right")
                continue
            usual = 5 <= row.percentile <= 95
            axes.plot([row.percentile], [i], "o", color=theme.green if usual else theme.orange, ms=8, zorder=3)
            canvas.text(ACROSS, y, f"{self._needed(row)}  (P{row.percentile:.0f})", weight="bold", ha="right")
        axes.set_yticks([])
        axes.set_xticks([5, 25, 50, 75, 95], ["P5", "P25", "P50", "P75", "P95"])
