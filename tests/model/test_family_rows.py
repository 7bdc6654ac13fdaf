"""Families of a known shape are rows of TOML: those of the library, and one from a user's file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import trainsim as ts
from trainsim.core.errors import ConfigError, SpecError
from trainsim.model.huggingface.classes import config_classes
from trainsim.model.huggingface.reader import _mappers, families
from trainsim.model.huggingface.shape import family_of, family_rows

ROW = """\
[my_llama]
source = "a paper"
keys = { hidden_size = "width", num_hidden_layers = "depth" }
defaults = { gated = true }
attention = { bias = "attn_bias", qk_norm = "head", gate = "element", gate_if = "gated" }
window = { size = "local" }
kinds = { cycle = ["sliding_attention", "full_attention"] }
norms = ["attention", "attention-out", "ffn", "ffn-out"]
embedding = { norm = true }
"""
CONFIG = {
    "model_type": "my_llama", "width": 64, "depth": 4, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "local": 8,
    "intermediate_size": 96, "vocab_size": 100, "attn_bias": True, "gated": False, "tie_word_embeddings": False,
}  # fmt: skip


def test_a_family_of_a_known_shape_takes_ten_lines_and_one_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(ROW)
    assert len(ROW.splitlines()) <= 10
    model = ts.from_hf(CONFIG, families_file=path)
    attention = 64 * (64 + 32 + 32 + 64) + 64 + 32 + 32 + 64 + 2 * 16
    by_hand = 2 * 100 * 64 + 64 + 64 + 4 * (attention + 3 * 64 * 96 + 4 * 64)
    assert ts.count_params(model).total == by_hand
    assert [kind.name for kind in model.stack] == ["sliding", "dense"]
    gated = ts.from_hf({**CONFIG, "gated": True}, families_file=path)
    assert ts.count_params(gated).total == by_hand + 4 * 64 * 64 + 4 * 64 * 0
    with pytest.raises(ConfigError):
        ts.from_hf(CONFIG)


def test_a_row_may_inherit_from_another(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('[mine]\nlike = "qwen3"\nsource = "a paper"\nnorms = ["block"]\n')
    base = {key: value for key, value in CONFIG.items() if key not in ("width", "depth", "local", "attn_bias", "gated")}
    config = {**base, "model_type": "mine", "hidden_size": 64, "num_hidden_layers": 2}
    ours = ts.count_params(ts.from_hf(config, families_file=path)).total
    theirs = ts.count_params(ts.from_hf({**config, "model_type": "qwen3"})).total
    assert theirs - ours == 2 * 64


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ('[mine]\nlike = "nobody"\n', "like"),
        ('[mine]\nlike = "mine"\n', "like"),
        ('[mine]\nsource = "x"\nnorm_kind = "rms"\n', "norm_kind"),
        ('[mine]\nsource = "x"\nattention = { kind = "Nothing" }\n', "attention"),
        ("mine = 3\n", "mine"),
        ("[mine\n", ""),
    ],
)
def test_an_invalid_row_is_refused(tmp_path: Path, text: str, at: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises((ConfigError, SpecError)) as error:
        ts.from_hf({**CONFIG, "model_type": "mine"}, families_file=path)
    assert at in error.value.path


@pytest.mark.parametrize("kind", family_rows())
def test_every_row_is_a_family_with_a_source(kind: str) -> None:
    shape = family_of(kind, family_rows())
    assert shape.source
    assert kind in families()
    assert kind not in _mappers()  # otherwise one of the two would never be used


def test_a_family_may_be_read_as_another_with_a_note() -> None:
    config: dict[str, Any] = {
        "model_type": "new", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 96,
        "vocab_size": 100,
    }  # fmt: skip
    with pytest.raises(ConfigError) as error:
        ts.from_hf(config)
    assert "as_family" in error.value.remedy
    model = ts.from_hf(config, as_family="llama")
    assert ts.count_params(model).total == ts.count_params(ts.from_hf({**config, "model_type": "llama"})).total
    assert any("read as llama" in note for note in model.notes)


# what a file says of its head and of its mask --------------------------------------------------------------------------

QWEN: dict[str, Any] = {
    "model_type": "qwen3", "hidden_size": 96, "intermediate_size": 320, "num_hidden_layers": 5, "num_attention_heads": 6, "head_dim": 16,
    "num_key_value_heads": 2, "vocab_size": 1009, "tie_word_embeddings": False, "attention_bias": False,
}  # fmt: skip
BODY = 778_624 - 96 * 1009


@pytest.mark.parametrize(
    ("architecture", "more", "head"),
    [
        ("Qwen3ForCausalLM", {}, 96 * 1009),
        ("Qwen3ForSequenceClassification", {"id2label": {"0": "a", "1": "b", "2": "c"}}, 96 * 3),
        ("Qwen3ForSequenceClassification", {"num_labels": 1, "problem_type": "regression"}, 96),
        ("Qwen3ForTokenClassification", {"num_labels": 4}, 96 * 4 + 4),
        ("Qwen3ForQuestionAnswering", {}, 96 * 2 + 2),
        ("Qwen3Model", {}, 0),
    ],
)
def test_the_head_is_that_of_the_architecture(architecture: str, more: dict[str, Any], head: int) -> None:
    model = ts.from_hf({**QWEN, "architectures": [architecture], **more})
    assert ts.count_params(model).total == BODY + head
    logits = {path: flop for path, flop in ts.flops_per_token(model, 64).part("forward").lines() if path.startswith("head")}
    biases = {4: 4, 2: 2}.get(head % 96, 0)
    assert sum(logits.values()) == 2 * (head - biases)


@pytest.mark.parametrize(
    ("more", "path"),
    [
        ({"architectures": ["Qwen3ForMaskedTokens"]}, "architectures"),
        ({"architectures": "Qwen3ForCausalLM"}, "architectures"),
        ({"architectures": ["Qwen3ForSequenceClassification"], "num_labels": 2, "id2label": {"0": "a"}}, "num_labels"),
        ({"is_causal": "no"}, "is_causal"),
        ({"use_new_attention": False}, "use_new_attention"),
        ({"new_blocks": None}, "new_blocks"),
    ],
)
def test_unknown_keys_are_errors_with_any_value(more: dict[str, Any], path: str) -> None:
    with pytest.raises(ConfigError) as error:
        ts.from_hf({**QWEN, **more})
    assert error.value.path.endswith(path)
    if path.startswith(("use_new", "new_")):
        assert ts.from_hf({**QWEN, **more}, ignore=(path,))


def test_a_bidirectional_mask_allows_every_pair() -> None:
    both, causal = ts.from_hf({**QWEN, "is_causal": False}), ts.from_hf(QWEN)
    assert ts.count_params(both).total == ts.count_params(causal).total
    for convention in ("causal", "half", "torchtitan"):
        assert ts.flops_per_token(both, 64, convention).part("forward.dense.attention.core").total == 5 * 2 * 6 * 32 * 64


def test_class_defaults_are_recorded_and_wrappers_know_their_text_model() -> None:
    known = config_classes()
    assert known["mistral"].defaults["sliding_window"] == 4096
    assert (known["llava"].text_key, known["llava"].text_type) == ("text_config", "llama")
    assert sum(bool(row.causal) for row in known.values()) == 196


def test_a_wrapped_model_takes_the_defaults_of_its_family() -> None:
    model = ts.from_hf({"model_type": "llava", "text_config": {"model_type": "llama", "vocab_size": 1009}})
    assert ts.count_params(model).total == 6_484_537_344
    assert "hidden_size not given: 4096 (class default)" in model.notes


# files that are no config.json -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        {"peft_type": "LORA", "base_model_name_or_path": "a/b", "r": 8},
        {"metadata": {"total_size": 1}, "weight_map": {}},
        {"_class_name": "UNet", "_diffusers_version": "0.30"},
        {"tokenizer_class": "LlamaTokenizer"},
        {"image_processor_type": "CLIPImageProcessor"},
        {"producer": {"name": "modelopt"}, "quantization": {"quant_algo": "FP8"}},
    ],
)
def test_the_error_names_the_kind_of_a_foreign_file(data: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as error:
        ts.from_hf(data)
    assert error.value.rule_id == "unsupported"
    assert error.value.rule.startswith("is a")


def test_params_json_of_meta_and_of_mistral_are_read() -> None:
    meta = {
        "dim": 8192, "n_layers": 80, "n_heads": 64, "n_kv_heads": 8, "vocab_size": 128256, "multiple_of": 4096, "ffn_dim_multiplier": 1.3,
        "norm_eps": 1e-5, "rope_theta": 500000.0, "use_scaled_rope": True,
    }  # fmt: skip
    assert ts.count_params(ts.from_hf(meta)).total == 70_553_706_496
    mistral = {"dim": 4096, "n_layers": 32, "head_dim": 128, "hidden_dim": 14336, "n_heads": 32, "n_kv_heads": 8, "vocab_size": 32000}
    assert ts.count_params(ts.from_hf({**mistral, "norm_eps": 1e-5, "sliding_window": 4096})).total == 7_241_732_096
    mixtral = {**mistral, "norm_eps": 1e-5, "moe": {"num_experts": 8, "num_experts_per_tok": 2}}
    assert ts.count_params(ts.from_hf(mixtral)).total == 46_702_792_704


def test_deepseeks_inference_config_is_read() -> None:
    given = {
        "vocab_size": 129280, "dim": 7168, "inter_dim": 18432, "moe_inter_dim": 2048, "n_layers": 61, "n_dense_layers": 3, "n_heads": 128,
        "n_routed_experts": 256, "n_shared_experts": 1, "n_activated_experts": 8, "n_expert_groups": 8, "n_limited_groups": 4,
        "route_scale": 2.5, "score_func": "sigmoid", "q_lora_rank": 1536, "kv_lora_rank": 512, "qk_nope_head_dim": 128,
        "qk_rope_head_dim": 64, "v_head_dim": 128, "dtype": "fp8",
    }  # fmt: skip
    assert ts.count_params(ts.from_hf(given)).total == 671_026_404_352
