"""Grade of a figure from the text of its source; and BibTeX of the sources that an answer uses."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from .provenance import BY_USER
from .registry import look_up
from .version import __version__

ASSUMED = "assumed: "
"""Beginning of the source of an input that the library assumed."""
FILLED = "median of "
"""Beginning of the source of an input that the catalogue filled in."""
NOT_GIVEN = (ASSUMED, FILLED)
"""Beginnings of the source of an input that neither its maker nor the user gave."""
_GRADE = re.compile(r"\(\d{4}-\d{2}-\d{2}, ([a-z]+)")
_ARXIV = re.compile(r"arXiv:\s*(\d{4}\.\d{4,5})", re.IGNORECASE)
_DOI = re.compile(r"\b(10\.\d{4,9}/[^\s;,)\]]+)")
_URL = re.compile(r"(?:https?://|github:)[^\s;,)\]]+")
_SPECIAL = re.compile(r"([&%$#_{}])")
LIBRARY = f"""@software{{trainsim,
  author  = {{{{The trainsim developers}}}},
  title   = {{{{trainsim: what training a model costs, and how sure one can be}}}},
  version = {{{__version__}}},
  year    = {{2026}}
}}"""
"""BibTeX entry of the library."""


@dataclass(frozen=True)
class Reference:
    """One work that is the source of figures.

    Args:
        key: key of the entry, unique among references.
        title: title of the work.
        address: arXiv number, DOI or web address of the work; may be empty.
        year: year of publication; empty if unknown.
    """

    key: str
    title: str
    address: str = ""
    year: str = ""


def grade_of(source: str) -> str:
    """Grade of a figure from the text of its source: ``"given"``, ``"assumed"``, or the grade of a catalogue row.

    >>> grade_of("given by the user"), grade_of("assumed: that of most runs"), grade_of("A report (2024-12-26, disclosed) [runs/x]")
    ('given', 'assumed', 'disclosed')
    """
    if source.startswith(NOT_GIVEN):
        return "assumed"
    return "given" if source == BY_USER else row_grade(source)


def row_grade(source: str) -> str:
    """The grade of the catalogue row that a source names, even if the row's median was assumed; empty if the source names no row.

    >>> row_grade("median of an index (2024-12-31, market) [prices/x]")
    'market'
    """
    found = _GRADE.search(source)
    return found[1] if found else ""


def judged(source: str) -> bool:
    """Whether a source counts as judgement: a row of that grade, or a value given by the user.

    >>> judged("given by the user"), judged("An index (2024-12-31, market) [prices/x]")
    (True, False)
    """
    return source == BY_USER or row_grade(source) == "judgement"


def bibtex(sources: Iterable[str]) -> str:
    r"""BibTeX of the library and of each work that the sources name, one entry per work.

    Args:
        sources: sources of figures, as text. Works of the catalogue are recognised by their title. Another source becomes an entry with its
            text and its arXiv number, DOI or address.

    Returns:
        entries with an empty line between them, the library's first.

    >>> print(bibtex(["A report (arXiv:2412.19437), table 1", "given by the user"]).split("\n\n")[1])
    @misc{a-report-arxiv-2412-19437-table-1,
      title         = {{A report (arXiv:2412.19437), table 1}},
      eprint        = {2412.19437},
      archiveprefix = {arXiv}
    }
    """
    named = dict.fromkeys(" ".join(source.split()) for source in sources if source and source != BY_USER)
    works = {work.key: work for source in named for work in _works(source)}
    return "\n\n".join([LIBRARY, *(_entry(works[key]) for key in sorted(works))])


def _works(source: str) -> tuple[Reference, ...]:
    """The works of the catalogue that a source names. A source that names none is itself a work, unless it is an assumption."""
    known: tuple[Reference, ...] = look_up("Reference", source, "source")
    if known or source.startswith(NOT_GIVEN):
        return known
    return (Reference(re.sub(r"[^A-Za-z0-9]+", "-", source).strip("-").lower()[:60], source, source),)


def _entry(work: Reference) -> str:
    fields = {"title": f"{{{_escaped(work.title)}}}", **_where(work.address), **({"year": work.year} if work.year else {})}
    width = max(map(len, fields))
    return "@misc{" + work.key + ",\n" + ",\n".join(f"  {name:<{width}} = {{{value}}}" for name, value in fields.items()) + "\n}"


def _where(address: str) -> dict[str, str]:
    """BibTeX fields of an address: its arXiv number, else its DOI, else its page."""
    if arxiv := _ARXIV.search(address):
        return {"eprint": arxiv[1], "archiveprefix": "arXiv"}
    if doi := _DOI.search(address):
        return {"doi": doi[1].rstrip(".")}
    if page := _URL.search(address):
        return {"howpublished": f"\\url{{{page[0].rstrip('.').replace('github:', 'https://github.com/')}}}"}
    return {}


def _escaped(text: str) -> str:
    """A text with the special characters of BibTeX escaped."""
    return _SPECIAL.sub(r"\\\1", text.replace("\\", "/"))
