"""A reader of ``config.json``. Every key must be read by the family or be known as harmless; any other key is an error."""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ...core.errors import ConfigError, RuleId
from ..layers import MAX_LAYERS
from .classes import ConfigClass
from .harmless import is_harmless

_LARGEST = 10**9
SECOND_NAMES: dict[str, tuple[str, ...]] = {
    "hidden_size": ("n_embd", "n_embed", "d_model", "emb_dim"),
    "num_hidden_layers": ("n_layer", "n_layers", "num_layers"),
    "num_attention_heads": ("n_head", "n_heads", "num_heads", "attention_heads"),
    "num_key_value_heads": ("num_kv_heads", "n_head_kv"),
    "num_experts": ("num_local_experts", "n_routed_experts", "moe_num_experts"),
    "num_experts_per_tok": ("experts_per_token", "num_experts_per_token", "moe_topk", "moe_top_k", "moe_k", "top_k_experts"),
    "num_shared_experts": ("n_shared_experts", "moe_num_shared_experts"),
    "num_nextn_predict_layers": ("num_mtp_layers",),
    "sliding_window": ("sliding_window_size",),
}
"""Names that different families give one size."""


OFF: dict[str, tuple[Any, ...]] = {
    **dict.fromkeys(("attention_bias", "qkv_bias", "mlp_bias", "use_bias", "lm_head_bias", "attention_out_bias"), (False, None)),
    **dict.fromkeys(("add_cross_attention", "use_sliding_window", "use_qk_norm", "qk_layernorm", "use_mla", "use_cla"), (False, None)),
    **dict.fromkeys(("sliding_window", "attention_chunk_size", "index_topk_pattern", "layer_types", "mlp_layer_types"), (None,)),
    **dict.fromkeys(
        (
            "num_nextn_predict_layers",
            "shared_intermediate_size",
            "shared_expert_intermediate_size",
            "n_shared_experts",
            "num_shared_experts",
        ),
        (0, None),
    ),
    **dict.fromkeys(("q_lora_rank", "kv_lora_rank", "head_dim", "per_layer_config", "mlp_only_layers"), (None,)),
}
"""Keys with one meaning in every family → the values that mean the model lacks that feature."""


