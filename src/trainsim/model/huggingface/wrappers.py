"""Files that wrap a text model: vision-language models, speech models, omni models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...core.errors import ConfigError
from .classes import config_class

TEXT_KEYS = ("text_config", "llm_config", "language_config", "thinker_config", "language_model_config", "llm")
"""Where wrappers keep their text model."""
_SHARED = ("tie_word_embeddings", "is_causal")
_TIMES = 4


def enter(outer: Mapping[str, Any], path: str) -> tuple[Mapping[str, Any], str, str | None]:
    """The config of the text model, where it stands, and a note where it is part of something larger.

    Raises:
        ConfigError: two groups that could each be the text model, or one nested in itself.
    """
    data, where, note = outer, path, None
    for _ in range(_TIMES):
        found = [key for key in TEXT_KEYS if isinstance(data.get(key), Mapping)]
        if len(found) > 1 and any(data[key] != data[found[0]] for key in found):
            raise ConfigError(f"{where}.{found[1]}", None, f"stands beside {found[0]}", "give the text model's config alone", "conflict")
        kind = data.get("model_type")
        known = config_class(kind)
        if not found:
            if known.text_key is None:
                return data, where, note
            if "hidden_size" in data:  # older files hold the text model's keys at the top
                note = note or f"text model of {kind}"
                return {**data, "model_type": known.text_type}, where, note
            inner: Mapping[str, Any] = {}  # a wrapper that leaves its text model to the class
            found = [known.text_key]
        else:
            inner = data[found[0]]
        inner_kind = inner.get("model_type") or known.text_type
        if inner_kind is None:
            raise ConfigError(
                f"{where}.{found[0]}.model_type", None, "is missing", "give the type of the text model: llama, qwen2 …", "missing"
            )
        shared = {key: data[key] for key in _SHARED if key in data}
        data, where = {**shared, **inner, "model_type": inner_kind}, f"{where}.{found[0]}"
        note = note or f"text model of {kind}"
    raise ConfigError(where, None, f"is nested deeper than {_TIMES} wrappers", "give the text model's config alone", "too-deep")
