"""Latent attention: to keys that an indexer selects (DeepSeek-V3.2, GLM-5), and between delta rules (Kimi Linear)."""

from __future__ import annotations

from collections.abc import Sequence

from ..attention.latent import Indexer, LatentAttention
from ..feedforward import FeedForward
from ..mixers.delta import KimiDeltaAttention
from ..transformer import Model
from .config import Config
from .deepseek import latent_attention
from .parts import LAYERS, Mixers, alike, assemble, gated, last_block, own_head, prediction_modules, routed, stack
from .qwen_hybrid import TYPES, in_turn
from .reader import family


def routed_after_dense(c: Config, layers: int, *, leading: int) -> Sequence[tuple[str, FeedForward]]:
    """Dense and routed layers by ``mlp_layer_types``, or the first ``first_k_dense_replace`` dense."""
    first = c.count("first_k_dense_replace", default=leading)
    types = c.words("mlp_layer_types", ("dense", "sparse"), layers)
    types = types or ["dense" if i < first else "sparse" for i in range(layers)]
    width = c.size("moe_intermediate_size")
    shared = c.count("n_shared_experts", "num_shared_experts", default=1) * width
    names = ("n_routed_experts", "num_local_experts", "num_experts")
    c.fixed("moe_layer_freq", 1)
    if c.has("mlp_bias") and c.flag("mlp_bias", default=False):
        c.note("mlp_bias is true: ignored, since this class has no biases in its feed-forwards")
    moe = routed(c, *names, width="moe_intermediate_size", shared_width=shared, router_bias="score")
    dense = gated(c)
    return [("dense", dense) if word == "dense" else ("moe", moe) for word in types]


def selecting(c: Config, heads: int) -> LatentAttention:
    """Latent attention in a layer with its own indexer."""
    indexer = Indexer(heads=c.optional("index_n_heads", default=heads), head_dim=c.optional("index_head_dim", default=128))
    return latent_attention(c).replace({"selected": c.optional("index_topk", default=2048), "indexer": indexer})


def shared_indexers(own: LatentAttention, words: Sequence[str]) -> Mixers:
    """The attention of each layer: with an indexer ("full"), or with the selection of the last layer that has an indexer ("shared")."""
    kinds = {"full": ("", own), "shared": ("shared", own.replace({"indexer": None}))}
    return [kinds[word] for word in words]


@family("deepseek_v32")
def deepseek_v32(c: Config) -> Model:
    """DeepSeek-V3.2 (arXiv:2512.02556): V3 with an indexer in every layer."""
    layers = c.layers(*LAYERS)
    c.ignore("head_dim", "qk_head_dim")
    c.words("layer_types", ("indexed_attention", "deepseek_sparse_attention"), layers)
    attention = selecting(c, 64)
    kinds = stack(alike(layers, "", attention), routed_after_dense(c, layers, leading=3))
    return assemble(c, kinds, tied=False, mtp=prediction_modules(c, last_block(kinds)))


@family("glm_moe_dsa")
def glm_moe_dsa(c: Config) -> Model:
    """GLM-5 (Z.ai 2026): an indexer in every layer, or in some layers, whose selection the next layers share."""
    layers = c.layers(*LAYERS)
    c.ignore("head_dim", "qk_head_dim", "indexer_rope_interleave", "index_share_for_mtp_iteration")
    c.words("layer_types", ("indexed_attention", "deepseek_sparse_attention"), layers)
    mixers = shared_indexers(selecting(c, 32), _indexers(c, layers))
    stacked = stack(mixers, routed_after_dense(c, layers, leading=3))
    return assemble(c, stacked, tied=False, mtp=prediction_modules(c, last_block(stacked)))


def _indexers(c: Config, layers: int) -> list[str]:
    """Whether each layer has its own indexer ("full") or shares one: listed by word, by letter, or every ``index_topk_freq``-th layer."""
    c.ignore("index_topk_pattern", "index_topk_freq", "index_skip_topk_offset")  # not read if indexer_types lists the layers
    if words := c.words("indexer_types", ("full", "shared"), layers):
        return words
    pattern = c.data.get("index_topk_pattern")
    if c.has("index_topk_pattern"):
        if not isinstance(pattern, str) or len(pattern) != layers or set(pattern) - {"F", "S"}:
            raise c.fail("index_topk_pattern", "is not a pattern of layers", f"give {layers} letters F and S")
        return [{"F": "full", "S": "shared"}[letter] for letter in pattern]
    every, offset = c.optional("index_topk_freq", default=1), c.count("index_skip_topk_offset", default=2)
    return ["full" if max(i - offset + 1, 0) % every == 0 else "shared" for i in range(layers)]


@family("kimi_linear")
def kimi_linear(c: Config) -> Model:
    """Kimi Linear (arXiv:2510.26692): delta rules with a decay per channel, latent attention without positions in between."""
    layers = c.layers(*LAYERS)
    group = c.inside("linear_attn_config")
    heads = group.optional("num_heads", default=c.optional("linear_num_heads", default=32))
    width = group.optional("head_dim", default=c.optional("linear_head_dim", default=128))
    taps = group.optional("short_conv_kernel_size", default=c.optional("linear_conv_kernel_dim", default=4))
    delta = KimiDeltaAttention(heads=heads, head_dim=width, taps=taps)
    types = _kimi_types(c, group, layers)
    group.close()
    c.ignore(
        "head_dim", "qk_head_dim", "mla_use_nope", "model_max_length", "moe_renormalize", "moe_router_activation_func", "use_grouped_topk"
    )
    attention = latent_attention(c, q_rank=None)
    mixers: Mixers = in_turn(types, attention, delta)
    return own_head(c, assemble(c, stack(mixers, routed_after_dense(c, layers, leading=1)), tied=False))


def _kimi_types(c: Config, group: Config, layers: int) -> Sequence[str]:
    """``layer_types``, the layers named in ``linear_attn_config`` (counted from 1), or attention in every fourth."""
    full = group.positions("full_attn_layers", layers + 1)
    linear = group.positions("kda_layers", layers + 1)
    if types := c.words("layer_types", TYPES, layers):
        return types
    if full is None or linear is None:
        return ["full_attention" if i and i % 4 == 0 else "linear_attention" for i in range(layers)]
    if sorted([*full, *linear]) != list(range(1, layers + 1)):
        raise group.fail(
            "kda_layers",
            f"and full_attn_layers do not name layers 1 to {layers} once each",
            "name each layer in one of them, counted from 1",
        )
    return ["full_attention" if i + 1 in set(full) else "linear_attention" for i in range(layers)]
