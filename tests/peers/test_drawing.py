"""The random configs vary every key that a class reads and that may change its parameters or FLOPs."""

from __future__ import annotations

import dataclasses
import inspect
import json
import random
import re
import warnings
from collections import defaultdict
from pathlib import Path

import pytest

WHY = "torch and transformers are not installed: pip install 'trainsim[dev-peers]'"
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    pytest.importorskip("torch", reason=WHY)
    pytest.importorskip("transformers", reason=WHY)
    from comparison import TYPES, WRAPPERS
    from drawing import BASE, draw
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore")]

DRAWS = 40
NO_SHAPE = re.compile(
    r".*_token_id|.*layerdrop|.*dropout|.*_dtype|time_step_.*|summary_.*|mode|scoring_func|topk_method|.*_multipliers?|rms_norm_eps"
    r"|layer_rope_theta|audio_.*|depth_decoder_config|attention_type"
)
"""Keys of training, of decoding, of the values of scores and steps, and of models beside the decoder."""
ONE_VALUE: dict[str, set[str] | None] = {
    "add_cross_attention": None,
    "use_prompt": {"mvp"},
    "enable_moe_block": {"gemma4_text"},
    "output_vocab_size": {"apertus1p5_text"},
    "use_bidirectional_attention": {"gemma", "gemma2", "gemma4_text", "gemma4_unified_text"},
    "q_lora_rank": {"bailing_hybrid", "kimi_linear"},
    "layer_types": {"bailing_hybrid", "gemma4_unified_text"},
    "layers_block_type": {"zamba"},
    "attention_head_dim": {"zamba"},
    "attn_config": {"mpt"},
    "ffn_config": {"dbrx"},
    "num_key_value_heads": {"mimo_v2_flash"},
    "qk_head_dim": {"longcat_flash"},
    **{key: {"xlstm"} for key in ("embedding_dim", "num_blocks", "weight_mode")},
}
"""Keys drawn at one value only, and the types concerned; None for all of them."""


@pytest.mark.parametrize("kind", sorted(set(TYPES) - set(WRAPPERS)))
def test_every_key_that_the_class_reads_is_varied(kind: str) -> None:
    config = CONFIG_MAPPING[kind]
    folder = Path(inspect.getfile(config)).parent
    source = "".join(path.read_text(encoding="utf-8") for path in sorted(folder.glob("modeling_*.py")))
    rng, seen = random.Random(kind), defaultdict[str, set[str]](set)  # noqa: S311
    names = [f.name for f in dataclasses.fields(config) if f.name not in BASE and re.search(rf"config\.{f.name}\b", source)]
    for _ in range(DRAWS):
        drawn = draw(kind, rng)
        for name in names:
            seen[name].add(json.dumps(drawn.get(name, "class default"), default=str))
    same = {name for name in names if len(seen[name]) == 1 and not NO_SHAPE.fullmatch(name)}
    assert {name for name in same if name not in ONE_VALUE or kind not in (ONE_VALUE[name] or {kind})} == set()
