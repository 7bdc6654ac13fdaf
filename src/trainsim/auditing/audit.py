"""The audit: a claim held against work, others' runs, market and scope; every word of the answer computed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from .. import catalog
from ..catalog.evidence import Evidence
from ..catalog.models import is_of
from ..catalog.rents import rent_evidence
from ..catalog.rows import Row, day_of, rows
from ..claims.claim import Claim
from ..claims.scope import Scope, scope_of
from ..core.errors import CatalogError, ClaimError, EstimateError, TrainsimError, check_kind
from ..core.units import SECONDS_PER_HOUR, Unit, human
from ..cost.pricing import Rental
from ..run.development import Development, estimate_development
from ..run.estimate import Estimate, estimate
from ..run.run import Run
from ..uncertainty.beliefs.beliefs import Beliefs
from ..uncertainty.distributions.distribution import Belief
from ..uncertainty.sampling.simulation import Figure, Simulation
from .arithmetic import arithmetic, scope_judged, states_price
from .checks import Case, judge, misnamed
from .developments import ladder_of
from .drivers import Decides, decides, undisclosed
from .hours import TIMED, Hours, blind_run, hours_of
from .measures import Subject, wrong_subject
from .ratio import compare_claim
from .scope_ladder import Ladder, Rung, ladder, said
from .words import INSIDE, SEVERITY, Check, Telling, Word, main_phase, ordinal, word_at, word_for_rounding

SIZE_UNTOLD = 2048
"""Accelerators of a run whose number was never published: told hours and their dollars don't depend on it."""
RUN_QUANTITIES = ("cost", *TIMED)
"""Quantities whose claims are held against a run's dollars and hours."""


@dataclass(frozen=True)
class Verdict:
    """What an audit found.

    Args:
        claim, subject: what was judged, and on which run; None where the claim is not about a run.
        number: the word for the number at the scope it has; words: for the scope its words suggest.
        checks: what it was held against.
        rungs: the ladder of scopes.
        ratios: of a claim that compares two subjects: scope → 5, 50 and 95 % quantiles of the other's dollars over this one's.
        others: independent runs of the same model: row → accelerator-hours for this run's tokens.
        evidence: what the priors were built from.
        estimate: the run as stated; None where there is none.
        blind, dollars: the simulations behind the percentiles.
        decides: what would have to be true, and where the doubt comes from; None where no dollars were judged.
    """

    claim: Claim
    subject: Subject | None
    number: Word
    words: Telling
    checks: tuple[Check, ...]
    rungs: tuple[Rung, ...] = ()
    ratios: Mapping[str, tuple[Figure, ...]] = field(default_factory=dict)
    others: Mapping[str, float] = field(default_factory=dict)
    evidence: Mapping[str, Evidence] = field(default_factory=dict)
    estimate: Estimate | None = None
    blind: Simulation | None = field(repr=False, default=None)
    dollars: Simulation | None = field(repr=False, default=None)
    decides: Decides | None = field(repr=False, default=None)

    def check(self, name: str) -> Check:
        """One check by name.

        Raises:
            ClaimError: no such check was made.
        """
        for found in self.checks:
            if found.name == name:
                return found
        raise ClaimError("check", name, "was not made", f"made: {', '.join(c.name for c in self.checks)}", "missing")

    @property
    def percentile(self) -> float | None:
        """Where the claimed value stands in what its own scope comes to."""
        return next((c.percentile for c in self.checks if c.name == "dollars"), None)

    @property
    def scopes(self) -> tuple[str, ...]:
        """The scopes at which the claimed value, or ratio, lies inside the 90 % interval."""
        if not self.rungs and not self.ratios:
            return ()
        value = self.claim.in_base()
        held = {r.label: r.rent for r in self.rungs} if self.rungs else dict(self.ratios)
        held |= {f"{r.label} at the owner's cost": r.owned for r in self.rungs if r.owned}
        return tuple(label for label, (low, _, high) in held.items() if low <= value <= high)

    def __str__(self) -> str:
        from .screen import screen

        return screen(self)


