"""JetMoE: experts in attention too."""

from __future__ import annotations

from ..attention.routed import RoutedAttention
from ..feedforward import MixtureOfExperts
from ..transformer import Model
from .config import Config
from .parts import KEY_HEADS, LAYERS, alike, assemble, experts, stack
from .reader import family


@family("jetmoe")
def jetmoe(c: Config) -> Model:
    """JetMoE (arXiv:2404.07413): attention and feed-forward have the same number of experts and the same top-k."""
    layers = c.layers(*LAYERS)
    number, top_k = experts(c, "num_local_experts", "moe_num_experts")
    kv_heads = c.size(*KEY_HEADS)
    heads = c.optional("num_attention_heads", default=kv_heads * top_k, why="one set of heads per expert of a token")
    if heads != kv_heads * top_k:
        raise c.fail(
            "num_attention_heads", f"is not {kv_heads} key heads · {top_k} experts per token", f"give {kv_heads * top_k}, or leave it out"
        )
    head_dim = c.size("kv_channels", "head_dim")
    attention = RoutedAttention(experts=number, top_k=top_k, kv_heads=kv_heads, head_dim=head_dim, output_bias="hidden")
    width = c.size("intermediate_size", "ffn_hidden_size")
    c.ignore("length", "n_positions")
    c.fixed("glu", True)
    c.fixed("bias", True)
    moe = MixtureOfExperts(experts=number, top_k=top_k, width=width, output_bias="hidden")
    return assemble(c, stack(alike(layers, "", attention), alike(layers, "moe", moe)), tied=True)
