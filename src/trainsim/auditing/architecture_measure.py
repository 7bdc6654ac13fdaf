"""ArchitectureMeasure: parameters, layers, experts, prediction modules and cache bytes of a model."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ..claims.scope import Basis
from ..core.units import human
from ..model.attention.latent import LatentAttention
from ..model.counting import count_active_params, count_params
from ..model.feedforward import MixtureOfExperts
from ..model.transformer import Model
from ..training.decoding import cache_elements
from .comparison import Stated
from .disclosure import Disclosure, point
from .measure import Contents, Measure, Predicted

BYTES_PER_ELEMENT = {"bf16": 2.0, "fp8": 1.0}
STRUCTURAL = ("layers", "experts", "mtp_depth", "tokens_per_position")
"""Quantities that are counts, which a claim must match exactly."""
Readings = Mapping[str, float]


@dataclass(frozen=True)
class ArchitectureMeasure(Measure):
    """A number of an architecture, in each of its named variants.

    Args:
        model, quantity: the model, and the quantity of the claim.
        named: the variant that the claim's scope names; empty if it names none.
        cited, day: source of the architecture, and its day of publication.
        sourced: False if only the user gives the architecture.
    """

    model: Model
    quantity: str
    named: str = ""
    cited: str = ""
    day: dt.date | None = None
    sourced: bool = True

    def disclosures(self, contents: Contents | None, basis: Basis | None, day: dt.date) -> tuple[Disclosure, ...]:
        """The variants that the scope names, or all of them."""
        if self.day is not None and self.day > day:
            return ()
        found = of_architecture(self.quantity, self.model)
        chosen = {name: x for name, x in found.items() if self.named and self.named in name} or found
        count = "structural" if self.quantity in STRUCTURAL else ""
        return tuple(point(x, name, self.cited, day=self.day, sourced=self.sourced, count=count) for name, x in chosen.items())

    def relevant(self, contents: Contents) -> Contents:
        """No contents: an architecture has none."""
        return frozenset()

    def predicted(self, contents: Contents | None, basis: Basis | None, day: dt.date) -> Predicted | None:
        """Always None: an architecture is either published or unknown, never predicted."""
        return None

    def impossible(self, stated: Stated, contents: Contents | None) -> str:
        """Reason if more experts are claimed than the model has, else empty."""
        if self.quantity != "experts" or stated.bound == "at most":
            return ""
        most = max(of_architecture("experts", self.model).values()) * max(1, expert_layers(self.model))
        return f"claimed {human(stated.low)} experts; the model has {human(most)} in all layers" if stated.low > most else ""


def of_architecture(quantity: str, model: Model) -> Readings:
    """A number of the architecture, by variant.

    >>> import trainsim as ts
    >>> of_architecture("experts", ts.catalog.model("deepseek-v3"))
    {'routed experts in each of 58 layers': 256.0, 'with the shared one': 257.0}
    """
    return VARIANTS[quantity](model)


def experts_of(model: Model) -> MixtureOfExperts | None:
    """The first mixture of experts of a model."""
    return next((kind.block.ffn for kind in model.stack if isinstance(kind.block.ffn, MixtureOfExperts)), None)


def expert_layers(model: Model) -> int:
    """Number of layers with routed experts."""
    return sum(kind.count for kind in model.stack if isinstance(kind.block.ffn, MixtureOfExperts))


def cache_in_words(model: Model) -> str:
    """Size of the latent-attention cache per token, in words; empty for a model without it."""
    attention = model.stack[0].block.attention
    if not isinstance(attention, LatentAttention):
        return ""
    full = attention.heads * (attention.nope_dim + attention.rope_dim + attention.v_dim)
    kept = attention.kv_cache_width
    spared = f"where full heads would need {full:,}: compression ×{full / kept:.0f}, no selection"
    a_token = float(cache_elements(model, 1.0)) * BYTES_PER_ELEMENT["bf16"]
    return f"modelled: {kept} elements cached per token and layer {spared}; {a_token:,.0f} bytes per token over all layers in BF16"


def _params(model: Model) -> Readings:
    found = {"the model itself": float(count_params(model).total)}
    if model.mtp is not None:
        found["with prediction modules"] = float(count_params(model, mtp="unique").total)
        found["with prediction modules as released"] = float(count_params(model, mtp="released").total)
    return found


def _active(model: Model) -> Readings:
    active = count_active_params(model)
    looked_up = float(active.part("embedding").total) if "embedding" in active else 0.0
    return {"all that a token uses": float(active.total), "without the input embedding": float(active.total) - looked_up}


def _experts(model: Model) -> Readings:
    moe = experts_of(model)
    if moe is None:
        return {"a model that routes nowhere": 0.0}
    routed = f"routed experts in each of {expert_layers(model)} layers"
    shared = {"with the shared one": moe.experts + moe.shared_width / moe.width} if moe.shared_width else {}
    return {routed: float(moe.experts)} | shared


def _mtp_depth(model: Model) -> Readings:
    return {"tokens beyond the next, in training": float(model.mtp.depth if model.mtp is not None else 0)}


def _tokens_per_position(model: Model) -> Readings:
    return {"tokens predicted at a position in training: the next and one for each module": 1.0 + (model.mtp.depth if model.mtp else 0)}


def _kv_bytes(model: Model) -> Readings:
    latent = any(isinstance(kind.block.attention, LatentAttention) for kind in model.stack)
    kept = "compressed" if latent else "keys and values"
    return {f"{kept}, {name}": float(cache_elements(model, 1.0)) * size for name, size in BYTES_PER_ELEMENT.items()}


def _layers(model: Model) -> Readings:
    return {"layers": float(model.layers)} | ({"with prediction modules": float(model.layers + model.mtp.depth)} if model.mtp else {})


VARIANTS: dict[str, Callable[[Model], Readings]] = {
    "params": _params,
    "active_params": _active,
    "layers": _layers,
    "experts": _experts,
    "mtp_depth": _mtp_depth,
    "tokens_per_position": _tokens_per_position,
    "kv_bytes_per_token": _kv_bytes,
}
"""Quantity of an architecture → function that returns its variants."""
