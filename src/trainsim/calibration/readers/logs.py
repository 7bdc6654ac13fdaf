"""Step times out of training logs: every format of a log is a class in a file of its own, found by discovery."""

from __future__ import annotations

import abc
import re
from pathlib import Path
from typing import ClassVar

import numpy as np

from ...core import reading
from ...core.errors import SpecError
from ...core.registry import members
from ...core.values import to_float

NUMBER = r"([\d,]+(?:\.\d+)?(?:[eE][-+]?\d+)?)"
"""A number as logs print it."""
WARM_UP = 2
"""First lines of a log, which hold compilation and allocation: left out where more follow."""


class LogFormat(abc.ABC):
    """Lines of a training log that hold a step's time.

    A format of one's own is a subclass in a module that is imported before the log is read.
    """

    framework: ClassVar[str]
    """Whose lines they are."""
    pattern: ClassVar[str]
    """Regular expression of a line with one group, the number."""

    @abc.abstractmethod
    def seconds(self, number: float, tokens_per_gpu: float) -> float:
        """Seconds of a step.

        Args:
            number: what the line holds.
            tokens_per_gpu: tokens of a step over accelerators [token].

        Returns:
            time of the step [s].
        """


def log_formats() -> tuple[LogFormat, ...]:
    """Every format that is known: the user's own before this library's."""
    found = members(LogFormat)
    return tuple(found[kind]() for kind in sorted(found, key=lambda kind: (":" not in kind, kind)))


def seconds_of(path: str | Path, tokens_per_gpu: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    r"""The step times a log holds [s], the first ones left out; a line that can't be read is skipped with a warning.

    Args:
        path: a text file.
        tokens_per_gpu: tokens of a step over accelerators, for logs that hold tokens per second [token].

    Raises:
        SpecError: no such file, or no line that is understood.

    >>> import tempfile, pathlib
    >>> log = pathlib.Path(tempfile.mkdtemp()) / "log.txt"
    >>> times = [9e4, 8e4, 9532.1]
    >>> _ = log.write_text("\n".join(f" iteration {i}/ 9 | elapsed time per iteration (ms): {t} |" for i, t in enumerate(times)))
    >>> seconds_of(log, 1.0)
    array([9.5321])
    """
    text = reading.read_text(path, what="log", max_bytes=reading.MAX_LOG_BYTES, errors="replace")
    formats = log_formats()
    for line in formats:
        found = [(f"number {i}", number) for i, number in enumerate(re.findall(line.pattern, text), start=1)]
        if found:
            numbers = reading.read_rows(found, lambda number: to_float(number, "step time", above=0.0))
            return np.array([line.seconds(number, tokens_per_gpu) for number in numbers[WARM_UP:] or numbers], dtype=np.float64)
    known = ", ".join(sorted(line.framework for line in formats))
    raise SpecError("log", str(path), "holds no step time that is understood", f"give a log of {known}", "too-few-data")
