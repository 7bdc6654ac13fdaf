"""Rows of the catalogue: every figure with source, date and grade; a row without them is rejected."""

from __future__ import annotations

import csv
import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from importlib import resources
from pathlib import Path
from typing import Any

from ..core.errors import CatalogError, did_you_mean, same_name
from ..core.tables import Tables
from ..core.values import ReadOnlyDict, frozen

GRADES = ("counted", "disclosed", "measured", "vendor", "market", "estimate", "judgement")
"""Grades of a figure, best first: counted from ops, disclosed by whoever ran it, measured by a third party, on a vendor's data sheet,
observed on a market, an analyst's estimate, a judgement."""
EVIDENCE = ("found", "recalled", "mixed", "derived")
"""Evidence of a row: its source was read, was recalled, or some of each; or its figure is derived from other rows."""
FIRST_YEAR, LAST_YEAR = 1940, 2200
"""Accepted years of a date."""
_HEADER = ("source", "date", "grade", "evidence")
PUBLISHED = dt.date(2026, 11, 30)
"""Date of this version of the catalogue; no row is dated later."""
_MONTHS = {"month": 1, "quarter": 3, "year": 12}
"""Precision of a row's date → length of that time [month]; the date is then the last day of that time."""
TABLES = ("rents", "kernels")
"""Catalogue files in CSV format, one row per line."""
_LISTS = ("source", "derived_from")
"""CSV columns whose cells hold several words, separated by spaces."""


@dataclass(frozen=True)
class Row:
    """One row of a catalogue file.

    Args:
        file, id: name of the file, and id of the row in it; ``address`` joins them: ``"runs/deepseek-v3"``.
        fields: values of the row, in SI units.
        source: ids of rows of ``sources``.
        date: day the figure became public.
        grade, evidence: one of ``GRADES``, one of ``EVIDENCE``.
        derived_from: addresses of the rows that it was derived from.

    >>> row = find("chips", "h800-sxm")
    >>> row.address, row.date.isoformat(), row.grade
    ('chips/h800-sxm', '2023-03-31', 'vendor')
    """

    file: str
    id: str
    fields: Mapping[str, Any]
    source: tuple[str, ...]
    date: dt.date
    grade: str
    evidence: str
    derived_from: tuple[str, ...] = ()

    @property
    def address(self) -> str:
        """``file/id``."""
        return f"{self.file}/{self.id}"

    @property
    def earliest(self) -> dt.date:
        """First day on which the figure may have become public; if only its month, quarter or year is known, the first day of that time.

        >>> row = find("runs", "bloom-176b")
        >>> row.get("date_precision"), row.date.isoformat(), row.earliest.isoformat()
        ('month', '2022-07-31', '2022-07-01')
        """
        months = _MONTHS.get(self.get("date_precision", ""))
        return self.date if months is None else self.date.replace(month=self.date.month - (self.date.month - 1) % months, day=1)

    def get(self, name: str, default: Any = None) -> Any:
        """A field, or a default."""
        return self.fields.get(name, default)

    def __getitem__(self, name: str) -> Any:
        if name not in self.fields:
            raise CatalogError(
                f"{self.address}.{name}", None, "is not in this row", did_you_mean(name, self.fields, "its fields"), "unknown-name"
            )
        return self.fields[name]

    @property
    def cited(self) -> str:
        """Citation of the row: titles of its sources, date, grade, address."""
        titles = "; ".join(map(source_title, self.source))
        evidence = "" if self.evidence == "found" else f", {self.evidence}"
        return f"{titles} ({self.date.isoformat()}, {self.grade}{evidence}) [{self.address}]"


def make_row(file: str, name: str, fields: Mapping[str, Any]) -> Row:
    """Check the fields of a table and make a row of them.

    Raises:
        CatalogError: source, date, grade or evidence is missing, or its value is unknown.
    """
    for needed in _HEADER:
        if not fields.get(needed):
            raise CatalogError(
                f"{file}/{name}.{needed}",
                fields.get(needed),
                "is missing; every figure needs a reference",
                f"give the row its {needed}",
                "missing",
            )
    if fields["grade"] not in GRADES:
        raise CatalogError(
            f"{file}/{name}.grade", fields["grade"], "is not a grade", did_you_mean(str(fields["grade"]), GRADES, "grades"), "unknown-name"
        )
    if fields["evidence"] not in EVIDENCE:
        raise CatalogError(
            f"{file}/{name}.evidence",
            fields["evidence"],
            "is not a kind of evidence",
            did_you_mean(str(fields["evidence"]), EVIDENCE, "words"),
            "unknown-name",
        )
    date = day_of(fields["date"], f"{file}/{name}.date")
    if date > PUBLISHED:
        rule = f"is after {PUBLISHED}, the day of this catalogue"
        raise CatalogError(
            f"{file}/{name}.date", str(date), rule, "write the day the figure became public, or the day it was read", "conflict"
        )
    rest = frozen({name: value for name, value in fields.items() if name not in {*_HEADER, "derived_from"}})
    derived = tuple(fields.get("derived_from", ()))
    return Row(file, name, rest, tuple(fields["source"]), date, fields["grade"], fields["evidence"], derived)


