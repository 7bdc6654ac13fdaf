"""Packages that import each public name on first use (PEP 562)."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from importlib import import_module
from types import ModuleType
from typing import Any


class LazyPackage(ModuleType):
    """A package with a table from public name to the file that defines it."""

    _files: Mapping[str, str]
    _packages: frozenset[str]

    def __getattr__(self, name: str) -> Any:
        """Import a public name on its first use."""
        if name in self._packages:
            return import_module(f"{self.__name__}.{name}")
        if name not in self._files:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        value = getattr(import_module(f"{self.__name__}.{self._files[name]}"), name)
        self.__dict__[name] = value
        return value

    def __setattr__(self, name: str, value: Any) -> None:
        """Ignore an imported submodule (``rows.py``) that would hide the public name ``rows``."""
        if not (isinstance(value, ModuleType) and name in self._files):
            super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        """Public names only."""
        return sorted({*self._files, *self._packages})


def make_lazy(package: str, names: Mapping[str, Iterable[str]], packages: Iterable[str] = ()) -> None:
    """Make a package import its public names on first use.

    Args:
        package: ``__name__`` of the package.
        names: file in the package → public names that it defines.
        packages: subpackages that are public names.
    """
    module = sys.modules[package]
    files = {name: file for file, defined in names.items() for name in defined}
    module.__dict__.update(_files=files, _packages=frozenset(packages))
    module.__class__ = LazyPackage
