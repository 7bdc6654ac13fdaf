"""RunView: a run with its reported figures, the inputs that the catalogue filled in, and predictions of its hours."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from functools import cached_property

from ..catalog.evidence import Evidence, mfu_evidence
from ..catalog.matching import row_of
from ..catalog.rows import Row
from ..catalog.runs import complete
from ..claims.scope import FINAL_RUN
from ..core.citations import FILLED, NOT_GIVEN
from ..core.errors import CatalogError
from ..core.provenance import BY_USER
from ..core.units import SECONDS_PER_HOUR
from ..cost.ownership import Ownership
from ..cost.rental import Rental
from ..run.estimate import Estimate, estimate
from ..run.run import Run
from ..training.efficiency import MFU, is_reported
from ..training.reliability import Goodput
from ..uncertainty.beliefs.beliefs import Beliefs
from ..uncertainty.distributions.distribution import Belief
from ..uncertainty.distributions.interval import ci90
from .amounts import Contents, content_of, learns_from_rollouts
from .measure import Clock

PUBLIC = ("counted", "disclosed", "measured", "vendor", "market")
"""Grades of a figure published by whoever ran or measured it."""


def grade_of(row: Row, field: str) -> str:
    """Grade of a field of a row: its own if it has one, else the row's."""
    return str(row.get("field_grades", {}).get(field, row.grade))


def blind_run(run: Run) -> Run:
    """The run without its reported hours: phases with known tokens get an MFU of the chip's half-precision peak.

    Phases with unknown tokens keep their reported hours.
    """
    phases = tuple(p if p.tokens is None else p.replace({"efficiency": None}) for p in run.phases)
    return run.replace({"phases": phases, "efficiency": MFU(0.4, peak=run.cluster.chip.half)})


