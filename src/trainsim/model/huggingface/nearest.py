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
_FIRST = {name: key for key, names in SECOND_NAMES.items() for name in names}


def nearest(data: Mapping[str, Any], kind: str, known: Iterable[str]) -> str:
    """A suggestion for a config of an unknown type: a type with a similar name, and the family whose keys differ least.

    The distance is the number of keys that one of the two has and the other doesn't, over the keys of either; keys that change no
    shape don't count.
    """
    families = list(known)
    meant = did_you_mean(kind[:80], families)
    keys = _shaping(data)
    scored = sorted((_distance(keys, _shaping(config_class(name).defaults)), name) for name in families if config_class(name).defaults)
    if not keys or not scored:
        return meant if meant.startswith("did") else f"known: {', '.join(families)}"
    best = scored[0][1]
    theirs = _shaping(config_class(best).defaults)
    more = sorted(keys - theirs)[:_SHOWN]
    less = sorted(theirs - keys)[:_SHOWN]
    differ = "; ".join(
        part for part in (f"here alone: {', '.join(more)}" if more else "", f"there alone: {', '.join(less)}" if less else "") if part
    )
    offer = f"the nearest mapped shape is {best!r} ({differ or 'the same keys'}): as_family={best!r} reads it so"
    return f"{meant} {offer}" if meant.startswith("did") else offer


def _shaping(data: Mapping[str, Any]) -> frozenset[str]:
    """Keys that can change a shape, each under one name."""
    return frozenset(_FIRST.get(key, key) for key in islice(data, _MOST) if not is_harmless(key) and key != "layer_types")


def _distance(ours: frozenset[str], theirs: frozenset[str]) -> float:
    return len(ours ^ theirs) / max(len(ours | theirs), 1)
