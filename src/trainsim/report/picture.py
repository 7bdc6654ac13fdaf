"""Picture: the interface of all pictures, and the canvas on which they are drawn."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from .style import MARGIN, TEXT, WIDE, Theme

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ACROSS = WIDE - 2 * MARGIN
"""Width of a picture's body [inch]."""


class Canvas:
    """The body of a picture; positions are in inches from its upper left corner.

    Args:
        figure: the matplotlib figure.
        theme: colours of the picture.
        top: distance from the upper edge of the figure to the body [inch].
    """

    def __init__(self, figure: Figure, theme: Theme, top: float) -> None:
        self.figure, self.theme, self.top = figure, theme, top

    def place(self, x: float, y: float) -> tuple[float, float]:
        """A position in the body as a fraction of the figure."""
        tall = float(self.figure.get_figheight())
        return (MARGIN + x) / WIDE, 1.0 - (self.top + y) / tall

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        """Axes in a rectangle of the body."""
        x, y = self.place(left, top + height)
        return self.figure.add_axes((x, y, width / WIDE, height / float(self.figure.get_figheight())))

    def text(self, x: float, y: float, words: str, *, size: float = TEXT, **style: Any) -> Any:
        """Write text at a position of the body, vertically centred."""
        style = {"va": "center", "color": self.theme.ink, **style}
        return self.figure.text(*self.place(x, y), words, fontsize=size, **style)

    def mark(self, x: float, y: float, marker: str, colour: Any, **style: Any) -> None:
        """Draw a mark of a legend."""
        from matplotlib.lines import Line2D

        left, high = self.place(x, y)
        self.figure.add_artist(Line2D([left], [high], marker=marker, color=colour, **{"markersize": 7.5, "lw": 0, **style}))

    def legend(self, y: float, entries: Iterable[tuple[str, Any, str]], x: float = 0.0, hollow: str = "") -> float:
        """Draw a legend in rows, wrapped at the width of the body; returns the height of the last row.

        Args:
            y: height of the first line.
            entries: marker, colour and text of each entry.
            x: left edge of each line.
            hollow: markers that are drawn as outlines.
        """
        from .style import width_of

        at = x
        for marker, colour, words in entries:
            wide = 0.2 + width_of(words, TEXT)
            if at > x and at + wide > ACROSS:
                at, y = x, y + 0.2
            self.mark(at + 0.07, y, marker, colour, **({"mfc": "none"} if marker in hollow else {}))
            self.text(at + 0.19, y, words)
            at += wide + 0.22
        return y

    def box(self, drawn: Any) -> Any:
        """Bounding box of a text [pixel]."""
        return drawn.get_window_extent(self.figure.canvas.get_renderer())  # type: ignore[attr-defined]

    def free(self, axes: Axes, taken: Sequence[Any], tries: Iterable[Callable[[], Any]]) -> Any:
        """Draw a label at the first of several positions where it stays within the axes and overlaps nothing."""
        drawn = None
        for write in tries:
            if drawn is not None:
                drawn.remove()
            drawn = write()
            here = self.box(drawn)
            inside = here.x0 >= axes.bbox.x0 - 2 and here.x1 <= self.figure.bbox.width - 2
            if inside and not any(here.padded(CLEAR, 0.0).overlaps(other) for other in taken):
                break
        return drawn


CLEAR = 5.0
"""Smallest distance between two labels [pixel]."""


class Picture(ABC):
    """A picture of one kind of answer. To add one, define a subclass in ``report/pictures`` or in a module of your own.

    Args:
        answer: the answer to draw.
    """

    answers: ClassVar[tuple[type, ...]] = ()
    """Classes of answers that the picture draws."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    @classmethod
    def draws(cls, answer: object) -> bool:
        """Whether the picture can draw an answer."""
        return isinstance(answer, cls.answers)

    @property
    @abstractmethod
    def title(self) -> str:
        """Title: the finding in one sentence, computed from the answer."""

    @property
    def subtitle(self) -> str:
        """Subtitle: the quantity shown and its subject; may be empty."""
        return ""

    @property
    @abstractmethod
    def alt(self) -> str:
        """Alternative text, in addition to the title."""

    @property
    @abstractmethod
    def height(self) -> float:
        """Height of the body [inch]."""

    @abstractmethod
    def paint(self, canvas: Canvas) -> None:
        """Draw the body."""

    @property
    def note(self) -> str:
        """Note on how to read the picture; may be empty."""
        return ""

    @property
    def sources(self) -> tuple[str, ...]:
        """Sources of the picture's figures."""
        return ()

    @property
    def command(self) -> str:
        """Command that draws the picture; may be empty."""
        return ""
