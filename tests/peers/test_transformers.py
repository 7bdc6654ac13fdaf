"""Every mapped family compared with its own transformers class, to the last digit.

Parameters come from the class on the meta device; FLOPs, and the pairs that every mask allows, from a real forward and backward of small
random models. The measured numbers use no code of this library.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest

import trainsim as ts
from trainsim.model.huggingface.reader import families
from trainsim.model.ops import Attend
from trainsim.model.transformer import Model
from trainsim.testing.families import ABSENT, FAMILIES
from trainsim.testing.hybrid_families import HYBRIDS
from trainsim.testing.models import covering_configs

WHY = "torch and transformers are not installed: pip install 'trainsim[dev-peers]'"
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    pytest.importorskip("torch", reason=WHY)
    pytest.importorskip("transformers", reason=WHY)
    import transformers_truth as truth
    from every_config import compare_every_value, compare_random

pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore")]
LENGTH = 24
DRAWN = 6


def pairs(model: Model) -> list[int]:
    """The (query, key) pairs of every softmax layer, first to last."""
    blocks = {kind.name: kind.block for kind in model.stack}
    ops = [op for name in model.layout for op in blocks[name].attention.ops(model.hidden) if isinstance(op, Attend)]
    return [round(float(op.mask.keys(float(LENGTH))) * LENGTH) for op in ops]


def agree(config: dict[str, Any]) -> None:
    model, measured = ts.from_hf(config), truth.measure(config, LENGTH)
    assert measured.parameters == truth.parameters(config)
    assert ts.count_params(model).total == measured.parameters + truth.stated_difference(config)
    ledger = ts.flops_per_token(model, seq_len=LENGTH, convention="full")
    assert ledger.part("forward").total * LENGTH == measured.forward
    assert ledger.total * LENGTH == measured.both + truth.unread_states(config, LENGTH)
    assert pairs(model) == measured.pairs


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_every_value_of_every_key_agrees_with_the_class(family: str, record_property: Callable[[str, object], None]) -> None:
    record_property("configs", compare_every_value(family, agree))


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_random_configs_agree_with_the_class(family: str, record_property: Callable[[str, object], None]) -> None:
    record_property("configs", compare_random(family, agree, DRAWN))


def test_no_family_is_left_out_and_there_are_enough_configs() -> None:
    assert set(FAMILIES | HYBRIDS) <= set(families())
    counts = {family: len(list(covering_configs(family))) for family in FAMILIES}
    assert sum(counts.values()) >= 200
    assert min(counts.values()) >= 5
    for family, keys in FAMILIES.items():
        fixed = {key for key, values in keys.items() if len(values) == 1 and values[0] is not ABSENT}
        assert fixed <= {"max_seq_len", "topk_method", "n_group", "topk_group"}, (family, fixed)  # keys that change no shape


@pytest.mark.parametrize("family", sorted(set(FAMILIES) - set(truth.STAND_INS) - {"glm4_moe", "dots1", "deepseek_v2"}))
def test_the_class_at_its_own_full_size_has_as_many_parameters(family: str) -> None:
    """The class's default config, as an object with ``to_dict()``, at the size of a real model (three classes have no whole default)."""
    config = truth.default_config(family)
    assert ts.count_params(ts.from_hf(config)).total == truth.parameters_of(config)
