"""Record the defaults and names of keys of the transformers config classes.

    python tests/peers/record_classes.py

One row per model type: the defaults of the keys that can change a shape, other names of keys, and for a class that wraps a text model the
key and the type of that model. Figures of transformers 5.24.0; no code of it is copied.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
from pathlib import Path
from typing import Any

import transformers
from transformers import PretrainedConfig
from transformers.models.auto.configuration_auto import CONFIG_MAPPING, CONFIG_MAPPING_NAMES
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES as CAUSAL

from trainsim.model.huggingface.harmless import is_harmless

WHERE = Path(__file__).parents[2] / "src" / "trainsim" / "model" / "huggingface" / "classes.json"
TEXT_KEYS = ("text_config", "thinker_config", "llm_config", "language_config")
BASE = {f.name for f in dataclasses.fields(PretrainedConfig)}
HERE = WHERE.parent
WORDS = {
    word
    for pattern in ("*.py", "families/*.toml")
    for file in HERE.glob(pattern)
    if file.name not in ("harmless.py", "foreign.py", "torchtitan.py")
    for word in re.findall(r'"(\w+)"', file.read_text())
}
"""Keys that some family reads although their names suggest no shape."""
KEPT = {"tie_word_embeddings", "is_decoder", "is_encoder_decoder"}
"""Keys of the base class that can change a shape."""


def defaults(config_class: Any) -> dict[str, Any]:
    """The class's own defaults by its fields; None if the class derives the value."""
    found = {}
    for field in dataclasses.fields(config_class):
        value = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
        if (
            field.name in BASE - KEPT
            or (field.name not in BASE and is_harmless(field.name) and field.name not in WORDS)
            or not plain(value)
        ):
            continue
        if field.name not in KEPT or value:
            found[field.name] = list(value) if isinstance(value, tuple) else value
    return found


def plain(value: object) -> bool:
    """Whether a default is a value of JSON."""
    if isinstance(value, (list, tuple)):
        return all(map(plain, value))
    return value is None or (isinstance(value, (bool, int, float, str)) and math.isfinite(value if isinstance(value, float) else 0.0))


def row(kind: str) -> dict[str, Any]:
    """The record of a model type."""
    config_class = CONFIG_MAPPING[kind]
    made: dict[str, Any] = {"defaults": defaults(config_class)}
    names = {key: own for key, own in config_class.attribute_map.items() if not is_harmless(key) or not is_harmless(own)}
    if names:
        made["names"] = names
    if kind in CAUSAL:
        made["causal"] = CAUSAL[kind]
    for key in TEXT_KEYS:
        if key in getattr(config_class, "sub_configs", {}):
            try:
                inner = getattr(config_class(), key, None)
            except Exception:  # noqa: BLE001  (a class without usable defaults: its declared type)
                inner = None
            inner_type = getattr(inner, "model_type", None) or getattr(config_class.sub_configs[key], "model_type", None)
            if inner_type:
                made["text"] = {"key": key, "type": inner_type}
                if inner is not None and (own := sizes_of_its_own(inner)):
                    made["text"]["given"] = own
    return made


def sizes_of_its_own(inner: Any) -> dict[str, Any]:
    """Values that a wrapper gives a missing text model, if they differ from the text model's own defaults."""
    own, usual = inner.to_dict(), type(inner)().to_dict()
    declared = {"tie_word_embeddings": usual.get("tie_word_embeddings")} | defaults(type(inner))
    said = {name for name in declared.keys() & own.keys() if own[name] != declared[name] and not isinstance(own[name], list)}
    values = {name: own[name] for name in sorted(declared.keys() & own.keys()) if name in said or own[name] != usual.get(name)}
    return {name: value for name, value in values.items() if plain(value)}


if __name__ == "__main__":
    rows: dict[str, dict[str, Any]] = {}
    for kind in CONFIG_MAPPING_NAMES:
        try:
            found = row(kind)
        except Exception as error:  # noqa: BLE001  (a class that needs a package that is not here)
            print(kind, type(error).__name__, str(error)[:80])  # noqa: T201
            continue
        if "causal" in found or "text" in found:
            rows[kind] = found
    for inner_type in {r["text"]["type"] for r in rows.values() if "text" in r} - set(rows):
        if inner_type in CONFIG_MAPPING_NAMES:
            rows[inner_type] = row(inner_type)
    lines = [f"{json.dumps(kind)}: {json.dumps(rows[kind], sort_keys=True)}" for kind in sorted(rows)]
    WHERE.write_text(f'{{"transformers": "{transformers.__version__}", "classes": {{\n' + ",\n".join(lines) + "\n}}\n")
