"""Could a run take so few hours: work over peak, and what others' runs suggest."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from ..catalog.evidence import Evidence, mfu_evidence
from ..catalog.published import row_of
from ..catalog.recipes import POINTS, engine_rows, said_hours
from ..catalog.rows import Row, rows
from ..catalog.runs import filled_in
from ..claims.claim import Claim
from ..core.errors import CatalogError
from ..core.units import HOURS_PER_DAY, SECONDS_PER_HOUR, Num, human
from ..inference import simulate
from ..run.estimate import Estimate, estimate
from ..run.run import Run
from ..training.efficiency import MFU, told
from ..training.rollouts import Rollouts
from ..uncertainty.beliefs.beliefs import Beliefs
from ..uncertainty.distributions.interval import ci90
from ..uncertainty.sampling.simulation import Simulation
from .words import Check, Word, main_phase, word_at

TIMED = ("gpu_hours", "busy_gpu_hours", "wall_days")
"""Quantities of a run's time."""


@dataclass(frozen=True)
class Hours:
    """What can be said of a run's hours without its maker.

    Args:
        checks: what they were held against.
        beliefs: about the hours of a run whose maker told none, by path of the run; empty where they were told.
        carried_by: the rows behind beliefs on engines.
        evidence: what a belief about utilisation was built from.
        blind: hours of the main phase from others' runs; None where work or others are unknown.
    """

    checks: tuple[Check, ...]
    beliefs: Beliefs = field(default_factory=lambda: Beliefs({}))
    carried_by: Mapping[str, Row] = field(default_factory=dict)
    evidence: Evidence | None = None
    blind: Simulation | None = None


def blind_run(run: Run) -> Run:
    """The run without the hours its maker disclosed: work from published tokens, utilisation from the catalogue's prior.

    Phases whose tokens were never published keep their told hours: nothing else is known of them.
    """
    phases = tuple(p if p.tokens is None else p.replace({"efficiency": None}) for p in run.phases)
    return run.replace({"phases": phases, "efficiency": MFU(0.4)})


def states_hours(run: Run) -> bool:
    """Whether somebody told how long every phase took, in any of the ways time is told, and the catalogue filled in none of it."""
    return all(told(phase.efficiency or run.efficiency) for phase in run.phases) and "efficiency.mfu" not in filled_in(run)


def hours_of(claim: Claim, run: Run, stated: Estimate, beliefs: Beliefs | None = None, *, day: dt.date | None, seed: int) -> Hours:
    """A run's hours against work and peak, and against what others' runs suggest.

    For a claim about time the claimed value is what is judged; for any other the hours the run states, if it states any.

    Args:
        claim, run, stated: the run as its maker states it, and its estimate.
        beliefs: a user's own.
        day: hide rows public after it.
        seed: of the simulations.
    """
    states = states_hours(run)
    engines = engine_rows(run)
    on_engines = Beliefs({path: ci90(*levels) for path, (_, levels) in engines.items()})
    carried_by = {path: row for path, (row, _) in engines.items()}
    if all(phase.tokens is None for phase in run.phases):
        made = Hours(_without_tokens(claim, run, stated, on_engines | (beliefs or Beliefs({})), seed), on_engines, carried_by)
        return made if engines else replace(made, beliefs=Beliefs({}))
    physics = _physics(claim, run, stated)
    blind = blind_run(run)
    mine = next((belief for paths, belief in (beliefs or {}).items() if "efficiency.mfu" in paths), None)
    try:
        evidence = mfu_evidence(blind, day)
    except CatalogError as error:
        if mine is None:
            return Hours((*physics, Check("hours", "CANNOT BE JUDGED", f"{error.value} {error.rule}")))
        evidence = Evidence(mine, mine, mine, {}, {}, "utilisation as the user believes")
    if mine is not None:
        evidence = replace(evidence, belief=mine, how="utilisation as the user believes")
    sim = _foretold(blind, Beliefs({"efficiency.mfu": evidence.belief}) | on_engines, main_phase(run), seed)
    checks = physics
    if states or claim.quantity in TIMED:
        checks += (_against_others(claim, run, stated, evidence, (blind, on_engines, sim), seed),)
    held = Beliefs({}) if states else Beliefs({"efficiency.mfu": evidence.belief}) | on_engines
    return Hours(checks, held, carried_by, evidence, sim)


