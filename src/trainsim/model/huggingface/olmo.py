"""OLMo 2 and OLMoE."""

from __future__ import annotations

from ..transformer import Model
from .config import Config
from .parts import ALL, HEADS, LAYERS, alike, assemble, biases, gated, grouped_query, routed, split_hidden, stack
from .reader import family


@family("olmo2")
def olmo2(c: Config) -> Model:
    """OLMo 2 (arXiv:2501.00656): norms after each part, and over the full width of queries and keys."""
    layers = c.layers(*LAYERS)
    attention = grouped_query(c, biases=biases(c, *ALL), qk_norm="full")
    kinds = stack(alike(layers, "", attention), alike(layers, "dense", gated(c)), norms=("attention-out", "ffn-out"))
    return assemble(c, kinds, tied=False)


@family("olmoe")
def olmoe(c: Config) -> Model:
    """OLMoE (arXiv:2409.02060)."""
    layers = c.layers(*LAYERS)
    split_hidden(c, c.size(*HEADS))  # its norms have no other width
    attention = grouped_query(c, biases=biases(c, *ALL), qk_norm="full")
    moe = routed(c, "num_experts", "num_local_experts")
    return assemble(c, stack(alike(layers, "", attention), alike(layers, "moe", moe)), tied=False)
