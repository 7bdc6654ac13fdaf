"""Read and write software stacks in a user's own TOML file, in the format of ``stacks.toml``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..cluster.stack import Stack
from ..core import toml_io
from ..core.errors import CatalogError
from .rows import Row, make_row

_HEADER = {"like", "tags", "note", "date_precision"}


def is_stack_file(name: str | Path) -> bool:
    """Whether a stack's name is the path of a file."""
    return isinstance(name, Path) or name.endswith(".toml")


def stack_file_row(path: str | Path) -> Row:
    """Read the one stack of a file as a catalogue row.

    Raises:
        CatalogError: the file does not hold exactly one stack, or its row lacks source, date, grade or evidence.
    """
    rows = toml_io.load(path, CatalogError)
    if len(rows) != 1:
        raise CatalogError(str(path), ", ".join(rows) or None, f"contains {len(rows)} stacks", "keep one table, [name]", "conflict")
    ((name, fields),) = rows.items()
    return make_row(str(path), name, fields)


def stack_numbers(row: Row) -> dict[str, Any]:
    """The numbers of a row, without its descriptive fields."""
    return {field: value for field, value in row.fields.items() if field not in _HEADER}


def overlaid_stack(row: Row, base: Stack) -> Stack:
    """A base stack in which a row's numbers, tags and source replace those of the base."""
    fields = stack_numbers(row)
    tags: Mapping[str, Any] = {**base.tags, **row.get("tags", {})}
    made = base.replace({**fields, "name": row.id, "tags": tags})
    return made.with_sources(dict.fromkeys(fields, row.cited))


def stack_text(name: str, stack: Stack, *, like: str, source: str, date: str) -> str:
    """A measured stack as TOML text that :func:`~trainsim.catalog.stack` reads.

    Args:
        name: name of the row.
        stack: the stack; its numbers tagged "measured" are written.
        like: the catalogue's stack that provides all other numbers.
        source, date: who measured it, and on which day.

    Returns:
        the text of the file.

    >>> from trainsim.cluster.stack import Stack
    >>> text = stack_text("mine", Stack("s", architecture="hopper", bf16=0.7, tags={"bf16": "measured"}),
    ...                   like="mcore-hopper", source="my bench", date="2026-11-25")
    >>> "bf16 = 0.7" in text, "launch" in text
    (True, False)
    """
    measured = [field for field in stack.numbers() if stack.tags.get(field) == "measured"]
    header = {"like": like, "source": [source], "date": date, "grade": "measured", "evidence": "found"}
    numbers = {field: float(getattr(stack, field)) for field in measured}
    return toml_io.dumps({name: {**header, **numbers, "tags": dict.fromkeys(measured, "measured")}})
