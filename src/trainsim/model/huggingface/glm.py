"""GLM-4.5 and dots.llm1: grouped queries with DeepSeek's experts."""

from __future__ import annotations

from ..transformer import Model
from .config import Config
from .parts import (
    ALL,
    LAYERS,
    alike,
    assemble,
    biases,
    by_type,
    gated,
    grouped_query,
    last_block,
    leading_dense,
    prediction_modules,
    routed,
    stack,
)
from .reader import family

_EXPERTS = ("n_routed_experts", "num_local_experts")


@family("glm4_moe")
def glm4_moe(c: Config) -> Model:
    """GLM-4.5 (arXiv:2508.06471): biases on queries, keys and values only; optional norms on queries and keys."""
    layers = c.layers(*LAYERS)
    c.fixed("moe_layer_freq", 1)
    norm = "head" if c.flag("use_qk_norm", default=False) else "none"
    attention = grouped_query(c, kv=8, biases=biases(c, "q", "k", "v"), qk_norm=norm)
    shared = c.count("n_shared_experts", default=1) * c.size("moe_intermediate_size")
    moe = routed(c, *_EXPERTS, width="moe_intermediate_size", shared_width=shared, router_bias="score")
    kinds = stack(alike(layers, "", attention), leading_dense(c, layers, gated(c), moe, default=1))
    return assemble(c, kinds, tied=False, mtp=prediction_modules(c, last_block(kinds)))


@family("dots1")
def dots1(c: Config) -> Model:
    """dots.llm1 (arXiv:2506.05767): norms on queries and keys, layers from ``max_window_layers`` on slide."""
    layers = c.layers(*LAYERS)
    c.fixed("moe_layer_freq", 1)
    attention = grouped_query(c, kv=32, biases=biases(c, *ALL), qk_norm="head")
    window = c.size_or_none("sliding_window", 4096)
    first = c.count("max_window_layers", default=62)
    types = c.words("layer_types", ("full_attention", "sliding_attention"), layers)
    types = types or ["sliding_attention" if window and i >= first else "full_attention" for i in range(layers)]
    shared = c.count("n_shared_experts") * c.size("moe_intermediate_size")
    moe = routed(c, *_EXPERTS, width="moe_intermediate_size", shared_width=shared, router_bias="score")
    mixers = by_type(c, attention, types, window=window)
    return assemble(c, stack(mixers, leading_dense(c, layers, gated(c), moe, default=0)), tied=False)
