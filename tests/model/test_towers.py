"""Towers: tokens by the processor's rule, FLOPs per sequence, and the images of a phase."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import trainsim as ts
from trainsim.core.errors import SpecError
from trainsim.model.images import BestFit, FixedSize, LongestSide, Resize, SplitLongest, Tiles, WithinPixels, grid_of
from trainsim.model.layers import Layers
from trainsim.model.masks import Bidirectional, Blocks, keys_on_grid
from trainsim.model.ops import Attend, MatMul
from trainsim.model.towers import Projection, Tower, TowerInput

SIDES = st.integers(40, 3000)


def tower(**changes: Any) -> Tower:
    seeing = ts.GroupedQueryAttention(heads=2, kv_heads=2, head_dim=8, direction="both")
    blocks = {
        "full": ts.Block(attention=seeing, ffn=ts.PlainMLP(width=24)),
        "windows": ts.Block(attention=seeing.replace({"chunk": 4}), ffn=ts.PlainMLP(width=24)),
    }
    fields: dict[str, Any] = {
        "name": "vision",
        "hidden": 16,
        "patch": 14,
        "merge": 2,
        "resize": WithinPixels(least=3136, most=200_000),
        "stem": (Projection(name="patches", inner=588, cols=16),),
        "stack": [Layers(name=name, count=2, block=block) for name, block in blocks.items()],
        "connector": (Projection(name="out", inner=64, cols=32, rows=0.25),),
    }
    return Tower(**fields | changes)


def model(**changes: Any) -> ts.Model:
    block = ts.Block(attention=ts.GroupedQueryAttention(heads=4, kv_heads=2, head_dim=8), ffn=ts.GatedMLP(width=64))
    return ts.Model(hidden=32, vocab=100, stack=[Layers(name="dense", count=3, block=block)], towers=[tower(**changes)])


# what a processor makes of an image ----------------------------------------------------------------------------------


@settings(deadline=None)
@given(height=SIDES, width=SIDES)
@pytest.mark.parametrize(
    "rule",
    [
        FixedSize(size=448),
        WithinPixels(least=3136, most=1003520),
        LongestSide(size=1540),
        Tiles(size=448, most=12),
        BestFit(size=336, most=16),
        SplitLongest(longest=1456, size=364),
    ],
    ids=lambda rule: type(rule).__name__,
)
def test_every_resize_rule_gives_whole_patches_in_both_orientations(rule: Resize, height: int, width: int) -> None:
    tiles, high, wide = rule.tiles(height, width, 28)
    assert tiles >= 1
    assert high % 14 == 0
    assert wide % 14 == 0
    if not isinstance(rule, Tiles):  # InternVL's processor compares width over height, which is not symmetric under rotation
        assert rule.tiles(width, height, 28) == (tiles, wide, high)


@given(height=SIDES, width=SIDES)
def test_a_picture_within_pixels_is_within_them(height: int, width: int) -> None:
    _, high, wide = WithinPixels(least=3136, most=1003520).tiles(height, width, 28)
    if max(height, width) <= 100 * min(height, width):
        assert 3136 <= high * wide <= 1003520


@pytest.mark.parametrize(
    ("rule", "patch", "merge", "resolution", "tokens"),
    [
        (WithinPixels(least=3136, most=12845056), 14, 2, (1080, 1920), 2691),  # Qwen2.5-VL: 39 × 69 squares of 28 pixels
        (FixedSize(size=896), 14, 4, (600, 800), 256),  # Gemma 3: always 256
        (Tiles(size=448, most=12), 14, 2, (1080, 1920), 9 * 256),  # InternVL: 4 × 2 squares and a small copy, 256 each
        (BestFit(size=336, most=16), 14, 2, (336, 336), 144),  # Llama 4: one square
        (LongestSide(size=1540), 14, 2, (1540, 1540), 3025),  # Mistral Small 3.1: 55 × 55
    ],
)
def test_tokens_of_an_image(rule: Resize, patch: int, merge: int, resolution: tuple[int, int], tokens: int) -> None:
    grid = grid_of(rule, resolution, patch, merge)
    assert grid.tiles * (grid.height // merge) * (grid.width // merge) == tokens


@given(height=st.integers(1, 9), width=st.integers(1, 9), side=st.integers(1, 4))
def test_windows_of_a_picture_patch_by_patch(height: int, width: int, side: int) -> None:
    patches = [(r, c) for r in range(height) for c in range(width)]
    pairs = sum((r // side, c // side) == (s // side, d // side) for r, c in patches for s, d in patches)
    assert keys_on_grid(Blocks(side * side), height, width, 0) * len(patches) == pytest.approx(pairs)
    assert keys_on_grid(Bidirectional(), height, width, 1) == height * width + 1


# FLOPs -----------------------------------------------------------------------------------------------------------


def by_hand(shown: TowerInput, each: Tower) -> float:
    """Forward FLOP of one sequence, product by product and pair by pair."""
    total = 0.0
    for entry in each.entries():
        patches = shown.pictures * shown.height * shown.width
        tokens = patches + (0 if entry.over.endswith("patches") else shown.pictures * shown.extra)
        match entry.op:
            case MatMul() as op:
                total += entry.count * tokens * op.rows * 2 * op.inner * op.cols
            case Attend() as op:
                total += entry.count * tokens * 2 * op.heads * (op.d_qk + op.d_v) * shown.keys(op.mask)
            case _:
                pass
    return total


@given(images=st.integers(1, 5), height=st.integers(60, 300), width=st.integers(60, 300), extra=st.integers(0, 1))
@settings(deadline=None, max_examples=20)
def test_the_flops_of_images_per_sequence_are_independent_of_its_length(images: int, height: int, width: int, extra: int) -> None:
    plain = model(extra=extra)
    seeing = plain.seeing(images, (height, width))
    lengths = np.array([1000.0, 4000.0])
    more = ts.flops_per_token(seeing, lengths).part("forward").total - ts.flops_per_token(plain, lengths).part("forward").total
    assert more * lengths == pytest.approx(np.full(2, by_hand(seeing.shown[0], plain.towers[0])), rel=1e-12)


def test_document_lengths_do_not_affect_the_tower() -> None:
    seeing = model().seeing(2, (280, 280))
    whole, packed = (ts.flops_per_token(seeing, 4096.0, document_length=d).part("forward").part("towers").total for d in (None, 100.0))
    assert whole == packed


def test_the_input_of_a_tower_needs_no_gradient() -> None:
    ledger = ts.flops_per_token(model().seeing(1, (280, 280)), 4096.0)
    forward, backward = (ledger.part(way).part("towers.vision") for way in ("forward", "backward"))
    assert backward.part("stem").total == forward.part("stem").total
    assert backward.part("full").total == 2 * forward.part("full").total


def test_towers_are_counted_on_request() -> None:
    text, both = (float(ts.count_params(model(), towers=which).total) for which in ("none", "all"))
    assert both - text == 588 * 16 + 4 * (4 * 16 * 16 + 2 * 16 * 24 + 2 * 16) + 64 * 32
    with pytest.raises(SpecError):
        ts.count_params(model(), towers="some")  # type: ignore[arg-type]


# a phase ---------------------------------------------------------------------------------------------------------


def run(**phase: Any) -> ts.Run:
    return ts.Run(
        model=model(),
        cluster=ts.catalog.cluster("hgx-h100", gpus=8),
        phases=[ts.Phase("sft", tokens=1e9, seq_len=2048, batch=64, **phase)],
        efficiency=ts.Modelled(stack=ts.catalog.stack("mcore-hopper")),
        plan=ts.Plan(zero=1, pp=2),
        reliability=ts.Goodput(0.95),
        price=ts.Rental(usd_per_gpu_hour=2.0),
    )


def test_images_take_flops_seconds_and_bytes() -> None:
    without, with_images = ts.estimate(run()), ts.estimate(run(images=4, resolution=(448, 448)))
    assert with_images.flops.total > without.flops.total
    assert with_images.busy_gpu_hours > without.busy_gpu_hours
    first, last = (with_images.memory.part(f"rank-{r}.activations") for r in (0, 1))
    assert "towers:vision:full" in first
    assert "towers:vision:full" not in last


def test_more_image_tokens_than_the_sequence_are_refused() -> None:
    with pytest.raises(SpecError) as refused:
        ts.estimate(run(images=40, resolution=(448, 448)))
    assert refused.value.path.endswith("images")
    with pytest.raises(SpecError):
        ts.Phase("sft", tokens=1e9, seq_len=2048, images=4)
    with pytest.raises(SpecError):
        model().seeing(1, (10, 10), tower="audio")


def test_a_run_with_a_tower_is_equal_after_save_and_load(tmp_path: Any) -> None:
    made = run(images=4, resolution=(448, 448))
    made.save(tmp_path / "run.toml")
    assert ts.load(tmp_path / "run.toml") == made
