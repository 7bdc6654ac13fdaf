"""Models and hybrids of state-space mixers: Mamba, Mamba-2, Bamba, Granite 4, Jamba, Falcon-H1, Nemotron-H."""

from __future__ import annotations

import math
from typing import Any, Literal

from ..attention.base import Attention
from ..feedforward import FeedForward, MixtureOfExperts, NoFeedForward, PlainMLP
from ..layers import Block, stack_of
from ..mixers.parallel import NoMixer, ParallelMixers
from ..mixers.state_space import Mamba, Mamba2
from ..transformer import Model
from .config import Config
from .parts import ALL, HIDDEN, LAYERS, alike, assemble, biases, experts, gated, grouped_query, own_head, routed, stack
from .qwen_hybrid import in_turn
from .reader import family

STEPS = (
    *("time_step_min", "time_step_max", "time_step_floor", "time_step_limit"),
    *("time_step_scale", "time_step_init_scheme", "time_step_rank"),
)
"""Keys of the initial value and the bounds of the steps of a state-space mixer; they change no shape."""


def _channel(c: Config, key: str) -> Literal["channel", "none"]:
    """Whether the convolution has a bias."""
    return "channel" if c.flag(key, default=True) else "none"


def _rank(c: Config, key: str) -> int:
    """The rank of the step's projection; a sixteenth of the hidden size if it is "auto", null or left out."""
    if c.value(key) in ("auto", None):
        c.ignore(key)
        return math.ceil(c.size(*HIDDEN) / 16)
    return c.optional(key, default=math.ceil(c.size(*HIDDEN) / 16), why="hidden / 16")


def _mixer_alone(c: Config, mixer: Attention, *, tied: bool) -> Model:
    """A stack of mixers with a norm before each, and no feed-forward."""
    c.ignore(*STEPS, "residual_in_fp32", "rescale_prenorm_residual", "use_mambapy", "use_falcon_mambapy", "use_associative_scan")
    block = Block(attention=mixer, ffn=NoFeedForward(), norms=("mixer",))
    return assemble(c, stack_of([("mixer", block)] * c.layers(*LAYERS)), tied=tied)


@family("mamba", "falcon_mamba")
def mamba(c: Config) -> Model:
    """Mamba (arXiv:2312.00752) and Falcon Mamba (arXiv:2410.05355), whose norms on steps hold no parameters."""
    expand = c.optional("expand", default=2)
    mixer = Mamba(
        width=c.optional("intermediate_size", default=expand * c.size(*HIDDEN), why="expand · hidden"),
        state=c.optional("state_size", default=16),
        rank=_rank(c, "time_step_rank"),
        taps=c.optional("conv_kernel", default=4),
        projection_bias="both" if c.flag("use_bias", default=False) else "none",
        convolution_bias=_channel(c, "use_conv_bias"),
    )
    c.fixed("intermediate_size", expand * c.size(*HIDDEN))
    return _mixer_alone(c, mixer, tied=True)


@family("mamba2")
def mamba2(c: Config) -> Model:
    """Mamba-2 (arXiv:2405.21060)."""
    c.ignore("time_step_rank")
    heads, width = c.optional("num_heads", default=128), c.optional("head_dim", default=64)
    inner = c.optional("expand", default=2) * c.size(*HIDDEN)
    if heads * width != inner:
        raise c.fail(
            "num_heads", f"times head_dim={width} is not expand · hidden_size = {inner}", "make them equal: both are the inner width"
        )
    mixer = Mamba2(
        heads=heads,
        head_dim=width,
        state=c.optional("state_size", default=128),
        groups=c.optional("n_groups", default=8),
        taps=c.optional("conv_kernel", default=4),
        chunk=c.optional("chunk_size", default=256),
        projection_bias="both" if c.flag("use_bias", default=False) else "none",
        convolution_bias=_channel(c, "use_conv_bias"),
    )
    return _mixer_alone(c, mixer, tied=False)


