"""Keys that don't change shapes in any family.

A key that is neither read by its family nor listed here is an error if its value could change the shape.
"""

from __future__ import annotations

import re

_BOOKKEEPING = (
    r"_.*|architectures|auto_map|transformers_version|transformers\..*|torch_.*|dtype|.*_dtype|model_type|name_or_path|tokenizer_class|prefix",
    r"id2label|label2id|num_labels|n_labels|problem_type|finetuning_task|task_specific_params|custom_pipelines|language|license",
    r".*_ids?|predict_special_tokens|is_.*_config|.*_token_index|bos|eos|pad|special_tokens.*|chat_template|end_token_id|tokenizer_.*",
    r"quantization|quantization_config|compression_config|for_llm_compressor|unsloth.*|attn_implementation|use_kernels?|experts_implementation",
    r"vision_.*|image_.*|video_.*|audio_.*|mm_.*|vit_.*|img_.*|anyres_.*|boi_.*|eoi_.*|projector_.*|multimodal_.*|spatial_merge_size|num_image_tokens",
    r"is_decoder|is_encoder_decoder|tie_encoder_decoder|pruned_heads|return_dict.*|tf_legacy_loss|torchscript|output_.*|cross_attention_hidden_size",
)
_TRAINING = (
    r".*dropout.*|.*_pdrop|.*layerdrop|initializer_.*|init_.*|.*_std|.*_range|gradient_.*|recompute.*|freeze_.*|train_.*|micro_batch_size",
    r".*_aux_loss.*|aux_loss_.*|.*_loss_coef.*|.*_loss_weight|.*z_loss.*|moe_aux.*|moe_z.*|.*jitter.*|label_smoothing.*",
    r"ep_size|ep_group|moe_group|pretraining_tp|slow_but_exact|chunk_size_feed_forward|use_cache|cache_implementation|hybrid_cache",
    r"expert_capacity.*|capacity_factor|.*_capacity|.*token_drop.*|drop_tokens|compression_ratio|hyper_params",
)
_ARITHMETIC = (
    r".*_eps|.*epsilon|.*_act_fn|hidden_act|mlp_hidden_act|mamba_hidden_act|hidden_mamba_act|hidden_activation|activation_function|activation|scale_embedding|rescale_embeddings|clip_qkv|qkv_clip.*|swiglu_.*|.*_in_fp32|fp32_.*|use_bfloat16|sm_scale",
    r"rope_.*|.*_rope_(theta|scaling|base|freq|interleaved?)|rotary_.*|.*_rotary_(base|pct|emb_base)|.*theta.*|.*_base_freq|mscale.*|alibi_.*|offset_alibi|use_mrope|partial_rotary_factor|interpolate_factor",
    r".*softcap.*|query_pre_attn_scalar|(?!ffn_).*_multiplier|.*_multiplier_scale|.*_scaling|.*_scale|scale_attn_.*|reorder_and_upcast_attn",
    r"norm_topk_prob|scoring_func|score_function|.*routed_scaling_factor|.*_method|n_group|topk_group|num_expert_group|num_limited_groups",
    r"route_scale|seq_aux|moe_norm_min|moe_normalize_.*|attn_temperature_tuning|floor_scale|max_attn_value|.*_(alpha|beta)(_factor)?",
    r"flash_attn.*|use_flash.*|.*flash_attention.*|attention_type|.*_fusion|use_fused_.*|fused_.*|fuse_.*|skip_bias_add.*|use_parallel_residual",
    r"max_position_embeddings|n_ctx|context_window_size|prefill_chunk_size|max_window_layers|max_seq_len|max_sequence_length|seq_length|model_max_length|.*_context_length|sequence_length",
    r"original_max_position_embeddings|original_context_length|use_logits_.*|summary_.*|uniform_expert_assignment",
)
_SAMPLING = (
    r"temperature|top_k|top_p|typical_p|repetition_penalty|length_penalty|no_repeat_ngram_size|num_beams.*|num_beam_groups",
    r"num_return_sequences|early_stopping|max_length|min_length|max_new_tokens|do_sample|diversity_penalty|bad_words_ids|forced_.*",
    r"suppress_tokens|begin_suppress_tokens|remove_invalid_values|exponential_decay_length_penalty|encoder_no_repeat_ngram_size",
)
_HARMLESS = "|".join((*_BOOKKEEPING, *_TRAINING, *_ARITHMETIC, *_SAMPLING))


def is_harmless(key: str) -> bool:
    """Whether a key changes no shape. The pattern is compiled when the first config is read."""
    return re.fullmatch(_HARMLESS, key) is not None