def audit(
    claim: Claim,
    subject: Subject | None = None,
    beliefs: Beliefs | None = None,
    *,
    versus: Run | None = None,
    as_of: str | None = None,
    seed: int = 1,
) -> Verdict:
    """Hold a claim against what can be computed, seen elsewhere, and priced.

    A claim about a run's cost or time is held against work, other labs' runs and market; one about a development's cost against
    its runs at market rent; one about an architecture, a fleet or pay against what is computed for it; one that compares two
    subjects puts both at one scope. One that quantifies nothing, or whose subject nobody has disclosed, can't be judged, and says
    what its primary source says.

    Args:
        claim: what was said.
        subject: the run, development, fleet or model it is about, as its maker states it; the catalogue's own where None.
        beliefs: laid over the catalogue's blind ones for hours, rent and goodput, and over the rungs of the ladder.
        versus: the run that a comparison is with; the catalogue's own where None.
        as_of: use rows public by this day, for every rung too. Where None, priors on hours and rent are blind from the day before
            the claim, and what the figure leaves out is told by all that is known today.
        seed: of the simulations.

    Raises:
        ClaimError: a value in a unit of another dimension, a quantity the library doesn't compute, a subject that has no such
            quantity, or none to be found.
    """
    check_kind(claim, Claim, "claim", "a ts.Claim: ts.catalog.claim('deepseek-v3-6m')")
    if claim.value is not None:
        claim.in_base()  # a wrong unit is an error whatever can be judged
    if subject is None and not claim.subject:
        remedy = "audit(claim, subject=run), or Claim(…, subject='deepseek-v3')"
        raise ClaimError("subject", None, "is not given, and the claim names none", remedy, "missing")
    if claim.is_ratio and not claim.versus and versus is None:
        raise ClaimError(
            "versus", "", "is not given: times of whose?", "Claim(…, versus='llama3.1-405b'), or audit(…, versus=run)", "missing"
        )
    case = Case(claim, subject, beliefs, _day(claim, as_of), seed, None if as_of is None else day_of(as_of, "as_of"))
    compared = claim.is_ratio or claim.versus_value is not None
    ratio = compare_claim(claim, _run(case), versus, beliefs, day=case.day, seed=seed) if compared else None
    if claim.is_ratio and ratio is not None:
        words: Telling = "CANNOT BE JUDGED" if all(c.word == "CANNOT BE JUDGED" for c in ratio.checks) else "FAIR"
        return _verdict(Verdict(claim, _run(case), "HOLDS", words, ratio.checks, ratios=ratio.at))
    found = _audit_one(case)
    return found if ratio is None else _verdict(replace(found, checks=(*found.checks, *ratio.checks)))


def _audit_one(case: Case) -> Verdict:
    """A claim about one subject."""
    claim, subject = case.claim, case.subject
    head = claim.quantity.split(".")[0]
    if head in RUN_QUANTITIES and claim.value is not None:
        if isinstance(subject, Development):
            return _audit_development(case, subject)
        try:
            run = _run(case)
            if run is not None:
                return _audit_run(case, run)
        except (CatalogError, EstimateError) as error:
            if subject is not None:
                raise
            return _unbuilt(claim, error)
    checks = tuple(judge(case))
    return _verdict(Verdict(claim, subject, "HOLDS", _words(claim, checks, case), checks))


def _unbuilt(claim: Claim, error: TrainsimError) -> Verdict:
    """A run of the catalogue that tells too little to be built: nothing to hold the claim against."""
    said = f"; primary source: {claim.primary.statement}" if claim.primary is not None else ""
    check = Check("judgement", "CANNOT BE JUDGED", f"{error.path} {error.rule}: {error.remedy}{said}")
    return Verdict(claim, None, "CANNOT BE JUDGED", "CANNOT BE JUDGED", (check,))


def _verdict(found: Verdict) -> Verdict:
    """The word for the number: the severest of the checks, and none where what decides dollars at their scope can't be judged."""
    number: Word = max((c.word for c in found.checks), key=SEVERITY.index)
    open_ = any(c.name == "dollars" and c.word == "CANNOT BE JUDGED" for c in found.checks) and number in ("HOLDS", "STRAINED")
    return replace(found, number="CANNOT BE JUDGED" if open_ or found.number == "CANNOT BE JUDGED" else number)


