"""Vision towers of multimodal configs: one small reader per wrapper."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from ..attention.grouped_query import GroupedQueryAttention
from ..feedforward import FeedForward, GatedMLP, PlainMLP
from ..images import BestFit, FixedSize, LongestSide, Resize, SplitLongest, Tiles, WithinPixels
from ..layers import Block, Layers, Norm, stack_of
from ..towers import Projection, Tower
from .config import Config

Reader = Callable[[Config, Config, int], Tower]
"""The whole config, its ``vision_config`` and the width of the text model → tower."""
READERS: dict[str, Reader] = {}
"""``model_type`` of a wrapper → what reads its vision tower."""


def seen_by(*wrappers: str) -> Callable[[Reader], Reader]:
    """Register a reader for some wrappers."""

    def register(reader: Reader) -> Reader:
        READERS.update(dict.fromkeys(wrappers, reader))
        return reader

    return register


def towers_of(config: Mapping[str, Any], path: str, hidden: int) -> tuple[tuple[Tower, ...], tuple[str, ...]]:
    """The vision tower of a multimodal config, and notes.

    Args:
        config: the whole config.
        path: where it came from, for errors.
        hidden: width of the text model.

    Returns:
        no tower where the config has none, or where its wrapper's isn't mapped, which a note says.
    """
    inner, wrapper = config.get("vision_config"), str(config.get("model_type"))
    if not isinstance(inner, Mapping):
        return (), ()
    if wrapper not in READERS:
        return (), (f"the vision tower of {wrapper} is not mapped: left out",)
    outer, vision = Config(config, path), Config(inner, f"{path}.vision_config")
    tower = READERS[wrapper](outer, vision, hidden)
    counted = "vision tower: left out of totals unless towers='all'"
    return (tower,), (counted, *(f"vision tower: {note}" for note in (*outer.notes, *vision.notes)))


# shared ------------------------------------------------------------------------------------------------------------


def _side(c: Config, key: str, default: int) -> int:
    """A size in pixels, given once or for both sides."""
    value = c.data.get(key)
    if isinstance(value, Sequence) and not isinstance(value, str) and len(set(value)) == 1:
        return Config({key: value[0]}, c.path).size(key)
    return c.optional(key, default=default)


def _sees_all(heads: int, hidden: int, **rest: Any) -> GroupedQueryAttention:
    """Attention of every patch to every patch."""
    return GroupedQueryAttention(heads=heads, kv_heads=heads, head_dim=hidden // heads, direction="both", **rest)


def _heads(c: Config, hidden: int, default: int, *names: str) -> int:
    heads = c.optional(*(names or ("num_attention_heads",)), default=default)
    c.divides(c.called(*(names or ("num_attention_heads",))), heads, "hidden_size", hidden)
    return heads


ALL: tuple[Literal["q", "k", "v", "o"], ...] = ("q", "k", "v", "o")


def _plain(c: Config, *, hidden: int, layers: int, heads: int, width: int) -> tuple[int, tuple[Layers, ...]]:
    """A stack of pre-norm layers with biases everywhere, as in ViT; the sizes are class defaults."""
    hidden = c.optional("hidden_size", default=hidden)
    attention = _sees_all(_heads(c, hidden, heads), hidden, biases=ALL)
    ffn = PlainMLP(width=c.optional("intermediate_size", default=width), bias="both")
    number = c.optional("num_hidden_layers", default=layers)
    return hidden, (Layers(name="block", count=number, block=Block(attention=attention, ffn=ffn, norm="layer")),)


def _patches(c: Config, patch: int, hidden: int, *, bias: bool, frames: int = 1) -> Projection:
    channels = c.optional("num_channels", "in_channels", "in_chans", default=3)
    return Projection(name="patches", inner=channels * frames * patch * patch, cols=hidden, bias="bias" if bias else "none")


def _two_layers(inner: int, width: int, *, bias: bool, **first: Any) -> tuple[Projection, Projection]:
    """A product to the text model's width, an activation, and another product."""
    has: Literal["bias", "none"] = "bias" if bias else "none"
    rows = first.get("rows", 1.0)
    return (
        Projection(name="connect", inner=inner, cols=width, bias=has, **first),
        Projection(name="out", inner=width, cols=width, bias=has, rows=rows),
    )


