"""The base class of token mixers: attention and its alternatives."""

from __future__ import annotations

import abc
from collections.abc import Iterator
from typing import ClassVar

from ...core.family import Family
from ..ops import Op


class Attention(Family):
    """A token mixer. A new mixer is one class with one method; parameters, FLOPs, bytes and seconds follow from the ops that it yields."""

    section: ClassVar[str] = "attention"
    adds: ClassVar[bool] = True
    """Whether the output is added to the residual stream."""

    @abc.abstractmethod
    def ops(self, hidden: int) -> Iterator[Op]:
        """The ops of one layer.

        Args:
            hidden: width of the residual stream.
        """
