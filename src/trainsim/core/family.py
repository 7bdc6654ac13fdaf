"""Family: base class of an open family of specs, whose members are found by kind."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic_core import core_schema

from .registry import find_member, kind_of, members
from .spec import Spec
from .validation_errors import field_error
from .values import ReadOnlyDict

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler

FAMILY = "x-family"
"""Mark of a family in a JSON Schema, which :mod:`trainsim.core.json_schema` replaces by the schemas of its members."""


class Family(Spec):
    """Base class of an open family (attention, price, efficiency …): abstract, with final members.

    A field of the family's type also accepts a dict whose ``kind`` names the member (:mod:`trainsim.core.registry`).
    """

    @classmethod
    def __pydantic_init_subclass__(cls, **settings: Any) -> None:
        """Makes the mappings that a member declares as class variables read-only."""
        super().__pydantic_init_subclass__(**settings)
        for name in cls.__class_vars__ & vars(cls).keys():
            if isinstance(vars(cls)[name], dict):
                setattr(cls, name, ReadOnlyDict(vars(cls)[name]))

    def _as_field(self) -> dict[str, Any]:
        """The plain dict of this member with its ``kind``."""
        return {"kind": kind_of(type(self)), **self.to_dict()}

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        if not inspect.isabstract(cls):
            return core_schema.no_info_before_validator_function(functools.partial(_drop_own_kind, cls), handler(source))
        return core_schema.no_info_plain_validator_function(
            functools.partial(_member_of, cls), serialization=core_schema.plain_serializer_function_ser_schema(Spec._as_field)
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        if not inspect.isabstract(cls):
            return dict(handler(schema))
        return {FAMILY: cls.__name__, "description": (cls.__doc__ or cls.__name__).partition("\n")[0]}


def _member_of(base: type[Family], value: Any) -> Family:
    if isinstance(value, base):
        return value
    if not isinstance(value, Mapping) or "kind" not in value:
        raise field_error(f"must be one of the {base.__name__} family", f"kinds: {', '.join(sorted(members(base)))}", "unknown-kind")
    fields = {str(k): v for k, v in value.items() if k != "kind"}
    made: Family = find_member(base, value["kind"], "kind")(**fields)
    return made


def _drop_own_kind(member: type[Family], value: Any) -> Any:
    """Remove ``kind`` from the fields of a member if it names that member."""
    if isinstance(value, Mapping) and value.get("kind") == kind_of(member):
        return {name: field for name, field in value.items() if name != "kind"}
    return value
