"""StarCoder 2."""

from __future__ import annotations

from ..feedforward import PlainMLP
from ..transformer import Model
from .config import Config
from .parts import ALL, LAYERS, alike, assemble, biases, grouped_query, stack
from .reader import family


@family("starcoder2")
def starcoder2(c: Config) -> Model:
    """StarCoder 2 (arXiv:2402.19173): LayerNorm, plain MLPs, biases, a sliding window."""
    layers = c.layers(*LAYERS)
    projections = biases(c, *ALL, key="use_bias", default=True)
    c.fixed("norm_type", "layer_norm")
    c.fixed("mlp_type", "default")
    attention = grouped_query(c, kv=2, biases=projections, window=c.size_or_none("sliding_window"))
    mlp = PlainMLP(width=c.size("intermediate_size"), bias="both" if projections else "none")
    kinds = stack(alike(layers, "", attention), alike(layers, "dense", mlp), norm="layer")
    return assemble(c, kinds, tied=True, head={"norm": "layer"})
