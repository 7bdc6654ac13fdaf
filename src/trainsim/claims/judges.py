"""Claims that are not about a run's dollars: architectures, fleets, pay, and what nobody can judge."""

from __future__ import annotations

from collections.abc import Callable

from .. import catalog
from ..catalog.evidence import interval
from ..catalog.rows import find, rows
from ..doubt import simulate
from ..errors import ClaimError, did_you_mean
from ..fleet import Fleet, estimate_fleet
from ..model.attention import GroupedQueryAttention, LatentAttention
from ..model.feedforward import MixtureOfExperts
from ..model.transformer import Model
from ..run import Run
from ..uncertainty import Simulation
from ..units import Num, Unit, human
from .claim import Claim
from .words import Check, word_at, word_for_rounding


def judge(claim: Claim, subject: Run | None, seed: int) -> list[Check]:
    """What a claim about something else than a run's dollars or hours is held against.

    Raises:
        ClaimError: a quantity the library doesn't compute.
    """
    if claim.value is not None and claim.quantity not in _JUDGES and claim.quantity not in ("cost", "busy_gpu_hours", "gpu_hours"):
        judged = ("cost", "busy_gpu_hours", "gpu_hours", *_JUDGES)
        raise ClaimError("quantity", claim.quantity, "is judged by nothing here", f"judged: {', '.join(judged)}")
    found = _JUDGES[claim.quantity](claim, subject, seed) if claim.value is not None and claim.quantity in _JUDGES else []
    return [*found, *_architecture(claim), *_primary(claim, found)]


def misnamed(claim: Claim) -> bool:
    """Whether the words tell another scope than the number has, and leave something out by it."""
    return bool(claim.told_as) and claim.told_as != claim.scope and bool(claim.leaves_out)


def _primary(claim: Claim, found: list[Check]) -> list[Check]:
    """What the source nearest to the fact says; all there is where nothing can be computed."""
    if found:
        return []
    nothing = f"nothing about {claim.subject or 'its subject'} is disclosed that it could be held against"
    near = did_you_mean(claim.subject, rows("runs"))
    if near.startswith("did you mean"):
        nothing += f" ({near})"
    why = "it quantifies nothing" if claim.value is None else nothing
    said = f"; primary source: {claim.primary.statement}" if claim.primary is not None else ""
    return [Check("judgement", "CANNOT BE JUDGED", why + said)]


# architecture ------------------------------------------------------------------------------------------------------


def _architecture(claim: Claim) -> list[Check]:
    """The modelled architecture beside a claim about it: experts a layer, prediction depth, what a decoder keeps of a token."""
    if claim.quantity or claim.subject not in rows("models"):
        return []
    model = catalog.model(claim.subject)
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
    return f"modelled: {kept} elements kept per token and layer {spared}"


def kv_elements(model: Model) -> list[int]:
    """Elements a decoder keeps per token, for each kind of layer: compressed for latent attention, keys and values for grouped."""
    kept = []
    for kind in model.stack:
        attention = kind.block.attention
        if isinstance(attention, LatentAttention):
            kept.append(attention.kv_cache_width)
        elif isinstance(attention, GroupedQueryAttention):
            kept.append(2 * attention.kv_heads * attention.head_dim)
    return kept


def _experts_of(model: Model) -> MixtureOfExperts | None:
    return next((kind.block.ffn for kind in model.stack if isinstance(kind.block.ffn, MixtureOfExperts)), None)


def _experts_text(model: Model) -> str:
    moe = _experts_of(model)
    if moe is None:
        return ""
    layers = sum(kind.count for kind in model.stack if isinstance(kind.block.ffn, MixtureOfExperts))
    return f"modelled: {moe.experts} routed experts in each of {layers} layers, {moe.top_k} met by a token"


def _experts(claim: Claim, subject: Run | None, seed: int) -> list[Check]:
    del seed
    model = subject.model if subject is not None else catalog.model(claim.subject)
    moe = _experts_of(model)
    if moe is None:
        return [Check("experts", "FAILS", f"{model.name} routes nowhere")]
    return [Check("experts", word_for_rounding(claim.in_base(), float(moe.experts)), _experts_text(model))]


def _gpus(claim: Claim, subject: Run | None, seed: int) -> list[Check]:
    del seed
    run = subject or catalog.run(claim.subject)
    return [Check("gpus", word_for_rounding(claim.in_base(), float(run.cluster.gpus)), f"the run's cluster has {run.cluster.gpus:,}")]


# the lab -----------------------------------------------------------------------------------------------------------


def _fleet(quantity: str) -> Callable[[Claim, Run | None, int], list[Check]]:
    def judged(claim: Claim, subject: Run | None, seed: int) -> list[Check]:
        del subject
        known = [r for r in rows("fleets").values() if r["lab"] == claim.subject]
        value = claim.in_base()
        checks = []
        for row in known:
            if row.get("told"):
                told = float(_fleet_figures(catalog.fleet(row.id))[quantity])
                checks.append(Check("their table", word_for_rounding(value, told), f"the analyst's own rows add up to {human(told, 4)}"))
        for row in known:
            if row.get("holdings"):
                sim = fleet_scenario(row.id, seed)
                at = float(sim.percentile(quantity, value))
                low, mid, high = (human(float(q)) for q in sim.quantile(quantity, (0.05, 0.5, 0.95)))
                checks.append(Check("our scenario", word_at(at), f"{low} [{mid}] {high}, bottom-up, counts are judgement", at))
        return checks

    return judged


def fleet_scenario(name: str, seed: int = 1) -> Simulation:
    """A scenario fleet under its beliefs: Hopper chips, purchase, operation over its life, operation a year."""
    return simulate(catalog.fleet(name), catalog.fleet_beliefs(name), _fleet_figures, seed=seed)


def _fleet_figures(fleet: Fleet) -> dict[str, Num]:
    est = estimate_fleet(fleet)
    capital = est.capital.total
    hopper = sum((h.gpus for h in fleet.holdings if h.name.startswith("H")), 0.0)
    return {
        "fleet.gpus": hopper,
        "fleet.capex": capital,
        "fleet.operating": est.over_life.total - capital,
        "investment": capital,
    }


def _investment(claim: Claim, subject: Run | None, seed: int) -> list[Check]:
    """A lower bound on what was spent on hardware: how likely the scenario's purchase exceeds it."""
    return [c for c in _fleet("investment")(claim, subject, seed) if c.name == "our scenario"]


def _pay(claim: Claim, subject: Run | None, seed: int) -> list[Check]:
    """A yearly pay beside what is believed of mean pay: a maximum says nothing of a mean."""
    del subject, seed
    row = find("priors", "pay-china")
    law = interval(row).meets(Unit("USD/year", "mean pay", gt=0), "pay")
    at = 100.0 * float(law.cdf(claim.in_base()))
    held = f"mean pay is held to be ${row['p5'] / 1e3:.0f}–{row['p95'] / 1e3:.0f}K a year (judgement)"
    if claim.scope != claim.told_as:
        return [Check("mean pay", "CANNOT BE JUDGED", f"{held}; a best offer says nothing of it, and nobody disclosed offers", at)]
    return [Check("mean pay", word_at(at), held, at)]


_JUDGES: dict[str, Callable[[Claim, Run | None, int], list[Check]]] = {
    "gpus": _gpus,
    "experts": _experts,
    "fleet.gpus": _fleet("fleet.gpus"),
    "fleet.capex": _fleet("fleet.capex"),
    "fleet.operating": _fleet("fleet.operating"),
    "investment": _investment,
    "pay": _pay,
}
"""Quantity → what judges it."""
