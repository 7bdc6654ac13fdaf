"""The worked example of docs/adding-a-family.md runs as written."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "adding-a-family.md"


def test_the_page_runs(tmp_path: Path) -> None:
    """Runs in a new process, because the page registers a family."""
    script = tmp_path / "page.py"
    script.write_text("\n".join(re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)))
    done = subprocess.run([sys.executable, "-W", "error", str(script)], capture_output=True, text=True, check=False)  # noqa: S603  (our own page)
    assert done.returncode == 0, done.stderr
