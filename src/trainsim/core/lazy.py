"""Packages whose public names are imported when they are first used (PEP 562)."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from importlib import import_module
from types import ModuleType
from typing import Any


class LazyPackage(ModuleType):
    """A package that knows which of its files defines each public name."""

    _files: Mapping[str, str]
    _packages: frozenset[str]

    def __getattr__(self, name: str) -> Any:
        """A public name that has not been used yet."""
        if name in self._packages:
            return import_module(f"{self.__name__}.{name}")
        if name not in self._files:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        value = getattr(import_module(f"{self.__name__}.{self._files[name]}"), name)
        self.__dict__[name] = value
        return value

    def __setattr__(self, name: str, value: Any) -> None:
        """A file of the same name (``rows.py``) does not hide the public name when it is imported."""
        if not (isinstance(value, ModuleType) and name in self._files):
            super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        """Public names alone."""
        return sorted({*self._files, *self._packages})


def make_lazy(package: str, names: Mapping[str, Iterable[str]], packages: Iterable[str] = ()) -> None:
    """Let a package import its public names when they are first used.

    Args:
        package: its ``__name__``.
        names: file of the package → names that it defines.
        packages: packages inside it that are public names.
    """
    module = sys.modules[package]
    files = {name: file for file, defined in names.items() for name in defined}
    module.__dict__.update(_files=files, _packages=frozenset(packages))
    module.__class__ = LazyPackage
