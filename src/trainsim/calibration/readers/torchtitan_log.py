"""Read step times from logs of torchtitan."""

from __future__ import annotations

from typing import ClassVar

from .logs import NUMBER, LogFormat


class TorchtitanLog(LogFormat):
    """A line with ``tps: 6,432``, tokens per second and accelerator (``torchtitan/components/metrics.py``)."""

    framework: ClassVar[str] = "torchtitan"
    pattern: ClassVar[str] = rf"\btps:\s*{NUMBER}"

    def seconds(self, number: float, tokens_per_gpu: float) -> float:
        """Tokens of a step over tokens per second [s]."""
        return tokens_per_gpu / number
