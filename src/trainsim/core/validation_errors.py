"""Convert pydantic's validation report into one error with path, value, rule and remedy."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel
from pydantic_core import PydanticCustomError

from .errors import RuleId, SpecError, TrainsimError, did_you_mean

if TYPE_CHECKING:
    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

_REMEDIES = {
    "string_type": "a text in quotes",
    "int_type": "a whole number",
    "literal_error": "one of these words",
    "is_instance_of": "a list",
    "bool_type": "true or false",
    "greater_than": "a larger number",
    "greater_than_equal": "a larger number",
    "less_than": "a smaller number",
    "less_than_equal": "a smaller number",
    "too_short": "more entries",
    "too_long": "fewer entries",
}
"""Pydantic's error type → what to give instead."""
_BOUNDS = {"gt": ">", "ge": ">=", "lt": "<", "le": "<="}
"""Bound in pydantic's report → its sign."""
_RULES: Mapping[str, RuleId] = {"literal_error": "unknown-name", "enum": "unknown-name", "finite_number": "not-finite"}
"""Pydantic's error type → rule id; other types are handled by :func:`_rule_id_of`."""


def field_error(rule: str, remedy: str, rule_id: RuleId) -> PydanticCustomError:
    """The error that a field's validator raises; :func:`to_trainsim_error` adds path and value."""
    return PydanticCustomError("trainsim", "{rule}", {"rule": rule, "remedy": remedy, "rule_id": rule_id})


def to_trainsim_error(cls: Any, error: ValidationError, fields: Mapping[str, Any]) -> TrainsimError:
    """The first problem of a validation as an error. A misspelt field is reported before the required field that it leaves empty."""
    problems = error.errors(include_url=False)
    first: ErrorDetails = next((c for c in problems if c["type"] == "extra_forbidden"), problems[0])
    path = _dotted_path(first["loc"], fields)
    context = first.get("ctx", {})
    match first["type"]:
        case "trainsim":
            return SpecError(path or cls.__name__, first["input"], context["rule"], context["remedy"], context["rule_id"])
        case "missing":
            return SpecError(path, None, "is required", f"give {path.rpartition('.')[2]}", "missing")
        case "extra_forbidden":
            owner = _owner(cls, first["loc"])
            meant = did_you_mean(path.rpartition(".")[2], owner.model_fields, "its fields")
            return SpecError(path, first["input"], f"is not a field of {owner.__name__}", meant, "unknown-field")
        case "value_error" if isinstance(inner := context.get("error"), TrainsimError):
            return inner.at(".".join(p for p in (path, inner.path) if p))
        case "model_type":
            name = context["class_name"]
            return SpecError(
                path or cls.__name__, first["input"], f"must be a {name}", f"give a {name}, or a dict of its fields", "wrong-type"
            )
        case kind:
            rule = f"{first['msg'][0].lower()}{first['msg'][1:]}".replace("input should", "must")
            if bound := next((name for name in _BOUNDS if name in context), None):
                rule = f"must be {_BOUNDS[bound]} {context[bound]:,}"
                word = "larger" if bound[0] == "g" else "smaller"
                return SpecError(path or cls.__name__, first["input"], rule, f"give a {word} number", "out-of-bounds")
            remedy = f"give {_REMEDIES[kind]}" if kind in _REMEDIES else f"see help({_owner(cls, first['loc']).__name__})"
            return SpecError(path or cls.__name__, first["input"], rule, remedy, _rule_id_of(kind))


def _rule_id_of(kind: str) -> RuleId:
    """Rule id of a pydantic error type."""
    bounded = kind.startswith(("greater_than", "less_than", "too_", "string_too_"))
    return _RULES.get(kind, "out-of-bounds" if bounded else "invalid" if kind == "value_error" else "wrong-type")


def _owner(cls: Any, loc: Sequence[int | str]) -> Any:
    """The model that has the last field of a pydantic location."""
    for step in loc[:-1]:
        if step in cls.model_fields:
            cls = next(_models_in(cls.model_fields[step].annotation), cls)
    return cls


def _models_in(annotation: Any) -> Iterator[Any]:
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in getattr(annotation, "__args__", ()):
        yield from _models_in(argument)


def _dotted_path(loc: Sequence[int | str], fields: Mapping[str, Any]) -> str:
    """A pydantic location as a dotted path; list items are addressed by name."""
    words: list[str] = []
    node: Any = fields
    for step in loc:
        if isinstance(step, int) and isinstance(node, (list, tuple)) and step < len(node):
            node = node[step]
            named = node.get("name") if isinstance(node, Mapping) else getattr(node, "name", None)
            words.append(str(named or step))
        elif isinstance(node, Mapping) and step in node:
            node = node[step]
            words.append(str(step))
        elif isinstance(node, Mapping) and isinstance(step, int):
            name = list(node)[step] if step < len(node) else str(step)
            node = node.get(name)
            words.append(str(name))
        else:
            words.append(str(step))
            node = None
    return ".".join(w for w in words if not w.startswith(("function-", "chain")))
