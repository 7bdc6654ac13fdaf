"""Colours of a picture, and its letters: as large as fits, each clear of all others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, GREY, YELLOW = "#0072b2", "#d55e00", "#009e73", "#666666", "#b8860b"
"""Okabe and Ito's palette, its yellow darkened to be read on white: distinguishable by every reader."""
MINUTE = 8.0
"""The smallest letters [pt]."""
CLEAR = 5.0
"""How far apart two labels are at least [pixel]."""


def fitted(figure: Figure, y: float, text: str, *, size: float, **style: Any) -> None:
    """A line of text from the left edge, as large as fits across."""
    drawn = figure.text(0.02, y, text, fontsize=size, va="center", **style)
    while box(figure, drawn).x1 > 0.985 * figure.bbox.width and size > MINUTE:
        size -= 0.5
        drawn.set_fontsize(size)


def box(figure: Figure, drawn: Any) -> Any:
    """Where a text stands, in pixels."""
    return drawn.get_window_extent(figure.canvas.get_renderer())  # type: ignore[attr-defined]


def free(figure: Figure, axes: Axes, taken: Sequence[Any], tries: Iterable[Callable[[], Any]]) -> Any:
    """The first of several ways to write a label at which it stands clear of what is there already, right of the headings."""
    drawn = None
    for write in tries:
        if drawn is not None:
            drawn.remove()
        drawn = write()
        here = box(figure, drawn)
        inside = here.x0 >= axes.bbox.x0 - 2 and here.x1 <= figure.bbox.width
        if inside and not any(here.padded(CLEAR, 0.0).overlaps(other) for other in taken):
            break
    return drawn


def pixels(axes: Axes, x: float, low: float, high: float, width: float = 4.0) -> Any:
    """An upright line or a mark as a box, in pixels."""
    from matplotlib.transforms import Bbox

    ends = axes.transData.transform([(x, low), (x, high)])
    return Bbox([ends[0] - [width, 0.0], ends[1] + [width, 0.0]])
