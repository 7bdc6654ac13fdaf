"""The pages of command lines and the terminal picture of README.md: every command is run, and its answer equals the printed one.

Words must be equal; figures may differ by 2 %, about a change of the third digit. ``python tests/cli/test_cookbook.py`` runs the commands
and rewrites their answers in the pages and the picture; check the difference before you commit it.
"""

from __future__ import annotations

import contextlib
import doctest
import io
import json
import os
import re
import shlex
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import typer.main

import trainsim as ts
from trainsim.cli.main import _app, main

DOCS = Path(__file__).parents[2] / "docs"
PAGES = ("cookbook", "transcript")
BLOCK = re.compile(r"```console\n(.*?)```", re.DOTALL)
FILE = re.compile(r'```\w+ title="([\w.]+)"\n(.*?)```', re.DOTALL)
"""A block with the name of a file after its language is the content of that file."""
PYTHON = re.compile(r"```python\n(.*?)```", re.DOTALL)
NUMBER = re.compile(r"(?<![\w.])\d[\d,]*\.?\d*(?:e[+-]?\d+)?")
TOLERANCE = 0.02
COLUMNS = "80"
SHOT = DOCS / "img" / "terminal.svg"
SHOWN = (
    "trainsim estimate config.json --chip h100 --gpus 512 --tokens 10T --price 2.5/h",
    "trainsim audit deepseek-v3-6m | head -6",
)
"""Commands of the picture of a terminal."""
FONT = re.compile(r"\s*@font-face \{.*?\}\n", re.DOTALL)
"""Declarations of fonts that a browser would fetch."""
CELL = 12.2
"""Width of a character of the picture, as rich draws it."""


@dataclass(frozen=True)
class Line:
    """A command line and its printed answer."""

    command: str
    answer: str


def lines_of(block: str) -> list[Line]:
    """The commands of a block, each with the text below it."""
    parts = re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]
    return [Line(command, answer.rstrip("\n")) for command, _, answer in (part.partition("\n") for part in parts)]


def answer_of(command: str) -> str:
    """Output of a command, errors and notes included; ``| head -3`` keeps the first lines."""
    words, _, head = command.partition(" | head -")
    name, *arguments = shlex.split(words)
    assert name == "trainsim", command
    bytes_out = io.BytesIO()
    with io.TextIOWrapper(bytes_out, encoding="utf-8", write_through=True) as out:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            main(arguments)
        text = bytes_out.getvalue().decode().rstrip("\n")
    return "\n".join(text.split("\n")[: int(head)]).rstrip("\n") if head else text


def same(found: str, printed: str) -> bool:
    """Whether two answers have equal words, and figures within the tolerance."""
    if NUMBER.sub("#", found) != NUMBER.sub("#", printed):
        return False
    values = ([float(number.replace(",", "")) for number in NUMBER.findall(text)] for text in (found, printed))
    return all(abs(a - b) <= TOLERANCE * max(abs(a), abs(b)) for a, b in zip(*values, strict=True))