def _run(case: Case) -> Run | None:
    """The run a claim about dollars or time is about; None where nobody published one."""
    claim, subject = case.claim, case.subject
    if subject is None:
        return None if claim.subject not in rows("runs") else catalog.run(claim.subject, gpus=SIZE_UNTOLD)
    if not isinstance(subject, Run):
        raise wrong_subject(claim, subject, f"has no {claim.quantity}", "give subject=a ts.Run, or a quantity that it has")
    return subject


def _day(claim: Claim, as_of: str | None) -> dt.date | None:
    """The last day whose rows a judge may see: as asked, or the day before the claim; undated, the day before the run was told of."""
    if as_of is not None:
        return day_of(as_of, "as_of")
    told = [day_of(claim.date, "claim.date")] if claim.date else [row.date for row in _rows_of(claim)]
    return max(told) - dt.timedelta(days=1) if told else None


def _rows_of(claim: Claim) -> list[Row]:
    """The catalogue's rows of a claim's subjects."""
    return [rows("runs")[name] for name in (claim.subject, claim.versus) if name in rows("runs")]


def _words(claim: Claim, checks: tuple[Check, ...], case: Case) -> Telling:
    """Whether the words name what the number is, for a claim that is not about a run."""
    if all(c.word == "CANNOT BE JUDGED" for c in checks):
        return "CANNOT BE JUDGED"
    told = scope_of(claim.told_as)
    if told is not None and told.kind == "year" and claim.quantity == "fleet.operating":
        yearly = claim.replace({"quantity": "fleet.operating_per_year", "unit": "USD/year", "value": claim.in_base()})
        return "FAIR" if all(c.word in ("HOLDS", "STRAINED") for c in judge(replace(case, claim=yearly))) else "MISLEADING"
    return "MISLEADING" if misnamed(claim) else "FAIR"


# a run -------------------------------------------------------------------------------------------------------------


def _audit_run(case: Case, given: Run) -> Verdict:
    claim, beliefs, day, seed = case.claim, case.beliefs, case.day, case.seed
    run = catalog.complete(given)[0]
    stated = estimate(run)
    value = claim.in_base()
    hours = hours_of(claim, run, stated, beliefs, day=day, seed=seed)
    checks = [*arithmetic(claim, run, stated), *hours.checks]
    evidence = {} if hours.evidence is None else {"mfu": hours.evidence}
    if claim.judged_in != "USD" or "." in claim.quantity:
        checks = checks or [Check("hours", "CANNOT BE JUDGED", "nobody told its hours, and they don't follow from anything told")]
        return _scenario(Verdict(claim, run, "HOLDS", "FAIR", tuple(checks), (), {}, _others(run), evidence, stated, hours.blind))
    rent, rent_check = _rent(run, day, beliefs)
    if rent is not None:
        evidence["rent"] = rent
    checks += rent_check if scope_judged(claim).basis == "rent" else []
    if rent is None and not states_price(run):
        checks.append(Check("dollars", "CANNOT BE JUDGED", rent_check[0].finding))
        return _scenario(
            Verdict(claim, run, "HOLDS", _telling(claim, None), tuple(checks), (), {}, _others(run), evidence, stated, hours.blind)
        )
    steps = ladder(run, None if rent is None else rent.belief, value, beliefs, seed, hours.beliefs, hours.carried_by, case.as_of)
    checks.append(_at_some_scope(claim, value, steps))
    hangs = _decides(claim, run, rent, hours, steps, seed)
    found = Verdict(
        claim, run, "HOLDS", _telling(claim, steps), tuple(checks), steps.rungs, {}, _others(run), evidence, stated, hours.blind,
        steps.rented, hangs,
    )  # fmt: skip
    return _scenario(found)


