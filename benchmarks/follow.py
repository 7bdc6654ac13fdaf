"""Count the function calls, source files and changes of file that compute one dollar, one draw and one measured row.

    python benchmarks/follow.py [--files] [--without core]

A call is a call of a Python function inside ``trainsim``, or a resumption of a generator. A change is a call in another file than the
previous call. Calls in ``core/`` (specs, units, errors, ledgers) and bodies of modules and classes are left out. Each computation runs in
its own process: cold is the first evaluation, warm the second. ``--files`` lists the calls of each file. Results: follow.md.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from inspect import CO_OPTIMIZED
from itertools import pairwise
from pathlib import Path
from types import FrameType
from typing import Any

import trainsim as ts

HOME = Path(ts.__file__).parent
ROW = {
    "id": 1, "name": "Somebody: Llama 3 8B", "date": "2024-05", "gpu": "H100-SXM", "n_gpus": 64, "seq_len": 8192, "precision": "bf16",
    "global_batch_tokens": 8192 * 256, "iteration_time_s_reported": 5.0,
    "parallelism": {"tp": 4, "pp": 4, "dp": 4, "vpp": 1, "microbatch": 1, "zero": "ZeRO-1"},
    "architecture": {
        "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128,
        "intermediate_size": 14336, "vocab_size": 128256, "tie_word_embeddings": False, "gated_mlp": True,
    },
}  # fmt: skip
"""A row of published steps with all required fields; its seconds are made up."""
TABLE = """# GPUs,global batch,micro batch,hidden size,attention heads,# layers,sequence length,\
tensor parallelism,data parallelism,pipeline parallelism,iteration time (ms)
8,64,1,4096,16,24,1024,2,2,2,6000
"""
"""A row of a table of iteration times."""


def follow(call: Callable[[], Any], without: Sequence[str] = ("core",)) -> list[str]:
    """The file of every call, in order, relative to the library.

    Args:
        call: what is followed.
        without: files and folders that are left out, as ``core``.
    """
    files: list[str] = []

    def seen(frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        if event == "call" and code.co_flags & CO_OPTIMIZED and code.co_filename.startswith(str(HOME)):
            file = Path(code.co_filename).relative_to(HOME)
            if file.with_suffix("").parts[0] not in without:
                files.append(file.as_posix())

    sys.setprofile(seen)
    try:
        call()
    finally:
        sys.setprofile(None)
    return files


def dollar() -> Callable[[], Any]:
    """One dollar of a published run: its estimate, then a line of its cost."""
    run = ts.catalog.run("deepseek-v3")
    return lambda: ts.estimate(run).cost.part("pretrain.moe.experts.up").total


def draw() -> Callable[[], Any]:
    """Draws of a run's cost under beliefs over its utilisation and rent."""
    run = ts.catalog.run("deepseek-v3").replace({"efficiency": ts.MFU(0.4), "phases.pretrain.efficiency": None})
    beliefs = ts.Beliefs({"efficiency.mfu": ts.ci90(0.3, 0.5), "price.usd_per_gpu_hour": ts.ci90(1.4, 3.4)})
    return lambda: ts.simulate(run, beliefs, n=256, seed=1).quantile("cost", 0.5)


def _backtest(name: str, text: str) -> Callable[[], Any]:
    file = Path(tempfile.mkdtemp()) / name
    file.write_text(text, encoding="utf-8")
    return lambda: ts.backtest(rows=file)


def row() -> Callable[[], Any]:
    """A row of published steps: read, modelled at every draw of the constants, compared."""
    return _backtest("rows.json", json.dumps({"runs": [ROW]}))


def table() -> Callable[[], Any]:
    """A row of a table of iteration times."""
    return _backtest("rows.csv", TABLE)


QUESTIONS = {"dollar": dollar, "draw": draw, "row": row, "row of a table": table}


def main() -> None:
    cli = argparse.ArgumentParser()
    cli.add_argument("--files", action="store_true", help="also the calls of each file")
    cli.add_argument("--without", nargs="*", default=["core"], help="files and folders left out")
    cli.add_argument("--question", choices=QUESTIONS, help=argparse.SUPPRESS)
    asked = cli.parse_args()
    if asked.question is None:
        print(f"{'':<22}{'calls':>8}{'files':>8}{'changes':>9}", flush=True)
        for name in QUESTIONS:
            subprocess.run([sys.executable, __file__, *sys.argv[1:], "--question", name], check=True)  # noqa: S603
        return
    call = QUESTIONS[asked.question]()
    for state in ("cold", "warm"):
        files = follow(call, asked.without)
        changes = sum(a != b for a, b in pairwise(files))
        print(f"{asked.question:<16}{state:<6}{len(files):>8,}{len(set(files)):>8}{changes:>9}")
        if asked.files:
            print(*(f"    {count:>8,}  {file}" for file, count in Counter(files).most_common()), sep="\n")


if __name__ == "__main__":
    main()
