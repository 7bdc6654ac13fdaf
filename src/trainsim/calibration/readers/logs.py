"""Read step times from training logs; each log format is a class in its own module, found by discovery."""

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
"""Pattern of a number in a log."""
WARM_UP = 2
"""Number of first steps to skip where more follow: they include compilation and allocation."""


class LogFormat(abc.ABC):
    """A log format: lines of a training log that contain a step time or a rate.

    To add a format, define a subclass in a module that is imported before the log is read.
    """

    framework: ClassVar[str]
    """Name of the framework that writes such lines."""
    pattern: ClassVar[str]
    """Regular expression with one group, the number."""

    @abc.abstractmethod
    def seconds(self, number: float, tokens_per_gpu: float) -> float:
        """Time of a step.

        Args:
            number: the number in the line.
            tokens_per_gpu: tokens per step and accelerator [token].

        Returns:
            time of the step [s].
        """


def log_formats() -> tuple[LogFormat, ...]:
    """All known formats, user-defined ones first."""
    found = members(LogFormat)
    return tuple(found[kind]() for kind in sorted(found, key=lambda kind: (":" not in kind, kind)))


def seconds_of(path: str | Path, tokens_per_gpu: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    r"""Step times in a log, without the warm-up steps [s]; lines that can't be read are skipped with a warning.

    Args:
        path: path of the log.
        tokens_per_gpu: tokens per step and accelerator, for logs that hold tokens per second [token].

    Raises:
        SpecError: no such file, or no line of a known format.

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
    raise SpecError(
        "log",
        str(path),
        "contains no step time in a known format",
        f"give a log of {known}; trainsim's lines are trainsim,step,seconds",
        "too-few-data",
    )
