"""The audit: a claim held against work, others' runs, market and scope; every word of the answer computed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from .. import catalog
from ..catalog.evidence import Evidence, mfu_evidence, rent_evidence
from ..catalog.rows import day_of, rows
from ..catalog.runs import complete
from ..cost.pricing import Rental
from ..doubt import simulate
from ..errors import CatalogError, ClaimError, check_kind
from ..journey import Estimate, estimate
from ..run import Run
from ..training.efficiency import MFU
from ..uncertainty import Beliefs, Simulation
from ..units import SECONDS_PER_HOUR, Num, human
from .claim import Claim
from .decides import Decides, decides, undisclosed
from .judges import judge, misnamed
from .ladder import Ladder, Rung, ladder
from .scope import SCOPES, Scope, scope_of
from .words import SEVERITY, Check, Telling, Word, main_phase, word_at, word_for_rounding


@dataclass(frozen=True)
class Verdict:
    """What an audit found.

    Args:
        claim, subject: what was judged, and on which run; None where the claim is not about a run.
        number: the word for the number at the scope it has; words: for the scope its words suggest.
        checks: what it was held against.
        rungs: the ladder of scopes.
        others: independent runs of the same model: row → accelerator-hours for this run's tokens.
        evidence: what the priors were built from.
        estimate: the run as stated; None where there is none.
        blind, dollars: the simulations behind the percentiles.
        decides: what would have to be true, and where the doubt comes from; None where no dollars were judged.
    """

    claim: Claim
    subject: Run | None
    number: Word
    words: Telling
    checks: tuple[Check, ...]
    rungs: tuple[Rung, ...] = ()
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
        raise ClaimError("check", name, "was not made", f"made: {', '.join(c.name for c in self.checks)}")

    @property
    def percentile(self) -> float | None:
        """Where the claimed value stands in what its own scope comes to."""
        return next((c.percentile for c in self.checks if c.name == "dollars"), None)

    @property
    def scopes(self) -> tuple[str, ...]:
        """The rungs at which the claimed value lies inside the 90 % interval."""
        value = self.claim.in_base() if self.rungs else 0.0
        return tuple(r.label for r in self.rungs if r.rent[0] <= value <= r.rent[2])

    def __str__(self) -> str:
        from .screen import screen

        return screen(self)


def audit(claim: Claim, subject: Run | None = None, beliefs: Beliefs | None = None, *, as_of: str | None = None, seed: int = 1) -> Verdict:
    """Hold a claim against what can be computed, seen elsewhere, and priced.

    A claim about a run's cost or hours is held against work, other labs' runs and market; one about a fleet, pay or an
    architecture against what the catalogue computes for it; one that quantifies nothing, or whose subject nobody has
    disclosed, can't be judged, and says what its primary source says.

    Args:
        claim: what was said.
        subject: the run it is about, as its maker states it; the catalogue's own where None.
        beliefs: laid over the catalogue's blind ones for hours, rent and goodput, and over the rungs of the ladder.
        as_of: blind priors use rows public by this day; the day before the claim where None.
        seed: of the simulations.

    Raises:
        ClaimError: a value in a unit of another dimension, a quantity the library doesn't compute, or no subject to be found.
    """
    check_kind(claim, Claim, "claim", "a ts.Claim: ts.catalog.claim('deepseek-v3-6m')")
    if subject is not None:
        check_kind(subject, Run, "subject", "the ts.Run it is about: ts.catalog.run('deepseek-v3')")
    if claim.value is not None:
        claim.in_base()  # a wrong unit is an error whatever can be judged
    if subject is None and not claim.subject:
        remedy = "audit(claim, subject=run), or Claim(…, subject='deepseek-v3')"
        raise ClaimError("subject", None, "is not given, and the claim names none", remedy)
    if claim.quantity in ("cost", "busy_gpu_hours", "gpu_hours") and (subject is not None or claim.subject in rows("runs")):
        return _audit_run(claim, complete(subject or catalog.run(claim.subject))[0], beliefs, as_of, seed)
    checks = judge(claim, subject, seed)
    number = max((c.word for c in checks), key=SEVERITY.index)
    words: Telling = "CANNOT BE JUDGED" if number == "CANNOT BE JUDGED" else "MISLEADING" if misnamed(claim) else "FAIR"
    return Verdict(claim, subject, number, words, tuple(checks))


def _audit_run(claim: Claim, run: Run, beliefs: Beliefs | None, as_of: str | None, seed: int) -> Verdict:
    day = _day(claim, as_of)
    stated = estimate(run)
    value = claim.in_base()
    checks = _arithmetic(claim, value, stated)
    evidence: dict[str, Evidence] = {}
    hours = _hours(run, stated, beliefs, day, seed)
    checks += hours.checks
    if hours.evidence is not None:
        evidence["mfu"] = hours.evidence
    steps: Ladder | None = None
    hangs: Decides | None = None
    if claim.judged_in == "USD":
        rent, rent_check = _rent(run, beliefs, day)
        if _scope(claim).basis == "rent":
            checks.append(rent_check)
        if rent is None:
            checks.append(Check("dollars", "CANNOT BE JUDGED", rent_check.finding))
        else:
            evidence["rent"] = rent
            steps = ladder(run, rent.belief, value, beliefs, seed)
            checks.append(_at_scope(claim, value, steps))
            hangs = decides(steps, seed=seed)
            if hours.evidence is not None and set(_scope(claim).contents) == {"run"}:
                without = blind_run(run).replace({"price": Rental(usd_per_gpu_hour=2.0)})
                hangs = replace(hangs, run=undisclosed(without, value, mfu=hours.evidence.belief, rent=rent.belief, seed=seed))
    number = max((c.word for c in checks), key=SEVERITY.index)
    rungs, dollars = (steps.rungs, steps.rented) if steps is not None else ((), None)
    telling = _telling(claim, value, steps)
    return Verdict(claim, run, number, telling, tuple(checks), rungs, _others(run), evidence, stated, hours.blind, dollars, hangs)


def _day(claim: Claim, as_of: str | None) -> dt.date | None:
    """The last day whose rows may be seen: as told, or the day before the claim."""
    if as_of:
        return day_of(as_of, "as_of")
    return day_of(claim.date, "claim.date") - dt.timedelta(days=1) if claim.date else None


def _scope(claim: Claim) -> Scope:
    """The scope a claim is judged at: its own; rent of the final run where it names none, which the check then says."""
    return scope_of(claim.scope) or SCOPES["final-run rent"]


def _arithmetic(claim: Claim, value: float, stated: Estimate) -> list[Check]:
    """The claim beside the subject's own hours, or these times its own price; nothing where the scope holds more than hours."""
    told, price = float(stated.told_gpu_hours), float(stated.price.total)
    if claim.judged_in == "GPU-h":
        hours = float(stated.busy_gpu_hours) if claim.quantity == "busy_gpu_hours" else told
        return [Check("arithmetic", word_for_rounding(value, hours), f"stated {human(hours, 4)} hours; claimed {human(value, 4)}")]
    scope = _scope(claim)
    if (scope.basis, scope.kind) != ("rent", "run") or not set(scope.contents) <= {"run", "downtime"}:
        return []
    hours = float(stated.gpu_hours) if "downtime" in scope.contents else told
    finding = f"{human(hours, 4)} hours at ${price:.4g} are {human(hours * price, 4)}; claimed {human(value, 4)}"
    return [Check("arithmetic", word_for_rounding(value, hours * price), finding)]


