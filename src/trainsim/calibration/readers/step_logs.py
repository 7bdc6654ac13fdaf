"""Step times out of training logs: Megatron-LM, NeMo and torchtitan lines."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...core.errors import SpecError

NUMBER = r"([\d,]+(?:\.\d+)?(?:[eE][-+]?\d+)?)"
WARM_UP = 2
"""First lines of a log, which hold compilation and allocation: left out where more follow."""


@dataclass(frozen=True)
class LogLine:
    """How one framework writes a step's time: a pattern, and what its number comes to in seconds.

    Args:
        framework: whose line it is.
        pattern: regular expression with one group, the number.
        seconds: the number and tokens per accelerator and step → seconds.
    """

    framework: str
    pattern: str
    seconds: Callable[[float, float], float]


LINES: Sequence[LogLine] = (
    LogLine("Megatron-LM", rf"elapsed time per iteration \(ms\):\s*{NUMBER}", lambda number, _: number / 1e3),
    LogLine("NeMo", rf"train_step_timing in s[\"']?\s*[:=]\s*{NUMBER}", lambda number, _: number),
    LogLine("Megatron-Bridge", rf"Step Time\s*:\s*{NUMBER}\s*s", lambda number, _: number),
    LogLine("torchtitan", rf"\btps:\s*{NUMBER}", lambda number, tokens: tokens / number),
)
"""Lines that are understood; another framework is one more row."""


def seconds_of(path: str | Path, tokens_per_gpu: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    r"""The step times a log holds [s], the first ones left out.

    Args:
        path: a text file.
        tokens_per_gpu: tokens of a step over accelerators, for logs that tell tokens per second [token].

    Raises:
        SpecError: no such file, or no line that is understood.

    >>> import tempfile, pathlib
    >>> log = pathlib.Path(tempfile.mkdtemp()) / "log.txt"
    >>> times = [9e4, 8e4, 9532.1]
    >>> _ = log.write_text("\n".join(f" iteration {i}/ 9 | elapsed time per iteration (ms): {t} |" for i, t in enumerate(times)))
    >>> seconds_of(log, 1.0)
    array([9.5321])
    """
    file = Path(path)
    if not file.is_file():
        raise SpecError("rows", str(path), "is no file", "give a log, a .json or a .csv file", "not-found")
    text = file.read_text(encoding="utf-8", errors="replace")
    for line in LINES:
        found = [float(number.replace(",", "")) for number in re.findall(line.pattern, text)]
        if found:
            kept = found[WARM_UP:] or found
            return np.array([line.seconds(number, tokens_per_gpu) for number in kept], dtype=np.float64)
    known = ", ".join(line.framework for line in LINES)
    raise SpecError("rows", str(path), "holds no step time that is understood", f"lines of {known} are", "too-few-data")
