"""LongCat-Flash: two attentions and two dense feed-forwards per layer, and parallel experts, some of which are identities."""

from __future__ import annotations

from ..feedforward import FeedForward, GatedMLP, MixtureOfExperts, ParallelFeedForward
from ..transformer import Model
from .config import Config
from .deepseek import latent_attention
from .parts import LAYERS, alike, assemble, stack
from .reader import family


@family("longcat_flash")
def longcat_flash(c: Config) -> Model:
    """LongCat-Flash (Meituan 2025, arXiv:2509.01322): each layer is represented by two blocks, the first with experts beside its dense
    feed-forward.

    In the model, the experts' output is added after the second block. The class of transformers 5.24 stores two matrices for each identity
    expert. The release doesn't have them, and they are left out here.
    """
    layers = c.layers("num_layers", *LAYERS)
    c.ignore(
        "head_dim", "qk_head_dim", "num_hidden_layers", "zero_expert_type", "mla_scale_q_lora", "mla_scale_kv_lora", "attention_method"
    )
    attention = latent_attention(c)
    dense: FeedForward = GatedMLP(width=c.size("ffn_hidden_size"))
    experts, top_k = c.size("n_routed_experts"), c.size("moe_topk", "num_experts_per_tok")
    identities = c.count("zero_expert_num")
    if identities:
        c.note(f"{identities} experts are identities: the router is assumed to choose them as often as any other (zero_expert_num)")
    moe = MixtureOfExperts(
        experts=experts,
        top_k=top_k,
        width=c.size("expert_ffn_hidden_size"),
        identities=identities,
        router_bias="bias" if c.has("router_bias") and c.flag("router_bias") else "score",
    )
    both = ParallelFeedForward(parts=(dense, moe))
    channels = [("moe", both), ("dense", dense)] * layers
    return assemble(c, stack(alike(2 * layers, "", attention), channels), tied=False)
