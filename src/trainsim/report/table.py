"""The table of a picture: every claim of one publication, and its word."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap
from typing import TYPE_CHECKING

from ..auditing.sentences import money
from ..auditing.verdict import Verdict
from ..core.units import human
from .lettering import GREEN, GREY, MINUTE, ORANGE, YELLOW

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = {"CONFIRMED": GREEN, "FAIR": GREEN, "STRAINED": YELLOW, "REFUTED": ORANGE, "IMPOSSIBLE": ORANGE, "MISLEADING": ORANGE}
"""Word → its colour, grey for the rest; the word itself is always written out."""
COLUMNS = (0.03, 0.125, 0.715, 0.86)
"""Where the figure, the statement, the word for the number and the one for the words begin, of the picture."""
HEADING, GAP = 0.75, 0.14
"""Height of the heading, and the white below each claim [inch]."""
LINES = ((9.5, 0.165, 80), (MINUTE, 0.145, 94))
"""Letters [pt], height of a line [inch] and its length [letters]: of what was said, and of what became of it."""


def tall(told: Sequence[Verdict]) -> float:
    """How tall the table is [inch]; nothing where there is no claim."""
    return HEADING + sum(_row(verdict) for verdict in told) if told else 0.0


def table(figure: Figure, told: Sequence[Verdict], number: int, top: float) -> None:
    """Every claim and what became of it: the number at the scope it has, and the words it was told in.

    Args:
        figure: drawn on.
        told: the verdicts, in order.
        number: of the heading.
        top: middle of the heading, from the bottom of the figure [inch].
    """
    height = figure.get_figheight()
    figure.text(0.02, top / height, f"{number}  What became of all {len(told)} claims?", fontsize=12.5, fontweight="bold", va="center")
    for x, head in zip(COLUMNS[2:], ("the number", "its words"), strict=True):
        figure.text(x, top / height, head, fontsize=9.5, color=GREY, va="center")
    y = top - 0.32
    for verdict in told:
        figure.text(COLUMNS[0], y / height, said(verdict), fontsize=10.5, fontweight="bold", va="top")
        below = y
        for (size, line, _), text, colour in zip(LINES, _texts(verdict), ("black", GREY), strict=True):
            spacing = 72.0 * line / size / 1.164  # matplotlib counts in heights of the font, 1.164 of its size
            figure.text(COLUMNS[1], below / height, "\n".join(text), fontsize=size, color=colour, va="top", linespacing=spacing)
            below -= line * len(text) + 0.01
        for x, word in zip(COLUMNS[2:], (verdict.number, verdict.words), strict=True):
            shown = word.replace("CANNOT BE JUDGED", "can't be judged")
            figure.text(x, y / height, shown, fontsize=9.5, fontweight="bold", color=COLOURS.get(word, GREY), va="top")
        y -= _row(verdict)


def _texts(verdict: Verdict) -> tuple[list[str], list[str]]:
    """What was said and why it came out as it did, each in lines."""
    (_, _, wide), (_, _, small) = LINES
    return wrap(verdict.claim.statement or verdict.claim.quantity, wide), wrap(because(verdict), small)


def _row(verdict: Verdict) -> float:
    return GAP + sum(line * len(text) for (_, line, _), text in zip(LINES, _texts(verdict), strict=True))


def said(verdict: Verdict) -> str:
    """The figure as people say it; a dash where the claim has none."""
    claim = verdict.claim
    if not claim.quantified:
        return "—"
    value = claim.in_base()
    return money(value) if claim.base_unit.startswith("USD") else f"{value:,.0f}" if value == round(value) else human(value)


def because(verdict: Verdict) -> str:
    """Why, in a line: the sentence one may print, or the source nearest to the fact."""
    claim = verdict.claim
    if verdict.number == "CANNOT BE JUDGED" and claim.primary is not None:
        return f"primary source: {claim.primary.statement}"
    return verdict.quote if claim.quantified else verdict.checks[0].finding
