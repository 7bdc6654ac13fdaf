"""Step times in logs of Megatron-Bridge."""

from __future__ import annotations

from typing import ClassVar

from .logs import NUMBER, LogFormat


class BridgeLog(LogFormat):
    """A line ``Step Time : 9.53s GPU utilization: …`` (``megatron/bridge/training/utils/train_utils.py``)."""

    framework: ClassVar[str] = "Megatron-Bridge"
    pattern: ClassVar[str] = rf"Step Time\s*:\s*{NUMBER}\s*s"

    def seconds(self, number: float, tokens_per_gpu: float) -> float:
        """The number itself [s]."""
        del tokens_per_gpu
        return number
