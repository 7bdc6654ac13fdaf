"""The public names, their parameters and fields equal api.txt; a rename is a decision.

After a decision: ``python tests/test_api.py`` rewrites the file; check the difference before you commit it.
"""

from __future__ import annotations

import difflib
import inspect
from pathlib import Path
from typing import Any

import pytest

import trainsim as ts

SNAPSHOT = Path(__file__).parent / "api.txt"
PAGES = ("catalog", "testing")
"""Public modules, whose own public names are listed as well."""


def described(name: str, thing: Any) -> str:
    """One line per name, with its parameters or fields."""
    if inspect.isclass(thing) and issubclass(thing, ts.Spec):
        return f"{name}: {', '.join(thing.model_fields)}"
    if inspect.isclass(thing):
        return f"{name}: class"
    if inspect.isfunction(thing):
        return f"{name}({', '.join(inspect.signature(thing).parameters)})"
    return f"{name}: {'module' if inspect.ismodule(thing) else 'value'}"


def public_names() -> list[str]:
    found = {name: getattr(ts, name) for name in dir(ts)}
    for page in PAGES:
        inside = {n: getattr(found[page], n) for n in dir(found[page]) if not n.startswith("_")}
        found |= {f"{page}.{n}": thing for n, thing in inside.items() if not inspect.ismodule(thing) and _from(thing, f"trainsim.{page}")}
    return [described(name, thing) for name, thing in sorted(found.items())]


def _from(thing: Any, module: str) -> bool:
    return str(getattr(thing, "__module__", "")).startswith(module)


def test_the_public_names_are_those_decided_on() -> None:
    told = SNAPSHOT.read_text(encoding="utf-8").splitlines()
    changes = list(difflib.unified_diff(told, public_names(), "api.txt", "the library", n=0, lineterm=""))
    assert not changes, "\n".join([*changes, "decided? python tests/test_api.py"])


@pytest.mark.parametrize("name", dir(ts))
def test_every_public_name_says_what_it_is(name: str) -> None:
    thing = getattr(ts, name)
    if inspect.isclass(thing) or inspect.isfunction(thing) or inspect.ismodule(thing):
        assert (thing.__doc__ or "").strip(), f"{name} has no docstring"


@pytest.mark.parametrize("name", dir(ts))
def test_a_lazy_name_is_the_same_thing_twice(name: str) -> None:
    assert getattr(ts, name) is getattr(ts, name)
    assert not (inspect.ismodule(getattr(ts, name)) and name not in PAGES), "a module shadows a name"


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'estimat'"):
        _ = ts.estimat  # type: ignore[attr-defined]


if __name__ == "__main__":
    SNAPSHOT.write_text("\n".join(public_names()) + "\n", encoding="utf-8")
