"""Files that wrap a text model: vision-language models, speech models, omni models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...core.errors import ConfigError
from .classes import config_class
from .heads import scores_labels

TEXT_KEYS = ("text_config", "llm_config", "language_config", "thinker_config", "language_model_config", "llm")
"""Groups in which wrappers keep their text model."""
_OWN_HEAD = "tie_word_embeddings"
"""Keys about the head in a wrapper; they take precedence over those of the text model."""
_SCORED = ("architectures", "num_labels", "id2label", "problem_type")
"""Keys about a head of scores, which a wrapper's class puts on its text model."""
_TIMES = 4


def enter(outer: Mapping[str, Any], path: str) -> tuple[Mapping[str, Any], str, str | None]:
    """The config of the text model, its path in the file, and a note if it is part of a larger model.

    Raises:
        ConfigError: two groups that could each be the text model, or one nested in itself.
    """
    data, where, note = outer, path, None
    for _ in range(_TIMES):
        found = [key for key in TEXT_KEYS if data.get(key) is not None]
        if odd := next((key for key in found if not isinstance(data[key], Mapping)), None):
            raise ConfigError(f"{where}.{odd}", type(data[odd]).__name__, "must be a group of keys", 'give {"model_type": …}', "wrong-type")
        if len(found) > 1 and any(data[key] != data[found[0]] for key in found):
            raise ConfigError(
                f"{where}.{found[1]}", None, f"is given together with {found[0]}", "give the text model's config alone", "conflict"
            )
        kind = data.get("model_type")
        known = config_class(kind)
        if not found:
            if known.text_key is None:
                return data, where, note
            if "hidden_size" in data:  # older files have the text model's keys at the top level
                note = note or f"text model of {kind}"
                return {**data, "model_type": known.text_type}, where, note
            inner: Mapping[str, Any] = known.text_given  # a wrapper whose class gives the text model
            found = [known.text_key]
        else:
            inner = data[found[0]]
        inner_kind = inner.get("model_type") or known.text_type
        if inner_kind is None:
            raise ConfigError(
                f"{where}.{found[0]}.model_type", None, "is missing", "give the type of the text model: llama, qwen2 …", "missing"
            )
        head = {_OWN_HEAD: data[_OWN_HEAD]} if data.get(_OWN_HEAD) is not None else {}
        below = {key: data[key] for key in ("is_causal", *(_SCORED if scores_labels(data) else ())) if key in data}
        note = note or _noted(kind, data, inner, known.defaults.get(_OWN_HEAD), config_class(inner_kind).defaults.get(_OWN_HEAD))
        if inner is known.text_given:
            note = f"{note}; {known.text_key} is left out: sizes of the class"
        data, where = {**below, **inner, **head, "model_type": inner_kind}, f"{where}.{found[0]}"
    raise ConfigError(where, None, f"is nested deeper than {_TIMES} wrappers", "give the text model's config alone", "too-deep")


def _noted(kind: Any, outer: Mapping[str, Any], inner: Mapping[str, Any], outer_ties: Any, inner_ties: Any) -> str:
    """The note on a wrapper: its type, and whether it and its text model disagree about the head."""
    note, said = f"text model of {kind}{_headless(outer)}", (outer.get(_OWN_HEAD), inner.get(_OWN_HEAD))
    if said[0] is not None and said[1] is not None and said[0] != said[1]:
        return f"{note}; its {_OWN_HEAD}={str(said[0]).lower()} holds, not the text model's"
    if said[0] is None and outer_ties and not (inner_ties if said[1] is None else said[1]):
        return f"{note}; untied head, as in the text model, although the wrapper's class ties it if {_OWN_HEAD} is left out"
    return note


def _headless(outer: Mapping[str, Any]) -> str:
    """A remark on a wrapper whose class has no head by its name, such as an embedding model."""
    names = outer.get("architectures")
    name = str(names[0]) if isinstance(names, list) and names else ""
    return f"; a vocabulary head is counted, which {name} may lack" if name.endswith("Model") and "Chat" not in name else ""
