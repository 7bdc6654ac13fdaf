"""Cohere Command R7B and A."""

from __future__ import annotations

from ..transformer import Model
from .config import Config
from .parts import ALL, LAYERS, alike, assemble, biases, by_type, every_nth_full, gated, grouped_query, stack
from .reader import family


@family("cohere2")
def cohere2(c: Config) -> Model:
    """Command A (arXiv:2504.00698): one norm before a parallel block, three sliding layers to a full one."""
    layers = c.layers(*LAYERS)
    c.fixed("use_qk_norm", False)
    c.fixed("use_parallel_block", True)
    c.fixed("use_gated_activation", True)
    c.ignore("use_embedding_sharing", "use_parallel_embedding", "layer_switch", "logit_scale")
    attention = grouped_query(c, biases=biases(c, *ALL))
    period = c.optional("sliding_window_pattern", "_sliding_window_pattern", default=4)
    types = c.words("layer_types", ("full_attention", "sliding_attention"), layers) or every_nth_full(layers, period)
    mixers = by_type(c, attention, types, window=c.size_or_none("sliding_window", 4096))
    kinds = stack(mixers, alike(layers, "dense", gated(c)), norms=("block",), norm="layer-no-bias")
    return assemble(c, kinds, tied=True, head={"norm": "layer-no-bias"})
