"""Step times in the CSV file that :func:`trainsim.watch_steps` writes."""

from __future__ import annotations

from typing import ClassVar

from .logs import LogFormat


class WatchCsv(LogFormat):
    """Lines such as ``trainsim,12,9.61``: writer, step and step time [s] (:func:`trainsim.watch_steps`)."""

    framework: ClassVar[str] = "trainsim"
    pattern: ClassVar[str] = r"(?m)^trainsim,\d+,(\d+(?:\.\d+)?(?:e[-+]?\d+)?)"  # no thousands separators: a comma ends the number

    def seconds(self, number: float, tokens_per_gpu: float) -> float:  # noqa: ARG002  (the log gives seconds)
        """The number itself [s]."""
        return number
