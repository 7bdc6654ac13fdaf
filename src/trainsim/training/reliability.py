"""Failures, checkpoints, restarts: how much of the wall clock is useful."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING, Annotated, ClassVar

from ..spec import Family
from ..units import Num, Unit


class Reliability(Family):
    """What share of the wall clock a run steps usefully."""

    @abc.abstractmethod
    def expected_goodput(self, gpus: int) -> Num:
        """Useful time over wall-clock time on a number of accelerators [1]."""


class Goodput(Reliability):
    """A told ratio of busy to wall-clock hours.

    >>> Goodput(0.95).expected_goodput(2048)
    0.95
    """

    positional: ClassVar[tuple[str, ...]] = ("goodput",)
    goodput: Annotated[Num, Unit("", "busy over wall-clock hours", gt=0, le=1)]

    if TYPE_CHECKING:

        def __init__(self, goodput: Num) -> None: ...

    def expected_goodput(self, gpus: int) -> Num:  # noqa: ARG002  (told, whatever the size)
        """As told."""
        return self.goodput
