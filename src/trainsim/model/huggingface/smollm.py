"""SmolLM3: windows on the layers without rotary positions."""

from __future__ import annotations

from ..transformer import Model
from .config import Config
from .parts import ALL, LAYERS, alike, assemble, biases, by_type, gated, grouped_query, stack
from .reader import family


@family("smollm3")
def smollm3(c: Config) -> Model:
    """SmolLM3: every fourth layer has no rotary positions; windows, if used, are on those layers."""
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
