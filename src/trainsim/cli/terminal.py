"""What a terminal gets: text it can show, one line for each failure, and a defined exit status."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

OK, FAILED, BAD_INPUT, NOT_MET, INTERRUPTED = 0, 1, 2, 3, 130
"""Exit statuses: done; the answer could not be written; an input can't be used; an ``--assert`` does not hold; Ctrl-C."""
PLAIN = str.maketrans(
    {"×": "x", "·": "*", "±": "+-", "→": "->", "−": "-", "–": "-", "…": "...", "≤": "<=", "≥": ">=", "≈": "~", "“": '"', "”": '"'}
)
"""Characters that a terminal without Unicode gets instead."""


def emit(text: str) -> None:
    """Print a text, in plain characters where the terminal has no others."""
    encoding = sys.stdout.encoding or "ascii"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        text = text.translate(PLAIN).encode(encoding, "replace").decode(encoding)
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def complain(text: str) -> None:
    """One line on standard error."""
    line = " ".join(str(text).split())
    encoding = sys.stderr.encoding or "ascii"
    sys.stderr.write(f"trainsim: {line}".translate(PLAIN if encoding.lower() in ("ascii", "ansi_x3.4-1968") else {}) + "\n")


@contextmanager
def working(what: str) -> Iterator[None]:
    """Say on a terminal that something takes a while."""
    if not sys.stderr.isatty() or os.environ.get("NO_COLOR"):
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(what):
        yield


def guarded(command: Callable[[], Any]) -> int:
    """Run a command; every failure is one line and an exit status.

    Args:
        command: what to run; raises ``SystemExit`` with a status of its own.

    Returns:
        the exit status.
    """
    from ..core.errors import TrainsimError

    warnings.showwarning = lambda message, *_, **__: complain(f"note: {message}")
    try:
        command()
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else OK
    except TrainsimError as error:
        complain(str(error))
        return BAD_INPUT
    except KeyboardInterrupt:
        complain("interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        # the reader has gone: nothing is left to say, and the interpreter must not try again when it flushes
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except ImportError as error:
        if error.name is None or error.name.startswith("trainsim"):
            raise
        complain(f"this needs the package {error.name}: pip install 'trainsim[all]'")
        return BAD_INPUT
    except OSError as error:
        complain(f"{error.filename or 'output'}: {error.strerror or error}; the answer could not be written")
        return FAILED
    return OK


def stop(status: int) -> NoReturn:
    """End the command with an exit status."""
    raise SystemExit(status)
