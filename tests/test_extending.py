"""``docs/extending.md``: every recipe is performed in a temporary directory, as printed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import trainsim as ts

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
RECIPES = dict(re.findall(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))
FILE = re.compile(r"(Append to|Write) `([^`]+)`:\n\n```\w+\n(.*?)```", re.DOTALL)
CODE = re.compile(r"```python\n(.*?)```", re.DOTALL)


def installed(folder: Path) -> Path:
    """A copy of the library with its seed claims, to which rows can be added."""
    shutil.copytree(Path(ts.__file__).parent, folder / "src" / "trainsim", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "src" / "trainsim" / "catalog" / "data" / "claims.toml").unlink(missing_ok=True)  # an installed package has its own copy
    (folder / "seeds").mkdir()
    seeds = ROOT / "seeds" / "claims.toml"
    shutil.copy(
        seeds if seeds.exists() else Path(ts.__file__).parent / "catalog" / "data" / "claims.toml", folder / "seeds" / "claims.toml"
    )
    return folder


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_works_as_printed(name: str, tmp_path: Path) -> None:
    text = RECIPES[name]
    adds_rows = "Append to" in text
    root = installed(tmp_path) if adds_rows else tmp_path
    for verb, path, body in FILE.findall(text):
        target = root / path
        target.write_text((target.read_text(encoding="utf-8") + "\n" if verb == "Append to" else "") + body, encoding="utf-8")
    uses = [code for code in CODE.findall(FILE.sub("", text)) if "assert" in code]
    assert len(uses) == 1, "each recipe ends with what shows that it worked"
    source = root / "src" if adds_rows else Path(ts.__file__).parents[1]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(source), str(root)])}
    done = subprocess.run([sys.executable, "-c", uses[0]], cwd=root, env=env, capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == 0, done.stderr


def test_every_extension_point_has_a_recipe() -> None:
    assert {
        "A chip",
        "A claim",
        "An attention",
        "A price",
        "A schedule",
        "A family of models",
        "A log",
        "A picture",
        "A software stack",
    } == set(RECIPES)
