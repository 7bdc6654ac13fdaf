"""LFM2: gated short convolutions with attention in between."""

from __future__ import annotations

from typing import Literal

from ..attention.base import Attention
from ..feedforward import FeedForward, GatedMLP
from ..mixers.short_convolution import ShortConvolution
from ..transformer import Model
from .config import Config
from .parts import ALL, LAYERS, Mixers, alike, assemble, biases, gated, grouped_query, routed, stack
from .reader import family

_TIED = "tie_embedding"


def _mixers(c: Config, layers: int) -> Mixers:
    attention = grouped_query(c, kv=8, qk_norm="head")
    c.ignore("conv_dim", "conv_dim_out", "conv_use_xavier_init", "block_dim", "block_use_swiglu", "block_use_xavier_init", "use_pos_enc")
    bias: Literal["all", "none"] = "all" if c.flag("conv_bias", default=False) else "none"
    convolution = ShortConvolution(taps=c.optional("conv_L_cache", default=3), bias=bias)
    at = c.positions("full_attn_idxs", layers)
    types = c.words("layer_types", ("full_attention", "conv"), layers)
    if types is None:
        types = ["full_attention" if at is None or i in at else "conv" for i in range(layers)]
    return [("", attention) if word == "full_attention" else ("convolution", convolution) for word in types]


def _tied(c: Config) -> bool:
    """``tie_embedding`` in older files, which must not contradict ``tie_word_embeddings``."""
    if not c.has(_TIED):
        return True
    tied = c.flag(_TIED)
    c.fixed("tie_word_embeddings", tied)
    return tied


@family("lfm2")
def lfm2(c: Config) -> Model:
    """LFM2 (Liquid AI 2025, arXiv:2511.23404)."""
    layers = c.layers(*LAYERS)
    c.ignore("norm_eps")
    return assemble(c, stack(_mixers(c, layers), alike(layers, "dense", GatedMLP(width=_width(c)))), tied=_tied(c))


def _width(c: Config) -> int:
    """``intermediate_size``, or two thirds of it rounded up to a multiple, as the class adjusts it."""
    width = c.size("block_ff_dim", "intermediate_size")
    adjusted, multiple = c.flag("block_auto_adjust_ff_dim", default=True), c.optional("block_multiple_of", default=256)
    unrounded, factor = c.null("block_ffn_dim_multiplier"), c.factor("block_ffn_dim_multiplier", 1.0)
    if not adjusted:
        return width
    width = int(2 * width / 3)
    return width if unrounded else multiple * -(-int(factor * width) // multiple)


@family("lfm2_moe")
def lfm2_moe(c: Config) -> Model:
    """LFM2 with experts after the first layers (Liquid AI 2025)."""
    layers = c.layers(*LAYERS)
    leading = c.count("num_dense_layers", default=2)
    scores = "score" if c.flag("use_expert_bias", default=True) else "none"
    moe, dense = routed(c, "num_experts", width="moe_intermediate_size", router_bias=scores), gated(c)
    channels: list[tuple[str, FeedForward]] = [("dense", dense) if i < leading else ("moe", moe) for i in range(layers)]
    return assemble(c, stack(_mixers(c, layers), channels), tied=_tied(c))


@family("lfm3")
def lfm3(c: Config) -> Model:
    """LFM3 (Liquid AI 2026): convolutions in every other layer, windowed and full attention in between, each head gated."""
    layers = c.layers(*LAYERS)
    words = ("full_attention", "sliding_attention", "conv")
    default = ["full_attention" if i % 4 == 2 else "sliding_attention" if i % 4 == 0 and i > 0 else "conv" for i in range(layers)]
    types = c.words("layer_types", words, layers) or default
    gate: Literal["head", "none"] = "head" if c.flag("use_attention_gate", default=True) else "none"
    full = grouped_query(c, kv=4, head=128, qk_norm="head", gate=gate, biases=biases(c, *ALL))
    bias: Literal["all", "none"] = "all" if c.flag("conv_bias", default=False) else "none"
    kinds: dict[str, tuple[str, Attention]] = {
        "full_attention": ("", full),
        "sliding_attention": ("sliding", full.replace({"window": c.size_or_none("sliding_window", 256)})),
        "conv": ("convolution", ShortConvolution(taps=c.optional("conv_L_cache", default=7), bias=bias)),
    }
    outer = ("attention-out", "ffn-out") if c.flag("use_sandwich_norm", default=True) else ()
    mixers = [kinds[word] for word in types]
    return assemble(c, stack(mixers, alike(layers, "dense", gated(c)), norms=("attention", "ffn", *outer)), tied=_tied(c))
