"""config.json → Model: published figures, class defaults, wrappers, and clear errors for everything else."""

from __future__ import annotations

import contextlib
import json
import time
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import trainsim as ts
from trainsim.core.errors import ConfigError
from trainsim.model.huggingface.reader import families
from trainsim.model.huggingface.unfit import UNFIT
from trainsim.model.masks import Mask
from trainsim.model.ops import Attend
from trainsim.testing import covering_configs, hf_configs, refused
from trainsim.testing.families import FAMILIES
from trainsim.testing.hybrid_families import HYBRIDS

PUBLISHED: dict[str, Any] = tomllib.loads((Path(__file__).parent / "published.toml").read_text())
V3: dict[str, Any] = PUBLISHED["deepseek-v3"]["config"]
LLAMA: dict[str, Any] = PUBLISHED["llama2-70b"]["config"]


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_models_are_counted_to_the_last_digit(name: str) -> None:
    row = PUBLISHED[name]
    model = ts.from_hf(row["config"])
    assert ts.count_params(model).total == row["total"]
    assert ts.count_active_params(model).total == row["active"]
    for convention in ("full", "causal"):
        if (want := row.get(f"forward_{convention}")) is not None:
            got = ts.flops_per_token(model, 4096, convention).part("forward").total * 4096
            assert got == pytest.approx(want, rel=1e-12)


def test_all_the_families_of_the_list_are_mapped() -> None:
    # fmt: off
    listed = {
        "bloom", "cohere2", "dbrx", "deepseek", "deepseek_v2", "deepseek_v3", "dots1", "ernie4_5_moe", "falcon", "gemma2",
        "gemma3_text", "glm4_moe", "gpt2", "gpt_neox", "gpt_oss", "granitemoe", "granitemoeshared", "grok-1", "hunyuan_v1_moe",
        "jetmoe", "kimi_k2", "llama", "llama4_text", "minimax", "minimax_m2", "mistral", "mixtral", "olmo2", "olmoe", "opt",
        "phi3", "phimoe", "qwen2", "qwen2_moe", "qwen3", "qwen3_moe", "smollm3", "starcoder2",
    }
    # fmt: on
    assert listed <= set(FAMILIES | HYBRIDS) <= set(families())


def test_an_unrolled_scan_has_the_flops_of_the_op_table() -> None:
    """MiniMax's class, measured: 4 layers, 3 of them linear, 256 tokens in chunks of 64, 4 heads of 32.

    Forward agrees. Backward is three products of chunk × d × d per head and linear layer less than twice forward: the first state is a
    constant zero and needs no gradient, and nothing reads the last update, so its two operands need none.
    """
    config = {"model_type": "minimax", "hidden_size": 128, "intermediate_size": 96, "num_hidden_layers": 4, "num_attention_heads": 4}
    config |= {"num_key_value_heads": 2, "vocab_size": 1000, "head_dim": 32, "num_local_experts": 4, "num_experts_per_tok": 2}
    config |= {"block_size": 64, "layer_types": ["linear_attention"] * 3 + ["full_attention"], "tie_word_embeddings": False}
    ledger = ts.flops_per_token(ts.from_hf(config), 256, "full")
    assert ledger.part("forward").total * 256 == 439_877_632
    unread = 3 * 2 * 64 * 32 * 32 * 4 * 3
    assert ledger.total * 256 - unread == 1_314_914_304


# what is taken where the file is silent ------------------------------------------------------------------------------


def masks(model: Any) -> list[Mask]:
    blocks = {kind.name: kind.block for kind in model.stack}
    return [op.mask for name in model.layout for op in blocks[name].attention.ops(model.hidden) if isinstance(op, Attend)]


SMALL = {"num_hidden_layers": 4, "hidden_size": 64, "num_attention_heads": 4, "vocab_size": 50, "intermediate_size": 96}


@pytest.mark.parametrize(
    ("config", "seen"),
    [
        ({"model_type": "mistral", "num_key_value_heads": 2}, "SSSS"),
        ({"model_type": "mistral", "num_key_value_heads": 2, "sliding_window": None}, "CCCC"),
        ({"model_type": "gemma2"}, "SCSC"),
        ({"model_type": "gemma3_text", "sliding_window_pattern": 3}, "SSCS"),
        ({"model_type": "cohere2"}, "SSSC"),
        ({"model_type": "qwen2", "num_key_value_heads": 2, "use_sliding_window": True, "max_window_layers": 2}, "CCSS"),
        ({"model_type": "qwen2", "num_key_value_heads": 2, "sliding_window": 8}, "CCCC"),
        ({"model_type": "gpt_oss", "num_key_value_heads": 2, "num_local_experts": 4, "num_experts_per_tok": 2}, "SCSC"),
        ({"model_type": "llama4_text", "num_key_value_heads": 2, "num_local_experts": 4, "num_experts_per_tok": 1}, "KKKC"),
    ],
)
def test_class_defaults_of_windows_and_patterns(config: dict[str, Any], seen: str) -> None:
    letters = {"Causal": "C", "SlidingWindow": "S", "Chunked": "K"}
    assert "".join(letters[type(mask).__name__] for mask in masks(ts.from_hf(SMALL | config))) == seen


