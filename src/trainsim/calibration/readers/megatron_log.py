"""Read step times from logs of Megatron-LM."""

from __future__ import annotations

from typing import ClassVar

from .logs import NUMBER, LogFormat


class MegatronLog(LogFormat):
    """Lines such as `` iteration 10/ 100 | … elapsed time per iteration (ms): 9532.1 |`` (``megatron/training/training.py``)."""

    framework: ClassVar[str] = "Megatron-LM"
    pattern: ClassVar[str] = rf"elapsed time per iteration \(ms\):\s*{NUMBER}"

    def seconds(self, number: float, tokens_per_gpu: float) -> float:
        """The number, converted from milliseconds [s]."""
        del tokens_per_gpu
        return number / 1e3
