"""The contract of every attention, feed-forward and residual, including a user's own."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import product

import numpy as np

from ..core.units import Num
from ..model.attention.base import Attention
from ..model.attention.compressed import Compressed
from ..model.attention.grouped_query import GroupedQueryAttention
from ..model.counting import count_active_params, count_params, flops_per_token
from ..model.feedforward import FeedForward, NoFeedForward
from ..model.layers import Block, Layers
from ..model.masks import (
    Bidirectional,
    Blocks,
    Causal,
    Chunked,
    EarlierInChunk,
    Mask,
    Nearby,
    Selected,
    SelectedBlocks,
    SlidingWindow,
    TowerKeys,
    WithinChunk,
)
from ..model.ops import PAIRS, Attend, Convolve, Lookup, MatMul, Op, Scan, Stream
from ..model.residual import Residual
from ..model.transformer import Model

LENGTHS = (1, 2, 5, 9)


def check_part(part: Attention | FeedForward | Residual, *, hidden: int = 24) -> None:
    """Check an attention, a feed-forward or a residual against the contract.

    - *broadcast*: an array of lengths gives the results of its lengths one by one;
    - *conservation*: lines sum to totals, layers sum to the stack, a token uses no more parameters than are stored;
    - *brute force*: parameters and FLOPs of the op table equal those counted by explicit loops over tokens, heads, keys
      and experts.

    Args:
        part: the part; give small sizes, since the loops are slow.
        hidden: width of the residual stream.

    Raises:
        AssertionError: a rule is broken; the error names it.

    >>> from trainsim.model.feedforward import MixtureOfExperts
    >>> check_part(MixtureOfExperts(experts=4, top_k=2, width=8, shared_width=8))
    """
    one, three = _model(part, hidden, 1), _model(part, hidden, 3)
    _check_broadcast(one)
    _check_conservation(one, three)
    for model in (one, three):
        _equal(count_params(model).total, _each(model, _stored), "parameters")
        _equal(count_active_params(model).total, _each(model, _passed), "active parameters")
        for length in LENGTHS:
            forward = flops_per_token(model, seq_len=float(length)).part("forward").total * length
            _equal(forward, _each(model, partial(_flop, length=length)), f"forward FLOPs at length {length}")


def _model(part: Attention | FeedForward | Residual, hidden: int, layers: int) -> Model:
    """A model of the part; another part than attention is combined with attention of one head."""
    block = Block(
        attention=part if isinstance(part, Attention) else GroupedQueryAttention(heads=1, kv_heads=1, head_dim=2),
        ffn=part if isinstance(part, FeedForward) else NoFeedForward(),
        residual=(part,) if isinstance(part, Residual) else (),
    )
    return Model(hidden=hidden, vocab=7, stack=(Layers(name="layer", count=layers, block=block),))


def _each(model: Model, count: Callable[[Op], float]) -> float:
    """Sum of a count over every op of every layer."""
    return sum(count(entry.op) for entry in model.table.entries for _ in range(entry.count))


def _equal(got: Num, want: float, what: str) -> None:
    if not np.isclose(got, want, rtol=1e-12, atol=0):
        raise AssertionError(f"{what}: the op table says {float(got):.17g}, counted one by one {want:.17g}")


def _check_broadcast(model: Model) -> None:
    lengths = np.array(LENGTHS, dtype=np.float64)
    for convention in ("causal", "causal-nowindow", "half", "full"):
        together = np.broadcast_to(flops_per_token(model, seq_len=lengths, convention=convention).total, lengths.shape)
        apart = [float(flops_per_token(model, seq_len=float(n), convention=convention).total) for n in LENGTHS]
        for length, got, want in zip(LENGTHS, together, apart, strict=True):
            _equal(got, want, f"broadcast, {convention}, length {length}")


def _check_conservation(one: Model, three: Model) -> None:
    for count in (count_params, count_active_params):
        ledger = count(one)
        _equal(sum(float(value) for _, value in ledger.lines()), float(ledger.total), "lines of the ledger")
        _equal(count(three).part("layer").total, 3.0 * float(ledger.part("layer").total), "three layers of one kind")
    if float(count_active_params(one).total) > float(count_params(one).total):
        raise AssertionError("a token uses more parameters than are stored")
    ledger = flops_per_token(one, seq_len=9.0)
    _equal(ledger.part("backward").total * 9.0, _each(one, partial(_backward, length=9)), "backward")
    paths = one.table.paths
    if len(paths) != len(set(paths)):
        raise AssertionError("two ops have one name, so they would be one line")


def _stored(op: Op) -> float:
    """Parameters of an op, matrix by matrix."""
    match op:
        case MatMul() if op.weight:
            return float(sum(op.inner * op.cols * (not op.tied) + op.bias for _ in range(op.experts)))
        case Convolve():
            return float(sum(op.taps for _ in range(op.channels)) + op.bias)
        case Lookup():
            return float(op.rows * op.width * (not op.tied))
        case Stream():
            return float(op.params)
        case _:
            return 0.0


def _passed(op: Op) -> float:
    """Parameters of an op that a token uses; the first ``top_k`` experts represent any selection."""
    match op:
        case MatMul() if op.weight:
            return float((op.inner * op.cols * (not op.tied) + op.bias) * op.top_k)
        case _:
            return _stored(op)


def _flop(op: Op, length: int) -> float:
    """Forward FLOPs of a whole sequence, token by token."""
    tokens = range(length)
    match op:
        case MatMul() if op.over:  # rows of a tower without input
            return 0.0
        case MatMul():
            return float(sum(2 * op.rows * op.inner * op.cols * op.top_k for _ in tokens))
        case Attend():
            pairs = [(q, k) for q, k in product(tokens, tokens) if sees(op.mask, q, k)]
            return float(sum(2 * op.d_qk + 2 * op.d_v for _ in product(range(int(op.heads)), pairs)))
        case Scan():
            states = sum(2 * op.d_k * op.d_v for _ in product(tokens, range(op.heads), range(op.state_products)))
            pairs = [(q, k) for q, k in product(tokens, tokens) if op.chunk and sees(PAIRS[op.pairs](op.chunk), q, k)]
            return float(states + sum(2 * op.d_k + 2 * op.d_v for _ in product(range(op.heads), pairs)))
        case Convolve():
            return float(sum(2 for _ in product(tokens, range(op.channels), range(op.taps))))
        case _:
            return 0.0


def _backward(op: Op, length: int) -> float:
    """Backward FLOPs: one product as large as the forward product for each operand that needs a gradient."""
    operands = {"both": 2, "weight": 1, "none": 0}[getattr(op, "gradients", "both")]
    return float(sum(_flop(op, length) for _ in range(operands)))


def sees(mask: Mask, query: int, key: int) -> bool:
    """Whether a query attends to a key, by the definition of the mask.

    >>> [sees(SlidingWindow(2), 3, key) for key in range(5)]
    [False, False, True, True, False]
    """
    match mask:
        case Bidirectional():
            return True
        case Causal():
            return key <= query
        case SlidingWindow():
            return query - mask.window < key <= query
        case Chunked() | WithinChunk():
            return key <= query and key // mask.chunk == query // mask.chunk
        case EarlierInChunk():
            return key < query and key // mask.chunk == query // mask.chunk
        case Selected():  # the number of keys is what matters, so the latest ones are taken
            return query - mask.count < key <= query
        case TowerKeys():  # the model's towers have no input here
            return False
        case Compressed():  # the keys of this mask are compressed entries
            return key < min((query + 1) // mask.rate, query + 1 if mask.most is None else mask.most)
        case SelectedBlocks():  # the number of keys is what matters, so the latest ones are taken
            return key <= query and query // mask.block - key // mask.block < mask.count
        case Nearby():
            return abs(query - key) <= mask.reach
        case Blocks():
            return key // mask.block == query // mask.block
        case _:
            raise AssertionError(f"{type(mask).__name__} has no definition here: give the part's mask one of the known kinds")
