"""Llama and SmolLM3: pre-norm, grouped queries, gated feed-forward."""

from __future__ import annotations

from ..transformer import Model
from .config import Config
from .parts import ALL, LAYERS, alike, assemble, biases, by_type, gated, grouped_query, stack
from .reader import family


@family("llama")
def llama(c: Config) -> Model:
    """Llama 1-3, DeepSeek-LLM, Yi and all that use the class (arXiv:2302.13971)."""
    layers = c.layers(*LAYERS)
    attention = grouped_query(c, biases=biases(c, *ALL))
    mlp = gated(c, bias=c.flag("mlp_bias", default=False))
    return assemble(c, stack(alike(layers, "", attention), alike(layers, "dense", mlp)), tied=False)


@family("smollm3")
def smollm3(c: Config) -> Model:
    """SmolLM3: every fourth layer without rotary positions; windows, where used, on those layers."""
    layers = c.layers(*LAYERS)
    attention = grouped_query(c, kv=4, biases=biases(c, *ALL))
    mlp = gated(c, bias=c.flag("mlp_bias", default=False))
    window = c.size_or_none("sliding_window") if c.flag("use_sliding_window", default=False) else None
    every = c.optional("no_rope_layer_interval", default=4)
    rope = c.per_layer("no_rope_layers", layers) or [int((i + 1) % every != 0) for i in range(layers)]
    types = c.words("layer_types", ("full_attention", "sliding_attention"), layers)
    types = types or ["full_attention" if window is None or has else "sliding_attention" for has in rope]
    c.ignore("sliding_window", "max_window_layers")
    return assemble(c, stack(by_type(c, attention, types, window=window), alike(layers, "dense", mlp)), tied=True)
