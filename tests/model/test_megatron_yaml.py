"""Megatron-Core's and NeMo's YAML of a model, and binary files."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

import trainsim as ts
from trainsim.core.errors import ConfigError

yaml = pytest.importorskip("yaml")

LLAMA = """\
name: gpt
trainer: {devices: 8}
model:
  encoder_seq_length: 4096
  num_layers: 32
  hidden_size: 4096
  ffn_hidden_size: 11008
  num_attention_heads: 32
  num_query_groups: null
  normalization: rmsnorm
  activation: fast-swiglu
  bias: false
  share_embeddings_and_output_weights: false
  position_embedding_type: rope
  tensor_model_parallel_size: 4
  override_vocab_size: 32000
  optim: {lr: 1e-4}
"""
V3: dict[str, Any] = {
    "num_layers": 61, "hidden_size": 7168, "ffn_hidden_size": 18432, "num_attention_heads": 128, "multi_latent_attention": True,
    "q_lora_rank": 1536, "kv_lora_rank": 512, "qk_head_dim": 128, "qk_pos_emb_head_dim": 64, "v_head_dim": 128, "normalization": "RMSNorm",
    "swiglu": True, "add_bias_linear": False, "untie_embeddings_and_output_weights": True, "position_embedding_type": "rope",
    "num_moe_experts": 256, "moe_router_topk": 8, "moe_ffn_hidden_size": 2048, "moe_shared_expert_intermediate_size": 2048,
    "moe_layer_freq": [0] * 3 + [1] * 58, "padded_vocab_size": 129280, "moe_router_enable_expert_bias": True, "mtp_num_layers": 1,
}  # fmt: skip
GPT2 = {"num_layers": 12, "hidden_size": 768, "num_attention_heads": 12, "max_position_embeddings": 1024, "padded_vocab_size": 50257}


def test_nemos_yaml_of_llama_2(tmp_path: Path) -> None:
    path = tmp_path / "model.yaml"
    path.write_text(LLAMA)
    assert ts.count_params(ts.from_hf(path)).total == 6_738_415_616


def test_megatrons_keys_of_gpt_2_and_deepseek_v3() -> None:
    """The defaults are Megatron's: LayerNorm, biases, learned positions, a tied head, a plain feed-forward of four hidden sizes."""
    assert ts.count_params(ts.from_hf(GPT2)).total == 124_439_808
    v3 = ts.from_hf(V3)
    assert ts.count_params(v3).total == 671_026_404_352
    assert ts.count_params(v3, "unique").total == 682_636_472_320


@pytest.mark.parametrize("more", [{"new_mixer": False}, {"normalization": "batch"}, {"hidden_size": "768"}])
def test_unknown_keys_are_errors(more: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as error:
        ts.from_hf({**GPT2, **more})
    assert next(iter(more)) in error.value.path


BOMB = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n" + "".join(f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12))


@pytest.mark.parametrize(
    "text", [BOMB, "[" * 5000, "a: [1, 2", "- 1", "!!python/object/apply:os.system ['true']", "a: b: c", "x" * 300_000]
)
def test_a_hostile_file_is_one_error_within_a_second(tmp_path: Path, text: str) -> None:
    path = tmp_path / "model.yaml"
    path.write_text(text)
    start = time.process_time()
    with pytest.raises(ConfigError):
        ts.from_hf(path)
    assert time.process_time() - start < 1.0


@pytest.mark.parametrize(("name", "data"), [("a.gguf", b"GGUF\x03\x00"), ("a.bin", b"PK\x03\x04abc"), ("a.safetensors", b"\x08\x00")])
def test_files_of_weights_are_named(tmp_path: Path, name: str, data: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(ConfigError) as error:
        ts.from_hf(path)
    assert error.value.rule_id == "unsupported"