def _scenario(found: Verdict) -> Verdict:
    """A run whose row is somebody's estimate is a scenario: nothing held against it is stronger than a guess."""
    row = catalog.row_of(found.subject) if isinstance(found.subject, Run) else None
    if row is None or row.grade not in ("estimate", "judgement"):
        return _verdict(found)
    why = f"the run is a scenario ({row.grade}): {row.get('why', row.cited)}"
    checks = (*found.checks, Check("scenario", "CANNOT BE JUDGED", why))
    return replace(found, number="CANNOT BE JUDGED", words="CANNOT BE JUDGED", checks=checks)


def _decides(claim: Claim, run: Run, rent: Evidence | None, hours: Hours, steps: Ladder, seed: int) -> Decides | None:
    """What the verdict on dollars hangs on; None where rent has no belief to vary, or each draw takes a loop of decoding."""
    if rent is None or any(".recipe." in path for path in steps.rented.beliefs.paths):
        return None
    hangs = decides(steps, seed=seed)
    if hours.evidence is None or set(scope_judged(claim).contents) != {"run"}:
        return hangs
    without = blind_run(run).replace({"price": Rental(usd_per_gpu_hour=2.0)})
    return replace(hangs, run=undisclosed(without, claim.in_base(), mfu=hours.evidence.belief, rent=rent.belief, seed=seed))


def _rent(run: Run, day: dt.date | None, beliefs: Beliefs | None) -> tuple[Evidence | None, list[Check]]:
    """What an hour of such a chip is held to cost, and whether the stated price is one the market knew."""
    region = run.price.region if isinstance(run.price, Rental) else ""
    mine = next((b for paths, b in (beliefs or {}).items() if "price.usd_per_gpu_hour" in paths), None)
    try:
        evidence = rent_evidence(run, day, region=region)
    except CatalogError as error:
        if mine is None:
            return None, [Check("rent", "CANNOT BE JUDGED", f"{error.value} {error.rule}")]
        evidence = Evidence(mine, mine, mine, {}, {}, "what the user believes")
    if not isinstance(run.price, Rental):
        return evidence, [Check("rent", "CANNOT BE JUDGED", "the run states no rent")]
    return evidence, [_at_rent(evidence, float(run.price.usd_per_gpu_hour))] if states_price(run) else []


def _at_rent(evidence: Evidence, price: float) -> Check:
    unit = Unit("USD/GPU-h", "rent", gt=0)
    readings: tuple[Belief, ...] = (evidence.belief, evidence.narrow, evidence.wide)
    at = [100.0 * float(b.meets(unit, "price.usd_per_gpu_hour").cdf(price)) for b in readings]
    return Check("rent", word_at(at[0]), f"${price:.2f} an hour against {evidence.how}", *at)


def _at_some_scope(claim: Claim, value: float, steps: Ladder) -> Check:
    """The claimed value at its scope; where its words fix none, the last run on the basis that fits better, and both are named."""
    check = _at_scope(claim, value, steps)
    if scope_of(claim.scope) is not None or check.word == "HOLDS":
        return check
    owned = _at_scope(claim.replace({"scope": "final run at owner's cost"}), value, steps)
    if owned.percentile is None or SEVERITY.index(owned.word) >= SEVERITY.index(check.word):
        return check
    at = f"no scope was told; at rent the {ordinal(check.percentile or 0.0).replace('pct.', 'percentile')}"
    return replace(owned, finding=f"{owned.finding}; {at}")


def _at_scope(claim: Claim, value: float, steps: Ladder) -> Check:
    """The claimed value among what its own scope comes to; where not all of it is priced, what is bounds it from below."""
    scope = scope_judged(claim)
    if scope.kind != "run":
        return Check("dollars", "CANNOT BE JUDGED", f"a {scope.kind} is no scope of a run: give subject=ts.Fleet and a fleet's quantity")
    market = any("usd_per_gpu_hour" in path for path in steps.rented.beliefs.paths)
    basis = ("at market rent" if market else "at the stated price") if scope.basis == "rent" else "at the owner's cost"
    reached = steps.at(scope)
    if reached is None:
        return _from_below(scope, value, steps, basis)
    sim, name = reached
    at = float(sim.percentile(name, value))
    rounded = word_for_rounding(value, float(sim.quantile(name, 0.5)), claim.bound)
    label = said(name)
    assumed = "" if scope_of(claim.scope) is not None or not claim.scope else f'; "{claim.scope}" names no scope'
    word = "HOLDS" if rounded == "HOLDS" else word_at(at, claim.bound)
    return Check("dollars", word, f"${human(value, 4)} among what {label} comes to {basis}{assumed}", at)


