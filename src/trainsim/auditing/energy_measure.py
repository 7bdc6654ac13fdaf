"""RunEnergy: electricity of a run."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

from ..claims.scope import Basis
from ..core.units import human
from ..cost.ownership import WATTS_PER_KILOWATT
from .amounts import Contents
from .comparison import Stated
from .disclosure import Disclosure, point
from .measure import RUN, Predicted
from .predictions import NO_HOURS, Priced, in_energy
from .run_measures import READINGS, RunAmount, of_contents


@dataclass(frozen=True)
class RunEnergy(RunAmount):
    """Electricity of a run [kWh], of the accelerators alone (as in model cards) or at the meter."""

    def relevant(self, contents: Contents) -> Contents:
        """Contents that need accelerator-hours; the final run if none does."""
        return contents - NO_HOURS or RUN

    def disclosures(self, contents: Contents | None, basis: Basis | None, day: dt.date) -> tuple[Disclosure, ...]:
        """Published energy, and reported hours at the accelerators' rated power."""
        return (*self._named(contents, day), *self._of_accelerators(contents))

    def _of_accelerators(self, contents: Contents | None) -> Iterator[Disclosure]:
        view, rated = self.view, self.view.run.cluster.chip.power
        for reading in READINGS if contents is None else (contents,):
            hours = view.hours(reading & RUN) if reading & RUN else None
            if hours is None or rated is None or not reading - RUN <= ({"downtime"} if view.holds_downtime else set()):
                continue
            label = f"{human(hours, 4)} hours × {float(rated):.0f} W{of_contents(reading & RUN)}, the accelerators alone at rated power"
            yield point(
                hours * float(rated) / WATTS_PER_KILOWATT, label, view.cited("efficiency"), contents=reading, understates=True,
                day=view.row.earliest if view.row is not None else None, sourced=view.sourced("efficiency"),
            )  # fmt: skip

    def _priced(self, basis: Basis | None, day: dt.date) -> Priced | None:
        return in_energy(self.view, day)

    def predicted(self, contents: Contents | None, basis: Basis | None, day: dt.date) -> Predicted | None:
        """Predicted energy at the meter, from rows public by a day."""
        behind = self._priced(basis, day)
        return None if behind is None else behind.predicted(RUN if contents is None else contents, "USD")

    def impossible(self, stated: Stated, contents: Contents | None) -> str:
        """Reason if the claimed energy is zero, else empty."""
        return "" if stated.high > 0.0 else "no work is done without energy"

    @property
    def reason_unknown(self) -> str:
        """Reason that nothing is known."""
        return "its hours are not known, or no row on the power of servers and sites was public by that day"
