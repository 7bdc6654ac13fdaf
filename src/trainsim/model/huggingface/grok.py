"""Grok-1."""

from __future__ import annotations

from ..transformer import Model
from .config import Config
from .parts import LAYERS, alike, assemble, grouped_query, routed, stack
from .reader import family


@family("grok-1")
def grok_1(c: Config) -> Model:
    """Grok-1 (xAI 2024, open release): gated experts, four norms a layer, a tied head."""
    layers = c.layers(*LAYERS)
    moe = routed(c, "num_experts", "num_local_experts")
    norms = ("attention", "attention-out", "ffn", "ffn-out")
    kinds = stack(alike(layers, "", grouped_query(c)), alike(layers, "moe", moe), norms=norms)
    return assemble(c, kinds, tied=True)
