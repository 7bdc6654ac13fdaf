"""Write the Python code of README.md and docs/extending.md as modules, so that mypy can check what a user would type.

``python tests/page_modules.py FOLDER`` writes ``readme.py``, the files that the recipes of docs/extending.md name, and one module per
recipe for the code that uses them.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
CODE = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"^Write `([^`]+\.py)`:\n\n```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
RECIPE = re.compile(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)


def modules() -> dict[str, str]:
    """File name → source."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    found = {"readme.py": "\n".join(CODE.findall(readme))}
    for title, text in RECIPE.findall((ROOT / "docs" / "extending.md").read_text(encoding="utf-8")):
        found |= dict(FILE.findall(text))
        name = re.sub(r"\W+", "_", title.lower())
        found[f"use_{name}.py"] = "\n".join(CODE.findall(FILE.sub("", text)))
    return {name: source for name, source in found.items() if source}


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for file, code in modules().items():
        (folder / file).write_text(code, encoding="utf-8")
