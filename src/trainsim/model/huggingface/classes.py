"""Defaults of the config classes of transformers, recorded from the classes, one row per ``model_type``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import files
from typing import Any

from ...core.values import ReadOnlyDict


@dataclass(frozen=True)
class ConfigClass:
    """The config class of a model type.

    Args:
        defaults: key → the class's value if a file leaves the key out; null if the class derives the value.
        names: other name of a key → the class's own name.
        text_key, text_type: key of the text model in a class that wraps one, and default type of that text model.
        text_given: keys of the text model if a file leaves it out, where they differ from the defaults of its type.
        causal: name of the causal class of this type in transformers; "" if it has none.
    """

    defaults: Mapping[str, Any] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    text_key: str | None = None
    text_type: str | None = None
    text_given: Mapping[str, Any] = field(default_factory=dict)
    causal: str = ""


@lru_cache(maxsize=1)
def config_classes() -> Mapping[str, ConfigClass]:
    """Every recorded class, by model type.

    Source: transformers 5.24.0, read off the classes by ``tests/peers/record_classes.py``.

    >>> config_classes()["mistral"].defaults["sliding_window"]
    4096
    """
    rows = json.loads(files(__package__ or "").joinpath("classes.json").read_text())["classes"]
    return ReadOnlyDict(
        {kind: ConfigClass(row["defaults"], row.get("names", {}), *_text(row), row.get("causal", "")) for kind, row in rows.items()}
    )


def _text(row: Mapping[str, Any]) -> tuple[str | None, str | None, Mapping[str, Any]]:
    """Key and type of the text model in a wrapper, and what the wrapper gives it."""
    text = row.get("text", {})
    return text.get("key"), text.get("type"), text.get("given", {})


def config_class(kind: Any, defaults: Mapping[str, Any] | None = None) -> ConfigClass:
    """The recorded class of a model type, updated with a family's own defaults; an empty one for an unrecorded type."""
    known = config_classes().get(kind, ConfigClass()) if isinstance(kind, str) else ConfigClass()
    if not defaults:
        return known
    return ConfigClass({**known.defaults, **defaults}, known.names, known.text_key, known.text_type, known.text_given, known.causal)
