"""Laws of counting: masks, documents, conventions and stacks, compared with loops and with each other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import trainsim as ts
from trainsim.core.errors import SpecError
from trainsim.model.attention.grouped_query import GroupedQueryAttention
from trainsim.model.attention.linear import LightningAttention
from trainsim.model.documents import Documents
from trainsim.model.feedforward import MixtureOfExperts
from trainsim.model.layers import Block, Layers
from trainsim.model.masks import Bidirectional, Causal, Chunked, Mask, SlidingWindow, WithinChunk
from trainsim.model.ops import Entry, UnknownOpError, compile_ops
from trainsim.model.transformer import Model
from trainsim.testing import hf_configs, refused
from trainsim.testing.parts import sees

SIZE = st.integers(1, 12)
MASKS = st.one_of(st.sampled_from([Causal(), Bidirectional()]), SIZE.map(SlidingWindow), SIZE.map(Chunked), SIZE.map(WithinChunk))
EXACT = 1e-12


def pairs(mask: Mask, length: int) -> int:
    return sum(sees(mask, q, k) for q in range(length) for k in range(length))


# masks and documents -----------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(MASKS, st.integers(1, 40))
def test_a_mask_counts_its_pairs_exactly(mask: Mask, length: int) -> None:
    assert float(mask.keys(float(length))) * length == pytest.approx(pairs(mask, length), rel=1e-12)


@settings(deadline=None)
@given(MASKS, st.lists(st.integers(1, 40), min_size=1, max_size=5))
def test_a_mask_broadcasts_over_lengths(mask: Mask, lengths: list[int]) -> None:
    together = mask.keys(np.array(lengths, dtype=np.float64))
    np.testing.assert_allclose(together, [float(mask.keys(float(n))) for n in lengths], rtol=EXACT)


@settings(deadline=None)
@given(MASKS, st.integers(1, 40))
def test_no_mask_lets_through_more_than_its_span(mask: Mask, length: int) -> None:
    assert 1 <= float(mask.keys(float(length))) <= float(mask.span(float(length))) <= length


@settings(deadline=None)
@given(MASKS, st.lists(st.tuples(st.integers(1, 12), st.integers(1, 4)), min_size=1, max_size=4))
def test_documents_attend_only_within_themselves(mask: Mask, kinds: list[tuple[int, int]]) -> None:
    """The pairs of each document, summed and divided by all tokens; every document is packed whole."""
    documents = [length for length, number in kinds for _ in range(number)]
    want = sum(pairs(mask, length) for length in documents) / sum(documents)
    packed = Documents(lengths=tuple(n for n, _ in kinds), weights=tuple(w for _, w in kinds))
    assert packed.mean_keys(mask.keys, 1000.0) == pytest.approx(want, rel=1e-12)


def model(window: int | None = None, chunk: int | None = None) -> Model:
    attention = GroupedQueryAttention(heads=2, kv_heads=1, head_dim=4, window=window, chunk=chunk)
    block = Block(attention=attention, ffn=MixtureOfExperts(experts=4, top_k=2, width=8))
    return Model(hidden=8, vocab=10, stack=(Layers(name="moe", count=2, block=block),))


@settings(deadline=None)
@given(st.integers(1, 64), st.integers(1, 64))
def test_documents_of_one_length_are_that_length(length: int, seq_len: int) -> None:
    told = ts.flops_per_token(model(), seq_len, document_length=float(length)).total
    listed = ts.flops_per_token(model(), seq_len, document_length=Documents(lengths=(length,))).total
    assert told == pytest.approx(listed, rel=1e-12)
    assert told == pytest.approx(ts.flops_per_token(model(), min(length, seq_len)).total, rel=1e-12)


def test_long_documents_hold_more_of_the_tokens() -> None:
    """Two documents of 100 and 300 tokens: 100·101/2 + 300·301/2 pairs over 400 tokens, not the mean of the means."""
    core = ts.flops_per_token(model(), 4096, document_length=Documents(lengths=(100, 300))).part("forward").part("core").total
    assert core == pytest.approx(2 * 2 * 2 * (4 + 4) * (100 * 101 / 2 + 300 * 301 / 2) / 400)


@settings(deadline=None)
@given(st.lists(st.integers(1, 64), min_size=2, max_size=4))
def test_document_draws_broadcast(lengths: list[int]) -> None:
    together = ts.flops_per_token(model(window=5), 64, document_length=np.array(lengths, dtype=np.float64)).total
    apart = [ts.flops_per_token(model(window=5), 64, document_length=float(n)).total for n in lengths]
    np.testing.assert_allclose(np.asarray(together), np.asarray(apart), rtol=EXACT)
    sequences = np.array([16.0, 64.0])
    mixed = Documents(lengths=tuple(lengths))
    got = ts.flops_per_token(model(chunk=4), sequences, document_length=mixed).total
    want = [ts.flops_per_token(model(chunk=4), float(s), document_length=mixed).total for s in sequences]
    np.testing.assert_allclose(np.asarray(got), np.asarray(want), rtol=EXACT)


@pytest.mark.parametrize(
    ("lengths", "weights"), [((), ()), ((0.5,), ()), ((5,), (1, 2)), ((5,), (-1,)), ((5, 6), (0, 0)), ((float("nan"),), ())]
)
def test_documents_that_are_none_are_refused(lengths: Any, weights: Any) -> None:
    with pytest.raises(SpecError):
        Documents(lengths=lengths, weights=weights)


@pytest.mark.parametrize("bad", [{"seq_len": 0}, {"seq_len": 8, "document_length": 0.0}, {"seq_len": -4.0}])
def test_lengths_under_a_token_are_refused(bad: dict[str, Any]) -> None:
    with refused(SpecError, "out-of-bounds"):
        ts.flops_per_token(model(), **bad)


# models ------------------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=60)
@given(hf_configs(), st.integers(2, 64))
def test_every_family_keeps_the_laws(config: dict[str, Any], length: int) -> None:
    found = ts.from_hf(config)
    stored, active = ts.count_params(found), ts.count_active_params(found)
    assert active.total <= stored.total
    assert sum(value for _, value in stored.lines()) == stored.total
    by_rule = {name: ts.flops_per_token(found, length, name).total for name in ("causal", "causal-nowindow", "half", "full")}
    assert by_rule["causal"] <= by_rule["causal-nowindow"] * (1 + 1e-12)
    assert by_rule["half"] <= by_rule["causal-nowindow"] <= by_rule["full"] * (1 + 1e-12)
    ledger = ts.flops_per_token(found, length)
    forward, backward = ledger.part("forward").total, ledger.part("backward").total
    assert backward <= 2 * forward * (1 + 1e-12)
    if all(getattr(entry.op, "gradients", "both") == "both" for entry in found.table.entries):  # no indexer
        assert backward == pytest.approx(2 * forward, rel=1e-12)
    assert ledger.total == pytest.approx(sum(value for _, value in ledger.lines()), rel=1e-12)


@settings(deadline=None, max_examples=40)
@given(hf_configs(), st.randoms(use_true_random=False))
def test_the_order_of_keys_and_a_round_trip_change_nothing(config: dict[str, Any], random: Any) -> None:
    found = ts.from_hf(config)
    keys = list(config)
    random.shuffle(keys)
    assert ts.from_hf({key: config[key] for key in keys}) == found
    assert Model(**found.to_dict()) == found


@settings(deadline=None, max_examples=40)
@given(hf_configs(), st.lists(st.integers(1, 64), min_size=2, max_size=3), st.sampled_from(sorted(ts.CONVENTIONS)))
def test_every_convention_broadcasts_over_lengths(config: dict[str, Any], lengths: list[int], convention: str) -> None:
    found = ts.from_hf(config)
    together = ts.flops_per_token(found, np.array(lengths, dtype=np.float64), convention).total
    apart = [ts.flops_per_token(found, float(n), convention).total for n in lengths]
    np.testing.assert_allclose(np.broadcast_to(together, (len(lengths),)), np.asarray(apart), rtol=EXACT)


@settings(deadline=None)
@given(st.integers(1, 64), st.integers(1, 64), st.integers(1, 64))
def test_a_wider_window_never_costs_less(length: int, one: int, two: int) -> None:
    narrow, wide = sorted((one, two))
    assert ts.flops_per_token(model(window=narrow), length).total <= ts.flops_per_token(model(window=wide), length).total


@settings(deadline=None)
@given(st.integers(1, 64))
def test_a_scan_is_linear_in_the_sequence(chunks: int) -> None:
    """With whole chunks the cost per token is independent of the length; that of softmax attention grows."""
    block = Block(attention=LightningAttention(heads=2, head_dim=4, chunk=8), ffn=MixtureOfExperts(experts=4, top_k=2, width=8))
    linear = Model(hidden=8, vocab=10, stack=(Layers(name="linear", count=2, block=block),))
    assert ts.flops_per_token(linear, 8 * chunks).total == pytest.approx(ts.flops_per_token(linear, 8).total, rel=1e-12)


def test_stored_experts_cost_memory_and_only_their_router_column_costs_flops() -> None:
    few = model()
    many = few.replace({"stack.moe.block.ffn": MixtureOfExperts(experts=8, top_k=2, width=8)})
    assert ts.count_params(many).total - ts.count_params(few).total == 2 * 4 * (3 * 8 * 8 + 8)
    assert ts.flops_per_token(many, 16).total - ts.flops_per_token(few, 16).total == 3 * 2 * 2 * 4 * 8


def test_a_letter_outside_the_alphabet_is_refused() -> None:
    class Mystery:
        name = "mystery"

    with refused(UnknownOpError, "invalid", "mystery"):
        compile_ops([Entry(("layer", "mystery"), 1, Mystery())])  # type: ignore[arg-type]
