"""Registry of families: find the class that a kind in a file names.

A family has an abstract base class (``Attention``) and final members (``LatentAttention``). A file names a member by its kind:
the class name for a member of this library, ``"module:Class"`` for a user's class. A kind is looked up among the subclasses of the base
class, never as an attribute of a module. The lookup imports the modules of the base class's package. A user's module is imported only if
the caller trusts it.
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
def trust_modules(modules: Collection[str]) -> Iterator[None]:
    """Context manager: allow files to name classes of these modules.

    Args:
        modules: names of modules, ``("my_layers",)``; a package includes its submodules.

    Raises:
        SpecError: ``modules`` is not a collection of names.
    """
    if isinstance(modules, str) or not all(isinstance(name, str) and name for name in modules):
        raise SpecError("trusted", modules, "is not a tuple of module names", 'give trusted=("my_layers",)', "wrong-type")
    token = _trusted.set((*_trusted.get(), *modules))
    try:
        yield
    finally:
        _trusted.reset(token)


def kind_of(cls: type) -> str:
    """The name of a class in files: its bare name in this library, ``module:Class`` elsewhere."""
    return cls.__name__ if cls.__module__.startswith(f"{_LIBRARY}.") else f"{cls.__module__}:{cls.__qualname__}"


def members(base: type) -> dict[str, type]:
    """Every final member of a family by kind: all members in this library, and user classes defined so far.

    Args:
        base: the abstract base class of the family.
    """
    _import_members(base.__module__)
    return _members_so_far(base)


def _members_so_far(base: type) -> dict[str, type]:
    """Final members defined so far, by kind."""
    found: dict[str, type] = {} if inspect.isabstract(base) else {kind_of(base): base}
    child: type
    for child in base.__subclasses__():
        found |= _members_so_far(child)
    return found


def find_member(base: type, kind: object, path: str) -> Any:
    """Find the class that a kind names.

    Args:
        base: the base class whose subclasses are accepted.
        kind: the kind in the file.
        path: path of the kind in the file, for the error.

    Raises:
        SpecError: there is no such member, or its module is not trusted.
    """
    found = _members_so_far(base).get(kind) if isinstance(kind, str) else None
    if found is not None:
        return found
    if isinstance(kind, str) and ":" in kind:
        _import_trusted(kind, base, path)
    elif isinstance(kind, str) and kind.isidentifier():
        _import_members(base.__module__, kind)
    known = _members_so_far(base)
    if isinstance(kind, str) and kind in known:
        return known[kind]
    known = members(base)
    former = {old: cls for cls in known.values() for old in vars(cls).get("former_kinds", ())}
    if isinstance(kind, str) and kind in former:
        return former[kind]
    raise SpecError(path, kind, f"is not a kind of {base.__name__}", did_you_mean(str(kind), known, "kinds"), "unknown-kind")


def _import_trusted(kind: str, base: type, path: str) -> None:
    """Import the module of a user's class if the caller trusts it."""
    module = kind.partition(":")[0]
    if not any(module == name or module.startswith(f"{name}.") for name in _trusted.get()):
        rule = f"names a {base.__name__} in the untrusted module {module!r}"
        remedy = f'if you trust that module, pass trusted=("{module}",) or import it first'
        raise SpecError(path, kind, rule, remedy, "untrusted")
    try:
        importlib.import_module(module)
    except Exception as error:
        rule = f"can't be imported ({type(error).__name__}: {error})"
        raise SpecError(path, kind, rule, "put its module on the Python path", "callback-failed") from error


@lru_cache(maxsize=1024)
def _import_members(module: str, kind: str = "") -> None:
    """Import the modules of a base class's package, so that its members are defined.

    Args:
        module: module of the base class; all modules of its top-level package are candidates.
        kind: import only files that define a class of this name; all files if empty.
    """
    library, *inner = module.split(".")
    if library != _LIBRARY or not inner:
        return
    package = importlib.import_module(f"{library}.{inner[0]}")
    for found in pkgutil.walk_packages(getattr(package, "__path__", ()), f"{package.__name__}."):
        if not kind or _may_define(found, kind):
            importlib.import_module(found.name)


def _may_define(found: pkgutil.ModuleInfo, kind: str) -> bool:
    """Whether a module may define a class of this name; True if its source is not available."""
    spec = importlib.util.find_spec(found.name)
    loader = None if spec is None else spec.loader
    source = loader.get_source(found.name) if isinstance(loader, InspectLoader) else None
    return source is None or f"class {kind}(" in source


_resolvers: dict[str, Callable[[str], Any]] = {}


def register_lookup(kind: str, resolver: Callable[[str], Any]) -> None:
    """Register the function that finds a spec by its catalogue id: ``register_lookup("Stack", catalog.stack)``.

    Packages below the catalogue can then accept ids without importing it.

    Args:
        kind: name of the spec's class.
        resolver: id → spec; raises a ``TrainsimError`` for an unknown id.
    """
    _resolvers[kind] = resolver


def look_up(kind: str, name: str, path: str) -> Any:
    """Find a spec by its catalogue id.

    Args:
        kind: name of the spec's class.
        name: the catalogue id.
        path: path of the field, for the error.

    Raises:
        SpecError: no lookup is registered for that class.
    """
    if kind not in _resolvers:
        raise SpecError(path, name, f"is a name, but no catalogue lists a {kind} by name", f"give a {kind}", "wrong-type")
    return _resolvers[kind](name)


_extensions: dict[str, dict[str, Any]] = {}


def register_attribute(kind: str, name: str, attribute: object) -> None:
    """Register an attribute for a class that is defined in a lower package, such as ``Plan.from_megatron``.

    Args:
        kind: name of the class.
        name: name of the attribute.
        attribute: a descriptor or a function.
    """
    _extensions.setdefault(kind, {})[name] = attribute


def with_registered_attributes(cls: type[C]) -> type[C]:
    """Class decorator: set the attributes registered for the class."""
    for name, attribute in _extensions.get(cls.__name__, {}).items():
        setattr(cls, name, attribute)
    return cls
