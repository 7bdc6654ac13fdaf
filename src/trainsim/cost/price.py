"""Price: base class of the price family."""

from __future__ import annotations

import abc

from ..core.family import Family
from ..core.ledger import Ledger


class Price(Family):
    """Price of one accelerator per wall-clock hour of a run."""

    @abc.abstractmethod
    def rate(self) -> Ledger:
        """The price of an hour by part [USD/GPU-h]."""
