"""Every attention, feed-forward and residual satisfies the contract; broken parts fail it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args, get_origin

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainsim.core.errors import SpecError
from trainsim.core.spec import Spec, members  # type: ignore[attr-defined]
from trainsim.model.attention.base import Attention
from trainsim.model.attention.compressed import EntryIndexer
from trainsim.model.attention.grouped_query import BlockIndexer, GroupedQueryAttention
from trainsim.model.attention.latent import Indexer, LatentAttention
from trainsim.model.attention.linear import LightningAttention
from trainsim.model.attention.routed import RoutedAttention
from trainsim.model.feedforward import FeedForward, GatedMLP, MixtureOfExperts, NoFeedForward, PlainMLP
from trainsim.model.mixers.state_space import Mamba2
from trainsim.model.ops import MatMul, Op
from trainsim.model.residual import Residual
from trainsim.testing import check_part, refused

SMALL = st.integers(1, 6)
INDEXERS = {Indexer, BlockIndexer, EntryIndexer}


def parts(member: type[Spec]) -> st.SearchStrategy[Any]:
    """A member with all fields drawn: small sizes, and words from their literals."""
    drawn = {name: field(hint.annotation) for name, hint in member.model_fields.items()}

    def build(values: dict[str, Any]) -> Any:
        try:
            return member(**values)
        except SpecError:  # inconsistent sizes are skipped
            return None

    return st.fixed_dictionaries(drawn).map(build).filter(lambda part: part is not None)


def field(annotation: Any) -> st.SearchStrategy[Any]:
    if get_origin(annotation) is tuple and get_args(annotation)[0] is Attention:
        return st.tuples(parts(GroupedQueryAttention), parts(Mamba2))
    if get_origin(annotation) is tuple and get_args(annotation)[0] is FeedForward:
        return st.tuples(parts(GatedMLP), parts(MixtureOfExperts))
    if get_origin(annotation) is tuple:
        words = get_args(get_args(annotation)[0])
        return st.lists(st.sampled_from(words), unique=True).map(tuple)
    if annotation is str:
        return st.just("encoder")
    options = get_args(annotation)
    if options and type(None) in options:
        return st.none() | (parts(next(o for o in options if o in INDEXERS)) if INDEXERS & set(options) else SMALL)
    if options and isinstance(options[0], str):
        return st.sampled_from(options)
    return SMALL


OURS = [m for face in (Attention, FeedForward, Residual) for m in members(face).values() if m.__module__.startswith("trainsim.")]


@pytest.mark.parametrize("member", OURS, ids=lambda m: m.__name__)
def test_every_member_keeps_the_contract(member: type[Attention | FeedForward | Residual]) -> None:
    @settings(max_examples=25, deadline=None)
    @given(parts(member), st.integers(1, 16))
    def check(part: Any, hidden: int) -> None:
        check_part(part, hidden=hidden)

    check()


class Leaky(FeedForward):
    """Uses more experts than it stores."""

    def ops(self, hidden: int) -> Iterator[Op]:
        yield MatMul(name="up", inner=hidden, cols=4, experts=1, top_k=2)


class Doubled(FeedForward):
    """Gives two ops one name, so that the ledger loses one."""

    def ops(self, hidden: int) -> Iterator[Op]:
        yield MatMul(name="up", inner=hidden, cols=4)
        yield MatMul(name="up", inner=hidden, cols=5)


@pytest.mark.parametrize("wrong", [Leaky(), Doubled()])
def test_a_part_that_breaks_the_contract_fails_its_check(wrong: FeedForward) -> None:
    with pytest.raises(AssertionError):
        check_part(wrong)


# by hand, head by head and expert by expert ------------------------------------------------------------------------


def params(part: Attention | FeedForward, hidden: int) -> int:
    total = 0
    for op in part.ops(hidden):
        total += op.experts * (op.inner * op.cols + op.bias) if isinstance(op, MatMul) else getattr(op, "params", 0)
    return total


@settings(deadline=None)
@given(kv=SMALL, group=SMALL, d=SMALL, hidden=SMALL)
def test_grouped_queries_head_by_head(kv: int, group: int, d: int, hidden: int) -> None:
    part = GroupedQueryAttention(heads=kv * group, kv_heads=kv, head_dim=d, biases=("q", "k", "v", "o"), qk_norm="head", sinks="head")
    want = hidden  # the output's bias
    for _ in range(kv):
        want += 2 * (hidden * d + d)  # a key and a value head
        for _ in range(group):
            want += (hidden * d + d) + d * hidden + 1  # a query head, its slice of the output, its sink
    assert params(part, hidden) == want + 2 * d  # two norms that all heads share


@settings(deadline=None)
@given(heads=SMALL, d=st.tuples(SMALL, SMALL, SMALL), ranks=st.tuples(SMALL, SMALL), hidden=SMALL)
def test_latent_attention_head_by_head(heads: int, d: tuple[int, int, int], ranks: tuple[int, int], hidden: int) -> None:
    (nope, rope, v), (q, kv) = d, ranks
    want = (hidden * q + q) + (hidden * (kv + rope) + kv)  # both compressions with their norms; the rotary key is shared
    for _ in range(heads):
        want += q * (nope + rope) + kv * (nope + v) + v * hidden
    assert params(LatentAttention(heads=heads, kv_rank=kv, q_rank=q, nope_dim=nope, rope_dim=rope, v_dim=v), hidden) == want


@settings(deadline=None)
@given(experts=SMALL, kv=SMALL, d=SMALL, hidden=SMALL)
def test_routed_attention_stores_every_expert(experts: int, kv: int, d: int, hidden: int) -> None:
    want = hidden + 2 * kv * hidden * d  # the output's bias, the shared keys and values
    for _ in range(experts):
        want += hidden + 2 * kv * hidden * d  # a column of the router, a query and an output projection
    assert params(RoutedAttention(experts=experts, top_k=1, kv_heads=kv, head_dim=d, output_bias="hidden"), hidden) == want


@settings(deadline=None)
@given(heads=SMALL, d=SMALL, hidden=SMALL)
def test_lightning_attention_head_by_head(heads: int, d: int, hidden: int) -> None:
    want = sum(5 * hidden * d + d for _ in range(heads))  # q, k, v, gate, output; a slice of the norm
    assert params(LightningAttention(heads=heads, head_dim=d, chunk=4), hidden) == want


@settings(deadline=None)
@given(experts=SMALL, width=SMALL, shared=SMALL, hidden=SMALL)
def test_experts_one_by_one(experts: int, width: int, shared: int, hidden: int) -> None:
    part = MixtureOfExperts(
        experts=experts, top_k=1, width=width, shared_width=shared, shared_gate="scalar", bias="both", router_bias="bias"
    )
    want = 3 * hidden * shared + hidden
    for _ in range(experts):
        want += (hidden + 1) + 3 * hidden * width + 2 * width + hidden
    assert params(part, hidden) == want


def test_mlps_by_hand() -> None:
    assert params(PlainMLP(width=5, bias="both"), 3) == 3 * 5 + 5 + 5 * 3 + 3
    assert params(GatedMLP(width=5), 3) == 3 * 3 * 5
    assert params(NoFeedForward(), 3) == 0


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: GroupedQueryAttention(heads=6, kv_heads=4, head_dim=8), ("conflict", "kv_heads")),
        (lambda: GroupedQueryAttention(heads=2, kv_heads=2, head_dim=8, window=4, chunk=4), ("conflict", "chunk")),
        (lambda: RoutedAttention(experts=2, top_k=3, kv_heads=1, head_dim=8), ("out-of-bounds", "top_k")),
        (lambda: MixtureOfExperts(experts=2, top_k=3, width=8), ("out-of-bounds", "top_k")),
        (lambda: MixtureOfExperts(experts=2, top_k=1, width=8, shared_width=-1), ("out-of-bounds", "shared_width")),
        (lambda: GatedMLP(width=0), ("out-of-bounds", "width")),
    ],
)
def test_inconsistent_sizes_are_refused(build: Any, words: tuple[str, str]) -> None:
    with refused(SpecError, *words):
        build()
