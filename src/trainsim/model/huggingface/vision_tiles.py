"""Towers that take a large image as squares of one size: Llama 4 and InternVL."""

from __future__ import annotations

from typing import Any

from ..feedforward import PlainMLP
from ..images import BestFit, Tiles
from ..layers import Block, Layers, Norm
from ..towers import Projection, Tower
from .config import Config
from .vision import seen_by
from .vision_parts import ALL, heads_of, merged_by, patches, plain_stack, sees_all, side, two_layers


@seen_by("llama4")
def llama4(outer: Config, c: Config, width: int) -> Tower:
    """Llama 4 (Meta 2025): squares of one size with a class token each, squares of patches shuffled together."""
    del outer
    image, patch = side(c, "image_size", 448), side(c, "patch_size", 14)
    hidden, stack = plain_stack(c, hidden=768, layers=34, heads=16, width=5632)
    given, out = c.optional("projector_input_dim", default=4096), c.optional("projector_output_dim", default=4096)
    merge = merged_by(c, "pixel_shuffle_ratio")
    rows = 1.0 / merge**2
    wide = c.optional("intermediate_size", default=5632)
    seen = c.optional("vision_output_dim", default=7680)
    return Tower(
        name="vision",
        hidden=hidden,
        patch=patch,
        merge=merge,
        resize=BestFit(size=image, most=16),
        stem=(patches(c, patch, hidden, bias=False),),
        extra=1,
        scales=((image // patch) ** 2 + 1) * hidden,
        stem_norm="layer",
        stack=stack,
        norm="layer",
        connector=(
            Projection(name="merge", inner=wide, cols=given, rows=rows),
            Projection(name="adapt", inner=out, cols=out, rows=rows),
            Projection(name="out", inner=seen, cols=width, rows=rows),
        ),
    )


@seen_by("internvl")
def internvl(outer: Config, c: Config, width: int) -> Tower:
    """InternVL (arXiv:2504.10479): squares of one size with a class token each, layer scales, squares of patches shuffled together."""
    image, patch = side(c, "image_size", 448), side(c, "patch_size", 14)
    hidden = c.optional("hidden_size", default=1024)
    bias: tuple[Any, ...] = ALL if c.flag("attention_bias", default=False) else ("o",)
    qk_norm = "full" if c.flag("use_qk_norm", default=False) else "none"
    attention = sees_all(heads_of(c, hidden, 16), hidden, biases=bias, qk_norm=qk_norm)
    norm: Norm = "rms" if c.data.get("norm_type") == "rms_norm" else "layer"
    ffn = PlainMLP(width=c.optional("intermediate_size", default=4096), bias="both")
    block = Block(attention=attention, ffn=ffn, norm=norm, scales=2 * hidden)
    merge = merged_by(outer, "downsample_ratio")
    wide = hidden * merge**2
    positions = ((image // patch) ** 2 + 1) * hidden if c.flag("use_absolute_position_embeddings", default=True) else 0
    masks = hidden if c.flag("use_mask_token", default=False) else 0
    return Tower(
        name="vision",
        hidden=hidden,
        patch=patch,
        merge=merge,
        resize=Tiles(size=image, most=12),
        stem=(patches(c, patch, hidden, bias=True),),
        extra=1,
        scales=positions + masks,
        stack=(Layers(name="block", count=c.optional("num_hidden_layers", default=24), block=block),),
        norm=None if c.flag("use_mean_pooling", default=True) else "layer",
        connector=two_layers(wide, width, bias=True, rows=1.0 / merge**2, norm_width=wide, norm="layer"),
    )
