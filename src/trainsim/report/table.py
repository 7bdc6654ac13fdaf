"""Table of a picture: the claims of one publication and their verdicts."""

from __future__ import annotations

from collections.abc import Sequence

from ..auditing.sentences import money
from ..auditing.verdict import Verdict
from ..core.units import human
from .picture import Canvas
from .style import SMALL, TEXT, Theme, lines_of

COLOURS = {"CONFIRMED": "green", "FAIR": "green", "STRAINED": "yellow", "REFUTED": "orange", "IMPOSSIBLE": "orange", "MISLEADING": "orange"}
"""Word → its colour in a theme; other words are muted. The word itself is always written out."""
COLUMNS = (0.0, 0.68, 4.63, 5.8)
"""Left edges of the columns: figure, statement, word for the number, word for the words [inch]."""
HEADING, GAP, LINE = 0.62, 0.12, 0.155
"""Heights of the heading, of the gap below each claim, and of a line [inch]."""


def tall(told: Sequence[Verdict]) -> float:
    """Height of the table [inch]; 0 without claims."""
    return HEADING + sum(_row(verdict) for verdict in told) if told else 0.0


def table(canvas: Canvas, told: Sequence[Verdict], number: int, top: float) -> None:
    """Draw the table: each claim with the verdicts on its number and on its words.

    Args:
        canvas: the canvas to draw on.
        told: the verdicts, in order.
        number: number of the heading.
        top: upper edge of the table [inch].
    """
    theme = canvas.theme
    canvas.text(0.0, top + 0.3, f"{number}  What became of all {len(told)} claims?", size=TEXT + 1.5, weight="bold")
    for x, head in zip(COLUMNS[2:], ("the number", "its words"), strict=True):
        canvas.text(x, top + 0.3, head, color=theme.muted)
    y = top + HEADING
    for verdict in told:
        canvas.text(COLUMNS[0], y, said(verdict), size=TEXT, weight="bold")
        at = y
        for text, colour, size in zip(_texts(verdict), (theme.ink, theme.muted), (TEXT, SMALL), strict=True):
            for line in text:
                canvas.text(COLUMNS[1], at, line, color=colour, size=size)
                at += LINE
        for x, word in zip(COLUMNS[2:], (verdict.number, verdict.words), strict=True):
            shown = word.replace("CANNOT BE JUDGED", "can't be judged").replace("NOT UNDERSTOOD", "unclear")
            canvas.text(x, y, shown, size=SMALL, weight="bold", color=colour_of(word, theme))
        y += _row(verdict)


def colour_of(word: str, theme: Theme) -> str:
    """The colour of a verdict's word in a theme."""
    return str(getattr(theme, COLOURS.get(word, "muted")))


def _texts(verdict: Verdict) -> tuple[list[str], list[str]]:
    """The statement and the reason of its verdict, each wrapped into lines."""
    across = COLUMNS[2] - COLUMNS[1] - 0.15
    return lines_of(verdict.claim.statement or verdict.claim.quantity, TEXT, across), lines_of(because(verdict), SMALL, across)


def _row(verdict: Verdict) -> float:
    return GAP + LINE * sum(map(len, _texts(verdict)))


def said(verdict: Verdict) -> str:
    """The claimed figure in words; a dash if the claim has none."""
    claim = verdict.claim
    if not claim.quantified:
        return "—"
    value = claim.in_base()
    return money(value) if claim.base_unit.startswith("USD") else f"{value:,.0f}" if value == round(value) else human(value)


def because(verdict: Verdict) -> str:
    """Reason of the verdict: the faithful sentence, or the nearest source."""
    claim = verdict.claim
    if verdict.number == "CANNOT BE JUDGED" and claim.primary is not None:
        return f"primary source: {claim.primary.statement}"
    return verdict.quote if claim.quantified else verdict.checks[0].finding
