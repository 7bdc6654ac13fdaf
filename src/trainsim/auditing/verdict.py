"""Verdict: the result of an audit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..catalog.evidence import Evidence
from ..claims.claim import Claim
from ..claims.scope import Scope
from ..claims.scope_parser import Contents, ScopeReading
from ..core.answer import Answer, AnswerRow, Summary
from ..core.errors import ClaimError
from ..core.registry import with_registered_attributes
from ..model.transformer import Model
from ..run.development import Development
from ..run.estimate import Estimate
from ..run.fleet import Fleet
from ..run.run import Run
from ..uncertainty.sampling.simulation import Figure
from .amounts import content_of
from .comparison import Check, Faithfulness, Stated, Word
from .hours import BlindHours, blind, measured_others
from .judgement import Number, Reading
from .measure import RUN, Clock, Measure
from .predictions import Priced, priced
from .rent import rent_of
from .run_measures import RunCost
from .run_view import RunView
from .scope_ladder import Rung, ladder

Subject = Run | Development | Fleet | Model
"""Types of subject that can be given."""


@with_registered_attributes
@dataclass(frozen=True, repr=False)
class Verdict(Answer):
    """Result of an audit.

    Args:
        claim, subject: the claim, and its subject (None if none was published).
        number: the word for the number, at its scope.
        words: the word for the claim's words.
        checks: the comparisons made.
        readings: the figure at each possible meaning of the words, the most likely first.
        scope: scope at which the number was judged.
        claimed_scope: the scope that the claim's words name; None if it has none. ``told`` is its former name.
        clock: the two days of the audit.
        found: the judgement of the number.
        measure: the quantity.
        view: the run, if the claim is about one.
        ratios: for a comparison of costs, rung → P5, P50 and P95 of the other's cost divided by this one's [1].
        assumed: inputs that the library filled in, in words.
        quote, misquote, headline: a faithful sentence, a misleading one, and the verdict in one sentence.
        writer: function that formats the verdict for ``print``.

    >>> import trainsim as ts
    >>> verdict = ts.audit(ts.catalog.claim("deepseek-v3-6m"))
    >>> verdict.number, verdict.words
    ('CONFIRMED', 'MISLEADING')
    """

    claim: Claim
    subject: Subject | None
    number: Word
    words: Faithfulness
    checks: tuple[Check, ...]
    readings: tuple[Reading, ...] = ()
    scope: Scope | None = None
    claimed_scope: ScopeReading | None = None
    clock: Clock | None = None
    found: Number | None = field(repr=False, default=None)
    measure: Measure | None = field(repr=False, default=None)
    view: RunView | None = field(repr=False, default=None)
    ratios: Mapping[str, tuple[Figure, ...]] = field(default_factory=dict)
    assumed: tuple[str, ...] = ()
    headline: str = ""
    quote: str = ""
    misquote: str = ""
    writer: Callable[[Verdict], str] = field(repr=False, compare=False, default=repr)

    if TYPE_CHECKING:

        def card(self, path: Any = None, **options: Any) -> Any:
            """The verdict as a picture for sharing; defined by the package ``report``."""

    @property
    def told(self) -> ScopeReading | None:
        """Former name of ``claimed_scope``."""
        return self.claimed_scope

    def check(self, name: str) -> Check:
        """One check by name.

        Raises:
            ClaimError: no such check was made.
        """
        for found in self.checks:
            if found.name == name:
                return found
        raise ClaimError("check", name, "is not a check of this verdict", f"checks: {', '.join(c.name for c in self.checks)}", "missing")

    @property
    def stated(self) -> Stated:
        """The claimed figure."""
        return Stated(*self.claim.ends(), self.claim.bound)

    @property
    def percentile(self) -> float | None:
        """Percentile of the claimed value in the prediction for its scope; None if a disclosure decided."""
        return next((c.percentile for c in self.checks if c.name == "prediction"), None)

    @property
    def chosen(self) -> Reading | None:
        """The meaning at which the words were judged; None if they have none."""
        meant = frozenset(self.claim.meant)
        return next(
            (r for r in self.readings if meant and r.contents == meant), max(self.readings, key=lambda r: len(r.contents), default=None)
        )

    @cached_property
    def rungs(self) -> tuple[Rung, ...]:
        """The ladder of scopes; empty unless the cost of a run is judged."""
        rented = self.priced
        if rented is None or len(rented.beliefs) == 0:
            return ()  # no prior was public on that day
        return ladder(rented, self.owned, self.claim.in_base() if not self.claim.is_ratio else float("nan"))

    @cached_property
    def priced(self) -> Priced | None:
        """The development at market rent; None unless the cost of a run is judged and has a price."""
        if self.clock is None or self.claim.is_ratio or not self.claim.quantified:
            return None
        if isinstance(self.measure, RunCost):
            return self.measure.at_market_rent(self.clock.known)
        from .development_measure import DevelopmentMeasure  # imported here because few verdicts need it

        return self.measure.at_market_rent(self.clock.known) if isinstance(self.measure, DevelopmentMeasure) else None

    @cached_property
    def owned(self) -> Priced | None:
        """The development at the owner's cost; None if that is unknown."""
        if self.view is None or self.clock is None or self.priced is None:
            return None
        return priced(self.view, "owner's amortised", self.clock.known)

    @cached_property
    def blind(self) -> BlindHours | None:
        """Hours of the run's phases with known work, predicted from other labs' runs; None if that is impossible."""
        return None if self.view is None or self.clock is None else blind(self.view, _main(self.view), self.clock.blind)

    @property
    def estimate(self) -> Estimate | None:
        """Estimate of the run as stated; None if the claim is not about a run."""
        return None if self.view is None else self.view.stated

    @cached_property
    def others(self) -> dict[str, float]:
        """Row of each measured run of the same model → accelerator-hours for this run's tokens."""
        return {} if self.view is None or self.clock is None else measured_others(self.view, self.clock.known)

    @cached_property
    def evidence(self) -> dict[str, Evidence]:
        """Evidence for the priors on utilisation and rent."""
        if self.view is None or self.clock is None:
            return {}
        rent = rent_of(self.view, "market rent", self.clock.known) if isinstance(self.measure, RunCost) else None
        found = {"mfu": self.view.utilisation(self.clock.blind), "rent": rent}
        return {name: evidence for name, evidence in found.items() if evidence is not None}

    @cached_property
    def scopes(self) -> tuple[str, ...]:
        """The scopes at which the claimed value, or ratio, lies inside the 90 % interval."""
        if not self.claim.quantified:
            return ()
        value = self.claim.in_base()
        held = {r.label: r.rent for r in self.rungs} if self.rungs else dict(self.ratios)
        held |= {f"{r.label} at the owner's cost": r.owned for r in self.rungs if r.owned}
        return tuple(label for label, (low, _, high) in held.items() if low <= value <= high)

    @property
    def contents(self) -> Contents:
        """Contents of the number; the final run where its scope names none."""
        return RUN if self.scope is None else frozenset(self.scope.contents)

    def summary(self) -> Summary:
        """Both words, the stated figure, the checks, and the ladder of scopes."""
        rows = [AnswerRow("number", "the number", self.number), AnswerRow("words", "the words", self.words)]
        if self.claim.quantified:
            rows.append(AnswerRow("stated", "stated", self.claim.in_base(), self.claim.base_unit))
        rows += [AnswerRow(f"checks.{c.name}", c.name, c.finding, group="Checks") for c in self.checks]
        rungs = [] if self.claim.base_unit != "USD" else self.rungs
        rows += [
            AnswerRow(f"rungs.{i}", r.label, float(r.rent[1]), "USD", float(r.rent[0]), float(r.rent[2]), group="Scopes")
            for i, r in enumerate(rungs)
        ]
        sources = {"claim": self.claim.source} | ({} if self.view is None else self.view.given.sources())
        return Summary(
            self.headline or self.claim.statement or self.claim.quantity,
            tuple(rows),
            tuple(filter(None, (self.quote, *self.assumed))),
            sources,
        )

    def _text(self) -> str:
        return self.writer(self)


def _main(view: RunView) -> Contents:
    """Content of the phase with the most tokens; the final run where no tokens are known."""
    phases = [p for p in view.run.phases if p.tokens is not None]
    return frozenset({content_of(max(phases, key=lambda p: float(p.tokens or 0.0)))}) if phases else RUN
