"""Known architectures that this library doesn't support, each with the reason."""

from __future__ import annotations

_COMPRESSED = "keys are compressed before an indexer selects them, and several residual streams are mixed"
_BLOCKS = "its attention selects blocks of keys by an indexer"
_STREAMS = "its layers mix several residual streams"
_GATED_NORM = "each of its norms has a gate with a matrix of its own"
_DELTA = "the decay and the gate of its delta rule come from projections that the delta rule here does not have"
_ENCODER = "it is an encoder and a decoder, or has no causal head"
_DRAFT = "it drafts tokens from another model's hidden states"
_BYTES = "it groups bytes into patches by their entropy, so the number of tokens in a layer depends on the data"
_LOOPS = "its layers run several times per token"
_HASHED = "its attention selects keys by hashing, by blocks or by permutation"
_TOWER = "its causal class contains a tower besides the text model"
_OWN = "its layers contain parts that no supported family has"

UNFIT: dict[str, str] = (
    dict.fromkeys(("glm5_next_text", "mistral_large4_text"), _COMPRESSED)
    | dict.fromkeys(("kimi_k3",), "its layers attend to the outputs of earlier ones, and its experts work on a normed latent stream")
    | dict.fromkeys(("step3p5",), "each of its layers has a config of its own: windowed layers have their own number of heads")
    | dict.fromkeys(("qwen4_exp", "qwen4_exp_text"), _BLOCKS)
    | dict.fromkeys(("inkling_text", "inkling2_text"), _STREAMS)
    | dict.fromkeys(("axk2",), _GATED_NORM)
    | dict.fromkeys(("dots3_note", "dots3_note_text"), "its windowed layers have their own latent ranks, and a gate")
    | dict.fromkeys(("lara_mini",), _DELTA)
    | dict.fromkeys(("t5gemma", "musicgen", "musicgen_melody", "prophetnet"), _ENCODER)
    | dict.fromkeys(("gemma4_assistant", "gemma4_unified_assistant"), _DRAFT)
    | dict.fromkeys(("blt",), _BYTES)
    | dict.fromkeys(("hrm_text", "dory", "inkling2_loop_text"), _LOOPS)
    | dict.fromkeys(("reformer", "big_bird", "xlnet"), _HASHED)
    | dict.fromkeys(("git", "phi4_multimodal"), _TOWER)
    | dict.fromkeys(("cpmant", "diffllama", "doge", "gpt_neox_japanese", "roc_bert", "xlm", "xmod", "zaya", "cohere_compass_text"), _OWN)
)
"""``model_type`` → the reason why it isn't supported."""
