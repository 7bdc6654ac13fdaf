"""Specs: immutable validated records whose numbers have a path, a unit and bounds."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self, TypeVar, cast, dataclass_transform

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr, ValidationError, model_validator

from . import toml_io
from .errors import PathError, SpecError, did_you_mean
from .provenance import BY_USER, nearest_source, sources_after_change
from .registry import find_member, kind_of, look_up, members, trust_modules
from .units import Num, Unit, arrays_are_trusted
from .validation_errors import to_trainsim_error

if TYPE_CHECKING:
    from pydantic._internal._model_construction import ModelMetaclass
    from pydantic.fields import FieldInfo
else:
    ModelMetaclass = type(BaseModel)


@dataclass_transform(kw_only_default=True, field_specifiers=(Field, PrivateAttr))
class _SpecMeta(ModelMetaclass):
    """Accepts the fields in ``positional`` by position, and turns pydantic's report into one clear error."""

    positional: tuple[str, ...]
    model_fields: dict[str, FieldInfo]

    def __call__(cls, /, *args: Any, **fields: Any) -> Any:
        if len(args) > len(cls.positional):
            rule = f"takes at most {len(cls.positional)} positional values"
            raise SpecError(cls.__name__, args, rule, f"name them: {', '.join(cls.model_fields)}", "wrong-type")
        if inspect.isabstract(cls):
            own = sorted(kind for kind in members(cls) if ":" not in kind)
            known = ", ".join(own[:8]) + (f" and {len(own) - 8} more" if len(own) > 8 else "")
            raise SpecError(cls.__name__, fields, "is the abstract class of a family", f"use one of: {known}", "unknown-kind")
        fields = dict(zip(cls.positional, args, strict=False)) | fields
        try:
            return super().__call__(**fields)
        except ValidationError as error:
            raise to_trainsim_error(cls, error, fields) from None