@dataclass(frozen=True)
class _Hours:
    checks: list[Check]
    evidence: Evidence | None = None
    blind: Simulation | None = None


def blind_run(run: Run) -> Run:
    """The run without the hours its maker disclosed: work from published tokens, utilisation from the catalogue's prior.

    Phases whose tokens were never published keep their told hours: nothing else is known of them.
    """
    phases = tuple(p if p.tokens is None else p.replace({"efficiency": None}) for p in run.phases)
    return run.replace({"phases": phases, "efficiency": MFU(0.4)})


def _hours(run: Run, stated: Estimate, beliefs: Beliefs | None, day: dt.date | None, seed: int) -> _Hours:
    """Could the run take so few hours: implied utilisation, and the percentile of the stated hours in what others' runs suggest."""
    if all(phase.tokens is None for phase in run.phases):
        return _Hours([Check("hours", "CANNOT BE JUDGED", "no phase's tokens were published: the hours can't be held against work")])
    name = main_phase(run)
    physics = _physics(run, stated, name)
    told = float(stated.phases[name].busy_gpu_seconds) / SECONDS_PER_HOUR
    blind = blind_run(run)
    evidence, why = _believed(beliefs, "efficiency.mfu", lambda: mfu_evidence(blind, day), "utilisation")
    if evidence is None:
        return _Hours([physics, Check("hours", "CANNOT BE JUDGED", why)])

    def hours(drawn: Run) -> dict[str, Num]:
        return {"hours": estimate(drawn).phases[name].busy_gpu_seconds / SECONDS_PER_HOUR}

    sims = [
        simulate(blind, Beliefs({"efficiency.mfu": belief}), hours, seed=seed)
        for belief in (evidence.belief, evidence.narrow, evidence.wide)
    ]
    at = [float(sim.percentile("hours", told)) for sim in sims]
    finding = f"{human(told, 4)} hours against what {'others’ runs suggest' if evidence.used else evidence.how}"
    return _Hours([physics, Check("hours", word_at(at[0]), finding, *at)], evidence, sims[0])