@pytest.mark.parametrize("family", FAMILIES)
def test_keys_left_out_are_noted(family: str) -> None:
    config = next(covering_configs(family))
    given_ = {k: v for k, v in config.items() if k != "tie_word_embeddings"}
    notes = ts.from_hf(given_).notes
    if family != "dbrx":  # its class does not support a tied head
        assert any("tie_word_embeddings not given" in note for note in notes)


def test_head_size_and_ranks_are_the_defaults_of_the_class() -> None:
    qwen3 = ts.from_hf(SMALL | {"model_type": "qwen3", "num_key_value_heads": 2})
    assert qwen3.stack[0].block.attention.head_dim == 128  # type: ignore[attr-defined]
    no_rank = {k: v for k, v in V3.items() if k != "q_lora_rank"}
    assert ts.count_params(ts.from_hf(no_rank)).total == PUBLISHED["deepseek-v3"]["total"]
    assert "q_lora_rank not given: 1536 (class default)" in ts.from_hf(no_rank).notes
    full = ts.from_hf({**V3, "q_lora_rank": None})
    assert ts.count_params(full).total > PUBLISHED["deepseek-v3"]["total"]


@pytest.mark.parametrize(("family", "flag"), [("ernie4_5_moe", "use_bias"), ("phimoe", "lm_head_bias")])
def test_a_tied_head_keeps_its_own_bias(family: str, flag: str) -> None:
    config = next(covering_configs(family)) | {"tie_word_embeddings": True, flag: True}
    for count in (ts.count_params, ts.count_active_params):
        assert count(ts.from_hf(config)).part("head.logits").total == config["vocab_size"]


# wrappers, files, objects ----------------------------------------------------------------------------------------------


def test_a_wrapped_text_model_is_read_with_a_note() -> None:
    inner = {"hidden_size": 2560, "intermediate_size": 10240, "model_type": "gemma3_text", "num_hidden_layers": 34, "sliding_window": 1024}
    model = ts.from_hf({"model_type": "gemma3", "text_config": inner, "vision_config": {"hidden_size": 1152}})
    assert ts.count_params(model).total == 3_880_263_168  # gemma-3-4b, text only
    assert "text model of gemma3" in model.notes
    assert "num_attention_heads not given: 8 (class default)" in model.notes


def test_a_wrapper_gives_its_text_model_defaults_and_a_tied_head() -> None:
    inner = {k: v for k, v in LLAMA.items() if k not in ("model_type", "tie_word_embeddings")}
    model = ts.from_hf({"model_type": "mistral3", "text_config": inner, "tie_word_embeddings": True})
    assert model.head.weights == "tied"
    assert "sliding_window not given: 4096 (class default)" in model.notes


def test_a_file_a_folder_and_an_object_read_alike(tmp_path: Path) -> None:
    class Held:
        def to_dict(self) -> dict[str, Any]:
            return V3

    (tmp_path / "config.json").write_text(json.dumps(V3))
    assert ts.from_hf(tmp_path) == ts.from_hf(tmp_path / "config.json") == ts.from_hf(Held()) == ts.from_hf(V3)


def test_a_quantised_release_has_the_same_parameters() -> None:
    quantised = ts.from_hf({**V3, "quantization_config": {"weight_block_size": [128, 128], "quant_method": "fp8"}})
    assert ts.count_params(quantised).total == PUBLISHED["deepseek-v3"]["total"]
    assert quantised.quantization_block == 128


