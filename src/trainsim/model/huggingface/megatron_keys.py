"""Keys of Megatron-Core and NeMo under the names that Hugging Face gives them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

GROUPS = ("model", "language_model", "model_config", "config")
"""Groups under which a YAML file describes its model."""
_SIGNS = ("num_layers", "hidden_size", "num_attention_heads")
_NAMES = {
    "num_layers": "num_hidden_layers",
    "ffn_hidden_size": "intermediate_size",
    "num_query_groups": "num_key_value_heads",
    "kv_channels": "head_dim",
    "padded_vocab_size": "vocab_size",
    "override_vocab_size": "vocab_size",
    "num_moe_experts": "num_experts",
    "moe_router_topk": "num_experts_per_tok",
    "moe_ffn_hidden_size": "moe_intermediate_size",
    "qk_head_dim": "qk_nope_head_dim",
    "qk_pos_emb_head_dim": "qk_rope_head_dim",
    "mtp_num_layers": "num_nextn_predict_layers",
    "encoder_seq_length": "max_position_embeddings",
}
"""Names of Megatron-Core and NeMo → Hugging Face's."""
_INERT = re.compile(
    r".*parallel.*|.*_fusion|.*fused.*|fp8.*|fp16.*|bf16.*|fp32.*|megatron_amp.*|seed|.*batch.*|recompute.*|activations_checkpoint.*|.*dropout.*|"
    r"init_method.*|.*_loss_coeff|apply_.*|attention_softmax.*|gradient.*|persist_.*|sequence_.*|distribute.*|async.*|overlap.*|rotary.*|"
    r"use_.*|transformer_engine|native_amp.*|precision|name|tokenizer.*|layernorm_epsilon|.*_eps|seq_length|make_vocab_size_divisible_by|"
    r"pre_process|post_process|headscale|sync_.*|nsys.*|optim.*|data|cpu_offloading.*|tp_comm.*|ub_.*|deterministic.*|.*_dispatcher.*|"
    r"moe_(router_(load|score|dtype|bias|pre|group|num|topk_scaling).*|aux.*|z_.*|grouped_gemm|token.*|permute.*|expert_capacity.*|input_.*)|"
    r"hidden_act.*|bias_activation.*|attention_backend|cuda_graph.*|gated_linear_unit_|num_layers_in_.*|account_for.*|restore.*|resume.*"
)


def is_megatron(data: Mapping[str, Any]) -> bool:
    """Whether keys are those of a model of Megatron-Core or NeMo."""
    return all(sign in data for sign in _SIGNS) and "model_type" not in data


def model_group(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """The group of a YAML file that describes its model: the file itself, or the one under ``model``."""
    for key in GROUPS:
        inner = data.get(key)
        if isinstance(inner, Mapping) and is_megatron(inner):
            beside = {name: value for name, value in data.items() if name in ("vocab_size", "padded_vocab_size")}
            return {**beside, **inner}
    return data


def as_hugging_face(data: Mapping[str, Any]) -> dict[str, Any]:
    """Keys under Hugging Face's names; those of training, parallelism and numerics are left out."""
    made: dict[str, Any] = {"model_type": "megatron"}
    for key, value in data.items():
        if key in _NAMES:
            made[_NAMES[key]] = value
        elif not _INERT.fullmatch(key) and not isinstance(value, Mapping):
            made[key] = value
    return made
