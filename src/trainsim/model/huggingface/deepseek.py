"""DeepSeek: shared and fine-grained experts, latent attention, multi-token prediction; Kimi K2 is of the same make."""

from __future__ import annotations

from ..attention.base import Attention
from ..attention.latent import LatentAttention
from ..transformer import Model
from .config import Config
from .parts import (
    ALL,
    HEADS,
    HIDDEN,
    LAYERS,
    alike,
    assemble,
    biases,
    gated,
    grouped_query,
    last_block,
    leading_dense,
    prediction_modules,
    routed,
    stack,
)
from .reader import family


def latent_attention(c: Config, q_rank: int | None = 1536) -> LatentAttention:
    """Multi-head latent attention; the rotary key is shared, so there are as many key heads as query heads.

    Args:
        q_rank: class default of the width of the compressed query.
    """
    heads = c.size(*HEADS)
    kv_heads = c.optional("num_key_value_heads", default=heads, why="latent attention expands to every head")
    if kv_heads != heads:
        raise c.fail("num_key_value_heads", f"differs from num_attention_heads={heads}", "latent attention has one key head per query head")
    q_rank = c.size_or_none("q_lora_rank", q_rank)
    return LatentAttention(
        heads=heads,
        kv_rank=c.size("kv_lora_rank"),
        q_rank=q_rank,
        nope_dim=c.size("qk_nope_head_dim"),
        rope_dim=c.size("qk_rope_head_dim"),
        v_dim=c.size("v_head_dim"),
        biases=biases(c, *(("q", "kv", "o") if q_rank else ("kv", "o"))),  # a full query projection never has one
    )


def _deepseek(c: Config, attention: Attention, *, shared: int, leading: int, scores: str, bias: bool = False) -> Model:
    """Leading dense layers, then routed and shared experts.

    Args:
        shared, leading: class defaults of the number of shared experts and of dense layers.
        scores: whether the router balances by a score that is no parameter.
        bias: biases in dense and shared MLPs, not in routed experts.
    """
    layers = c.layers(*LAYERS)
    width = c.size("moe_intermediate_size")
    shared_width = c.count("n_shared_experts", default=shared) * width
    given = "both" if bias else "none"
    experts = ("n_routed_experts", "num_local_experts", "num_experts")
    moe = routed(c, *experts, width="moe_intermediate_size", shared_width=shared_width, shared_bias=given, router_bias=scores)
    channels = leading_dense(c, layers, gated(c, bias=bias), moe, default=leading)
    kinds = stack(alike(layers, "", attention), channels)
    return assemble(c, kinds, tied=False, mtp=prediction_modules(c, last_block(kinds)))


def _scores(c: Config, default: str) -> str:
    """``noaux_tc`` balances by scores beside the router."""
    return "score" if c.data.get("topk_method", default) == "noaux_tc" else "none"


@family("deepseek")
def deepseek(c: Config) -> Model:
    """DeepSeekMoE 16B (arXiv:2401.06066): multi-head attention, two shared experts."""
    return _deepseek(c, grouped_query(c, biases=biases(c, *ALL)), shared=0, leading=0, scores="none")


@family("deepseek_v2")
def deepseek_v2(c: Config) -> Model:
    """DeepSeek-V2 (arXiv:2405.04434)."""
    c.divides("num_attention_heads", c.size(*HEADS), "hidden_size", c.size(*HIDDEN))
    bias = c.flag("mlp_bias", default=False)
    c.ignore("head_dim", "qk_head_dim")
    return _deepseek(c, latent_attention(c), shared=2, leading=0, scores=_scores(c, "greedy"), bias=bias)


@family("deepseek_v3", "kimi_k2")
def deepseek_v3(c: Config) -> Model:
    """DeepSeek-V3 and R1 (arXiv:2412.19437), Kimi K2 (arXiv:2507.20534)."""
    c.ignore("head_dim", "qk_head_dim")
    return _deepseek(c, latent_attention(c), shared=1, leading=3, scores=_scores(c, "noaux_tc"))
