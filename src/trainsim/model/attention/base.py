"""The face of the attention family."""

from __future__ import annotations

import abc
from collections.abc import Iterator
from typing import ClassVar

from ...core.spec import Family
from ..ops import Op


class Attention(Family):
    """A token mixer. A new one is one class with one method; every account follows from the ops it yields."""

    section: ClassVar[str] = "attention"
    adds: ClassVar[bool] = True
    """Whether its output is added to the residual stream."""

    @abc.abstractmethod
    def ops(self, hidden: int) -> Iterator[Op]:
        """The work of one layer.

        Args:
            hidden: width of the residual stream.
        """
