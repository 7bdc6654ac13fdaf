"""Terminal output: text, one line per error, and exit statuses."""

from __future__ import annotations

import os
import re
import shutil
import sys
import textwrap
import unicodedata
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

OK, FAILED, BAD_INPUT, NOT_MET, INTERRUPTED = 0, 1, 2, 3, 130
"""Exit statuses: done; the answer could not be written; an input can't be used; an ``--assert`` does not hold; Ctrl-C."""
PLAIN = str.maketrans(
    {"×": "x", "÷": "/", "·": "*", "√": "sqrt ", "∞": "inf", "±": "+-", "→": "->", "−": "-", "–": "-", "—": "-", "…": "..."}
    | {"≤": "<=", "≥": ">=", "≈": "~", "“": '"', "”": '"', "‘": "'", "’": "'", "σ": "s"}
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
    text, columns = plain(text, sys.stdout.encoding), _columns()
    if folded and columns is not None:
        text = "\n".join(fold(line, columns) for line in text.split("\n"))
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def plain(text: str, encoding: str | None) -> str:
    """A text in the characters of an encoding: others are replaced by plain ones, or lose their accents.

    >>> plain("±5 × Łódź, naïve", "ascii"), plain("±5 ×", "utf-8")
    ('+-5 x ?odz, naive', '±5 ×')
    """
    encoding = encoding or "ascii"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        bare = (
            c if c.isascii() else unicodedata.normalize("NFKD", c).encode("ascii", "ignore").decode() or c for c in text.translate(PLAIN)
        )
        return "".join(bare).encode(encoding, "replace").decode(encoding)
    return text


def _bare(character: str) -> str:
    """A character without its accents, where that is ASCII."""
    return unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode() or character


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
    sys.stderr.write(plain(f"trainsim: {line}", sys.stderr.encoding) + "\n")


@contextmanager
def working(what: str) -> Iterator[Progress]:
    """On a terminal, say what takes a while, with the time passed and, where there is something to count, a bar; nothing in a pipe.

    Args:
        what: is done, in a few words.

    Yields:
        what takes the work done and the work there is; until it is called, the words stand alone.
    """
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield lambda _done, _total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.theme import Theme

    console = Console(stderr=True, theme=Theme(dict.fromkeys(PLAIN_STYLES, "default")))
    columns = (SpinnerColumn("line"), TextColumn("{task.description}"), TimeElapsedColumn())
    counted = (TextColumn("{task.description}"), BarColumn(BAR), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(what, total=None)

        def count(done: int, total: int) -> None:
            bar.columns = counted
            bar.update(task, completed=done, total=total)

        yield count


PLAIN_STYLES = ("progress.elapsed", "progress.download", "progress.spinner", "progress.description")
"""Styles of texts whose usual colours can't be read on a white or on a black ground: these take the terminal's own."""
BAR = 20
"""Columns of a bar."""


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
