"""Towers of multimodal configs: one small reader per wrapper and kind of input."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from ...core.errors import ConfigError
from ...core.values import ReadOnlyDict
from ..towers import Tower
from .config import Config
from .wrappers import TEXT_KEYS

Reader = Callable[[Config, Config, int], Tower]
"""The whole config, the group that describes the tower, and the width of the text model → tower."""
READERS: dict[tuple[str, str], Reader] = {}
"""``model_type`` of a wrapper, and the group of its tower → reader of the tower."""
_GROUPS = {"vision_config": "vision", "audio_config": "audio", "encoder_config": "audio", "speech_config": "speech"}
"""Groups of keys that describe a tower → its name in notes."""


def _registered(group: str, wrappers: tuple[str, ...]) -> Callable[[Reader], Reader]:
    def register(reader: Reader) -> Reader:
        READERS.update(dict.fromkeys(((wrapper, group) for wrapper in wrappers), reader))
        return reader

    return register


def seen_by(*wrappers: str) -> Callable[[Reader], Reader]:
    """Register a reader of the vision tower of some wrappers."""
    return _registered("vision_config", wrappers)


def heard_by(*wrappers: str) -> Callable[[Reader], Reader]:
    """Register a reader of the audio tower of some wrappers."""
    return _registered("audio_config", wrappers)


@lru_cache(maxsize=1)
def readers() -> Mapping[tuple[str, str], Reader]:
    """The readers that the files ``vision_….py`` and ``audio_….py`` of this folder register."""
    package = importlib.import_module(__package__ or "")
    for module in pkgutil.iter_modules(package.__path__):
        if module.name.startswith(("vision_", "audio_")):
            importlib.import_module(f"{package.__name__}.{module.name}")
    return ReadOnlyDict(READERS)


def towers_of(config: Mapping[str, Any], path: str, hidden: int) -> tuple[tuple[Tower, ...], tuple[str, ...]]:
    """The towers of a multimodal config, and notes.

    Args:
        config: the whole config.
        path: its origin, for errors.
        hidden: width of the text model.

    Returns:
        the towers and the notes; a tower whose wrapper isn't mapped is left out, which a note says.
    """
    towers: list[Tower] = []
    notes: list[str] = []
    for where, holder, group in _described(config, path):
        if group not in _GROUPS:
            notes.append(f"{group} of {holder.get('model_type')} is not mapped: left out")
            continue
        name, wrapper, inner = _GROUPS[group], str(holder.get("model_type")), holder[group]
        if not isinstance(inner, Mapping):
            raise ConfigError(f"{where}.{group}", type(inner).__name__, "must be a group of keys", 'give {"hidden_size": …}', "wrong-type")
        reader = readers().get((wrapper, group))
        if reader is None:
            notes.append(f"the {name} tower of {wrapper} is not mapped: left out")
            continue
        outer, own = Config(holder, where), Config(inner, f"{where}.{group}")
        towers.append(reader(outer, own, hidden))
        notes.append(f"{name} tower: left out of totals unless towers='all'")
        notes += [f"{name} tower: {note}" for note in (*outer.notes, *own.notes)]
    return tuple(towers), tuple(notes)


def _described(config: Mapping[str, Any], path: str) -> Iterator[tuple[str, Mapping[str, Any], str]]:
    """Groups of a wrapper, and of wrappers inside it, that describe models other than the text model: the path and the keys of the group
    that contains each, and its name.
    """
    wraps = any(isinstance(config.get(key), Mapping) for key in TEXT_KEYS)
    for group, given in config.items():
        other = isinstance(given, Mapping) and group.endswith("_config") and group not in _ELSEWHERE and (wraps or "model_type" in given)
        if other or (group in _GROUPS and given is not None):
            yield path, config, group
    for key in TEXT_KEYS:
        inner = config.get(key)
        if isinstance(inner, Mapping) and path.count(".") < _DEEPEST:
            yield from _described(inner, f"{path}.{key}")


_ELSEWHERE = (*TEXT_KEYS, "quantization_config", "compression_config", "generation_config")
"""Groups of a wrapper that are read elsewhere, or that describe no model."""
_DEEPEST = 4
"""Largest nesting depth of wrappers."""
