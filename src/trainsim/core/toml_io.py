"""Read and write nested dicts as TOML or JSON files."""

from __future__ import annotations

import json
import os
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from . import reading
from .errors import SpecError, TrainsimError

NONE = "(none)"
"""Text for None in files, since TOML has no null."""


def load(path: str | Path, error: type[TrainsimError] = SpecError) -> dict[str, Any]:
    """Read a TOML file, or a JSON file if its name ends in ``.json``, into nested dicts.

    Args:
        path: the file.
        error: class of the error.

    Raises:
        TrainsimError: :mod:`trainsim.core.reading` rejects the file, or its JSON is not an object.
    """
    text = reading.read_text(path, error)
    name = Path(path).name
    data = reading.parse_json(text, name, error) if _is_json(path) else reading.parse_toml(text, name, error)
    if not isinstance(data, dict):
        raise error(name, type(data).__name__, "is not an object", "give {…} with named fields", "wrong-type")
    return {key: _with_none(value) for key, value in data.items()}


def save(path: str | Path, data: Mapping[str, Any]) -> None:
    """Write nested dicts to a file: JSON if its name ends in ``.json``, else TOML.

    Raises:
        SpecError: a value has a type that files can't hold, or the file can't be written.
    """
    write_text(path, json.dumps(_without_none(data), indent=2, ensure_ascii=False) + "\n" if _is_json(path) else dumps(data))


def _is_json(path: str | Path) -> bool:
    return Path(path).suffix.lower() == ".json"


def write_text(path: str | Path, text: str) -> None:
    """Write a text to a file atomically: after a failure an existing file is unchanged.

    A device or a pipe is written to and not replaced. If the path is a link, the file that it points to is replaced.

    Raises:
        SpecError: the folder does not exist or is not writable.
    """
    if Path(path).exists() and not Path(path).is_file():
        _write_through(path, text)
        return
    target = Path(path).resolve()
    try:
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    except OSError as error:
        raise SpecError("", str(path), f"can't be written ({error.strerror})", "give a path in an existing folder", "unwritable") from None
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(temporary).chmod(_mode_of(target))
        Path(temporary).replace(target)
    except OSError as error:
        Path(temporary).unlink(missing_ok=True)
        raise SpecError("", str(path), f"can't be written ({error.strerror})", "give another path", "unwritable") from None
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _mode_of(target: Path) -> int:
    """Permissions for the written file: those of the file it replaces, else the usual ones of this process. A temporary file has fewer."""
    if target.exists():
        return stat.S_IMODE(target.stat().st_mode)
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def _write_through(path: str | Path, text: str) -> None:
    """Write to a device or a pipe, such as ``/dev/stdout``."""
    try:
        with Path(path).open("w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise SpecError("", str(path), f"can't be written ({error.strerror})", "give the path of a file", "unwritable") from None


def dumps(data: Mapping[str, Any]) -> str:
    """Format nested dicts as TOML, one table per level; floats keep every digit.

    >>> print(dumps({"a": 1.5, "b": {"c": None}}), end="")
    a = 1.5
    <BLANKLINE>
    [b]
    c = "(none)"
    """
    import tomli_w

    return tomli_w.dumps(_without_none(data))


def _without_none(value: Any) -> Any:
    """A copy with None replaced by ``"(none)"``."""
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
            raise SpecError("", value, rule, "use only numbers, texts, lists and specs in a spec", "unwritable")


def _with_none(value: Any) -> Any:
    """A copy with ``"(none)"`` replaced by None."""
    if isinstance(value, dict):
        return {key: _with_none(inner) for key, inner in value.items()}
    return None if value == NONE else value
