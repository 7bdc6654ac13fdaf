"""Parse a page of the app as a browser would: its form, its marked errors, its figures."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

from trainsim.app.question import FIELDS, Question


@dataclass
class ParsedPage(HTMLParser):
    """A parsed page: the data that its form sends, the inputs marked as wrong, the main figures, and the tags."""

    sent: dict[str, str] = field(default_factory=dict)
    wrong: set[str] = field(default_factory=set)
    figures: dict[str, dict[str, str]] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)
    tags: list[str] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    _open: str = ""
    _select: str = ""
    _figure: str = ""
    _strong: bool = False

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.tags.append(tag)
        self.ids += [found["id"]] if "id" in found else []
        if found.get("aria-invalid"):
            self.wrong.add(found["name"])
        if tag == "input" and "name" in found:  # inputs of the panel are not part of the question
            self.sent[found["name"]] = found.get("value", "")
        if tag == "textarea":
            self._open = found["name"]
            self.sent[self._open] = ""
        if tag == "select":
            self._select = found["name"]
        if tag == "option" and self._select and "selected" in found:
            self.sent[self._select] = found["value"]
        if found.get("id", "").startswith("main-"):
            self._figure = found["id"].removeprefix("main-")
        if tag == "data":
            self.figures[self._figure] = found
        self._strong = tag == "strong"

    def handle_endtag(self, tag: str) -> None:
        self._open = "" if tag == "textarea" else self._open
        self._select = "" if tag == "select" else self._select

    def handle_data(self, data: str) -> None:
        if self._open:
            self.sent[self._open] += data
        if self._strong:
            self.words.setdefault(self._figure, data)  # captions of pictures follow
            self._strong = False

    @property
    def asked(self) -> dict[str, str]:
        """The data that the form sends; a browser drops the line break at the beginning of a text area."""
        areas = {one.name for one in FIELDS if one.rows}
        return {name: text.removeprefix("\n") if name in areas else text for name, text in self.sent.items()}


def parsed(text: str) -> ParsedPage:
    page = ParsedPage()
    page.feed(text)
    return page


def answered(client: Any, asked: Question, path: str = "/answer") -> Any:
    """The answer to a question, after waiting for it."""
    for _ in range(600):
        found = client.get(f"{path}?{asked.address}")
        if "data-poll" not in found.text:
            return found
        time.sleep(0.1)
    raise AssertionError("no answer within a minute")
