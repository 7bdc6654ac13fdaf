"""All values of shape-changing keys, compared with recorded parameters and FLOPs of the transformers class (tests/peers/record.py)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import trainsim as ts
from trainsim.model.ops import Attend
from trainsim.testing import covering_configs
from trainsim.testing.families import FAMILIES

MEASURED: dict[str, Any] = json.loads((Path(__file__).parent / "measured.json").read_text())
LENGTH = 24


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_counts_equal_what_the_class_was_measured_to_do(family: str) -> None:
    for config, (parameters, forward, both, pairs) in zip(covering_configs(family), MEASURED[family], strict=True):
        model = ts.from_hf(config)
        ledger = ts.flops_per_token(model, LENGTH, "full")
        assert ts.count_params(model).total == parameters, config
        assert ledger.part("forward").total * LENGTH == forward, config
        assert ledger.total * LENGTH == both, config
        blocks = {kind.name: kind.block for kind in model.stack}
        cores = [op for name in model.layout for op in blocks[name].attention.ops(model.hidden) if isinstance(op, Attend)]
        assert [float(core.mask.keys(float(LENGTH))) * LENGTH for core in cores] == pytest.approx(pairs, rel=1e-12), config


def test_every_measured_family_is_a_drawn_family() -> None:
    assert set(MEASURED) == set(FAMILIES)
