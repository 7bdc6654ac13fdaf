"""Families of recurrences, convolutions and indexers compared with their transformers classes, to the last digit."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest

import trainsim as ts
from trainsim.testing.hybrid_families import HYBRIDS

WHY = "torch and transformers are not installed: pip install 'trainsim[dev-peers]'"
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    pytest.importorskip("torch", reason=WHY)
    pytest.importorskip("transformers", reason=WHY)
    import recurrent_truth as truth
    from every_config import compare_every_value, compare_random
    from ours import as_run

pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore")]
DRAWN = 12


def agree(config: dict[str, Any]) -> None:
    model, measured = as_run(ts.from_hf(config)), truth.measure(config)
    ledger = ts.flops_per_token(model, seq_len=truth.LENGTH, convention="full")
    assert ts.count_params(model).total == measured.parameters
    assert ledger.part("forward").total * truth.LENGTH == measured.forward
    assert ledger.part("backward").total * truth.LENGTH == measured.backward


@pytest.mark.parametrize("family", sorted(HYBRIDS))
def test_every_value_of_every_key_agrees_with_the_class(family: str, record_property: Callable[[str, object], None]) -> None:
    record_property("configs", compare_every_value(family, agree))


@pytest.mark.parametrize("family", sorted(HYBRIDS))
def test_random_configs_agree_with_the_class(family: str, record_property: Callable[[str, object], None]) -> None:
    record_property("configs", compare_random(family, agree, DRAWN))
