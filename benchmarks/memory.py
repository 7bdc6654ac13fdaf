"""Rewrite the table of published peaks in docs/memory.md: ``python benchmarks/memory.py``."""

import re
from pathlib import Path

from trainsim.testing.peaks import table

PAGE = Path(__file__).parents[1] / "docs" / "memory.md"
MARKED = re.compile(r"(<!-- peaks: [^\n]*-->\n).*?(<!-- /peaks -->)", re.DOTALL)

if __name__ == "__main__":
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(MARKED.sub(lambda found: f"{found[1]}\n{table()}\n\n{found[2]}", page), encoding="utf-8")
    print(table())
