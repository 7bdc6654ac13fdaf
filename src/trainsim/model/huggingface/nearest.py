"""The mapped family whose keys are nearest to those of an unknown model type."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

from ...core.errors import did_you_mean
from .classes import config_class
from .config import SECOND_NAMES
from .harmless import is_harmless

_SHOWN, _MOST = 6, 500
_PLAIN = "llama"
_OF_ANY = ("layer_types", "tie_word_embeddings")
"""Keys that occur in so many families that they identify none."""
_FIRST = {name: key for key, names in SECOND_NAMES.items() for name in names}


def nearest(data: Mapping[str, Any], kind: str, mapped: Iterable[str]) -> str:
    """A suggestion for a config of an unknown type: a type with a similar name, and the family that knows most of its keys.

    If several families know the same number of its keys, Llama is taken if it is one of them, since most others vary its shape; else the
    family with the fewest further keys. Keys that change no shape don't count.
    """
    families = list(mapped)
    meant = did_you_mean(kind[:80], families) if kind else ""
    keys = _shaping(data)
    known = {name: _shaping(config_class(name).defaults) for name in families if config_class(name).defaults}
    if not keys or not known:
        return meant if meant.startswith("did") else f"known: {', '.join(families)}"
    best = min(known, key=lambda name: (len(keys - known[name]), name != _PLAIN, len(known[name] - keys), name))
    theirs = known[best]
    more = sorted(keys - theirs)[:_SHOWN]
    less = sorted(theirs - keys)[:_SHOWN]
    differ = "; ".join(
        part
        for part in (f"only in this config: {', '.join(more)}" if more else "", f"only in {best}: {', '.join(less)}" if less else "")
        if part
    )
    offer = f"the nearest mapped shape is {best!r} ({differ or 'the same keys'}): as_family={best!r} reads it so"
    return f"{meant} {offer}" if meant.startswith("did") else offer


def _shaping(data: Mapping[str, Any]) -> frozenset[str]:
    """Keys that can change a shape, each under one name."""
    return frozenset(_FIRST.get(key, key) for key in islice(data, _MOST) if not is_harmless(key) and key not in _OF_ANY)