# what can't be read ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "path", "rule_id"),
    [
        ({"n_routed_experts": 0}, "n_routed_experts", "wrong-type"),
        ({"num_experts_per_tok": 300}, "num_experts_per_tok", "out-of-bounds"),
        ({"kv_lora_rank": 0}, "kv_lora_rank", "wrong-type"),
        ({"q_lora_rank": -1}, "q_lora_rank", "wrong-type"),
        ({"num_hidden_layers": 10**9}, "num_hidden_layers", "out-of-bounds"),
        ({"num_hidden_layers": 10**12}, "num_hidden_layers", "wrong-type"),
        ({"num_hidden_layers": 10**5000}, "num_hidden_layers", "too-large"),
        ({"hidden_size": "7168"}, "hidden_size", "wrong-type"),
        ({"vocab_size": True}, "vocab_size", "wrong-type"),
        ({"vocab_size": 1.5}, "vocab_size", "wrong-type"),
        ({"vocab_size": float("nan")}, "vocab_size", "wrong-type"),
        ({"first_k_dense_replace": 62}, "first_k_dense_replace", "out-of-bounds"),
        ({"first_k_dense_replace": -1}, "first_k_dense_replace", "wrong-type"),
        ({"moe_layer_freq": 0}, "moe_layer_freq", "wrong-type"),
        ({"num_key_value_heads": 7}, "num_key_value_heads", "conflict"),
        ({"hidden_size": None}, "hidden_size", "missing"),
        ({"attention_bias": "no"}, "attention_bias", "wrong-type"),
        ({"n_hash_tables": 4}, "n_hash_tables", "unknown-field"),
        ({"use_qk_norm": True}, "use_qk_norm", "unknown-field"),
        ({"num_local_experts": 8}, "n_routed_experts", "conflict"),
        ({"model_type": "deepseek_v33"}, "model_type", "unknown-name"),
        ({"model_type": None}, "model_type", "unknown-name"),
        ({"model_type": ["deepseek_v3"]}, "model_type", "unknown-name"),
        ({"text_config": {"hidden_size": 3}}, "text_config.model_type", "missing"),
    ],
)
def test_absurd_and_contradictory_configs_raise_one_error(change: dict[str, Any], path: str, rule_id: str) -> None:
    start = time.process_time()
    with refused(ConfigError, rule_id, f"config.{path}"):
        ts.from_hf({**V3, **change})
    assert time.process_time() - start < 1.0


MINIMAX = {"model_type": "minimax", "num_key_value_heads": 2, "num_local_experts": 4, "num_experts_per_tok": 2}


@pytest.mark.parametrize(
    ("config", "path", "rule_id"),
    [
        ({"model_type": "llama", "num_key_value_heads": 3}, "num_key_value_heads", "conflict"),
        ({"model_type": "llama", "num_key_value_heads": 8}, "num_key_value_heads", "out-of-bounds"),
        ({"model_type": "llama", "num_attention_heads": 5}, "num_attention_heads", "conflict"),
        ({"model_type": "llama", "sliding_window": 128}, "sliding_window", "unknown-field"),
        ({"model_type": "llama", "qk_rope_head_dim": 8}, "qk_rope_head_dim", "unknown-field"),
        ({"model_type": "llama", "attention_head_dim": 8}, "attention_head_dim", "unknown-field"),
        ({"model_type": "llama", "layer_types": 5}, "layer_types", "wrong-type"),
        ({"model_type": "gemma2", "sliding_window": 4096, "sliding_window_size": 8}, "sliding_window_size", "conflict"),
        ({"model_type": "olmoe", "head_dim": 8, "num_experts": 4, "num_experts_per_tok": 2}, "head_dim", "unsupported"),
        (
            MINIMAX | {"attn_type_list": [1] * 4, "layer_types": ["linear_attention"] * 4},
            "attn_type_list",
            "conflict",
        ),
        ({"model_type": "opt", "ffn_dim": 96, "learned_embeddings": False}, "learned_embeddings", "unsupported"),
        ({"model_type": "qwen2"}, "num_key_value_heads", "out-of-bounds"),
        ({"model_type": "mistral", "num_key_value_heads": 2, "sliding_window": -1}, "sliding_window", "wrong-type"),
        ({"model_type": "qwen2", "num_key_value_heads": 2, "sliding_window": -1}, "sliding_window", "wrong-type"),
        ({"model_type": "gemma2", "layer_types": ["full_attention"]}, "layer_types", "conflict"),
        ({"model_type": "gemma2", "layer_types": ["full"] * 4}, "layer_types", "unknown-name"),
        ({"model_type": "gemma2", "layer_types": "full_attention"}, "layer_types", "wrong-type"),
        ({"model_type": "gemma2", "sliding_window": None, "layer_types": ["sliding_attention"] * 4}, "layer_types", "conflict"),
        ({"model_type": "smollm3", "no_rope_layers": [1, 0]}, "no_rope_layers", "conflict"),
        ({"model_type": "smollm3", "no_rope_layers": [1, 0, -1, 1]}, "no_rope_layers", "wrong-type"),
        (
            {"model_type": "llama4_text", "num_local_experts": 4, "num_experts_per_tok": 1, "num_key_value_heads": 2, "moe_layers": [9]},
            "moe_layers",
            "out-of-bounds",
        ),
        (
            {"model_type": "phimoe", "num_key_value_heads": 2, "num_local_experts": 1, "num_experts_per_tok": 1},
            "num_local_experts",
            "conflict",
        ),
        ({"model_type": "gpt2", "num_key_value_heads": 2}, "num_key_value_heads", "unsupported"),
        ({"model_type": "bloom", "n_inner": 100}, "n_inner", "unsupported"),
        ({"model_type": "dbrx", "attn_config": 3}, "attn_config", "wrong-type"),
        ({"model_type": "dbrx", "attn_config": {"kv_n_heads": 3}}, "attn_config.kv_n_heads", "conflict"),
        (
            {"model_type": "jetmoe", "num_key_value_heads": 2, "kv_channels": 8, "num_local_experts": 4, "num_experts_per_tok": 3},
            "num_attention_heads",
            "conflict",
        ),
    ],
)
def test_every_family_refuses_unsupported_values(config: dict[str, Any], path: str, rule_id: str) -> None:
    with refused(ConfigError, rule_id, f"config.{path}"):
        ts.from_hf(SMALL | config)


