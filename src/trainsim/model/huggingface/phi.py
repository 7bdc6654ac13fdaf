"""Phi-3, Phi-4 and Phi-3.5-MoE."""

from __future__ import annotations

from ..transformer import Model
from .config import Config
from .parts import ALL, LAYERS, alike, assemble, biases, gated, grouped_query, routed, stack
from .reader import family


@family("phi3")
def phi3(c: Config) -> Model:
    """Phi-3 and Phi-4 (arXiv:2404.14219, 2412.08905)."""
    layers = c.layers(*LAYERS)
    for key in ("attention_bias", "mlp_bias", "lm_head_bias"):
        c.fixed(key, False)
    c.fixed("full_attn_mod", 1)
    attention = grouped_query(c, window=c.size_or_none("sliding_window"))
    return assemble(c, stack(alike(layers, "", attention), alike(layers, "dense", gated(c))), tied=False)


@family("phimoe")
def phimoe(c: Config) -> Model:
    """Phi-3.5-MoE (arXiv:2404.14219): LayerNorm, sixteen experts, an optional bias in the head."""
    layers = c.layers(*LAYERS)
    attention = grouped_query(c, kv=8, biases=biases(c, *ALL), window=c.size_or_none("sliding_window"))
    moe = routed(c, "num_local_experts", "num_experts")
    head = {"norm": "layer", "bias": "vocab" if c.flag("lm_head_bias", default=False) else "none"}
    return assemble(c, stack(alike(layers, "", attention), alike(layers, "moe", moe), norm="layer"), tied=False, head=head)
