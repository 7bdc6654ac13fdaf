"""Specs: frozen nouns whose every number has a path, a unit and bounds."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Generic, Self, TypeVar, dataclass_transform

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr, ValidationError
from pydantic_core import core_schema

from . import toml_io
from .errors import PathError, SpecError, did_you_mean
from .registry import find_member, kind_of, members, resolve, trusting
from .units import Arrays, Num, Unit, arrays_are
from .validation_errors import explained, field_error

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic._internal._model_construction import ModelMetaclass
    from pydantic.fields import FieldInfo
else:
    ModelMetaclass = type(BaseModel)


BY_USER = "given by the user"


@dataclass_transform(kw_only_default=True, field_specifiers=(Field, PrivateAttr))
class _SpecMeta(ModelMetaclass):
    """Takes the fields named in ``positional`` by position, and turns pydantic's report into one clear error."""

    positional: tuple[str, ...]
    model_fields: dict[str, FieldInfo]

    def __call__(cls, /, *args: Any, **fields: Any) -> Any:
        if len(args) > len(cls.positional):
            rule = f"takes at most {len(cls.positional)} values by position"
            raise SpecError(cls.__name__, args, rule, f"name them: {', '.join(cls.model_fields)}", "wrong-type")
        if inspect.isabstract(cls):
            own = sorted(kind for kind in members(cls) if ":" not in kind)
            known = ", ".join(own[:8]) + (f" and {len(own) - 8} more" if len(own) > 8 else "")
            raise SpecError(cls.__name__, fields, "is the face of a family, not a member", f"use one of: {known}", "unknown-kind")
        fields = dict(zip(cls.positional, args, strict=False)) | fields
        try:
            return super().__call__(**fields)
        except ValidationError as error:
            raise explained(cls, error, fields) from None


