"""``ts.draw``: draw an answer as a picture, and save the picture."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from ..core.errors import EstimateError, SpecError
from ..core.registry import members
from ..core.version import __version__
from .picture import ACROSS, Canvas, Picture
from .style import LEADING, MARGIN, POINTS, SMALL, TEXT, TITLE, WIDE, Theme, cut, drawing_library, lines_of, styled, theme_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 200
"""Resolution of a PNG [dot/inch], twice that of a screen."""
SOURCE_LINES = 2
"""Largest number of lines of printed sources; the file's metadata holds all of them."""


@dataclass(frozen=True)
class Drawing:
    """A drawn picture.

    Args:
        title, alt: the finding in one sentence, and a description for screen readers.
        sources: sources of the figures.
        command: command that draws the picture.
        theme: colours of the picture.
        figure: the matplotlib figure, which can be drawn on.
        dpi: resolution of a PNG [dot/inch].
    """

    title: str
    alt: str
    sources: tuple[str, ...]
    command: str
    theme: Theme
    figure: Figure = field(repr=False)
    dpi: int = DPI

    def save(self, path: str | Path) -> Path:
        """Write the picture; the suffix chooses the format (PNG, SVG, PDF).

        Returns:
            the path written.

        Raises:
            SpecError: another suffix.
        """
        file = Path(path)
        suffix = file.suffix.lower()
        if suffix == ".svg":
            file.write_text(self.svg, encoding="utf-8")
        elif suffix == ".png":
            file.write_bytes(self.png)
        elif suffix != ".pdf":
            raise SpecError("path", str(path), "does not end in a picture format", "end it in .png, .svg or .pdf", "unsupported")
        else:
            with styled(self.theme):
                self.figure.savefig(file)
        return file

    @cached_property
    def png(self) -> bytes:
        """The picture as a PNG with its title, description, source and command in the metadata."""
        facts = {"Title": self.title, "Description": self.alt, "Source": "; ".join(self.sources), "Comment": self.command}
        return self._written(format="png", dpi=self.dpi, metadata={"Software": f"trainsim {__version__}", **facts})

    @cached_property
    def svg(self) -> str:
        """The picture as an SVG: an image with title and description for screen readers, and sources and command in the metadata."""
        facts: dict[str, Any] = {"Title": self.title, "Description": self.alt, "Source": "; ".join(self.sources), "Date": None}
        facts |= {"Creator": f"trainsim {__version__}", "Relation": self.command}
        text = self._written(format="svg", metadata=facts).decode()
        words = f"<title>{escape(self.title)}</title>\n <desc>{escape(self.alt)}</desc>"
        head, rest = text[text.index("<svg") :].split(">", 1)
        return f'<?xml version="1.0" encoding="utf-8"?>\n{head} role="img" aria-label="{escape(self.title)}">\n {words}{rest}'

    def _written(self, **options: Any) -> bytes:
        kept = io.BytesIO()
        with styled(self.theme):
            self.figure.savefig(kept, **options)
        return kept.getvalue()

    def _repr_png_(self) -> bytes:
        """PNG for notebooks."""
        return self.png


@overload
def draw(answer: Any, path: None = None, *, theme: str = "light", command: str = "", **options: Any) -> Drawing: ...
@overload
def draw(answer: Any, path: str | Path, *, theme: str = "light", command: str = "", **options: Any) -> Path: ...
def draw(answer: Any, path: str | Path | None = None, *, theme: str = "light", command: str = "", **options: Any) -> Drawing | Path:
    """Draw an answer as a self-explanatory picture.

    Args:
        answer: an estimate, a ledger, a simulation, a verdict, a comparison, a search … ; see :func:`drawable`.
        path: file to write; the suffix chooses the format (PNG, SVG, PDF). None writes no file.
        theme: ``"light"`` or ``"dark"``.
        command: command for the footer; by default the picture's own.
        **options: options of the kind of picture: ``of``, the quantity or ledger of an estimate or a simulation; ``beside``, further
        verdicts.

    Returns:
        the path written; or, if no file was written, the drawing, which a notebook shows.

    Raises:
        EstimateError: matplotlib is not installed, or the answer has no picture.
        SpecError: no such theme.

    >>> import trainsim as ts
    >>> draw(ts.audit(ts.catalog.claim("deepseek-v3-6m")), "verdict.svg")  # doctest: +SKIP
    PosixPath('verdict.svg')
    """
    made = drawing_of(picture_of(answer, **options), theme_of(theme), command)
    return made if path is None else made.save(path)


