"""The documentation site: its generated pages contain every public name and formula, and every page is in the navigation.

After a change of a convention: ``python tests/test_site.py`` writes its page anew; look at the difference before committing it.
"""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

import trainsim as ts

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"


def loaded(path: Path) -> ModuleType:
    """A script outside any package, as a module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def made() -> ModuleType:
    """The hook that generates pages."""
    return loaded(DOCS / "hooks" / "pages.py")


def conventions() -> str:
    model, lengths = ts.catalog.model("deepseek-v3"), (4096, 32768)
    lines = [
        "# Conventions side by side",
        "",
        "Training FLOPs of a token of DeepSeek-V3 by every convention of the library [GFLOP/token]. A published MFU uses one of them.",
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
    names = re.findall(r"^[\w.]+", (ROOT / "tests" / "api.txt").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(re.findall(r"^#+ ts\.([\w.]+)$", pages.reference(), re.MULTILINE)) >= set(names)


PAGE = '<html><body><h1 id="top">{title}</h1>{body}</body></html>'


def site_of(folder: Path, **bodies: str) -> Path:
    """A small site: name → content of its page."""
    for name, body in bodies.items():
        (folder / f"{name}.html").write_text(PAGE.format(title=f"ts.{name}", body=body), encoding="utf-8")
    return folder


def test_a_crawl_follows_every_link_and_finds_every_name(tmp_path: Path) -> None:
    crawler = loaded(ROOT / "tests" / "site_crawl.py")
    site = site_of(tmp_path, index='<a href="run.html#top">a run</a>', run='<a href="index.html">back</a>', memory="nothing leads here")
    pages, broken = crawler.crawl(site)
    assert ({path.stem for path in pages}, broken) == ({"index", "run"}, [])
    assert crawler.names_without_a_heading(pages, ["run", "memory"]) == ["memory"]
    assert crawler.main(site) == 1


@pytest.mark.parametrize(
    "body",
    [
        '<a href="nowhere.html">a page</a>',
        '<a href="#nowhere">an anchor</a>',
        '<a href="run.html#nowhere">an anchor elsewhere</a>',
        '<img src="nowhere.png">',
        '<script src="https://example.org/script.js"></script>',
    ],
)
def test_a_crawl_sees_what_is_broken(body: str, tmp_path: Path) -> None:
    crawler = loaded(ROOT / "tests" / "site_crawl.py")
    _, broken = crawler.crawl(site_of(tmp_path, index=body, run=""))
    assert len(broken) == 1


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
    assert text.count("| <code>") > 40
    assert ":func:" not in text
    assert "| <code>step.<wbr>overlap" in text or "| <code>cluster.<wbr>kernels" in text


if __name__ == "__main__":
    (DOCS / "conventions.md").write_text(conventions(), encoding="utf-8")
