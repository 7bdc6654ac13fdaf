"""Claims that are not about a run's dollars: architectures, fleets, pay, and what nobody can judge."""

from __future__ import annotations

import datetime as dt
import difflib
from collections.abc import Callable
from dataclasses import dataclass

from .. import catalog
from ..catalog.evidence import interval, mfu_evidence
from ..catalog.rows import rows
from ..claims.claim import Claim
from ..core.units import Num, Unit, human
from ..inference import simulate
from ..model.attention.latent import LatentAttention
from ..model.transformer import Model
from ..run.development import Development
from ..run.fleet import Fleet, estimate_fleet
from ..training.decoding import cache_elements
from ..uncertainty.beliefs.beliefs import Beliefs
from ..uncertainty.sampling.simulation import Simulation
from .hours import blind_run, states_hours
from .measures import (
    ARCHITECTURE,
    BYTES_PER_ELEMENT,
    RUN,
    Readings,
    Subject,
    expert_layers,
    experts_of,
    model_of_subject,
    of_architecture,
    of_run,
    run_of_subject,
    wrong_subject,
)
from .words import SEVERITY, Check, word_at, word_for_rounding

MISSPELT = 0.85
"""How alike two names are, as difflib counts it, for one to be the other misspelt: gpt-4o is no gpt2."""


@dataclass(frozen=True)
class Case:
    """A claim before its judge.

    Args:
        claim: what was said; subject: what it is about, where that was given.
        beliefs: a user's own; day: hide rows public after it; seed: of the simulations.
        as_of: the day a user asked for, which the ladder respects as well.
    """

    claim: Claim
    subject: Subject | None = None
    beliefs: Beliefs | None = None
    day: dt.date | None = None
    seed: int = 1
    as_of: dt.date | None = None


def judge(case: Case) -> list[Check]:
    """What a claim about something else than a run's dollars or hours is held against.

    Raises:
        ClaimError: a quantity the library doesn't compute, or a subject that has no such quantity.
    """
    claim = case.claim
    found = _JUDGES[claim.quantity](case) if claim.value is not None and claim.quantity in _JUDGES else []
    return [*found, *_architecture(case), *_primary(case, found)]


def misnamed(claim: Claim) -> bool:
    """Whether the words tell another scope than the number has, and leave something out by it."""
    return bool(claim.told_as) and claim.told_as != claim.scope and bool(claim.leaves_out)


def _primary(case: Case, found: list[Check]) -> list[Check]:
    """What the source nearest to the fact says; all there is where nothing can be computed."""
    if found:
        return []
    claim = case.claim
    why = "it quantifies nothing" if claim.value is None else undisclosed(claim.subject)
    said = f"; primary source: {claim.primary.statement}" if claim.primary is not None else ""
    return [Check("judgement", "CANNOT BE JUDGED", why + said)]


def undisclosed(subject: str) -> str:
    """Why nothing can be said about a subject, and which one may have been meant."""
    known = {*rows("runs"), *rows("models"), *(str(r["lab"]) for r in rows("fleets").values())}
    near = [] if subject in known else difflib.get_close_matches(subject, sorted(known), n=2, cutoff=MISSPELT)
    meant = f" (did you mean {' or '.join(map(repr, near))}?)" if near else ""
    return f"nothing about {subject or 'its subject'} is disclosed that it could be held against{meant}"


# architecture ------------------------------------------------------------------------------------------------------


def _architecture(case: Case) -> list[Check]:
    """The modelled architecture beside words about it: experts a layer, prediction depth, what a decoder keeps of a token."""
    claim = case.claim
    if claim.quantity or isinstance(case.subject, (Development, Fleet)) or (model := model_of_subject(claim, case.subject)) is None:
        return []
    facts = {"multi-token": _mtp(model), "latent": _kv_cache(model), "experts": _experts_text(model)}
    said = claim.statement.lower()
    return [Check("architecture", "CANNOT BE JUDGED", text) for word, text in facts.items() if word in said and text]


def _mtp(model: Model) -> str:
    depth = model.mtp.depth if model.mtp is not None else 0
    plural = "" if depth == 1 else "s"
    return f"modelled: {depth} prediction module{plural}, so {depth} token{plural} beyond the next, in training"


