"""Crawl the built site: every page, link and anchor that its front page leads to, and the public names that have a heading.

``python tests/site_crawl.py out/site`` after ``mkdocs build`` prints broken addresses and public names without a heading.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LINKS = {"a": "href", "link": "href", "img": "src", "script": "src", "iframe": "src", "source": "srcset"}
"""Element → its attribute with an address."""
HEADINGS = ("h1", "h2", "h3", "h4")
FETCHED = ("img", "script", "iframe", "source", "link")
"""Elements whose address a browser opens by itself."""
NAMES = Path(__file__).parent / "api.txt"


@dataclass
class Page(HTMLParser):
    """Addresses, anchors and headings of one page."""

    text: str
    links: list[tuple[str, str]] = field(default_factory=list)
    anchors: set[str] = field(default_factory=set)
    headings: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Read it."""
        super().__init__()
        self._open = False
        self.feed(self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep what an element leads to, and its name."""
        found = dict(attrs)
        self.anchors.update(value for key in ("id", "name") if (value := found.get(key)))
        # the canonical address is for search engines and is not a link
        if tag in LINKS and (there := found.get(LINKS[tag])) and found.get("rel") != "canonical":
            self.links.append((tag, there))
        if tag in HEADINGS:
            self._open = True
            self.headings.append("")

    def handle_endtag(self, tag: str) -> None:
        """A heading ends."""
        self._open = self._open and tag not in HEADINGS

    def handle_data(self, data: str) -> None:
        """Text of a heading."""
        if self._open:
            self.headings[-1] += data


def crawl(site: Path, front: str = "index.html") -> tuple[dict[Path, Page], list[str]]:
    """Follow every link, starting at the front page.

    Returns:
        pages by file, and a line for each address that leads nowhere or that a browser would fetch from elsewhere.
    """
    pages: dict[Path, Page] = {}
    broken, ahead = [], [(site / front).resolve()]
    wanted: list[tuple[Path, str, Path, str]] = []
    while ahead:
        here = ahead.pop()
        if here in pages:
            continue
        pages[here] = Page(here.read_text(encoding="utf-8"))
        for tag, link in pages[here].links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                if tag in FETCHED and parts.scheme != "data":
                    broken.append(f"{here.name}: {tag} is fetched from {link}")
                continue
            there = (here.parent / unquote(parts.path)).resolve() if parts.path else here
            there = there / "index.html" if there.is_dir() else there
            if not there.is_file():
                broken.append(f"{here.name}: {link} is not there")
            elif there.suffix == ".html":
                ahead.append(there)
                wanted.append((here, link, there, unquote(parts.fragment)))
    broken += [f"{here.name}: {link} has no such anchor" for here, link, there, name in wanted if name and name not in pages[there].anchors]
    return pages, sorted(set(broken))


def names_without_a_heading(pages: dict[Path, Page], names: list[str]) -> list[str]:
    """Public names that no heading of the pages is about."""
    said = {heading.replace("¶", "").strip() for page in pages.values() for heading in page.headings}
    return [name for name in names if f"ts.{name}" not in said]


def main(site: Path) -> int:
    """Print the problems; the exit status is 1 if there are any."""
    pages, broken = crawl(site)
    names = re.findall(r"^[\w.]+", NAMES.read_text(encoding="utf-8"), re.MULTILINE)
    missing = names_without_a_heading(pages, names)
    unreached = sorted({path.resolve() for path in site.rglob("*.html")} - set(pages) - {(site / "404.html").resolve()})
    lines = [*broken, *(f"no heading for ts.{name}" for name in missing), *(f"nothing leads to {page}" for page in unreached)]
    lines += [f"{len(pages)} pages, {sum(len(page.links) for page in pages.values())} links, {len(names)} public names"]
    sys.stdout.write("\n".join(lines) + "\n")
    return 1 if broken or missing or unreached or not names else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
