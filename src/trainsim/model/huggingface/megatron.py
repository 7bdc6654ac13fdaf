"""Models in the YAML format of Megatron-LM and NeMo: one set of keys, with switches for the differences between families."""

from __future__ import annotations

from ..layers import Norm
from ..transformer import Model
from .config import Config
from .reader import family
from .shape import FamilyShape
from .shape_attention import AttentionShape, Grouped, Latent
from .shape_ends import EmbeddingShape, HeadShape
from .shape_feedforward import ChannelShape, Experts, Gated, Plain, Shared
from .shape_layers import ExpertPattern, Window


@family("megatron")
def megatron(c: Config) -> Model:
    """A model of Megatron-Core (core/transformer/transformer_config.py): switches for gating, norms, biases, experts, latent attention."""
    biases = c.flag("bias", default=True) if c.has("bias") else c.flag("add_bias_linear", default=True)
    qkv = biases or c.flag("add_qkv_bias", default=False)
    c.ignore("add_bias_linear", "add_qkv_bias")
    gated = _gated(c)
    mlp: ChannelShape = Gated(bias=biases) if gated else Plain(bias=biases, times=None if c.has("intermediate_size") else 4)
    embedding = EmbeddingShape(positions="max_position_embeddings" if _learned(c) else "")
    shape = FamilyShape(
        source="Megatron-LM, megatron/core/transformer/transformer_config.py",
        attention=_attention(c, qkv=qkv, output=biases),
        window=Window(size="window_size") if c.has("window_size") else None,
        mlp=mlp,
        experts=_experts(c, gated=gated) if c.has("num_experts") else None,
        sparse=_sparse(c),
        norm=_norm(c),
        embedding=embedding,
        head=HeadShape(tied=_tied(c)),
        mtp="as-deepseek",
    )
    if not embedding.positions:
        c.ignore("max_position_embeddings")
    return shape.read(c)


def _attention(c: Config, *, qkv: bool, output: bool) -> AttentionShape:
    if c.flag("multi_latent_attention", default=False):
        return Latent(bias=output)
    norms = c.flag("qk_layernorm", default=False)
    return Grouped(bias=qkv, output_bias=output, qk_norm="head" if norms else "none", qk_norm_bias="none" if _norm(c) == "rms" else "bias")


def _experts(c: Config, *, gated: bool) -> Experts:
    shared = Shared(width="moe_shared_expert_intermediate_size") if c.has("moe_shared_expert_intermediate_size") else None
    width = "moe_intermediate_size" if c.has("moe_intermediate_size") else "intermediate_size"
    scores = c.has("moe_router_enable_expert_bias") and c.flag("moe_router_enable_expert_bias", default=False)
    return Experts(width=width, shared=shared, activation="gated" if gated else "plain", router_bias="score" if scores else "none")


def _sparse(c: Config) -> ExpertPattern:
    listed = isinstance(c.value("moe_layer_freq"), (list, tuple))
    return (
        ExpertPattern(codes="moe_layer_freq")
        if listed
        else ExpertPattern(every="moe_layer_freq" if c.has("moe_layer_freq") else None, at=0)
    )


def _gated(c: Config) -> bool:
    """``swiglu``, ``gated_linear_unit``, or NeMo's ``activation`` by name."""
    c.ignore("activation", "activation_func", "swiglu", "gated_linear_unit", "openai_gelu", "onnx_safe", "squared_relu")
    named = str(c.data.get("activation", "")).removeprefix("fast-")
    return bool(c.data.get("swiglu") or c.data.get("gated_linear_unit") or named in ("swiglu", "geglu", "reglu"))


def _norm(c: Config) -> Norm:
    c.ignore("normalization")
    kind = str(c.data.get("normalization", "LayerNorm")).lower()
    if kind not in ("rmsnorm", "layernorm", "layernorm1p", "low_precision_layernorm"):
        raise c.fail("normalization", "is not a known norm", "known: RMSNorm, LayerNorm, layernorm1p", "unknown-name")
    return "rms" if kind == "rmsnorm" else "layer"


def _learned(c: Config) -> bool:
    c.ignore("position_embedding_type")
    return bool(c.data.get("position_embedding_type", "learned_absolute") == "learned_absolute")


def _tied(c: Config) -> bool:
    if c.has("share_embeddings_and_output_weights"):
        return c.flag("share_embeddings_and_output_weights", default=True)
    return not c.flag("untie_embeddings_and_output_weights", default=False)
