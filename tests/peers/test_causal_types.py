"""Every causal type of transformers that is mapped: parameters at the class defaults and over random configs, on the meta device."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable
from typing import Any

import pytest

import trainsim as ts
from trainsim.core.errors import ConfigError
from trainsim.model.attention.compressed import Compressed
from trainsim.model.huggingface.reader import families
from trainsim.model.masks import Selected
from trainsim.model.ops import Attend
from trainsim.testing.hybrid_families import HYBRIDS

WHY = "torch and transformers are not installed: pip install 'trainsim[dev-peers]'"
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    pytest.importorskip("torch", reason=WHY)
    transformers = pytest.importorskip("transformers", reason=WHY)
    import torch
    from drawing import draw
    from ours import as_run
    from torch.utils.flop_counter import FlopCounterMode
    from transformers import AutoModelForCausalLM
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES as CAUSAL

pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore")]
RANDOM, RUNS, LENGTH = 5, 3, 24
TEXT_ALONE = ("emu3", "llama4", "qwen3_5", "qwen3_5_moe")
"""Wrappers whose causal class is the text model alone."""
MAPPED = sorted(set(families()) & set(CAUSAL)) + list(TEXT_ALONE)


def parameters(config: Any) -> int:
    with torch.device("meta"):
        held: int = sum(p.numel() for p in AutoModelForCausalLM.from_config(config).parameters())
    return held - idle(config)


def idle(config: Any) -> int:
    """What a class stores and no release has: matrices of LongCat's experts that do nothing."""
    if config.model_type != "longcat_flash":
        return 0
    return int(config.num_layers * (config.zero_expert_num or 0) * 2 * config.expert_ffn_hidden_size * config.hidden_size)


def built(kind: str, **keys: Any) -> Any | None:
    """A config of the class that the class itself can be built from; None where it refuses."""
    try:
        config = CONFIG_MAPPING[kind](**keys)
        parameters(config)
    except Exception:  # noqa: BLE001  (whatever a class raises at sizes it does not take)
        return None
    return config


@pytest.mark.parametrize("kind", MAPPED)
def test_class_defaults(kind: str) -> None:
    config = built(kind)
    if config is None or getattr(config, "num_experts_per_tok", 1) is None:
        pytest.skip("the class has no usable defaults")
    assert ts.count_params(ts.from_hf(config)).total == parameters(config)


@pytest.mark.parametrize("kind", sorted(set(MAPPED) - set(TEXT_ALONE)))
def test_random_configs(kind: str, record_property: Callable[[str, object], None]) -> None:
    rng, found = random.Random(kind), 0  # noqa: S311
    for _ in range(8 * RANDOM):
        if found == RANDOM:
            break
        keys = draw(kind, rng)
        config = built(kind, **keys)
        if config is None:
            continue
        found += 1
        assert ts.count_params(ts.from_hf(config)).total == parameters(config), keys
    assert found >= 3
    record_property("configs", found)


def masked_pairs(model: Any) -> list[int]:
    """Pairs that the mask of each softmax layer lets through, read as the layer is called."""
    pairs: list[int] = []

    def read(_: Any, __: Any, kwargs: dict[str, Any]) -> None:
        mask = kwargs.get("attention_mask")
        if mask is not None and mask.dim() == 4:
            allowed = mask if mask.dtype == torch.bool else mask > torch.finfo(mask.dtype).min / 2
            pairs.append(int(allowed[0, 0].sum()))

    for part in model.modules():
        if type(part).__name__.endswith("Attention"):
            part.register_forward_pre_hook(read, with_kwargs=True)
    return pairs


UNCOUNTED = {
    "jetmoe": "routes by data",
    "llama4_text": "runs every expert",
    "longcat_flash": "sends rows to experts that do nothing",
    "minimax": "leaves out states that nobody reads",
}
"""Classes whose FLOPs are compared elsewhere, with what has to be taken off (test_transformers.py, test_recurrent.py)."""


@pytest.mark.parametrize("kind", sorted(set(MAPPED) - set(TEXT_ALONE) - set(HYBRIDS) - set(UNCOUNTED)))
def test_flops_of_real_runs(kind: str, record_property: Callable[[str, object], None]) -> None:
    """Forward and backward of random configs, and the pairs that their masks let through."""
    rng, found = random.Random(f"{kind} run"), 0  # noqa: S311
    for _ in range(12 * RUNS):
        keys = draw(kind, rng)
        if built(kind, **keys) is not None and ran_as_counted(kind, keys):
            found += 1
        if found == RUNS:
            break
    assert found == RUNS
    record_property("configs", found)


def ran_as_counted(kind: str, keys: dict[str, Any]) -> bool:
    """Whether the class runs at these sizes; what it runs is what is counted."""
    config = CONFIG_MAPPING[kind](**keys)
    ours = as_run(ts.from_hf(CONFIG_MAPPING[kind](**keys)))
    config._experts_implementation = "eager"
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").train()
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(torch.randn_like(weight) * 0.02)
    pairs = masked_pairs(model)
    try:
        with FlopCounterMode(display=False) as counter:
            logits = model(input_ids=torch.randint(1, 90, (1, LENGTH)), use_cache=False).logits
            forward = counter.get_total_flops()
            logits.sum().backward()
    except (RuntimeError, IndexError):  # a rotary width, or a number of entries, that the class can't split at these sizes
        return False
    ledger = ts.flops_per_token(ours, LENGTH, "full")
    assert ledger.part("forward").total * LENGTH == forward, keys
    assert ledger.total * LENGTH == counter.get_total_flops(), keys
    if kind == "mpt":  # its mask marks the pairs that are shut out
        pairs = [LENGTH * LENGTH - shut for shut in pairs]
    cores = [(entry.count, entry.op) for entry in ours.table.entries if entry.path[-1] == "core" and not entry.mtp]
    met = sum(count * float(op.mask.keys(float(LENGTH))) * LENGTH for count, op in cores if isinstance(op, Attend))
    chosen = any(isinstance(mask, (Selected, Compressed)) for mask in ours.table.masks)  # after the mask that the layer is given
    if len(pairs) == ours.layers and not chosen:
        assert round(met) == sum(pairs), keys
    return True


@pytest.mark.parametrize("kind", sorted(set(CAUSAL) - set(MAPPED)))
def test_what_is_not_mapped_is_refused_by_name(kind: str) -> None:
    try:
        config = CONFIG_MAPPING[kind]()
    except Exception:  # noqa: BLE001
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


def test_at_least_140_causal_types_are_mapped() -> None:
    assert len(MAPPED) >= 140
    assert transformers.__version__ == "5.24.0"
