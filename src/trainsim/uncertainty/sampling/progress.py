"""A bar for terminals and notebooks."""

from __future__ import annotations

import sys

WIDTH = 40


def progress_bar(done: int, total: int) -> None:
    """Draw how far a simulation or a search has come, on one line of the error stream; notebooks show it as terminals do.

    Args:
        done, total: points or parts that are done, and all of them [1].

    >>> progress_bar(512, 1024)  # on the error stream
    """
    filled = WIDTH * done // total
    end = "\n" if done == total else ""
    sys.stderr.write(f"\r{'█' * filled}{'·' * (WIDTH - filled)} {done:,} of {total:,}{end}")
    sys.stderr.flush()
