"""Weights shared by several layers are counted once, run at each use, and stored once per rank."""

from __future__ import annotations

import pytest

import trainsim as ts
from trainsim.gpu_memory.weights import parameters_by_kind

ZAMBA2 = {
    "model_type": "zamba2",
    "hidden_size": 64,
    "num_hidden_layers": 6,
    "num_attention_heads": 4,
    "vocab_size": 97,
    "intermediate_size": 96,
    "n_mamba_heads": 4,
    "mamba_d_state": 16,
    "adapter_rank": 8,
    "num_mem_blocks": 2,
    "layers_block_type": ["mamba", "hybrid", "hybrid", "mamba", "hybrid", "hybrid"],
}


@pytest.mark.parametrize(("kind", "parameters"), [("zamba", 7_232_490_496), ("zamba2", 2_481_848_336)])
def test_class_defaults(kind: str, parameters: int) -> None:
    """Source: transformers 5.24 on the meta device."""
    sizes = {"zamba": (3712, 76, 16), "zamba2": (2560, 54, 32)}[kind]
    keys = dict(zip(("hidden_size", "num_hidden_layers", "num_attention_heads"), sizes, strict=True))
    inner = {"intermediate_size": 14848} if kind == "zamba" else {}
    assert ts.count_params(ts.from_hf({"model_type": kind, "vocab_size": 32000, **keys, **inner})).total == parameters


def test_every_use_of_a_shared_block_runs_and_one_stores_it() -> None:
    model = ts.from_hf(ZAMBA2)
    work, stored = ts.flops_per_token(model, 128), ts.count_params(model)
    assert work.part("forward.hybrid.shared.gate").total == work.part("forward.hybrid-again.shared.gate").total == 2 * 2 * 2 * 64 * 96 / 2
    assert stored.part("hybrid.shared.gate").total == 2 * 64 * 96
    assert set(stored.part("hybrid-again.shared").parts) == {"adapters", "join"}
    assert stored.part("hybrid.shared.join").total == stored.part("hybrid-again.shared.join").total == 2 * 64 * 64


def test_a_rank_without_the_owner_holds_a_copy() -> None:
    model = ts.from_hf(ZAMBA2)
    owners = {w.owner for w in parameters_by_kind(model) if w.kind == "hybrid-again"}
    assert owners == {"hybrid", "hybrid-again"}


def test_an_untied_class_stores_every_use() -> None:
    tied, untied = (ts.count_params(ts.from_hf({**ZAMBA2, "tie_word_embeddings": flag})) for flag in (True, False))
    assert untied.part("hybrid-2.shared.gate").total == 4 * 64 * 96
    assert untied.total > tied.total + 97 * 64
