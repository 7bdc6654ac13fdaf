"""Tables of a TOML text, each parsed on first access."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from .errors import SpecError
from .reading import parse_toml
from .values import Error

T = TypeVar("T")
_HEADERS = re.compile(r'^\[("[^"\n]+"|[\w-]+)(?=[\].])', re.MULTILINE)
"""Header of a table; the group is the name of its top table."""


class Tables(Mapping[str, T]):
    """The top tables of a TOML text by name; each is parsed on first access, since most callers need few of many.

    Args:
        text: the text, in which each top table is followed by its sub-tables.
        read: function of the name and fields of a table that returns the object.
        where: name of the text, for the error.
        error: class of the error; None for a file of this package, which is not checked.

    Raises:
        TrainsimError: on access to a table: invalid TOML.

    >>> tables = Tables(chr(10).join(["[a]", "x = 1", "[a.b]", "y = 2", "[c]"]), lambda name, fields: fields)
    >>> list(tables), tables["a"]
    (['a', 'c'], {'x': 1, 'b': {'y': 2}})
    """

    def __init__(
        self, text: str, read: Callable[[str, Mapping[str, Any]], T], where: str = "text", error: Error | None = SpecError
    ) -> None:
        self._read, self._where, self._error = read, where, error
        self._texts: dict[str, str] = {}
        self._found: dict[str, T] = {}
        headers = list(_HEADERS.finditer(text))
        for header, end in zip(headers, [h.start() for h in headers[1:]] + [len(text)], strict=True):
            name = header[1].strip('"')
            self._texts[name] = self._texts.get(name, "") + text[header.start() : end]

    def __getitem__(self, name: str) -> T:
        if name not in self._found:
            text, error = self._texts[name], self._error
            fields = tomllib.loads(text) if error is None else parse_toml(text, self._where, error)
            self._found[name] = self._read(name, fields[name])
        return self._found[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)

    def __len__(self) -> int:
        return len(self._texts)

    def __contains__(self, name: object) -> bool:
        return name in self._texts


def mentioning(tables: Mapping[str, T], words: str) -> Iterator[T]:
    """The parsed tables whose text contains some words; all tables of a mapping without text.

    >>> tables = Tables(chr(10).join(["[a]", "x = 1", "[b]", "x = 2"]), lambda name, fields: fields)
    >>> list(mentioning(tables, "= 2"))
    [{'x': 2}]
    """
    texts = tables._texts if isinstance(tables, Tables) else None
    return (tables[name] for name in tables if texts is None or words in texts[name])
