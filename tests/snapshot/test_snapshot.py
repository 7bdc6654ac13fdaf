"""Each named figure equals the recorded one."""

from __future__ import annotations

import pytest
from sections import SECTIONS
from snapshot import moved, recorded

AGAIN = "is it right? then: python tests/snapshot/record.py, and the reason in the commit and in CHANGELOG.md"


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.slow if s.slow else ()) for name, s in SECTIONS.items()])
def test_no_figure_has_moved(name: str) -> None:
    section = SECTIONS[name]
    changes = moved(recorded()[name], section.compute(), section.rtol)
    assert not changes, "\n".join(["", *changes, AGAIN])


def test_every_section_is_recorded_and_no_other() -> None:
    assert recorded().keys() == SECTIONS.keys()
    assert sum(map(len, recorded().values())) >= 300


@pytest.mark.parametrize(
    ("before", "after", "named"),
    [
        (1.0, 1.0 + 1e-8, ["x"]),
        (1.0, 1.0 + 1e-10, []),
        (0.0, 1e-30, ["x"]),
        (float("nan"), float("nan"), []),
        (1.0, None, ["x"]),
        ("HOLDS", "FAILS", ["x"]),
        (["1", "2", "3"], ["1", "7", "3"], ["x[1]"]),
        (["1", "2"], ["1", "2", "9"], ["x[2]"]),
    ],
)
def test_what_moved_is_named(before: float | str, after: float | str, named: list[str]) -> None:
    assert [line.partition(":")[0] for line in moved({"x": before}, {"x": after})] == named


def test_a_figure_that_is_gone_or_new_is_named() -> None:
    assert [line.partition(":")[0] for line in moved({"gone": 1.0}, {"new": 1.0})] == ["gone", "new"]
