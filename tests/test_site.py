"""The documentation site: its made pages hold every public name and formula, and every page is in the navigation.

After a change of a convention: ``python tests/test_site.py`` writes its page anew; look at the difference before committing it.
"""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import trainsim as ts

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"


def made() -> ModuleType:
    """The hook that makes pages."""
    spec = importlib.util.spec_from_file_location("pages", DOCS / "hooks" / "pages.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


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


def test_the_page_of_conventions_is_as_they_are_now() -> None:
    assert (DOCS / "conventions.md").read_text(encoding="utf-8") == conventions(), "python tests/test_site.py"


def test_every_public_name_has_its_place_in_the_reference() -> None:
    pages = made()
    assert {name for names in pages.tasks().values() for name in names} == set(dir(ts))
    assert pages.reference().count("\n::: trainsim") == len(dir(ts))


def test_every_page_is_in_the_navigation() -> None:
    shown = set(re.findall(r"[\w/.-]+\.md", (ROOT / "mkdocs.yml").read_text(encoding="utf-8")))
    assert {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")} == shown - set(made().PAGES)


def test_the_gallery_shows_every_example_with_what_it_prints() -> None:
    text = made().gallery()
    examples = sorted(path.name for path in (ROOT / "examples").glob("*.py"))
    assert re.findall(r"^`examples/([\w.]+)`$", text, re.MULTILINE) == examples
    assert text.count("```text") == len(examples)


def test_formulas_have_a_source_each() -> None:
    text = made().formulas()
    assert text.count("| `") > 40
    assert "| `step.overlap" in text or "| `cluster.kernels" in text


if __name__ == "__main__":
    (DOCS / "conventions.md").write_text(conventions(), encoding="utf-8")
