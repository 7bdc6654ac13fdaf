"""Notes name what a file contains and a total leaves out: heads, towers, talkers, classes of another name."""

from __future__ import annotations

from typing import Any

import pytest

import trainsim as ts
from trainsim.core.errors import ConfigError

LLAMA: dict[str, Any] = {"model_type": "llama", "hidden_size": 64, "intermediate_size": 256, "num_hidden_layers": 2}
LLAMA |= {"num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 100, "tie_word_embeddings": False}
QWEN = LLAMA | {"model_type": "qwen2"}
OMNI = {"model_type": "qwen2_5_omni", "talker_config": {"hidden_size": 32}}
OMNI |= {"thinker_config": {"model_type": "qwen2_5_omni_thinker", "text_config": QWEN, "audio_config": {}}}
PARAMS = {"dim": 64, "n_layers": 2, "n_heads": 4, "n_kv_heads": 2, "hidden_dim": 128, "head_dim": 16, "vocab_size": 100}


@pytest.mark.parametrize(
    ("config", "named"),
    [
        (LLAMA | {"architectures": ["LlamaForCausalLMWithValueHead"]}, "65"),
        (LLAMA | {"architectures": ["EagleLlamaForCausalLM"]}, "EagleLlamaForCausalLM"),
        (LLAMA | {"architectures": ["MixtralForCausalLM"]}, "MixtralForCausalLM"),
        ({"model_type": "nvembed", "text_config": LLAMA, "latent_attention_config": {"num_latents_value": 512}}, "latent_attention_config"),
        ({"model_type": "nvembed", "architectures": ["NVEmbedModel"], "text_config": LLAMA}, "NVEmbedModel may lack"),
        (OMNI, "talker_config"),
        (OMNI, "audio tower"),
        (PARAMS | {"vision_encoder": {"hidden_size": 32}}, "vision tower"),
        (PARAMS | {"multimodal": {"whisper_model_args": {}}}, "audio tower"),
    ],
)
def test_what_a_total_leaves_out_is_a_note(config: dict[str, Any], named: str) -> None:
    assert any(named in note for note in ts.from_hf(config).notes)


def test_the_usual_class_of_a_model_type_adds_no_note() -> None:
    for name in ("LlamaForCausalLM", "LLaMAForCausalLM"):
        assert not any("architectures" in note for note in ts.from_hf(LLAMA | {"architectures": [name]}).notes)


def test_the_head_of_scores_that_a_wrapper_names_is_on_its_text_model() -> None:
    wrapped = {"model_type": "llava", "architectures": ["LlavaForSequenceClassification"], "text_config": LLAMA, "num_labels": 3}
    plain = LLAMA | {"architectures": ["LlamaForSequenceClassification"], "num_labels": 3}
    assert ts.count_params(ts.from_hf(wrapped)).total == ts.count_params(ts.from_hf(plain)).total


def test_a_bidirectional_mistral_file_is_read_as_bidirectional() -> None:
    one, both = (ts.flops_per_token(ts.from_hf(PARAMS | {"causal": causal}), 64).total for causal in (True, False))
    assert both > one


@pytest.mark.parametrize("kind", ["baichuan", "xverse", "llama_bidirec"])
def test_the_nearest_shape_knows_the_keys_of_the_file(kind: str) -> None:
    with pytest.raises(ConfigError) as error:
        ts.from_hf(LLAMA | {"model_type": kind})
    assert "as_family='llama'" in error.value.remedy
