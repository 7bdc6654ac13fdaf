"""Readers that families share: attention and experts by the common keys, stacks of several kinds of layers, the head."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from ..attention.base import Attention
from ..attention.grouped_query import GroupedQueryAttention
from ..feedforward import FeedForward, GatedMLP, MixtureOfExperts
from ..layers import Block, Layers, stack_of
from ..transformer import Head, Model, MultiTokenPrediction
from .config import Config

HIDDEN = ("hidden_size", "n_embd", "n_embed", "d_model")
LAYERS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers")
HEADS = ("num_attention_heads", "n_head", "n_heads")
KEY_HEADS = ("num_key_value_heads", "num_kv_heads", "n_head_kv")
TOP_K = ("num_experts_per_tok", "num_experts_per_token", "experts_per_token", "moe_topk", "moe_top_k", "moe_k")
Projection = Literal["q", "k", "v", "o"]
ALL: tuple[Projection, ...] = ("q", "k", "v", "o")

Mixers = Sequence[tuple[str, Attention]]
"""The attention of each layer, first to last, with its label: "" for plain attention."""
Channels = Sequence[tuple[str, FeedForward]]
"""The feed-forward of each layer with its label: dense or moe."""


# attention ---------------------------------------------------------------------------------------------------------


def grouped_query(c: Config, *, kv: int | None = None, head: int | None = None, **rest: Any) -> GroupedQueryAttention:
    """Attention by the common keys.

    Args:
        kv: the class default of key heads; None for one per query head.
        head: the class default of the head size; None for hidden / heads.
        rest: further fields of :class:`GroupedQueryAttention`.
    """
    heads = c.size(*HEADS)
    return GroupedQueryAttention(heads=heads, kv_heads=key_heads(c, heads, kv), head_dim=head_dim(c, heads, head), **rest)


def key_heads(c: Config, heads: int, default: int | None = None) -> int:
    """The number of key heads, which must divide the number of query heads; null means one per query head."""
    key = c.called(*KEY_HEADS)
    if c.null(key):
        return heads
    why = "one per query head" if default is None else "class default"
    kv_heads = c.optional(key, default=default or heads, why=why)
    c.at_most(key, kv_heads, "num_attention_heads", heads)
    c.divides(key, kv_heads, "num_attention_heads", heads)
    return kv_heads


def head_dim(c: Config, heads: int, default: int | None = None) -> int:
    """``head_dim``; if left out, the class default; if null or without a default, hidden / heads."""
    if c.has("head_dim"):
        return c.size("head_dim")
    known = c.default("head_dim") if default is None else default
    if known is not None and not c.null("head_dim"):
        return c.optional("head_dim", default=known)
    return split_hidden(c, heads)


def split_hidden(c: Config, heads: int) -> int:
    """``hidden / heads``, which must be a whole number."""
    hidden = c.size(*HIDDEN)
    c.divides(c.called(*HEADS), heads, "hidden_size", hidden)
    c.fixed("head_dim", hidden // heads)
    return hidden // heads


def multi_head(c: Config, projections: Sequence[Projection]) -> GroupedQueryAttention:
    """Attention with a key head per query head, biases on some projections."""
    heads = c.size(*HEADS)
    c.fixed(c.called(*KEY_HEADS), heads)
    return GroupedQueryAttention(heads=heads, kv_heads=heads, head_dim=split_hidden(c, heads), biases=tuple(projections))


def biases(c: Config, *projections: str, key: str = "attention_bias", default: bool = False) -> tuple[Any, ...]:
    """The given projections if a flag says that they have a bias, else none."""
    return projections if c.flag(key, default=default) else ()


# layers of several kinds -------------------------------------------------------------------------------------------


def alike(layers: int, label: str, part: Any) -> Any:
    """The same part in every layer."""
    return [(label, part)] * layers


def every_nth_full(layers: int, period: int) -> list[str]:
    """``period − 1`` sliding layers, then one full layer, repeated."""
    return ["full_attention" if (i + 1) % period == 0 else "sliding_attention" for i in range(layers)]


def by_type(
    c: Config, attention: GroupedQueryAttention, types: Sequence[str], *, window: int | None = None, chunk: int | None = None
) -> Mixers:
    """The attention of each layer, as listed in ``layer_types``.

    Raises:
        ConfigError: sliding or chunked layers without the width of their window or chunk.
    """
    kinds: dict[str, tuple[str, Attention]] = {"full_attention": ("", attention)}
    if window is not None:
        kinds["sliding_attention"] = ("sliding", attention.replace({"window": window}))
    if chunk is not None:
        kinds["chunked_attention"] = ("chunked", attention.replace({"chunk": chunk}))
    if lacking := set(types) - set(kinds):
        need = "sliding_window" if "sliding_attention" in lacking else "attention_chunk_size"
        raise c.fail("layer_types", f"contains {min(lacking)}, which needs {need}", f"give {need} as a positive integer")
    return [kinds[word] for word in types]


def stack(mixers: Mixers, channels: Channels, **around: Any) -> tuple[Layers, ...]:
    """The stack, from the attention and the feed-forward of each layer; kinds are named by their labels: dense, moe, sliding-moe."""
    blocks: dict[str, Block] = {}
    kinds = []
    for (mixer, attention), (channel, ffn) in zip(mixers, channels, strict=True):
        name = "-".join(word for word in (mixer, channel if channel != "dense" or not mixer else "") if word)
        if name not in blocks:
            blocks[name] = Block(attention=attention, ffn=ffn, **around)
        kinds.append((name, blocks[name]))
    return stack_of(kinds)


# feed-forward ------------------------------------------------------------------------------------------------------


def gated(c: Config, key: str = "intermediate_size", *, bias: bool = False) -> GatedMLP:
    """A gated MLP of the width a key gives."""
    return GatedMLP(width=c.size(key), bias="both" if bias else "none")


def routed(c: Config, *keys: str, width: str = "intermediate_size", **rest: Any) -> MixtureOfExperts:
    """Experts by the common keys.

    Args:
        keys: this family's names of the number of experts.
        width: its name of their width.
        rest: further fields of :class:`MixtureOfExperts`.
    """
    number, top_k = experts(c, *keys)
    return MixtureOfExperts(experts=number, top_k=top_k, width=c.size(width), **rest)


def experts(c: Config, *keys: str) -> tuple[int, int]:
    """The number of experts, and the number that each token uses."""
    number, top_k = c.size(*keys), c.size(*TOP_K)
    c.at_most(c.called(*TOP_K), top_k, c.called(*keys), number)
    return number, top_k


def leading_dense(c: Config, layers: int, dense: FeedForward, moe: FeedForward, *, default: int) -> Channels:
    """``first_k_dense_replace`` dense layers, then experts in every ``moe_layer_freq``-th layer, counted from layer 0."""
    leading = c.count("first_k_dense_replace", default=default)
    if c.has("first_k_dense_replace"):
        c.at_most("first_k_dense_replace", leading, "num_hidden_layers", layers)
    every = c.optional("moe_layer_freq", default=1)
    return [("moe", moe) if i >= leading and i % every == 0 else ("dense", dense) for i in range(layers)]


def stepped(c: Config, layers: int, dense: FeedForward, moe: FeedForward) -> Channels:
    """Experts in every ``decoder_sparse_step``-th layer, except the ``mlp_only_layers`` (Qwen)."""
    step = c.optional("decoder_sparse_step", default=1)
    listed = set(c.positions("mlp_only_layers", layers) or ())
    return [("moe", moe) if i not in listed and (i + 1) % step == 0 else ("dense", dense) for i in range(layers)]


# the model ---------------------------------------------------------------------------------------------------------


def assemble(c: Config, layers: tuple[Layers, ...], *, tied: bool, head: Mapping[str, Any] | None = None, **rest: Any) -> Model:
    """The model around the given layers.

    Args:
        tied: the class default of ``tie_word_embeddings``.
        head: further fields of :class:`Head`.
        rest: further fields of :class:`Model`.
    """
    weights: Literal["tied", "own"] = "tied" if c.flag("tie_word_embeddings", default=tied) else "own"
    return Model(hidden=c.size(*HIDDEN), vocab=c.size("vocab_size"), stack=layers, head=Head(weights=weights, **(head or {})), **rest)


def own_head(c: Config, model: Model) -> Model:
    """The model with an untied head, for families whose class ignores ``tie_word_embeddings``."""
    if model.head.weights == "own":
        return model
    c.note("tie_word_embeddings is true: ignored, since this class always has its own head")
    return model.replace({"head.weights": "own"})


def prediction_modules(c: Config, last: Block) -> MultiTokenPrediction | None:
    """Multi-token-prediction modules with a block like the last layer's."""
    depth = c.count("num_nextn_predict_layers", "num_mtp_layers")
    return MultiTokenPrediction(depth=depth, block=last) if depth else None


def last_block(layers: tuple[Layers, ...]) -> Block:
    """The block of the last layer."""
    ends = [max(kind.positions, default=-1) for kind in layers]
    return layers[ends.index(max(ends)) if max(ends) >= 0 else -1].block
