"""What the user gave, as plain JSON of bounded size: whatever it is, it is read or refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...core.errors import ConfigError

_BYTES = 2**24
"""No config is as long; weights, logs and devices are."""
_DEPTH, _ENTRIES, _WORD, _BITS = 64, 200_000, 200, 4096
"""Levels, values, characters of a key, bits of an integer: beyond any config, and far below what takes long."""


def document(config: Any) -> tuple[dict[str, Any], str]:
    """The keys of a config, and what to call it in errors.

    Raises:
        ConfigError: nothing that holds a config, a file that can't be read, or JSON that is cut short, contradicts itself, or is
            nested or long beyond reason.
    """
    if isinstance(config, (str, Path)):
        data, name = _file(Path(config)), Path(config).name
    else:
        data, name = _keys(config), "config"
    if not isinstance(data, Mapping):
        raise ConfigError(name, type(data).__name__, "holds no object", "give a config.json")
    return _Plain(name).of(data), name


def _keys(config: Any) -> Any:
    if isinstance(config, type):
        raise ConfigError("config", config.__name__, "is a class", "give an instance of it, with its sizes")
    if hasattr(config, "to_dict"):
        return config.to_dict()
    if not isinstance(config, Mapping):
        raise ConfigError("config", config, "is neither a path, nor a dict, nor an object with to_dict()", "give one of these")
    return config


def _file(given: Path) -> Any:
    try:
        path = given / "config.json" if given.is_dir() else given
        if not path.is_file():
            raise ConfigError(str(given), None, "there is no such file", "nothing is fetched: download the config.json first")
        with path.open("rb") as file:
            text = file.read(_BYTES + 1)
    except OSError as error:
        raise ConfigError(str(given)[:80], None, f"can't be read ({error.strerror})", "check the path and its permissions") from None
    if len(text) > _BYTES:
        raise ConfigError(str(given), None, f"is longer than {_BYTES:,} bytes", "give a config.json")
    try:
        return json.loads(text.decode("utf-8-sig"), object_pairs_hook=_once)
    except ConfigError as error:
        raise error.under(path.name) from None
    except (ValueError, RecursionError) as error:
        raise ConfigError(str(given), None, f"is not whole JSON ({error})", "restore the file; it may be cut short") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose keys stand once, or several times with one value: JSON itself takes the last and says nothing."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found and found[key] != value:
            raise ConfigError(key, value, f"contradicts {key}={str(found[key])[:40]} further up", "a key stands once: keep one")
        found[key] = value
    return found


class _Plain:
    """Copies keys, lists and scalars; arrays and their scalars become lists and numbers; other objects stay, and fit no key."""

    def __init__(self, name: str) -> None:
        self.where, self.left = [name], _ENTRIES

    def refuse(self, value: object, rule: str, remedy: str = "give a config.json") -> ConfigError:
        """The error for what stands here."""
        return ConfigError(".".join(self.where)[:200], value, rule, remedy)

    def of(self, value: Any) -> Any:
        """A value without surprises."""
        self.left -= 1
        if self.left < 0:
            raise self.refuse(None, f"holds more than {_ENTRIES:,} values")
        if len(self.where) > _DEPTH:
            raise self.refuse(None, f"is nested deeper than {_DEPTH} levels")
        if isinstance(value, Mapping):
            return {self.key(key): self.at(key, entry) for key, entry in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.at("[]", entry) for entry in value]
        if isinstance(value, int) and value.bit_length() > _BITS:
            raise self.refuse(f"an integer of {value.bit_length()} bits", "is no size")
        return self.of(value.tolist()) if hasattr(value, "tolist") else value

    def at(self, step: str, value: Any) -> Any:
        """A value one level further in."""
        self.where.append(step)
        plain = self.of(value)
        self.where.pop()
        return plain

    def key(self, key: Any) -> str:
        """A key as a word: JSON writes the number of a label as one."""
        word = str(key) if isinstance(key, (str, int)) else None
        if word is None or len(word) > _WORD:
            raise self.refuse(type(key).__name__, "stands for a key", f"keys are words of up to {_WORD} characters")
        return word
