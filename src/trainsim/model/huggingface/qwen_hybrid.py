"""Qwen3-Next, Qwen3.5 and OLMo Hybrid: gated delta-rule layers with softmax attention in between."""

from __future__ import annotations

from collections.abc import Sequence

from ..attention.base import Attention
from ..feedforward import GatedMLP
from ..layers import Block, stack_of
from ..mixers.delta import GatedDeltaNet
from ..transformer import Model
from .config import Config
from .parts import ALL, HEADS, HIDDEN, LAYERS, Mixers, alike, assemble, biases, gated, grouped_query, routed, stack, stepped
from .reader import family

TYPES = ("full_attention", "linear_attention")


def hybrid_types(c: Config, layers: int) -> list[str]:
    """``layer_types``, or softmax attention in every ``full_attention_interval``-th layer."""
    every = c.optional("full_attention_interval", default=4) if not c.has("layer_types") else 4
    c.ignore("full_attention_interval")
    default = ["full_attention" if (i + 1) % every == 0 else "linear_attention" for i in range(layers)]
    return c.words("layer_types", TYPES, layers) or default


def in_turn(types: Sequence[str], full: Attention, linear: Attention) -> Mixers:
    """The mixer of each layer: softmax attention, or a recurrence, labelled ``linear``."""
    return [("", full) if word == "full_attention" else ("linear", linear) for word in types]


def _mixers(c: Config, layers: int, *, kv: int) -> Mixers:
    delta = GatedDeltaNet(
        key_heads=c.optional("linear_num_key_heads", default=16),
        value_heads=c.optional("linear_num_value_heads", default=32),
        key_dim=c.optional("linear_key_head_dim", default=128),
        value_dim=c.optional("linear_value_head_dim", default=128),
        taps=c.optional("linear_conv_kernel_dim", default=4),
    )
    c.divides("linear_num_key_heads", delta.key_heads, "linear_num_value_heads", delta.value_heads)
    c.ignore("attn_output_gate", "mamba_ssm_dtype", "mtp_num_hidden_layers", "mtp_use_dedicated_embeddings")
    c.ignore("full_attention_interval", "mlp_only_layers", "decoder_sparse_step")
    if c.count("mtp_num_hidden_layers"):
        c.note("mtp_num_hidden_layers: the prediction modules of this family are left out, as its class leaves them out")
    attention = grouped_query(c, kv=kv, head=256, biases=biases(c, *ALL, "gate"), qk_norm="head", gate="element")
    return in_turn(hybrid_types(c, layers), attention, delta)


@family("qwen3_next")
def qwen3_next(c: Config) -> Model:
    """Qwen3-Next (Qwen team 2025): gated delta rule in three of four layers, gated attention in the fourth, experts in all."""
    layers = c.layers(*LAYERS)
    shared = c.optional("shared_expert_intermediate_size", default=512)
    moe = routed(c, "num_experts", "num_local_experts", width="moe_intermediate_size", shared_width=shared, shared_gate="scalar")
    dense = GatedMLP(width=c.optional("intermediate_size", default=5632))
    return assemble(c, stack(_mixers(c, layers, kv=2), stepped(c, layers, dense, moe)), tied=False)


@family("qwen3_5_text")
def qwen3_5(c: Config) -> Model:
    """Qwen3.5 dense (Qwen team 2026)."""
    layers = c.layers(*LAYERS)
    return assemble(c, stack(_mixers(c, layers, kv=4), alike(layers, "dense", gated(c))), tied=False)


@family("qwen3_5_moe_text")
def qwen3_5_moe(c: Config) -> Model:
    """Qwen3.5 mixture of experts (Qwen team 2026): experts in every layer."""
    layers = c.layers(*LAYERS)
    c.ignore("intermediate_size")
    shared = c.optional("shared_expert_intermediate_size", default=512)
    moe = routed(c, "num_experts", "num_local_experts", width="moe_intermediate_size", shared_width=shared, shared_gate="scalar")
    return assemble(c, stack(_mixers(c, layers, kv=2), alike(layers, "moe", moe)), tied=False)


@family("olmo_hybrid")
def olmo_hybrid(c: Config) -> Model:
    """OLMo Hybrid (Ai2 2026): norms before the delta rule, after attention, and over the full width of its queries and keys."""
    layers, heads = c.layers(*LAYERS), c.size(*HEADS)
    keys = c.optional("linear_num_key_heads", default=heads, why="as many as attention heads")
    width = c.optional("linear_key_head_dim", default=int(0.75 * c.size(*HIDDEN) / keys), why="three quarters of hidden over heads")
    delta = GatedDeltaNet(
        key_heads=keys,
        value_heads=c.optional("linear_num_value_heads", default=heads, why="as many as attention heads"),
        key_dim=width,
        value_dim=c.optional("linear_value_head_dim", default=2 * width, why="twice the key head"),
        taps=c.optional("linear_conv_kernel_dim", default=4),
    )
    c.ignore("linear_allow_neg_eigval", "linear_a_log_min", "linear_a_log_max", "linear_dt_min", "linear_dt_max", "linear_dt_init_floor")
    attention = grouped_query(c, biases=biases(c, *ALL), qk_norm="full")
    types = c.words("layer_types", TYPES, layers) or _every_fourth(layers)
    blocks = {
        "full_attention": ("dense", Block(attention=attention, ffn=gated(c))),
        "linear_attention": ("linear", Block(attention=delta, ffn=gated(c))),
    }
    return assemble(c, stack_of([blocks[word] for word in types]), tied=False)


def _every_fourth(layers: int) -> list[str]:
    """Attention in every fourth layer, or in the last layer of a stack with fewer than four."""
    types = ["full_attention" if i % 4 == 3 else "linear_attention" for i in range(layers)]
    return types if "full_attention" in types else [*types[:-1], "full_attention"]
