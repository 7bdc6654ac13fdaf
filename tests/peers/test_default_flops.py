"""Second opinion on FLOPs at full size: every class at its own defaults, run on the meta device.

Experts can't be routed there: each token's rows go through the first one, as many as it meets.
"""

from __future__ import annotations

import warnings
from typing import Any

import pytest

import trainsim as ts
from trainsim.core.errors import ConfigError
from trainsim.model.huggingface.reader import families
from trainsim.testing.hybrid_families import HYBRIDS

WHY = "torch and transformers are not installed: pip install 'trainsim[dev-peers]'"
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    torch = pytest.importorskip("torch", reason=WHY)
    pytest.importorskip("transformers", reason=WHY)
    from ours import as_run
    from torch.utils.flop_counter import FlopCounterMode
    from transformers import AutoModelForCausalLM, masking_utils
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES as CAUSAL

pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore")]
LENGTH = 32
NOT_ON_META = ("gemma3n_text", "jetmoe", "llama4_text", "longcat_flash", "megatron-bert", "minimax", "rembert", "roformer")
"""Classes that read values of tensors, or run every expert; they are compared at small sizes."""
KINDS = sorted((set(families()) & set(CAUSAL)) - set(HYBRIDS) - set(NOT_ON_META))


def through_the_first(experts: Any, hidden: Any, index: Any, *_: Any, **__: Any) -> Any:
    """As many rows as tokens meet experts, through the matrices of the first."""
    rows = torch.empty(hidden.numel() // hidden.shape[-1] * index.shape[-1], hidden.shape[-1])
    gated = hasattr(experts, "gate_up_proj")
    up = _product(rows, experts.gate_up_proj[0] if gated else experts.up_proj[0])
    _product(up[..., : up.shape[-1] // 2] if gated else up, experts.down_proj[0])
    return torch.empty_like(hidden)


def _product(rows: Any, matrix: Any) -> Any:
    return rows @ (matrix if matrix.shape[0] == rows.shape[-1] else matrix.T)


@pytest.mark.parametrize("kind", KINDS)
def test_forward_flops_at_the_class_defaults(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(masking_utils, "find_packed_sequence_indices", lambda *_, **__: None)  # it reads positions
    try:
        config = CONFIG_MAPPING[kind]()
        config._experts_implementation = "eager"
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").eval()
        ours = as_run(ts.from_hf(CONFIG_MAPPING[kind]()))
    except (AttributeError, TypeError, ValueError, ConfigError):
        pytest.skip("the class has no usable defaults")
    for part in model.modules():
        if type(part).__name__.endswith("Experts"):
            part.forward = through_the_first.__get__(part)
    with torch.no_grad(), torch.device("meta"), FlopCounterMode(display=False) as counter:
        model(input_ids=torch.zeros((1, LENGTH), dtype=torch.long), use_cache=False)
    assert ts.flops_per_token(ours, LENGTH, "full").part("forward").total * LENGTH == counter.get_total_flops()
