"""Pages that the site makes from the library as it is: every public name by task, and every formula with its source."""

from __future__ import annotations

import ast
import inspect
import re
from html import unescape
from pathlib import Path
from typing import Any

import trainsim as ts

EQUATION = re.compile(r"``[^`]*\s[=≈∝]\s[^`]*``")
ROLE = re.compile(r":\w+:`~?(?:[\w.]*\.)?(\w+)`")
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


def catalogue() -> list[str]:
    """Public names of the catalogue."""
    return [name for name in dir(ts.catalog) if not name.startswith("_") and not inspect.ismodule(getattr(ts.catalog, name))]


def reference() -> str:
    """The page of names."""
    lines = ["# Reference", "", "Every public name, by task. `import trainsim as ts` gives all of them.", ""]
    for heading, names in tasks().items():
        lines += [f"## {heading}", ""]
        for name in names:
            lines += [f"### ts.{name}", "", f"::: {address(name)}", "    options:", "      heading_level: 4", ""]
            if name == "catalog":
                lines += [
                    line for inside in catalogue() for line in (f"#### ts.catalog.{inside}", "", f"::: trainsim.catalog.{inside}", "")
                ]
    return "\n".join(lines).rstrip("\n") + "\n"


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
        source = SOURCE.search(doc)
        equation = next((text for text in doc.partition("\nArgs:")[0].split("\n\n") if EQUATION.search(text)), "")
        if equation and source:
            where = path.relative_to(src).with_suffix("").as_posix().replace("/", ".")
            cells = [ROLE.sub(r"`\1`", " ".join(text.split())).replace("|", "\\|") for text in (equation, source.group(1))]
            name = f"{where}.{node.name}".replace(".", ".<wbr>")  # a narrow column breaks there alone
            rows.append(f"| <code>{name}</code> | {cells[0]} | {cells[1]} |")
    return rows


def pictures(light: Path) -> list[str]:
    """A kept picture as the theme of the page shows it: light on light, dark on dark."""
    title = unescape(re.findall(r'aria-label="([^"]*)"', light.read_text(encoding="utf-8"))[0])
    words = title.replace("[", "(").replace("]", ")")
    return [f"![{words}](gallery/{light.stem}.svg#only-light)", f"![{words}](gallery/{light.stem}.dark.svg#only-dark)"]


def gallery() -> str:
    """Every example: its question, its picture, the script, and what it prints."""
    root = Path(__file__).parents[2]
    lines = [
        "# Gallery",
        "",
        "Questions that people ask, each with a script of a page. What it prints is kept, and a changed answer fails the tests.",
    ]
    for path in sorted((root / "examples").glob("*.py")):
        code = path.read_text(encoding="utf-8")
        question, _, rest = (ast.get_docstring(ast.parse(code)) or "").partition("\n")
        kept = root / "docs" / "gallery" / f"{path.stem}.txt"
        body = code[code.index('"""', 3) + 3 :].strip("\n")
        lines += ["", f"## {question}", "", *rest.strip().splitlines(), ""]
        if kept.with_suffix(".svg").exists():
            lines += [*pictures(kept.with_suffix(".svg")), ""]
        lines += [f"`examples/{path.name}`", "", "```python", body, "```", "", "It prints:", "", "```text"]
        lines += [kept.read_text(encoding="utf-8").rstrip("\n"), "```"]
    return "\n".join(lines) + "\n"


PAGES = {"reference.md": reference, "formulas.md": formulas, "gallery.md": gallery}


def on_files(files: Any, config: Any) -> Any:
    """Add the pages to those of the folder; the site's builder calls it."""
    from mkdocs.structure.files import File

    for name, make in PAGES.items():
        files.append(File.generated(config, name, content=make()))
    return files
