"""DeepSeek-V3: latent attention, leading dense layers, routed and shared experts, multi-token prediction."""

from __future__ import annotations

from ..attention import LatentAttention
from ..feedforward import GatedMLP, MixtureOfExperts
from ..transformer import Block, Head, Model, MultiTokenPrediction, stack_of
from .config import Config
from .llama import experts, head
from .reader import family


def latent_attention(c: Config) -> LatentAttention:
    """Multi-head latent attention; the rotary key is shared, so there are as many key heads as query heads."""
    heads = c.size("num_attention_heads")
    kv_heads = c.optional("num_key_value_heads", heads, why="latent attention expands to every head")
    if kv_heads != heads:
        raise c.fail("num_key_value_heads", f"differs from num_attention_heads={heads}", "latent attention has one key head per query head")
    return LatentAttention(
        heads=heads,
        kv_rank=c.size("kv_lora_rank"),
        q_rank=c.size_or_none("q_lora_rank"),
        nope_dim=c.size("qk_nope_head_dim"),
        rope_dim=c.size("qk_rope_head_dim"),
        v_dim=c.size("v_head_dim"),
        biases=("q", "kv", "o") if c.flag("attention_bias", default=False) else (),
    )


@family("deepseek_v3")
def deepseek_v3(c: Config) -> Model:
    """DeepSeek-V3 and R1 (arXiv:2412.19437)."""
    number, top_k = experts(c, "n_routed_experts")
    width = c.size("moe_intermediate_size")
    shared = c.count("n_shared_experts", 1)
    attention = latent_attention(c)
    scores = "score" if c.data.get("topk_method", "noaux_tc") == "noaux_tc" else "none"
    routed = MixtureOfExperts(experts=number, top_k=top_k, width=width, shared_width=shared * width, router_bias=scores)  # type: ignore[arg-type]
    moe = Block(attention=attention, ffn=routed)
    dense = Block(attention=attention, ffn=GatedMLP(width=c.size("intermediate_size")))
    layers = c.size("num_hidden_layers")
    leading = c.count("first_k_dense_replace")
    c.at_most("first_k_dense_replace", leading, "num_hidden_layers", layers)
    every = c.optional("moe_layer_freq", 1)
    kinds = [("moe", moe) if i >= leading and i % every == 0 else ("dense", dense) for i in range(layers)]
    c.ignore("head_dim", "qk_head_dim")
    depth = c.count("num_nextn_predict_layers")
    return Model(
        hidden=c.size("hidden_size"),
        vocab=c.size("vocab_size"),
        stack=stack_of(kinds),
        head=head(c, tied=False),
        mtp=MultiTokenPrediction(depth=depth, block=kinds[-1][1]) if depth else None,
    )


__all__ = ["Head", "deepseek_v3", "latent_attention"]
