"""Vision towers of multimodal configs: one small reader per wrapper."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from ...core.errors import ConfigError
from ...core.values import ReadOnlyDict
from ..towers import Tower
from .config import Config

Reader = Callable[[Config, Config, int], Tower]
"""The whole config, its ``vision_config`` and the width of the text model → tower."""
READERS: dict[str, Reader] = {}
"""``model_type`` of a wrapper → reader of its vision tower."""


def seen_by(*wrappers: str) -> Callable[[Reader], Reader]:
    """Register a reader for some wrappers."""

    def register(reader: Reader) -> Reader:
        READERS.update(dict.fromkeys(wrappers, reader))
        return reader

    return register


@lru_cache(maxsize=1)
def readers() -> Mapping[str, Reader]:
    """The readers that the files ``vision_….py`` of this folder register."""
    package = importlib.import_module(__package__ or "")
    for module in pkgutil.iter_modules(package.__path__):
        if module.name.startswith("vision_"):
            importlib.import_module(f"{package.__name__}.{module.name}")
    return ReadOnlyDict(READERS)


def towers_of(config: Mapping[str, Any], path: str, hidden: int) -> tuple[tuple[Tower, ...], tuple[str, ...]]:
    """The vision tower of a multimodal config, and notes.

    Args:
        config: the whole config.
        path: its origin, for errors.
        hidden: width of the text model.

    Returns:
        the tower and the notes; no tower if the config has none, or if its wrapper isn't mapped, which a note says.
    """
    inner, wrapper = config.get("vision_config"), str(config.get("model_type"))
    if inner is None:
        return (), ()
    if not isinstance(inner, Mapping):
        raise ConfigError(f"{path}.vision_config", type(inner).__name__, "must be a group of keys", 'give {"hidden_size": …}', "wrong-type")
    if wrapper not in readers():
        return (), (f"the vision tower of {wrapper} is not mapped: left out",)
    outer, vision = Config(config, path), Config(inner, f"{path}.vision_config")
    tower = readers()[wrapper](outer, vision, hidden)
    counted = "vision tower: left out of totals unless towers='all'"
    return (tower,), (counted, *(f"vision tower: {note}" for note in (*outer.notes, *vision.notes)))
