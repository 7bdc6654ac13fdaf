"""The GPT-3 generation: OPT, BLOOM, GPT-NeoX. LayerNorm, plain MLPs, multi-head attention, biases."""

from __future__ import annotations

from ..feedforward import PlainMLP
from ..transformer import Embedding, Model
from .config import Config
from .parts import ALL, HIDDEN, LAYERS, alike, assemble, biases, multi_head, stack
from .reader import family


@family("opt")
def opt(c: Config) -> Model:
    """OPT (arXiv:2205.01068): two positions more than the sequence; the 350M projects its embeddings and norms after each part."""
    layers, hidden = c.layers(*LAYERS), c.size(*HIDDEN)
    projections = biases(c, *ALL, key="enable_bias", default=True)
    mlp = PlainMLP(width=c.size("ffn_dim"), bias="both" if projections else "none")
    norm = "layer" if c.flag("layer_norm_elementwise_affine", default=True) else "weightless"
    last = c.flag("do_layer_norm_before", default=True) and not c.flag("_remove_final_layer_norm", default=False)
    c.fixed("learned_embeddings", True)
    width = c.size_or_none("word_embed_proj_dim") or hidden
    positions = c.optional("max_position_embeddings", default=2048) + 2
    kinds = stack(alike(layers, "", multi_head(c, projections)), alike(layers, "dense", mlp), norm=norm)
    embedding = Embedding(positions=positions, position_width=hidden, width=width)
    return assemble(c, kinds, tied=True, head={"norm": norm if last else None, "width": width}, embedding=embedding)
