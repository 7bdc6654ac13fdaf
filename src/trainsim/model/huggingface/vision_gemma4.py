"""Gemma 4's vision tower: images near their own shape, each within a budget of tokens."""

from __future__ import annotations

from ..feedforward import GatedMLP
from ..images import FillBudget
from ..layers import Block, Layers
from ..towers import Projection, Tower
from .config import Config
from .vision import seen_by
from .vision_parts import patches, sees_all, side

_SANDWICH = ("attention", "attention-out", "ffn", "ffn-out")


@seen_by("gemma4")
def gemma4(outer: Config, c: Config, width: int) -> Tower:
    """Gemma 4 (Google 2026): norms on both sides of each mixer and on queries and keys, positions along either side, patches pooled."""
    hidden, patch, merge = c.optional("hidden_size", default=768), side(c, "patch_size", 16), c.optional("pooling_kernel_size", default=3)
    heads, kv_heads = c.optional("num_attention_heads", default=12), c.optional("num_key_value_heads", default=12)
    c.divides("num_key_value_heads", kv_heads, "num_attention_heads", heads)
    size = c.optional("head_dim", default=64)
    attention = sees_all(heads, hidden, qk_norm="head").replace({"kv_heads": kv_heads, "head_dim": size})
    block = Block(attention=attention, ffn=GatedMLP(width=c.optional("intermediate_size", default=3072)), norms=_SANDWICH)
    tokens = outer.optional("vision_soft_tokens_per_image", default=280)
    return Tower(
        name="vision",
        hidden=hidden,
        patch=patch,
        merge=merge,
        resize=FillBudget(patch=patch, most=tokens * merge**2),
        stem=(patches(c, patch, hidden, bias=False),),
        positions=2 * c.optional("position_embedding_size", default=10240),
        stack=(Layers(name="block", count=c.optional("num_hidden_layers", default=16), block=block),),
        connector=(Projection(name="out", inner=hidden, cols=width, rows=1.0 / merge**2, norm_width=hidden, norm="weightless"),),
    )
