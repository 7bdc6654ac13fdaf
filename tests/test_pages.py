"""Every python block of the pages runs as printed, in order, and results equal those in its comments."""

from __future__ import annotations

import ast
import json
import re
import tokenize
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

import trainsim as ts

ROOT = Path(__file__).parents[1]
PAGES = [
    "README.md", "docs/backtest.md", "docs/cost.md", "docs/uncertainty.md", "docs/start.md", "docs/check-a-claim.md", "docs/plan-a-run.md",
    "docs/does-it-fit.md", "docs/why-so-slow.md", "docs/how-long-is-my-grpo.md", "docs/flops-and-mfu.md",
]  # fmt: skip
"""``docs/adding-a-family.md`` registers a family and runs in a process of its own: tests/model/test_adding_a_family.py."""


def blocks(page: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)


def comments(code: str) -> dict[int, str]:
    """Line → its comment."""
    tokens = tokenize.generate_tokens(StringIO(code).readline)
    return {t.start[0]: t.string.lstrip("# ") for t in tokens if t.type == tokenize.COMMENT}


def promise(comment: str) -> Any:
    """The result stated in a comment after an expression: a literal, or a rounded number at its start; None if it only explains."""
    number = re.match(r"([\d,]*\.?\d+)(?=[\s,]|$)", comment)
    if number:
        digits = number.group(1).replace(",", "")
        return pytest.approx(float(digits), abs=0.5 * 10.0 ** -len(digits.partition(".")[2]))
    try:
        return ast.literal_eval(comment)
    except (SyntaxError, ValueError):
        return None


def run(code: str, names: dict[str, Any]) -> int:
    """Run each statement as printed; returns the number of compared results."""
    said, held = comments(code), 0
    for statement in ast.parse(code).body:
        if isinstance(statement, ast.Expr):
            value = eval(compile(ast.Expression(statement.value), "page", "eval", dont_inherit=True), names)  # noqa: S307  (our own page)
            wanted = promise(said.get(statement.end_lineno or 0, ""))
            if wanted is not None:
                assert value == wanted, f"{ast.unparse(statement)} gives {value!r}, the page says {wanted!r}"
                held += 1
        else:
            exec(compile(ast.Module([statement], []), "page", "exec", dont_inherit=True), names)  # noqa: S102  (our own page)
    return held


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("page", PAGES)
def test_every_block_runs_as_printed(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = ts.catalog.rows("models")["deepseek-v3"]["config"]
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"ts": ts, "__name__": "page"}
    found = blocks(page)
    assert found
    held = sum(run(block, names) for block in found)
    assert held >= (1 if page != "docs/uncertainty.md" else 0)
    if page == "README.md":
        assert "NUMBER   CONFIRMED" in capsys.readouterr().out


def test_a_broken_promise_is_seen() -> None:
    with pytest.raises(AssertionError, match="the page says"):
        run("1 + 1  # 3", {})
    assert run("1 + 1  # 2\n'a' + 'b'  # 'ab'\n1 / 3  # 0.333, a third\n1 + 1  # a sum", {}) == 3


@pytest.mark.parametrize(
    "page", ["README.md", "CONTRIBUTING.md", *(p.relative_to(ROOT).as_posix() for p in sorted(ROOT.glob("docs/**/*.md")))]
)
def test_every_link_leads_somewhere(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    links = [*re.findall(r"\]\(([^)#\s]+)(?:#[^)\s]*)?\)", text), *re.findall(r'(?:src|srcset|href)="([^"#]+)"', text)]
    assert [link for link in links if "://" not in link and not (ROOT / page).parent.joinpath(link).exists()] == []


def test_the_measured_lines_of_the_readme_are_those_of_their_pages() -> None:
    readme, models, engine = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "docs/models.md", "docs/uncertainty.md"))
    assert "{} of the 196".format(*re.findall(r"(\d+) of 196 types are exact", models)) in readme
    ratios = dict(re.findall(r"^\| (numpy, independent|chaospy) [\d.]+ \| ([\d,]+) ×", engine, re.MULTILINE))
    assert f"numpy takes {ratios['numpy, independent']} times as long and chaospy {ratios['chaospy']} times" in readme


def test_the_two_commands_are_what_continuous_integration_runs() -> None:
    readme, stage = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", ".ci/run"))
    commands = re.findall(r"```sh\n(.*?)```", readme, re.DOTALL)[0].splitlines()
    assert [c.partition("#")[0].strip() for c in commands] == [
        "pip install -e . && python examples/01_is_6m_plausible.py",
        "pip install -e '.[dev]' && pytest",
    ]
    assert "pip install -q -e '.[dev]'\npytest\n" in stage
