"""The gallery: the answer and the picture of every example are stored, and the current answer has the same numbers.

After a change that has its reason in CHANGELOG.md: ``python tests/test_gallery.py`` runs every example and rewrites both; check the
difference before you commit it. The page itself is made when the site is built (docs/hooks/pages.py).
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import runpy
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from trainsim.core.errors import TrainsimError
from trainsim.report.draw import Drawing, draw

ROOT = Path(__file__).parents[1]
KEPT = ROOT / "docs" / "gallery"
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
THEMES = {"light": ".svg", "dark": ".dark.svg"}
"""Theme → how its picture's file ends."""
NUMBER = re.compile(r"-?\d[\d,]*\.?\d*(?:e[+-]?\d+)?")


def printed(path: Path, folder: Path) -> tuple[str, dict[str, Any]]:
    """Output of an example, and its variables; its files are written to a folder."""
    said, before, arguments = io.StringIO(), Path.cwd(), sys.argv
    sys.argv = [str(path)]  # an example may read a file named in its arguments
    os.chdir(folder)
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(io.StringIO()):
            names = runpy.run_path(str(path), run_name="__main__")
    finally:
        os.chdir(before)
        sys.argv = arguments
    return said.getvalue(), names


def picture(names: dict[str, Any], theme: str) -> Drawing | None:
    """The picture of the last variable of an example that has one."""
    for thing in reversed(list(names.values())):
        with contextlib.suppress(TrainsimError):
            return draw(thing, theme=theme)
    return None


def numbers(text: str) -> list[float]:
    return [float(found.replace(",", "")) for found in NUMBER.findall(text)]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_every_example_has_its_answer_in_the_gallery(path: Path) -> None:
    assert (KEPT / f"{path.stem}.txt").read_text(encoding="utf-8").strip()


def test_every_picture_is_kept_on_light_and_on_dark() -> None:
    names = {theme: {path.name.removesuffix(end) for path in KEPT.glob(f"*{end}")} for theme, end in THEMES.items()}
    assert names["light"] == names["dark"] | {f"{stem}.dark" for stem in names["dark"]}
    assert len(names["dark"]) >= 10


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*:trainsim.core.errors.TrainsimWarning")
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_an_answer_is_the_one_kept(path: Path, tmp_path: Path) -> None:
    said, _ = printed(path, tmp_path)
    kept = numbers((KEPT / f"{path.stem}.txt").read_text(encoding="utf-8"))
    assert numbers(said) == pytest.approx(kept, rel=5e-3, abs=1e-9), "a changed answer needs its reason in CHANGELOG.md"


if __name__ == "__main__":
    KEPT.mkdir(exist_ok=True)
    for example in EXAMPLES:
        if sys.argv[1:] and not example.stem.startswith(tuple(sys.argv[1:])):
            continue
        with tempfile.TemporaryDirectory() as place:
            text, left = printed(example, Path(place))
        (KEPT / f"{example.stem}.txt").write_text(text, encoding="utf-8")
        for theme, suffix in THEMES.items():
            if (drawn := picture(left, theme)) is not None:
                drawn.save(KEPT / f"{example.stem}{suffix}")
