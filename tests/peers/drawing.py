"""Small random configs of any class of transformers, with values for every key of the class."""

from __future__ import annotations

import dataclasses
import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from transformers import PretrainedConfig
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

BASE = {f.name for f in dataclasses.fields(PretrainedConfig)}
SLIDING, LINEAR = ("full_attention", "sliding_attention"), ("full_attention", "linear_attention")
WORDS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(
        [
            "afmoe",
            "beam",
            "cohere2",
            "cohere2_moe",
            "cwm",
            "dots1",
            "exaone4",
            "exaone_moe",
            "flint",
            "gemma2",
            "gemma3_text",
            "gpt_oss",
            "granite_swa",
            "granitemoe_swa",
            "kolibri1",
            "laguna",
            "mellum",
            "mimo_v2_flash",
            "ministral",
            "modernbert-decoder",
            "olmo3",
            "qwen2",
            "qwen2_moe",
            "qwen3",
            "smollm3",
            "vaultgemma",
            "gemma3n_text",
            "gemma4_text",
        ],
        SLIDING,
    ),
    **dict.fromkeys(["qwen3_next", "qwen3_5_text", "qwen3_5_moe_text", "olmo_hybrid", "minimax", "granitemoehybrid"], LINEAR),
    "kimi_linear": LINEAR,
    "lfm3": ("full_attention", "sliding_attention", "conv"),
    "minimax_m3_vl_text": ("full_attention", "minimax_m3_sparse"),
    "nemotron_h": ("linear_attention", "full_attention", "moe", "mlp"),
    "llama4_text": ("full_attention", "chunked_attention"),
    "lfm2": ("full_attention", "conv"),
    "lfm2_moe": ("full_attention", "conv"),
    "deepseek_v4": ("sliding_attention", "compressed_sparse_attention", "heavily_compressed_attention"),
}
"""Words of a class's ``layer_types``."""
MLP_WORDS = {"deepseek_v4": ("hash_moe", "moe")}
"""Words of a class's ``mlp_layer_types``, where they are not ``dense`` and ``sparse``."""


@dataclass(frozen=True)
class Sizes:
    """Sizes that several keys of one config share."""

    hidden: int
    layers: int
    heads: int
    kv: int
    head_dim: int
    experts: int
    top_k: int
    latent: bool