def _from_below(scope: Scope, value: float, steps: Ladder, basis: str) -> Check:
    sim = steps.rented if scope.basis == "rent" else steps.owned
    if sim is None:
        return Check("dollars", "CANNOT BE JUDGED", "no row tells what owning such a machine costs")
    missing = ", ".join(c for c in scope.contents if c not in (*steps.rungs[-1].contents, "sibling runs"))
    at = float(sim.percentile(sim.outputs[-1], value))
    word = word_at(at, "at most") if at < INSIDE[0] else "CANNOT BE JUDGED"
    finding = f"${human(value, 4)} against what {said(sim.outputs[-1])} comes to {basis}; {missing} come on top, priced by no row"
    return Check("dollars", word, finding, at)


def _telling(claim: Claim, steps: Ladder | None) -> Telling:
    """Whether the words name the scope the number has; if not, whether the number holds at the scope they name."""
    told, is_ = scope_of(claim.told_as), scope_judged(claim)
    if not claim.told_as or claim.told_as == claim.scope:
        return "FAIR"
    if told is None or told.kind != "run" or steps is None:
        return "CANNOT BE JUDGED"
    if (told.basis, set(told.contents)) == (is_.basis, set(is_.contents)):
        return "FAIR"
    check = _at_scope(claim.replace({"scope": claim.told_as}), claim.in_base(), steps)
    return {"HOLDS": "FAIR", "CANNOT BE JUDGED": "CANNOT BE JUDGED"}.get(check.word, "MISLEADING")  # type: ignore[return-value]


# a development -----------------------------------------------------------------------------------------------------


def _audit_development(case: Case, development: Development) -> Verdict:
    """A development as the user gives it: its rents are the market's, the rest stands as given or as believed."""
    claim = case.claim
    value = claim.in_base()
    if claim.quantity not in ("cost", "gpu_hours"):
        raise wrong_subject(claim, development, f"has no {claim.quantity}", "ask for its cost or gpu_hours, or give one of its runs")
    if claim.quantity == "gpu_hours":
        total = float(np.asarray(estimate_development(development).hours.total))
        check = Check("arithmetic", word_for_rounding(value, total, claim.bound), f"its runs take {human(total, 4)} hours")
        return _verdict(Verdict(claim, development, "HOLDS", "FAIR", (check,)))
    steps = ladder_of(development, value, case.beliefs, day=case.day, seed=case.seed)
    whole = Scope(contents=steps.rungs[-1].contents)
    scope = scope_of(claim.scope) or whole
    named = claim.replace({"scope": claim.scope if scope_of(claim.scope) is not None else ""})
    check = _at_scope(named, value, steps) if scope is not whole else _at_last(claim, value, steps)
    return _verdict(Verdict(claim, development, "HOLDS", _telling(claim, steps), (check,), steps.rungs, dollars=steps.rented))


def _at_last(claim: Claim, value: float, steps: Ladder) -> Check:
    at = float(steps.rented.percentile(steps.rented.outputs[-1], value))
    return Check("dollars", word_at(at, claim.bound), f"${human(value, 4)} among what the whole development comes to at market rent", at)


def _others(run: Run) -> dict[str, float]:
    """Measured runs of the same model, as accelerator-hours for this run's main phase: its own log, and strangers'."""
    if all(p.tokens is None for p in run.phases):
        return {}
    phase = next(p for p in run.phases if p.name == main_phase(run))
    found: dict[str, float] = {}
    for row in rows("runs").values():
        if row.get("tokens_per_s_per_gpu") and phase.tokens is not None and is_of(row, run.model):
            found[row.id] = float(phase.tokens) / float(row["tokens_per_s_per_gpu"]) / SECONDS_PER_HOUR
    return found


__all__ = ["Check", "Rung", "Verdict", "audit", "blind_run", "word_at", "word_for_rounding"]