class Spec(BaseModel, metaclass=_SpecMeta):
    """An immutable record whose fields are validated when it is created.

    Numbers are annotated ``Annotated[Num, Unit("FLOP/s", gt=0)]``. Every number has a path, and ``replace({path: value})``
    returns a new spec in which only the specs along the path are rebuilt.

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
        values = self.__dict__
        return any(map(holds_draws, [values[name] for name in _fields(type(self)) if type(values[name]) not in _SCALAR_TYPES]))

    # equality --------------------------------------------------------------------------------------------------

    def _check_scalar(self) -> None:
        if self._drawn:
            rule = "can't be compared, hashed or saved"
            raise SpecError(type(self).__name__, "an array of draws", rule, "compare the spec it was drawn from", "not-scalar")

    @functools.cached_property
    def _key(self) -> tuple[Any, ...]:
        """Values used for equality and hash, cached because caches of steps compare equal specs often."""
        self._check_scalar()
        compared = self._comparison_fields()
        return tuple([compared[name] for name in _fields(type(self))])

    def _comparison_fields(self) -> Mapping[str, Any]:
        """Field → value used for equality and hash."""
        return self.__dict__

    def __eq__(self, other: object) -> bool:
        if self is other and not self._drawn:
            return True
        return type(self) is type(other) and isinstance(other, Spec) and self._key == other._key

    @functools.cached_property
    def _hash(self) -> int:
        key = self._key
        try:
            return hash((type(self), key))
        except TypeError:
            return hash((type(self), tuple(map(_hashable, key))))

    def __hash__(self) -> int:
        return self._hash

    # paths -----------------------------------------------------------------------------------------------------

    def get(self, path: str) -> Any:
        """The value at a path, ``run.get("phases.pretrain.tokens")``.

        Raises:
            PathError: there is no such path; the error names similar ones.
        """
        node: Any = self
        for name in path.split("."):
            node = _child(self, node, name, path)
        return node

    def numbers(self) -> dict[str, tuple[Num, Unit]]:
        """Path → (value, unit) of every number; beliefs can be given for these paths."""
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
            PathError: there is no number at that path.
        """
        head, _, leaf = path.rpartition(".")
        parent = self.get(head) if head else self
        units = _units(type(parent)) if isinstance(parent, Spec) else {}
        if leaf not in units:
            raise PathError(path, path, "is not a number of this spec", did_you_mean(path, self.numbers(), "its numbers"))
        return units[leaf]

    def replace(self, changes: Mapping[str, Any]) -> Self:
        """A new spec with other values at some paths.

        Args:
            changes: path → value. List items are addressed by name: ``phases.pretrain.tokens``.

        Raises:
            PathError: a path does not exist.
            SpecError: a value breaks its field's rule.
        """
        by_head: dict[str, dict[str, Any]] = {}
        for path, value in changes.items():
            head, _, rest = path.partition(".")
            if head not in _fields(type(self)):
                meant = did_you_mean(path, [*type(self).model_fields, *self.numbers()])
                raise PathError(path, value, f"is not a field of {type(self).__name__}", meant, "unknown-field")
            by_head.setdefault(head, {})[rest] = value
        values = self.__dict__
        fields = {name: values[name] for name in _fields(type(self))}
        for head, inner in by_head.items():
            if "" in inner and len(inner) > 1:
                raise SpecError(head, sorted(inner), "is replaced as a whole and in part", "give one or the other", "duplicate")
            fields[head] = inner[""] if "" in inner else self._replace_inside(head, fields[head], inner)
        if arrays_are_trusted():
            return self._with_trusted(fields)
        made = type(self)(**fields)
        made._sources = sources_after_change(self._sources, changes)
        return made

    def _with_trusted(self, fields: Mapping[str, Any]) -> Self:
        """The spec with arrays whose values are known to be in bounds: only the rules about several fields are checked."""
        made = type(self).model_construct(**fields)
        made._sources = self._sources
        for rule in _invariants(type(self)):
            rule(made)
        return made

    def _replace_inside(self, head: str, child: Any, changes: dict[str, Any]) -> Any:
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
                        raise PathError(name, name, f"is not the name of an item of {head}", did_you_mean(name, known))
                    known[name] = inner[""] if "" in inner else _replace_item(known[name], name, inner)
                return tuple(known.values())
        except (SpecError, PathError) as error:
            raise error.under(head) from None
        path = f"{head}.{next(iter(changes))}"
        rule = f"is a part of {head}, which is not given" if child is None else f"{head} has no parts"
        meant = f"give {head} as a whole" if child is None else did_you_mean(path, self.numbers(), "numbers of this spec")
        raise PathError(path, changes[next(iter(changes))], rule, meant, "unknown-field")

    # provenance ------------------------------------------------------------------------------------------------

    def with_sources(self, sources: Mapping[str, str]) -> Self:
        """The same spec with recorded sources of some fields; sources do not affect equality."""
        made = self.model_copy()
        made._sources = {**self._sources, **sources}
        return made

    def sources(self) -> dict[str, str]:
        """Path → source of every number; a number without a recorded source was given by the user."""
        known = dict(self._recorded_sources(""))
        return {path: known.get(path) or nearest_source(known, path) or BY_USER for path in self.numbers()}

    def _recorded_sources(self, prefix: str) -> Iterator[tuple[str, str]]:
        for name in type(self).model_fields:
            value = getattr(self, name)
            if isinstance(value, Spec):
                yield from value._recorded_sources(f"{prefix}{name}.")
            elif isinstance(value, tuple):
                for item in value:
                    if isinstance(item, Spec) and hasattr(item, "name"):
                        yield from item._recorded_sources(f"{prefix}{name}.{item.name}.")
        for path, source in self._sources.items():
            yield (prefix + path).rstrip("."), source

    # files -----------------------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Nested plain dict with the structure of the paths; ``type(self)(**d)`` equals this spec."""
        self._check_scalar()
        values = {name: getattr(self, name) for name in type(self).model_fields}
        infinite = {name for name, value in values.items() if isinstance(value, float) and np.isinf(value)}  # bounds not given
        kept = {n: v for n, v in values.items() if v is not None or type(self).model_fields[n].default is not None}
        return {name: _plain(value) for name, value in kept.items() if name not in infinite}

    def _as_field(self) -> dict[str, Any]:
        """The plain dict of this spec as the value of another spec's field."""
        return self.to_dict()

    def save(self, path: str | Path) -> None:
        """Write the spec as TOML whose tables follow its paths, or as JSON if ``path`` ends in ``.json``.

        Raises:
            SpecError: the file can't be written; an existing file at ``path`` is unchanged.
        """
        sources = dict(sorted(self._recorded_sources("")))
        data = {"spec": kind_of(type(self)), **self.to_dict(), **({"sources": sources} if sources else {})}
        toml_io.save(path, data)

    @classmethod
    def load(cls, path: str | Path, *, trusted: Sequence[str] = ()) -> Self:
        """Read a spec from a file written by ``save``.

        Args:
            path: a TOML file, or a JSON file that ends in ``.json``.
            trusted: modules of user classes that the file may name, ``("my_layers",)``; no other module is imported.

        Raises:
            SpecError: the file is truncated, holds another kind of spec or names an untrusted module, or a value is invalid.
        """
        name = Path(path).name if isinstance(path, (str, Path)) else "file"
        data = toml_io.load(path)
        kind, sources = data.pop("spec", kind_of(cls)), data.pop("sources", {})
        if not isinstance(sources, dict) or not all(isinstance(source, str) for source in sources.values()):
            raise SpecError("sources", sources, "is not a table of texts", 'write [sources] "path" = "where from"', "wrong-type")
        with trust_modules(trusted):
            made: Self = find_member(cls, kind, name)(**data)
        return made.with_sources(sources) if sources else made


