"""One clear error out of pydantic's report: where, what, which rule, and what to do."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from .errors import SpecError, TrainsimError, did_you_mean

if TYPE_CHECKING:
    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

_GIVE = {"string_type": "a text in quotes", "int_type": "a whole number", "literal_error": "one of these words", "is_instance_of": "a list"}
"""Kind of pydantic's complaint → what to give instead."""


def explained(cls: Any, error: ValidationError, fields: Mapping[str, Any]) -> TrainsimError:
    """The first complaint of a validation, as one clear error; a misspelt field before the one it leaves empty."""
    complaints = error.errors(include_url=False)
    first: ErrorDetails = next((c for c in complaints if c["type"] == "extra_forbidden"), complaints[0])
    path = _spoken(first["loc"], fields)
    rule, remedy = first["msg"], f"see {cls.__name__}"
    context = first.get("ctx", {})
    match first["type"]:
        case "trainsim":
            rule, remedy = context["rule"], context["remedy"]
        case "missing":
            rule, remedy = "is required", f"give {path.rpartition('.')[2]}"
            return SpecError(path, None, rule, remedy)
        case "extra_forbidden":
            owner = _owner(cls, first["loc"])
            rule, remedy = f"is no field of {owner.__name__}", did_you_mean(path.rpartition(".")[2], owner.model_fields, "its fields")
        case "value_error":
            inner = context.get("error")
            if isinstance(inner, TrainsimError):
                return type(inner)(".".join(p for p in (path, inner.path) if p), inner.value, inner.rule, inner.remedy)
            rule, remedy = str(inner), "see the rule"
        case "model_type":
            rule, remedy = f"must be a {context['class_name']}", f"give a {context['class_name']}, or a dict of its fields"
        case _:
            rule = f"{rule[0].lower()}{rule[1:]}".replace("input should", "must")
            remedy = f"give {_GIVE[first['type']]}" if first["type"] in _GIVE else f"see help({_owner(cls, first['loc']).__name__})"
    return SpecError(path or cls.__name__, first["input"], rule, remedy)


def _owner(cls: Any, loc: Sequence[int | str]) -> Any:
    """The model whose field a pydantic location ends at."""
    for step in loc[:-1]:
        if step in cls.model_fields:
            cls = next(_models_in(cls.model_fields[step].annotation), cls)
    return cls


def _models_in(annotation: Any) -> Iterator[Any]:
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in getattr(annotation, "__args__", ()):
        yield from _models_in(argument)


def _spoken(loc: Sequence[int | str], fields: Mapping[str, Any]) -> str:
    """A pydantic location as a path: list items by name."""
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
