"""The audit: a claim held against work, others' runs, market and scope; every word of the answer computed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from .. import catalog
from ..catalog.evidence import Evidence, mfu_evidence, rent_evidence
from ..catalog.rows import rows
from ..catalog.runs import complete
from ..cost.pricing import Rental
from ..doubt import simulate
from ..errors import ClaimError
from ..journey import Estimate, estimate
from ..run import Run
from ..training.efficiency import MFU
from ..uncertainty import Beliefs, Simulation
from ..units import SECONDS_PER_HOUR, human
from .claim import Claim
from .decides import Decides, decides
from .judges import judge, misnamed
from .ladder import Ladder, Rung, ladder
from .scope import scope_of
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
    day = dt.date.fromisoformat(as_of) if as_of else _day_before(claim)
    stated = estimate(run)
    value = claim.in_base()
    checks = [_arithmetic(claim, value, stated)]
    evidence: dict[str, Evidence] = {}
    blind: Simulation | None = None
    if any(phase.tokens is not None for phase in run.phases):
        hours = _hours(run, stated, beliefs, day, seed)
        checks += [hours.physics, hours.check]
        evidence["mfu"], blind = hours.evidence, hours.blind
    else:
        checks.append(Check("hours", "CANNOT BE JUDGED", "no phase's tokens were published: the hours can't be held against work"))
    rungs: tuple[Rung, ...] = ()
    dollars: Simulation | None = None
    hangs: Decides | None = None
    if claim.judged_in == "USD":
        rent, rent_check = _rent(run, day)
        evidence["rent"] = rent
        steps = ladder(run, rent.belief, value, beliefs, seed)
        dollars, rungs = steps.rented, steps.rungs
        checks += [rent_check, _at_scope(claim, value, steps)]
        if blind is not None:
            without = blind_run(run).replace({"price": Rental(usd_per_gpu_hour=2.0)})
            hangs = decides(without, value, mfu=evidence["mfu"].belief, rent=rent.belief, steps=steps, seed=seed)
    number = max((c.word for c in checks), key=SEVERITY.index)
    return Verdict(claim, run, number, _telling(claim, rungs), tuple(checks), rungs, _others(run), evidence, stated, blind, dollars, hangs)


def _day_before(claim: Claim) -> dt.date | None:
    return dt.date.fromisoformat(claim.date) - dt.timedelta(days=1) if claim.date else None


def _arithmetic(claim: Claim, value: float, stated: Estimate) -> Check:
    """The claim beside the subject's own hours times its own price."""
    told = float(stated.told_gpu_hours)
    computed = told if claim.judged_in == "GPU-h" else told * float(stated.price.total)
    finding = f"{human(told, 4)} hours at ${float(stated.price.total):.4g} are {human(computed, 4)}; claimed {human(value, 4)}"
    return Check("arithmetic", word_for_rounding(value, computed), finding)


@dataclass(frozen=True)
class _Hours:
    physics: Check
    check: Check
    evidence: Evidence
    blind: Simulation


def blind_run(run: Run) -> Run:
    """The run without the hours its maker disclosed: work from published tokens, utilisation from the catalogue's prior.

    Phases whose tokens were never published keep their told hours: nothing else is known of them.
    """
    phases = tuple(p if p.tokens is None else p.replace({"efficiency": None}) for p in run.phases)
    return run.replace({"phases": phases, "efficiency": MFU(0.4)})