def _physics(claim: Claim, run: Run, stated: Estimate) -> tuple[Check, ...]:
    """The utilisation that hours imply: those claimed, or those stated; never above one."""
    main = main_phase(run)
    phase = stated.phases[main]
    hours, which = float(phase.busy_gpu_seconds) / SECONDS_PER_HOUR, ""
    flop = float(phase.flops.total) if phase.flops is not None else float("nan")
    if claim.quantity in TIMED:
        hours, which = _gpu_hours(claim, run), "claimed "
        if hours <= 0.0:
            return (Check("physics", "IMPOSSIBLE", f"no work is done in {human(hours)} hours"),)
        flop = sum(float(p.flops.total) for p in stated.phases.values() if p.flops is not None)
    elif not states_hours(run):
        return ()
    peaks = {d: float(run.cluster.chip.peak_of(d)) for d in ("bf16", _fastest(run)) if getattr(run.cluster.chip.peak, d) is not None}
    if not peaks:
        return ()
    implied = {d: flop / (hours * SECONDS_PER_HOUR * p) for d, p in peaks.items()}
    possible: Word = "HOLDS" if min(implied.values()) <= 1 else "IMPOSSIBLE"
    shares = ", ".join(f"{share:.1%} of the {d.upper()} peak" for d, share in implied.items())
    return (Check("physics", possible, f"{which}{human(hours, 4)} hours imply {shares}"),)


def _gpu_hours(claim: Claim, run: Run) -> float:
    """Accelerator-hours that a claim about time comes to."""
    return claim.in_base() * (HOURS_PER_DAY * run.cluster.gpus if claim.quantity == "wall_days" else 1.0)


def _fastest(run: Run) -> str:
    """The number format of the run's products: what physics bounds."""
    precision = run.plan.recipe.products if run.plan is not None else "bf16"
    return precision if getattr(run.cluster.chip.peak, precision, None) is not None else "bf16"


def _foretold(blind: Run, held: Beliefs, phase: str, seed: int) -> Simulation:
    return simulate(blind, held, partial(_of_phase, phase), seed=seed)


def _of_phase(phase: str, run: Run) -> dict[str, Num]:
    return {"hours": estimate(run).phases[phase].busy_gpu_seconds / SECONDS_PER_HOUR}


def _of_run(quantity: str, run: Run) -> dict[str, Num]:
    return {"hours": getattr(estimate(run), quantity)}


def _against_others(
    claim: Claim, run: Run, stated: Estimate, evidence: Evidence, foretold: tuple[Run, Beliefs, Simulation], seed: int
) -> Check:
    """Where claimed or stated hours stand in what others' runs suggest, by three readings of the same rows."""
    blind, engines, default = foretold
    main = main_phase(run)
    whole = claim.quantity in TIMED
    value = claim.in_base() if whole else float(stated.phases[main].busy_gpu_seconds) / SECONDS_PER_HOUR
    at = {}
    for reading, belief in (("default", evidence.belief), ("narrow", evidence.narrow), ("wide", evidence.wide)):
        held = Beliefs({"efficiency.mfu": belief}) | engines
        if whole:
            sim = simulate(blind, held, partial(_of_run, claim.quantity), seed=seed)
        else:
            sim = default if reading == "default" else _foretold(blind, held, main, seed)
        at[reading] = float(sim.percentile("hours", value))
    unit = "days" if claim.quantity == "wall_days" else "hours"
    others = "others’ runs suggest" if evidence.used else evidence.how
    finding = f"{human(value, 4)} {unit} against what {others}"
    bound = claim.bound if whole else ""
    return Check("hours", word_at(at["default"], bound), finding, at["default"], at["narrow"], at["wide"])


def _without_tokens(claim: Claim, run: Run, stated: Estimate, engines: Beliefs, seed: int) -> tuple[Check, ...]:
    """Reinforcement learning has no tokens of its own: its loop, or a recipe that was public the day before, bounds its hours."""
    timed = claim.quantity in TIMED
    if any(isinstance(phase.efficiency, Rollouts) for phase in run.phases):
        if not timed:
            return ()
        sim = simulate(run, engines, partial(_of_run, claim.quantity), n=POINTS, seed=seed)
        value = claim.in_base()
        at = float(sim.percentile("hours", value))
        low, mid, high = (human(float(q)) for q in sim.quantile("hours", (0.05, 0.5, 0.95)))
        finding = f"{human(value, 4)} against {low} [{mid}] {high}: its loop, on engines as they are believed to be"
        return (Check("hours", word_at(at, claim.bound), finding, at),)
    published = row_of(run)
    judged = None if published is None else published.address
    recipe = next((n for n, r in rows("programmes").items() if r["kind"] == "recipe" and r["judges"] == judged), None)
    if recipe is None:
        return (Check("hours", "CANNOT BE JUDGED", "no phase's tokens were published: the hours can't be held against work"),)
    said = said_hours(recipe)
    hours = _gpu_hours(claim, run) if timed else float(stated.told_gpu_hours)
    at = said.percentile_of(hours)
    span = f"{human(said.p5)} [{human(said.p50)}] {human(said.p95)}"
    finding = f"{human(hours, 4)} hours against {span}, from what was public of its loop the day before"
    return (Check("hours", word_at(at, claim.bound if timed else ""), finding, at),)
