"""Released entries, compared part by part with what a model predicts."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest

import trainsim as ts
from trainsim.core.errors import SpecError

CONFIG: dict[str, Any] = {
    "model_type": "qwen3_moe", "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 8,
    "vocab_size": 30, "intermediate_size": 24, "moe_intermediate_size": 12, "num_experts": 3, "num_experts_per_tok": 2,
    "mlp_only_layers": [0], "decoder_sparse_step": 1, "tie_word_embeddings": False,
}  # fmt: skip


def header() -> dict[str, Any]:
    """A release of these sizes, as Hugging Face names its tensors."""
    shapes: dict[str, list[int]] = {"model.embed_tokens.weight": [30, 16], "model.norm.weight": [16], "lm_head.weight": [30, 16]}
    for i in range(2):
        layer = f"model.layers.{i}"
        shapes |= {f"{layer}.{name}.weight": [16] for name in ("input_layernorm", "post_attention_layernorm")}
        shapes |= {f"{layer}.self_attn.{name}_norm.weight": [8] for name in "qk"}
        shapes |= {f"{layer}.self_attn.{n}_proj.weight": s for n, s in (("q", [16, 16]), ("k", [8, 16]), ("v", [8, 16]), ("o", [16, 16]))}
    shapes |= {f"model.layers.0.mlp.{n}_proj.weight": s for n, s in (("gate", [24, 16]), ("up", [24, 16]), ("down", [16, 24]))}
    shapes["model.layers.1.mlp.gate.weight"] = [3, 16]
    for e in range(3):
        shapes |= {
            f"model.layers.1.mlp.experts.{e}.{n}_proj.weight": s for n, s in (("gate", [12, 16]), ("up", [12, 16]), ("down", [16, 12]))
        }
    return {"__metadata__": {"format": "pt"}} | {n: {"dtype": "BF16", "shape": s, "data_offsets": [0, 0]} for n, s in shapes.items()}


def write(path: Path, data: dict[str, Any]) -> Path:
    text = json.dumps(data).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text)
    return path


def test_a_whole_release_agrees_part_by_part(tmp_path: Path) -> None:
    found = ts.explain_release(ts.from_hf(CONFIG), write(tmp_path / "model.safetensors", header()))
    assert found.released == found.ours == ts.count_params(ts.from_hf(CONFIG)).total
    assert all(part.difference == 0 for part in found.parts)
    assert {part.name for part in found.parts} == {"attention", "embedding", "experts", "feed-forward", "head", "norms", "router"}
    assert found.part("experts").released == 3 * 3 * 12 * 16
    assert "experts" in str(found)


def test_files_folders_indices_and_headers_read_alike(tmp_path: Path) -> None:
    whole = header()
    names = [name for name in whole if name != "__metadata__"]
    for i, half in enumerate((names[::2], names[1::2])):
        write(tmp_path / f"model-{i}.safetensors", {name: whole[name] for name in half})
    index = {"metadata": {}, "weight_map": {name: f"model-{i % 2}.safetensors" for i, name in enumerate(names)}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    (tmp_path / "header.json").write_text(json.dumps(whole))
    model = ts.from_hf(CONFIG)
    folder = ts.explain_release(model, tmp_path)
    assert (
        folder
        == ts.explain_release(model, tmp_path / "model.safetensors.index.json")
        == ts.explain_release(model, tmp_path / "header.json")
    )
    assert folder.tensors == len(names)


def test_entries_outside_the_model_are_reported_by_part(tmp_path: Path) -> None:
    more = header()
    shape = {"dtype": "F32", "shape": [3], "data_offsets": [0, 0]}
    more["model.layers.1.mlp.gate.e_score_correction_bias"] = shape
    more["model.layers.0.self_attn.q_proj.weight_scale_inv"] = {**shape, "shape": [1, 1]}
    more["model.layers.1.self_attn.q_proj.bias"] = {**shape, "shape": [16]}
    more["model.layers.2.eh_proj.weight"] = {**shape, "shape": [16, 32]}
    found = ts.explain_release(ts.from_hf(CONFIG), write(tmp_path / "model.safetensors", more))
    off = {part.name: part.difference for part in found.parts if part.difference}
    assert off == {"router scores": 3, "quantisation scales": 1, "attention": 16, "prediction modules": 512}


@pytest.mark.parametrize("data", [b"", b"\x08", struct.pack("<Q", 2**60), struct.pack("<Q", 50) + b"{}", struct.pack("<Q", 2) + b"[]"])
def test_a_file_without_a_whole_header_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(data)
    with pytest.raises(SpecError):
        ts.explain_release(ts.from_hf(CONFIG), path)
    (tmp_path / "index.json").write_text(json.dumps({"weight_map": {"a": "../model.safetensors"}}))
    with pytest.raises(SpecError):
        ts.explain_release(ts.from_hf(CONFIG), tmp_path / "index.json")
