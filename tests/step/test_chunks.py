"""Gradients reduced and weights gathered chunk by chunk: the part of a step that can overlap them."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import trainsim as ts
from trainsim.parallelism.layout import layout_of
from trainsim.parallelism.schedules.discovery import schedule_of
from trainsim.parallelism.schedules.schedule import slot_order
from trainsim.step.step import step_of


def exchange(vpp: int, overlap: float, pp: int = 4, batch: float = 64.0, zero: int = 1) -> tuple[float, float]:
    """Data-parallel exchanges and their hidden part, for a stack with a given overlap [s]."""
    model = ts.catalog.model("llama3-70b")
    cluster = ts.catalog.cluster("hgx-h100", 64).replace({"scale_out.bandwidth": 1e9})  # slow, so that a part is exposed
    plan = ts.Plan(pp=pp, vpp=vpp, zero=zero)
    stack = ts.catalog.stack("mcore-hopper").replace({"overlap_dp": overlap})
    step = step_of(model, layout_of(plan, cluster.gpus, 512.0), batch, plan.pass_order, zero, cluster, stack)
    return float(np.asarray(step.synchronise).item()), float(np.asarray(step.synchronise_hidden).item())


def window(vpp: int, **changes: Any) -> float:
    """Time that exchanges can overlap, if they take longer than that [s]."""
    sent, hidden = exchange(vpp, 1.0, **changes)
    assert hidden < sent
    return hidden


@given(vpp=st.integers(2, 5), pp=st.sampled_from([2, 4, 5]), rounds=st.integers(1, 4))
def test_overlapping_passes_are_counted_from_the_order(vpp: int, pp: int, rounds: int) -> None:
    """On the first rank: forward passes before the weights of its last chunk are needed, and backward passes after the gradients of its
    first chunk are complete.
    """
    slots = [slot[0] for slot in slot_order(schedule_of("interleaved"), pp, rounds * pp, vpp).slots[0]]
    forward, backward = ([p for p in slots if p.letter == letter] for letter in "FB")
    starts = [min(i for i, p in enumerate(forward) if p.stage // pp == chunk) for chunk in range(vpp)]
    ends = [max(i for i, p in enumerate(backward) if p.stage // pp == chunk) for chunk in range(vpp)]
    assert max(starts) == len(backward) - 1 - min(ends) == (vpp - 1) * pp


@pytest.mark.parametrize("vpp", [2, 4, 5])
def test_the_window_is_a_micro_batch_for_the_last_chunk_and_a_round_for_the_others(vpp: int) -> None:
    one = window(1)
    for micro_batches in (4, 8):  # a round is as many micro-batches as the pipeline has ranks
        assert window(vpp, batch=16.0 * micro_batches) == pytest.approx(one * (1 + (vpp - 1) * 4) / vpp, rel=1e-3)


def test_without_a_pipeline_the_window_is_what_a_micro_batch_computes() -> None:
    made = ts.Run(
        model=ts.catalog.model("llama3-70b"),
        cluster=ts.catalog.cluster("hgx-h100", 64).replace({"scale_out.bandwidth": 1e9}),
        plan=ts.Plan(zero=1),
        phases=[ts.Phase("pretrain", tokens=1e12, seq_len=512, batch=64)],
        efficiency=ts.Modelled(stack=ts.catalog.stack("mcore-hopper").replace({"overlap_dp": 1.0})),
    )
    assert window(1, pp=1) == pytest.approx(float(np.asarray(ts.step_time(made).part("compute").total)), rel=1e-9)


def test_more_chunks_never_expose_more() -> None:
    shown = [sent - hidden for sent, hidden in (exchange(vpp, 0.6) for vpp in (1, 2, 4, 5))]
    assert all(after <= before for before, after in itertools.pairwise(shown))
    assert shown[-1] < shown[0]


def test_gradients_sharded_after_every_micro_batch_hide_behind_all_of_them() -> None:
    assert window(1, zero=2) == pytest.approx(window(1) * 64 / 16, rel=1e-3)
    assert window(4, zero=2) == pytest.approx(window(1, zero=2), rel=1e-3)
