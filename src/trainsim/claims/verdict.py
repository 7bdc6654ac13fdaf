"""The audit: a claim held against work, others' runs, market and scope; every word of the answer computed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

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
from ..units import SECONDS_PER_HOUR
from .claim import Claim
from .ladder import Ladder, Rung, ladder
from .scope import scope_of

Word = Literal["HOLDS", "STRAINED", "FAILS", "IMPOSSIBLE", "CANNOT BE JUDGED"]
"""What a number can be: inside the 90 % interval; outside it but inside 98 %; outside both; against physics; without evidence."""
Telling = Literal["FAIR", "MISLEADING", "CANNOT BE JUDGED"]
"""What the words around a number can be: true at the scope they suggest; not; or they fix no scope."""
SEVERITY: tuple[Word, ...] = ("CANNOT BE JUDGED", "HOLDS", "STRAINED", "FAILS", "IMPOSSIBLE")
INSIDE, BARELY = (0.05, 0.95), (0.01, 0.99)
"""Percentiles that define the words; see the glossary."""


def word_at(percentile: float) -> Word:
    """The word for a percentile of what was expected.

    >>> word_at(0.16), word_at(0.03), word_at(0.999)
    ('HOLDS', 'STRAINED', 'FAILS')
    """
    if INSIDE[0] <= percentile <= INSIDE[1]:
        return "HOLDS"
    return "STRAINED" if BARELY[0] <= percentile <= BARELY[1] else "FAILS"


def word_for_rounding(stated: float, computed: float) -> Word:
    """Whether a stated figure is the computed one, rounded to the digits it was told with.

    Two digits are allowed for a figure of one, since 5.58 is told as 6. Within a tenth it is strained.

    >>> word_for_rounding(6e6, 5.576e6), word_for_rounding(5.6e9, 5.576e6)
    ('HOLDS', 'FAILS')
    """
    exponent = np.floor(np.log10(abs(stated)))
    digits = next(d for d in range(1, 17) if np.isclose(np.round(stated / 10.0**exponent, d - 1), stated / 10.0**exponent, rtol=1e-12))
    half_digit = 0.5 * 10.0 ** (exponent - digits + 1)
    if abs(stated - computed) <= half_digit:
        return "HOLDS"
    return "STRAINED" if abs(stated / computed - 1) <= 0.1 else "FAILS"


@dataclass(frozen=True)
class Check:
    """One thing a claim was held against.

    Args:
        name: what: ``arithmetic``, ``hours``, ``physics``, ``rent``, ``dollars``.
        word: the outcome.
        finding: in words, with the figures.
        percentile: where the stated figure stands in what was expected; None where no distribution is involved.
        narrow, wide: the same under the narrowest and the widest reading of the evidence that can be defended.
    """

    name: str
    word: Word
    finding: str
    percentile: float | None = None
    narrow: float | None = None
    wide: float | None = None


@dataclass(frozen=True)
class Verdict:
    """What an audit found.

    Args:
        claim, subject: what was judged, and on which run.
        number: the word for the number at the scope it has; words: for the scope its words suggest.
        checks: what it was held against.
        rungs: the ladder of scopes.
        others: independent runs of the same model: row → accelerator-hours for this run's tokens.
        evidence: what the priors were built from.
        estimate: the run as stated.
        blind, dollars: the simulations behind the percentiles.
    """

    claim: Claim
    subject: Run
    number: Word
    words: Telling
    checks: tuple[Check, ...]
    rungs: tuple[Rung, ...]
    others: Mapping[str, float]
    evidence: Mapping[str, Evidence]
    estimate: Estimate
    blind: Simulation | None = field(repr=False, default=None)
    dollars: Simulation | None = field(repr=False, default=None)

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
        value = self.claim.in_base()
        return tuple(r.label for r in self.rungs if r.rent[0] <= value <= r.rent[2])

    def __str__(self) -> str:
        from .screen import screen

        return screen(self)


def audit(claim: Claim, subject: Run | None = None, beliefs: Beliefs | None = None, *, as_of: str | None = None, seed: int = 1) -> Verdict:
    """Hold a claim against what can be computed, seen elsewhere, and priced.

    Args:
        claim: what was said.
        subject: the run it is about, as its maker states it; the catalogue's own where None.
        beliefs: laid over the catalogue's blind ones for hours, rent and goodput.
        as_of: blind priors use rows public by this day; the day before the claim where None.
        seed: of the simulations.

    Raises:
        ClaimError: a value in a unit of another dimension, a quantity the library doesn't compute, or no subject to be found.
    """
    run = complete(subject or _own(claim))[0]
    day = dt.date.fromisoformat(as_of) if as_of else _day_before(claim)
    stated = estimate(run)
    value = claim.in_base()
    if claim.judged_in != "USD" and claim.quantity not in ("busy_gpu_hours", "gpu_hours"):
        raise ClaimError("quantity", claim.quantity, "is not judged against a run", "claim cost, busy_gpu_hours or gpu_hours")
    hours = _hours(run, stated, beliefs, day, seed)
    checks = [_arithmetic(claim, value, stated), hours.physics, hours.check]
    evidence = {"mfu": hours.evidence}
    rungs: tuple[Rung, ...] = ()
    dollars: Simulation | None = None
    if claim.judged_in == "USD":
        rent, rent_check = _rent(run, day)
        steps = ladder(run, rent.belief, value, beliefs, seed)
        dollars, rungs = steps.rented, steps.rungs
        checks += [rent_check, _at_scope(claim, value, steps)]
        evidence["rent"] = rent
    number = max((c.word for c in checks), key=SEVERITY.index)
    return Verdict(claim, run, number, _telling(claim, rungs), tuple(checks), rungs, _others(run), evidence, stated, hours.blind, dollars)


def _own(claim: Claim) -> Run:
    if not claim.subject:
        raise ClaimError(
            "subject", None, "is not given, and the claim names none", "audit(claim, subject=run), or Claim(…, subject='deepseek-v3')"
        )
    return catalog.run(claim.subject)


def _day_before(claim: Claim) -> dt.date | None:
    return dt.date.fromisoformat(claim.date) - dt.timedelta(days=1) if claim.date else None


def _arithmetic(claim: Claim, value: float, stated: Estimate) -> Check:
    """The claim beside the subject's own hours times its own price."""
    computed = float(stated.busy_gpu_hours if claim.judged_in == "GPU-h" else stated.busy_gpu_hours * stated.price.total)
    finding = f"{float(stated.busy_gpu_hours):.6g} hours at ${float(stated.price.total):.4g} are {computed:.4g}; claimed {value:.4g}"
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


