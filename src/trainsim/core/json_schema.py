"""The JSON Schema of a saved spec, the files that ``save`` writes and ``load`` reads."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from .by_name import BY_NAME
from .family import FAMILY, Family
from .registry import kind_of, members

Schema = dict[str, Any]


def file_schema(cls: Any) -> Schema:
    """The JSON Schema of a saved spec. It lists every member of a family with its fields, and allows a text wherever a number may be a
    text.

    Args:
        cls: the spec's class.

    >>> from trainsim.cost.rental import Rental
    >>> sorted(file_schema(Rental)["properties"])[-2:]
    ['term', 'usd_per_gpu_hour']
    """
    made = _Definitions()
    body = made.described(cls)
    made.add_families()
    head = {"spec": {"const": kind_of(cls)}, "sources": {"type": "object", "additionalProperties": {"type": "string"}}}
    body["properties"] = head | body["properties"]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **body, "$defs": dict(sorted(made.defs.items()))}


class _Definitions:
    """The definitions to which a schema refers, each written once."""

    def __init__(self) -> None:
        self.defs: Schema = {}
        self.asked: list[str] = []

    def described(self, cls: Any) -> Schema:
        """The schema of a class; schemas that it refers to are added to the definitions."""
        made: Schema = cls.model_json_schema()
        inner = made.pop("$defs", {})
        for name, schema in inner.items():
            self.defs.setdefault(name, _with_kind(self.resolved(schema, inner)))
        body: Schema = self.resolved(made, inner)
        return body

    def add_families(self) -> None:
        """Define every family that a schema refers to, and those that their members refer to."""
        while waiting := [name for name in dict.fromkeys(self.asked) if name not in self.defs]:
            for name in waiting:
                self.defs[name] = {}  # a member may contain members of its own family
                face = next(one for one in _abstract(Family) if one.__name__ == name)
                finals = {kind: cls for kind, cls in sorted(members(face).items()) if not inspect.isabstract(cls)}
                self.defs[name] = {"anyOf": [_with_kind(self.described(cls), kind) for kind, cls in finals.items()]}

    def resolved(self, node: Any, inner: Mapping[str, Any]) -> Any:
        """A schema with the placeholders of families and of named lists replaced by their schemas."""
        if isinstance(node, list):
            return [self.resolved(one, inner) for one in node]
        if not isinstance(node, dict):
            return node
        if FAMILY in node:
            self.asked.append(node[FAMILY])
            return {"$ref": f"#/$defs/{node[FAMILY]}", "description": node["description"]}
        made = {key: self.resolved(value, inner) for key, value in node.items() if key != BY_NAME}
        if BY_NAME not in node:
            return made
        item = self.resolved(inner[node["items"]["$ref"].rpartition("/")[2]], inner)
        return {"anyOf": [{"type": "object", "additionalProperties": _without_name(item)}, made]}


def _abstract(face: type) -> Iterator[type]:
    """The base classes of all families below one."""
    child: type
    for child in face.__subclasses__():
        if inspect.isabstract(child):
            yield child
        yield from _abstract(child)


def _with_kind(schema: Schema, kind: str = "") -> Schema:
    """A schema of a family's member with its kind, which is required if a field accepts several members."""
    title = str(schema.get("title", ""))
    faces = list(_abstract(Family))
    if not kind and not any(title == cls.__name__ for face in faces for cls in list[type](face.__subclasses__())):
        return schema
    made = {**schema, "properties": {"kind": {"const": kind or title}, **schema.get("properties", {})}}
    return made | ({"required": ["kind", *schema.get("required", ())]} if kind else {})


def _without_name(item: Schema) -> Schema:
    """The fields of an item without its name, which is the key of the item in a file."""
    made = {**item, "properties": {name: field for name, field in item.get("properties", {}).items() if name != "name"}}
    return made | {"required": [name for name in item.get("required", ()) if name != "name"]}
