"""The packages: which may import which, how long files and functions are, and what an import costs."""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import os
import pkgutil
import re
import statistics
import subprocess
import sys
import typing
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import trainsim
from trainsim.catalog import rows as catalogue_rows
from trainsim.core.spec import Spec, _units

ROOT = Path(__file__).parents[1]
SRC = Path(trainsim.__file__).parent
ORDER = (
    "core", "claims", "model", "cluster", "cost", "uncertainty", "parallelism", "gpu_memory", "step", "training", "run", "inference",
    "frameworks", "catalog", "planning", "calibration", "auditing", "validation",
)  # fmt: skip
"""The packages in the order that data flows; a package imports only itself and packages before it."""
NARROWER: dict[str, set[str]] = {
    "claims": {"core"},
    "model": {"core"},
    "cluster": {"core"},
    "cost": {"core"},
    "uncertainty": {"core"},
}
"""Packages that may import fewer packages than their position in the order allows."""
EDGES = ("report", "app", "cli", "testing", "monitor")
"""Imported by no other package; they import anything but each other, with the exceptions below."""
ARROWS: dict[str, set[str]] = {
    **{name: {name, *NARROWER.get(name, set(ORDER[:place]))} for place, name in enumerate(ORDER)},
    "report": {*ORDER, "report"},
    "app": {*ORDER, "report", "app"},
    "cli": {*ORDER, "report", "app", "cli"},
    "testing": {*ORDER, "report", "testing"},
    "monitor": {*ORDER, "monitor"},
    "__main__": {"cli"},
}
"""Package or top file: what it may import, at any depth, inside functions and under TYPE_CHECKING too."""
CORE = {"numpy", "scipy", "pydantic", "pydantic_core", "tomli_w"}
OPTIONAL = {
    "core": {"pandas"},
    "model": {"yaml"},
    "report": {"matplotlib"},
    "app": {"flask", "waitress", "werkzeug"},
    "cli": {"typer", "rich"},
    "monitor": {"transformers"},
    "testing": {"hypothesis"},
    "uncertainty": {"dask", "distributed", "ray"},
}
NO_UNIT = {
    ("Truncated", "low"): "an end of a cut, in the unit of the field the belief meets; may be infinite",
    ("Truncated", "high"): "as low",
    ("Linked", "low"): "a bound of the field the belief met; may be infinite",
    ("Linked", "high"): "as low",
    ("Embedding", "patch_share"): "a part of the model's structure, which counts are cached by: never a draw",
    ("Projection", "rows"): "as patch_share",
    ("TowerInput", "pictures"): "as patch_share",
    ("TowerInput", "merged"): "as patch_share",
    ("TowerInput", "seq_len"): "as patch_share",
    ("Plan", "capacity_factor"): "a setting of a launch, which numbers of saved elements are cached by: never a draw",
    ("Phase", "images"): "a model is made for each number of images: as patch_share",
}
"""Plain float fields that carry no unit, each with the reason."""


@functools.cache
def modules() -> dict[str, Path]:
    """Every module of the library, dotted from its root, with its file."""
    files = {p.relative_to(SRC).with_suffix(""): p for p in SRC.rglob("*.py")}
    return {".".join(p.parts).removesuffix(".__init__"): f for p, f in files.items() if str(p) != "__init__"}


