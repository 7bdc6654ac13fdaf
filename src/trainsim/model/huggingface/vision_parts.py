"""Parts that readers of vision towers share: sizes in pixels, layers with attention among all patches, stems and connectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from ..attention.grouped_query import GroupedQueryAttention
from ..feedforward import PlainMLP
from ..layers import Block, Layers, Norm
from ..towers import Projection
from .config import Config


def side(c: Config, key: str, default: int) -> int:
    """A size in pixels, given once or for both sides."""
    value = c.data.get(key)
    if isinstance(value, Sequence) and not isinstance(value, str) and len(set(value)) == 1:
        return Config({key: value[0]}, c.path).size(key)
    return c.optional(key, default=default)


def sees_all(heads: int, hidden: int, **rest: Any) -> GroupedQueryAttention:
    """Attention of every patch to every patch."""
    return GroupedQueryAttention(heads=heads, kv_heads=heads, head_dim=hidden // heads, direction="both", **rest)


def heads_of(c: Config, hidden: int, default: int, *names: str) -> int:
    """The number of heads, which must divide the width of the stream."""
    heads = c.optional(*(names or ("num_attention_heads",)), default=default)
    c.divides(c.called(*(names or ("num_attention_heads",))), heads, "hidden_size", hidden)
    return heads


ALL: tuple[Literal["q", "k", "v", "o"], ...] = ("q", "k", "v", "o")


def plain_stack(c: Config, *, hidden: int, layers: int, heads: int, width: int) -> tuple[int, tuple[Layers, ...]]:
    """A stack of pre-norm layers with biases everywhere, as in ViT; the sizes are class defaults."""
    hidden = c.optional("hidden_size", default=hidden)
    attention = sees_all(heads_of(c, hidden, heads), hidden, biases=ALL)
    ffn = PlainMLP(width=c.optional("intermediate_size", default=width), bias="both")
    number = c.optional("num_hidden_layers", default=layers)
    return hidden, (Layers(name="block", count=number, block=Block(attention=attention, ffn=ffn, norm="layer")),)


def patches(c: Config, patch: int, hidden: int, *, bias: bool, frames: int = 1) -> Projection:
    """The product that turns patches into tokens."""
    channels = c.optional("num_channels", "in_channels", "in_chans", default=3)
    return Projection(name="patches", inner=channels * frames * patch * patch, cols=hidden, bias="bias" if bias else "none")


def two_layers(inner: int, width: int, *, bias: bool, **first: Any) -> tuple[Projection, Projection]:
    """A product to the text model's width, an activation, and another product."""
    has: Literal["bias", "none"] = "bias" if bias else "none"
    rows = first.get("rows", 1.0)
    return (
        Projection(name="connect", inner=inner, cols=width, bias=has, **first),
        Projection(name="out", inner=width, cols=width, bias=has, rows=rows),
    )


def merged(name: str, hidden: int, out: int, merge: int, *, norm: Norm, norm_width: int) -> tuple[Projection, Projection]:
    """Patches merged in squares, and two products with biases over the merged ones."""
    wide, rows = hidden * merge * merge, 1.0 / merge**2
    return (
        Projection(name=f"{name}merge", inner=wide, cols=wide, bias="bias", rows=rows, norm_width=norm_width, norm=norm),
        Projection(name=f"{name}out", inner=wide, cols=out, bias="bias", rows=rows),
    )


def merged_by(c: Config, key: str) -> int:
    """Patches along either side that become one token, from the share of patches that remains: 0.5 merges two."""
    ratio = c.data.get(key, 0.5)
    c.ignore(key)
    if isinstance(ratio, bool) or not isinstance(ratio, (int, float)) or not 0 < ratio <= 1:
        raise c.fail(key, "must be a share above 0 and up to 1", "give 0.5", "wrong-type")
    return round(1 / ratio)
