"""Files from strangers: any content is read or raises one clear error within a second."""

from __future__ import annotations

import json
import os
import struct
import time
from pathlib import Path
from typing import Any

import pytest

import trainsim as ts
from trainsim.core.errors import ConfigError

TEXT: dict[str, Any] = {"model_type": "llama", "hidden_size": 64, "intermediate_size": 256, "num_hidden_layers": 2}
TEXT |= {"num_attention_heads": 4, "vocab_size": 100}
HEADER = json.dumps({"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}).encode()
TOKENIZER = {"version": "1.0", "added_tokens": [], "model": {"vocab": {f"word{i}": i for i in range(100_000)}}}
INDEX = {"metadata": {}, "weight_map": {f"layers.{i}.weight": "model-00001.safetensors" for i in range(60_000)}}


def read(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    start = time.process_time()
    try:
        with pytest.raises(ConfigError) as error:
            ts.from_hf(path)
        assert error.value.remedy
    finally:
        assert time.process_time() - start < 1.0


@pytest.mark.parametrize(
    "content",
    [
        b"GGUF" + struct.pack("<IQQ", 3, 1, 1),
        struct.pack("<Q", len(HEADER)) + HEADER,
        b"PK\x03\x04" + b"x" * 50,
        b"\x1f\x8b\x08\x00rest",
        b"version https://git-lfs.github.com/spec/v1",
        b"<!DOCTYPE html><html></html>",
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b"{" + b",".join(b'"k%d":1' % i for i in range(100_000)) + b"}",
        b'{"x":"' + b"a" * 5_000_000 + b'"}',
        json.dumps(TOKENIZER).encode(),
        json.dumps(INDEX).encode(),
        os.urandom(5000),
    ],
    ids=range(13),
)
def test_a_file_that_is_not_a_config_is_refused_within_a_second(tmp_path: Path, content: bytes) -> None:
    read(tmp_path / "config.json", content)


@pytest.mark.parametrize(
    "content",
    [b"[" * 20_000, b"{a: " * 5000, b"a: b: c", b"a:\n\tb: 1", b"!!python/object/apply:os.system ['x']", b"---\na: 1\n---\nb: 2\n"],
)
def test_yaml_of_any_kind_is_refused_at_once(tmp_path: Path, content: bytes) -> None:
    read(tmp_path / "model.yaml", content)


def test_a_long_file_is_recognised_by_its_start(tmp_path: Path) -> None:
    for name, content, key in (("tokenizer.json", TOKENIZER, "added_tokens"), ("index.json", INDEX, "weight_map")):
        (tmp_path / name).write_text(json.dumps(content))
        with pytest.raises(ConfigError) as error:
            ts.from_hf(tmp_path / name)
        assert error.value.value == key


def test_a_pipe_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "config.json")
    with pytest.raises(ConfigError):
        ts.from_hf(tmp_path / "config.json")


@pytest.mark.parametrize(
    ("config", "where"),
    [
        ({"model_type": "llava", "text_config": [1]}, "text_config"),
        ({"model_type": "llava", "text_config": TEXT, "vision_config": [1]}, "vision_config"),
        ({"model_type": "internvl", "text_config": TEXT, "vision_config": {}, "downsample_ratio": 0}, "downsample_ratio"),
        ({"model_type": "llama4", "text_config": TEXT, "vision_config": {"pixel_shuffle_ratio": "x"}}, "pixel_shuffle_ratio"),
        ({"model_type": "gemma3", "text_config": TEXT, "vision_config": {"patch_size": 99, "image_size": 9}}, "patch_size"),
        ({"dim": 64, "n_layers": 2, "n_heads": 4, "hidden_dim": 128, "vocab_size": 100, "moe": [1]}, "moe"),
        (
            {"model_type": "llava_next", "text_config": TEXT, "vision_config": {}, "image_grid_pinpoints": [["a", 3]]},
            "image_grid_pinpoints",
        ),
    ],
)
def test_a_group_that_is_not_a_table_is_refused(config: dict[str, Any], where: str) -> None:
    with pytest.raises(ConfigError) as error:
        ts.from_hf(config)
    assert error.value.path.endswith(where)
