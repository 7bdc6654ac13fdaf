"""TOML in and out: the standard library reads it, this writes the plain subset specs need."""

from __future__ import annotations

import json
import os
import re
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .errors import SpecError

NONE = "(none)"
"""TOML has no null: what is absent by choice, where the default is something, is written as this word."""
_BARE = re.compile(r"[A-Za-z0-9_-]+")


def read(path: str | Path) -> dict[str, Any]:
    """A TOML file as nested dicts.

    Raises:
        SpecError: no such file, one that can't be read, or not whole TOML; says the line.
    """
    try:
        with Path(path).open("rb") as file:
            return tomllib.load(file)
    except FileNotFoundError:
        raise SpecError("", str(path), "there is no such file", "give the path of a file that save() wrote") from None
    except OSError as error:
        raise SpecError("", str(path), f"can't be read ({error.strerror})", "give the path of a file that save() wrote") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SpecError("", str(path), f"is not whole TOML ({error})", "restore the file; it may be cut short") from None


def write(path: str | Path, text: str) -> None:
    """Put text into a file at once: a failure leaves what was there before.

    Raises:
        SpecError: the folder is not there, or may not be written to.
    """
    target = Path(path)
    try:
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    except OSError as error:
        raise SpecError("", str(path), f"can't be written ({error.strerror})", "give a path in a folder that is there") from None
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(temporary).replace(target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def dumps(data: Mapping[str, Any]) -> str:
    """Nested dicts as TOML, tables mirroring the nesting; floats keep every digit.

    >>> print(dumps({"a": 1.5, "b": {"c": "x"}}), end="")
    a = 1.5
    <BLANKLINE>
    [b]
    c = "x"
    """
    return "".join(_table(data, ())).lstrip("\n")


def with_none(data: Any) -> Any:
    """What was read, with the word that stands for nothing made None again."""
    if isinstance(data, Mapping):
        return {key: with_none(value) for key, value in data.items()}
    return None if data == NONE else data


def quote(text: str) -> str:
    """A basic TOML string."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _table(data: Mapping[str, Any], path: tuple[str, ...]) -> list[str]:
    own = [f"{_key(k)} = {_value(v)}\n" for k, v in data.items() if not isinstance(v, Mapping)]
    inner = [line for k, v in data.items() if isinstance(v, Mapping) for line in _table(v, (*path, k))]
    header = [f"\n[{'.'.join(map(_key, path))}]\n"] if path and (own or not inner) else []
    return [*header, *own, *inner]


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else quote(key)


def _value(value: Any) -> str:
    match value:
        case None:
            return quote(NONE)
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return repr(value)
        case str():
            return quote(value)
        case list() | tuple():
            return "[" + ", ".join(map(_value, value)) + "]"
        case Mapping():
            return "{" + ", ".join(f"{_key(k)} = {_value(v)}" for k, v in value.items()) + "}"
        case _:
            raise SpecError(
                "", value, f"a {type(value).__name__} can't be written to TOML", "keep specs to numbers, words, lists and specs"
            )