@dataclass(frozen=True)
class RunView:
    """A run with the quantities that an audit needs, each computed once.

    Args:
        given: the run as stated by its maker or the user.
        clock: the two days of the audit.
        beliefs: the user's beliefs.
        seed: seed of the simulations.
    """

    given: Run
    clock: Clock
    beliefs: Beliefs
    seed: int = 1

    @cached_property
    def row(self) -> Row | None:
        """The catalogue's row of the run, if it was public."""
        found = row_of(self.given)
        return found if found is not None and found.earliest <= self.clock.known else None

    @cached_property
    def run(self) -> Run:
        """The run with missing efficiency and goodput filled in. If no row was public, the filled-in values are placeholders that no
        prediction uses.
        """
        run = self.given
        for need, stand_in in (("efficiency", MFU(0.4, peak=run.cluster.chip.half)), ("reliability", Goodput(1.0))):
            try:
                run = complete(run, self.clock.known, needs=(need,))[0]
            except CatalogError:
                run = run.replace({need: stand_in}).with_sources({need: f"{FILLED}nothing: no row was public"})
        return run

    @property
    def knows_goodput(self) -> bool:
        """Whether goodput is given by the run or by a public row."""
        return (
            self.given.reliability is not None
            or self.holds_downtime
            or not self.run.sources().get("reliability.goodput", "").startswith(f"{FILLED}nothing")
        )

    @cached_property
    def stated(self) -> Estimate:
        """Estimate from the run's own inputs."""
        return estimate(self.run)

    def scenario(self, field: str) -> str:
        """Reason that a figure of the run is a scenario, by its field of the row; empty if it is not."""
        if self.given.evidence == "scenario":
            return "the run is a scenario, not a disclosure"
        if self.row is not None and grade_of(self.row, field) not in PUBLIC:
            return f"a scenario ({grade_of(self.row, field)}): {self.row.get('why', self.row.cited)}"
        return ""

    # reported figures -----------------------------------------------------------------------------------------------

    @cached_property
    def contents(self) -> Contents:
        """Contents of the final run that the run includes."""
        return frozenset(content_of(phase) for phase in self.run.phases)

    def hours(self, contents: Contents) -> float | None:
        """Reported accelerator-hours of some contents [GPU-h]; None if a phase does not report them, or there is no such phase."""
        phases = [p for p in self.stated.phases.values() if content_of(p.phase) in contents]
        if self.impossible_hours or not phases or not all(self._reports(p.phase.name) for p in phases):
            return None
        if self.row is not None and grade_of(self.row, "gpu_hours") not in PUBLIC:
            return None
        return sum(float(p.given_gpu_seconds) for p in phases) / SECONDS_PER_HOUR

    @cached_property
    def impossible_hours(self) -> str:
        """Reason that the reported hours are impossible, because they imply more than the chips' peak; empty if they are possible."""
        peak, plan = self.run.cluster.chip.peak, self.run.plan
        wanted = plan.recipe.products if plan is not None else self.run.cluster.chip.half
        dtype = wanted if getattr(peak, wanted, None) is not None else self.run.cluster.chip.half
        full = float(self.run.cluster.chip.peak_of(dtype))
        for name, p in self.stated.phases.items():
            share = 0.0 if p.flops is None else float(p.flops.total) / (float(p.given_gpu_seconds) * full)
            if share > 1.0 and self._reports(name):
                return f"the reported hours of {name} imply {share:,.0%} of the {dtype.upper()} peak and can't be right"
        return ""

    def _reports(self, name: str) -> bool:
        phase = next(p for p in self.given.phases if p.name == name)
        return is_reported(phase.efficiency or self.given.efficiency) and not self._filled("efficiency")

    @property
    def reports_hours(self) -> bool:
        """Whether all phases report their hours."""
        return self.hours(frozenset(FINAL_RUN)) is not None

    @property
    def holds_downtime(self) -> bool:
        """Whether the reported hours are wall-clock hours."""
        return all(p.time == "wall" for p in self.stated.phases.values())

    @cached_property
    def rate(self) -> float | None:
        """Reported price of an accelerator-hour [USD/GPU-h]; None if unreported."""
        if self.given.price is None or self._filled("price"):
            return None
        return float(self.given.price.rate().total)

    @property
    def basis(self) -> str:
        """Basis of the reported price."""
        price = self.given.price
        if isinstance(price, Ownership):
            return "owner's amortised"
        return "cloud list" if isinstance(price, Rental) and price.term == "list" else "market rent"

    def sourced(self, name: str) -> bool:
        """Whether the source of every input whose path contains a name (``efficiency``, ``tokens``) is another than the user."""
        found = [source for path, source in self._sources.items() if name in path.split(".")]
        return bool(found) and all(source != BY_USER and not source.startswith(NOT_GIVEN) for source in found)

    def cited(self, name: str) -> str:
        """Source of the inputs whose paths contain a name; empty if the user gave them."""
        return next((s for path, s in self._sources.items() if name in path.split(".") and s != BY_USER), "")

    def _filled(self, head: str) -> bool:
        return any(path.startswith(head) and source.startswith(NOT_GIVEN) for path, source in self._sources.items())

    @cached_property
    def _sources(self) -> dict[str, str]:
        return self.given.sources()

    # predictions ----------------------------------------------------------------------------------------------------

    @cached_property
    def blind_run(self) -> Run:
        """The run without its reported hours: phases with known tokens get an MFU of the chip's half-precision peak."""
        return blind_run(self.run)

    @cached_property
    def engines(self) -> Beliefs:
        """Beliefs about the inference engines of rollouts, by path of the run."""
        return Beliefs({path: ci90(*levels) for path, (_, levels) in self._engine_rows.items()})

    @cached_property
    def carried_by(self) -> dict[str, Row]:
        """Path of a number of an engine → row of the belief about it."""
        return {path: row for path, (row, _) in self._engine_rows.items()}

    @cached_property
    def _engine_rows(self) -> dict[str, tuple[Row, list[float]]]:
        if not any(map(learns_from_rollouts, self.run.phases)):
            return {}
        from ..catalog.rl_recipes import engine_rows  # slow to import, and needed for few runs

        return engine_rows(self.run)

    def mine(self, path: str) -> Belief | None:
        """The user's belief at a path of the run."""
        return next((belief for paths, belief in self.beliefs.items() if path in paths), None)

    def utilisation(self, day: dt.date) -> Evidence | None:
        """Prior on the run's utilisation: the user's belief, else from other labs' runs public by a day; None if those are too few."""
        cached = self.__dict__.setdefault("_utilisation", {})
        if day not in cached:
            cached[day] = self._utilisation_on(day)
        found: Evidence | None = cached[day]
        return found

    def _utilisation_on(self, day: dt.date) -> Evidence | None:
        mine = self.mine("efficiency.mfu")
        try:
            found = mfu_evidence(self.blind_run, day)
        except CatalogError:
            return None if mine is None else Evidence(mine, mine, mine, {}, {}, "utilisation as the user believes")
        return found if mine is None else replace(found, belief=mine, how="utilisation as the user believes")

    def hours_belief(self, day: dt.date) -> Beliefs | None:
        """Beliefs about unreported hours, by path of the run; empty if hours are reported; None if nothing is known."""
        if self.reports_hours:
            return Beliefs({})
        if all(phase.tokens is None for phase in self.run.phases):
            return self.engines if len(self.engines) else None
        evidence = self.utilisation(day)
        return None if evidence is None else Beliefs({"efficiency.mfu": evidence.belief}) | self.engines

    @property
    def priced_run(self) -> Run:
        """The run used for predictions, with its reported hours if there are any."""
        return self.run if len(self.hours_belief(self.clock.known) or ()) == 0 else self.blind_run
