"""Families and their kinds: which class a word in a file stands for.

A family has an abstract face (``Attention``) and final members (``LatentAttention``). A file names a member by its kind: the bare
class name for a member of this library, ``"module:Class"`` for a class of the user's own. A kind is looked up among classes that
have been defined, never as an attribute of a module. Members of this library are defined by importing the modules of the package
where the face lives; a module of the user's own is imported only where the caller allows it by name.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import pkgutil
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from importlib.abc import InspectLoader
from typing import Any, TypeVar

from .errors import SpecError, did_you_mean

C = TypeVar("C")
_LIBRARY = __name__.partition(".")[0]
_trusted: ContextVar[tuple[str, ...]] = ContextVar("trusted", default=())


@contextmanager
def trusting(modules: Collection[str]) -> Iterator[None]:
    """Allow files to be read with classes of these modules while the context lasts.

    Args:
        modules: names of modules, ``("my_layers",)``; a package allows the modules inside it.

    Raises:
        SpecError: no collection of names.
    """
    if isinstance(modules, str) or not all(isinstance(name, str) and name for name in modules):
        raise SpecError("trusted", modules, "is not a tuple of module names", 'give trusted=("my_layers",)', "wrong-type")
    token = _trusted.set((*_trusted.get(), *modules))
    try:
        yield
    finally:
        _trusted.reset(token)


def kind_of(cls: type) -> str:
    """The word that names a class in files: bare for this library's own, ``module:Class`` for a user's."""
    return cls.__name__ if cls.__module__.startswith(f"{_LIBRARY}.") else f"{cls.__module__}:{cls.__qualname__}"


def members(face: type) -> dict[str, type]:
    """Every final member of a family by kind: all of this library's, and the user's own that have been defined.

    Args:
        face: the abstract face of the family.
    """
    _import_room(face.__module__)
    return _defined(face)


def _defined(face: type) -> dict[str, type]:
    """Final members that have been defined so far, by kind."""
    found: dict[str, type] = {} if inspect.isabstract(face) else {kind_of(face): face}
    child: type
    for child in face.__subclasses__():
        found |= _defined(child)
    return found


def find_member(face: type, kind: object, path: str) -> Any:
    """The class that a kind names.

    Args:
        face: the family, or a class whose subclasses are accepted.
        kind: the word of a file.
        path: where the word stands, for the error.

    Raises:
        SpecError: no such member, or a module that the caller has not allowed.
    """
    found = _defined(face).get(kind) if isinstance(kind, str) else None
    if found is not None:
        return found
    if isinstance(kind, str) and ":" in kind:
        _import_trusted(kind, face, path)
    elif isinstance(kind, str) and kind.isidentifier():
        _import_room(face.__module__, kind)
    known = _defined(face)
    if isinstance(kind, str) and kind in known:
        return known[kind]
    known = members(face)
    former = {old: cls for cls in known.values() for old in vars(cls).get("former_kinds", ())}
    if isinstance(kind, str) and kind in former:
        return former[kind]
    raise SpecError(path, kind, f"is not a kind of {face.__name__}", did_you_mean(str(kind), known, "kinds"), "unknown-kind")


def _import_trusted(kind: str, face: type, path: str) -> None:
    """Import the module of a user's own class, where the caller allows it."""
    module = kind.partition(":")[0]
    if not any(module == name or module.startswith(f"{name}.") for name in _trusted.get()):
        rule = f"asks for a {face.__name__} of the module {module!r}, which would be imported"
        remedy = f'if you know that module, allow it: trusted=("{module}",), or import it first'
        raise SpecError(path, kind, rule, remedy, "untrusted")
    try:
        importlib.import_module(module)
    except Exception as error:
        rule = f"can't be imported ({type(error).__name__}: {error})"
        raise SpecError(path, kind, rule, "put its module on the Python path", "callback-failed") from error


@lru_cache(maxsize=1024)
def _import_room(module: str, kind: str = "") -> None:
    """Import the modules of the package of this library that a module belongs to, so that members there are defined.

    Args:
        module: where the face is defined: its top package is looked through.
        kind: import those files alone that define a class of that name; every file where empty.
    """
    library, *inner = module.split(".")
    if library != _LIBRARY or not inner:
        return
    room = importlib.import_module(f"{library}.{inner[0]}")
    for found in pkgutil.walk_packages(getattr(room, "__path__", ()), f"{room.__name__}."):
        if not kind or _defines(found, kind):
            importlib.import_module(found.name)


def _defines(found: pkgutil.ModuleInfo, kind: str) -> bool:
    """Whether a file defines a class of some name; a file without source may."""
    spec = importlib.util.find_spec(found.name)
    loader = None if spec is None else spec.loader
    source = loader.get_source(found.name) if isinstance(loader, InspectLoader) else None
    return source is None or f"class {kind}(" in source


_resolvers: dict[str, Callable[[str], Any]] = {}


def resolves(kind: str, resolver: Callable[[str], Any]) -> None:
    """Say how a spec of a class is found by its catalogue id: ``resolves("Stack", catalog.stack)``.

    Packages below the catalogue look specs up by name without importing it.

    Args:
        kind: the class's name.
        resolver: id → spec; raises a ``TrainsimError`` for an unknown id.
    """
    _resolvers[kind] = resolver


def resolve(kind: str, name: str, path: str) -> Any:
    """The spec of a class with a catalogue id.

    Raises:
        SpecError: no catalogue is known for that class.
    """
    if kind not in _resolvers:
        raise SpecError(path, name, f"is a name, and no catalogue of {kind} is known", f"give a {kind}", "wrong-type")
    return _resolvers[kind](name)


_extensions: dict[str, dict[str, Any]] = {}


def extends(kind: str, name: str, attribute: object) -> None:
    """Say which attribute a class gets when it is defined: packages above it bind what they know of it.

    Args:
        kind: the class's name.
        name: of the attribute.
        attribute: a descriptor or a function.
    """
    _extensions.setdefault(kind, {})[name] = attribute


def extended(cls: type[C]) -> type[C]:
    """Class decorator: set the attributes that packages above bind."""
    for name, attribute in _extensions.get(cls.__name__, {}).items():
        setattr(cls, name, attribute)
    return cls
