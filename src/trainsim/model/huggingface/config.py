"""A ``config.json`` under examination: every key is asked for, harmless by name, or an error."""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Mapping, Sequence
from typing import Any

from ...core.errors import ConfigError, RuleId
from ..transformer import MAX_LAYERS
from .harmless import is_harmless

_LARGEST = 10**9


class Config:
    """Reads keys of a config, remembering which were asked for and which defaults were taken.

    Args:
        data: the config as a dict.
        path: where it came from, for errors.
        sizes: sizes to take where the file leaves them out: Hugging Face writes a nested ``text_config`` as what differs from
            its class; empty for a config that stands alone.
    """

    def __init__(self, data: Mapping[str, Any], path: str = "config", sizes: Mapping[str, int] | None = None) -> None:
        self.data, self.path, self.sizes = data, path, sizes or {}
        self.asked: set[str] = set()
        self.notes: list[str] = []

    # what is there -----------------------------------------------------------------------------------------------

    def has(self, key: str) -> bool:
        """Whether a key is there with a value."""
        self.asked.add(key)
        return self.data.get(key) is not None

    def called(self, *keys: str) -> str:
        """The first of a size's names that the file uses; the first of all if it uses none."""
        return next((key for key in keys if self.has(key)), keys[0])

    def null(self, key: str) -> bool:
        """Whether a key is there and null: "has none", which is not the same as left out."""
        self.asked.add(key)
        return key in self.data and self.data[key] is None

    def fail(self, key: str, rule: str, remedy: str, rule_id: RuleId = "conflict") -> ConfigError:
        """The error for a key."""
        return ConfigError(f"{self.path}.{key}", self.data.get(key), rule, remedy, rule_id)

    def note(self, text: str) -> None:
        """Remember an assumption."""
        self.notes.append(text)

    def inside(self, key: str) -> Config:
        """A nested group of keys (DBRX's ``attn_config``) as a config of its own; close it when it is read."""
        self.asked.add(key)
        group = self.data.get(key, {})
        if not isinstance(group, Mapping):
            raise self.fail(key, "must be a group of keys", 'give {"key": value, …}', "wrong-type")
        inner = Config(group, f"{self.path}.{key}")
        inner.notes = self.notes
        return inner

    # sizes and numbers -------------------------------------------------------------------------------------------

    def size(self, *keys: str) -> int:
        """A size that must be given, under the first of its names that is there.

        Raises:
            ConfigError: missing, or no positive integer.
        """
        given = {key: self._positive(key, self.data[key]) for key in keys if self.has(key)}
        if len(set(given.values())) > 1:
            first, second, *_ = given
            raise self.fail(second, f"contradicts {first}={given[first]}", "they are two names of one size: give one")
        if given:
            return next(iter(given.values()))
        if keys[0] in self.sizes:
            return self._default(keys[0], self.sizes[keys[0]], "class default")
        near = [k for k in self.data if k not in self.asked and difflib.SequenceMatcher(None, k, keys[0]).ratio() > 0.75]
        meant = f"; did you mean {near[0]!r}?" if near else ""
        raise ConfigError(f"{self.path}.{keys[0]}", None, "is missing", f"give {keys[0]} as a positive integer{meant}", "missing")

    def layers(self, *keys: str) -> int:
        """The number of layers, bounded before anything is built.

        Raises:
            ConfigError: missing, no positive integer, or more than anyone trains.
        """
        number = self.size(*keys)
        if number > MAX_LAYERS:
            raise self.fail(self.called(*keys), f"is above {MAX_LAYERS} layers", "check the config", "out-of-bounds")
        return number

    def optional(self, *keys: str, default: int, why: str = "class default") -> int:
        """A size that may be left out; the default taken is noted."""
        for key in keys:
            if self.has(key):
                return self._positive(key, self.data[key])
        return self._default(keys[0], default, why)

    def size_or_none(self, key: str, default: int | None = None) -> int | None:
        """A size that null turns off; left out, it is the class default."""
        if self.has(key):
            return self._positive(key, self.data[key])
        if default is None or self.null(key):
            return None
        return self._default(key, default, "class default")

    def count(self, *keys: str, default: int = 0) -> int:
        """A number of things that may be zero; null is zero, and a default that isn't zero is noted."""
        for key in keys:
            if self.null(key):
                return 0
            if self.has(key):
                value = self.data[key]
                if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _LARGEST:
                    raise self.fail(key, "must be an integer >= 0", "give how many there are", "wrong-type")
                return value
        return self._default(keys[0], default, "class default") if default else 0

    def _default(self, key: str, value: int, why: str) -> int:
        self.note(f"{key} not given: {value} ({why})")
        return value

    def _positive(self, key: str, value: Any) -> int:
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1 or value > _LARGEST:
            raise self.fail(key, "must be a positive integer up to 1e9", f"give {key} as a plain number", "wrong-type")
        return value

    # flags and lists ---------------------------------------------------------------------------------------------

    def flag(self, key: str, *, default: bool) -> bool:
        """True or false; the default taken is noted. Null is false, as it is to the classes."""
        if self.null(key):
            self.note(f"{key} is null: false")
            return False
        if not self.has(key):
            self.note(f"{key} not given: {str(default).lower()} (class default)")
            return default
        if not isinstance(self.data[key], bool):
            raise self.fail(key, "must be true or false", "write it without quotes", "wrong-type")
        return bool(self.data[key])

    def words(self, key: str, known: Sequence[str], length: int) -> list[str] | None:
        """A list of one known word per layer, or None if absent."""
        if not self.has(key):
            return None
        value = self._list(key, length)
        odd = next((word for word in value if word not in known), None)
        if odd is not None:
            raise self.fail(key, f"holds {reprlib.repr(odd)}", f"known: {', '.join(known)}", "unknown-name")
        return [str(word) for word in value]

    def per_layer(self, key: str, length: int) -> list[int] | None:
        """A number >= 0 for every layer, or None if absent."""
        return [self._whole(key, entry) for entry in self._list(key, length)] if self.has(key) else None

    def positions(self, key: str, layers: int) -> list[int] | None:
        """Indices of layers, or None if absent."""
        if not self.has(key):
            return None
        found = [self._whole(key, entry) for entry in self._list(key)]
        if any(i >= layers for i in found):
            raise self.fail(key, f"names layer {max(found)} of {layers}", "layers count from 0", "out-of-bounds")
        return found

    def _list(self, key: str, length: int | None = None) -> Sequence[Any]:
        value = self.data[key]
        if not isinstance(value, (list, tuple)):
            raise self.fail(key, "must be a list", "give one entry per layer", "wrong-type")
        if length is not None and len(value) != length:
            raise self.fail(key, f"has {len(value)} entries for {length} layers", "give one entry per layer")
        return value

    def _whole(self, key: str, entry: Any) -> int:
        if isinstance(entry, bool) or not isinstance(entry, int) or not 0 <= entry <= _LARGEST:
            raise self.fail(key, f"holds {reprlib.repr(entry)}", "give whole numbers >= 0", "unknown-name")
        return entry

    # rules -------------------------------------------------------------------------------------------------------

    def ignore(self, *keys: str) -> None:
        """Keys that stand in files of this family and leave its shape alone."""
        self.asked.update(keys)

    def fixed(self, key: str, *allowed: Any) -> None:
        """A key whose other values this family's class has no shape for."""
        if self.has(key) and self.data[key] not in allowed:
            shown = " or ".join(map(repr, allowed))
            raise self.fail(key, f"is not mapped for model_type {self.data.get('model_type')!r}", f"only {shown} is", "unsupported")

    def at_most(self, key: str, value: int, other: str, bound: int) -> None:
        """Refuse a value above another key's."""
        if value > bound:
            raise self.fail(
                key, f"{'' if self.has(key) else f'(default {value}) '}is above {other}={bound}", f"give at most {bound}", "out-of-bounds"
            )

    def divides(self, key: str, value: int, other: str, whole: int) -> None:
        """Refuse a value that doesn't divide another key's."""
        if whole % value:
            near = [d for d in range(1, min(whole, 4096) + 1) if whole % d == 0]
            near.sort(key=lambda d: abs(d - value))
            default = "" if self.has(key) else f"(default {value}) "
            raise self.fail(key, f"{default}does not divide {other}={whole}", f"nearest divisors: {', '.join(map(str, sorted(near[:4])))}")

    def close(self, ignore: Sequence[str] = ()) -> None:
        """Refuse keys nobody asked for whose value could change the shape.

        Raises:
            ConfigError: names the key and what to do.
        """
        for key, value in self.data.items():
            if key in self.asked or key in ignore or _inert(key, value) or is_harmless(key):
                continue
            near = difflib.get_close_matches(key, self.asked, n=1, cutoff=0.8)
            meant = f"did you mean {near[0]!r}? Otherwise " if near else ""
            raise self.fail(
                key,
                f"is not mapped for model_type {self.data.get('model_type')!r} and may change the shape",
                f"{meant}pass ignore=({key!r},) if it doesn't",
            )


def _inert(key: str, value: Any) -> bool:
    """Whether a value says "none of it", or is a word; layers that are all full attention say nothing either."""
    everywhere = key == "layer_types" and isinstance(value, list) and set(map(str, value)) == {"full_attention"}
    return everywhere or isinstance(value, str) or value in (None, False, 0, [], {})
