"""RWKV and xLSTM: parameters of the classes of transformers 5.24 at their defaults, and work linear in the sequence."""

from __future__ import annotations

from typing import Any

import pytest

import trainsim as ts
from trainsim.core.errors import ConfigError

RWKV = {"model_type": "rwkv", "hidden_size": 4096, "num_hidden_layers": 32, "vocab_size": 50277}
XLSTM = {"model_type": "xlstm", "hidden_size": 4096, "num_hidden_layers": 32, "vocab_size": 50304}


@pytest.mark.parametrize(("config", "parameters"), [(RWKV, 7_392_649_216), (XLSTM, 6_865_424_896)])
def test_class_defaults(config: dict[str, Any], parameters: int) -> None:
    model = ts.from_hf(config)
    assert ts.count_params(model).total == parameters
    short, long = (ts.flops_per_token(model, seq_len=length).total for length in (4096, 2**20))
    assert short == long


def test_xlstm_by_hand() -> None:
    """Scores and values inside chunks, two products of a token with the state, one with the normalizer."""
    config = {"model_type": "xlstm", "hidden_size": 64, "num_hidden_layers": 1, "vocab_size": 97, "num_heads": 2, "chunk_size": 16}
    work = ts.flops_per_token(ts.from_hf(config), 64, "full").part("forward.dense.mixer")
    assert work.part("core").total == 2 * (2 * 2 * 16 * 32 + 2 * (16 + 32) * 16)
    assert work.part("normalizer").total == 2 * 2 * 16


@pytest.mark.parametrize("factor", [0, -1.0, "half", True, 0.0001])
def test_an_invalid_factor_is_an_error(factor: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        ts.from_hf({**XLSTM, "qk_dim_factor": factor})
    assert caught.value.path == "config.qk_dim_factor"
