"""The door: a config, a path to one, or an object that can become one → Model."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from ...core.errors import ConfigError, TrainsimError, did_you_mean, recast
from ..transformer import Model
from .config import Config
from .document import document
from .unfit import TEXT_OF, UNFIT

Mapper = Callable[[Config], Model]
FAMILIES: dict[str, Mapper] = {}
"""``model_type`` → mapping; each family registers itself with ``@family``."""


def family(*model_types: str) -> Callable[[Mapper], Mapper]:
    """Register a mapping for some model types."""

    def register(mapper: Mapper) -> Mapper:
        FAMILIES.update(dict.fromkeys(model_types, mapper))
        return mapper

    return register


@cache
def families() -> dict[str, Mapper]:
    """Every mapped family; importing the files of this folder registers them."""
    package = importlib.import_module(__package__ or "")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")
    return dict(sorted(FAMILIES.items()))


def from_hf(config: str | Path | Mapping[str, Any] | Any, *, ignore: Sequence[str] = ()) -> Model:
    """A Model from a Hugging Face ``config.json``; nothing is ever fetched.

    Args:
        config: path of a file (or of the folder that holds ``config.json``), a dict, or any object with ``to_dict()``.
        ignore: keys to pass over although no mapping knows them.

    Returns:
        the model; ``model.notes`` lists the class defaults that were taken.

    Raises:
        ConfigError: unreadable file, unknown ``model_type``, a missing size, a contradiction, or a key that may change the
            shape and is not mapped.

    >>> tiny = {"model_type": "llama", "hidden_size": 64, "intermediate_size": 256, "num_hidden_layers": 2,
    ...         "num_attention_heads": 4, "vocab_size": 100}
    >>> from_hf(tiny).layers
    2
    """
    outer, path = document(config)
    asked = _enter(outer, path)
    kind = asked.data.get("model_type")
    try:
        model = _mapping(kind, asked.path)(asked)
    except ConfigError:
        raise
    except TrainsimError as error:
        raise recast(error, ConfigError, f"{asked.path}: {error.path}") from None
    asked.close(ignore)
    block = _quantisation(asked) or _quantisation(Config(outer))
    return model.model_copy(update={"notes": tuple(dict.fromkeys(asked.notes)), "quantization_block": block})


def _enter(outer: Mapping[str, Any], path: str) -> Config:
    """The text model of a config: of the whole file, or of its ``text_config`` where it wraps a text model."""
    inner = outer.get("text_config")
    if not isinstance(inner, Mapping):
        return Config(outer, path)
    wrapper = str(outer.get("model_type"))
    kind, sizes = TEXT_OF.get(wrapper, (wrapper, {}))
    shared = {key: outer[key] for key in ("tie_word_embeddings",) if key in outer}
    entered = Config({"model_type": kind, **shared, **inner}, f"{path}.text_config", sizes)
    entered.note(f"text model of {wrapper}: its other towers are left out")
    return entered


def _mapping(kind: Any, path: str) -> Mapper:
    known = families()
    if isinstance(kind, str) and kind in known:
        return known[kind]
    by_hand = "build a ts.Model by hand (examples/04_a_layer_of_your_own.py)"
    if isinstance(kind, str) and kind in UNFIT:
        raise ConfigError(
            f"{path}.model_type",
            kind,
            f"does not fit: {UNFIT[kind]}",
            f"{by_hand}, or add a family (docs/adding-a-family.md)",
            "unsupported",
        )
    everyone = f"known: {', '.join(known)}"
    near = did_you_mean(str(kind)[:80], known)
    offer = everyone if near.startswith("known") else f"{near} {everyone}"
    raise ConfigError(f"{path}.model_type", kind, "is no mapped family", f"{offer}; or {by_hand}", "unknown-name")


def _quantisation(config: Config) -> int | None:
    """Side of the quantised blocks: quantisation is a dtype with scales, no change of shape."""
    given = config.data.get("quantization_config")
    sides = given.get("weight_block_size") if isinstance(given, Mapping) else None
    return int(sides[0]) if isinstance(sides, Sequence) and len(sides) > 0 and isinstance(sides[0], int) else None