def day_of(text: object, path: str) -> dt.date:
    """Parse an ISO date.

    Raises:
        CatalogError: not an ISO date, or a year out of range.

    >>> day_of("2024-12-26", "as_of")
    datetime.date(2024, 12, 26)
    """
    try:
        day = dt.date.fromisoformat(str(text))
    except ValueError:
        raise CatalogError(path, text, "is not an ISO day", 'write "2024-12-26"', "wrong-type") from None
    if not FIRST_YEAR <= day.year <= LAST_YEAR:
        raise CatalogError(path, text, f"is not between {FIRST_YEAR} and {LAST_YEAR}", 'write "2024-12-26"', "out-of-bounds")
    return day


def read_rows(file: str, text: str) -> Mapping[str, Row]:
    """The rows of a TOML text; each is parsed on first access.

    Raises:
        CatalogError: on access to a row: invalid TOML, or a row that breaks a rule.
    """
    return Tables(text, partial(make_row, file), file, CatalogError)


def _shipped_row(file: str, name: str, fields: Mapping[str, Any]) -> Row:
    """A row of the library's own files, whose sources must be rows of the file of sources."""
    row = make_row(file, name, fields)
    if unknown := sorted(set(row.source).difference(sources())):
        meant = did_you_mean(unknown[0], sources()) + "; or add its row there first"
        rule = "is not a row of src/trainsim/catalog/data/sources.toml"
        raise CatalogError(f"{row.address}.source", unknown[0], rule, meant, "unknown-name")
    return row


def read_table(file: str, text: str, make: Callable[[str, str, Mapping[str, Any]], Row] = make_row) -> Mapping[str, Row]:
    """The rows of a CSV text with an ``id`` column; lines that begin with # are comments.

    An empty cell is an absent field. A cell that parses as a number becomes one. ``source`` and ``derived_from`` hold several words,
    separated by spaces.

    Raises:
        CatalogError: two rows have one id, or a row breaks a rule.

    >>> lines = "id,usd,source,date,grade,evidence", "a,2.5,epoch-prices,2024-01-29,market,found"
    >>> read_table("x", chr(10).join(lines))["a"]["usd"]
    2.5
    """
    found: dict[str, Row] = {}
    for line in _lines(text):
        name = line.pop("id")
        if name in found:
            raise CatalogError(f"{file}/{name}", name, "is the id of two rows", "give each row its own id", "conflict")
        filled = {column: cell for column, cell in line.items() if cell}
        found[name] = make(file, name, {c: v.split() if c in _LISTS else _cell(v) for c, v in filled.items()})
    return ReadOnlyDict(found)


def _lines(text: str) -> Iterator[dict[str, str]]:
    return csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))


def table_lines(file: str) -> Iterator[dict[str, str]]:
    """The lines of a table of the library, unchecked, as texts by column; for a search that needs few of many rows.

    Args:
        file: one of ``TABLES``.

    >>> next(table_lines("rents"))["tier"]
    'hyperscaler'
    """
    return _lines(packaged_text(file, "csv"))


def _cell(text: str) -> str | float:
    try:
        return float(text)
    except ValueError:
        return text


@lru_cache(maxsize=64)
def rows(file: str) -> Mapping[str, Row]:
    """All rows of a catalogue file: ``"chips"``, ``"runs"`` …; they are read-only.

    Args:
        file: name of the file.

    Returns:
        id → row.

    >>> "h800-sxm" in rows("chips")
    True
    """
    if file in TABLES:
        return read_table(file, packaged_text(file, "csv"), _shipped_row)
    return Tables(packaged_text(file), partial(_shipped_row, file), file, None)


def find(file: str, name: str) -> Row:
    """One row of a catalogue file.

    Args:
        file: name of the file: ``"chips"``, ``"runs"`` …
        name: id of the row; case and punctuation don't matter if only one row has such an id.

    Returns:
        the row.

    Raises:
        CatalogError: no such row; lists those there are.

    >>> find("runs", "deepseek-v3").address
    'runs/deepseek-v3'
    """
    known = rows(file)
    if name not in known and (same := same_name(name, known)) is not None:
        name = same
    if name not in known:
        raise CatalogError(f"catalog.{file}", name, "is not found in the catalogue", did_you_mean(name, known, "rows"), "unknown-name")
    return known[name]


@lru_cache(maxsize=1)
def sources() -> Mapping[str, Mapping[str, Any]]:
    """Sources of figures: id → title, address, kind."""
    return Tables(packaged_text("sources"), lambda _, fields: frozen(fields), "sources", None)


def source_title(name: str) -> str:
    """Title of a source."""
    entry = sources().get(name, {})
    return str(entry.get("title", name))


def lineage(address: str) -> Iterator[str]:
    """An address, and the addresses of all rows from which that row is derived."""
    seen: set[str] = set()
    queue = [address]
    while queue:
        here = queue.pop()
        if here in seen:
            continue
        seen.add(here)
        yield here
        file, _, name = here.partition("/")
        if name and name in (known := rows(file)):
            queue += known[name].derived_from


def packaged_text(file: str, ending: str = "toml") -> str:
    """The text of a file of the catalogue.

    Raises:
        CatalogError: there is no such file.
    """
    packaged = resources.files(__package__) / "data" / f"{file}.{ending}"
    if packaged.is_file():
        return packaged.read_text(encoding="utf-8")
    beside = Path(__file__).parents[3] / "seeds" / f"{file}.toml"
    if beside.is_file():
        return beside.read_text(encoding="utf-8")
    raise CatalogError(
        "catalog",
        file,
        "is not a catalogue file",
        "files: chips, clusters, models, runs, prices, rents, priors, claims",
        "not-found",
    )
