"""A report is one self-contained page that escapes its texts and is accessible to screen readers."""

from __future__ import annotations

import re
from functools import cache
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import trainsim as ts
from trainsim.core.errors import SpecError
from trainsim.report.html_report import report_text
from trainsim.testing import refused

from .samples import BELIEFS, answer, modelled, v3, verdict

pytest.importorskip("matplotlib")
PAGES: dict[str, Any] = {
    "a run": lambda: report_text(ts.estimate(v3()), BELIEFS, "trainsim report deepseek-v3"),
    "a modelled run": lambda: report_text(ts.estimate(modelled())),
    "a verdict": lambda: report_text(verdict()),
    "a verdict about no run": lambda: report_text(verdict("fleet-944m")),
    "a comparison": lambda: report_text(answer("two runs")),
    "a search": lambda: report_text(answer("a search")),
    "a scope": lambda: report_text(answer("a cost")),
}
VOID = {"meta", "input", "br", "link", "hr", "img"}


class Reader(HTMLParser):
    """Parses tags with their attributes, in order, checks that they nest, and collects words by tag."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.bad: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.bad.append(tag)


@cache
def text(name: str) -> str:
    return str(PAGES[name]())


@cache
def read(name: str) -> Reader:
    reader = Reader()
    reader.feed(text(name))
    return reader


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_self_contained(name: str) -> None:
    links = [a.get(key) for _, a in read(name).tags for key in ("src", "href", "action", "xlink:href") if a.get(key)]
    assert [link for link in links if not str(link).startswith("#")] == []
    assert "url(http" not in text(name)
    assert "@import" not in text(name)


@pytest.mark.parametrize("name", PAGES)
def test_tags_nest_and_names_are_unique(name: str) -> None:
    reader = read(name)
    assert (reader.bad, reader.open) == ([], [])
    ids = [a["id"] for _, a in reader.tags if a.get("id")]
    assert len(ids) == len(set(ids))
    targets = {str(a["href"])[1:] for _, a in reader.tags if str(a.get("href", "")).startswith("#")}
    assert targets <= set(ids), "every link leads somewhere"


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_readable_by_a_screen_reader(name: str) -> None:
    tags = read(name).tags
    levels = [int(tag[1]) for tag, _ in tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b - a <= 1 for a, b in pairwise(levels)), "no level is left out"
    assert dict(tags)["html"]["lang"] == "en"
    labelled = {a["for"] for tag, a in tags if tag == "label"}
    assert [a for tag, a in tags if tag == "input" and a.get("id") not in labelled and not a.get("aria-label")] == []
    pictures = [a for tag, a in tags if tag == "svg"]
    assert [a for a in pictures if a.get("role") != "img" or not a.get("aria-label")] == []


def test_inserted_text_is_escaped() -> None:
    run = modelled().replace({"name": "<script>alert(1)</script>&\"'"})
    page = report_text(ts.estimate(run))
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;&amp;" in page
    data = page[page.index('id="what-if-data">') :]
    assert "</script>" not in data[: data.index("</script>") - 1]


def test_a_run_s_page_has_its_panel_trees_and_sources() -> None:
    page = text("a run")
    tags = read("a run").tags
    assert {a["id"] for tag, a in tags if tag == "input" and a.get("type") == "number"} == {
        f"knob-{name}" for name in ("price", "mfu", "tokens", "gpus", "goodput")
    }
    assert sum(tag == "details" for tag, _ in tags) > 20
    assert all(f'id="source-{path}"' in page for path in v3().sources() if path.startswith(("phases", "price", "reliability")))
    assert "trainsim report deepseek-v3" in page
    assert "<small>90 %: $" in page


def test_a_page_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    with refused(SpecError, "unwritable", "path"):
        ts.write_report(verdict("fleet-944m"), tmp_path / "no" / "such" / "folder.html")
    assert ts.write_report(verdict("fleet-944m"), tmp_path / "page.html").read_text(encoding="utf-8").startswith("<!doctype html>")