Spec.__annotations__.clear()  # otherwise every subclass evaluates them again, a tenth of the library's import time


S = TypeVar("S", bound=Spec)


def invariant(rule: Callable[[S], S]) -> Callable[[S], S]:
    """Decorates the method that checks the fields of a spec together: it runs once for each spec.

    Pydantic runs an after-validator again whenever the spec becomes a field of another one. A spec is frozen, so once is enough.
    """
    mark = f"_{rule.__qualname__}"

    @functools.wraps(rule)
    def once(spec: S) -> S:
        if mark not in spec.__dict__:
            rule(spec)
            spec.__dict__[mark] = True
        return spec

    setattr(once, _INVARIANT, True)
    return cast("Callable[[S], S]", model_validator(mode="after")(once))


_INVARIANT = "_is_invariant"
"""Attribute of the methods that :func:`invariant` decorates."""


# helpers ---------------------------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=1024)
def _fields(cls: type[Spec]) -> tuple[str, ...]:
    """Names of a spec's fields, cached: ``cls.model_fields`` is slow to access."""
    return tuple(cls.model_fields)


@functools.lru_cache(maxsize=1024)
def _invariants(cls: type[Spec]) -> tuple[Callable[[Spec], Spec], ...]:
    """The rules about several fields of a spec."""
    named = {name: member for base in reversed(cls.__mro__) for name, member in vars(base).items()}
    return tuple(member for member in named.values() if hasattr(member, _INVARIANT))


@functools.lru_cache(maxsize=1024)
def _units(cls: type[Spec]) -> dict[str, Unit]:
    """Field → Unit, for fields that have one; the Unit of an optional number is inside the union."""
    found: dict[str, Unit] = {}
    for name, field in cls.model_fields.items():
        marks = [*field.metadata, *_annotation_marks(field.annotation)]
        unit = next((m for m in marks if isinstance(m, Unit)), None)
        if unit is not None:
            found[name] = unit
    return found


def _annotation_marks(annotation: Any) -> Iterator[Any]:
    yield from getattr(annotation, "__metadata__", ())
    for argument in getattr(annotation, "__args__", ()):
        yield from getattr(argument, "__metadata__", ())


def _replace_item(item: Any, name: str, changes: dict[str, Any]) -> Any:
    try:
        return item.replace(changes)
    except (SpecError, PathError) as error:
        raise error.under(name) from None


def _child(root: Spec, node: Any, name: str, path: str) -> Any:
    if isinstance(node, Spec) and name in type(node).model_fields:
        return getattr(node, name)
    if isinstance(node, tuple):
        for item in node:
            if getattr(item, "name", None) == name:
                return item
    raise PathError(path, path, f"there is no '{name}'", did_you_mean(path, root.numbers(), "numbers of this spec"))


_SCALAR_TYPES = frozenset({float, int, bool, str, type(None)})
"""Types of most field values, none of which can hold draws."""


def holds_draws(value: Any) -> bool:
    """Whether a value is an array of draws, or a spec that contains one."""
    if isinstance(value, tuple):
        return any(map(holds_draws, value))
    return isinstance(value, np.ndarray) or (isinstance(value, Spec) and value._drawn)


def _hashable(value: Any) -> Any:
    return tuple(sorted(value.items())) if isinstance(value, dict) else value


def _plain(value: Any) -> Any:
    if isinstance(value, Spec):
        return value._as_field()
    if isinstance(value, tuple) and value and isinstance(value[0], Spec):
        if hasattr(value[0], "name"):
            return {item.name: {k: v for k, v in item._as_field().items() if k != "name"} for item in value}
        return [item._as_field() for item in value]
    if isinstance(value, tuple):
        return list(value)
    return value


def by_id(kind: str) -> BeforeValidator:
    """Validator for a field that also accepts a catalogue id.

    Args:
        kind: name of the field's class, as in ``Annotated[Stack, by_id("Stack")]``.
    """
    return BeforeValidator(lambda value: look_up(kind, value, kind.lower()) if isinstance(value, str) else value)


AsTuple = BeforeValidator(lambda value: tuple(value) if isinstance(value, list) else value)
"""Converts a list (from TOML or JSON) to a tuple."""

Count = Annotated[int, Field(gt=0, le=10**9)]
"""A structural size of a model or layout: a positive integer, never an array, so that code can branch on it."""
