"""Terminal output: text, one line per error, and exit statuses."""

from __future__ import annotations

import os
import shutil
import sys
import unicodedata
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from ..core.folding import fold

OK, FAILED, BAD_INPUT, NOT_MET, INTERRUPTED = 0, 1, 2, 3, 130
"""Exit statuses: done; the answer could not be written; an input can't be used; an ``--assert`` does not hold; Ctrl-C."""
PLAIN = str.maketrans(
    {"×": "x", "÷": "/", "·": "*", "√": "sqrt ", "∞": "inf", "±": "+-", "→": "->", "−": "-", "–": "-", "—": "-", "…": "..."}
    | {"≤": "<=", "≥": ">=", "≈": "~", "“": '"', "”": '"', "‘": "'", "’": "'", "σ": "s"}
)
"""Character → replacement on terminals without Unicode."""
NARROWEST = 40
"""Smallest width of a folded text [column]."""
Progress = Callable[[int, int], None]
"""Function of the work done and the total work."""


def emit(text: str, *, folded: bool = True) -> None:
    """Print a text, in plain characters if the terminal has no others.

    Args:
        text: the text.
        folded: whether a terminal wraps lines longer than its width; a pipe gets whole lines.
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
    """A character without its accents, if the result is ASCII."""
    return unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode() or character


def _columns() -> int | None:
    """Width of the terminal, or the value of ``COLUMNS``; None for a pipe or a file."""
    if not sys.stdout.isatty() and not os.environ.get("COLUMNS"):
        return None
    return max(NARROWEST, shutil.get_terminal_size().columns)


def complain(text: str) -> None:
    """Print one line on standard error."""
    line = " ".join(str(text).split())
    sys.stderr.write(plain(f"trainsim: {line}", sys.stderr.encoding) + "\n")


@contextmanager
def working(what: str) -> Iterator[Progress]:
    """Context manager: on a terminal, show the work in progress with the elapsed time, and a bar if the work is countable. A pipe gets
    nothing.

    Args:
        what: the work, in a few words.

    Yields: function of the work done and the total work; until its first call, no bar is shown.
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
"""Styles whose usual colours are unreadable on a white or black background; they use the terminal's default colours."""
BAR = 20
"""Width of a bar [column]."""


def guarded(command: Callable[[], Any]) -> int:
    """Run a command; every failure is one line and an exit status.

    Args:
        command: function to run; it may raise ``SystemExit`` with a status.

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
    """Discard buffered output, which the interpreter would otherwise write again at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _once() -> Callable[..., None]:
    """Prints each warning once, as a note."""
    seen: set[str] = set()

    def note(message: object, *_: object, **__: object) -> None:
        if str(message) not in seen:
            seen.add(str(message))
            complain(f"note: {message}")

    return note


def stop(status: int) -> NoReturn:
    """End the command with an exit status."""
    raise SystemExit(status)
