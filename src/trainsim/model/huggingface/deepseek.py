"""DeepSeek: shared and fine-grained experts, latent attention, multi-token prediction; Kimi K2 has the same architecture."""

from __future__ import annotations

from ..attention.latent import LatentAttention
from .config import Config
from .parts import HEADS, biases


def latent_attention(c: Config, q_rank: int | None = 1536) -> LatentAttention:
    """Multi-head latent attention; the rotary key is shared, so there are as many key heads as query heads.

    Args:
        q_rank: class default for the width of the compressed query.
    """
    heads = c.size(*HEADS)
    kv_heads = c.optional("num_key_value_heads", default=heads, why="latent attention expands to every head")
    if kv_heads != heads:
        raise c.fail(
            "num_key_value_heads",
            f"differs from num_attention_heads={heads}",
            f"give {heads}: latent attention has one key head per query head",
        )
    q_rank = c.size_or_none("q_lora_rank", q_rank)
    return LatentAttention(
        heads=heads,
        kv_rank=c.size("kv_lora_rank"),
        q_rank=q_rank,
        nope_dim=c.size("qk_nope_head_dim"),
        rope_dim=c.size("qk_rope_head_dim"),
        v_dim=c.size("v_head_dim"),
        biases=biases(c, *(("q", "kv", "o") if q_rank else ("kv", "o"))),  # without compression, the query projection has no bias
    )
