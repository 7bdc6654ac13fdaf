"""RecurrentGemma: gated linear recurrences with windowed attention in between. Ling 2.5: delta rules with latent attention in between."""

from __future__ import annotations

from ..feedforward import FeedForward, GatedMLP
from ..mixers.delta import KimiDeltaAttention
from ..mixers.gated_recurrence import GatedLinearRecurrence
from ..transformer import Model
from .config import Config
from .deepseek import latent_attention
from .parts import HEADS, HIDDEN, LAYERS, alike, assemble, biases, grouped_query, own_head, stack
from .qwen_hybrid import TYPES, in_turn
from .reader import family
from .sparse import routed_after_dense

_BLOCKS = ("recurrent", "attention")


@family("recurrent_gemma")
def recurrent_gemma(c: Config) -> Model:
    """RecurrentGemma (arXiv:2404.07839): two recurrences, then attention in a window, repeated."""
    layers, hidden = c.layers(*LAYERS), c.size(*HIDDEN)
    given = c.data.get("block_types") or ["recurrent", "recurrent", "attention"]
    pattern = c.words("block_types", _BLOCKS, len(given) if isinstance(given, list) else 0) or list(given)
    types = [pattern[i % len(pattern)] for i in range(layers)]
    width = hidden if c.null("lru_width") else c.optional("lru_width", default=hidden, why="hidden")
    recurrence = GatedLinearRecurrence(width=width, blocks=c.size(*HEADS), taps=c.optional("conv1d_width", default=4))
    wanted = biases(c, "q", "k", "v")
    attention = grouped_query(c, window=c.optional("attention_window_size", "sliding_window", default=2048), biases=(*wanted, "o"))
    c.ignore("w_init_variance_scale", "final_w_init_variance_scale", "layers_block_type", "layer_types", "logits_soft_cap")
    mlp: FeedForward = GatedMLP(width=c.size("intermediate_size") // 2, bias="both")
    mixers = in_turn(["full_attention" if word == "attention" else "linear_attention" for word in types], attention, recurrence)
    return assemble(c, stack(mixers, alike(layers, "dense", mlp)), tied=True)


@family("bailing_hybrid")
def bailing_hybrid(c: Config) -> Model:
    """Ling 2.5 (Ant Group 2026): Kimi's delta rule with whole gates, and latent attention with a gate per head in every sixth layer."""
    layers, heads = c.layers(*LAYERS), c.size(*HEADS)
    every = c.optional("layer_group_size", default=6)
    default = ["full_attention" if (i + 1) % every == 0 else "linear_attention" for i in range(layers)]
    types = c.words("layer_types", TYPES, layers) or default
    taps = c.optional("short_conv_kernel_size", default=4)
    width = c.size("linear_head_dim") if c.has("linear_head_dim") else c.optional("head_dim", default=128)
    linear = c.optional("linear_num_heads", default=heads, why="attention heads")
    delta = KimiDeltaAttention(heads=linear, head_dim=width, gates="full", taps=taps)
    attention = latent_attention(c, q_rank=None).replace({"gate": "head"})
    c.ignore(
        "moe_renormalize",
        "model_max_length",
        "kda_safe_gate",
        "kda_lower_bound",
        "head_dim",
        "qk_head_dim",
        "linear_conv_kernel_dim",
        "mtp_loss_scaling_factor",
    )
    if c.count("num_mtp_layers", "num_nextn_predict_layers"):
        c.note("num_nextn_predict_layers: the prediction modules of this family are left out, as its class leaves them out")
    return own_head(c, assemble(c, stack(in_turn(types, attention, delta), routed_after_dense(c, layers, leading=2)), tied=False))
