"""Step times in logs of NeMo."""

from __future__ import annotations

from typing import ClassVar

from .logs import NUMBER, LogFormat


class NemoLog(LogFormat):
    """A line with ``train_step_timing in s=9.53`` (NeMo 1 and 2, progress bar and metrics)."""

    framework: ClassVar[str] = "NeMo"
    pattern: ClassVar[str] = rf"""train_step_timing in s["']?\s*[:=]\s*{NUMBER}"""

    def seconds(self, number: float, tokens_per_gpu: float) -> float:
        """The number itself [s]."""
        del tokens_per_gpu
        return number