def _kv_cache(model: Model) -> str:
    attention = model.stack[0].block.attention
    if not isinstance(attention, LatentAttention):
        return ""
    full = attention.heads * (attention.nope_dim + attention.rope_dim + attention.v_dim)
    kept = attention.kv_cache_width
    spared = f"where full heads would keep {full:,}: compression ×{full / kept:.0f}, no selection"
    a_token = float(cache_elements(model, 1.0)) * BYTES_PER_ELEMENT["bf16"]
    return f"modelled: {kept} elements kept per token and layer {spared}; {a_token:,.0f} bytes per token over all layers in BF16"


def _experts_text(model: Model) -> str:
    moe = experts_of(model)
    if moe is None:
        return ""
    return f"modelled: {moe.experts} routed experts in each of {expert_layers(model)} layers, {moe.top_k} met by a token"


def _stated(case: Case) -> list[Check]:
    """A number of an architecture or a run, beside every reading that has a name: it holds if one of them rounds to it."""
    claim = case.claim
    if claim.quantity in ARCHITECTURE:
        model = model_of_subject(claim, case.subject)
        readings = {} if model is None else of_architecture(claim.quantity, model)
    else:
        run = run_of_subject(claim, case.subject)
        readings = {} if run is None else of_run(claim.quantity, run)
    return [against(claim, readings)] if readings else []


def against(claim: Claim, readings: Readings) -> Check:
    """A claimed value beside the readings of its quantity, or those its scope names: the word of the one it fits best."""
    value = claim.in_base()
    readings = {name: x for name, x in readings.items() if claim.scope and claim.scope in name} or readings
    words = {name: word_for_rounding(value, computed, claim.bound) for name, computed in readings.items()}
    fits = [name for name, word in words.items() if word == "HOLDS"]
    nearest = min(readings, key=lambda name: (SEVERITY.index(words[name]), abs(readings[name] - value)))
    shown = fits or [nearest]
    told = "; ".join(f"{_figure(readings[name])} {name}" for name in shown[:3])
    more = f" and {len(shown) - 3} more readings" if len(shown) > 3 else ""
    return Check(claim.quantity, words[nearest], f"claimed {_figure(value)}; {told}{more}")


def _figure(value: float) -> str:
    """A count whole, anything else to four digits."""
    return f"{value:,.0f}" if value == round(value) and value < 1e6 else human(value, 4)


def _utilisation(case: Case) -> list[Check]:
    """An MFU beside what the run's stated hours imply, by every convention and peak; where none were told, beside others' runs."""
    claim = case.claim
    run = run_of_subject(claim, case.subject)
    if run is None or all(p.tokens is None for p in run.phases):
        return []
    value = claim.in_base()
    if value > 1.0:
        return [Check("physics", "IMPOSSIBLE", f"{value:.4g} of the peak is more than the chips can do")]
    filled = catalog.complete(run)[0]
    checks = [against(claim, of_run("mfu", filled))] if states_hours(filled) else []
    evidence = mfu_evidence(blind_run(filled), case.day)
    belief = next((b for paths, b in (case.beliefs or {}).items() if "efficiency.mfu" in paths), evidence.belief)
    at = 100.0 * float(belief.meets(Unit("", "model FLOPs over peak", gt=0, le=1), "efficiency.mfu").cdf(value))
    others = Check("others' runs", word_at(at, claim.bound), f"among {evidence.how}, of the BF16 peak, causal pairs", at)
    return [*checks, others] if not checks or checks[0].word != "HOLDS" else checks


# the lab -----------------------------------------------------------------------------------------------------------


def _fleet(case: Case) -> list[Check]:
    """A lab's machines: the fleet given, or each that the catalogue holds of the lab, as told by an analyst and as a scenario of ours."""
    claim = case.claim
    if isinstance(case.subject, Fleet):
        return [_given_fleet(case, case.subject)]
    if case.subject is not None:
        rule = "owns no fleet"
        raise wrong_subject(claim, case.subject, rule, "give subject=a ts.Fleet, or name the lab: Claim(…, subject='deepseek')")
    value, quantity = claim.in_base(), _read(claim)
    checks = []
    for row in (r for r in rows("fleets").values() if r["lab"] == claim.subject):
        if row.get("told") and claim.quantity != "investment":
            told = float(fleet_figures(catalog.fleet(row.id))[quantity])
            word = word_for_rounding(value, told, claim.bound)
            checks.append(Check("their table", word, f"the analyst's own rows add up to {human(told, 4)}"))
        if row.get("holdings"):
            checks.append(_at(fleet_scenario(row.id, case.seed), quantity, claim, "our scenario", "bottom-up, counts are judgement"))
    return checks