def main_phase(run: Run) -> str:
    """The phase with the most tokens: the one whose hours decide."""
    known = [p for p in run.phases if p.tokens is not None]
    if not known:
        raise ClaimError(
            "phases",
            [p.name for p in run.phases],
            "have no published tokens",
            "give tokens to the phase that decides: without work there is no physics to check",
        )
    return max(known, key=lambda p: float(p.tokens or 0.0)).name


def _hours(run: Run, stated: Estimate, beliefs: Beliefs | None, day: dt.date | None, seed: int) -> _Hours:
    """Could the run take so few hours: implied utilisation, and the percentile of the stated hours in what others' runs suggest."""
    name = main_phase(run)
    phase = stated.phases[name]
    told = float(phase.busy_gpu_seconds) / SECONDS_PER_HOUR
    blind = blind_run(run)
    evidence = mfu_evidence(blind, day)
    own = {k: v for k, v in (beliefs or {}).items() if k == ("efficiency.mfu",)}
    held = Beliefs({"efficiency.mfu": evidence.belief}) | Beliefs({k[0]: v for k, v in own.items()})
    sims = {}
    for reading, belief in (
        ("default", held),
        ("narrow", Beliefs({"efficiency.mfu": evidence.narrow})),
        ("wide", Beliefs({"efficiency.mfu": evidence.wide})),
    ):
        sims[reading] = simulate(
            blind, belief, lambda r: {"hours": estimate(r).phases[name].busy_gpu_seconds / SECONDS_PER_HOUR}, seed=seed
        )
    at = {reading: float(sim.percentile("hours", told)) / 100.0 for reading, sim in sims.items()}
    flop = float(phase.flops.total) if phase.flops is not None else float("nan")
    peaks = {d: float(run.cluster.chip.peak_of(d)) for d in ("bf16", _fastest(run))}
    implied = {d: flop / (told * SECONDS_PER_HOUR * p) for d, p in peaks.items()}
    possible: Word = "HOLDS" if implied[_fastest(run)] <= 1 else "IMPOSSIBLE"
    shares = ", ".join(f"{share:.1%} of the {d.upper()} peak" for d, share in implied.items())
    physics = Check("physics", possible, f"{told:.4g} hours imply {shares}")
    check = Check(
        "hours", word_at(at["default"]), f"{told:.4g} hours against what others' runs suggest", at["default"], at["narrow"], at["wide"]
    )
    return _Hours(physics, check, evidence, sims["default"])


