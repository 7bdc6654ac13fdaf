"""CLIP and SigLIP, and the wrappers that use them: LLaVA and its kin, Gemma 3, PaliGemma, SmolVLM, Command A Vision."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..images import FixedSize, NearestShape, Resize, SplitLongest, Tiles
from ..towers import Projection, Tower
from .config import Config
from .vision import seen_by
from .vision_parts import patches, plain_stack, side, two_layers

Connector = Callable[[int], Sequence[Projection]]
"""Width of the tower → products that project the tower's outputs to the text model."""
_SIGLIP = {"hidden": 768, "layers": 12, "heads": 12, "width": 3072}
_CLIP = {"hidden": 1024, "layers": 24, "heads": 16, "width": 4096, "image": 336, "patch": 14}


def siglip(
    c: Config, resize: Callable[[int], Resize], merge: int, connector: Connector, sizes: Mapping[str, int], *, pools: bool = True
) -> Tower:
    """SigLIP (arXiv:2303.15343): positions for every patch, no class token, a norm at the end.

    Args:
        c: the ``vision_config``.
        resize: side of a picture [pixel] → the processor's rule.
        merge: patches along either side that become one token of the text model.
        connector: products that project the tower's outputs to the text model.
        sizes: class defaults.
        pools: whether the class has a pooling head by default.
    """
    patch = side(c, "patch_size", sizes.get("patch", 16))
    given = c.size("num_patches") if c.has("num_patches") else None
    image = round(given**0.5) * patch if given else side(c, "image_size", 224)
    c.at_most("patch_size", patch, "image_size", image)
    hidden, stack = plain_stack(c, **{name: value for name, value in sizes.items() if name != "patch"})
    head = _pooling_head(c, hidden) if pools and c.flag("vision_use_head", default=True) else 0
    return Tower(
        name="vision",
        hidden=hidden,
        patch=patch,
        merge=merge,
        resize=resize(image),
        stem=(patches(c, patch, hidden, bias=True),),
        positions=given or (image // patch) ** 2,
        scales=head,
        stack=stack,
        norm="layer",
        connector=connector(hidden),
    )


def _pooling_head(c: Config, hidden: int) -> int:
    """Parameters of the attention that pools all patches into one vector. No text model runs it, so it adds no FLOPs."""
    c.note("a pooling head is stored, and its FLOPs are left out: no text model uses it (vision_use_head)")
    width = c.optional("intermediate_size", default=3072)
    return hidden + 4 * (hidden * hidden + hidden) + 2 * hidden + 2 * hidden * width + width + hidden


def clip(c: Config, resize: Callable[[int], Resize], connector: Connector, scales: int = 0, sizes: Mapping[str, int] = _CLIP) -> Tower:
    """CLIP (arXiv:2103.00020): a class token, norms at both ends; ``sizes`` are class defaults, by default LLaVA's."""
    image, patch = side(c, "image_size", sizes["image"]), side(c, "patch_size", sizes["patch"])
    c.at_most("patch_size", patch, "image_size", image)
    hidden, stack = plain_stack(c, **{name: value for name, value in sizes.items() if name not in ("image", "patch")})
    return Tower(
        name="vision",
        hidden=hidden,
        patch=patch,
        resize=resize(image),
        stem=(patches(c, patch, hidden, bias=False),),
        extra=1,
        positions=(image // patch) ** 2 + 1,
        scales=scales,
        stem_norm="layer",
        stack=stack,
        norm="layer",
        connector=connector(hidden),
    )


# LLaVA and its kin -------------------------------------------------------------------------------------------------


@seen_by("llava", "llava_next", "llava_next_video", "llava_onevision", "vipllava")
def llava(outer: Config, c: Config, width: int) -> Tower:
    """LLaVA (arXiv:2310.03744): CLIP or SigLIP, and two products. LLaVA-NeXT and OneVision cut a large image into squares and end each row
    of patches with a learned vector.
    """
    kind = outer.data.get("model_type")
    rows = width if kind in ("llava_next", "llava_next_video", "llava_onevision") else 0
    features = outer.data.get("vision_feature_layer", -2)
    number = len(features) if isinstance(features, list) else 1
    bias = True if kind == "vipllava" else outer.flag("multimodal_projector_bias", default=True)

    def resize(size: int) -> Resize:
        shapes = _shapes(outer, size) if rows else []
        return (
            NearestShape(size=size, rows=tuple(r for r, _ in shapes), columns=tuple(k for _, k in shapes))
            if shapes
            else FixedSize(size=size)
        )

    def connector(hidden: int) -> Sequence[Projection]:
        norm: dict[str, Any] = {"norm_width": hidden * number, "norm": "layer"} if kind == "vipllava" else {}
        return two_layers(hidden * number, width, bias=bias, **norm)

    if c.data.get("model_type", "clip_vision_model") == "siglip_vision_model":
        tower = siglip(c, resize, 1, connector, _SIGLIP)
        return tower.replace({"scales": tower.scales + rows})
    c.fixed("model_type", "clip_vision_model")
    return clip(c, resize, connector, rows)


def _shapes(outer: Config, size: int) -> list[tuple[int, int]]:
    """Rows and columns of squares of each size that ``image_grid_pinpoints`` lists."""
    pins = outer.data.get("image_grid_pinpoints")
    if not isinstance(pins, list):
        return []
    if any(not isinstance(pin, list) or len(pin) != 2 or not all(isinstance(n, int) and n >= size for n in pin) for pin in pins):
        raise outer.fail("image_grid_pinpoints", "is not a list of heights and widths", f"give [[{size}, {2 * size}], …]", "wrong-type")
    return [(high // size, wide // size) for high, wide in pins]


# others that use SigLIP -----------------------------------------------------------------------------------


@seen_by("gemma3")
def gemma3(outer: Config, c: Config, width: int) -> Tower:
    """Gemma 3 (arXiv:2503.19786): SigLIP at one size, its patches pooled to a fixed number of tokens, a norm and one product."""
    image, patch = side(c, "image_size", 224), side(c, "patch_size", 16)
    along = round(outer.optional("mm_tokens_per_image", default=256) ** 0.5)
    merge = max(1, image // patch // along)

    def connector(hidden: int) -> Sequence[Projection]:
        return (Projection(name="out", inner=hidden, cols=width, rows=1.0 / merge**2, norm_width=hidden, norm="rms"),)

    return siglip(c, lambda size: FixedSize(size=size), merge, connector, _SIGLIP)


@seen_by("paligemma")
def paligemma(outer: Config, c: Config, width: int) -> Tower:
    """PaliGemma (arXiv:2407.07726): SigLIP at one size and one product with a bias."""
    del outer

    def connector(hidden: int) -> Sequence[Projection]:
        return (Projection(name="out", inner=hidden, cols=width, bias="bias"),)

    return siglip(c, lambda size: FixedSize(size=size), 1, connector, _SIGLIP)


@seen_by("idefics3", "smolvlm")
def smolvlm(outer: Config, c: Config, width: int) -> Tower:
    """Idefics 3 (arXiv:2408.12637) and SmolVLM (arXiv:2504.05299): SigLIP over squares of a large image, patches shuffled together."""
    merge = outer.optional("scale_factor", default=2)

    def connector(hidden: int) -> Sequence[Projection]:
        return (Projection(name="out", inner=hidden * merge**2, cols=width, rows=1.0 / merge**2),)

    sizes = {"hidden": 1152, "layers": 12, "heads": 16, "width": 3072, "patch": 32}
    return siglip(c, lambda size: SplitLongest(longest=4 * size, size=size), merge, connector, sizes, pools=False)


@seen_by("cohere2_vision")
def cohere2_vision(outer: Config, c: Config, width: int) -> Tower:
    """Command A Vision (Cohere 2025): SigLIP over squares of a large image, patches shuffled together, a gated product."""
    merge = outer.optional("downsample_factor", default=2)
    inner = outer.optional("alignment_intermediate_size", default=36864)

    def connector(hidden: int) -> Sequence[Projection]:
        rows = 1.0 / merge**2
        gated = Projection(name="connect", inner=hidden * merge**2, cols=inner, bias="bias", rows=rows)
        return (gated, Projection(name="out", inner=inner // 2, cols=width, bias="bias", rows=rows))

    sizes = {"hidden": 1152, "layers": 27, "heads": 12, "width": 3072}
    return siglip(c, lambda size: Tiles(size=size, most=12), merge, connector, sizes)
