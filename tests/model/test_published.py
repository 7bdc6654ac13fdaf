"""Published figures of models, reproduced to the printed digit."""

from __future__ import annotations

from typing import Any

import pytest

import trainsim as ts
from trainsim.testing import refused

V3: dict[str, Any] = {
    "architectures": ["DeepseekV3ForCausalLM"], "attention_bias": False, "attention_dropout": 0.0, "bos_token_id": 0, "eos_token_id": 1,
    "first_k_dense_replace": 3, "hidden_act": "silu", "hidden_size": 7168, "initializer_range": 0.02, "intermediate_size": 18432,
    "kv_lora_rank": 512, "max_position_embeddings": 163840, "model_type": "deepseek_v3", "moe_intermediate_size": 2048, "moe_layer_freq": 1,
    "n_group": 8, "n_routed_experts": 256, "n_shared_experts": 1, "norm_topk_prob": True, "num_attention_heads": 128,
    "num_experts_per_tok": 8, "num_hidden_layers": 61, "num_key_value_heads": 128, "num_nextn_predict_layers": 1, "q_lora_rank": 1536,
    "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "rms_norm_eps": 1e-06, "rope_theta": 10000, "routed_scaling_factor": 2.5,
    "scoring_func": "sigmoid", "tie_word_embeddings": False, "topk_group": 4, "topk_method": "noaux_tc", "torch_dtype": "bfloat16",
    "use_cache": True, "v_head_dim": 128, "vocab_size": 129280, "ep_size": 1,
    "quantization_config": {"activation_scheme": "dynamic", "fmt": "e4m3", "quant_method": "fp8", "weight_block_size": [128, 128]},
}  # fmt: skip
"""The config.json of the release."""

GFLOP_PER_TOKEN = {
    "causal": (250.457, 260.649),
    "half": (250.450, 260.642),
    "full": (281.152, 291.847),
    "megatron": (249.812, 259.993),
    "maxtext": (250.450, 254.465),
    "torchtitan": (281.158, 291.854),
    "torchtitan@2026-08": (281.158, 285.287),
    "verl": (256.010, None),
    "6nd": (219.754, None),
}
"""Convention → GFLOP per token of V3 at 4096, without and with its prediction module."""


@pytest.fixture(scope="module")
def v3() -> ts.Model:
    return ts.from_hf(V3)


def test_the_catalogue_holds_the_released_config(v3: ts.Model) -> None:
    listed = ts.catalog.model("deepseek-v3")
    assert v3.replace({"name": listed.name, "notes": listed.notes}) == listed


@pytest.mark.parametrize(("mtp", "total"), [("none", 671_026_404_352), ("unique", 682_636_472_320), ("released", 684_489_830_400)])
def test_parameters_of_v3(v3: ts.Model, mtp: Any, total: int) -> None:
    assert ts.count_params(v3, mtp=mtp).total == total


def test_parameters_of_v3_are_those_of_its_matrices(v3: ts.Model) -> None:
    h, heads, vocab = 7168, 128, 129_280
    attention = h * 1536 + 1536 * heads * 192 + h * (512 + 64) + 512 * heads * 256 + heads * 128 * h + 1536 + 512
    dense, expert = 3 * h * 18_432, 3 * h * 2048
    moe = 257 * expert + 256 * h
    by_hand = 2 * vocab * h + h + 61 * (attention + 2 * h) + 3 * dense + 58 * moe
    counted = ts.count_params(v3)
    assert counted.total == by_hand
    assert counted.part("experts.up").total == 58 * 256 * h * 2048
    assert counted.part("dense.ffn").total == 3 * dense
    passed = by_hand - 58 * 248 * expert
    assert ts.count_active_params(v3).total == passed


def test_the_release_is_explained_line_by_line(v3: ts.Model) -> None:
    lines = dict(ts.explain_release(v3).lines())
    assert lines == {
        "parameters.model": 671_026_404_352,
        "parameters.prediction modules": 682_636_472_320 - 671_026_404_352,
        "parameters.their copies of embedding and head": 2 * 129_280 * 7168,
        "no parameters.router scores": 59 * 256,
        "no parameters.quantisation scales": 41_540_496,
    }
    explained = ts.explain_release(v3)
    assert explained.total == 684_531_386_000
    assert explained.part("parameters").total == 684_489_830_400
    assert lines["no parameters.router scores"] == 15_104


@pytest.mark.parametrize("convention", GFLOP_PER_TOKEN)
def test_flops_of_v3(v3: ts.Model, convention: str) -> None:
    without, with_mtp = GFLOP_PER_TOKEN[convention]
    assert f"{ts.flops_per_token(v3, 4096, convention).total / 1e9:.3f}" == f"{without:.3f}"
    if with_mtp is not None:
        assert f"{ts.flops_per_token(v3, 4096, convention, mtp='unique').total / 1e9:.3f}" == f"{with_mtp:.3f}"
    else:
        with refused(ts.TrainsimError, "unsupported", "mtp"):
            ts.flops_per_token(v3, 4096, convention, mtp="unique")


@pytest.mark.parametrize("convention", ts.CONVENTIONS)
def test_every_convention_says_what_it_counts(v3: ts.Model, convention: str) -> None:
    if convention == "causal-nowindow":
        assert ts.flops_per_token(v3, 4096, convention) == ts.flops_per_token(v3, 4096)
    assert ts.CONVENTIONS[convention].doc
    assert ts.CONVENTIONS[convention].source


@pytest.mark.parametrize(
    ("name", "seq_len", "convention", "gflop"),
    [
        ("llama3.1-405b", 8192, "causal", 2523.968),
        ("llama3.1-405b", 8192, "half", 2523.956),
        ("mixtral-8x7b", 4096, "causal", 79.714),
        ("mixtral-8x7b", 4096, "half", 79.713),
    ],
)
def test_flops_of_other_models(name: str, seq_len: int, convention: str, gflop: float) -> None:
    counted = ts.flops_per_token(ts.catalog.model(name), seq_len, convention)
    assert f"{counted.total / 1e9:.3f}" == f"{gflop:.3f}"


@pytest.mark.parametrize("name", ["deepseek-v3", "llama3.1-405b", "mixtral-8x7b"])
def test_backward_is_twice_forward_and_parts_are_reached_across_both(name: str) -> None:
    flops = ts.flops_per_token(ts.catalog.model(name), 4096)
    assert flops.part("backward").total == 2 * flops.part("forward").total
    assert flops.part("core").total == 3 * flops.part("forward.core").total


def test_the_disclosed_run_of_v3() -> None:
    """Hours and dollars as the report's table 1 gives them (arXiv:2412.19437)."""
    run = ts.catalog.run("deepseek-v3")
    est = ts.estimate(run)
    hours = est.quantities(["busy_gpu_hours"])["busy_gpu_hours"]
    assert isinstance(hours, ts.Ledger)
    assert hours.part("pretrain").total == pytest.approx(2.664e6)
    assert hours.part("extend-32k").total + hours.part("extend-128k").total == pytest.approx(0.119e6)
    assert hours.part("post-train").total == pytest.approx(0.005e6)
    assert est.busy_gpu_hours == pytest.approx(2.788e6)
    assert est.busy_gpu_hours * est.price.total == pytest.approx(5.576e6)
