"""Audio towers and cross-attention to images compared with their classes: parameters at the class defaults, and FLOPs of small models that
are run.
"""

from __future__ import annotations

import warnings
from typing import Any

import pytest

import trainsim as ts
from trainsim.model.towers import TowerInput

WHY = "torch and transformers are not installed: pip install 'trainsim[dev-peers]'"
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    torch = pytest.importorskip("torch", reason=WHY)
    transformers = pytest.importorskip("transformers", reason=WHY)
    from torch.utils.flop_counter import FlopCounterMode
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore")]
HEARD = {
    "audioflamingo3": "AudioFlamingo3ForConditionalGeneration",
    "mllama": "MllamaForConditionalGeneration",
    "musicflamingo": "MusicFlamingoForConditionalGeneration",
    "qwen2_5_omni_thinker": "Qwen2_5OmniThinkerForConditionalGeneration",
    "qwen2_audio": "Qwen2AudioForConditionalGeneration",
    "voxtral": "VoxtralForConditionalGeneration",
}
"""Wrapper → its class."""
SPECIAL = {"pad_token_id": 0, "bos_token_id": 0, "eos_token_id": 0}
TEXT: dict[str, Any] = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 120}
TEXT |= {"intermediate_size": 96, "head_dim": 16, **SPECIAL}
TARGET, SOURCE = 40, 60


@pytest.mark.parametrize("kind", sorted(HEARD))
def test_the_whole_class_at_its_defaults(kind: str) -> None:
    config = CONFIG_MAPPING[kind]()
    with torch.device("meta"):
        model = getattr(transformers, HEARD[kind])._from_config(config)
    assert ts.count_params(ts.from_hf(config), towers="all").total == sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize(("kind", "tokens"), [("qwen2_audio", 30), ("voxtral", 30)])
def test_an_audio_tower_runs_what_is_counted(kind: str, tokens: int) -> None:
    named = {"encoder_layers": 2, "encoder_attention_heads": 4, "encoder_ffn_dim": 48, "d_model": 32}
    common = {"num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64, "hidden_size": 32}
    sizes = named if kind == "qwen2_audio" else common
    audio = {**sizes, "num_mel_bins": 16, "max_source_positions": SOURCE}
    text = {**TEXT, "model_type": "qwen2" if kind == "qwen2_audio" else "llama"}
    token = {"audio_token_index": 7} if kind == "qwen2_audio" else {"audio_token_id": 7}
    config = CONFIG_MAPPING[kind](audio_config=audio, text_config=text, **token)
    model = getattr(transformers, HEARD[kind])._from_config(config, attn_implementation="eager").eval()
    ids = torch.tensor([[7] * tokens + [3] * (TARGET - tokens)])
    given = {"input_ids": ids, "input_features": torch.randn(1, 16, 2 * SOURCE), "attention_mask": torch.ones_like(ids)}
    if kind == "qwen2_audio":
        given["feature_attention_mask"] = torch.ones(1, 2 * SOURCE, dtype=torch.long)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(**given, use_cache=False)
    ours = ts.from_hf(config).reading(SOURCE)
    assert counter.get_total_flops() == ts.flops_per_token(ours, TARGET, "full").part("forward").total * TARGET


def test_cross_attention_to_an_image_runs_what_is_counted() -> None:
    """The class pads each square to a multiple of eight tokens, and multiplies masks; neither is counted."""
    vision = {
        "hidden_size": 32,
        "num_hidden_layers": 3,
        "num_global_layers": 2,
        "attention_heads": 4,
        "intermediate_size": 48,
        "vision_output_dim": 96,
        "image_size": 28,
        "patch_size": 14,
        "intermediate_layers_indices": [0, 1],
    }
    text = {
        **TEXT,
        "num_hidden_layers": 5,
        "cross_attention_layers": [1, 3],
        "rope_parameters": {"rope_type": "default", "rope_theta": 1e4},
    }
    text.pop("head_dim")
    config = CONFIG_MAPPING["mllama"](vision_config=vision, text_config=text, image_token_index=120)
    model = transformers.MllamaForConditionalGeneration._from_config(config, attn_implementation="eager").eval()
    ids = torch.randint(1, 119, (1, TARGET))
    ids[0, 3] = 120
    squares, pad = 4, 3
    given = {
        "pixel_values": torch.randn(1, 1, squares, 3, 28, 28),
        "aspect_ratio_ids": torch.tensor([[6]]),
        "aspect_ratio_mask": torch.ones(1, 1, squares, dtype=torch.long),
        "cross_attention_mask": torch.ones(1, TARGET, 1, squares, dtype=torch.long),
    }
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(input_ids=ids, **given, use_cache=False)
    ran, seen = counter.get_total_flops(), sum(counter.get_flop_counts()["MllamaForConditionalGeneration.model.vision_model"].values())
    ours = ts.from_hf(config)
    padded = ours.replace({"shown": (TowerInput(name="vision", pictures=1, height=8, width=2, extra=squares * (1 + pad)),)})
    counted, whole = (ts.flops_per_token(each, TARGET, "full").part("forward") for each in (padded, ours.seeing(1, (56, 28))))
    tower = (counted.part("towers.vision").total - counted.part("towers.vision.connector").total) * TARGET
    masks = 2 * (squares * 8) ** 2
    assert seen == tower + masks
    assert ran - seen == (whole.total - whole.part("towers.vision").total + whole.part("towers.vision.connector").total) * TARGET


ALONE = {
    "vit": "ViTModel",
    "deit": "DeiTModel",
    "dinov2": "Dinov2Model",
    "dinov2_with_registers": "Dinov2WithRegistersModel",
    "dinov3_vit": "DINOv3ViTModel",
    "clip_vision_model": "CLIPVisionModel",
    "siglip_vision_model": "SiglipVisionModel",
}
"""Image encoder → its class."""


@pytest.mark.parametrize("kind", sorted(ALONE))
def test_an_image_encoder_runs_what_is_counted(kind: str) -> None:
    """A pooler runs on one token; it is left out of FLOPs."""
    sizes: dict[str, Any] = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "image_size": 56, "patch_size": 14}
    sizes |= {} if kind.startswith("dinov2") else {"intermediate_size": 48}
    sizes |= {"num_register_tokens": 4} if kind == "dinov3_vit" else {"vision_use_head": False} if kind == "siglip_vision_model" else {}
    config = CONFIG_MAPPING[kind](**sizes)
    model = getattr(transformers, ALONE[kind])._from_config(config, attn_implementation="eager").eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(pixel_values=torch.randn(1, 3, 56, 56))
    ours = ts.from_hf(config)
    tokens = int(next(note for note in ours.notes if "seq_len=" in note).split("seq_len=")[1])
    pooler = 2 * 32 * 32 if kind in ("vit", "deit") else 0
    assert ts.count_params(ours).total == sum(p.numel() for p in model.parameters())
    counted = ts.flops_per_token(ours, tokens, "full").part("forward").total * tokens
    assert counter.get_total_flops() - pooler == pytest.approx(counted, rel=1e-12)
