"""Gemma 3n: an embedding for every layer, several residual streams, keys and values shared by the last layers, nested widths."""

from __future__ import annotations

from typing import Any

from ..feedforward import FeedForward, GatedMLP
from ..residual import AlternatingUpdates, LearnedResidual, PerLayerInput
from ..transformer import Embedding, Model
from .config import Config
from .parts import ALL, LAYERS, Mixers, assemble, biases, grouped_query, stack
from .reader import family

_PERIOD = 5


@family("gemma3n_text")
def gemma3n_text(c: Config) -> Model:
    """Gemma 3n (Google 2025): four sliding layers per full layer; a list of widths selects slices of a nested model (arXiv:2310.07707)."""
    layers = c.layers(*LAYERS)
    c.ignore("activation_sparsity_pattern", "altup_active_idx", "altup_coef_clip", "altup_correct_scale")
    streams = c.optional("altup_num_inputs", default=4)
    width = c.optional("hidden_size_per_layer_input", default=256)
    residual = (
        AlternatingUpdates(streams=streams),
        LearnedResidual(rank=c.optional("laurel_rank", default=64)),
        PerLayerInput(width=width),
    )
    norms = ("attention", "attention-out", "ffn", "ffn-out")
    kinds = stack(_mixers(c, layers), _channels(c, layers), norms=norms, residual=residual)
    embedding = layer_embedding(c, layers, width).replace({"streams": streams})
    head: dict[str, Any] = {"streams": streams, "merge": "products"}
    return assemble(c, kinds, tied=True, embedding=embedding, head=head)


def layer_embedding(c: Config, layers: int, width: int) -> Embedding:
    """An embedding that also has a vector for every layer."""
    rows = c.optional("vocab_size_per_layer_input", default=262_144)
    return Embedding(layer_rows=rows, layer_width=layers * width, layer_norm=width)


def _mixers(c: Config, layers: int) -> Mixers:
    full = grouped_query(c, kv=2, head=256, biases=biases(c, *ALL), qk_norm="head")
    sliding = full.replace({"window": c.size_or_none("sliding_window", 512)})
    types = c.words("layer_types", ("full_attention", "sliding_attention"), layers)
    types = types or ["full_attention" if (i + 1) % _PERIOD == 0 else "sliding_attention" for i in range(layers)]
    reusing = layers - c.count("num_kv_shared_layers", default=15)
    found = []
    for i, word in enumerate(types):
        attention, label = (full, "") if word == "full_attention" else (sliding, "sliding")
        found.append((f"{label}reused", attention.replace({"kv": "earlier"})) if i >= reusing else (label, attention))
    return found


def _channels(c: Config, layers: int) -> list[tuple[str, FeedForward]]:
    """The feed-forward of every layer, from one width or a list; layers of another width than the first are a separate kind."""
    listed = isinstance(c.data.get("intermediate_size"), (list, tuple))
    widths = (c.per_layer("intermediate_size", layers) if listed else None) or [c.size("intermediate_size")] * layers
    return [("dense" if width == widths[0] else f"dense{width}", GatedMLP(width=width)) for width in widths]
