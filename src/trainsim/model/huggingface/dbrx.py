"""DBRX: sizes in nested groups."""

from __future__ import annotations

from ..attention.grouped_query import GroupedQueryAttention
from ..feedforward import MixtureOfExperts
from ..transformer import Model
from .config import Config
from .parts import HEADS, LAYERS, alike, assemble, experts, split_hidden, stack
from .reader import family


@family("dbrx")
def dbrx(c: Config) -> Model:
    """DBRX (Databricks 2024): sixteen experts, LayerNorm without bias."""
    layers, heads = c.layers(*LAYERS), c.size(*HEADS)
    inner = c.inside("attn_config")
    kv_heads = inner.optional("kv_n_heads", default=1)
    inner.divides("kv_n_heads", kv_heads, "n_heads", heads)
    c.fixed("num_key_value_heads", kv_heads)
    inner.fixed("qk_ln", False)
    inner.close()
    attention = GroupedQueryAttention(heads=heads, kv_heads=kv_heads, head_dim=split_hidden(c, heads))
    inner = c.inside("ffn_config")
    number, top_k = experts(inner, "moe_num_experts")
    moe = MixtureOfExperts(experts=number, top_k=top_k, width=inner.size("ffn_hidden_size"))
    inner.close(("ffn_act_fn", "hidden_size"))
    kinds = stack(alike(layers, "", attention), alike(layers, "moe", moe), norm="layer-no-bias")
    c.fixed("tie_word_embeddings", False)
    return assemble(c, kinds, tied=False, head={"norm": "layer-no-bias"})
