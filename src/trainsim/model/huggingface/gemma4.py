"""Gemma 4: full layers with another head size, keys that serve as values, and experts beside the dense feed-forward."""

from __future__ import annotations

from typing import Any

from ..attention.grouped_query import GroupedQueryAttention
from ..feedforward import FeedForward, GatedMLP, MixtureOfExperts, ParallelFeedForward
from ..residual import PerLayerInput
from ..transformer import Embedding, Model
from .config import Config
from .gemma3n import layer_embedding
from .parts import ALL, LAYERS, Mixers, assemble, biases, experts, grouped_query, stack
from .reader import family

_SANDWICH = ("attention", "attention-out", "ffn", "ffn-out")
_EXPERT_NORMS = ("dense-out", "experts", "experts-out")
_GLOBAL_HEAD = 512
_PERIOD = 6


@family("gemma4_text", "gemma4_unified_text")
def gemma4_text(c: Config) -> Model:
    """Gemma 4 (Google 2026): five sliding layers per full layer; the last layer is full."""
    layers = c.layers(*LAYERS)
    c.ignore("vocab_size_per_layer_input", "global_head_dim", "num_global_key_value_heads")
    width = c.count("hidden_size_per_layer_input", default=256) if c.data.get("model_type") == "gemma4_text" else 0
    c.fixed("use_bidirectional_attention", False, "vision")
    routed = c.flag("enable_moe_block", default=False)
    around: dict[str, Any] = {"norms": (*_SANDWICH, *(_EXPERT_NORMS if routed else ())), "scales": _scales(c)}
    around["residual"] = (PerLayerInput(width=width),) if width else ()
    kinds = stack(_mixers(c, layers), _channels(c, layers, routed=routed), **around)
    return assemble(c, kinds, tied=True, embedding=layer_embedding(c, layers, width) if width else Embedding())


def _mixers(c: Config, layers: int) -> Mixers:
    """Sliding layers, and full layers, whose head size and key heads are given by ``per_layer_config`` or by the keys of released files."""
    sliding = grouped_query(c, biases=biases(c, *ALL), qk_norm="head", window=c.size_or_none("sliding_window"))
    types = c.words("layer_types", ("full_attention", "sliding_attention"), layers)
    types = types or ["full_attention" if (i + 1) % _PERIOD == 0 else "sliding_attention" for i in range(layers)]
    same = c.flag("attention_k_eq_v", default=False)
    shared = layers - c.count("num_kv_shared_layers")
    changes = c.per_layer_changes({}, layers)
    given = c.data.get("per_layer_config") is not None
    kv_heads = c.size_or_none("num_global_key_value_heads") if same else None
    head_dim = c.optional("global_head_dim", default=_GLOBAL_HEAD) if not given else sliding.head_dim
    found = []
    for i, word in enumerate([*types[:-1], "full_attention"]):
        attention: GroupedQueryAttention = sliding
        if word == "full_attention":
            own = c.changed(changes[i])
            size, heads = (own.size("head_dim"), own.size("num_key_value_heads")) if given else (head_dim, kv_heads or sliding.kv_heads)
            attention = sliding.replace({"window": None, "head_dim": size, "kv_heads": heads, "values": "keys" if same else "own"})
        label = "sliding" if word == "sliding_attention" else ""
        reused = i >= shared
        found.append((f"{label}reused" if reused else label, attention.replace({"kv": "earlier"}) if reused else attention))
    return found


def _channels(c: Config, layers: int, *, routed: bool) -> list[tuple[str, FeedForward]]:
    width = c.size("intermediate_size")
    wide = c.flag("use_double_wide_mlp", default=False)
    shared = layers - c.count("num_kv_shared_layers")
    found: list[tuple[str, FeedForward]] = []
    for i in range(layers):
        dense: FeedForward = GatedMLP(width=2 * width if wide and i >= shared else width)
        if routed:
            number, top_k = experts(c, "num_experts")
            moe = MixtureOfExperts(experts=number, top_k=top_k, width=c.size("moe_intermediate_size"))
            dense = ParallelFeedForward(parts=(dense, moe))
        found.append(("moe" if routed else "dense", dense))
    if not routed:
        c.ignore("num_experts", "top_k_experts", "moe_intermediate_size", "expert_intermediate_size")
    return found


def _scales(c: Config) -> int:
    """Scales of the router: one vector for its input, one number per expert."""
    return c.size("hidden_size") + c.size("num_experts") if c.flag("enable_moe_block", default=False) else 0