class Config:
    """Reads keys of a config, and records which were read and which defaults were used.

    Args:
        data: the config as a dict.
        path: its origin, for errors.
        known: its config class, with defaults and second names.
        nested: whether the config is inside a wrapper's. In a nested config Hugging Face writes only values that differ from the class's
            defaults, so that sizes may be left out there.
        names: key → the one name that this family's files give it.
    """

    def __init__(
        self,
        data: Mapping[str, Any],
        path: str = "config",
        known: ConfigClass | None = None,
        *,
        nested: bool = False,
        names: Mapping[str, str] | None = None,
    ) -> None:
        self.data, self.path, self.known, self.nested = data, path, known or ConfigClass(), nested
        self.renamed = names or {}
        self.causal = True
        """Whether a query attends to only earlier keys."""
        self.asked: set[str] = set()
        self.notes: list[str] = []

    # names and values --------------------------------------------------------------------------------------------

    def names(self, *keys: str) -> tuple[str, ...]:
        """Every name that a file may use for a value: that of the family, of the class, and of other families."""
        found: list[str] = []
        for key in keys:
            if key in self.renamed:
                found.append(self.renamed[key])
                continue
            second = [other for other, own in self.known.names.items() if own == key]
            own = self.known.names.get(key)
            found += [*([own] if own else []), key, *second, *SECOND_NAMES.get(key, ())]
        return tuple(dict.fromkeys(found))

    def has(self, key: str) -> bool:
        """Whether the file has a value for a key, under any of the key's names."""
        return self._value(key) is not None

    def called(self, *keys: str) -> str:
        """The first of a value's names that the file uses; the first name if it uses none."""
        names = self.names(*keys)
        self.asked.update(names)
        return next((n for n in names if self.data.get(n) is not None), next((n for n in names if n in self.data), names[0]))

    def null(self, key: str) -> bool:
        """Whether a key is given as null. Null means "has none"; a key that is left out takes the default."""
        name = self.called(key)
        return name in self.data and self.data[name] is None

    def default(self, key: str) -> Any:
        """The class's default for a key; None if the class derives the value."""
        return next((self.known.defaults[n] for n in self.names(key) if self.known.defaults.get(n) is not None), None)

    def value(self, key: str) -> Any:
        """The file's value, or the class default."""
        found = self._value(key)
        return self.default(key) if found is None and not self.null(key) else found

    def _value(self, key: str) -> Any:
        return self.data.get(self.called(key))

    def fail(self, key: str, rule: str, remedy: str, rule_id: RuleId = "conflict") -> ConfigError:
        """The error for a key."""
        name = self.called(key)
        return ConfigError(f"{self.path}.{name}", self.data.get(name), rule, remedy, rule_id)

    def note(self, text: str) -> None:
        """Record an assumption for the model's notes."""
        self.notes.append(text)

    def inside(self, key: str) -> Config:
        """A nested group of keys (DBRX's ``attn_config``) as a config of its own; call ``close`` when all keys are read."""
        self.asked.add(key)
        group = self.data.get(key, {})
        if not isinstance(group, Mapping):
            raise self.fail(key, "must be a group of keys", 'give {"key": value, …}', "wrong-type")
        inner = Config(group, f"{self.path}.{key}")
        inner.notes = self.notes
        return inner

    def changed(self, changes: Mapping[str, Any]) -> Config:
        """The config with other values for some keys, such as those of one layer. Both configs share their notes."""
        if not changes:
            return self
        names = {self.called(key): value for key, value in changes.items()}
        other = Config({**self.data, **names}, self.path, self.known, nested=self.nested, names=self.renamed)
        other.asked, other.notes, other.causal = self.asked, self.notes, self.causal
        return other

    def per_layer_changes(self, lists: Mapping[str, str], layers: int) -> list[dict[str, Any]]:
        """Changed keys of each layer, from lists and from the groups of ``per_layer_config``.

        Args:
            lists: key → key of the list that holds its value for each layer.
            layers: number of layers.

        Raises:
            ConfigError: a list of another length, or a group for a layer that doesn't exist.
        """
        changes: list[dict[str, Any]] = [{} for _ in range(layers)]
        for key, where in lists.items():
            for i, value in enumerate(self.per_layer(where, layers) or ()):
                changes[i][key] = value
        groups = self.data.get("per_layer_config")
        self.asked.add("per_layer_config")
        if groups is not None and not isinstance(groups, Mapping):
            raise self.fail("per_layer_config", "must be a group of layers", 'give {"0": {"head_dim": 64}}', "wrong-type")
        for index, group in (groups or {}).items():
            if not str(index).isdigit() or int(index) >= layers or not isinstance(group, Mapping):
                raise self.fail(
                    "per_layer_config", f"contains {reprlib.repr(index)}", f"name layers 0 to {layers - 1}, each with a group of keys"
                )
            changes[int(index)] |= group
        return changes

    # sizes and numbers -------------------------------------------------------------------------------------------

    def size(self, *keys: str) -> int:
        """A size that must be given, under one of its names; in a nested config the class may give it.

        Raises:
            ConfigError: missing, or not a positive integer.
        """
        names = self.names(*keys)
        if (given := self._given(names)) is not None:
            return given
        if self.nested and not any(name in self.data for name in names):
            default = next((d for key in keys if (d := self.default(key)) is not None), None)
            if default is not None:
                return self._taken(names[0], self._positive(names[0], default), "class default")
        near = [k for k in self.data if k not in self.asked and difflib.SequenceMatcher(None, k, keys[0]).ratio() > 0.75]
        meant = f"; did you mean {near[0]!r}?" if near else ""
        raise ConfigError(f"{self.path}.{names[0]}", None, "is missing", f"give {names[0]} as a positive integer{meant}", "missing")

    def _given(self, names: Sequence[str]) -> int | None:
        """A size that the file gives, under one of its names or under several with one value."""
        self.asked.update(names)
        given = {name: self._positive(name, self.data[name]) for name in names if self.data.get(name) is not None}
        if len(set(given.values())) > 1:
            first, second, *_ = given
            raise ConfigError(
                f"{self.path}.{second}",
                given[second],
                f"contradicts {first}={given[first]}",
                "both keys name the same size: keep one",
                "conflict",
            )
        return next(iter(given.values()), None)

    def layers(self, *keys: str) -> int:
        """The number of layers, checked against its upper bound before anything is built.

        Raises:
            ConfigError: missing, not a positive integer, or above the largest number of layers.
        """
        number = self.size(*keys)
        if number > MAX_LAYERS:
            raise self.fail(self.called(*keys), f"is above {MAX_LAYERS} layers", "check the config", "out-of-bounds")
        return number

    def optional(self, *keys: str, default: int, why: str = "class default") -> int:
        """A size that may be left out. A note records the default used, that of the class or the given one."""
        key = self.called(*keys)
        if (given := self._given(self.names(*keys))) is not None:
            return given
        known = None if self.null(key) else self.default(keys[0])
        return self._taken(key, default, why) if known is None else self._taken(key, self._positive(key, known), "class default")

    def size_or_none(self, key: str, default: int | None = None) -> int | None:
        """A size that null turns off; the class default if it is left out."""
        name = self.called(key)
        if (given := self._given(self.names(key))) is not None:
            return given
        known = self.default(key) or default
        if known is None or self.null(key):
            return None
        return self._taken(name, known, "class default")

    def count(self, *keys: str, default: int = 0) -> int:
        """A number >= 0; null is zero, and a default other than zero is noted."""
        name = self.called(*keys)
        value = self.data.get(name)
        if value is None:
            known = 0 if self.null(name) else self.default(keys[0]) or default
            return self._taken(name, int(known), "class default") if known else 0
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _LARGEST:
            raise self.fail(name, "must be an integer >= 0", "give how many there are", "wrong-type")
        return value

    def _taken(self, key: str, value: int, why: str) -> int:
        self.note(f"{key} not given: {value} ({why})")
        return value

    def _positive(self, key: str, value: Any) -> int:
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1 or value > _LARGEST:
            raise self.fail(key, "must be a positive integer up to 1e9", f"give {key} as a plain number", "wrong-type")
        return value

    # flags and lists ---------------------------------------------------------------------------------------------

    def flag(self, key: str, *, default: bool = False) -> bool:
        """True or false; a note records a default used. Null is false, as in the classes."""
        name = self.called(key)
        if self.null(key):
            self.note(f"{name} is null: false")
            return False
        if self.data.get(name) is None:
            known = self.default(key)
            taken = default if known is None else bool(known)
            self.note(f"{name} not given: {str(taken).lower()} (class default)")
            return taken
        if not isinstance(self.data[name], bool):
            raise self.fail(name, "must be true or false", "write it without quotes", "wrong-type")
        return bool(self.data[name])

    def switch(self, given: bool | str) -> bool:  # noqa: FBT001  (the value itself, not an option)
        """A constant, or the flag that a key holds."""
        return self.flag(given) if isinstance(given, str) else given

    def number(self, given: int | str) -> int:
        """A constant, or the size that a key holds."""
        return self.size(given) if isinstance(given, str) else given

    def words(self, key: str, known: Sequence[str] | Callable[[str], bool], length: int) -> list[str] | None:
        """A list of one known word per layer, or None if absent."""
        if not self.has(key):
            return None
        value = self._list(key, length)
        allowed = known if callable(known) else known.__contains__
        odd = next((word for word in value if not isinstance(word, str) or not allowed(word)), None)
        if odd is not None:
            shown = "give a word of this family" if callable(known) else f"known: {', '.join(known)}"
            raise self.fail(key, f"contains {reprlib.repr(odd)}", shown, "unknown-name")
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
            raise self.fail(key, f"names layer {max(found)} of {layers}", f"give indices from 0 to {layers - 1}", "out-of-bounds")
        return found

    def _list(self, key: str, length: int | None = None) -> Sequence[Any]:
        value = self._value(key)
        if not isinstance(value, (list, tuple)):
            raise self.fail(key, "must be a list", "give one entry per layer", "wrong-type")
        if length is not None and len(value) != length:
            raise self.fail(key, f"has {len(value)} entries for {length} layers", "give one entry per layer")
        return value

    def _whole(self, key: str, entry: Any) -> int:
        if isinstance(entry, bool) or not isinstance(entry, int) or not 0 <= entry <= _LARGEST:
            raise self.fail(key, f"contains {reprlib.repr(entry)}", "give whole numbers >= 0", "wrong-type")
        return entry

    # rules -------------------------------------------------------------------------------------------------------

    def ignore(self, *keys: str) -> None:
        """Accept keys of the family's files that don't change the shape of a model."""
        for key in keys:
            self.asked.update(self.names(key))

    def fixed(self, key: str, *allowed: Any) -> None:
        """Refuse values of a key other than the allowed ones; the key may be inside a group (``attn_config.qk_ln``)."""
        group, _, inner = key.partition(".")
        if inner:
            self.inside(group).fixed(inner, *allowed)
        elif self.has(key) and self._value(key) not in allowed:
            shown = " or ".join(map(repr, allowed)) or "null"
            raise self.fail(
                key, f"is not mapped for model_type {self.data.get('model_type')!r}", f"give {shown}, the only mapped value", "unsupported"
            )

    def factor(self, key: str, default: float) -> float:
        """A positive number that scales a width; the default if the key is absent or null."""
        value = self.value(key)
        value = default if value is None else value
        self.ignore(key)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 1000:
            raise self.fail(key, "must be a positive number below 1000", f"give {default}", "wrong-type")
        return float(value)

    def at_most(self, key: str, value: int, other: str, bound: int) -> None:
        """Refuse a value above another key's."""
        if value > bound:
            raise self.fail(
                key,
                f"{'is' if self.has(key) else f'has the default {value},'} above {other}={bound}",
                f"give at most {bound}",
                "out-of-bounds",
            )

    def divides(self, key: str, value: int, other: str, whole: int) -> None:
        """Refuse a value that doesn't divide another key's."""
        if whole % value:
            near = [d for d in range(1, min(whole, 4096) + 1) if whole % d == 0]
            near.sort(key=lambda d: abs(d - value))
            default = "" if self.has(key) else f"has the default {value}, which "
            raise self.fail(key, f"{default}does not divide {other}={whole}", f"nearest divisors: {', '.join(map(str, sorted(near[:4])))}")

    def close(self, ignore: Sequence[str] = ()) -> None:
        """Refuse keys that were never read, since they may change the shape.

        Raises:
            ConfigError: names the key and what to do.
        """
        for key, value in self.data.items():
            if key in self.asked or key in ignore or is_harmless(key) or _is_off(key, value):
                continue
            near = difflib.get_close_matches(key, self.asked, n=1, cutoff=0.8)
            meant = f"did you mean {near[0]!r}? Otherwise " if near else ""
            raise self.fail(
                key,
                f"is not mapped for model_type {self.data.get('model_type')!r} and may change the shape",
                f"{meant}pass ignore=({key!r},) if it doesn't",
                "unknown-field",
            )


def _is_off(key: str, value: Any) -> bool:
    """Whether a key says that the model lacks the feature that the key names; 0 doesn't count as false, nor 1 as true."""
    return any(value is off or (value == off and type(value) is type(off)) for off in OFF.get(key, ()))