def picture_of(answer: Any, **options: Any) -> Picture:
    """The picture of an answer, before it is drawn.

    Raises:
        EstimateError: the answer has no picture, or its picture has no such option.
    """
    found = [cls for cls in members(Picture).values() if cls.draws(answer)]  # type: ignore[attr-defined]
    if not found:
        rule = "has no picture"
        raise EstimateError("answer", type(answer).__name__, rule, f"print it; pictures exist of {', '.join(drawable())}", "unsupported")
    own = [cls for cls in found if not cls.__module__.startswith("trainsim.")]  # a user's picture takes precedence over the library's
    made = (own or found)[0]
    try:
        return made(answer, **options)  # type: ignore[no-any-return]
    except TypeError as error:
        rule = f"is not accepted by {made.__name__} ({error})"
        raise EstimateError("options", sorted(options), rule, "leave out the option that the message names", "unknown-field") from None


def drawable() -> tuple[str, ...]:
    """The kinds of answers that have a picture.

    >>> "Verdict" in drawable()
    True
    """
    return tuple(sorted({cls.__name__ for picture in members(Picture).values() for cls in picture.answers}))  # type: ignore[attr-defined]


def drawing_of(picture: Picture, theme: Theme, command: str = "") -> Drawing:
    """Draw a picture: title, body, note, sources and command.

    Raises:
        EstimateError: matplotlib is not installed.
    """
    drawing_library()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    title = lines_of(picture.title, TITLE, ACROSS, "bold")
    below = lines_of(picture.subtitle, TEXT, ACROSS)
    command = command or picture.command
    sources = tuple(dict.fromkeys(one for several in picture.sources for one in several.split("; ")))
    feet = [*lines_of(picture.note, SMALL, ACROSS), *_sources(sources), *_signed(command)]
    head = MARGIN + _tall(title, TITLE) + _tall(below, TEXT) + 0.12
    foot = 0.12 + _tall(feet, SMALL)
    tall = head + picture.height + foot + MARGIN * 0.7
    with styled(theme):
        figure = Figure(figsize=(WIDE, tall), dpi=DPI / 2, facecolor=theme.paper)
        FigureCanvasAgg(figure)
        canvas = Canvas(figure, theme, head)
        _lines(canvas, title, MARGIN - head, TITLE, weight="bold")
        _lines(canvas, below, MARGIN - head + _tall(title, TITLE), TEXT, color=theme.muted)
        picture.paint(canvas)
        _lines(canvas, feet, picture.height + 0.12, SMALL, color=theme.muted)
    return Drawing(picture.title, picture.alt, sources, command, theme, figure)


def _tall(lines: Iterable[str], size: float) -> float:
    """Height of lines [inch]."""
    return len(tuple(lines)) * size * LEADING / POINTS


def _lines(canvas: Canvas, lines: Iterable[str], y: float, size: float, **style: Any) -> None:
    for i, line in enumerate(lines):
        canvas.text(0.0, y + (i + 0.5) * size * LEADING / POINTS, line, size=size, **style)


def _sources(sources: tuple[str, ...]) -> list[str]:
    """As many sources of the figures as fit, and the number of others."""
    for shown in range(len(sources), 0, -1):
        more = f"; {len(sources) - shown} more in the file's metadata" if shown < len(sources) else ""
        lines = lines_of(f"Sources: {'; '.join(sources[:shown])}{more}", SMALL, ACROSS)
        if len(lines) <= SOURCE_LINES:
            return lines
    return [cut(f"Sources: {'; '.join(sources)}", SMALL, ACROSS)] if sources else []


def _signed(command: str) -> list[str]:
    """Name and version of the library, and the command."""
    return [cut(" · ".join(filter(None, (f"trainsim {__version__}", command))), SMALL, ACROSS)]
