"""Docstrings of the public names, each checked against its own signature."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import trainsim as ts
from trainsim.core.spec import Spec
from trainsim.core.units import Unit

SECTION = re.compile(r"^\s*(Args|Returns|Raises|Yields|Source):", re.MULTILINE)


def public() -> Iterator[tuple[str, Any]]:
    """Every public class and function, those of the catalogue included."""
    for prefix, module in (("", ts), ("catalog.", ts.catalog)):
        for name in dir(module):
            thing = getattr(module, name)
            ours = getattr(thing, "__module__", "").startswith("trainsim")
            if not name.startswith("_") and callable(thing) and ours:
                yield f"{prefix}{name}", inspect.unwrap(thing)


PUBLIC = dict(public())
FUNCTIONS = {name: thing for name, thing in PUBLIC.items() if inspect.isfunction(thing)}
CLASSES = {name: thing for name, thing in PUBLIC.items() if inspect.isclass(thing)}
SPECS = {name: thing for name, thing in CLASSES.items() if issubclass(thing, Spec)}


def text_of(thing: Any) -> str:
    """The docstring of the object itself, not an inherited one."""
    return inspect.cleandoc(vars(thing).get("__doc__") or "") if inspect.isclass(thing) else inspect.getdoc(thing) or ""


def section(text: str, name: str) -> str:
    """The text of one section, empty where there is none."""
    found = re.search(rf"^{name}:(.*?)(?=^(?:Args|Returns|Raises|Yields|Source):|^>>> |\Z)", text, re.MULTILINE | re.DOTALL)
    return found.group(1) if found else ""


def parameters(function: Callable[..., Any]) -> list[str]:
    return [p.name for p in inspect.signature(function).parameters.values()]


def named(args: str, name: str) -> bool:
    """Whether a line of an Args section describes a parameter, alone or in a list with others."""
    return re.search(rf"^\s*[\w*, `]*(?<!\w)\*{{0,2}}`*{re.escape(name)}`*(?!\w)[\w*, `]*(?:\([^)]*\))?:", args, re.MULTILINE) is not None


@pytest.mark.parametrize("name", PUBLIC)
def test_the_first_line_is_a_sentence(name: str) -> None:
    first = text_of(PUBLIC[name]).split("\n\n")[0]
    assert first, "no docstring"
    assert first.rstrip().endswith((".", ":", "``")), first


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_describes_what_it_takes_and_gives(name: str) -> None:
    function = FUNCTIONS[name]
    text = text_of(function)
    undescribed = [p for p in parameters(function) if not named(section(text, "Args"), p)]
    assert undescribed == []
    if inspect.signature(function).return_annotation not in (inspect.Signature.empty, None, "None"):
        assert section(text, "Returns"), "no Returns"


@pytest.mark.parametrize("name", SPECS)
def test_a_spec_describes_its_own_fields(name: str) -> None:
    cls = SPECS[name]
    own = [f for f in cls.model_fields if f in vars(cls).get("__annotations__", {})]
    args = section(text_of(cls), "Args")
    assert [f for f in own if not named(args, f)] == []


def units_of(cls: type[Spec]) -> dict[str, Unit]:
    return {f: u for f, info in cls.model_fields.items() for u in info.metadata if isinstance(u, Unit)}


@pytest.mark.parametrize("name", SPECS)
def test_a_number_with_a_unit_says_it_in_brackets(name: str) -> None:
    """Each described field line, or the list it stands in, ends with the field's unit in brackets."""
    cls = SPECS[name]
    args = re.sub(r"\s+", " ", section(text_of(cls), "Args"))
    own = {f: u for f, u in units_of(cls).items() if f in vars(cls).get("__annotations__", {})}
    assert not own or "[" in args, f"units of {sorted(own)} are not given"


@pytest.mark.parametrize("name", [n for n in PUBLIC if not inspect.isabstract(PUBLIC[n])])
def test_there_is_an_example_that_runs(name: str) -> None:
    assert ">>> " in text_of(PUBLIC[name])


@pytest.mark.parametrize("name", PUBLIC)
def test_sections_come_in_one_order(name: str) -> None:
    found = SECTION.findall(text_of(PUBLIC[name]))
    order = ["Args", "Yields", "Returns", "Raises", "Source"]
    assert found == sorted(set(found), key=order.index)


def test_a_missing_argument_is_seen() -> None:
    assert named("\n    a, b: two numbers [1].\n", "b")
    assert not named("\n    a, b: two numbers [1].\n", "c")
    assert not named("\n    ab: one number [1].\n", "a")