@pytest.mark.parametrize("kind", sorted(UNFIT))
def test_unsupported_model_types_are_refused_by_name(kind: str) -> None:
    with refused(ConfigError, "unsupported", "config.model_type"):
        ts.from_hf(SMALL | {"model_type": kind})


@pytest.mark.parametrize(
    "text", ["", '{"model_type": "llama", "hidden_si', "[1, 2]", "\xff\xfe", "null", "[" * 100_000, "9" * 5000], ids=range(7)
)
def test_truncated_files_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigError):
        ts.from_hf(path)
    with refused(ConfigError, "not-found", "other.json"):
        ts.from_hf(tmp_path / "other.json")
    with refused(ConfigError, "wrong-type", "config"):
        ts.from_hf(3)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"model_type": "llama", "hidden_size": 64, "hidden_size": 32}', "hidden_size=32: contradicts hidden_size=64"),
        ('{"a": ' * 100 + "1" + "}" * 100, "nested deeper than 64 levels"),
        ("[1" + ", 1" * 6_000_000 + "]", "is longer than 4,194,304 bytes"),
    ],
    ids=("twice", "deep", "long"),
)
def test_oversized_files_are_refused(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "config.json"
    path.write_text(text)
    with pytest.raises(ConfigError) as error:
        ts.from_hf(path)
    assert words in str(error.value)


@pytest.mark.parametrize("given", ["\0", "x" * 5000, '{"model_type": "llama"}', "/dev/zero", Path, object(), {(): 1}, {"a" * 300: 1}])
def test_a_path_without_a_config_is_refused(given: Any) -> None:
    with pytest.raises(ConfigError):
        ts.from_hf(given)


def test_a_self_referential_object_is_refused() -> None:
    loop: dict[str, Any] = {"model_type": "llama"}
    loop["text_config"] = loop
    with refused(ConfigError, "too-deep"):
        ts.from_hf(loop)
    bush: Any = {"a": 1}
    for _ in range(30):
        bush = {"a": bush, "b": bush}
    with refused(ConfigError, "too-large"):
        ts.from_hf({**LLAMA, "more": bush})


def test_sizes_may_be_numpy_numbers_and_a_file_may_have_a_byte_order_mark(tmp_path: Path) -> None:
    model = ts.from_hf({**LLAMA, "hidden_size": np.int64(LLAMA["hidden_size"]), "rope_theta": np.float32(1e4), "rope_scaling": np.ones(3)})
    (tmp_path / "config.json").write_text(json.dumps(LLAMA), encoding="utf-8-sig")
    assert model == ts.from_hf(tmp_path)


NONSENSE = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.lists(st.integers(), max_size=3), st.just({"a": 1})
)


@settings(deadline=10_000, max_examples=300)
@given(hf_configs(), st.data())
def test_a_config_with_random_values_is_read_or_refused(config: dict[str, Any], data: st.DataObject) -> None:
    for key in data.draw(st.lists(st.sampled_from(sorted(config)), min_size=1, max_size=3, unique=True)):
        if data.draw(st.booleans()):
            del config[key]
        else:
            config[key] = data.draw(NONSENSE)
    with contextlib.suppress(ConfigError):
        model = ts.from_hf(config)
        assert ts.count_active_params(model).total <= ts.count_params(model).total