# Qwen --------------------------------------------------------------------------------------------------------------


def _merged(name: str, hidden: int, out: int, merge: int, *, norm: Norm, norm_width: int) -> tuple[Projection, Projection]:
    """Patches merged in squares, and two products with biases over the merged ones."""
    wide, rows = hidden * merge * merge, 1.0 / merge**2
    return (
        Projection(name=f"{name}merge", inner=wide, cols=wide, bias="bias", rows=rows, norm_width=norm_width, norm=norm),
        Projection(name=f"{name}out", inner=wide, cols=out, bias="bias", rows=rows),
    )


@seen_by("qwen2_5_vl")
def qwen2_5_vl(outer: Config, c: Config, width: int) -> Tower:
    """Qwen2.5-VL (arXiv:2502.13923): windows of 112 pixels in most layers, RMS norms, gated MLPs with biases."""
    del outer
    hidden, patch, merge = c.optional("hidden_size", default=3584), _side(c, "patch_size", 14), c.optional("spatial_merge_size", default=2)
    heads = _heads(c, hidden, 16, "num_heads", "num_attention_heads")
    ffn = GatedMLP(width=c.optional("intermediate_size", default=3420), bias="both")
    full = Block(attention=_sees_all(heads, hidden, biases=ALL), ffn=ffn)
    window = (c.optional("window_size", default=112) // patch // merge * merge) ** 2
    windowed = Block(attention=_sees_all(heads, hidden, biases=ALL, chunk=window), ffn=ffn)
    layers = c.optional("depth", "num_hidden_layers", default=32)
    at = set(c.positions("fullatt_block_indexes", layers) or [i for i in (7, 15, 23, 31) if i < layers])
    out = c.optional("out_hidden_size", default=width, why="width of the text model")
    return Tower(
        name="vision",
        hidden=hidden,
        patch=patch,
        merge=merge,
        resize=WithinPixels(least=56 * 56, most=28 * 28 * 16384),
        stem=(_patches(c, patch, hidden, bias=False, frames=_side(c, "temporal_patch_size", 2)),),
        stack=stack_of([("full", full) if i in at else ("windows", windowed) for i in range(layers)]),
        connector=_merged("", hidden, out, merge, norm="rms", norm_width=hidden),
    )


@seen_by("qwen3_vl", "qwen3_vl_moe", "qwen3_5", "qwen3_5_moe")
def qwen3_vl(outer: Config, c: Config, width: int) -> Tower:
    """Qwen3-VL (arXiv:2511.21631) and Qwen3.5: learned positions; Qwen3-VL hands outputs of some layers on by mergers of their own."""
    hidden, patch, merge = c.optional("hidden_size", default=1152), _side(c, "patch_size", 16), c.optional("spatial_merge_size", default=2)
    attention = _sees_all(_heads(c, hidden, 16, "num_heads", "num_attention_heads"), hidden, biases=ALL)
    block = Block(attention=attention, ffn=PlainMLP(width=c.optional("intermediate_size", default=4304), bias="both"), norm="layer")
    layers = c.optional("depth", "num_hidden_layers", default=27)
    out = c.optional("out_hidden_size", default=width, why="width of the text model")
    connector = list(_merged("", hidden, out, merge, norm="layer", norm_width=hidden))
    deep: Sequence[int] = ()
    if outer.data.get("model_type") in ("qwen3_vl", "qwen3_vl_moe"):
        at = c.positions("deepstack_visual_indexes", layers)
        deep = [i for i in (8, 16, 24) if i < layers] if at is None else at
    for i in deep:
        connector += _merged(f"layer{i}_", hidden, out, merge, norm="layer", norm_width=hidden * merge * merge)
    return Tower(
        name="vision",
        hidden=hidden,
        patch=patch,
        merge=merge,
        resize=WithinPixels(least=256 * 256, most=4096 * 4096),
        stem=(_patches(c, patch, hidden, bias=True, frames=_side(c, "temporal_patch_size", 2)),),
        positions=c.optional("num_position_embeddings", default=2304),
        stack=(Layers(name="block", count=layers, block=block),),
        connector=connector,
    )


# SigLIP and CLIP ---------------------------------------------------------------------------------------------------


def _siglip(
    c: Config, resize: Callable[[int], Resize], merge: int, connector: Callable[[int], Sequence[Projection]], **sizes: int
) -> Tower:
    """SigLIP (arXiv:2303.15343): positions for every patch, no class token, a norm at the end."""
    image, patch = _side(c, "image_size", 224), _side(c, "patch_size", sizes.pop("patch", 16))
    if c.has("vision_use_head") and c.flag("vision_use_head", default=True):
        raise c.fail("vision_use_head", "asks for a pooling head, which is not mapped", "give false: no text model sees it")
    hidden, stack = _plain(c, **sizes)
    return Tower(
        name="vision",
        hidden=hidden,
        patch=patch,
        merge=merge,
        resize=resize(image),
        stem=(_patches(c, patch, hidden, bias=True),),
        positions=(image // patch) ** 2,
        stack=stack,
        norm="layer",
        connector=connector(hidden),
    )


_SIGLIP = {"hidden": 768, "layers": 12, "heads": 12, "width": 3072}


@seen_by("gemma3")
def gemma3(outer: Config, c: Config, width: int) -> Tower:
    """Gemma 3 (arXiv:2503.19786): SigLIP at one size, its patches pooled to a fixed number of tokens, a norm and one product."""
    image, patch = _side(c, "image_size", 224), _side(c, "patch_size", 16)
    side = round(outer.optional("mm_tokens_per_image", default=256) ** 0.5)
    merge = max(1, image // patch // side)

    def connector(hidden: int) -> Sequence[Projection]:
        return (Projection(name="out", inner=hidden, cols=width, rows=1.0 / merge**2, norm_width=hidden, norm="rms"),)

    return _siglip(c, lambda size: FixedSize(size=size), merge, connector, **_SIGLIP)


@seen_by("paligemma")
def paligemma(outer: Config, c: Config, width: int) -> Tower:
    """PaliGemma (arXiv:2407.07726): SigLIP at one size and one product with a bias."""
    del outer

    def connector(hidden: int) -> Sequence[Projection]:
        return (Projection(name="out", inner=hidden, cols=width, bias="bias"),)

    return _siglip(c, lambda size: FixedSize(size=size), 1, connector, **_SIGLIP)


@seen_by("idefics3", "smolvlm")
def smolvlm(outer: Config, c: Config, width: int) -> Tower:
    """Idefics 3 (arXiv:2408.12637) and SmolVLM (arXiv:2504.05299): SigLIP over squares of a large image, patches shuffled together."""
    merge = outer.optional("scale_factor", default=2)

    def connector(hidden: int) -> Sequence[Projection]:
        return (Projection(name="out", inner=hidden * merge**2, cols=width, rows=1.0 / merge**2),)

    sizes = {"hidden": 1152, "layers": 12, "heads": 16, "width": 3072, "patch": 32}
    return _siglip(c, lambda size: SplitLongest(longest=4 * size, size=size), merge, connector, **sizes)


@seen_by("llava")
def llava(outer: Config, c: Config, width: int) -> Tower:
    """LLaVA 1.5 (arXiv:2310.03744): CLIP with a class token and norms at both ends, two products."""
    image, patch = _side(c, "image_size", 336), _side(c, "patch_size", 14)
    c.fixed("model_type", "clip_vision_model")
    hidden, stack = _plain(c, hidden=1024, layers=24, heads=16, width=4096)
    features = outer.data.get("vision_feature_layer", -2)
    number = len(features) if isinstance(features, list) else 1
    return Tower(
        name="vision",
        hidden=hidden,
        patch=patch,
        resize=FixedSize(size=image),
        stem=(_patches(c, patch, hidden, bias=False),),
        extra=1,
        positions=(image // patch) ** 2 + 1,
        stem_norm="layer",
        stack=stack,
        norm="layer",
        connector=_two_layers(hidden * number, width, bias=outer.flag("multimodal_projector_bias", default=True)),
    )


# others ------------------------------------------------------------------------------------------------------------


@seen_by("mistral3", "pixtral")
def mistral3(outer: Config, c: Config, width: int) -> Tower:
    """Mistral 3 with Pixtral's tower (arXiv:2410.07073): images of any shape, rotary positions, gated MLPs, squares of patches merged."""
    hidden, patch = c.optional("hidden_size", default=1024), _side(c, "patch_size", 16)
    merge = outer.optional("spatial_merge_size", default=2)
    ffn: FeedForward = GatedMLP(width=c.optional("intermediate_size", default=4096))
    block = Block(attention=_sees_all(_heads(c, hidden, 16), hidden), ffn=ffn)
    rows, bias = 1.0 / merge**2, outer.flag("multimodal_projector_bias", default=False)
    merging = Projection(name="merge", inner=hidden * merge**2, cols=hidden, rows=rows, norm_width=hidden, norm="rms")
    return Tower(
        name="vision",
        hidden=hidden,
        patch=patch,
        merge=merge,
        resize=LongestSide(size=_side(c, "image_size", 1024)),
        stem=(_patches(c, patch, hidden, bias=False),),
        stem_norm="rms",
        stack=(Layers(name="block", count=c.optional("num_hidden_layers", default=24), block=block),),
        connector=(merging, *_two_layers(hidden, width, bias=bias, rows=rows)),
    )


@seen_by("llama4")
def llama4(outer: Config, c: Config, width: int) -> Tower:
    """Llama 4 (Meta 2025): squares of one size with a class token each, squares of patches shuffled together."""
    del outer
    image, patch = _side(c, "image_size", 448), _side(c, "patch_size", 14)
    hidden, stack = _plain(c, hidden=768, layers=34, heads=16, width=5632)
    given, out = c.optional("projector_input_dim", default=4096), c.optional("projector_output_dim", default=4096)
    ratio = c.data.get("pixel_shuffle_ratio", 0.5)
    merge = round(1 / ratio)
    rows = 1.0 / merge**2
    wide = c.optional("intermediate_size", default=5632)
    seen = c.optional("vision_output_dim", default=7680)
    return Tower(
        name="vision",
        hidden=hidden,
        patch=patch,
        merge=merge,
        resize=BestFit(size=image, most=16),
        stem=(_patches(c, patch, hidden, bias=False),),
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
    image, patch = _side(c, "image_size", 448), _side(c, "patch_size", 14)
    hidden = c.optional("hidden_size", default=1024)
    bias: tuple[Any, ...] = ALL if c.flag("attention_bias", default=False) else ("o",)
    qk_norm = "full" if c.flag("use_qk_norm", default=False) else "none"
    attention = _sees_all(_heads(c, hidden, 16), hidden, biases=bias, qk_norm=qk_norm)
    norm: Norm = "rms" if c.data.get("norm_type") == "rms_norm" else "layer"
    ffn = PlainMLP(width=c.optional("intermediate_size", default=4096), bias="both")
    block = Block(attention=attention, ffn=ffn, norm=norm, scales=2 * hidden)
    ratio = outer.data.get("downsample_ratio", 0.5)
    merge = int(1 / ratio)
    wide = hidden * merge**2
    positions = ((image // patch) ** 2 + 1) * hidden if c.flag("use_absolute_position_embeddings", default=True) else 0
    masks = hidden if c.flag("use_mask_token", default=False) else 0
    return Tower(
        name="vision",
        hidden=hidden,
        patch=patch,
        merge=merge,
        resize=Tiles(size=image, most=12),
        stem=(_patches(c, patch, hidden, bias=True),),
        extra=1,
        scales=positions + masks,
        stack=(Layers(name="block", count=c.optional("num_hidden_layers", default=24), block=block),),
        norm=None if c.flag("use_mean_pooling", default=True) else "layer",
        connector=_two_layers(wide, width, bias=True, rows=1.0 / merge**2, norm_width=wide, norm="layer"),
    )