@contextlib.contextmanager
def folder_of(page: str) -> Iterator[None]:
    """A folder with the files that a page shows, and a model's config."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as name:
        config = ts.catalog.rows("models")["llama3-8b"]["config"]
        (Path(name) / "config.json").write_text(json.dumps(config, default=list), encoding="utf-8")
        for file, text in FILE.findall(page):
            (Path(name) / file).write_text(text, encoding="utf-8")
        os.chdir(name)
        try:
            yield
        finally:
            os.chdir(before)


@pytest.mark.parametrize("name", PAGES)
def test_every_command_answers_what_the_page_prints(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", COLUMNS)
    page = (DOCS / f"{name}.md").read_text(encoding="utf-8")
    other = []
    with folder_of(page):
        for block in BLOCK.findall(page):
            for line in lines_of(block):
                found = answer_of(line.command)
                if not same(found, line.answer):
                    other.append(f"$ {line.command}\n{found}\n--- the page:\n{line.answer}")
    assert not other, "\n\n".join([*other, "python tests/cli/test_cookbook.py writes the pages anew"])


def test_python_on_the_pages_gives_what_they_print() -> None:
    pytest.importorskip("matplotlib")
    for name in PAGES:
        page = (DOCS / f"{name}.md").read_text(encoding="utf-8")
        code = "\n".join(PYTHON.findall(page))
        test = doctest.DocTestParser().get_doctest(code, {}, name, f"docs/{name}.md", 0)
        failures = io.StringIO()
        with folder_of(page), contextlib.redirect_stdout(failures):
            runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
            runner.run(test, out=failures.write)
        assert not failures.getvalue(), failures.getvalue()


def test_the_cookbook_has_forty_lines_of_every_command() -> None:
    page = (DOCS / "cookbook.md").read_text(encoding="utf-8")
    commands = [line.command for block in BLOCK.findall(page) for line in lines_of(block)]
    assert len(commands) >= 40
    named = {command.split()[1] for command in commands}
    every = set(typer.main.get_group(_app()).commands)
    assert every - {"hindcasts", "app"} <= named  # one command is slow, one runs until it is stopped


def test_no_line_of_the_pages_is_wider_than_a_terminal() -> None:
    for name in PAGES:
        for block in BLOCK.findall((DOCS / f"{name}.md").read_text(encoding="utf-8")):
            rows = [row for line in lines_of(block) if ".csv" not in line.command for row in line.answer.split("\n")]
            assert [row for row in rows if len(row) > int(COLUMNS) and not row.startswith("trainsim: ")] == []


def session() -> str:
    """Content of a terminal after the commands of the picture."""
    with folder_of(""):
        return "\n\n".join(f"$ {command}\n{answer_of(command)}" for command in SHOWN)


def terminal(text: str) -> str:
    """A terminal that shows a text, as an SVG that fetches nothing."""
    from rich.console import Console
    from rich.text import Text

    wide = max(map(len, text.split("\n"))) + 1
    console = Console(record=True, width=wide, file=io.StringIO(), force_terminal=True, highlight=False)
    for line in text.split("\n"):
        words = Text(line)
        if line.startswith("$ "):
            words.stylize("bold")
            words.stylize("green", 0, 1)
        console.print(words)
    return FONT.sub("", console.export_svg(title="trainsim", unique_id="shot")).replace("Fira Code, ", "")


def text_on(picture: str) -> str:
    """The text of a terminal's picture, joined from its runs of characters."""
    rows: dict[int, dict[int, str]] = {}
    for run in ET.fromstring(picture).iter("{http://www.w3.org/2000/svg}text"):  # noqa: S314  (our own file)
        if "clip-path" in run.attrib and (words := (run.text or "").rstrip("\n")):
            row = rows.setdefault(int(re.findall(r"line-(\d+)", run.attrib["clip-path"])[0]), {})
            row[round(float(run.attrib["x"]) / CELL)] = words.replace("\u00a0", " ")
    lines = []
    for number in range(max(rows) + 1):
        line = ""
        for column, words in sorted(rows.get(number, {}).items()):
            line = line.ljust(column) + words
        lines.append(line.rstrip())
    return "\n".join(lines)


def test_the_picture_of_a_terminal_shows_what_its_commands_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", COLUMNS)
    found, picture = session(), SHOT.read_text(encoding="utf-8")
    assert same(found, text_on(picture)), f"python tests/cli/test_cookbook.py draws it anew\n{found}"
    assert text_on(terminal(found)) == found
    assert re.findall(r"url\((?!#)|@import|href", picture) == [], "it fetches something"
    assert not same(found.replace("$ ", "% "), text_on(picture))


def test_every_command_in_the_table_of_the_readme_runs() -> None:
    doors = re.findall(r"^\|.*\| `(trainsim [^`]+)` \|", (DOCS.parent / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    with folder_of(""):
        answers = {command: answer_of(command) for command in doors}
    assert len(doors) == 6
    assert [command for command, answer in answers.items() if answer.startswith("trainsim:") or answer.count("\n") < 5] == []


def record() -> None:
    """Write the answer of every command into its page and the picture."""
    os.environ["COLUMNS"] = COLUMNS
    SHOT.parent.mkdir(exist_ok=True)
    SHOT.write_text(terminal(session()), encoding="utf-8")
    if sys.argv[1:] == ["terminal"]:
        return
    for name in PAGES:
        path = DOCS / f"{name}.md"
        page = path.read_text(encoding="utf-8")

        def answered(block: re.Match[str]) -> str:
            rows = [f"$ {line.command}\n{answer_of(line.command)}\n" for line in lines_of(block[1])]
            return f"```console\n{''.join(rows)}```"

        with folder_of(page):
            page = BLOCK.sub(answered, page)
        path.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(record())  # type: ignore[func-returns-value]
