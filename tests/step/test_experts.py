"""Element-wise work of routed experts: biases added one expert at a time, and what a captured step computes inside their products."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import trainsim as ts
from trainsim.parallelism.layout import layout_of
from trainsim.parallelism.schedules.discovery import schedule_of
from trainsim.parallelism.shapes import shapes_of
from trainsim.step.layers import LayerTimes
from trainsim.step.step import layer_times_of

TOKENS, HIDDEN, WIDTH = 1024.0, 512, 256
CLUSTER = ts.catalog.cluster("nvl72-gb200", 8)


def model(bias: Any = "none", top_k: int = 2) -> ts.Model:
    experts = ts.MixtureOfExperts(experts=16, top_k=top_k, width=WIDTH, bias=bias)
    block = ts.Block(attention=ts.GroupedQueryAttention(heads=4, kv_heads=4, head_dim=128), ffn=experts)
    return ts.Model(hidden=HIDDEN, vocab=1024, stack=[ts.Layers(name="moe", count=2, block=block)])


def times(made: ts.Model, precision: Any = "bf16", graphs: tuple[str, ...] = (), **stack: Any) -> tuple[LayerTimes, int]:
    """Times of the model's layers, and the row of the routed kind."""
    plan = ts.Plan(ep=8, graphs=graphs, precision=precision)
    found = ts.catalog.stack("mcore-blackwell").replace(stack)
    layout = layout_of(plan, CLUSTER.gpus, TOKENS)
    return layer_times_of(made, layout, schedule_of("1f1b"), CLUSTER, found), shapes_of(made).kinds.index("moe")


def streamed(kind: LayerTimes, at: int) -> tuple[float, float]:
    """Bytes computed from the time of element-wise work, forward and backward [B]."""
    stack = ts.catalog.stack("mcore-blackwell")
    speed = float(np.asarray(stack.memory * CLUSTER.chip.memory_bandwidth))
    forward, backward = (float(np.asarray(part)[at, 0]) * speed for part in kind.streams)
    return forward, backward


@given(top_k=st.sampled_from([1, 2, 4]), added=st.floats(0.0, 60.0))
@settings(max_examples=8, deadline=None)
def test_the_biases_of_the_last_product_move_their_bytes_per_routed_element(top_k: int, added: float) -> None:
    """Only the biases of the last product are added in separate kernels; the gradient of every bias reads its product's gradient once."""
    (plain, at), (biased, _) = (times(model(bias, top_k), expert_bias_bytes=added) for bias in ("none", "both"))
    forward, backward = (b - a for a, b in zip(streamed(plain, at), streamed(biased, at), strict=True))
    routed, gradients = TOKENS * top_k * HIDDEN, 2.0 * TOKENS * top_k * (2 * WIDTH + HIDDEN)
    assert forward == pytest.approx(added * routed, rel=1e-9, abs=1e-3)
    ratio = float(np.asarray(ts.catalog.stack("mcore-blackwell").elementwise_backward))
    assert backward == pytest.approx(gradients + ratio * added * routed, rel=1e-9)


def test_a_captured_step_computes_activation_and_casts_of_the_experts_in_their_products() -> None:
    """By hand: two reads and a write of the width for each routed token, and the casts on the inner side of the experts."""
    (separate, at), (fused, _) = (times(model(), "mxfp8", ("step",), captured_experts=way) for way in ("separate", "fused"))
    stack = ts.catalog.stack("mcore-blackwell")
    once = TOKENS * 2 * 2.0 * float(np.asarray(stack.elementwise)) * 3 * WIDTH
    moved = [a - b for a, b in zip(streamed(separate, at), streamed(fused, at), strict=True)]
    assert moved == pytest.approx([once, float(np.asarray(stack.elementwise_backward)) * once], rel=1e-9)
    speed = float(np.asarray(stack.memory * CLUSTER.chip.memory_bandwidth))
    casts = [float((np.asarray(a) - np.asarray(b))[at, 0]) * speed for a, b in zip(separate.casts, fused.casts, strict=True)]
    each = float(np.asarray(stack.cast_block_bytes)) * TOKENS * 2 * WIDTH
    assert casts == pytest.approx([each, 2 * each], rel=1e-9)


@pytest.mark.parametrize(
    ("bias", "precision", "graphs"),
    [
        ("none", "bf16", ("step",)),
        ("none", "fp8", ("step",)),
        ("none", "mxfp8", ()),
        ("none", "mxfp8", ("attention",)),
        ("both", "mxfp8", ("step",)),
    ],
)
def test_experts_are_fused_by_blocks_in_a_whole_captured_step_without_biases(bias: str, precision: str, graphs: tuple[str, ...]) -> None:
    separate, fused = (times(model(bias), precision, graphs, captured_experts=way)[0] for way in ("separate", "fused"))
    for name in ("forward", "inputs", "weights"):
        np.testing.assert_array_equal(getattr(separate, name), getattr(fused, name))


@pytest.mark.parametrize("chip", ["nvl72-gb200", "nvl72-gb300", "alps-gh200", "hgx-h100", "hgx-b200"])
def test_only_grace_hosts_are_arm(chip: str) -> None:
    host = ts.catalog.cluster(chip, 8).host
    assert host is not None
    assert (host.processor == "arm") == (chip.startswith("nvl72") or chip == "alps-gh200")
