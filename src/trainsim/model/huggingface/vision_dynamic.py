"""Towers that keep the shape of an image: Qwen, GLM-V, Kimi, Mistral 3 with Pixtral's tower."""

from __future__ import annotations

from collections.abc import Sequence

from ..feedforward import FeedForward, GatedMLP, PlainMLP
from ..images import LongestSide, PatchBudget, WithinPixels
from ..layers import Block, Layers, stack_of
from ..towers import Projection, Tower
from .config import Config
from .vision import seen_by
from .vision_parts import ALL, heads_of, merged, patches, sees_all, side, two_layers


@seen_by("qwen2_5_vl", "qwen2_5_omni_thinker", "exaone4_5")
def qwen2_5_vl(outer: Config, c: Config, width: int) -> Tower:
    """Qwen2.5-VL (arXiv:2502.13923): windows of 112 pixels in most layers, RMS norms, gated MLPs with biases.

    EXAONE 4.5 (LG 2026) has the same tower with groups of query heads.
    """
    hidden, patch, merge = c.optional("hidden_size", default=3584), side(c, "patch_size", 14), c.optional("spatial_merge_size", default=2)
    heads = heads_of(c, hidden, 16, "num_heads", "num_attention_heads")
    ffn = GatedMLP(width=c.optional("intermediate_size", default=3420), bias="both")
    kv_heads = c.optional("num_key_value_heads", default=8) if outer.data.get("model_type") == "exaone4_5" else heads
    c.divides("num_key_value_heads", kv_heads, "num_heads", heads)
    attention = sees_all(heads, hidden, biases=ALL).replace({"kv_heads": kv_heads})
    full = Block(attention=attention, ffn=ffn)
    window = (c.optional("window_size", default=112) // patch // merge * merge) ** 2
    windowed = Block(attention=attention.replace({"chunk": window}), ffn=ffn)
    layers = c.optional("depth", "num_hidden_layers", default=32)
    at = set(c.positions("fullatt_block_indexes", layers) or [i for i in (7, 15, 23, 31) if i < layers])
    out = c.optional("out_hidden_size", default=width, why="width of the text model")
    return Tower(
        name="vision",
        hidden=hidden,
        patch=patch,
        merge=merge,
        resize=WithinPixels(least=56 * 56, most=28 * 28 * 16384),
        stem=(patches(c, patch, hidden, bias=False, frames=side(c, "temporal_patch_size", 2)),),
        stack=stack_of([("full", full) if i in at else ("windows", windowed) for i in range(layers)]),
        connector=merged("", hidden, out, merge, norm="rms", norm_width=hidden),
    )


@seen_by("qwen3_vl", "qwen3_vl_moe", "qwen3_5", "qwen3_5_moe")
def qwen3_vl(outer: Config, c: Config, width: int) -> Tower:
    """Qwen3-VL (arXiv:2511.21631) and Qwen3.5: learned positions; Qwen3-VL passes the outputs of some layers on through separate
    mergers.
    """
    hidden, patch, merge = c.optional("hidden_size", default=1152), side(c, "patch_size", 16), c.optional("spatial_merge_size", default=2)
    attention = sees_all(heads_of(c, hidden, 16, "num_heads", "num_attention_heads"), hidden, biases=ALL)
    block = Block(attention=attention, ffn=PlainMLP(width=c.optional("intermediate_size", default=4304), bias="both"), norm="layer")
    layers = c.optional("depth", "num_hidden_layers", default=27)
    out = c.optional("out_hidden_size", default=width, why="width of the text model")
    connector = list(merged("", hidden, out, merge, norm="layer", norm_width=hidden))
    deep: Sequence[int] = ()
    if outer.data.get("model_type") in ("qwen3_vl", "qwen3_vl_moe"):
        at = c.positions("deepstack_visual_indexes", layers)
        deep = [i for i in (8, 16, 24) if i < layers] if at is None else at
    for i in deep:
        connector += merged(f"layer{i}_", hidden, out, merge, norm="layer", norm_width=hidden * merge * merge)
    return Tower(
        name="vision",
        hidden=hidden,
        patch=patch,
        merge=merge,
        resize=WithinPixels(least=256 * 256, most=4096 * 4096),
        stem=(patches(c, patch, hidden, bias=True, frames=side(c, "temporal_patch_size", 2)),),
        positions=c.optional("num_position_embeddings", default=2304),
        stack=(Layers(name="block", count=layers, block=block),),
        connector=connector,
    )


@seen_by("qwen2_vl")
def qwen2_vl(outer: Config, c: Config, width: int) -> Tower:
    """Qwen2-VL (arXiv:2409.12191): plain layers over pairs of frames, rotary positions, squares of patches merged."""
    del outer
    hidden, patch, merge = c.optional("embed_dim", default=1280), side(c, "patch_size", 14), c.optional("spatial_merge_size", default=2)
    ffn = PlainMLP(width=c.optional("mlp_ratio", default=4) * hidden, bias="both")
    attention = sees_all(heads_of(c, hidden, 16, "num_heads", "num_attention_heads"), hidden, biases=ALL)
    out = c.optional("hidden_size", default=width, why="width of the text model")
    return Tower(
        name="vision",
        hidden=hidden,
        patch=patch,
        merge=merge,
        resize=WithinPixels(least=56 * 56, most=28 * 28 * 1280),
        stem=(patches(c, patch, hidden, bias=False, frames=side(c, "temporal_patch_size", 2)),),
        stack=(Layers(name="block", count=c.optional("depth", default=32), block=Block(attention=attention, ffn=ffn, norm="layer")),),
        connector=merged("", hidden, out, merge, norm="layer", norm_width=hidden),
    )


@seen_by("glm4v", "glm4v_moe", "glm46v", "glmga")
def glm4v(outer: Config, c: Config, width: int) -> Tower:
    """GLM-4.1V and 4.5V (arXiv:2507.01006): learned positions, gated MLPs, a convolution that merges squares of patches, a gated merger."""
    del outer
    hidden, patch, merge = c.optional("hidden_size", default=1536), side(c, "patch_size", 14), c.optional("spatial_merge_size", default=2)
    image, out = side(c, "image_size", 336), c.optional("out_hidden_size", default=width, why="width of the text model")
    biases = ("q", "k", "v") if c.flag("attention_bias", default=False) else ()
    attention = sees_all(heads_of(c, hidden, 12, "num_heads", "num_attention_heads"), hidden, biases=biases)
    inner, rows = c.optional("intermediate_size", default=13696), 1.0 / merge**2
    products = (
        Projection(name="downsample", inner=hidden * merge**2, cols=out, bias="bias", rows=rows, norm_width=hidden, norm="rms"),
        Projection(name="merge", inner=out, cols=out, rows=rows),
        Projection(name="gate", inner=out, cols=inner, rows=rows, norm_width=out, norm="layer"),
        Projection(name="up", inner=out, cols=inner, rows=rows),
        Projection(name="out", inner=inner, cols=out, rows=rows),
    )
    return Tower(
        name="vision",
        hidden=hidden,
        patch=patch,
        merge=merge,
        resize=WithinPixels(least=112 * 112 // 2, most=28 * 28 * 15000 // 2),  # an image counts as two frames
        stem=(patches(c, patch, hidden, bias=True, frames=side(c, "temporal_patch_size", 2)),),
        stem_norm="rms",
        positions=(image // patch) ** 2,
        stack=(Layers(name="block", count=c.optional("depth", default=24), block=Block(attention=attention, ffn=GatedMLP(width=out))),),
        connector=products,
    )


@seen_by("kimi_k25", "kimi_vl")
def kimi(outer: Config, c: Config, width: int) -> Tower:
    """Kimi's MoonViT (arXiv:2504.07491): images of any shape, learned positions on a grid, squares of patches merged by two products."""
    del outer
    hidden, patch = c.optional("hidden_size", default=1152), side(c, "patch_size", 14)
    merge = side(c, "merge_kernel_size", 2)
    ffn = PlainMLP(width=c.optional("intermediate_size", default=4304), bias="both")
    block = Block(attention=sees_all(heads_of(c, hidden, 16), hidden, biases=ALL), ffn=ffn, norm="layer")
    grid = c.optional("pos_emb_height", "init_pos_emb_height", default=64) * c.optional("pos_emb_width", "init_pos_emb_width", default=64)
    return Tower(
        name="vision",
        hidden=hidden,
        patch=patch,
        merge=merge,
        resize=PatchBudget(patch=patch, most=16384, along=512),
        stem=(patches(c, patch, hidden, bias=True),),
        positions=grid,
        stack=(Layers(name="block", count=c.optional("num_hidden_layers", default=27), block=block),),
        norm="layer",
        connector=merged("", hidden, width, merge, norm="layer", norm_width=hidden),
    )


@seen_by("mistral3", "pixtral")
def mistral3(outer: Config, c: Config, width: int) -> Tower:
    """Mistral 3 with Pixtral's tower (arXiv:2410.07073): images of any shape, rotary positions, gated MLPs, squares of patches merged."""
    hidden, patch = c.optional("hidden_size", default=1024), side(c, "patch_size", 16)
    merge = outer.optional("spatial_merge_size", default=2)
    ffn: FeedForward = GatedMLP(width=c.optional("intermediate_size", default=4096))
    block = Block(attention=sees_all(heads_of(c, hidden, 16), hidden), ffn=ffn)
    rows, bias = 1.0 / merge**2, outer.flag("multimodal_projector_bias", default=False)
    merging = Projection(name="merge", inner=hidden * merge**2, cols=hidden, rows=rows, norm_width=hidden, norm="rms")
    return Tower(
        name="vision",
        hidden=hidden,
        patch=patch,
        merge=merge,
        resize=LongestSide(size=side(c, "image_size", 1024)),
        stem=(patches(c, patch, hidden, bias=False),),
        stem_norm="rms",
        stack=(Layers(name="block", count=c.optional("num_hidden_layers", default=24), block=block),),
        connector=(merging, *two_layers(hidden, width, bias=bias, rows=rows)),
    )
