"""Mistral and Mixtral: sliding windows, experts."""

from __future__ import annotations

from ..transformer import Model
from .config import Config
from .parts import LAYERS, alike, assemble, by_type, gated, grouped_query, routed, stack
from .reader import family


@family("mistral")
def mistral(c: Config) -> Model:
    """Mistral (arXiv:2310.06825): every layer slides; with ``layer_types`` the layers it names (Ministral)."""
    layers = c.layers(*LAYERS)
    attention = grouped_query(c, kv=8)
    window = c.size_or_none("sliding_window", 4096)
    types = c.words("layer_types", ("full_attention", "sliding_attention"), layers)
    mixers = by_type(c, attention, types, window=window) if types else alike(layers, "", attention.replace({"window": window}))
    return assemble(c, stack(mixers, alike(layers, "dense", gated(c))), tied=False)


@family("mixtral")
def mixtral(c: Config) -> Model:
    """Mixtral (arXiv:2401.04088)."""
    layers = c.layers(*LAYERS)
    attention = grouped_query(c, kv=8, window=c.size_or_none("sliding_window"))
    moe = routed(c, "num_local_experts", "num_experts")
    return assemble(c, stack(alike(layers, "", attention), alike(layers, "moe", moe)), tied=False)