class Spec(BaseModel, metaclass=_SpecMeta):
    """A frozen noun: fields in, validated once, never changed.

    Numbers are annotated ``Annotated[Num, Unit("FLOP/s", gt=0)]``. Every number has a path, and
    ``replace({path: value})`` gives a new spec with only the touched branch rebuilt.

    >>> from typing import Annotated
    >>> class Trip(Spec):
    ...     distance: Annotated[Num, Unit("km", gt=0)]
    ...     speed: Annotated[Num, Unit("km/h", gt=0)]
    >>> Trip(distance=100, speed=50).replace({"speed": 25}).speed
    25.0
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True, strict=True, defer_build=True)
    positional: ClassVar[tuple[str, ...]] = ()
    _sources: dict[str, str] = PrivateAttr(default_factory=dict)

    @functools.cached_property
    def _drawn(self) -> bool:
        """Whether any number is an array of draws."""
        held = self.__dict__
        return any(map(holds_draws, [held[name] for name in _fields(type(self)) if type(held[name]) not in _PLAIN]))

    # equality --------------------------------------------------------------------------------------------------

    def _key(self) -> tuple[Any, ...]:
        if self._drawn:
            rule = "can't be compared, hashed or saved"
            raise SpecError(type(self).__name__, "an array of draws", rule, "compare the spec it was drawn from", "not-scalar")
        compared = self._compared()
        return tuple([compared[name] for name in _fields(type(self))])

    def _compared(self) -> Mapping[str, Any]:
        """What stands in each field where specs are compared."""
        return self.__dict__

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and isinstance(other, Spec) and self._key() == other._key()

    @functools.cached_property
    def _hash(self) -> int:
        key = self._key()
        try:
            return hash((type(self), key))
        except TypeError:
            return hash((type(self), tuple(map(_hashable, key))))

    def __hash__(self) -> int:
        return self._hash

    # paths -----------------------------------------------------------------------------------------------------

    def get(self, path: str) -> Any:
        """What stands at a path, ``run.get("phases.pretrain.tokens")``.

        Raises:
            PathError: nothing stands there; says what was meant.
        """
        node: Any = self
        for name in path.split("."):
            node = _step(self, node, name, path)
        return node

    def numbers(self) -> dict[str, tuple[Num, Unit]]:
        """Every number with its unit, by path: what beliefs can be laid over."""
        return dict(self._numbers(""))

    def _numbers(self, prefix: str) -> Iterator[tuple[str, tuple[Num, Unit]]]:
        units = _units(type(self))
        for name in type(self).model_fields:
            value = getattr(self, name)
            if isinstance(value, Spec):
                yield from value._numbers(f"{prefix}{name}.")
            elif isinstance(value, tuple):
                for item in value:
                    if isinstance(item, Spec) and hasattr(item, "name"):
                        yield from item._numbers(f"{prefix}{name}.{item.name}.")
            elif name in units and value is not None:
                yield f"{prefix}{name}", (value, units[name])

    def unit_of(self, path: str) -> Unit:
        """The unit of the number at a path.

        Raises:
            PathError: no number stands there.
        """
        head, _, leaf = path.rpartition(".")
        parent = self.get(head) if head else self
        units = _units(type(parent)) if isinstance(parent, Spec) else {}
        if leaf not in units:
            raise PathError(path, path, "is no number of this spec", did_you_mean(path, self.numbers(), "its numbers"))
        return units[leaf]

    def replace(self, changes: Mapping[str, Any]) -> Self:
        """A new spec with other values at some paths; only the touched branch is rebuilt.

        Args:
            changes: path → value. List items are addressed by name: ``phases.pretrain.tokens``.

        Raises:
            PathError: a path leads nowhere.
            SpecError: a value breaks its field's rule.
        """
        by_head: dict[str, dict[str, Any]] = {}
        for path, value in changes.items():
            head, _, rest = path.partition(".")
            if head not in type(self).model_fields:
                meant = did_you_mean(path, [*type(self).model_fields, *self.numbers()])
                raise PathError(path, value, f"is no field of {type(self).__name__}", meant, "unknown-field")
            by_head.setdefault(head, {})[rest] = value
        fields = {name: getattr(self, name) for name in type(self).model_fields}
        for head, inner in by_head.items():
            if "" in inner and len(inner) > 1:
                raise SpecError(head, sorted(inner), "is replaced whole and in part at once", "give one or the other", "duplicate")
            fields[head] = inner[""] if "" in inner else self._inner(head, fields[head], inner)
        made = type(self)(**fields)
        made._sources = _still_known(self._sources, changes)
        return made

    def _inner(self, head: str, child: Any, changes: dict[str, Any]) -> Any:
        try:
            if isinstance(child, Spec):
                return child.replace(changes)
            if isinstance(child, tuple) and child and hasattr(child[0], "name"):
                by_name: dict[str, dict[str, Any]] = {}
                for path, value in changes.items():
                    name, _, rest = path.partition(".")
                    by_name.setdefault(name, {})[rest] = value
                known = {item.name: item for item in child}
                for name, inner in by_name.items():
                    if name not in known:
                        raise PathError(name, name, f"is none of {head}", did_you_mean(name, known))
                    known[name] = inner[""] if "" in inner else _replaced(known[name], name, inner)
                return tuple(known.values())
        except (SpecError, PathError) as error:
            raise error.under(head) from None
        path = f"{head}.{next(iter(changes))}"
        meant = did_you_mean(path, self.numbers(), "numbers of this spec")
        raise PathError(path, changes[next(iter(changes))], f"{head} has no parts", meant, "unknown-field")

    # provenance ------------------------------------------------------------------------------------------------

    def with_sources(self, sources: Mapping[str, str]) -> Self:
        """The same spec, remembering where some of its fields came from; equality does not see it."""
        made = self.model_copy()
        made._sources = {**self._sources, **sources}
        return made

    def sources(self) -> dict[str, str]:
        """Where each number came from, by path; what nobody recorded was given by the user."""
        known = dict(self._recorded(""))
        return {path: known.get(path) or _nearest(known, path) or BY_USER for path in self.numbers()}

    def _recorded(self, prefix: str) -> Iterator[tuple[str, str]]:
        for name in type(self).model_fields:
            value = getattr(self, name)
            if isinstance(value, Spec):
                yield from value._recorded(f"{prefix}{name}.")
            elif isinstance(value, tuple):
                for item in value:
                    if isinstance(item, Spec) and hasattr(item, "name"):
                        yield from item._recorded(f"{prefix}{name}.{item.name}.")
        for path, source in self._sources.items():
            yield (prefix + path).rstrip("."), source

    # files -----------------------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Plain nested dict that mirrors the paths; ``type(self)(**d)`` gives an equal spec."""
        self._key()
        values = {name: getattr(self, name) for name in type(self).model_fields}
        infinite = {name for name, value in values.items() if isinstance(value, float) and np.isinf(value)}  # bounds left out
        told = {n: v for n, v in values.items() if v is not None or type(self).model_fields[n].default is not None}
        return {name: _plain(value) for name, value in told.items() if name not in infinite}

    def save(self, path: str | Path) -> None:
        """Write the spec as TOML whose tables mirror its paths, or as JSON where the path ends in ``.json``.

        Raises:
            SpecError: it can't be written; what stood at ``path`` before is kept.
        """
        sources = dict(sorted(self._recorded("")))
        data = {"spec": kind_of(type(self)), **self.to_dict(), **({"sources": sources} if sources else {})}
        toml_io.save(path, data)

    @classmethod
    def load(cls, path: str | Path, *, trusted: Sequence[str] = ()) -> Self:
        """Read a spec that ``save`` wrote.

        Args:
            path: a TOML file, or a JSON file that ends in ``.json``.
            trusted: modules with classes of the user's own that the file may name, ``("my_layers",)``; no other is imported.

        Raises:
            SpecError: the file is cut short, holds another kind of spec, names a module that is not trusted, or a value breaks a rule.
        """
        name = Path(path).name if isinstance(path, (str, Path)) else "file"
        data = toml_io.load(path)
        kind, sources = data.pop("spec", kind_of(cls)), data.pop("sources", {})
        if not isinstance(sources, dict) or not all(isinstance(source, str) for source in sources.values()):
            raise SpecError("sources", sources, "is not a table of texts", 'write [sources] "path" = "where from"', "wrong-type")
        with trusting(trusted):
            made: Self = find_member(cls, kind, name)(**data)
        return made.with_sources(sources) if sources else made


