"""ByName: a sequence of specs whose items are addressed by name."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic_core import core_schema

from .validation_errors import field_error

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler

BY_NAME = "x-by-name"
"""Mark of a sequence in a JSON Schema, which :mod:`trainsim.core.json_schema` replaces by a mapping from name to item."""


@dataclass(frozen=True)
class ByName:
    """Marks a sequence of specs whose items are addressed by ``name``; a mapping from name to fields is accepted too."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_wrap_validator_function(functools.partial(_by_name, source.__args__[0]), handler(source))

    def __get_pydantic_json_schema__(self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler(schema), BY_NAME: True}


def _by_name(kind: Any, value: Any, read: Any) -> tuple[Any, ...]:
    items = _as_items(value)
    whole = isinstance(items, tuple) and all(isinstance(item, kind) for item in items)
    return _unique(items if whole else read(items))  # a tuple of specs needs no validation


def _as_items(value: Any) -> Any:
    if isinstance(value, Mapping):
        return tuple({**item, "name": name} if isinstance(item, Mapping) else item for name, item in value.items())
    return tuple(value) if isinstance(value, (list, tuple)) else value


def _unique(items: Sequence[Any]) -> tuple[Any, ...]:
    names = [item.name for item in items]
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        raise field_error(f"has two items named {twice[0]!r}", "give each its own name: paths address items by name", "duplicate")
    if bad := [n for n in names if not n or "." in n]:
        raise field_error(f"has an item named {bad[0]!r}", "give it a name without a dot", "invalid")
    return tuple(items)
