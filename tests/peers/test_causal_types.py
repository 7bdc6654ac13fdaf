"""Every causal type of transformers that is mapped: parameters and FLOPs at the class defaults and over random configs."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import pytest

import trainsim as ts
from trainsim.core.errors import ConfigError

WHY = "torch and transformers are not installed: pip install 'trainsim[dev-peers]'"
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    pytest.importorskip("torch", reason=WHY)
    transformers = pytest.importorskip("transformers", reason=WHY)
    import causal_truth as truth
    from comparison import CONFIGS, TYPES, at_defaults, at_random
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES as CAUSAL

pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore")]


@pytest.mark.parametrize("kind", TYPES)
def test_class_defaults(kind: str) -> None:
    """Parameters, FLOPs of forward and of backward at full size, on the meta device."""
    assert at_defaults(kind).exact


@pytest.mark.parametrize("kind", TYPES)
def test_random_configs(kind: str, record_property: Callable[[str, object], None]) -> None:
    """Parameters, FLOPs of forward and of backward, and the pairs that masks allow, in real runs of small configs."""
    found = list(at_random(kind))
    assert len(found) == CONFIGS
    assert [compared for compared in found if not compared.exact] == []
    record_property("configs", len(found))


def test_a_run_compares_at_least_500_random_configs() -> None:
    """Every type has its number of configs, by the test above."""
    assert CONFIGS * len(TYPES) >= 500


@pytest.mark.parametrize("kind", sorted(set(CAUSAL) - set(TYPES)))
def test_what_is_not_mapped_is_refused_by_name(kind: str) -> None:
    try:
        config = CONFIG_MAPPING[kind]()
    except Exception:  # noqa: BLE001  (whatever a class raises without sizes)
        config = {"model_type": kind}
    try:
        found = ts.from_hf(config)
    except ConfigError as error:
        said = error
    else:  # the text model of a wrapper, and a note that says so
        assert any(note.startswith("text model of") for note in found.notes)
        return
    assert said.rule_id in {"unsupported", "unknown-name", "missing", "conflict"}
    assert said.remedy


def test_at_least_140_types_are_exact_without_help() -> None:
    """Supported types, without those whose class can't be built from its own defaults."""
    assert len(set(TYPES) - set(truth.COMPLETED)) >= 140
    assert transformers.__version__ == "5.24.0"
