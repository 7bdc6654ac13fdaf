"""Falcon: parallel blocks, multi-query and grouped attention."""

from __future__ import annotations

from ..attention.grouped_query import GroupedQueryAttention
from ..feedforward import PlainMLP
from ..transformer import Model
from .config import Config
from .parts import ALL, HEADS, HIDDEN, KEY_HEADS, LAYERS, alike, assemble, biases, key_heads, split_hidden, stack
from .reader import family


def _key_heads(c: Config, heads: int) -> int:
    """Number of key heads: one for multi-query attention, ``num_kv_heads`` for the new architecture, else one per query head."""
    new = c.flag("new_decoder_architecture", default=False)
    single = c.flag("multi_query", default=True)
    if new:
        return key_heads(c, heads)
    if not single:
        c.fixed(c.called(*KEY_HEADS), heads)
    c.ignore(*KEY_HEADS)
    return 1 if single else heads


def _norms(c: Config) -> tuple[str, ...]:
    """Two norms in a serial block; one or two before a parallel block."""
    new = c.flag("new_decoder_architecture", default=False)
    number = c.count("num_ln_in_parallel_attn", default=0) or (2 if new else 1)
    c.at_most("num_ln_in_parallel_attn", number, "norms of a block", 2)
    parallel = c.flag("parallel_attn", default=True)
    return ("attention",) if parallel and number == 1 else ("attention", "ffn")


@family("falcon")
def falcon(c: Config) -> Model:
    """Falcon (arXiv:2311.16867)."""
    layers, hidden, heads = c.layers(*LAYERS), c.size(*HIDDEN), c.size(*HEADS)
    projections = biases(c, *ALL, key="bias")
    attention = GroupedQueryAttention(heads=heads, kv_heads=_key_heads(c, heads), head_dim=split_hidden(c, heads), biases=projections)
    c.ignore("alibi", "ff_factor")
    width = c.size_or_none("ffn_hidden_size") or 4 * hidden
    mlp = PlainMLP(width=width, bias="both" if projections else "none")
    kinds = stack(alike(layers, "", attention), alike(layers, "dense", mlp), norm="layer", norms=_norms(c))
    return assemble(c, kinds, tied=True, head={"norm": "layer"})
