"""The house: which room may know which, what lies where, how long things are, and what an import costs."""

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
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import trainsim
from trainsim.catalog import rows as catalogue_rows
from trainsim.spec import Spec, _units

ROOT = Path(__file__).parents[1]
SRC = ROOT / "src" / "trainsim"
GROUND = {"errors", "units", "toml", "complaints", "spec", "ledger"}
WORK = GROUND | {"model", "cluster", "training"}
RUN = WORK | {"cost", "run"}
JOURNEY = RUN | {"journey", "comparison", "dependence", "trace", "development", "fleet"}
NOUNS = {"claims.claim", "claims.scope"}
ALL = (
    JOURNEY
    | NOUNS
    | {
        "uncertainty",
        "doubt",
        "measured_steps",
        "published_steps",
        "published_models",
        "iteration_times",
        "step_logs",
        "step_record",
        "layers_seen",
        "held_out",
    }
    | {"catalog", "claims", "planning", "calibration"}
    | {"diagnosis", "own_steps"}
)

ARROWS: dict[str, set[str]] = {
    # ground floor: imported by all, imports nothing but itself
    **dict.fromkeys(GROUND, GROUND),
    # four rooms that do not know each other
    "model": GROUND | {"model"},
    "cluster": GROUND | {"cluster"},
    "cost": GROUND | {"cost"},
    "uncertainty": GROUND | {"uncertainty"},
    # what binds them
    "training": WORK,
    "run": RUN,
    "journey": RUN | {"journey"},
    "comparison": RUN | {"journey"},
    "dependence": GROUND,
    "trace": RUN | {"journey", "dependence", "development", "fleet"},
    "development": RUN | {"journey", "development"},
    "fleet": RUN | {"journey", "development", "fleet"},
    "doubt": JOURNEY | NOUNS | {"uncertainty"},
    # claims: nouns below the catalogue, verbs above it
    "claims": set(),
    "claims.claim": GROUND,
    "claims.scope": GROUND,
    "catalog": JOURNEY | NOUNS | {"uncertainty", "doubt", "catalog"},
    "claims.words": RUN | {"claims.claim"},
    "claims.arithmetic": ALL,
    "claims.judges": ALL,
    "claims.ladder": ALL,
    "claims.decides": ALL,
    "claims.developments": ALL,
    "claims.hours": ALL,
    "claims.ratio": ALL,
    "claims.readings": ALL,
    "claims.verdict": ALL,
    "claims.screen": ALL,
    "claims.backtest": ALL,
    "claims.step_backtest": ALL,
    "claims.reinforcement_backtest": ALL,
    "claims.step_coverage": ALL,
    "planning": ALL - {"claims"},
    "calibration": ALL - {"claims", "planning", "held_out"},
    "diagnosis": ALL - {"claims", "planning"},
    "own_steps": ALL - {"claims", "planning"},
    "step_logs": GROUND,
    "iteration_times": GROUND,
    "measured_steps": ALL - {"claims", "planning", "calibration"},  # measured steps, read for calibration
    "published_steps": ALL - {"claims", "planning", "calibration", "measured_steps"},
    "published_models": GROUND | {"catalog", "model"},
    "step_record": ALL - {"claims", "planning", "calibration", "measured_steps", "published_steps", "layers_seen", "held_out"},
    "layers_seen": ALL - {"claims", "planning", "calibration", "measured_steps", "published_steps", "held_out"},
    "held_out": ALL - {"claims", "planning"},  # rows as a fit foretells them
    # edges: import anything, imported by nothing
    "report": ALL | {"report"},
    "cli": ALL | {"report", "cli"},
    "__main__": {"cli"},
    "testing": ALL | {"report", "testing"},
}
"""Room or module → what it may import. The longest fitting name holds: ``claims.claim`` before ``claims``."""
EDGES = {"report", "cli", "testing"}
"""``__main__`` alone may import the command line."""
CORE = {"numpy", "scipy", "pydantic", "pydantic_core"}
OPTIONAL = {"report": {"matplotlib"}, "cli": {"typer", "rich"}, "testing": {"hypothesis"}, "uncertainty": {"dask", "ray"}}
NO_UNIT = {
    ("Truncated", "low"): "an end of a cut, in the unit of the field the belief meets; may be infinite",
    ("Truncated", "high"): "as low",
    ("Linked", "low"): "a bound of the field the belief met; may be infinite",
    ("Linked", "high"): "as low",
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
    """What a module imports at run time, absolute; with or without what functions import when they are called."""
    tree = parsed(path)
    package = ["trainsim", *name.split(".")]
    if path.name != "__init__.py":
        package.pop()

    def visit(node: ast.AST) -> Iterator[str]:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            return
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and not lazy:
            return
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                deeper = f"{module}.{alias.name}"
                yield deeper if deeper.removeprefix("trainsim.") in modules() else module
        for child in ast.iter_child_nodes(node):
            yield from visit(child)

    return visit(tree)


def ours(name: str, path: Path, *, lazy: bool = True) -> set[str]:
    """The library's own modules that a module imports; the bare package (for its version) is none."""
    found = (i.removeprefix("trainsim.") for i in imports(name, path, lazy=lazy) if i.startswith("trainsim."))
    return {i for i in found if i != name}


def within(name: str, rooms: set[str]) -> bool:
    return any(name == room or name.startswith(room + ".") for room in rooms)


def row_of_table(name: str) -> str | None:
    parts = name.split(".")
    return next((found for i in range(len(parts), 0, -1) if (found := ".".join(parts[:i])) in ARROWS), None)


def test_every_module_has_a_room() -> None:
    assert [name for name in modules() if row_of_table(name) is None] == []


def test_arrows_point_one_way() -> None:
    wrong = []
    for name, path in modules().items():
        row = row_of_table(name)
        if row is not None:
            wrong += [f"{name} imports {target}" for target in sorted(ours(name, path)) if not within(target, ARROWS[row])]
    assert wrong == []


def test_edges_are_imported_by_nothing() -> None:
    inner = {n: p for n, p in modules().items() if not within(n, EDGES | {"__main__"})}
    assert [(n, t) for n, p in inner.items() for t in ours(n, p) if within(t, EDGES)] == []


def test_there_is_no_cycle() -> None:
    graph = {name: ours(name, path, lazy=False) for name, path in modules().items()}
    # a package's own __init__ gathers its modules; it is no user of theirs
    graph = {name: {t for t in targets if t in graph} for name, targets in graph.items()}
    done: set[str] = set()

    def walk(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " → ".join((*trail[trail.index(name) :], name))
        if name not in done:
            for target in sorted(graph[name]):
                walk(target, (*trail, name))
            done.add(name)

    for name in graph:
        walk(name, ())


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
        if not within(name, {"testing"})
        for top in sorted(
            {i.partition(".")[0] for i in imports(name, path, lazy=False)} - CORE - set(sys.stdlib_module_names) - {"trainsim"}
        )
    ]
    assert early == []


def test_no_module_is_named_like_a_public_verb() -> None:
    pages = {"catalog", "testing"}
    assert {name for _, name, _ in pkgutil.iter_modules([str(SRC)])} & set(dir(trainsim)) <= pages


def test_files_are_read_in_one_sitting() -> None:
    lengths = {name: len(path.read_text(encoding="utf-8").splitlines()) for name, path in modules().items()}
    # the ground floor's spec is one noun with its file format; it may be longer, and not by much
    limits = {"spec": 500, "uncertainty.distributions": 500}
    assert {n: lines for n, lines in lengths.items() if lines >= limits.get(n, 400)} == {}


def test_functions_are_shorter_than_a_screen() -> None:
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
    seconds(ours)  # writes the bytecode
    ratios = [seconds(ours) / seconds(theirs) for _ in range(11)]
    assert statistics.median(ratios) <= 1.5, ratios


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.py")), ids=lambda p: p.name)
def test_an_example_is_one_page_that_opens_with_its_question(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert 20 <= len(text.splitlines()) <= 60
    question = ast.get_docstring(ast.parse(text)) or ""
    assert "?" in question.splitlines()[0]
    assert "print(" in "".join(text.splitlines()[-12:])
