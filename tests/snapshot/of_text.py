"""Numbers printed by examples and by the command line, and estimates of saved runs."""

from __future__ import annotations

import contextlib
import io
import json
import os
import runpy
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from figures import Named, numbers, section
from of_steps import laid_out

import trainsim as ts

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.py"))


def printed(call: Callable[..., Any], name: str, arguments: list[str]) -> str:
    """Output of a program in an empty folder."""
    text, home, argv = io.StringIO(), Path.cwd(), sys.argv
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(text), contextlib.redirect_stderr(io.StringIO()):
        os.chdir(folder)
        sys.argv = arguments
        try:
            call(name, run_name="__main__")
        except SystemExit as end:
            if end.code:
                raise
        finally:
            sys.argv = argv
            os.chdir(home)
    return text.getvalue()


@section()
def examples() -> Named:
    """The numbers that every example prints."""
    os.environ.setdefault("MPLBACKEND", "Agg")
    for path in EXAMPLES:
        yield path.stem, numbers(printed(runpy.run_path, str(path), [str(path)]))


def command(words: str) -> list[str]:
    """The numbers that a command of the command line prints."""
    return numbers(printed(runpy.run_module, "trainsim", ["trainsim", *words.split()]))


@section()
def command_line() -> Named:
    """The numbers that the command line prints."""
    for words in (
        "count deepseek-v3", "count minimax-text-01 --seq-len 8192", "estimate deepseek-v3", "estimate bloom-176b",
        "explain deepseek-v3 cost.pretrain.moe.experts.up", "compare deepseek-v3 llama3.1-405b", "claims",
    ):  # fmt: skip
        yield words, command(words)


@section(slow=True)
def command_of_hindcasts() -> Named:
    """Hindcasts of pre-training and of reinforcement learning, as the command line prints them."""
    yield "hindcasts", command("hindcasts")


@section()
def files() -> Named:
    """Estimates of runs before and after they are saved and loaded."""
    for name in ("deepseek-v3", "gemma2-9b"):
        run = laid_out(name)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "run.toml"
            run.save(path)
            yield f"{name} cost", ts.estimate(ts.load(path)).cost.total
    config = json.loads(json.dumps(ts.catalog.rows("models")["deepseek-v3"]["config"], default=dict))
    yield "deepseek-v3 from its config", ts.count_params(ts.from_hf(config)).total
