"""Gemma 2 and 3: sandwich norms, alternating and 5:1 windows."""

from __future__ import annotations

from ..attention.grouped_query import GroupedQueryAttention
from ..transformer import Model
from .config import Config
from .parts import ALL, LAYERS, alike, assemble, biases, by_type, every_nth_full, gated, grouped_query, stack
from .reader import family

_SANDWICH = ("attention", "attention-out", "ffn", "ffn-out")


def _gemma(c: Config, attention: GroupedQueryAttention, period: int) -> Model:
    layers = c.layers(*LAYERS)
    c.fixed("use_bidirectional_attention", False)  # turns the model into an encoder
    types = c.words("layer_types", ("full_attention", "sliding_attention"), layers) or every_nth_full(layers, period)
    window = c.size_or_none("sliding_window", 4096)
    c.fixed("sliding_window_size", window)  # a second name in the first files
    mixers = by_type(c, attention, types, window=window)
    return assemble(c, stack(mixers, alike(layers, "dense", gated(c)), norms=_SANDWICH), tied=True)


@family("gemma2")
def gemma2(c: Config) -> Model:
    """Gemma 2 (arXiv:2408.00118): every other layer slides."""
    return _gemma(c, grouped_query(c, kv=4, head=256, biases=biases(c, *ALL)), 2)


@family("gemma3_text")
def gemma3_text(c: Config) -> Model:
    """Gemma 3 (arXiv:2503.19786): five sliding layers to a full one, norms on queries and keys."""
    attention = grouped_query(c, kv=4, head=256, biases=biases(c, *ALL), qk_norm="head")
    return _gemma(c, attention, c.optional("sliding_window_pattern", "_sliding_window_pattern", default=6))
