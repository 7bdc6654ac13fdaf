"""Step times in the CSV that a watch writes."""

from __future__ import annotations

from typing import ClassVar

from .logs import NUMBER, LogFormat


class WatchCsv(LogFormat):
    """A line with ``trainsim,12,9.61``: who wrote it, the step, its seconds (:func:`trainsim.watch_steps`)."""

    framework: ClassVar[str] = "trainsim"
    pattern: ClassVar[str] = rf"(?m)^trainsim,\d+,{NUMBER}"

    def seconds(self, number: float, tokens_per_gpu: float) -> float:  # noqa: ARG002  (seconds as they are)
        """The seconds themselves."""
        return number
