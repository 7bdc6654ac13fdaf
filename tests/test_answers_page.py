"""The code of ``docs/answers.md`` prints the shown output."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[1] / "docs" / "answers.md"


def test_the_page_prints_what_it_shows() -> None:
    pytest.importorskip("pandas")
    found = doctest.testfile(
        str(PAGE), module_relative=False, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE, encoding="utf-8"
    )
    assert found.attempted > 25
    assert found.failed == 0


def test_every_block_of_the_page_is_run() -> None:
    assert set(re.findall(r"```(\w+)", PAGE.read_text(encoding="utf-8"))) == {"pycon"}
