"""What a claim's quantity comes to for a subject, under every reading that has a name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import get_args

from .. import catalog
from ..catalog.rows import rows
from ..claims.claim import Claim
from ..core.errors import ClaimError
from ..model.attention.latent import LatentAttention
from ..model.conventions import CONVENTIONS
from ..model.counting import count_active_params, count_params, flops_per_token
from ..model.feedforward import MixtureOfExperts
from ..model.transformer import Model
from ..run.development import Development
from ..run.estimate import estimate
from ..run.fleet import Fleet
from ..run.run import Run
from ..training.decoding import cache_elements

Subject = Run | Development | Fleet | Model
"""What a claim can be about, where it is given."""
BYTES_PER_ELEMENT = {"bf16": 2.0, "fp8": 1.0}
Readings = Mapping[str, float]


def of_architecture(quantity: str, model: Model) -> Readings:
    """A number of the architecture, by reading.

    >>> import trainsim as ts
    >>> of_architecture("experts", ts.catalog.model("deepseek-v3"))
    {'routed experts in each of 58 layers': 256.0, 'with the shared one': 257.0}
    """
    return _ARCHITECTURE[quantity](model)


def of_run(quantity: str, run: Run) -> Readings:
    """A number the run states or that follows from its work, by reading; empty where it was never published."""
    return _RUN[quantity](run)


def model_of_subject(claim: Claim, subject: Subject | None) -> Model | None:
    """The architecture a claim is about; None where nobody published one.

    Raises:
        ClaimError: the subject given has no architecture.
    """
    if isinstance(subject, Model):
        return subject
    if isinstance(subject, Run):
        return subject.model
    if subject is not None:
        raise wrong_subject(claim, subject, "has no architecture", "give subject=a ts.Model or a ts.Run")
    if claim.subject in rows("models"):
        return catalog.model(claim.subject)
    return catalog.run(claim.subject).model if claim.subject in rows("runs") else None


def run_of_subject(claim: Claim, subject: Subject | None) -> Run | None:
    """The run a claim is about; None where nobody published one.

    Raises:
        ClaimError: the subject given is no run.
    """
    if isinstance(subject, Run):
        return subject
    if subject is not None:
        raise wrong_subject(claim, subject, f"has no {claim.quantity}", "give subject=a ts.Run")
    return catalog.run(claim.subject) if claim.subject in rows("runs") else None


def wrong_subject(claim: Claim, subject: object, rule: str, remedy: str) -> ClaimError:
    """The error for a claim held against what it can't be about."""
    if not isinstance(subject, get_args(Subject)):
        rule, remedy = "is no subject of a claim", "give a ts.Run, ts.Development, ts.Fleet or ts.Model"
    return ClaimError("subject", type(subject).__name__, f"{rule} (quantity={claim.quantity!r})", remedy, "conflict")


def experts_of(model: Model) -> MixtureOfExperts | None:
    """The first mixture of experts of a model."""
    return next((kind.block.ffn for kind in model.stack if isinstance(kind.block.ffn, MixtureOfExperts)), None)


def expert_layers(model: Model) -> int:
    """How many layers route."""
    return sum(kind.count for kind in model.stack if isinstance(kind.block.ffn, MixtureOfExperts))


def _params(model: Model) -> Readings:
    found = {"the model itself": float(count_params(model).total)}
    if model.mtp is not None:
        found["with prediction modules"] = float(count_params(model, mtp="unique").total)
        found["with prediction modules as released"] = float(count_params(model, mtp="released").total)
    return found


def _active(model: Model) -> Readings:
    active = count_active_params(model)
    looked_up = float(active.part("embedding").total) if "embedding" in active else 0.0
    return {"all a token passes": float(active.total), "without the input embedding": float(active.total) - looked_up}


def _experts(model: Model) -> Readings:
    moe = experts_of(model)
    if moe is None:
        return {"a model that routes nowhere": 0.0}
    routed = f"routed experts in each of {expert_layers(model)} layers"
    shared = {"with the shared one": moe.experts + moe.shared_width / moe.width} if moe.shared_width else {}
    return {routed: float(moe.experts)} | shared


def _mtp_depth(model: Model) -> Readings:
    return {"tokens beyond the next, in training": float(model.mtp.depth if model.mtp is not None else 0)}


def _kv_bytes(model: Model) -> Readings:
    latent = any(isinstance(kind.block.attention, LatentAttention) for kind in model.stack)
    kept = "compressed" if latent else "keys and values"
    return {f"{kept}, {name}": float(cache_elements(model, 1.0)) * size for name, size in BYTES_PER_ELEMENT.items()}


def _layers(model: Model) -> Readings:
    return {"layers": float(model.layers)} | ({"with prediction modules": float(model.layers + model.mtp.depth)} if model.mtp else {})


def _tokens(run: Run) -> Readings:
    known = {p.name: float(p.tokens) for p in run.phases if p.tokens is not None}
    return known | ({"all phases": sum(known.values())} if len(known) > 1 else {})


def _flops(run: Run) -> Readings:
    """Model FLOPs of the phases whose tokens are known, in every convention."""
    phases = [(float(p.tokens), float(p.seq_len)) for p in run.phases if p.tokens is not None and p.seq_len is not None]
    return {name: sum(t * float(flops_per_token(run.model, s, name).total) for t, s in phases) for name in CONVENTIONS} if phases else {}


def _gpus(run: Run) -> Readings:
    own = {p.name: float(p.cluster.gpus) for p in run.phases if p.cluster is not None}
    return {"the run's cluster": float(run.cluster.gpus)} | own


def _mfu(run: Run) -> Readings:
    """The share of a peak that stated hours imply, in every convention and number format of the chip."""
    found = {}
    est = estimate(run)
    known = [p for p in est.phases.values() if p.phase.tokens is not None and p.phase.seq_len is not None]
    if not known:
        return {}
    phase = max(known, key=lambda p: float(p.phase.tokens or 0.0))
    tokens, seq_len = float(phase.phase.tokens or 0.0), float(phase.phase.seq_len or 1.0)
    for name in CONVENTIONS:
        flop = tokens * float(flops_per_token(run.model, seq_len, name).total)
        for dtype in ("bf16", "fp8"):
            peak = getattr(run.cluster.chip.peak, dtype)
            if peak is not None:
                found[f"{name}, of the {dtype} peak"] = flop / (float(phase.busy_gpu_seconds) * float(peak))
    return found


_ARCHITECTURE: dict[str, Callable[[Model], Readings]] = {
    "params": _params,
    "active_params": _active,
    "layers": _layers,
    "experts": _experts,
    "mtp_depth": _mtp_depth,
    "kv_bytes_per_token": _kv_bytes,
}
"""Quantity of an architecture → its readings."""
_RUN: dict[str, Callable[[Run], Readings]] = {"tokens": _tokens, "flops": _flops, "gpus": _gpus, "mfu": _mfu}
"""Quantity of a run that is neither dollars nor time → its readings."""
ARCHITECTURE, RUN = tuple(_ARCHITECTURE), tuple(_RUN)