ROTATIONS = (
    {"rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 0.5},
    {"rope_type": "linear", "rope_theta": 1e4, "factor": 2.0},
    {"rope_type": "yarn", "rope_theta": 1e4, "factor": 4.0, "original_max_position_embeddings": 32},
)
"""Rotations of positions, which change neither parameters nor FLOPs."""
Value = Any | Callable[[Sizes, random.Random, Any], Any]
MAPPED: dict[str, Value] = {
    **dict.fromkeys(["hidden_size", "d_model", "n_embd", "emb_dim"], lambda s, *_: s.hidden),
    **dict.fromkeys(
        ["num_hidden_layers", "n_layer", "n_layers", "num_layers", "decoder_layers", "encoder_layers", "num_decoder_layers"],
        lambda s, *_: s.layers,
    ),
    **dict.fromkeys(
        ["num_attention_heads", "n_head", "n_heads", "num_heads", "attention_heads", "decoder_attention_heads", "encoder_attention_heads"],
        lambda s, *_: s.heads,
    ),
    **dict.fromkeys(("num_key_value_heads", "num_kv_heads"), lambda s, rng, d: s.heads if s.latent else rng.choice((s.kv, d and s.kv))),
    "head_dim": lambda s, rng, d: rng.choice((s.head_dim, d and s.head_dim)),
    **dict.fromkeys(["num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts"], lambda s, *_: s.experts),
    **dict.fromkeys(["num_experts_per_tok", "moe_k", "moe_topk", "num_experts_per_token"], lambda s, *_: s.top_k),
    **dict.fromkeys(
        ("sliding_window", "attention_window_size", "window_size", "attention_chunk_size"),
        lambda _, rng, d: rng.choice((5, 9, d and 5)),
    ),
    "n_inner": lambda _, rng, __: rng.choice((None, 80)),
    "ffn_hidden_size": lambda _, rng, __: rng.choice((None, 80)),
    "num_attention_heads_per_layer": lambda s, rng, _: rng.choice((None, [rng.choice((4, 8)) for _ in range(s.layers)])),
    "q_lora_rank": lambda _, rng, d: None if d is None else rng.choice((24, 40)),
    "top_k_experts": lambda s, *_: s.top_k,
    "moe_layers": lambda s, rng, _: rng.choice((None, rng.sample(range(s.layers), 2))),
    **dict.fromkeys(("attn_layer_indices", "full_attn_idxs"), lambda s, rng, _: rng.choice((None, sorted(rng.sample(range(s.layers), 2))))),
    "num_nextn_predict_layers": lambda _, rng, d: rng.choice((0, d)),
    "num_mtp_layers": lambda _, rng, d: rng.choice((0, d)),
    "rope_parameters": lambda _, rng, d: rng.choice((d, *ROTATIONS)),
    "use_bidirectional_attention": lambda _, rng, d: rng.choice((False, True)) if d is False else d,
    "no_rope_layers": lambda s, rng, _: rng.choice((None, [rng.choice((0, 1)) for _ in range(s.layers)])),
    "activation_sparsity_pattern": lambda s, rng, _: rng.choice((None, [rng.choice((0.0, 0.95)) for _ in range(s.layers)])),
    "attention_hidden_size": lambda s, rng, d: rng.choice((d, 2 * s.hidden)),
    "position_embedding_type": lambda _, rng, d: rng.choice((d, "rope")) if d is None else d,
}
"""Keys whose values follow from the sizes, or from the class default."""
SHARED = ("n_shared_experts", "num_shared_experts", "moe_num_shared_experts")
CHOICES: dict[str, tuple[Any, ...]] = {
    "vocab_size": (97, 128),
    **dict.fromkeys(
        [
            "intermediate_size",
            "ffn_dim",
            "decoder_ffn_dim",
            "encoder_ffn_dim",
            "dff",
            "shared_expert_intermediate_size",
            "moe_intermediate_size",
            "intermediate_size_mlp",
            "prefix_dense_intermediate_size",
            "shared_intermediate_size",
        ],
        (48, 80, 112),
    ),
    **dict.fromkeys(SHARED, (0, 1, 2)),
    "n_group": (1, 2),
    "topk_group": (1, 2),
    "first_k_dense_replace": (0, 1, 2),
    "num_dense_layers": (0, 1, 2),
    "kv_lora_rank": (16, 24),
    "qk_nope_head_dim": (8, 16),
    "qk_rope_head_dim": (4, 8),
    "v_head_dim": (8, 16),
    "index_topk": (7, 12),
    "index_head_dim": (16, 24),
    "index_n_heads": (4, 2),
    "hc_mult": (2, 3, 4),
    "altup_num_inputs": (2, 4),
    "laurel_rank": (8, 12),
    "hidden_size_per_layer_input": (8, 16),
    "vocab_size_per_layer_input": (90, 128),
    "num_kv_shared_layers": (0, 1, 2),
    "hc_sinkhorn_iters": (1, 3),
    "o_groups": (1, 2, 4),
    "o_lora_rank": (8, 16),
    "compress_rates": tuple({"compressed_sparse_attention": few, "heavily_compressed_attention": many} for few, many in ((3, 5), (4, 8))),
    "mlp_only_layers": (None, [0], [1, 2]),
    "local_attention": (8, 12),
    "type_vocab_size": (1, 2, 3),
    **dict.fromkeys(
        ["max_window_layers", "interleave_moe_layer_step", "decoder_sparse_step", "global_attn_every_n_layers", "sliding_window_pattern"],
        (1, 2, 3),
    ),
    **dict.fromkeys(("max_position_embeddings", "n_positions", "max_target_positions"), (64, 80)),
    "linear_num_key_heads": (2, 4),
    "linear_num_value_heads": (4, 8),
    "linear_key_head_dim": (8, 16),
    "linear_value_head_dim": (8, 16),
    **dict.fromkeys(["linear_conv_kernel_dim", "mamba_d_conv", "conv_kernel", "conv_L_cache"], (3, 4)),
    "rotary_dim": (4, 8),
    **dict.fromkeys(["mamba_chunk_size", "chunk_size", "block_size"], (16, 32)),
    **dict.fromkeys(["mamba_d_state", "ssm_state_size", "state_size"], (12, 16)),
    **dict.fromkeys(["mamba_n_heads", "mamba_num_heads", "linear_num_heads"], (4, 8)),
    **dict.fromkeys(["mamba_head_dim", "linear_head_dim"], (12, 16)),
    **dict.fromkeys(["mamba_n_groups", "n_groups"], (1, 2, 4)),
    **dict.fromkeys(["mamba_expand", "expand"], (1, 2)),
    **dict.fromkeys(["mamba_dt_rank", "time_step_rank"], ("auto", 5)),
    **dict.fromkeys(["attn_layer_period", "expert_layer_period", "layer_group_size", "moe_layer_interval"], (2, 3)),
    **dict.fromkeys(["attn_layer_offset", "expert_layer_offset", "moe_layer_start_index"], (0, 1)),
    **dict.fromkeys(["conv1d_width", "short_conv_kernel_size"], (3, 4)),
    "n_mamba_heads": (4, 8),
    "mamba_ngroups": (1, 2),
    "num_mem_blocks": (1, 2),
    "adapter_rank": (5, 8),
    "mamba_d_ssm": (64, 128, None),
    "moe_layer_end_index": (-1, 2),
    "moe_latent_size": (None, 16),
    "moe_shared_expert_intermediate_size": (24, 40),
    "dense_intermediate_size": (48, 80),
    "block_multiple_of": (16, 32),
    "block_ffn_dim_multiplier": (1.0, 1.3),
    "block_types": (("recurrent", "recurrent", "attention"), ("attention", "recurrent")),
    "lru_width": (None, 64, 128),
    "kv_channels": (8, 16),
    "expansion_ratio": (2, 4),
    "num_ln_in_parallel_attn": (None, 1, 2),
    "index_block_size": (4, 8),
    "index_topk_blocks": (2, 3),
    "prefix_dense_sliding_window_pattern": (1, 2),
    "shared_expert_combination_strategy": ("average", "sum"),
    "expert_selection_fn": ("softmax", "sigmoid"),
    "num_codebooks": (4, 8),
    "task_type_vocab_size": (1, 3),
    "output_embedding_size": (48, 64),
    "cross_attention_hidden_size": (None, 80),
    "hidden_act": ("silu", "relu2"),
    "word_embed_proj_dim": (None, 32),
    "embedding_size": (48, 64),
    "input_embedding_size": (48, 64),
}
"""Keys with values of their own."""
ACTIVATION = re.compile(r"(^|_)(act|activation|act_fn|activation_fn|activation_function|afn)$")
"""Names of keys that name an activation function."""
SOFT_CAP = re.compile(r"soft_?cap|clip")
"""Names of keys that may bound logits or activations."""
CLOSED = ("add_cross_attention", "use_prompt", "enable_moe_block")
"""Switches that turn a class into one that is refused by name."""


def draw(kind: str, rng: random.Random) -> dict[str, Any]:
    """Keyword arguments of a class: consistent sizes; every other key is random or the class default."""
    fields = {f.name: f.default for f in dataclasses.fields(CONFIG_MAPPING[kind])}
    values = ((64, 96), (3, 4, 5, 6), (4, 8), (1, 2, 4), (16, 24), (8, 12), (1, 2, 3))
    hidden, layers, heads, kv, head_dim, experts, top_k = map(rng.choice, values)
    sizes = Sizes(hidden, layers, heads, kv, head_dim, experts, top_k, "kv_lora_rank" in fields)
    made: dict[str, Any] = {"pad_token_id": 0, "bos_token_id": 0, "eos_token_id": 0}
    for name, default in fields.items():
        if (name in BASE and name != "tie_word_embeddings") or name in CLOSED:
            continue
        if name in MAPPED:
            made[name] = MAPPED[name](sizes, rng, None if default is dataclasses.MISSING else default)
        elif name in CHOICES:
            made[name] = rng.choice(CHOICES[name])
        elif isinstance(default, bool):
            made[name] = rng.choice((True, False))
        elif isinstance(default, float) and "layerdrop" not in name:
            made[name] = rng.choice((default, default / 2 or 0.1))
        elif isinstance(default, int) and not name.endswith("_token_id"):
            made[name] = rng.choice((default, default // 2 or default + 1))
        elif isinstance(default, str) and ACTIVATION.search(name):
            made[name] = rng.choice((default, "gelu", "silu"))
        elif default is None and SOFT_CAP.search(name):
            made[name] = rng.choice((None, 30.0))
    return _fitted(kind, made, fields, sizes, rng)


def _fitted(kind: str, made: dict[str, Any], fields: Mapping[str, Any], sizes: Sizes, rng: random.Random) -> dict[str, Any]:
    """Lists of one word per layer, and keys without which single classes can't be built."""
    for key in ("layer_types", "layers_block_type"):
        if key in fields and kind in WORDS and rng.random() < 0.6:
            made[key] = [rng.choice(WORDS[kind]) for _ in range(sizes.layers)]
    if "mlp_layer_types" in fields and rng.random() < 0.6:
        made["mlp_layer_types"] = [rng.choice(MLP_WORDS.get(kind, ("dense", "sparse"))) for _ in range(sizes.layers)]
    if 0 in (made.get(key) for key in SHARED):
        made |= {"mlp_bias": False} if "mlp_bias" in fields else {}  # biases of experts of no width are refused by name
    if "sliding_attention" in (made.get("layer_types") or ()):
        made |= {key: value for key, value in (("use_sliding_window", True), ("sliding_window", 5)) if key in fields}
    match kind:
        case "gpt_neo":
            half = rng.choice((1, 2))
            made |= {"attention_types": [[["global", "local"], half]], "num_layers": 2 * half}
        case "dbrx":
            made["attn_config"] = {"kv_n_heads": sizes.kv, "rope_theta": 1e4, "clip_qkv": 8.0}
            made["ffn_config"] = {"ffn_hidden_size": 80, "moe_num_experts": 4, "moe_top_k": 2}
            made["tie_word_embeddings"] = False
        case "longcat_flash":
            made["head_dim"] = made["qk_rope_head_dim"]
            made |= {
                "ffn_hidden_size": rng.choice((80, 112)),
                "expert_ffn_hidden_size": rng.choice((24, 40)),
                "zero_expert_num": rng.choice((0, 2, 3)),
            }
        case "bamba" | "granitemoehybrid":
            made["mamba_n_heads"] = rng.choice((4, 8))
            made["mamba_d_head"] = rng.choice(("auto", made["mamba_expand"] * sizes.hidden // made["mamba_n_heads"]))
        case "falcon_h1":
            inner = made["mamba_d_ssm"] or made["mamba_expand"] * sizes.hidden
            made["mamba_d_head"] = rng.choice(("auto", inner // made["mamba_n_heads"]))
        case "mamba2":
            made["num_heads"] = made["expand"] * sizes.hidden // made["head_dim"]
        case "nemotron_h":
            made["layers_block_type"] = [rng.choice(WORDS[kind]) for _ in range(sizes.layers)]
        case "minimax_m3_vl_text":
            made["index_n_heads"] = made["num_key_value_heads"]
        case "glm_moe_dsa" | "hy_v4":
            made["indexer_types"] = rng.choice((None, ["full", *(rng.choice(("full", "shared")) for _ in range(sizes.layers - 1))]))
        case "zamba2":
            made["layers_block_type"] = ["hybrid", *(rng.choice(("mamba", "hybrid")) for _ in range(sizes.layers - 1))]
            made["num_key_value_heads"] = rng.choice((None, sizes.heads))
        case "marian":
            made["decoder_vocab_size"] = rng.choice((None, made["vocab_size"]))
        case "apertus1p5_text":  # any other value is refused by name
            made["output_vocab_size"] = None
        case "helium":
            made["head_dim"] = made["hidden_size"] // made["num_attention_heads"]
        case "mimo_v2_flash":
            made["num_key_value_heads"] = 2
        case "gptj" | "codegen":
            made["n_head"] = 4
        case _:
            pass
    return made
