"""Hunyuan mixture of experts."""

from __future__ import annotations

from ..feedforward import MixtureOfExperts
from ..transformer import Model
from .config import Config
from .parts import ALL, LAYERS, Channels, alike, assemble, biases, experts, grouped_query, stack
from .reader import family


@family("hunyuan_v1_moe")
def hunyuan_v1_moe(c: Config) -> Model:
    """Hunyuan-A13B (Tencent 2025): one shared expert as wide as the routed ones, norms on queries and keys."""
    layers = c.layers(*LAYERS)
    for key, only in (("use_mla", False), ("use_cla", False), ("use_qk_norm", True), ("moe_layer_num_skipped", 0)):
        c.fixed(key, only)
    c.ignore("use_mixed_mlp_moe", "use_rotary_pos_emb", "cla_share_factor", "org_vocab_size", "dense_list", "class_num", "num_media_embeds")
    c.ignore("position_embedding_xdrope")
    attention = grouped_query(c, biases=biases(c, *ALL), qk_norm="head")
    c.fixed("attention_head_dim", attention.head_dim)
    return assemble(c, stack(alike(layers, "", attention), _experts(c, layers)), tied=False)


def _experts(c: Config, layers: int) -> Channels:
    """Experts whose top-k may differ from layer to layer."""
    width = c.size("intermediate_size")
    for key, built in (("moe_intermediate_size", width), ("num_shared_expert", 1)):
        if c.has(key) and c.data[key] not in (built, [built] * layers):
            c.note(f"{key} differs from {built}, which is what the class builds and what is counted")
    if not isinstance(c.data.get("moe_topk"), list):
        number, top_k = experts(c, "num_experts", "num_local_experts")
        return [("moe", _mixture(number, top_k, width))] * layers
    number = c.size("num_experts", "num_local_experts")
    met = c.per_layer("moe_topk", layers) or []
    c.at_most("moe_topk", max(met), "num_experts", number)
    kinds = {k: ("moe" if len(set(met)) == 1 else f"moe-top{k}", _mixture(number, k, width)) for k in sorted(set(met))}
    return [kinds[k] for k in met]


def _mixture(number: int, top_k: int, width: int) -> MixtureOfExperts:
    return MixtureOfExperts(experts=number, top_k=top_k, width=width, shared_width=width)
