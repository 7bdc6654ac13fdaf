"""Hygiene: caches are bounded, errors have a known rule id, imports are light."""

from __future__ import annotations

import ast
import functools
import gc
import subprocess
import sys
import typing
from pathlib import Path
from typing import Any

import pytest

import trainsim
from trainsim.core.errors import CatalogError, LedgerError, PathError, RuleId, SpecError, TrainsimError
from trainsim.core.family import Family
from trainsim.core.spec import Spec
from trainsim.testing.laws import modules

FILES = sorted(Path(trainsim.__file__).parent.rglob("*.py"))


def test_every_cache_is_bounded() -> None:
    list(modules(trainsim, leave_out=("cli", "__main__")))
    gc.unfreeze()  # the command line calls gc.freeze at its end, after which existing objects are not listed
    caches: list[Any] = [thing for thing in gc.get_objects() if isinstance(thing, functools._lru_cache_wrapper)]
    ours = [cache for cache in caches if str(getattr(cache, "__module__", "")).startswith("trainsim")]
    assert ours
    assert [f"{c.__module__}.{c.__qualname__}" for c in ours if c.cache_parameters()["maxsize"] is None] == []


def literals(call: ast.Call) -> list[str]:
    """Strings in a call that may be a rule id: its fifth argument, or the one named rule_id."""
    given = [*call.args[4:5], *(k.value for k in call.keywords if k.arg == "rule_id")]
    return [str(node.value) for node in given if isinstance(node, ast.Constant)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: "/".join(path.parts[-2:]))
def test_an_error_names_a_rule_that_exists(path: Path) -> None:
    kinds: list[type] = [TrainsimError, *TrainsimError.__subclasses__()]
    errors = {cls.__name__ for cls in kinds}
    known = set(typing.get_args(RuleId))
    calls = [n for n in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(n, ast.Call)]
    named = [(call.lineno, word) for call in calls if getattr(call.func, "id", "") in errors for word in literals(call)]
    assert [found for found in named if found[1] not in known] == []


def test_an_error_keeps_its_fields_when_recast() -> None:
    error = SpecError("tp", 6, "does not divide heads=8", "1, 2, 4, 8", "conflict").under("plan").at("run.plan.tp")
    assert (error.path, error.value, error.rule_id) == ("run.plan.tp", 6, "conflict")
    assert (PathError("a", 1, "x", "y").rule_id, LedgerError("a", 1, "x", "y").rule_id) == ("unknown-path", "unit-mismatch")
    assert CatalogError("a", 1, "x", "y").rule_id == "invalid"


def test_an_import_loads_none_of_the_dependencies() -> None:
    code = "import sys, trainsim; print([m for m in ('numpy', 'scipy', 'pydantic', 'tomli_w') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)  # noqa: S603
    assert done.stdout.strip() == "[]"


def test_no_mapping_of_a_family_member_can_be_changed() -> None:
    list(modules(trainsim, leave_out=("cli", "__main__")))
    classes = every_subclass(Family)
    assert len(classes) > 40
    own = [(cls, name) for cls in classes for name in cls.__class_vars__ & vars(cls).keys()]
    assert [f"{cls.__name__}.{name}" for cls, name in own if type(vars(cls)[name]) in {dict, list, set}] == []


def every_subclass(cls: type[Spec]) -> list[type[Spec]]:
    """Direct and indirect subclasses."""
    return [found for child in cls.__subclasses__() for found in (child, *every_subclass(child))]
