"""The keys of a config, from whatever the user gave: plain JSON of bounded size, or one clear error."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...core.errors import ConfigError
from ...core.reading import parse_json, read_text
from ...core.values import Rules, plain

_RULES = Rules(infinite=True, controls=True)
"""Configs hold infinite time limits and special tokens, which no mapping reads."""


def document(config: Any) -> tuple[dict[str, Any], str]:
    """The keys of a config, and what to call it in errors.

    Args:
        config: a path of a file or of the folder that holds ``config.json``, a dict, or any object with ``to_dict()``.

    Raises:
        ConfigError: nothing that holds a config, a file that can't be read, or JSON that is cut short, contradicts itself, or is
            nested or long beyond reason.
    """
    if isinstance(config, (str, Path)):
        path = _path(config)
        data, name = parse_json(read_text(path, ConfigError, what=path.name[:80]), path.name, ConfigError, _RULES), path.name
    else:
        data, name = plain(_keys(config), "config", ConfigError, _RULES), "config"
    if not isinstance(data, Mapping):
        raise ConfigError(name, type(data).__name__, "holds no object", "give a config.json", "wrong-type")
    return dict(data), name


def _path(given: str | Path) -> Path:
    try:
        return Path(given) / "config.json" if Path(given).is_dir() else Path(given)
    except (OSError, ValueError):  # a name that no file can have: read_text says so
        return Path(given)


def _keys(config: Any) -> Any:
    if isinstance(config, type):
        raise ConfigError("config", config.__name__, "is a class", "give an instance of it, with its sizes", "wrong-type")
    if hasattr(config, "to_dict"):
        return config.to_dict()
    if not isinstance(config, Mapping):
        rule = "is neither a path, nor a dict, nor an object with to_dict()"
        raise ConfigError("config", config, rule, "give one of these", "wrong-type")
    return config
