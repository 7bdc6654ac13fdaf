"""Context parallelism: exchanged data, hidden time, and the load imbalance of contiguous blocks under a mask."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import trainsim as ts
from trainsim.model.masks import Bidirectional, Causal, Mask, SlidingWindow
from trainsim.parallelism.layout import layout_of
from trainsim.step.context import block_length, busiest_block


def seconds(cp: int, **plan: Any) -> ts.Ledger:
    made = ts.Run(
        model=ts.catalog.model("llama3-8b"),
        cluster=ts.catalog.cluster("hgx-h100", 16),
        plan=ts.Plan(cp=cp, zero=1, **plan),
        phases=[ts.Phase("long", tokens=1e9, seq_len=65536, batch=16)],
        efficiency=ts.Modelled(stack="mcore-hopper"),
    )
    return ts.step_time(made)


@pytest.mark.parametrize("exchange", ["ring", "all-gather", "all-to-all"])
@pytest.mark.parametrize("order", ["balanced", "contiguous"])
def test_a_single_rank_exchanges_nothing_and_has_no_imbalance(exchange: str, order: str) -> None:
    alone = seconds(1)
    assert float(seconds(1, cp_exchange=exchange, cp_order=order).total) == pytest.approx(float(alone.total), rel=1e-15)
    assert float(alone.part("exchange.cp").total) == 0.0


@given(n=st.integers(1, 60), cp=st.integers(1, 8), window=st.integers(1, 40), kind=st.sampled_from(["causal", "full", "window"]))
def test_the_busiest_contiguous_block_equals_a_count_by_loops(n: int, cp: int, window: int, kind: str) -> None:
    length = n * cp
    mask: Mask = {"causal": Causal(), "full": Bidirectional(), "window": SlidingWindow(window)}[kind]
    span = {"causal": length, "full": 0, "window": window}[kind]
    met = np.array([length if kind == "full" else min(q + 1, span) for q in range(length)], dtype=float)
    layout = layout_of(ts.Plan(cp=cp, cp_order="contiguous"), cp, float(length))
    assert float(busiest_block(mask, layout)) == pytest.approx(met[-n:].mean() / met.mean(), rel=1e-9)


@pytest.mark.parametrize("cp", [2, 4, 8])
def test_contiguous_blocks_of_a_causal_mask_wait_for_the_last(cp: int) -> None:
    layout = layout_of(ts.Plan(cp=cp, cp_order="contiguous"), cp, 2.0**20)
    assert float(busiest_block(Causal(), layout)) == pytest.approx(2.0 - 1.0 / cp, rel=1e-5)
    assert float(seconds(cp, cp_order="contiguous").total) > float(seconds(cp).total)


def test_only_a_ring_overlaps_and_runs_block_by_block() -> None:
    ring, gathered, headed = (seconds(4, cp_exchange=how) for how in ("ring", "all-gather", "all-to-all"))
    assert float(ring.part("exchange.cp.hidden").total) < 0.0
    assert float(gathered.part("exchange.cp.hidden").total) == float(headed.part("exchange.cp.hidden").total) == 0.0
    assert float(ring.part("exchange.cp.sent").total) == pytest.approx(float(gathered.part("exchange.cp.sent").total), rel=1e-12)
    lengths = [float(block_length(layout_of(ts.Plan(cp=4, cp_exchange=how), 4, 8192.0))) for how in ("ring", "all-gather")]
    assert lengths == [2048.0, 8192.0]


def test_an_all_to_all_moves_queries_keys_values_and_results_once_each_way() -> None:
    """By hand: Llama 3 8B has 32 heads and 8 key heads of width 128; each rank keeps a quarter of its data."""
    made = seconds(4, cp_exchange="all-to-all", overlap=())
    stack, cluster = ts.catalog.stack("mcore-hopper"), ts.catalog.cluster("hgx-h100", 16)
    tokens, elements = 65536 / 4, (32 + 32 + 8 + 8) * 128
    assert cluster.scale_up is not None
    rate = float(np.asarray(cluster.scale_up.achieved or cluster.scale_up.bandwidth * stack.scale_up))
    each = tokens * elements * 2.0 * 3 / 4 / rate + float(stack.inside_latency)
    micro_batches = 16 / 4
    assert float(made.part("exchange.cp.sent").total) == pytest.approx(2 * 32 * micro_batches * each, rel=1e-6)
