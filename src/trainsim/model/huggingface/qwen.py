"""Qwen2 and Qwen3, dense and with experts."""

from __future__ import annotations

from ..attention.grouped_query import GroupedQueryAttention
from ..transformer import Model
from .config import Config
from .parts import ALL, LAYERS, Mixers, alike, assemble, biases, by_type, gated, grouped_query, routed, stack, stepped
from .reader import family


def _window(c: Config) -> int | None:
    """The window, if it is switched on."""
    if c.flag("use_sliding_window", default=False):
        return c.size_or_none("sliding_window", 4096)
    c.count("sliding_window")  # stands in many files, means nothing, must still be a number
    return None


def _above(c: Config, attention: GroupedQueryAttention, layers: int) -> Mixers:
    """Layers from ``max_window_layers`` on slide."""
    window = _window(c)
    first = c.count("max_window_layers", default=28)
    types = c.words("layer_types", ("full_attention", "sliding_attention"), layers)
    types = types or ["sliding_attention" if window and i >= first else "full_attention" for i in range(layers)]
    return by_type(c, attention, types, window=window)


@family("qwen2")
def qwen2(c: Config) -> Model:
    """Qwen2 and Qwen2.5 (arXiv:2407.10671): biases on queries, keys and values."""
    layers = c.layers(*LAYERS)
    attention = grouped_query(c, kv=32, biases=("q", "k", "v"))
    if c.has("attention_bias") and not c.flag("attention_bias", default=True):
        c.note("attention_bias is false: this class has biases on queries, keys and values all the same")
    return assemble(c, stack(_above(c, attention, layers), alike(layers, "dense", gated(c))), tied=False)


@family("qwen3")
def qwen3(c: Config) -> Model:
    """Qwen3 dense (arXiv:2505.09388): norms on queries and keys, no biases."""
    layers = c.layers(*LAYERS)
    c.fixed("use_qk_norm", True)
    attention = grouped_query(c, kv=32, head=128, biases=biases(c, *ALL), qk_norm="head")
    return assemble(c, stack(_above(c, attention, layers), alike(layers, "dense", gated(c))), tied=False)


@family("qwen2_moe")
def qwen2_moe(c: Config) -> Model:
    """Qwen1.5-MoE and Qwen2-57B-A14B: a shared expert behind a gate; windows, where used, on even layers up to a bound."""
    layers = c.layers(*LAYERS)
    attention = grouped_query(c, kv=16, biases=biases(c, "q", "k", "v", key="qkv_bias", default=True))
    window = _window(c)
    first = c.count("max_window_layers", default=28)
    types = c.words("layer_types", ("full_attention", "sliding_attention"), layers)
    types = types or ["sliding_attention" if window and i % 2 == 0 and i < first else "full_attention" for i in range(layers)]
    shared = c.optional("shared_expert_intermediate_size", default=5632)
    moe = routed(c, "num_experts", width="moe_intermediate_size", shared_width=shared, shared_gate="scalar")
    return assemble(c, stack(by_type(c, attention, types, window=window), stepped(c, layers, gated(c), moe)), tied=False)


@family("qwen3_moe")
def qwen3_moe(c: Config) -> Model:
    """Qwen3 mixture of experts (arXiv:2505.09388)."""
    layers = c.layers(*LAYERS)
    window = _window(c)
    c.fixed("use_qk_norm", True)
    c.ignore("max_window_layers")
    attention = grouped_query(c, kv=4, biases=biases(c, *ALL), qk_norm="head", window=window)
    moe = routed(c, "num_experts", "num_local_experts", width="moe_intermediate_size")
    return assemble(c, stack(alike(layers, "", attention), stepped(c, layers, gated(c), moe)), tied=False)
