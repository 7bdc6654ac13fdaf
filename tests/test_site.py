"""The documentation site: pages made from the library are as it is now, every page is in the navigation, and every public name is on one.

After a change: ``python tests/test_site.py`` writes the pages anew; look at the difference before committing it.
"""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

import pytest

import trainsim as ts

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
SOURCE = re.compile(r"^ *Source: (.*?)(?=\n\s*\n|\Z)", re.MULTILINE | re.DOTALL)


def tasks() -> dict[str, list[str]]:
    """Heading → public names, as the library's front page groups them."""
    text = (Path(ts.__file__)).read_text(encoding="utf-8")
    body = text[text.index("if _TYPE_CHECKING:") : text.index("_WHERE = {")]
    found: dict[str, list[str]] = {}
    heading = ""
    for line in body.splitlines():
        if line.strip().startswith("# "):
            heading = line.strip("# ")
        if (name := re.search(r" import \w+ as (\w+)$", line)) and heading:
            found.setdefault(heading[:1].upper() + heading[1:], []).append(name.group(1))
    return found


def address(name: str) -> str:
    """Where a public name is defined, as the site's generator finds it."""
    thing = getattr(ts, name)
    if inspect.ismodule(thing):
        return str(thing.__name__)
    module = getattr(thing, "__module__", "")
    if inspect.isclass(thing) or inspect.isfunction(thing):
        return f"{module}.{thing.__name__}"
    return next(f"trainsim.{file}.{name}" for file, names in ts._WHERE.items() if name in names)


def reference() -> str:
    lines = ["# Reference", "", "Every public name, by task. `import trainsim as ts` gives all of them.", ""]
    for heading, names in tasks().items():
        lines += [f"## {heading}", ""]
        lines += [
            line for name in names for line in (f"### ts.{name}", "", f"::: {address(name)}", "    options:", "      heading_level: 4", "")
        ]
    return "\n".join(lines).rstrip("\n") + "\n"


def conventions() -> str:
    model, lengths = ts.catalog.model("deepseek-v3"), (4096, 32768)
    lines = [
        "# Conventions side by side",
        "",
        "Training FLOPs of a token of DeepSeek-V3 by every convention of the library [GFLOP/token]. A published MFU is in one of them.",
        "",
        f"| convention | {lengths[0]:,} tokens | {lengths[1]:,} tokens | when to use it |",
        "|---|---|---|---|",
    ]
    for name, convention in ts.CONVENTIONS.items():
        values = [float(ts.flops_per_token(model, float(n), name).total) / 1e9 for n in lengths]
        lines.append(f"| `{name}` | {values[0]:,.1f} | {values[1]:,.1f} | {convention.use} |")
    return "\n".join(lines) + "\n"


def formulas() -> str:
    """Equations and sources of docstrings, by file."""
    src = Path(ts.__file__).parent
    lines = ["# Formulas", "", "Every equation that a function states, with its source, in the order that data flows.", ""]
    order = ("model", "cluster", "cost", "parallelism", "gpu_memory", "step", "training", "run", "uncertainty")
    for package in order:
        found = []
        for path in sorted((src / package).rglob("*.py")):
            found += _equations(path, src)
        if found:
            lines += [f"## {package}", "", "| function | equation | source |", "|---|---|---|", *found, ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def _equations(path: Path, src: Path) -> list[str]:
    rows = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, (ast.FunctionDef, ast.ClassDef)) or node.name.startswith("_"):
            continue
        doc = ast.get_docstring(node) or ""
        equation, source = re.search(r"\n\n(``[^\n]+(?:\n[^\n]+)*)", doc), SOURCE.search(doc)
        if equation and source and "=" in equation.group(1):
            where = path.relative_to(src).with_suffix("").as_posix().replace("/", ".")
            cells = [" ".join(text.split()).replace("|", "\\|") for text in (equation.group(1), source.group(1))]
            rows.append(f"| `{where}.{node.name}` | {cells[0]} | {cells[1]} |")
    return rows


PAGES = {"reference.md": reference, "conventions.md": conventions, "formulas.md": formulas}


@pytest.mark.parametrize("page", PAGES)
def test_a_page_made_from_the_library_is_as_it_is_now(page: str) -> None:
    assert (DOCS / page).read_text(encoding="utf-8") == PAGES[page](), "python tests/test_site.py"


def test_every_public_name_has_its_place_in_the_reference() -> None:
    assert {name for names in tasks().values() for name in names} == set(dir(ts))


def test_every_page_is_in_the_navigation() -> None:
    shown = set(re.findall(r"[\w/.-]+\.md", (ROOT / "mkdocs.yml").read_text(encoding="utf-8")))
    pages = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    assert pages == shown


def test_formulas_have_a_source_each() -> None:
    assert formulas().count("| `") > 40


if __name__ == "__main__":
    for name, make in PAGES.items():
        (DOCS / name).write_text(make(), encoding="utf-8")
