"""Known architectures that this library doesn't support, each with the reason."""

from __future__ import annotations

_COMPRESSED = "keys are compressed before an indexer selects them, and several residual streams are mixed"
_BLOCKS = "an indexer selects blocks of keys, which is not supported"
_STREAMS = "its layers mix several residual streams"
_GATED_NORM = "its norms are gated by a product of their own"
_DELTA = "its delta rule takes its decay and its gate from projections that are not supported"
_ENCODER = "it is an encoder and a decoder, or has no causal head"
_DRAFT = "it drafts tokens from another model's hidden states"
_BYTES = "it groups bytes into patches by their entropy, so the number of tokens in a layer depends on the data"
_LOOPS = "its layers run several times over, a number that is not supported"
_HASHED = "its attention hashes or chunks keys in a way that is not supported"
_TOWER = "its causal class holds another tower than the text model, which is not supported"
_OWN = "its layers hold parts that no other family has, and that are not supported"

UNFIT: dict[str, str] = (
    dict.fromkeys(("glm5_next_text", "mistral_large4_text"), _COMPRESSED)
    | dict.fromkeys(("kimi_k3",), "its layers attend to the outputs of earlier ones, and its experts work on a normed latent stream")
    | dict.fromkeys(("qwen4_exp", "qwen4_exp_text"), _BLOCKS)
    | dict.fromkeys(("inkling_text", "inkling2_text"), _STREAMS)
    | dict.fromkeys(("axk2",), _GATED_NORM)
    | dict.fromkeys(
        ("dots3_note", "dots3_note_text"), "its windowed layers have latent ranks of their own and a gate, which are not supported"
    )
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
