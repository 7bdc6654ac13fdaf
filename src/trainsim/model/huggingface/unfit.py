"""Architectures met in the wild that the alphabet of work does not carry yet, each with what is in the way."""

from __future__ import annotations

_SPARSE = "an indexer picks the keys of every query, so attention pairs follow no fixed mask"
_HYBRID = "some layers are state-space mixers whose convolution and scan are not mapped"
_STATE_SPACE = "its layers are state-space mixers: no heads, no feed-forward"
_CONVOLUTION = "some layers mix tokens by a gated short convolution, which is not mapped"
_EMPTY = "some experts are identities, so how many weights a token meets depends on the data"
_ENCODER = "it has an encoder, or no causal head"

UNFIT: dict[str, str] = (
    dict.fromkeys(("deepseek_v4", "hy_v4", "axk2", "minimax_m3", "minimax_m3_vl"), _SPARSE)
    | dict.fromkeys(("minimax_m3_vl_text", "mistral_large4_text", "glm5_next_text", "dots3_note_text", "qwen4_exp_text"), _SPARSE)
    | dict.fromkeys(("zamba", "zamba2"), _HYBRID)
    | dict.fromkeys(("rwkv", "xlstm"), _STATE_SPACE)
    | dict.fromkeys(("lfm3",), _CONVOLUTION)
    | dict.fromkeys(("longcat_flash",), _EMPTY)
    | dict.fromkeys(("t5", "t5gemma", "siglip", "clip"), _ENCODER)
    | dict.fromkeys(("gemma3n", "gemma3n_text"), "its layers share keys and values and mix several residual streams")
)
"""``model_type`` → what does not fit."""
