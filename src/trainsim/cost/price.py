"""The face of the price family."""

from __future__ import annotations

import abc

from ..core.ledger import Ledger
from ..core.spec import Family


class Price(Family):
    """What one accelerator costs per wall-clock hour of a run."""

    @abc.abstractmethod
    def rate(self) -> Ledger:
        """The price of an hour by part [USD/GPU-h]."""
