"""Models of several residual streams: DeepSeek-V4 and Tencent Hy 4."""

from __future__ import annotations

from collections.abc import Mapping

from ..attention.base import Attention
from ..attention.compressed import CompressedAttention, EntryIndexer
from ..residual import HyperConnections
from ..transformer import Model
from .config import Config
from .parts import LAYERS, Mixers, alike, assemble, routed, stack
from .reader import family
from .sparse import routed_after_dense, selecting, shared_indexers

_WINDOW, _SELECTED, _ALL = "sliding_attention", "compressed_sparse_attention", "heavily_compressed_attention"
_OF_RATIO = {0: _WINDOW, 4: _SELECTED, 128: _ALL}
"""Compression rate → kind of layer; older files name kinds by their rate."""


@family("deepseek_v4", "deepseek_ref")
def deepseek_v4(c: Config) -> Model:
    """DeepSeek-V4 (DeepSeek-AI 2026): compressed keys, experts in every layer, hyper-connections.

    The first layers choose experts by a fixed table of tokens, which has no parameters. The product of their router still runs.
    """
    layers = c.layers(*LAYERS)
    if c.count("num_key_value_heads", default=1) > 1:
        c.note("num_key_value_heads is above 1: ignored, since this class has one key head")
    c.ignore("hc_sinkhorn_iters", "n_shared_experts")
    c.ignore("scoring_func", "num_hash_layers", "qk_rope_head_dim", "expert_dtype", "attention_bias", "intermediate_size")
    c.words("mlp_layer_types", ("hash_moe", "moe"), layers)
    width = c.size("moe_intermediate_size")  # also the width of the one shared expert
    bias = "both" if c.flag("mlp_bias") else "none"
    names = ("n_routed_experts", "num_local_experts")
    moe = routed(c, *names, width="moe_intermediate_size", shared_width=width, shared_bias=bias, router_bias="score")
    if depth := c.count("num_nextn_predict_layers"):
        c.note(f"{depth} multi-token-prediction modules are left out: this family's are not mapped")
    streams = _streams(c)
    kinds = stack(_mixers(c, layers), alike(layers, "moe", moe), residual=(HyperConnections(streams=streams),))
    return assemble(c, kinds, tied=False, head={"streams": streams, "merge": "weights"})


def _mixers(c: Config, layers: int) -> Mixers:
    window = CompressedAttention(
        heads=c.size("num_attention_heads"),
        head_dim=c.size("head_dim"),
        q_rank=c.size("q_lora_rank"),
        window=c.optional("sliding_window", default=128),
        groups=c.optional("o_groups", default=8),
        group_rank=c.optional("o_lora_rank", default=1024),
    )
    indexer = EntryIndexer(
        heads=c.optional("index_n_heads", default=64),
        head_dim=c.optional("index_head_dim", default=128),
        count=c.optional("index_topk", default=512),
    )
    rates = _rates(c)
    kinds: Mapping[str, tuple[str, Attention]] = {
        _WINDOW: ("sliding", window),
        _SELECTED: ("selected", window.replace({"rate": rates[_SELECTED], "indexer": indexer})),
        _ALL: ("compressed", window.replace({"rate": rates[_ALL]})),
    }
    return [kinds[word] for word in _types(c, layers)]


def _rates(c: Config) -> Mapping[str, int]:
    """Kind of layer → tokens per compressed entry."""
    group = c.inside("compress_rates") if c.has("compress_rates") else Config({}, c.path)
    older = {_SELECTED: ("compress_rate_csa", 4), _ALL: ("compress_rate_hca", 128)}
    return {word: c.size(key) if c.has(key) else group.optional(word, default=default) for word, (key, default) in older.items()}


def _ratios(c: Config, layers: int) -> list[int] | None:
    """The rates that older files list; rates beyond the last layer belong to prediction modules."""
    given = c.data.get("compress_ratios")
    more = len(given) if isinstance(given, list) else 0
    ratios = c.per_layer("compress_ratios", max(layers, more))
    return None if ratios is None else ratios[:layers]


def _types(c: Config, layers: int) -> list[str]:
    """The kind of each layer: ``layer_types``; else by the rates of older files; else two heavily compressed layers, then both kinds in
    turn.
    """
    ratios = _ratios(c, layers)
    if types := c.words("layer_types", tuple(_OF_RATIO.values()), layers):
        return types
    if ratios is not None:
        if odd := set(ratios) - set(_OF_RATIO):
            raise c.fail("compress_ratios", f"contains {min(odd)}", f"known: {', '.join(map(str, _OF_RATIO))}")
        return [_OF_RATIO[ratio] for ratio in ratios]
    return [_SELECTED if i > 2 and i % 2 else _ALL for i in range(layers)]


@family("hy_v4")
def hy_v4(c: Config) -> Model:
    """Hy 4 (Tencent 2026): latent attention to selected keys, gated and with sinks, and hyper-connections that don't mix their streams."""
    layers = c.layers(*LAYERS)
    c.ignore("head_dim", "qk_head_dim", "hc_magnitude", "learnable_sink_init")
    c.words("layer_types", ("indexed_attention", "deepseek_sparse_attention"), layers)
    own = selecting(c, 16).replace({"gate": "element", "sinks": "head"})
    words = c.words("indexer_types", ("full", "shared"), layers)
    words = words or ["full" if i == 0 or (i - 1) % 4 == 0 else "shared" for i in range(layers)]
    streams = _streams(c)
    around = (HyperConnections(streams=streams, mixing="none"),)
    kinds = stack(shared_indexers(own, words), routed_after_dense(c, layers, leading=1), residual=around)
    return assemble(c, kinds, tied=False, head={"streams": streams, "merge": "weights"})


def _streams(c: Config) -> int:
    """The number of residual streams.

    Raises:
        ConfigError: one, for which the class keeps the weights that merge several.
    """
    streams = c.optional("hc_mult", default=4)
    if streams == 1:
        raise c.fail("hc_mult", "is one residual stream, which is not mapped", "give 2 or more", "unsupported")
    return streams
