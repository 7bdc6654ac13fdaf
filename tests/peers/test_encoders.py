"""Encoders and encoder-decoders compared with their classes: parameters at the class defaults, and FLOPs of a small model that is run."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

import trainsim as ts

WHY = "torch and transformers are not installed: pip install 'trainsim[dev-peers]'"
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    torch = pytest.importorskip("torch", reason=WHY)
    transformers = pytest.importorskip("transformers", reason=WHY)

pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore")]
ENCODERS = ("bert", "roberta", "electra", "rembert", "roformer")
KIN = ("bart", "mvp", "plbart", "mbart", "marian", "pegasus", "bigbird_pegasus", "blenderbot", "blenderbot-small", "whisper")
SIZES: dict[str, Any] = {"hidden_size": 32, "num_attention_heads": 4, "num_hidden_layers": 2, "intermediate_size": 48, "vocab_size": 50}
SIDES: dict[str, Any] = {
    f"{side}_{name}": value for side in ("encoder", "decoder") for name, value in (("layers", 2), ("attention_heads", 4), ("ffn_dim", 48))
}
TARGET, SOURCE = 24, 60


def flops(model: Any, **inputs: Any) -> int:
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        model(**inputs)
    return int(counter.get_total_flops())


def forward(model: ts.Model) -> float:
    return float(ts.flops_per_token(model, TARGET, "full").part("forward").total * TARGET)


@pytest.mark.parametrize("family", [*ENCODERS, *KIN])
def test_parameters_at_class_defaults(family: str) -> None:
    config = transformers.AutoConfig.for_model(family)
    with torch.device("meta"):
        model = transformers.AutoModelForCausalLM.from_config(config)
    assert ts.count_params(ts.from_hf(config)).total == sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize("decodes", [False, True])
@pytest.mark.parametrize("family", ENCODERS)
def test_an_encoder_runs_what_is_counted(family: str, decodes: bool) -> None:  # noqa: FBT001
    config = transformers.AutoConfig.for_model(family, **SIZES, max_position_embeddings=64, pad_token_id=0, is_decoder=decodes)
    model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager").eval()
    assert flops(model, input_ids=torch.randint(1, 49, (1, TARGET))) == forward(ts.from_hf(config))


@pytest.mark.parametrize("family", KIN)
def test_an_encoder_decoder_runs_what_is_counted(family: str) -> None:
    lengths = {"max_source_positions": SOURCE, "max_target_positions": 64} if family == "whisper" else {"max_position_embeddings": 128}
    special = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1}
    config = transformers.AutoConfig.for_model(family, d_model=32, vocab_size=50, **SIDES, **lengths, **special)
    if family == "bigbird_pegasus":
        config.attention_type = "original_full"
    auto = transformers.AutoModelForSpeechSeq2Seq if family == "whisper" else transformers.AutoModelForSeq2SeqLM
    model = auto.from_config(config, attn_implementation="eager").eval()
    ours = ts.from_hf(config.to_dict() | {"architectures": [type(model).__name__]})
    assert ts.count_params(ours).total == sum(p.numel() for p in model.parameters())
    seen = {"input_features": torch.randn(1, 80, 2 * SOURCE)} if family == "whisper" else {"input_ids": torch.randint(3, 49, (1, SOURCE))}
    ran = flops(model, **seen, decoder_input_ids=torch.randint(3, 49, (1, TARGET)))
    assert ran == forward(ours.reading(SOURCE))
