"""Step times in the CSV that a watch writes."""

from __future__ import annotations

from typing import ClassVar

from .logs import LogFormat


class WatchCsv(LogFormat):
    """A line with ``trainsim,12,9.61``: who wrote it, the step, its seconds (:func:`trainsim.watch_steps`)."""

    framework: ClassVar[str] = "trainsim"
    pattern: ClassVar[str] = r"(?m)^trainsim,\d+,(\d+(?:\.\d+)?(?:e[-+]?\d+)?)"  # a comma ends the number here

    def seconds(self, number: float, tokens_per_gpu: float) -> float:  # noqa: ARG002  (seconds as they are)
        """The seconds themselves."""
        return number
