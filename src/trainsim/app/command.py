"""The command line equivalent to a question."""

from __future__ import annotations

import shlex

from .question import Question, lines_of_text

CONFIG_FILE = "config.json"
"""Name that a command gives a pasted config."""


def command_of(asked: Question, verb: str) -> str:
    """The command that asks about the run of a question.

    Args:
        asked: the question.
        verb: ``"estimate"`` or ``"report"``.

    >>> command_of(Question(model="7B", chip="h100", gpus="512", tokens="2T", price="2.5/h"), "estimate")
    'trainsim estimate 7B --chip h100 --gpus 512 --tokens 2T --price 2.5/h'
    """
    words = ["trainsim", verb, asked.model or asked.file or CONFIG_FILE]
    for name in ("chip", "gpus", "tokens", "seq_len", "batch", "price", "mfu", "goodput", "as_of"):
        if text := getattr(asked, name):
            words += [f"--{name.replace('_', '-')}", text]
    for flag, text in (("--set", asked.changes), ("--believe", asked.believe)):
        words += [word for line in lines_of_text(text) for word in (flag, line)]
    return shlex.join(words)
