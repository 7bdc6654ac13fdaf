"""Progress bar for terminals and notebooks."""

from __future__ import annotations

import sys

WIDTH = 40


def progress_bar(done: int, total: int) -> None:
    """Draw the progress of a simulation or a search as a bar, on one line of the error stream. Terminals and notebooks show it alike.

    Args:
        done, total: number of points or parts done, and in total [1].

    >>> progress_bar(512, 1024)  # on the error stream
    """
    filled = WIDTH * done // total
    end = "\n" if done == total else ""
    sys.stderr.write(f"\r{'█' * filled}{'·' * (WIDTH - filled)} {done:,} of {total:,}{end}")
    sys.stderr.flush()
