"""Recurrent models: RecurrentGemma and Ling 2.5 with attention in some layers, RWKV and xLSTM without attention."""

from __future__ import annotations

from typing import Any

from ..feedforward import FeedForward, GatedMLP
from ..layers import Block, stack_of
from ..mixers.delta import KimiDeltaAttention
from ..mixers.gated_recurrence import GatedLinearRecurrence
from ..mixers.matrix_lstm import MatrixLSTM
from ..mixers.time_mixing import ChannelMixing, TimeMixing
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
    """Ling 2.5 (Ant Group 2026): Kimi's delta rule with gates of one product each, and latent attention with a gate per head in
    every sixth layer.
    """
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


@family("rwkv")
def rwkv(c: Config) -> Model:
    """RWKV-4 (arXiv:2305.13048): time mixing and channel mixing; a norm of the embedding in the first layer."""
    hidden = c.size(*HIDDEN)
    mixer = TimeMixing(width=c.optional("attention_hidden_size", default=hidden, why="hidden"))
    ffn = ChannelMixing(width=c.optional("intermediate_size", default=4 * hidden, why="4 · hidden"))
    block = Block(attention=mixer, ffn=ffn, norm="layer")
    c.ignore("rescale_every", "context_length", "max_position_embeddings")
    first = block.replace({"norms": ("embedding", *block.norms)})
    kinds = [("first" if i == 0 else "dense", first if i == 0 else block) for i in range(c.layers(*LAYERS))]
    return assemble(c, stack_of(kinds), tied=False, head={"norm": "layer"})


@family("xlstm")
def xlstm(c: Config) -> Model:
    """xLSTM-7B (arXiv:2503.13427): matrix LSTMs and gated feed-forwards whose width is a rounded multiple of the hidden size."""
    hidden, heads = c.size(*HIDDEN), c.optional("num_heads", default=8)
    c.fixed("embedding_dim", hidden)
    bias = c.flag("use_bias", default=False)
    keys, values = (int(hidden * c.factor(name, default)) for name, default in (("qk_dim_factor", 0.5), ("v_dim_factor", 1.0)))
    for name, width in (("qk_dim_factor", keys), ("v_dim_factor", values)):
        if width < 1 or width % heads:
            raise c.fail(
                name,
                f"gives a width of {width}, which num_heads={heads} does not divide",
                f"give a factor whose width {heads} heads divide",
            )
    chunk = c.optional("chunk_size", default=64)
    mixer = MatrixLSTM(heads=heads, key_dim=keys // heads, value_dim=values // heads, chunk=chunk, bias="all" if bias else "none")
    of = c.optional("ffn_round_up_to_multiple_of", default=64)
    width = int((hidden * c.factor("ffn_proj_factor", 2.667) + of - 1) // of * of)
    c.ignore(
        "chunkwise_kernel", "sequence_kernel", "step_kernel", "mode", "return_last_states", "eps", "weight_mode", "inference_state_dtype"
    )
    c.ignore(
        "add_out_norm", "norm_reduction_force_float32", "gate_soft_cap", "output_logit_soft_cap", "max_inference_chunksize", "num_blocks"
    )
    norm: dict[str, Any] = {"norm": "layer" if bias else "rms"}  # with biases, its norms have a second vector
    block = Block(attention=mixer, ffn=GatedMLP(width=width, bias="both" if bias else "none"), **norm)
    return own_head(c, assemble(c, stack_of([("dense", block)] * c.layers("num_blocks", *LAYERS)), tied=False))