REAL: dict[str, dict[str, Any]] = {name: row["config"] for name, row in PUBLISHED.items()}
KEYS = sorted({key for config in REAL.values() for key in config})
JSON_LIKE = st.recursive(
    st.none()
    | st.booleans()
    | st.sampled_from([0, -1, 1, 2, 7, 10**9, 10**9 + 1, 10**400, -(10**30), 10_000])
    | st.floats()
    | st.sampled_from(["", "full_attention", "sliding_attention", "7168", "llama", "x" * 300])
    | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*KEYS, "", "weight_block_size"]), inner, max_size=3)
        | st.tuples(inner, st.sampled_from([1, 32, 61])).map(lambda pair: [pair[0]] * pair[1])
    ),
    max_leaves=6,
)


@settings(deadline=10_000, max_examples=250)
@given(st.sampled_from(sorted(REAL)), st.dictionaries(st.sampled_from([*KEYS, "text_config"]), JSON_LIKE, max_size=3), st.data())
def test_a_real_config_mutated_is_read_or_refused(name: str, changed: dict[str, Any], data: st.DataObject) -> None:
    config = {**REAL[name], **changed}
    for key in data.draw(st.lists(st.sampled_from(sorted(config)), max_size=2, unique=True)):
        del config[key]
    if data.draw(st.booleans()):
        config = {"model_type": data.draw(st.sampled_from(["gemma3", "mistral3", "x"])), "text_config": config}
    with contextlib.suppress(ConfigError):
        model = ts.from_hf(config)
        assert 0 < ts.count_active_params(model).total <= ts.count_params(model).total
        assert 0 < ts.flops_per_token(model, 4096).total < 1e40


@settings(deadline=None, max_examples=200)
@given(name=st.sampled_from(sorted(REAL)), data=st.data())
def test_a_real_file_with_a_broken_byte_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, name: str, data: st.DataObject
) -> None:
    text = bytearray(json.dumps(REAL[name]).encode())
    where = data.draw(st.integers(0, len(text) - 1))
    text[where : where + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=2))
    path = tmp_path_factory.mktemp("broken") / "config.json"
    path.write_bytes(bytes(text))
    with contextlib.suppress(ConfigError):
        assert ts.count_params(ts.from_hf(path)).total > 0


def test_null_means_none_and_is_noted() -> None:
    """As in the class, a null flag is false, whatever the default of a missing flag."""
    config = next(covering_configs("falcon")) | {"multi_query": None, "parallel_attn": None, "num_kv_heads": None}
    config["new_decoder_architecture"] = False
    model, told = ts.from_hf(config), ts.from_hf(config | {"multi_query": False, "parallel_attn": False})
    assert model.replace({"notes": told.notes}) == told
    assert "multi_query is null: false" in model.notes


def test_hunyuan_notes_keys_that_its_class_ignores() -> None:
    config = next(covering_configs("hunyuan_v1_moe"))
    told = ts.from_hf(config | {"num_shared_expert": 2, "moe_intermediate_size": [1]})
    assert ts.count_params(told).total == ts.count_params(ts.from_hf(config)).total
    assert sum("what the class builds" in note for note in told.notes) == 2


def test_a_window_that_is_off_is_not_filled_in() -> None:
    sizes = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 128, "vocab_size": 97}
    model = ts.from_hf({"model_type": "qwen3", "use_sliding_window": False, "head_dim": 16, "num_key_value_heads": 4, **sizes})
    assert not any("sliding_window" in note for note in model.notes)


def test_a_missing_type_is_named_as_missing_and_offered_a_shape() -> None:
    sizes = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 128, "vocab_size": 97}
    with pytest.raises(ConfigError) as error:
        ts.from_hf(sizes)
    assert (error.value.path, error.value.rule, "did you mean" in error.value.remedy) == ("config.model_type", "is missing", False)
    assert "as_family='llama'" in error.value.remedy


def test_biases_of_shared_experts_of_no_width_are_refused() -> None:
    small = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 128, "vocab_size": 97}
    experts = {"moe_num_experts": 4, "moe_topk": 2, "moe_num_shared_experts": 0, "num_key_value_heads": 4}
    with pytest.raises(ConfigError) as error:
        ts.from_hf({"model_type": "aria_text", "mlp_bias": True, **small, **experts})
    assert (error.value.path, error.value.rule_id) == ("config.moe_num_shared_experts", "unsupported")