@functools.cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(name: str, path: Path, *, lazy: bool = True) -> Iterator[str]:
    """What a module imports, absolute; without ``lazy``, only what its import runs at once."""
    tree = parsed(path)
    package = ["trainsim", *name.split(".")]
    if path.name != "__init__.py":
        package.pop()

    def visit(node: ast.AST) -> Iterator[str]:
        if not lazy and isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            return
        if not lazy and isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            return
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                deeper = f"{module}.{alias.name}"
                yield deeper if deeper.removeprefix("trainsim.") in modules() else module
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            literals = [a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
            yield from (".".join([*package, literal.lstrip(".")]) if literal.startswith(".") else literal for literal in literals)
        for child in ast.iter_child_nodes(node):
            yield from visit(child)

    return visit(tree)


def ours(name: str, path: Path) -> set[str]:
    """The library's own modules that a module imports at any depth, itself left out."""
    found = {i.removeprefix("trainsim.") for i in imports(name, path) if i.startswith("trainsim.")}
    return found - {name}


def within(name: str, packages: Iterable[str]) -> bool:
    return any(name == package or name.startswith(package + ".") for package in packages)


def test_the_top_level_is_the_packages_of_the_design() -> None:
    top = {p.stem for p in SRC.iterdir() if p.suffix == ".py" or (p.is_dir() and p.name != "__pycache__")}
    assert top == {*ORDER, *EDGES, "__init__", "__main__"}


def test_packages_import_only_from_allowed_packages() -> None:
    found = {
        (name, target)
        for name, path in modules().items()
        for target in ours(name, path)
        if not within(target, ARROWS[name.partition(".")[0]])
    }
    assert found == set()


def test_nothing_imports_the_top_level_package() -> None:
    assert [name for name, path in modules().items() if "trainsim" in imports(name, path) and not within(name, EDGES)] == []


def test_packages_reexport_nothing() -> None:
    """A name is imported from the file that defines it; only the catalogue's package is a public namespace."""
    full = [name for name, path in modules().items() if path.name == "__init__.py" and any(imports(name, path)) and name != "catalog"]
    assert [name for name in full if name != "testing"] == []


def strongly_connected(graph: dict[str, set[str]]) -> set[frozenset[str]]:
    """Import cycles, by reachability both ways."""
    reach: dict[str, set[str]] = {}
    for start in graph:
        seen: set[str] = set()
        left = [start]
        while left:
            for target in graph.get(left.pop(), set()) - seen:
                seen.add(target)
                left.append(target)
        reach[start] = seen
    return {frozenset(t for t in reach[name] if name in reach[t]) for name in graph if name in reach[name]}


def test_there_is_no_cycle() -> None:
    # the __init__ of a package may import its own modules
    graph = {name: ours(name, path) for name, path in modules().items()}
    assert strongly_connected(graph) == set()


def test_core_imports_only_numpy_scipy_pydantic() -> None:
    known = CORE | set(sys.stdlib_module_names) | {"trainsim"}
    foreign = [
        (name, top)
        for name, path in modules().items()
        for top in sorted({i.partition(".")[0] for i in imports(name, path)} - known - OPTIONAL.get(name.partition(".")[0], set()))
    ]
    assert foreign == []


def test_optional_packages_are_imported_only_when_used() -> None:
    early = [
        (name, top)
        for name, path in modules().items()
        if not within(name, {"testing", "cli"})  # a command imports its own extra
        for top in sorted(
            {i.partition(".")[0] for i in imports(name, path, lazy=False)} - CORE - set(sys.stdlib_module_names) - {"trainsim"}
        )
    ]
    assert early == []


def test_no_module_is_named_like_a_public_verb() -> None:
    pages = {"catalog", "testing"}
    assert {name for _, name, _ in pkgutil.iter_modules([str(SRC)])} & set(dir(trainsim)) <= pages


def test_files_have_fewer_than_400_lines() -> None:
    lengths = {name: len(path.read_text(encoding="utf-8").splitlines()) for name, path in modules().items()}
    assert {n: lines for n, lines in lengths.items() if lines >= 400} == {}


def test_functions_have_fewer_than_60_lines() -> None:
    long = {}
    for name, path in modules().items():
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.FunctionDef):
                body = node.body[1:] if ast.get_docstring(node) else node.body
                lines = (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0
                if lines > 60:
                    long[f"{name}.{node.name}"] = lines
    assert long == {}


def every_spec() -> list[type[Spec]]:
    for _, name, _ in pkgutil.walk_packages([str(SRC)], "trainsim."):
        if not within(name.removeprefix("trainsim."), {"cli"}):
            importlib.import_module(name)

    def deeper(cls: type[Spec]) -> Iterator[type[Spec]]:
        for child in cls.__subclasses__():
            yield child
            yield from deeper(child)

    return [c for c in dict.fromkeys(deeper(Spec)) if c.__module__.startswith("trainsim.")]


def holds_numbers(annotation: Any) -> bool:
    """Whether a field may be a float or an array of draws."""
    if annotation is float or (inspect.isclass(annotation) and issubclass(annotation, np.ndarray)):
        return True
    if typing.get_origin(annotation) is tuple:
        return False
    return typing.get_origin(annotation) is np.ndarray or any(holds_numbers(a) for a in typing.get_args(annotation))


def test_every_number_has_a_unit() -> None:
    bare = [
        (cls.__name__, field)
        for cls in every_spec()
        for field, info in cls.model_fields.items()
        if holds_numbers(info.annotation) and field not in _units(cls)
    ]
    assert [b for b in bare if b not in NO_UNIT] == []
    assert set(NO_UNIT) <= set(bare), "an exemption that exempts nothing"


def test_every_unit_can_be_taken_apart() -> None:
    known = {"FLOP", "B", "s", "h", "day", "year", "GPU", "USD", "token", "sequence", "W", "kWh", "FTE", "GB", "month"}
    units = {(cls.__name__, field): unit for cls in every_spec() for field, unit in _units(cls).items()}
    assert units
    strange = {where: set(unit.dimension()) - known for where, unit in units.items() if set(unit.dimension()) - known}
    assert all(re.fullmatch(r"[A-Za-z%0-9]+", base) for bases in strange.values() for base in bases), strange


DATA = sorted(p.stem for p in (SRC / "catalog" / "data").glob("*.toml") if p.stem != "sources")


@pytest.mark.parametrize("file", [*DATA, "claims"])
def test_every_catalogue_row_has_a_source(file: str) -> None:
    found = catalogue_rows(file)
    assert found
    assert [row.address for row in found.values() if not row.source or not row.cited] == []


def test_an_import_leaves_the_heavy_packages_unloaded() -> None:
    code = "import sys, trainsim; print([m for m in ('scipy.stats', 'matplotlib', 'pandas', 'typer', 'hypothesis') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)  # noqa: S603
    assert done.stdout.strip() == "[]"


@pytest.mark.slow
def test_an_import_costs_half_again_what_its_dependencies_cost(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    fixed = {"PYTHONPYCACHEPREFIX": str(tmp_path), "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"} | fixed

    def seconds(code: str) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-c", code], check=True, env=env)  # noqa: S603
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return float(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)

    ours, theirs = "import trainsim", "import numpy, pydantic, scipy.special"
    seconds(ours)  # the first run writes the bytecode
    ratios = [seconds(ours) / seconds(theirs) for _ in range(11)]
    assert statistics.median(ratios) <= 1.5, ratios


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.py")), ids=lambda p: p.name)
def test_an_example_is_one_page_that_opens_with_its_question(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert 20 <= len(text.splitlines()) <= 60
    question = ast.get_docstring(ast.parse(text)) or ""
    assert "?" in question.splitlines()[0]
    assert "print(" in "".join(text.splitlines()[-12:])


def test_a_class_name_has_one_meaning() -> None:
    """No two classes of the library share a name; private ones and the two readings of an import are left out."""
    found: dict[str, list[str]] = {}
    for name, path in modules().items():
        for node in parsed(path).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found.setdefault(node.name, []).append(name)
    assert {name: where for name, where in found.items() if len(where) > 1} == {}