def _hours(run: Run, stated: Estimate, beliefs: Beliefs | None, day: dt.date | None, seed: int) -> _Hours:
    """Could the run take so few hours: implied utilisation, and the percentile of the stated hours in what others' runs suggest."""
    name = main_phase(run)
    phase = stated.phases[name]
    told = float(phase.busy_gpu_seconds) / SECONDS_PER_HOUR
    blind = blind_run(run)
    evidence = mfu_evidence(blind, day)
    mine = next((belief for paths, belief in (beliefs or {}).items() if "efficiency.mfu" in paths), None)
    if mine is not None:
        evidence = replace(evidence, belief=mine, how="utilisation as the user believes")
    held = Beliefs({"efficiency.mfu": evidence.belief})
    sims = {}
    for reading, belief in (
        ("default", held),
        ("narrow", Beliefs({"efficiency.mfu": evidence.narrow})),
        ("wide", Beliefs({"efficiency.mfu": evidence.wide})),
    ):
        sims[reading] = simulate(
            blind, belief, lambda r: {"hours": estimate(r).phases[name].busy_gpu_seconds / SECONDS_PER_HOUR}, seed=seed
        )
    at = {reading: float(sim.percentile("hours", told)) for reading, sim in sims.items()}
    flop = float(phase.flops.total) if phase.flops is not None else float("nan")
    peaks = {d: float(run.cluster.chip.peak_of(d)) for d in ("bf16", _fastest(run))}
    implied = {d: flop / (told * SECONDS_PER_HOUR * p) for d, p in peaks.items()}
    possible: Word = "HOLDS" if implied[_fastest(run)] <= 1 else "IMPOSSIBLE"
    shares = ", ".join(f"{share:.1%} of the {d.upper()} peak" for d, share in implied.items())
    physics = Check("physics", possible, f"{human(told, 4)} hours imply {shares}")
    check = Check(
        "hours",
        word_at(at["default"]),
        f"{human(told, 4)} hours against what others' runs suggest",
        at["default"],
        at["narrow"],
        at["wide"],
    )
    return _Hours(physics, check, evidence, sims["default"])


def _fastest(run: Run) -> str:
    """The number format of the run's products: what physics bounds."""
    precision = run.plan.recipe.products if run.plan is not None else "bf16"
    return precision if getattr(run.cluster.chip.peak, precision, None) is not None else "bf16"


def _rent(run: Run, day: dt.date | None) -> tuple[Evidence, Check]:
    """Is the stated price an hour one the market knew."""
    region = run.price.region if isinstance(run.price, Rental) else ""
    evidence = rent_evidence(run, day, region=region)
    if not isinstance(run.price, Rental):
        return evidence, Check("rent", "CANNOT BE JUDGED", "the run states no rent")
    price = float(run.price.usd_per_gpu_hour)
    unit = run.unit_of("price.usd_per_gpu_hour")
    at = [100.0 * float(b.meets(unit, "price.usd_per_gpu_hour").cdf(price)) for b in (evidence.belief, evidence.narrow, evidence.wide)]
    return evidence, Check("rent", word_at(at[0]), f"${price:.2f} an hour against {evidence.how}", *at)


def _at_scope(claim: Claim, value: float, steps: Ladder) -> Check:
    """The claimed value among what its own scope comes to."""
    scope = scope_of(claim.scope)
    held = set(scope.contents) if scope is not None and (scope.basis, scope.kind) == ("rent", "run") else {"run"}
    rungs = dict(zip(steps.rented.outputs, steps.rungs, strict=True))
    name = next((n for n, r in rungs.items() if held <= set(r.contents)), steps.rented.outputs[-1])
    at = float(steps.rented.percentile(name, value))
    return Check(
        "dollars", word_at(at), f"${human(value, 4)} among what {rungs[name].label.removeprefix('+ ')} comes to at market rent", at
    )


def _telling(claim: Claim, rungs: tuple[Rung, ...]) -> Telling:
    """Whether the words name the scope the number has; if not, whether the number holds at the scope they name."""
    told, is_ = scope_of(claim.told_as), scope_of(claim.scope)
    if not claim.told_as or claim.told_as == claim.scope:
        return "FAIR"
    if told is None or (told.basis, told.kind) != ("rent", "run") or not rungs:
        return "CANNOT BE JUDGED"
    if is_ is not None and (told.basis, told.kind) == (is_.basis, is_.kind) and told.inside(is_):
        return "FAIR"
    value = claim.in_base()
    reached = next((r for r in rungs if set(told.contents) <= set(r.contents)), None)
    if reached is not None:
        return "FAIR" if reached.rent[0] <= value <= reached.rent[2] else "MISLEADING"
    # some of what the words promise is priced by no row: what is priced bounds it from below
    return "MISLEADING" if value < rungs[-1].rent[0] else "CANNOT BE JUDGED"


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