def _physics(run: Run, stated: Estimate, name: str) -> Check:
    """The utilisation that the stated hours of a phase imply, of the BF16 peak and of the peak its products run at."""
    phase = stated.phases[name]
    seconds = float(phase.busy_gpu_seconds)
    flop = float(phase.flops.total) if phase.flops is not None else float("nan")
    fastest = _fastest(run)
    implied = {d: flop / (seconds * float(run.cluster.chip.peak_of(d))) for d in dict.fromkeys(("bf16", fastest))}
    shares = ", ".join(f"{share:.1%} of the {d.upper()} peak" for d, share in implied.items())
    finding = f"{human(seconds / SECONDS_PER_HOUR, 4)} hours imply {shares}"
    return Check("physics", "HOLDS" if implied[fastest] <= 1 else "IMPOSSIBLE", finding)


def _believed(beliefs: Beliefs | None, path: str, found: Callable[[], Evidence], what: str) -> tuple[Evidence | None, str]:
    """The catalogue's evidence under the user's belief where there is one; None, and why, where there is neither."""
    mine = next((belief for paths, belief in (beliefs or {}).items() if path in paths), None)
    try:
        evidence = found()
    except CatalogError as error:
        if mine is None:
            return None, f"{error.value} {error.rule}"
        return Evidence(mine, mine, mine, {}, {}, f"{what} as the user believes"), ""
    return evidence if mine is None else replace(evidence, belief=mine, how=f"{what} as the user believes"), ""


def _fastest(run: Run) -> str:
    """The number format of the run's products: what physics bounds."""
    precision = run.plan.recipe.products if run.plan is not None else "bf16"
    return precision if getattr(run.cluster.chip.peak, precision, None) is not None else "bf16"


def _rent(run: Run, beliefs: Beliefs | None, day: dt.date | None) -> tuple[Evidence | None, Check]:
    """Is the stated price an hour one the market knew."""
    region = run.price.region if isinstance(run.price, Rental) else ""
    path = "price.usd_per_gpu_hour"
    evidence, why = _believed(beliefs, path, lambda: rent_evidence(run, day, region=region), "rent")
    if evidence is None:
        return None, Check("rent", "CANNOT BE JUDGED", why)
    if not isinstance(run.price, Rental):
        return evidence, Check("rent", "CANNOT BE JUDGED", "the run states no rent")
    price, unit = float(run.price.usd_per_gpu_hour), run.unit_of(path)
    at = [100.0 * float(b.meets(unit, path).cdf(price)) for b in (evidence.belief, evidence.narrow, evidence.wide)]
    return evidence, Check("rent", word_at(at[0]), f"${price:.2f} an hour against {evidence.how}", *at)


def _at_scope(claim: Claim, value: float, steps: Ladder) -> Check:
    """The claimed value among what its own scope comes to."""
    check = steps.judge(_scope(claim), value)
    if claim.scope and scope_of(claim.scope) is None:
        return replace(check, finding=f'{check.finding}; "{claim.scope}" names no scope')
    return check


def _telling(claim: Claim, value: float, steps: Ladder | None) -> Telling:
    """Whether the words name the scope the number has; if not, whether the number holds at the scope they name."""
    told, is_ = scope_of(claim.told_as), _scope(claim)
    if not claim.told_as or claim.told_as == claim.scope:
        return "FAIR"
    if told is None or steps is None:
        return "CANNOT BE JUDGED"
    if (told.basis, told.kind, set(told.contents)) == (is_.basis, is_.kind, set(is_.contents)):
        return "FAIR"
    match steps.judge(told, value).word:
        case "HOLDS":
            return "FAIR"
        case "CANNOT BE JUDGED":
            return "CANNOT BE JUDGED"
        case _:
            return "MISLEADING"


def _others(run: Run) -> dict[str, float]:
    """Measured runs of the same model, as accelerator-hours for this run's main phase: its own log, and strangers'."""
    if all(p.tokens is None for p in run.phases):
        return {}
    phase = next(p for p in run.phases if p.name == main_phase(run))
    found: dict[str, float] = {}
    for row in rows("runs").values():
        if row.get("model") == run.model.name and row.get("tokens_per_s_per_gpu") and phase.tokens is not None:
            found[row.id] = float(phase.tokens) / float(row["tokens_per_s_per_gpu"]) / SECONDS_PER_HOUR
    return found


__all__ = ["Check", "Rung", "Verdict", "audit", "blind_run", "word_at", "word_for_rounding"]
