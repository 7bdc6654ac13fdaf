"""User CPU time of each command, as a ratio to the time of importing the packages that every answer needs.

    python benchmarks/cli.py [rounds]

Compiled files are written to a temporary folder before anything is measured, since a user's second call finds them too.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import trainsim as ts

BASE = ("-c", "import numpy, scipy.special, pydantic")
COMMANDS = {
    "--help": (("--help",), 1.3),
    "count": (("count", "config.json"), 1.6),
    "estimate": (("estimate", "config.json", "--chip", "h100", "--gpus", "512", "--tokens", "10T", "--price", "2.5/h"), 2.0),
    "audit": (("audit", "deepseek-v3-6m"), 3.0),
}  # fmt: skip
"""Name → words of the command, and the largest accepted ratio."""
ROUNDS = 5


def user_seconds(words: tuple[str, ...], folder: Path) -> float:
    """User CPU of one process [s]."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    subprocess.run(  # noqa: S603
        [sys.executable, *words], cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        env=kept | threads | {"PYTHONPYCACHEPREFIX": str(folder / "compiled")},
    )  # fmt: skip
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    processes = {"imports": BASE} | {name: ("-m", "trainsim", *words) for name, (words, _) in COMMANDS.items()}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = ts.catalog.rows("models")["llama3-8b"]["config"]
        (folder / "config.json").write_text(json.dumps(config, default=list), encoding="utf-8")
        turns = [{process: user_seconds(words, folder) for process, words in processes.items()} for _ in range(1 + rounds)]
    found = {process: min(turn[process] for turn in turns[1:]) for process in processes}  # the first run compiles
    base = found["imports"]
    print(f"user CPU of a whole process, the least of {rounds}; importing numpy, scipy.special and pydantic takes {base:.3f} s")
    for process, (words, asked) in COMMANDS.items():
        ratio = found[process] / base
        print(
            f"  {process:<9} {found[process]:.3f} s  {ratio:5.2f} times the imports, at most {asked:g} asked   trainsim {' '.join(words)}"
        )


if __name__ == "__main__":
    main()
