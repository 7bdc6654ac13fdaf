"""Counts of training frameworks: ours equal the recorded results of each framework at a commit (tests/peers/record_conventions.py)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import trainsim as ts
from trainsim.core.errors import SpecError
from trainsim.model.conventions import convention_of, conventions

ROWS: list[Any] = json.loads((Path(__file__).parent / "conventions.json").read_text())


@pytest.mark.parametrize("tool", sorted({row[0] for row in ROWS}))
def test_counts_equal_what_the_framework_gives(tool: str) -> None:
    rows = [row for row in ROWS if row[0] == tool]
    assert len(rows) >= 30
    for _, _, config, length, flop in rows:
        assert ts.flops_per_token(ts.from_hf(config), length, tool).total == pytest.approx(flop, rel=1e-12), config


GPT_OSS = {
    "model_type": "gpt_oss", "hidden_size": 2880, "intermediate_size": 2880, "num_hidden_layers": 36, "num_attention_heads": 64,
    "num_key_value_heads": 8, "head_dim": 64, "vocab_size": 201088, "num_local_experts": 128, "num_experts_per_tok": 4,
    "sliding_window": 128, "attention_bias": True, "tie_word_embeddings": False,
}  # fmt: skip


def test_torchtitan_counts_windows_since_september_2026() -> None:
    """gpt-oss-120b at 4096 tokens, before and after (torchtitan, pull request 4300)."""
    model = ts.from_hf(GPT_OSS)
    assert ts.flops_per_token(model, 4096, "torchtitan@2026-08").total == 38_044_854_144
    assert ts.flops_per_token(model, 4096, "torchtitan@2026-09").total == 34_534_221_696
    assert ts.flops_per_token(model, 4096, "torchtitan").total == 34_534_221_696


def test_maxtext_counts_selected_keys() -> None:
    """DeepSeek-V3.2 and V3, 4 × 4096 tokens [TFLOP] (MaxText, pull request 2979)."""
    v3 = ts.catalog.model("deepseek-v3")
    assert ts.flops_per_token(v3, 4096, "maxtext").total * 4 * 4096 == pytest.approx(4103.370952409088e12, rel=1e-12)


def test_framework_formulas_ignore_windows_if_every_layer_has_one() -> None:
    base = {"model_type": "mistral", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 96}
    config = base | {"num_key_value_heads": 2, "vocab_size": 50}
    slid, full = (ts.from_hf(config | {"sliding_window": window}) for window in (8, None))
    for tool in ("torchtitan", "maxtext", "verl"):
        assert ts.flops_per_token(slid, 64, tool).total == ts.flops_per_token(full, 64, tool).total
    assert ts.flops_per_token(slid, 64).total < ts.flops_per_token(full, 64).total


@pytest.mark.parametrize(
    ("name", "rule_id"),
    [("torchtitan@2020-01", "out-of-bounds"), ("torchtitan@soon", "invalid"), ("causal@2026-01", "invalid"), ("nemo", "unknown-name")],
)
def test_a_date_that_names_no_version_is_refused(name: str, rule_id: str) -> None:
    with pytest.raises(SpecError) as error:
        convention_of(name)
    assert error.value.rule_id == rule_id


def test_a_run_stores_the_date() -> None:
    """A saved run keeps its meaning after the framework changes its formula."""
    assert ts.MFU(0.4, flops="torchtitan").flops == "torchtitan@2026-09"
    assert ts.MFU(0.4, flops="torchtitan@2026-01").flops == "torchtitan@2025-04"
    assert ts.MFU(0.4, flops="causal").flops == "causal"


def test_every_convention_says_when_to_use_it() -> None:
    assert all(convention.use for convention in conventions())
