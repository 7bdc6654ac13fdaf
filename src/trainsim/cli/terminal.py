"""Terminal output: text, one line per error, and exit statuses."""

from __future__ import annotations

import os
import re
import shutil
import sys
import textwrap
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

OK, FAILED, BAD_INPUT, NOT_MET, INTERRUPTED = 0, 1, 2, 3, 130
"""Exit statuses: done; the answer could not be written; an input can't be used; an ``--assert`` does not hold; Ctrl-C."""
PLAIN = str.maketrans(
    {"×": "x", "·": "*", "±": "+-", "→": "->", "−": "-", "–": "-", "…": "...", "≤": "<=", "≥": ">=", "≈": "~", "“": '"', "”": '"'}
    | {"‘": "'", "’": "'", "é": "e", "σ": "s", "—": "-"}
)
"""Characters that a terminal without Unicode gets instead."""
_GAP = re.compile(r"(?<=\S) {2,}(?=\S)")
"""Gap between two columns."""
LAST_COLUMN = 0.65
"""Share of a screen's width up to which text is folded below its column."""
NARROWEST = 40
"""Columns below which a text is not folded any further."""
Progress = Callable[[int, int], None]
"""Takes what is done and what there is to do."""


def emit(text: str, *, folded: bool = True) -> None:
    """Print a text, in plain characters where the terminal has no others.

    Args:
        text: the text.
        folded: on a terminal, break lines that are longer than it is wide; a pipe gets every line whole.
    """
    columns = _columns()
    if folded and columns is not None:
        text = "\n".join(fold(line, columns) for line in text.split("\n"))
    encoding = sys.stdout.encoding or "ascii"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        text = text.translate(PLAIN).encode(encoding, "replace").decode(encoding)
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _columns() -> int | None:
    """Width of the terminal, or as ``COLUMNS`` has it; None for a pipe or a file."""
    if not sys.stdout.isatty() and not os.environ.get("COLUMNS"):
        return None
    return max(NARROWEST, shutil.get_terminal_size().columns)


def fold(line: str, columns: int) -> str:
    """Wrap a line between words; continuation lines are indented to its last column, or by two.

    >>> print(fold("price.usd_per_gpu_hour  2.87  median of specialist price, on-demand", 50))
    price.usd_per_gpu_hour  2.87  median of specialist
                                  price, on-demand
    """
    if len(line) <= columns:
        return line
    gaps = [gap.end() for gap in _GAP.finditer(line) if gap.end() <= LAST_COLUMN * columns]
    indent = max(gaps, default=0) or len(line) - len(line.lstrip()) + 2
    return textwrap.fill(line, columns, subsequent_indent=" " * indent, break_on_hyphens=False)


def complain(text: str) -> None:
    """One line on standard error."""
    line = " ".join(str(text).split())
    encoding = sys.stderr.encoding or "ascii"
    sys.stderr.write(f"trainsim: {line}".translate(PLAIN if encoding.lower() in ("ascii", "ansi_x3.4-1968") else {}) + "\n")


@contextmanager
def working(what: str) -> Iterator[Progress]:
    """A bar on a terminal while something takes a while; nothing in a pipe.

    Args:
        what: is done, in a few words.

    Yields:
        what takes the work done and the work there is; a bar that is never called just moves.
    """
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield lambda _done, _total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def guarded(command: Callable[[], Any]) -> int:
    """Run a command; every failure is one line and an exit status.

    Args:
        command: what to run; raises ``SystemExit`` with a status of its own.

    Returns:
        the exit status.
    """
    from ..core.errors import TrainsimError, TrainsimWarning

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always", TrainsimWarning)
            warnings.showwarning = _once()
            command()
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else OK
    except TrainsimError as error:
        complain(str(error))
        return BAD_INPUT
    except KeyboardInterrupt:
        complain("interrupted")
        return INTERRUPTED
    except BrokenPipeError:  # the reader closed the pipe
        _close_output()
        return OK
    except ImportError as error:
        if error.name is None or error.name.startswith("trainsim"):
            raise
        complain(f"this needs the package {error.name}: pip install 'trainsim[all]'")
        return BAD_INPUT
    except OSError as error:
        complain(f"{error.filename or 'output'}: {error.strerror or error}; the answer could not be written")
        if error.filename is None:
            _close_output()
        return FAILED
    return OK


def _close_output() -> None:
    """Discard buffered output, which the interpreter would try to write again at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _once() -> Callable[..., None]:
    """Prints each warning as a note, and the same one only once."""
    seen: set[str] = set()

    def note(message: object, *_: object, **__: object) -> None:
        if str(message) not in seen:
            seen.add(str(message))
            complain(f"note: {message}")

    return note


def stop(status: int) -> NoReturn:
    """End the command with an exit status."""
    raise SystemExit(status)