def _mamba2(c: Config, inner: int, **rest: Any) -> Mamba2:
    """Mamba-2 by the keys of Bamba."""
    heads = c.optional("mamba_n_heads", default=128)
    c.divides("mamba_n_heads", heads, "the inner width", inner)
    if c.data.get("mamba_d_head") == "auto":
        c.ignore("mamba_d_head")
    else:
        c.fixed("mamba_d_head", inner // heads)
    c.ignore("time_step_limit", "mamba_expand")
    return Mamba2(
        heads=heads,
        head_dim=inner // heads,
        state=c.optional("mamba_d_state", default=256),
        groups=c.optional("mamba_n_groups", default=1),
        taps=c.optional("mamba_d_conv", default=4),
        chunk=c.optional("mamba_chunk_size", default=256),
        convolution_bias=_channel(c, "mamba_conv_bias"),
        **rest,
    )


def _inner(c: Config) -> int:
    return c.optional("mamba_expand", default=2) * c.size(*HIDDEN)


def _both(c: Config, key: str) -> Literal["both", "none"]:
    return "both" if c.flag(key, default=False) else "none"


@family("bamba")
def bamba(c: Config) -> Model:
    """Bamba (IBM, Princeton, CMU, UIUC 2024): Mamba-2 layers, attention in a few."""
    layers = c.layers(*LAYERS)
    at = set(c.positions("attn_layer_indices", layers) or ())
    types = ["full_attention" if i in at else "linear_attention" for i in range(layers)]
    attention = grouped_query(c, kv=8, biases=biases(c, *ALL))
    mixer = _mamba2(c, _inner(c), projection_bias=_both(c, "mamba_proj_bias"))
    mlp = gated(c, bias=c.flag("mlp_bias", default=False))
    c.ignore("num_logits_to_keep", "z_loss_coefficient", "attn_rotary_emb")
    return assemble(c, stack(in_turn(types, attention, mixer), alike(layers, "dense", mlp)), tied=False)


@family("granitemoehybrid")
def granitemoehybrid(c: Config) -> Model:
    """Granite 4 (IBM 2025): Mamba-2 and attention layers; experts beside a shared expert, or a shared expert alone."""
    layers = c.layers(*LAYERS)
    old = {"mamba": "linear_attention", "attention": "full_attention"}
    words = c.words("layer_types", (*old, *old.values()), layers) or c.words("layers_block_type", (*old, *old.values()), layers)
    types = [old.get(word, word) for word in words or ["linear_attention"] * layers]
    attention = grouped_query(c, biases=biases(c, *ALL))
    mixer = _mamba2(c, _inner(c), projection_bias=_both(c, "mamba_proj_bias"))
    shared = c.optional("shared_intermediate_size", default=1024)
    ffn: tuple[str, FeedForward]
    if c.count("num_local_experts", default=8):
        ffn = ("moe", routed(c, "num_local_experts", shared_width=shared))
    else:
        c.ignore("num_experts_per_tok", "intermediate_size")
        ffn = ("dense", gated(c, "shared_intermediate_size"))
    c.ignore("position_embedding_type", "normalization_function", "init_method")
    return assemble(c, stack(in_turn(types, attention, mixer), [ffn] * layers), tied=False)


@family("jamba")
def jamba(c: Config) -> Model:
    """Jamba (AI21 2024, arXiv:2403.19887): Mamba layers with norms on their selection, attention and experts at periods."""
    layers = c.layers(*LAYERS)
    mixer = Mamba(
        width=_inner(c),
        state=c.optional("mamba_d_state", default=16),
        rank=_rank(c, "mamba_dt_rank"),
        taps=c.optional("mamba_d_conv", default=4),
        norms="rms",
        projection_bias=_both(c, "mamba_proj_bias"),
        convolution_bias=_channel(c, "mamba_conv_bias"),
    )
    attention, dense = grouped_query(c, kv=8), gated(c)
    every, offset = c.optional("attn_layer_period", default=8), c.count("attn_layer_offset", default=4)
    often, first = c.optional("expert_layer_period", default=2), c.count("expert_layer_offset", default=1)
    types = ["full_attention" if i % every == offset else "linear_attention" for i in range(layers)]
    many = c.optional("num_experts", "num_local_experts", default=16)
    moe = MixtureOfExperts(experts=many, top_k=min(many, c.optional("num_experts_per_tok", default=2)), width=c.size("intermediate_size"))
    channels = [("moe", moe) if i % often == first and many > 1 else ("dense", dense) for i in range(layers)]
    c.ignore("use_mamba_kernels", "use_mambapy", "use_associative_scan", "num_logits_to_keep", "calc_logits_for_entire_prompt")
    c.ignore("mamba_inner_layernorms")
    return assemble(c, stack(in_turn(types, attention, mixer), channels), tied=False)


@family("falcon_h1")
def falcon_h1(c: Config) -> Model:
    """Falcon-H1 (TII 2025, arXiv:2507.22448): attention and Mamba-2 side by side in every layer."""
    layers = c.layers(*LAYERS)
    inner = _inner(c) if c.null("mamba_d_ssm") else c.optional("mamba_d_ssm", default=1024)
    ends: dict[tuple[bool, bool], Literal["none", "in", "out", "both"]]
    ends = {(False, False): "none", (True, False): "in", (False, True): "out", (True, True): "both"}
    bias = ends[c.flag("mamba_proj_bias", default=False), c.flag("projectors_bias", default=False)]
    normed: Literal["gated", "none"] = "gated" if c.flag("mamba_rms_norm", default=False) else "none"
    mixer = _mamba2(c, inner, projection_bias=bias, norm=normed)
    attention = grouped_query(c, kv=8, biases=biases(c, *ALL))
    mlp = gated(c, bias=c.flag("mlp_bias", default=False))
    c.ignore("mamba_norm_before_gate", "mamba_use_mlp", "num_logits_to_keep", "mlp_multipliers", "ssm_multipliers", "mlp_expansion_factor")
    c.ignore("layers_block_type", "attn_layer_indices")
    both = ParallelMixers(mixers=(attention, mixer))
    return assemble(c, stack(alike(layers, "", both), alike(layers, "dense", mlp)), tied=False)


# Nemotron-H ----------------------------------------------------------------------------------------------------------

_LETTERS = {"M": "linear_attention", "E": "moe", "*": "full_attention", "-": "mlp"}
_OLD = {"mamba": "linear_attention", "attention": "full_attention"}


@family("nemotron_h")
def nemotron_h(c: Config) -> Model:
    """Nemotron-H (arXiv:2504.03624) and Nemotron 3 (NVIDIA 2025): every layer is one mixer, one MLP or one mixture of experts."""
    types = _layers_of_one_part(c)
    bias = c.flag("mlp_bias", default=False)
    heads, groups = c.optional("mamba_num_heads", default=128), c.optional("n_groups", "mamba_n_groups", default=8)
    mixer = Mamba2(
        heads=heads,
        head_dim=c.optional("mamba_head_dim", default=64),
        state=c.optional("ssm_state_size", default=128),
        groups=groups,
        taps=c.optional("conv_kernel", "mamba_d_conv", default=4),
        chunk=c.optional("chunk_size", "mamba_chunk_size", default=128),
        projection_bias=_both(c, "use_bias"),
        convolution_bias=_channel(c, "mamba_conv_bias" if c.has("mamba_conv_bias") else "use_conv_bias"),
    )
    attention = grouped_query(c, kv=8, head=c.optional("attention_head_dim", "head_dim", default=128))
    c.ignore(*STEPS, "num_logits_to_keep", "use_mamba_kernels", "expand", "mamba_expand", "mamba_ssm_cache_dtype", "mamba_proj_bias")
    c.ignore("attention_bias", "sliding_window", "residual_in_fp32", "rescale_prenorm_residual", "moe_shared_expert_overlap")
    blocks = {
        "linear_attention": ("mamba", Block(attention=mixer, ffn=NoFeedForward(), norms=("mixer",))),
        "full_attention": ("attention", Block(attention=attention, ffn=NoFeedForward(), norms=("attention",))),
    }
    if "mlp" in types:
        mlp = PlainMLP(width=c.size("intermediate_size"), bias="both" if bias else "none")
        blocks["mlp"] = ("mlp", Block(attention=NoMixer(), ffn=mlp, norms=("ffn",)))
    else:
        c.ignore("intermediate_size")
    if "moe" in types:
        blocks["moe"] = ("moe", Block(attention=NoMixer(), ffn=_latent_experts(c, bias=bias), norms=("ffn",)))
    else:
        _no_experts(c)
    if depth := c.count("num_nextn_predict_layers"):
        c.note(f"num_nextn_predict_layers={depth}: the prediction modules of this family are left out, as its class leaves them out")
    c.ignore("mtp_layers_block_type", "mtp_hybrid_override_pattern")
    return own_head(c, assemble(c, stack_of([blocks[word] for word in types]), tied=False))


def _layers_of_one_part(c: Config) -> list[str]:
    """The kind of each layer, by its word or by its letter in ``hybrid_override_pattern``."""
    c.ignore("num_hidden_layers", "hybrid_override_pattern")
    known = (*_LETTERS.values(), *_OLD)
    for key in ("layers_block_type", "layer_types"):
        if c.has(key):
            words = c.data[key]
            return [_OLD.get(word, word) for word in c.words(key, known, len(words) if isinstance(words, list) else 0) or ()]
    pattern = c.data.get("hybrid_override_pattern")
    if not isinstance(pattern, str) or not pattern or set(pattern) - set(_LETTERS):
        raise c.fail("hybrid_override_pattern", "is not a pattern of layers", "give one letter per layer: M, E, * or -")
    return [_LETTERS[letter] for letter in pattern]


def _latent_experts(c: Config, *, bias: bool) -> MixtureOfExperts:
    number, top_k = experts(c, "n_routed_experts", "num_local_experts")
    c.ignore("n_shared_experts")  # the class has one shared expert of the given width, whatever number the file gives
    given: Literal["both", "none"] = "both" if bias else "none"
    return MixtureOfExperts(
        experts=number,
        top_k=top_k,
        width=c.size("moe_intermediate_size"),
        shared_width=c.size("moe_shared_expert_intermediate_size"),
        activation="plain",
        shared_bias=given,
        router_bias="score",
        latent=c.size_or_none("moe_latent_size"),
        latent_bias=given,
    )


def _no_experts(c: Config) -> None:
    """Keys of experts in a file whose layers have none."""
    c.ignore("n_routed_experts", "num_local_experts", "num_experts_per_tok", "moe_intermediate_size", "moe_shared_expert_intermediate_size")
    c.ignore("n_shared_experts", "moe_latent_size")
