"""Image encoders trained alone: ViT, DeiT, DINOv2 and DINOv3, the towers of CLIP and SigLIP; and the text side of these two."""

from __future__ import annotations

from typing import Any

from ..attention.grouped_query import GroupedQueryAttention
from ..feedforward import FeedForward, GatedMLP, PlainMLP
from ..images import FixedSize
from ..layers import Block, Layers
from ..towers import Projection, Tower
from ..transformer import Embedding, Head, Model
from .config import Config
from .parts import ALL, HEADS, HIDDEN, LAYERS, split_hidden
from .reader import family
from .vision import seen_by
from .vision_clip import clip, siglip
from .vision_parts import heads_of, sees_all, side

_CLIP = {"hidden": 768, "layers": 12, "heads": 12, "width": 3072, "image": 224, "patch": 32}
_SIGLIP = {"hidden": 768, "layers": 12, "heads": 12, "width": 3072}
_NO_WORDS = 1
"""Vocabulary of a model without one."""


def _alone(c: Config, stack: tuple[Layers, ...], hidden: int, *, extra: int, placed: int | None, learned: int, usual: int = 16) -> Model:
    """An encoder whose sequence is the patches of one image, after ``extra`` learned tokens.

    Args:
        placed: number of learned tokens with a position; None for a model without a table of positions.
        learned: number of other learned elements, which are used at most once per image.
        usual: class default for the side of a patch [pixel].
    """
    image, patch = side(c, "image_size", 224), side(c, "patch_size", usual)
    c.at_most("patch_size", patch, "image_size", image)
    number, inner = (image // patch) ** 2, c.optional("num_channels", default=3) * patch**2
    c.note(f"its sequence is patches: an image of {image} × {image} pixels has seq_len={number + extra}")
    embedding = Embedding(
        patch=inner,
        patch_share=number / (number + extra),
        patch_bias="hidden",
        learned=extra * hidden + learned,
        positions=0 if placed is None else number + placed,
    )
    return Model(hidden=hidden, vocab=_NO_WORDS, stack=stack, embedding=embedding, head=Head(weights="none", norm="layer"))


def _top(c: Config, hidden: int, pooler: int) -> int:
    """Parameters of a classifier or a pooler after the last norm. They read one token per image, and their FLOPs are left out."""
    names: Any = c.data.get("architectures") or [""]
    c.ignore("architectures", "encoder_stride", "pooler_output_size", "pooler_act")
    if not isinstance(names, list) or not isinstance(names[0], str):
        raise c.fail("architectures", "must be a list of class names", 'give ["ViTModel"]', "wrong-type")
    if names[0].endswith("ForImageClassification") and c.data.get("model_type") in ("vit", "deit"):
        labels = len(c.data["id2label"]) if isinstance(c.data.get("id2label"), dict) else c.optional("num_labels", default=2)
        c.note(f"a classifier of {labels} labels: stored, and left out of FLOPs, since it reads one token per image")
        return (hidden + 1) * labels
    if names[0] and not names[0].endswith("Model"):
        raise c.fail(
            "architectures", "has a head that trainsim can't convert", "leave architectures out to get the encoder alone", "unsupported"
        )
    if pooler:
        c.note("a pooler: stored, and left out of FLOPs, since it reads one token per image")
    return (hidden + 1) * pooler


@family("vit", "deit")
def vit(c: Config) -> Model:
    """ViT (arXiv:2010.11929), and DeiT (arXiv:2012.12877) with a second learned token."""
    hidden = c.size(*HIDDEN)
    attention = sees_all(heads_of(c, hidden, 12), hidden, biases=ALL if c.flag("qkv_bias", default=True) else ("o",))
    block = Block(attention=attention, ffn=PlainMLP(width=c.size("intermediate_size"), bias="both"), norm="layer")
    stack = (Layers(name="block", count=c.layers(*LAYERS), block=block),)
    top = _top(c, hidden, c.optional("pooler_output_size", default=hidden, why="hidden"))
    extra = 2 if c.data.get("model_type") == "deit" else 1
    return _alone(c, stack, hidden, extra=extra, placed=extra, learned=top)


@family("dinov2", "dinov2_with_registers")
def dinov2(c: Config) -> Model:
    """DINOv2 (arXiv:2304.07193), and with register tokens (arXiv:2309.16588): layer scales, a token for masked patches."""
    hidden, ratio = c.size(*HIDDEN), c.optional("mlp_ratio", default=4)
    attention = sees_all(heads_of(c, hidden, 12), hidden, biases=ALL if c.flag("qkv_bias", default=True) else ("o",))
    gated = c.flag("use_swiglu_ffn", default=False)
    ffn: FeedForward = (
        GatedMLP(width=(2 * hidden * ratio // 3 + 7) // 8 * 8, bias="both") if gated else PlainMLP(width=hidden * ratio, bias="both")
    )
    stack = (Layers(name="block", count=c.layers(*LAYERS), block=Block(attention=attention, ffn=ffn, norm="layer", scales=2 * hidden)),)
    c.ignore("layerscale_value", "drop_path_rate", "apply_layernorm", "reshape_hidden_states", "out_features", "out_indices", "stage_names")
    registered = c.data.get("model_type") == "dinov2_with_registers"
    registers = c.count("num_register_tokens", default=4) if registered else 0
    mask = hidden if registered or c.flag("use_mask_token", default=True) else 0
    return _alone(c, stack, hidden, extra=1 + registers, placed=1, learned=mask + _top(c, hidden, 0), usual=16 if registered else 14)


@family("dinov3_vit")
def dinov3(c: Config) -> Model:
    """DINOv3 (arXiv:2508.10104): rotary positions, register tokens, a switch for the bias of each projection."""
    hidden = c.size(*HIDDEN)
    switches = (("q", "query_bias", True), ("k", "key_bias", False), ("v", "value_bias", True), ("o", "proj_bias", True))
    attention = sees_all(heads_of(c, hidden, 6), hidden, biases=tuple(name for name, key, on in switches if c.flag(key, default=on)))
    kind = GatedMLP if c.flag("use_gated_mlp", default=False) else PlainMLP
    ffn = kind(width=c.size("intermediate_size"), bias="both" if c.flag("mlp_bias", default=True) else "none")
    stack = (Layers(name="block", count=c.layers(*LAYERS), block=Block(attention=attention, ffn=ffn, norm="layer", scales=2 * hidden)),)
    c.ignore("layerscale_value", "drop_path_rate", "apply_layernorm", "reshape_hidden_states", "pos_embed_shift", "pos_embed_jitter")
    c.ignore("pos_embed_rescale", "out_features", "out_indices", "stage_names")
    extra = 1 + c.count("num_register_tokens")
    return _alone(c, stack, hidden, extra=extra, placed=None, learned=hidden + _top(c, hidden, 0))


@family("clip_vision_model")
def clip_vision(c: Config) -> Model:
    """CLIP's image encoder (arXiv:2103.00020)."""
    tower = clip(c, _fixed, _nothing, sizes=_CLIP)
    c.ignore("projection_dim")
    return _of_tower(c, tower)


@family("siglip_vision_model")
def siglip_vision(c: Config) -> Model:
    """SigLIP's image encoder (arXiv:2303.15343)."""
    return _of_tower(c, siglip(c, _fixed, 1, _nothing, _SIGLIP))


def _of_tower(c: Config, tower: Tower) -> Model:
    """A tower as a model that is trained alone."""
    patches = (tower.positions - tower.extra) or 1
    c.ignore("architectures")
    c.note(f"its sequence is patches: an image has seq_len={tower.positions}")
    stem = tower.stem[0]
    embedding = Embedding(
        patch=stem.inner,
        patch_share=patches / tower.positions,
        patch_bias="hidden" if stem.bias == "bias" else "none",
        learned=tower.extra * tower.hidden + tower.scales,
        positions=tower.positions,
        norm=tower.stem_norm,
    )
    return Model(hidden=tower.hidden, vocab=_NO_WORDS, stack=tower.stack, embedding=embedding, head=Head(weights="none", norm=tower.norm))


def _fixed(size: int) -> FixedSize:
    return FixedSize(size=size)


def _nothing(hidden: int) -> tuple[Projection, ...]:
    del hidden
    return ()


# both sides ------------------------------------------------------------------------------------------------------------


@family("clip_text_model", "siglip_text_model")
def text_side(c: Config) -> Model:
    """The text side of CLIP (causal) or of SigLIP (bidirectional), with a projection of one token per text."""
    hidden, heads = c.size(*HIDDEN), c.size(*HEADS)
    causal = c.data.get("model_type") == "clip_text_model"
    attention = GroupedQueryAttention(
        heads=heads, kv_heads=heads, head_dim=split_hidden(c, heads), biases=ALL, direction="causal" if causal else "both"
    )
    block = Block(attention=attention, ffn=PlainMLP(width=c.size("intermediate_size"), bias="both"), norm="layer")
    key = "projection_dim" if causal else "projection_size"
    width = c.optional(key, default=512 if causal else hidden, why="class default")
    learned = 0
    if c.nested or not causal:
        c.note("the projection of a text: stored, and left out of FLOPs, since it reads one token per text")
        learned = hidden * width + (0 if causal else width)
    if c.nested:
        learned += 1 if causal else 2  # a temperature, and SigLIP's bias
    embedding = Embedding(positions=c.optional("max_position_embeddings", default=77 if causal else 64), learned=learned)
    stack = (Layers(name="block", count=c.layers(*LAYERS), block=block),)
    return Model(hidden=hidden, vocab=c.size("vocab_size"), stack=stack, embedding=embedding, head=Head(weights="none", norm="layer"))


@seen_by("clip")
def clip_side(outer: Config, c: Config, width: int) -> Tower:
    """CLIP's image side, with a projection of one token per image."""
    del width
    out = outer.optional("projection_dim", default=512)
    tower = clip(c, _fixed, _nothing, sizes=_CLIP)
    once = 1.0 / (tower.positions - tower.extra)
    return tower.replace({"connector": (Projection(name="out", inner=tower.hidden, cols=out, rows=once),)})


@seen_by("siglip")
def siglip_side(outer: Config, c: Config, width: int) -> Tower:
    """SigLIP's image side, whose pooling head gives the vector of an image."""
    del outer, width
    return siglip(c, _fixed, 1, _nothing, _SIGLIP)
