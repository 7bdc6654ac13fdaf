"""GPT-2 and gpt-oss."""

from __future__ import annotations

from ..feedforward import PlainMLP
from ..transformer import Embedding, Model
from .config import Config
from .parts import ALL, HIDDEN, LAYERS, alike, assemble, biases, by_type, every_nth_full, grouped_query, multi_head, routed, stack
from .reader import family


@family("gpt2")
def gpt2(c: Config) -> Model:
    """GPT-2: learned positions, LayerNorm, biases everywhere, a tied head."""
    layers, hidden = c.layers(*LAYERS), c.size(*HIDDEN)
    c.fixed("add_cross_attention", False)
    mlp = PlainMLP(width=c.size_or_none("n_inner") or 4 * hidden, bias="both")
    positions = c.optional("n_positions", "max_position_embeddings", default=1024)
    kinds = stack(alike(layers, "", multi_head(c, ALL)), alike(layers, "dense", mlp), norm="layer")
    return assemble(c, kinds, tied=True, head={"norm": "layer"}, embedding=Embedding(positions=positions))


@family("gpt_oss")
def gpt_oss(c: Config) -> Model:
    """gpt-oss (arXiv:2508.10925): every other layer slides, sinks, biases in attention, router and experts."""
    layers = c.layers(*LAYERS)
    attention = grouped_query(c, kv=8, head=64, biases=biases(c, *ALL, default=True), sinks="head")
    types = c.words("layer_types", ("full_attention", "sliding_attention"), layers) or every_nth_full(layers, 2)
    moe = routed(c, "num_local_experts", "num_experts", bias="both", router_bias="bias")
    mixers = by_type(c, attention, types, window=c.size_or_none("sliding_window", 128))
    return assemble(c, stack(mixers, alike(layers, "moe", moe)), tied=False)
