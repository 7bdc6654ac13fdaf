"""MiniMax: lightning attention in Text-01 and M1, softmax attention in M2, indexed blocks in M3."""

from __future__ import annotations

from ..attention.grouped_query import BlockIndexer
from ..attention.linear import LightningAttention
from ..feedforward import GatedMLP
from ..transformer import Model
from .config import Config
from .parts import LAYERS, Mixers, alike, assemble, grouped_query, routed, stack
from .reader import family


@family("minimax", "minimax_text_01", "minimax_m1")
def minimax(c: Config) -> Model:
    """MiniMax-Text-01 (arXiv:2501.08313) and M1 (arXiv:2506.13585): linear attention, with softmax attention in between."""
    layers = c.layers(*LAYERS)
    c.fixed("shared_intermediate_size", 0)
    c.ignore("postnorm")
    moe = routed(c, "num_local_experts", "num_experts")
    return assemble(c, stack(_mixers(c, layers), alike(layers, "moe", moe)), tied=False)


def _mixers(c: Config, layers: int) -> Mixers:
    softmax = grouped_query(c, kv=8, window=c.size_or_none("sliding_window"))
    chunk = c.optional("block_size", default=256)
    lightning = LightningAttention(heads=softmax.heads, head_dim=softmax.head_dim, chunk=chunk)
    codes = c.per_layer("attn_type_list", layers)
    types = c.words("layer_types", ("full_attention", "linear_attention"), layers)
    coded = ["full_attention" if code else "linear_attention" for code in codes or ()]
    if coded and types and coded != types:
        raise c.fail("attn_type_list", "contradicts layer_types", "give one of them: they are two names of one list")
    types = types or coded or ["linear_attention" if i % 2 else "full_attention" for i in range(layers)]
    return [("", softmax) if word == "full_attention" else ("linear", lightning) for word in types]


@family("minimax_m2")
def minimax_m2(c: Config) -> Model:
    """MiniMax-M2 (MiniMax 2025): softmax attention with norms over the full width of queries and keys."""
    layers = c.layers(*LAYERS)
    attention = grouped_query(c, kv=8, head=128, qk_norm="full")
    c.fixed("use_qk_norm", True)
    c.fixed("qk_norm_type", "per_layer")
    c.fixed("shared_intermediate_size", 0)
    c.fixed("attn_type_list", [1] * layers)
    c.ignore("use_routing_bias", "use_mtp", "mtp_transformer_layers", "rotary_dim", "mlp_intermediate_size")
    if c.count("num_mtp_modules"):
        c.note("num_mtp_modules: this family's prediction modules are not mapped")
    moe = routed(c, "num_local_experts", "num_experts", router_bias="score")
    return assemble(c, stack(alike(layers, "", attention), alike(layers, "moe", moe)), tied=False)


@family("minimax_m3_vl_text", "minimax_m3")
def minimax_m3(c: Config) -> Model:
    """MiniMax-M3 (MiniMax 2026): attention to blocks of keys selected by an indexer, and experts with a shared one."""
    layers = c.layers(*LAYERS)
    group = c.inside("sparse_attention_config")
    full = grouped_query(c, kv=4, head=128, qk_norm="head")
    indexer = BlockIndexer(
        heads=group.optional("sparse_num_index_heads", default=c.optional("index_n_heads", default=4)),
        head_dim=group.optional("sparse_index_dim", default=c.optional("index_head_dim", default=128)),
        block=group.optional("sparse_block_size", default=c.optional("index_block_size", default=128)),
        count=group.optional("sparse_topk_blocks", default=c.optional("index_topk_blocks", default=16)),
    )
    flags = group.per_layer("sparse_attention_freq", layers)
    words = ["minimax_m3_sparse" if flag else "full_attention" for flag in flags or [0] * layers]
    types = c.words("layer_types", ("full_attention", "minimax_m3_sparse"), layers) or words
    mixers: Mixers = [("", full) if word == "full_attention" else ("sparse", full.replace({"indexer": indexer})) for word in types]
    group.ignore(*group.data)
    group.close()
    where = c.per_layer("moe_layer_freq", layers) or [1] * layers
    routes = c.words("mlp_layer_types", ("dense", "sparse"), layers) or ["sparse" if flag else "dense" for flag in where]
    shared = c.optional("shared_intermediate_size", default=3072)
    moe = routed(c, "num_local_experts", "num_experts", shared_width=shared, router_bias="score")
    dense = GatedMLP(width=c.optional("dense_intermediate_size", default=12288))
    c.ignore("index_local_blocks", "moe_intermediate_size", "n_shared_experts", "first_k_dense_replace", "rotary_dim", "use_gemma_norm")
    c.ignore("use_qk_norm", "qk_norm_type", "use_routing_bias", "swiglu_alpha", "swiglu_limit", "num_nextn_predict_layers")
    c.fixed("attention_output_gate", False)
    if c.count("num_mtp_modules"):
        c.note("num_mtp_modules: this family's prediction modules are not mapped")
    channels = [("dense", dense) if word == "dense" else ("moe", moe) for word in routes]
    return assemble(c, stack(mixers, channels), tied=False)
