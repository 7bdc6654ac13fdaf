"""Architectures met in the wild that the alphabet of work does not carry yet, each with what is in the way."""

from __future__ import annotations

_SPARSE = "its indexer reads compressed keys, or stands beside gated norms, hyper-connections or other parts that are not mapped"
_HYBRID = "layers of one block share their weights, which is not mapped"
_STATE_SPACE = "its layers are recurrences that are not mapped: no heads, no feed-forward of the usual kinds"
_EMPTY = "some experts are identities, so how many weights a token meets depends on the data"
_ENCODER = "it has an encoder, or no causal head"

UNFIT: dict[str, str] = (
    dict.fromkeys(("deepseek_v4", "hy_v4", "axk2", "minimax_m3", "minimax_m3_vl"), _SPARSE)
    | dict.fromkeys(("minimax_m3_vl_text", "mistral_large4_text", "glm5_next_text", "dots3_note_text", "qwen4_exp_text"), _SPARSE)
    | dict.fromkeys(("zamba", "zamba2"), _HYBRID)
    | dict.fromkeys(("rwkv", "xlstm"), _STATE_SPACE)
    | dict.fromkeys(("longcat_flash",), _EMPTY)
    | dict.fromkeys(("t5", "t5gemma", "siglip", "clip"), _ENCODER)
    | dict.fromkeys(("gemma3n", "gemma3n_text"), "its layers share keys and values and mix several residual streams")
)
"""``model_type`` → what does not fit."""
