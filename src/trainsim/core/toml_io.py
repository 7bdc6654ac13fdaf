"""Specs and rows as files: nested dicts written as TOML or JSON, read through the guarded door."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from . import reading
from .errors import SpecError, TrainsimError

NONE = "(none)"
"""TOML has no null: a value that is absent by choice, where the default is another, is written as this word."""


def load(path: str | Path, error: type[TrainsimError] = SpecError) -> dict[str, Any]:
    """A TOML file, or a JSON file that ends in ``.json``, as nested dicts.

    Args:
        path: the file.
        error: class of the error.

    Raises:
        TrainsimError: what the guarded door refuses, or JSON that is not an object.
    """
    text = reading.read_text(path, error)
    name = Path(path).name
    data = reading.parse_json(text, name, error) if _is_json(path) else reading.parse_toml(text, name, error)
    if not isinstance(data, dict):
        raise error(name, type(data).__name__, "is not an object", "give {…} with named fields", "wrong-type")
    return {key: _with_none(value) for key, value in data.items()}


def save(path: str | Path, data: Mapping[str, Any]) -> None:
    """Write nested dicts to a file: JSON where its name ends in ``.json``, TOML otherwise.

    Raises:
        SpecError: a value that neither can hold, or a file that can't be written.
    """
    write_text(path, json.dumps(_without_none(data), indent=2, ensure_ascii=False) + "\n" if _is_json(path) else dumps(data))


def _is_json(path: str | Path) -> bool:
    return Path(path).suffix.lower() == ".json"


def write_text(path: str | Path, text: str) -> None:
    """Put a text into a file at once: a failure leaves what was there before.

    Raises:
        SpecError: no such folder, or no right to write into it.
    """
    target = Path(path)
    try:
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    except OSError as error:
        raise SpecError("", str(path), f"can't be written ({error.strerror})", "give a path in an existing folder", "unwritable") from None
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(temporary).replace(target)
    except OSError as error:
        Path(temporary).unlink(missing_ok=True)
        raise SpecError("", str(path), f"can't be written ({error.strerror})", "give another path", "unwritable") from None
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def dumps(data: Mapping[str, Any]) -> str:
    """Nested dicts as TOML, tables mirroring the nesting; floats keep every digit.

    >>> print(dumps({"a": 1.5, "b": {"c": None}}), end="")
    a = 1.5
    <BLANKLINE>
    [b]
    c = "(none)"
    """
    import tomli_w

    return tomli_w.dumps(_without_none(data))


def _without_none(value: Any) -> Any:
    """A copy with the word for nothing where a value is None."""
    match value:
        case None:
            return NONE
        case Mapping():
            return {str(key): _without_none(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_without_none(inner) for inner in value]
        case bool() | int() | float() | str():
            return value
        case _:
            rule = f"a {type(value).__name__} can't be written to a file"
            raise SpecError("", value, rule, "keep specs to numbers, words, lists and specs", "unwritable")


def _with_none(value: Any) -> Any:
    """What was read, with None where the word for nothing stands."""
    if isinstance(value, dict):
        return {key: _with_none(inner) for key, inner in value.items()}
    return None if value == NONE else value