class Family(Spec):
    """The face of an open family (attention, price, efficiency …): abstract, with final members.

    Where a spec has a field of the face's type, a dict's ``kind`` picks the member (:mod:`trainsim.core.registry`).
    """

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        if not inspect.isabstract(cls):
            return core_schema.no_info_before_validator_function(functools.partial(_own_kind, cls), handler(source))
        return core_schema.no_info_plain_validator_function(
            functools.partial(_member_of, cls), serialization=core_schema.plain_serializer_function_ser_schema(_plain)
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        if not inspect.isabstract(cls):
            return dict(handler(schema))
        kinds = sorted(kind for kind, member in members(cls).items() if not inspect.isabstract(member))
        described = (cls.__doc__ or cls.__name__).partition("\n")[0]
        return {"type": "object", "description": described, "properties": {"kind": {"enum": kinds}}, "required": ["kind"]}


def _member_of(face: type[Family], value: Any) -> Family:
    if isinstance(value, face):
        return value
    if not isinstance(value, Mapping) or "kind" not in value:
        raise field_error(f"must be one of the {face.__name__} family", f"kinds: {', '.join(sorted(members(face)))}", "unknown-kind")
    fields = {str(k): v for k, v in value.items() if k != "kind"}
    made: Family = find_member(face, value["kind"], "kind")(**fields)
    return made


def _own_kind(member: type[Family], value: Any) -> Any:
    """A file names the kind of every member; where a field takes one member only, it must be that one's."""
    if isinstance(value, Mapping) and value.get("kind") == kind_of(member):
        return {name: field for name, field in value.items() if name != "kind"}
    return value


@dataclass(frozen=True)
class ByName:
    """Marks a sequence of specs whose items are addressed by ``name``; a mapping name → fields is read as well."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_wrap_validator_function(functools.partial(_by_name, source.__args__[0]), handler(source))


def _by_name(kind: Any, value: Any, read: Any) -> tuple[Any, ...]:
    items = _as_items(value)
    whole = isinstance(items, tuple) and all(isinstance(item, kind) for item in items)
    return _unique(items if whole else read(items))  # the same tuple where nothing is to be read


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
        raise field_error(f"has an item named {bad[0]!r}", "a name is not empty and holds no dot", "invalid")
    return tuple(items)


S = TypeVar("S", bound=Spec)


class Batch(Generic[S]):
    """A spec with arrays of draws at some paths; lives inside an engine and can't be saved or compared.

    Args:
        spec: the spec as its user holds it.
        draws: path → array, shape ``(n,)``; all of one length.
        met: whether every draw is held against its field's bounds, or known to lie within them.

    Raises:
        SpecError: arrays of different lengths or of several dimensions, or a draw out of its field's bounds.

    >>> from typing import Annotated
    >>> class Trip(Spec):
    ...     distance: Annotated[Num, Unit("km", gt=0)]
    >>> Batch(Trip(distance=1.0), {"distance": np.array([1.0, 2.0])}).spec.distance
    array([1., 2.])
    """

    __slots__ = ("n", "paths", "spec")

    def __init__(self, spec: S, draws: Mapping[str, np.ndarray[Any, Any]], *, met: Arrays = Arrays.CHECKED) -> None:
        lengths = {path: np.shape(values) for path, values in draws.items()}
        for path, shape in lengths.items():
            if len(shape) != 1:
                raise SpecError(
                    path, draws[path], f"has shape {shape}, not (n,)", "give one array of draws, or replace a single number", "not-scalar"
                )
        if len(set(lengths.values())) > 1:
            raise SpecError("draws", lengths, "are of different lengths", "draw the same number for every path", "conflict")
        with arrays_are(met):
            self.spec: S = spec.replace(draws) if draws else spec
        self.paths = tuple(draws)
        self.n = next(iter(lengths.values()), (1,))[0]

    def __repr__(self) -> str:
        return f"Batch({type(self.spec).__name__}, n={self.n}, paths={self.paths})"


# helpers ---------------------------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=1024)
def _fields(cls: type[Spec]) -> tuple[str, ...]:
    """Names of a spec's fields; pydantic's own mapping takes longer to come by than all of their values."""
    return tuple(cls.model_fields)


@functools.lru_cache(maxsize=1024)
def _units(cls: type[Spec]) -> dict[str, Unit]:
    """The Unit of each field that has one; an optional number keeps its unit inside the union."""
    found: dict[str, Unit] = {}
    for name, field in cls.model_fields.items():
        marks = [*field.metadata, *_inner_marks(field.annotation)]
        unit = next((m for m in marks if isinstance(m, Unit)), None)
        if unit is not None:
            found[name] = unit
    return found


def _inner_marks(annotation: Any) -> Iterator[Any]:
    yield from getattr(annotation, "__metadata__", ())
    for argument in getattr(annotation, "__args__", ()):
        yield from getattr(argument, "__metadata__", ())


def _replaced(item: Any, name: str, changes: dict[str, Any]) -> Any:
    try:
        return item.replace(changes)
    except (SpecError, PathError) as error:
        raise error.under(name) from None


def _step(root: Spec, node: Any, name: str, path: str) -> Any:
    if isinstance(node, Spec) and name in type(node).model_fields:
        return getattr(node, name)
    if isinstance(node, tuple):
        for item in node:
            if getattr(item, "name", None) == name:
                return item
    raise PathError(path, path, f"nothing is at '{name}'", did_you_mean(path, root.numbers(), "numbers of this spec"))


def _still_known(recorded: Mapping[str, str], changes: Iterable[str]) -> dict[str, str]:
    """What is still known of sources after a change: a branch's source goes on covering what was not touched."""
    kept = {p: s for p, s in recorded.items() if not any(p == c or p.startswith(f"{c}.") for c in changes)}
    touched = {c: BY_USER for c in changes if any(not p or c.startswith(f"{p}.") for p in kept)}
    return kept | touched


def _nearest(known: Mapping[str, str], path: str) -> str | None:
    while path:
        path = path.rpartition(".")[0]
        if path in known:
            return known[path]
    return known.get("")


_PLAIN = frozenset({float, int, bool, str, type(None)})
"""Kinds of values that most fields hold, and no array is."""


def holds_draws(value: Any) -> bool:
    """Whether a value is an array of draws, or a spec with one somewhere inside."""
    if isinstance(value, tuple):
        return any(map(holds_draws, value))
    return isinstance(value, np.ndarray) or (isinstance(value, Spec) and value._drawn)


def _hashable(value: Any) -> Any:
    return tuple(sorted(value.items())) if isinstance(value, dict) else value


def _plain(value: Any) -> Any:
    if isinstance(value, Spec):
        fields = value.to_dict()
        return {"kind": kind_of(type(value)), **fields} if isinstance(value, Family) else fields
    if isinstance(value, tuple) and value and isinstance(value[0], Spec):
        if hasattr(value[0], "name"):
            return {item.name: {k: v for k, v in _plain(item).items() if k != "name"} for item in value}
        return [_plain(item) for item in value]
    if isinstance(value, tuple):
        return list(value)
    return value


def by_id(kind: str) -> BeforeValidator:
    """Validator of a field that accepts a catalogue id in place of a spec of that class.

    Args:
        kind: the class's name, as in ``Annotated[Stack, by_id("Stack")]``.
    """
    return BeforeValidator(lambda value: resolve(kind, value, kind.lower()) if isinstance(value, str) else value)


AsTuple = BeforeValidator(lambda value: tuple(value) if isinstance(value, list) else value)
"""Reads a list (TOML, JSON) where a tuple is meant."""

Count = Annotated[int, Field(gt=0, le=10**9)]
"""A size that structures a model or a layout: a positive integer; never an array, may be branched on."""
