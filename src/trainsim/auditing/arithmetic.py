"""A claim beside what its subject's own figures come to."""

from __future__ import annotations

import numpy as np

from .. import catalog
from ..claims.claim import Claim
from ..claims.scope import SCOPES, Scope, scope_of
from ..core.units import human
from ..cost.pricing import Ownership
from ..run.estimate import Estimate
from ..run.run import Run
from .hours import states_hours
from .words import SEVERITY, Check, word_for_rounding


def arithmetic(claim: Claim, run: Run, stated: Estimate) -> list[Check]:
    """The claim beside the subject's own hours, and price; nothing where the catalogue had to fill them in, or at another scope."""
    value, rate = claim.in_base(), float(stated.price.total)
    told, wall = float(stated.told_gpu_hours), float(stated.gpu_hours)
    priced = claim.judged_in == "USD"
    if not states_hours(run):
        return []
    if "." in claim.quantity:
        computed = {f"{claim.quantity} comes to": float(np.asarray(stated.quantity(claim.quantity)))}
    elif priced:
        scope = scope_judged(claim)
        basis = "owner" if isinstance(run.price, Ownership) else "rent"
        if scope.kind != "run" or scope.basis != basis or not set(scope.contents) <= {"run", "downtime"}:
            return []
        at = wall if "downtime" in scope.contents else told
        computed = {f"{human(at, 4)} hours at ${rate:.4g} are": at * rate}
    elif claim.quantity == "wall_days":
        computed = {f"{human(wall, 4)} hours on {run.cluster.gpus:,} are days:": float(stated.wall_days)}
        if not np.isclose(told, wall):
            computed[f"{human(told, 4)} busy hours are days:"] = float(stated.wall_days) * told / wall
    else:
        computed = {"the run's hours as told are": told, "with downtime": wall, "of useful stepping": float(stated.busy_gpu_hours)}
    words = {how: word_for_rounding(value, x, claim.bound) for how, x in computed.items()}
    best = min(words, key=lambda how: SEVERITY.index(words[how]))
    finding = f"{best} {human(computed[best], 4)}; claimed {human(value, 4)}"
    if priced and not states_price(run) and words[best] != "HOLDS":
        return [Check("arithmetic", "CANNOT BE JUDGED", f"{finding}; nobody stated the price, a median of quotes")]
    return [Check("arithmetic", words[best], finding)]


def states_price(run: Run) -> bool:
    """Whether somebody stated what an hour cost; the catalogue may have filled it in."""
    return not any(path.startswith("price") for path in catalog.filled_in(run))


def scope_judged(claim: Claim) -> Scope:
    """The scope a claim's number has; the last run's rent where its words fix none."""
    return scope_of(claim.scope) or SCOPES["final-run rent"]
