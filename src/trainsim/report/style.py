"""Style of all pictures: two themes, the width of a column, and font sizes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from ..core.errors import EstimateError, SpecError, did_you_mean

WIDE, MARGIN = 7.2, 0.22
"""Width of a text column and of its margins [inch], as in documentation, notebooks and articles."""
TITLE, TEXT, SMALL = 13.0, 9.0, 8.0
"""Font sizes of the title, of labels, and of the smallest text [pt]."""
SAFE = 0.98
"""Share of a width that a line may fill, since letters on a screen are slightly wider than their outlines."""
LEADING = 1.36
"""Ratio of line height to font size."""
POINTS = 72.0
"""Points per inch."""


@dataclass(frozen=True)
class Theme:
    """Colours of a picture on light or on dark paper.

    The strong colours are those of Okabe and Ito, which colour-blind readers can distinguish. They are darkened on white and lightened on
    black, to a contrast of at least 4.5 for text and 3 for other marks.

    Args:
        name: ``"light"`` or ``"dark"``.
        paper, ink, muted: colours of background, text, and less important text.
        line, fill: colours of a grid, and of a faint area.
        blue, orange, green, yellow, purple, sky: colours of bars, marks and words.
    """

    name: str
    paper: str
    ink: str
    muted: str
    line: str
    fill: str
    blue: str
    orange: str
    green: str
    yellow: str
    purple: str
    sky: str

    @property
    def series(self) -> tuple[str, ...]:
        """Colours for several series, in order of use."""
        return (self.blue, self.orange, self.green, self.purple, self.yellow, self.sky, self.muted)


THEMES: Mapping[str, Theme] = MappingProxyType(
    {
        "light": Theme(
            name="light", paper="#ffffff", ink="#1b1f24", muted="#57606a", line="#d8dee4", fill="#eef1f4",
            blue="#0072b2", orange="#c04f00", green="#007a59", yellow="#8a6700", purple="#a0457a", sky="#2f7fa8",
        ),
        "dark": Theme(
            name="dark", paper="#14181d", ink="#e8ebee", muted="#a4adb7", line="#333b44", fill="#222931",
            blue="#5ab4e6", orange="#f08a4b", green="#35c49b", yellow="#e3c14d", purple="#de8cb8", sky="#8fd0f0",
        ),
    }
)  # fmt: skip
"""The two themes by name."""


def theme_of(name: str) -> Theme:
    """A theme by its name.

    Raises:
        SpecError: no such theme.

    >>> theme_of("dark").paper
    '#14181d'
    """
    if name not in THEMES:
        raise SpecError("theme", name, "is not a theme", did_you_mean(str(name), THEMES), "unknown-name")
    return THEMES[name]


def drawing_library() -> Any:
    """Import matplotlib, which only pictures need.

    Raises:
        EstimateError: matplotlib is not installed.
    """
    try:
        import matplotlib as mpl
    except ImportError:
        raise EstimateError("matplotlib", None, "is not installed", "pip install 'trainsim[plots]'", "not-installed") from None
    return mpl


@contextmanager
def styled(theme: Theme) -> Iterator[None]:
    """Context manager: draw in a theme, without a lasting change of matplotlib's settings."""
    mpl = drawing_library()
    settings = {
        "font.family": "DejaVu Sans",
        "font.size": TEXT,
        "text.parse_math": False,
        "text.color": theme.ink,
        "axes.facecolor": theme.paper,
        "axes.edgecolor": theme.muted,
        "axes.labelcolor": theme.muted,
        "axes.labelsize": TEXT,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.spines.left": False,
        "axes.axisbelow": True,
        "grid.color": theme.line,
        "grid.linewidth": 0.7,
        "xtick.color": theme.muted,
        "ytick.color": theme.muted,
        "xtick.labelsize": TEXT,
        "ytick.labelsize": TEXT,
        "xtick.labelcolor": theme.muted,
        "ytick.labelcolor": theme.ink,
        "figure.facecolor": theme.paper,
        "savefig.facecolor": theme.paper,
        "svg.hashsalt": "trainsim",
    }
    with mpl.rc_context(settings):
        yield


@lru_cache(maxsize=4096)
def width_of(text: str, size: float, weight: str = "normal") -> float:
    """Width of a line of text [inch]."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(family="DejaVu Sans", size=size, weight=weight)
    return float(text_to_path.get_text_width_height_descent(text, font, ismath=False)[0]) / POINTS


def lines_of(text: str, size: float, across: float, weight: str = "normal") -> list[str]:
    """Wrap a text to a width [inch]; a longer word gets a line of its own."""
    lines: list[str] = []
    for word in text.replace(" %", "\u00a0%").split(" "):
        if lines and width_of(f"{lines[-1]} {word}", size, weight) <= SAFE * across:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def cut(text: str, size: float, across: float, weight: str = "normal") -> str:
    """Shorten a text to a width [inch], with an ellipsis."""
    if width_of(text, size, weight) <= SAFE * across:
        return text
    while text and width_of(f"{text}…", size, weight) > SAFE * across:
        text = text[:-1]
    return f"{text.rstrip()}…"


def mixed(colour: str, other: str, share: float) -> tuple[float, float, float]:
    """A mixture of a colour with a share of another."""
    from matplotlib.colors import to_rgb

    pairs = zip(to_rgb(colour), to_rgb(other), strict=True)
    red, green, blue = ((1.0 - share) * a + share * b for a, b in pairs)
    return red, green, blue


def stacked(names: Sequence[str], theme: Theme) -> dict[str, Any]:
    """A colour for each of several names, in order; further names get lighter colours."""
    colours = theme.series
    return {name: mixed(colours[i % len(colours)], theme.paper, 0.4 * (i // len(colours))) for i, name in enumerate(names)}