def _read(claim: Claim) -> str:
    """The reading of a claim about a fleet: of Hopper chips alone where its scope says so."""
    return "fleet.hoppers" if claim.quantity == "fleet.gpus" and "hopper" in claim.scope.lower() else claim.quantity


def _at(sim: Simulation, output: str, claim: Claim, name: str, how: str) -> Check:
    at = float(sim.percentile(output, claim.in_base()))
    low, mid, high = (human(float(q)) for q in sim.quantile(output, (0.05, 0.5, 0.95)))
    return Check(name, word_at(at, claim.bound), f"{low} [{mid}] {high}, {how}", at)


def _given_fleet(case: Case, fleet: Fleet) -> Check:
    """A fleet as the user gives it: its sum, or under the user's beliefs where it stands."""
    if case.beliefs is not None and len(case.beliefs):
        sim = simulate(fleet, case.beliefs, fleet_figures, seed=case.seed)
        return _at(sim, _read(case.claim), case.claim, "the fleet", "under the beliefs given")
    told = float(fleet_figures(fleet)[_read(case.claim)])
    word = word_for_rounding(case.claim.in_base(), told, case.claim.bound)
    return Check("the fleet", word, f"its holdings add up to {human(told, 4)} {case.claim.judged_in}")


def fleet_scenario(name: str, seed: int = 1) -> Simulation:
    """A scenario fleet under its beliefs: Hopper chips, purchase, operation over its life, operation a year."""
    return simulate(catalog.fleet(name), catalog.fleet_beliefs(name), fleet_figures, seed=seed)


def fleet_figures(fleet: Fleet) -> dict[str, Num]:
    """What claims about a fleet quantify: chips, those of the Hopper generation, purchase, operation over its life and a year."""
    est = estimate_fleet(fleet)
    capital = est.capital.total
    hopper = [h.gpus for h in fleet.holdings if h.name.upper() in HOPPERS]
    return {
        "fleet.gpus": sum((h.gpus for h in fleet.holdings), 0.0),
        "fleet.hoppers": sum(hopper, 0.0),
        "fleet.capex": capital,
        "fleet.operating": est.over_life.total - capital,
        "fleet.operating_per_year": est.operation.total,
        "investment": capital,
    }


def _pay(case: Case) -> list[Check]:
    """A yearly pay beside what is believed of mean pay at the lab: a maximum says nothing of a mean."""
    claim = case.claim
    row = next((r for r in rows("priors").values() if claim.subject in r.get("labs", ())), None)
    if row is None:
        return []
    law = interval(row).meets(Unit("USD/year", "mean pay", gt=0), "pay")
    at = 100.0 * float(law.cdf(claim.in_base()))
    held = f"mean pay is held to be ${row['p5'] / 1e3:.0f}–{row['p95'] / 1e3:.0f}K a year ({row.grade})"
    if claim.scope != claim.told_as:
        return [Check("mean pay", "CANNOT BE JUDGED", f"{held}; a best offer says nothing of it, and nobody disclosed offers", at)]
    return [Check("mean pay", word_at(at, claim.bound), held, at)]


HOPPERS = ("H100", "H200", "H800", "H20", "GH200")
"""Names of the Hopper generation in tables of fleets."""
_FLEET = ("fleet.gpus", "fleet.capex", "fleet.operating", "fleet.operating_per_year", "investment")
_JUDGES: dict[str, Callable[[Case], list[Check]]] = {
    **dict.fromkeys((*ARCHITECTURE, *RUN), _stated),
    **dict.fromkeys(_FLEET, _fleet),
    "mfu": _utilisation,
    "pay": _pay,
}
"""Quantity → what judges it."""
