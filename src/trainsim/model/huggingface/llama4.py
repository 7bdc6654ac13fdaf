"""Llama 4: chunked attention, layers without rotary positions, interleaved experts."""

from __future__ import annotations

from ..transformer import Model
from .config import Config
from .parts import ALL, LAYERS, Channels, assemble, biases, by_type, gated, grouped_query, routed, stack
from .reader import family


@family("llama4_text")
def llama4_text(c: Config) -> Model:
    """Llama 4 Scout and Maverick (Meta 2025): rotary layers attend inside chunks, the others everywhere."""
    layers = c.layers(*LAYERS)
    norm = "weightless" if c.flag("use_qk_norm", default=True) else "none"
    attention = grouped_query(c, kv=8, head=128, biases=biases(c, *ALL), qk_norm=norm)
    every = c.optional("no_rope_layer_interval", default=4)
    rope = c.per_layer("no_rope_layers", layers) if c.data.get("no_rope_layers") else None
    c.ignore("no_rope_layers")
    rope = rope or [int((i + 1) % every != 0) for i in range(layers)]
    types = c.words("layer_types", ("full_attention", "chunked_attention"), layers)
    types = types or ["chunked_attention" if has else "full_attention" for has in rope]
    mixers = by_type(c, attention, types, chunk=c.size_or_none("attention_chunk_size", 8192))
    return assemble(c, stack(mixers, _interleaved(c, layers)), tied=False)


def _interleaved(c: Config, layers: int) -> Channels:
    """Experts in the listed layers, or in every ``interleave_moe_layer_step``-th layer; the other layers are dense and wider."""
    moe = routed(c, "num_local_experts", shared_width=c.size("intermediate_size"))
    step = c.optional("interleave_moe_layer_step", default=1)
    listed = c.positions("moe_layers", layers)
    sparse = set(range(step - 1, layers, step) if listed is None else listed)
    if len(sparse) == layers:
        c.ignore("intermediate_size_mlp")
        return [("moe", moe)] * layers
    dense = gated(c, "intermediate_size_mlp")
    return [("moe", moe) if i in sparse else ("dense", dense) for i in range(layers)]