def _fastest(run: Run) -> str:
    """The number format of the run's products: what physics bounds."""
    precision = run.plan.precision if run.plan is not None else "bf16"
    return precision if getattr(run.cluster.chip.peak, precision, None) is not None else "bf16"


def _rent(run: Run, day: dt.date | None) -> tuple[Evidence, Check]:
    """Is the stated price an hour one the market knew."""
    region = run.price.region if isinstance(run.price, Rental) else ""
    evidence = rent_evidence(run, day, region=region)
    if not isinstance(run.price, Rental):
        return evidence, Check("rent", "CANNOT BE JUDGED", "the run states no rent")
    price = float(run.price.usd_per_gpu_hour)
    unit = run.unit_of("price.usd_per_gpu_hour")
    at = [float(b.meets(unit, "price.usd_per_gpu_hour").cdf(price)) for b in (evidence.belief, evidence.narrow, evidence.wide)]
    return evidence, Check("rent", word_at(at[0]), f"${price:.2f} an hour against {evidence.how}", *at)


def _at_scope(claim: Claim, value: float, steps: Ladder) -> Check:
    """The claimed value among what its own scope comes to."""
    scope = scope_of(claim.scope)
    held = set(scope.contents) if scope is not None and (scope.basis, scope.kind) == ("rent", "run") else {"run"}
    rungs = dict(zip(steps.rented.outputs, steps.rungs, strict=True))
    name = next((n for n, r in rungs.items() if held <= set(r.contents)), steps.rented.outputs[-1])
    at = float(steps.rented.percentile(name, value)) / 100.0
    return Check("dollars", word_at(at), f"${value:.4g} among what {rungs[name].label.removeprefix('+ ')} comes to at market rent", at)


def _telling(claim: Claim, rungs: tuple[Rung, ...]) -> Telling:
    """Whether the words name the scope the number has; if not, whether the number holds at the scope they name."""
    told, is_ = scope_of(claim.told_as), scope_of(claim.scope)
    if not claim.told_as or claim.told_as == claim.scope:
        return "FAIR"
    if told is None or is_ is None or (told.basis, told.kind) != (is_.basis, is_.kind) or not rungs:
        return "CANNOT BE JUDGED"
    if told.inside(is_):
        return "FAIR"
    value = claim.in_base()
    reached = next((r for r in rungs if set(told.contents) <= set(r.contents)), None)
    if reached is not None:
        return "FAIR" if reached.rent[0] <= value <= reached.rent[2] else "MISLEADING"
    # some of what the words promise is priced by no row: what is priced bounds it from below
    return "MISLEADING" if value < rungs[-1].rent[0] else "CANNOT BE JUDGED"


def _others(run: Run) -> dict[str, float]:
    """Measured runs of the same model, as accelerator-hours for this run's main phase: its own log, and strangers'."""
    phase = next(p for p in run.phases if p.name == main_phase(run))
    found: dict[str, float] = {}
    for row in rows("runs").values():
        if row.get("model") == run.model.name and row.get("tokens_per_s_per_gpu") and phase.tokens is not None:
            found[row.id] = float(phase.tokens) / float(row["tokens_per_s_per_gpu"]) / SECONDS_PER_HOUR
    return found


__all__ = ["Check", "Rung", "Verdict", "audit", "blind_run", "word_at", "word_for_rounding"]
