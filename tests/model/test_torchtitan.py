"""torchtitan's flavours and arguments: parameters of its own modules on the meta device, at the commit of the rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import trainsim as ts
from trainsim.core.errors import ConfigError
from trainsim.model.huggingface.torchtitan import _registry

COUNTED = {
    "llama3": {
        "debugmodel": 6_163_712,
        "1B": 1_235_814_400,
        "3B": 3_212_749_824,
        "8B": 8_030_261_248,
        "70B": 70_553_706_496,
        "405B": 405_853_388_800,
    },
    "llama4": {"17bx16e": 107_769_861_120, "17bx128e": 400_711_848_960},
    "deepseek_v3": {"debugmodel": 33_014_016, "16B": 15_706_484_224, "236B": 235_741_434_880, "671B": 671_026_404_352},
    "qwen3": {
        "debugmodel": 31_987_968,
        "0.6B": 596_049_920,
        "1.7B": 1_720_574_976,
        "4B": 4_022_468_096,
        "8B": 8_190_735_360,
        "14B": 14_768_307_200,
        "32B": 32_762_123_264,
        "debugmodel_moe": 315_758_848,
        "30B-A3B": 30_532_122_624,
        "235B-A22B": 235_093_634_560,
    },
    "gpt_oss": {"debugmodel": 81_489_440, "20b": 20_914_757_184, "120b": 116_829_156_672},
    "qwen3_5": {
        "debugmodel": 136_488_880,
        "debugmodel_moe": 138_312_792,
        "0.8B": 1_107_265_600,
        "2B": 2_721_801_024,
        "4B": 5_174_964_736,
        "9B": 9_409_813_744,
        "27B": 27_356_728_560,
        "35B-A3B": 35_107_181_936,
        "122B-A10B": 122_562_817_776,
        "397B-A17B": 396_802_360_816,
    },
    "kimi_k2_7": {
        "debugmodel": 36_651_776,
        "moonlight-16B-A3B": 15_960_108_544,
        "Kimi-VL-A3B": 16_407_654_384,
        "Kimi-K2.5": 1_026_879_353_328,
    },
}
"""Parameters with vision towers. Source: pytorch/torchtitan at b5bcd76, built on the meta device; llama4 as in transformers 5.24."""
LLAMA3: dict[str, Any] = {
    "dim": 4096,
    "n_layers": 32,
    "n_heads": 32,
    "n_kv_heads": 8,
    "ffn_dim_multiplier": 1.3,
    "multiple_of": 1024,
    "vocab_size": 128256,
}
LLAMA3 |= {"rope_theta": 500000, "attn_type": "flex"}
EXPERTS = {"num_experts": 64, "num_shared_experts": 2, "top_k": 6, "score_func": "softmax"}
DEEPSEEK = {
    "vocab_size": 102400,
    "dim": 2048,
    "inter_dim": 10944,
    "moe_inter_dim": 1408,
    "n_layers": 27,
    "n_dense_layers": 1,
    "n_heads": 16,
    "moe_args": EXPERTS,
    "q_lora_rank": 0,
    "kv_lora_rank": 512,
    "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64,
    "v_head_dim": 128,
    "mscale": 0.7,
}
QWEN3 = {
    "vocab_size": 151936,
    "head_dim": 128,
    "dim": 2048,
    "n_layers": 48,
    "n_heads": 32,
    "n_kv_heads": 4,
    "qk_norm": True,
    "hidden_dim": 6144,
    "moe_enabled": True,
    "moe_inter_dim": 768,
    "moe_args": {"num_experts": 128, "num_shared_experts": 0, "top_k": 8},
}
GPT_OSS = {
    "vocab_size": 201088,
    "dim": 2880,
    "moe_inter_dim": 2880,
    "n_layers": 24,
    "head_dim": 64,
    "n_heads": 64,
    "n_kv_heads": 8,
    "sliding_window_size": 128,
    "moe_args": {"num_experts": 32, "num_shared_experts": 0, "top_k": 4},
    "rope_theta": 150000.0,
}
LLAMA4 = {
    "dim": 5120,
    "n_layers": 48,
    "n_heads": 40,
    "n_kv_heads": 8,
    "ffn_dim_multiplier": 1.2,
    "multiple_of": 2048,
    "vocab_size": 202048,
    "moe_args": {"num_experts": 128},
}


@pytest.mark.parametrize(("model", "flavour"), [(model, flavour) for model, rows in COUNTED.items() for flavour in rows])
def test_a_flavour_has_the_parameters_of_its_own_module(model: str, flavour: str) -> None:
    counted = ts.count_params(ts.from_hf({"model": {"name": model, "flavor": flavour}}), towers="all")
    assert counted.total == COUNTED[model][flavour]


def test_every_flavour_is_compared() -> None:
    assert {model: sorted(set(rows) - {"all"}) for model, rows in _registry().items()} == {m: sorted(rows) for m, rows in COUNTED.items()}


def test_a_launch_file_names_its_model(tmp_path: Path) -> None:
    path = tmp_path / "train.toml"
    path.write_text('[model]\nname = "llama3"\nflavor = "8B_flex"\n[training]\nseq_len = 8192\n')
    assert ts.count_params(ts.from_hf(path)).total == COUNTED["llama3"]["8B"]


@pytest.mark.parametrize(
    ("arguments", "model", "flavour"),
    [
        (LLAMA3, "llama3", "8B"),
        (DEEPSEEK, "deepseek_v3", "16B"),
        (QWEN3, "qwen3", "30B-A3B"),
        (GPT_OSS, "gpt_oss", "20b"),
        (LLAMA4, "llama4", "17bx128e"),
    ],
)
def test_arguments_equal_the_flavour(arguments: dict[str, Any], model: str, flavour: str, tmp_path: Path) -> None:
    def call(given: dict[str, Any]) -> str:
        return "Args(" + ", ".join(f"{k}={call(v) if isinstance(v, dict) else repr(v)}" for k, v in given.items()) + ")"

    path = tmp_path / "args.py"
    path.write_text(f"args = {call(arguments)}\n")
    named, given, pasted = (ts.from_hf(each) for each in ({"name": model, "flavor": flavour}, arguments, path))
    assert named.stack == given.stack == pasted.stack
    assert ts.count_params(given).total == ts.count_params(pasted).total == COUNTED[model][flavour]


@pytest.mark.parametrize(
    ("given", "where", "rule_id"),
    [
        ({"model": {"name": "llama3", "flavor": "9B"}}, "config.model.flavor", "unknown-name"),
        ({"model": {"name": "llama9", "flavor": "8B"}}, "config.model.name", "unknown-name"),
        ({**LLAMA3, "n_experts_of_my_own": 4}, "config.n_experts_of_my_own", "unknown-field"),
        ({**QWEN3, "qk_norm": False}, "config.qk_norm", "unsupported"),
        ({**DEEPSEEK, "moe_args": 3}, "config.moe_args", "wrong-type"),
        ({**LLAMA4, "n_heads": 0}, "config.n_heads", "wrong-type"),
        ({**LLAMA3, "multiple_of": -1}, "config.multiple_of", "wrong-type"),
        ({key: value for key, value in LLAMA3.items() if key != "vocab_size"}, "config.vocab_size", "missing"),
    ],
)
def test_unknown_and_missing_arguments_are_errors(given: dict[str, Any], where: str, rule_id: str) -> None:
    with pytest.raises(ConfigError) as caught:
        ts.from_hf(given)
    assert (caught.value.path, caught.value.rule_id) == (where, rule_id)


@pytest.mark.parametrize("text", ["import os", "a = f(1)\nb = f(2)", "f(dim=g)", "f(", "f(dim=[1])"])
def test_python_that_is_not_one_call_of_constants_is_an_error(text: str, tmp_path: Path) -> None:
    path = tmp_path / "args.py"
    path.write_text(text)
    with pytest.raises(ConfigError):
        ts.from_hf(path)
