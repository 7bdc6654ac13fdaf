"""Every picture: it is drawn in both themes, has the finding as title and an alternative text, and no text overlaps or is cut."""

from __future__ import annotations

import struct
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any, ClassVar
from xml.etree import ElementTree as ET

import pytest

import trainsim as ts
from trainsim.core.errors import EstimateError, SpecError
from trainsim.core.registry import members
from trainsim.report.draw import Drawing, draw, drawable, picture_of
from trainsim.report.picture import Canvas, Picture
from trainsim.report.style import SMALL, THEMES, WIDE, Theme
from trainsim.testing import refused

from .samples import SAMPLES, answer, options

pytest.importorskip("matplotlib")
CODE = ("verdict.", "_hours", "usd_per", "None", "nan", "<function")


@cache
def drawn(name: str, theme: str = "light") -> Drawing:
    made: Drawing = draw(answer(name), theme=theme, **options(name))
    return made


def texts(figure: Any) -> list[tuple[str, Any]]:
    """Every text of the picture with its position [pixel]."""
    from matplotlib.text import Text

    renderer = figure.canvas.get_renderer()
    return [(t.get_text(), t.get_window_extent(renderer)) for t in figure.findobj(Text) if t.get_text().strip() and t.get_visible()]


@cache
def boxes(name: str) -> list[tuple[str, Any]]:
    figure = drawn(name).figure
    figure.canvas.draw()
    return texts(figure)


def test_every_picture_has_a_sample() -> None:
    shipped = {kind for kind in members(Picture).values() if kind.__module__.startswith("trainsim.")}
    assert {type(picture_of(answer(name), **options(name))) for name in SAMPLES} == shipped


@pytest.mark.parametrize("name", SAMPLES)
def test_one_picture_draws_an_answer(name: str) -> None:
    assert sum(cls.draws(answer(name)) for cls in members(Picture).values()) == 1  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", SAMPLES)
def test_no_text_leaves_the_picture(name: str) -> None:
    whole = drawn(name).figure.bbox
    outside = [words for words, b in boxes(name) if b.x0 < 0 or b.y0 < 0 or b.x1 > whole.x1 or b.y1 > whole.y1]
    assert outside == []


@pytest.mark.parametrize("name", SAMPLES)
def test_no_texts_overlap(name: str) -> None:
    # a box has the height of its line, which is more than that of its letters
    shrunk = [(words, b.padded(-0.5, -0.12 * b.height)) for words, b in boxes(name)]
    assert [(a, b) for (a, x), (b, y) in combinations(shrunk, 2) if x.overlaps(y)] == []


@pytest.mark.parametrize("name", SAMPLES)
def test_text_is_readable_at_the_width_of_a_column(name: str) -> None:
    from matplotlib.text import Text

    figure = drawn(name).figure
    assert figure.get_figwidth() == WIDE
    small = {t.get_text() for t in figure.findobj(Text) if t.get_text().strip() and float(t.get_fontsize()) < SMALL}
    assert all(words.isdigit() for words in small), "numbers of micro-batches alone are smaller"


@pytest.mark.parametrize("name", SAMPLES)
def test_a_picture_has_a_finding_as_title_and_an_alternative_text(name: str) -> None:
    made = drawn(name)
    whole = " ".join(words for words, _ in boxes(name))
    assert made.title.split()[0] in whole
    assert len(made.alt) > 30
    assert made.alt != made.title
    assert [code for code in CODE if code in f"{made.title} {made.alt}"] == []


@pytest.mark.parametrize("theme", THEMES.values(), ids=list(THEMES))
def test_colours_have_enough_contrast(theme: Theme) -> None:
    """WCAG's contrast of letters and marks to the paper."""

    def light(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    def contrast(colour: str) -> float:
        dim, bright = sorted((light(colour), light(theme.paper)))
        return (bright + 0.05) / (dim + 0.05)

    letters = (theme.ink, theme.muted, theme.blue, theme.orange, theme.green, theme.yellow)
    assert [c for c in letters if contrast(c) < 4.5] == []
    assert [c for c in theme.series if contrast(c) < 3.0] == []


def test_dark_paper_is_dark_and_settings_are_left_alone() -> None:
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    made = drawn("a cost", "dark")
    assert made.figure.get_facecolor()[:3] == pytest.approx((0x14 / 255, 0x18 / 255, 0x1D / 255))
    assert dict(mpl.rcParams) == before


def png_words(data: bytes) -> dict[str, str]:
    """Text chunks of a PNG (RFC 2083, section 4.2.3)."""
    found, at = {}, 8
    while at < len(data):
        (size,) = struct.unpack(">I", data[at : at + 4])
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + size]
        if kind == b"tEXt":
            key, value = body.split(b"\0", 1)
            found[key.decode("latin-1")] = value.decode("latin-1")
        elif kind == b"iTXt":
            key, rest = body.split(b"\0", 1)
            found[key.decode("latin-1")] = rest[2:].split(b"\0", 2)[2].decode()
        at += 12 + size
    return found


@pytest.mark.parametrize("name", ["a verdict", "parameters"])
def test_a_png_has_its_sources_and_command(name: str) -> None:
    made = drawn(name)
    words = png_words(made.png)
    assert words["Title"] == made.title
    assert words["Description"] == made.alt
    assert words["Source"] == "; ".join(made.sources) != ""
    assert words["Comment"] == made.command != ""
    assert words["Software"].startswith("trainsim ")


def test_an_svg_has_its_sources_and_command_and_is_reproducible() -> None:
    made, again = drawn("a verdict"), draw(answer("a verdict"))
    assert made.svg == again.svg
    root = ET.fromstring(made.svg)  # noqa: S314 - our own
    assert root.attrib["role"] == "img"
    assert root.attrib["aria-label"] == made.title
    named = {child.tag.rpartition("}")[2]: child.text for child in root}
    assert named["title"] == made.title
    assert named["desc"] == made.alt
    assert made.command in made.svg


@pytest.mark.parametrize(("suffix", "head"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_a_file_is_written(suffix: str, head: bytes, tmp_path: Path) -> None:
    assert ts.draw(answer("a step"), tmp_path / f"x.{suffix}").read_bytes().startswith(head)


def test_an_answer_without_a_picture_is_refused() -> None:
    with refused(EstimateError, "unsupported", "answer"):
        ts.draw(ts.read_scope("the final run"))
    with refused(EstimateError, "unsupported", "answer"):
        ts.draw(3.0)


def test_unknown_options_are_refused() -> None:
    with refused(SpecError, "unknown-name", "theme"):
        ts.draw(answer("a cost"), theme="sepia")
    with refused(EstimateError, "unknown-name", "of"):
        ts.draw(answer("a cost"), of="dollars")
    with refused(EstimateError, "unknown-field", "options"):
        ts.draw(answer("a step"), colour="red")


def test_a_users_picture_takes_precedence() -> None:
    class Mine:
        pass

    class MyPicture(Picture):
        """A picture of a user-defined class."""

        answers: ClassVar[tuple[type, ...]] = (Mine,)
        title = "It is mine"
        alt = "A line of words and nothing else, of my own."
        height = 1.0

        def paint(self, canvas: Canvas) -> None:
            canvas.text(0.0, 0.5, "mine")

    try:
        assert "Mine" in drawable()
        assert draw(Mine()).title == "It is mine"
    finally:
        MyPicture.answers = ()
