"""The kinds of op that a model is made of, and the op table: one row per op, from which every count follows.

A part of a model yields ops and nothing else; parameters, FLOPs, bytes, messages and seconds follow from them. Each axis of an op has a
*role* (hidden, head, kv, ffn, expert, vocab, rank). A layout shards axes by role, so that parts do not mention parallelism.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..core.errors import TrainsimError
from .masks import Causal, EarlierInChunk, Mask, OncePerSequence, OtherStreamKeys, TowerKeys, WithinChunk

CAUSAL = Causal()
Axis = Literal["hidden", "head", "kv", "ffn", "expert", "vocab", "rank"]
Role = Literal["linear", "router", "head", "embedding", "position", "norm", "latent-norm", "bias", "attention", "scan", "convolution"]
"""Role of an op, by which precision recipes and counting conventions treat it."""
Gradients = Literal["both", "input", "weight", "none"]
"""Operands of a product that need a gradient: both; the input (the weight is frozen); the weight (the input is detached); or none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MatMul:
    """A product of ``rows`` rows per token with an ``inner × cols`` matrix, of which there are ``experts`` and each token uses ``top_k``.

    Forward ``2 · rows · top_k · inner · cols`` (a multiply-add is two) [FLOP/token]; backward as much for each operand with a gradient.

    Args:
        name: dotted name inside the part, ``"experts.up"``.
        inner, cols, axes: sides of the matrix, and the roles of both.
        rows, bias: rows per token, and bias elements per matrix.
        experts, top_k: matrices stored, and matrices a row is sent through.
        weight: whether the matrix is a parameter; False for products of two activations.
        tied, owner: whether the matrix is stored elsewhere, and the kind of layer that stores it ("" for embedding or head); a tied matrix
            adds FLOPs but no parameters.
        role: role of the op, by which precision recipes and counting conventions treat it.
        saved: activation elements per token saved for the backward pass; 0 if an earlier op saves the same input.
        gradients: operands that need a gradient.
        over: the tower over whose tokens the op runs; "" for the tokens of its layer.

    >>> compile_ops(place([MatMul(name="up", inner=64, cols=256)], "ffn", count=1)).flop
    array([32768.])
    """

    name: str
    inner: int
    cols: int
    axes: tuple[Axis, Axis] = ("hidden", "hidden")
    rows: float = 1.0
    experts: int = 1
    top_k: float = 1.0
    weight: bool = True
    bias: int = 0
    tied: bool = False
    owner: str = ""
    role: Role = "linear"
    saved: float = 0.0
    gradients: Gradients = "both"
    over: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attend:
    """Scores and weighted sum over the (query, key) pairs that a mask allows.

    Forward ``2 · heads · (d_qk + d_v) · keys(S)`` [FLOP/token]; backward twice that, or zero if no gradient is needed.

    Args:
        name, saved, gradients: as for :class:`MatMul`.
        heads, d_qk, d_v: query heads, the width of a head's queries and keys, and that of its values.
        mask: the keys that a query attends to.

    >>> compile_ops(place([Attend(name="core", heads=4, d_qk=16, d_v=16)], "attention", count=1)).flop_per_key
    array([256.])
    """

    name: str
    heads: float
    d_qk: int
    d_v: int
    mask: Mask = CAUSAL
    saved: float = 0.0
    gradients: Literal["both", "none"] = "both"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """A recurrence over a state of ``heads × d_k × d_v`` elements, computed in chunks of tokens.

    Forward ``2 · heads · (state_products · d_k · d_v + (d_k + d_v) · keys)`` [FLOP/token]. Two products write and read the state
    (``S ← λ S + k vᵀ``, ``o = q S``); a third reads the state's prediction (the delta rule). Decays are element-wise and not counted.
    ``keys`` are those of the token's chunk, ``[(QKᵀ) ⊙ M] V``; a convention for unmasked kernels takes the whole chunk. Backward is twice
    forward. No convention counts recomputed work (Lightning Attention-2, algorithm 2). An unrolled graph needs three products of
    ``chunk × d_k × d_v`` fewer per head and sequence, for the first and the last state.

    Args:
        name, saved, gradients: as for :class:`MatMul`.
        heads, d_k, d_v: number of heads; rows and columns of each head's state matrix.
        chunk: tokens of a chunk; 0 for a recurrence token by token.
        state_products: products of a token with the state; 0 for work inside the chunks alone.
        pairs: keys of its own chunk that a token attends to: "causal" with its own key, or "earlier" without it.

    Source: arXiv:2401.04658 (Lightning Attention-2), equations 4-12; arXiv:2405.21060 (Mamba-2), section 6; arXiv:2406.06484, section 3.

    >>> compile_ops(place([Scan(name="scan", heads=4, d_k=16, d_v=16)], "mixer", count=1)).flop
    array([4096.])
    """

    name: str
    heads: int
    d_k: int
    d_v: int
    chunk: int = 0
    state_products: int = 2
    pairs: Literal["causal", "earlier"] = "causal"
    saved: float = 0.0
    gradients: Literal["both", "none"] = "both"


@dataclass(frozen=True, slots=True, kw_only=True)
class Convolve:
    """A depthwise convolution along the sequence: ``taps`` weights for each of ``channels``.

    Forward ``2 · channels · taps`` [FLOP/token], backward twice that; zeros before the first token are multiplied too.

    Args:
        name, saved, gradients: as for :class:`MatMul`.
        channels, taps: number of channels, and of tokens in the weighted sum of each.
        axis, bias: role of the channels, and bias elements.

    >>> compile_ops(place([Convolve(name="conv", channels=64, taps=4)], "mixer", count=1)).flop
    array([512.])
    """

    name: str
    channels: int
    taps: int
    axis: Axis = "head"
    bias: int = 0
    saved: float = 0.0
    gradients: Gradients = "both"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup:
    """A row of a ``rows × width`` table per token: parameters, no FLOPs.

    Args:
        name, rows, width, role, tied: name, sides of the table, and the rest as for :class:`MatMul`.

    >>> compile_ops(place([Lookup(name="tokens", rows=1000, width=64)], "embedding", count=1)).matrices
    array([64000.])
    """

    name: str
    rows: int
    width: int
    role: Role = "embedding"
    tied: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """Element-wise work: norms, activations, gates, residuals. Vectors of ``params`` elements, traffic, no FLOPs in any convention.

    Args:
        name, role, axis, saved: as for :class:`MatMul`; ``axis`` is the role of the vectors' one axis.
        params, read, written: elements of the vectors; elements per token read and written in the forward pass.

    >>> compile_ops(place([Stream(name="norm", params=64, read=64, written=64)], "norms", count=1)).traffic
    array([128.])
    """

    name: str
    params: int = 0
    role: Role = "norm"
    axis: Axis = "hidden"
    read: float = 0.0
    written: float = 0.0
    saved: float = 0.0


Op = MatMul | Attend | Scan | Convolve | Lookup | Stream


class UnknownOpError(TrainsimError):
    """An op of a kind that the op table doesn't know."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An op with its path in the model.

    Args:
        path, op: the op's path in the model, and the op.
        count, mtp: number of layers of the op's kind, and whether the op belongs to a multi-token-prediction module.
        over: the tower over whose tokens the op runs; "" for the tokens of the sequence.
        trainable: whether the weights are trained; frozen weights have no gradient and no optimizer state.
        kind: the kind of layer that the op is in, from its path: ``moe``, ``embedding``, ``towers:vision:block``.
        within, line: path of the op inside its layer; the same path with the kind of layer as first level.
    """

    path: tuple[str, ...]
    count: int
    op: Op
    mtp: bool = False
    over: str = ""
    trainable: bool = True
    kind: str = field(init=False, repr=False, compare=False)
    within: tuple[str, ...] = field(init=False, repr=False, compare=False)
    line: tuple[str, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        depth = _DEPTH if self.path[0] == "towers" else 1
        kind, within = ":".join(self.path[:depth]), self.path[depth:]
        for name, value in {"kind": kind, "within": within, "line": (kind, *within)}.items():
            object.__setattr__(self, name, value)


_DEPTH = 3
"""Number of levels of a tower's path that name a kind of layer."""


@dataclass(frozen=True)
class TowerTokens:
    """The tokens of a tower, which are not those of the sequence.

    Args:
        tokens: tokens of the tower per sequence.
        keys: mask → number of keys that a token of the tower attends to.
        seq_len: tokens of the sequence; None if unknown.
    """

    tokens: float
    keys: Callable[[Mask], float]
    seq_len: float | None = None

    @property
    def per_token(self) -> float:
        """Tokens of the tower per token of the sequence; 0 if the length of the sequence is unknown."""
        return 0.0 if self.seq_len is None else self.tokens / self.seq_len


@dataclass(frozen=True, eq=False)
class OpTable:
    """The ops of a model as columns; parameters, FLOPs, bytes and seconds are array expressions over them.

    ``matrices`` and ``vectors`` are parameters of one layer, ``active_*`` those that a token uses. ``flop`` is the forward FLOP per token
    that doesn't depend on the sequence; ``flop_per_key`` is that per key of a query; ``backward`` is the ratio of backward to forward.
    ``over_tower`` marks ops over the tokens of a tower, which has ``per_token`` tokens per token of the sequence, each attending to
    ``tower_keys`` keys. Every column has the shape ``(ops,)``; multiply by ``count`` for the whole model.
    """

    entries: tuple[Entry, ...]
    count: NDArray[np.float64]
    matrices: NDArray[np.float64]
    vectors: NDArray[np.float64]
    active_matrices: NDArray[np.float64]
    active_vectors: NDArray[np.float64]
    flop: NDArray[np.float64]
    flop_per_key: NDArray[np.float64]
    backward: NDArray[np.float64]
    saved: NDArray[np.float64]
    traffic: NDArray[np.float64]
    tied: NDArray[np.bool_]
    mtp: NDArray[np.bool_]
    over_tower: NDArray[np.bool_]
    trainable: NDArray[np.bool_]
    per_token: NDArray[np.float64]
    tower_keys: NDArray[np.float64]
    roles: NDArray[np.str_]
    masks: tuple[Mask, ...]
    mask_of: NDArray[np.intp]

    @property
    def paths(self) -> list[tuple[str, ...]]:
        """Path of each op."""
        return [entry.path for entry in self.entries]


_FLOP, _PER_KEY = 4, 5
_COLUMNS = ("matrices", "vectors", "active_matrices", "active_vectors", "flop", "flop_per_key", "backward", "saved", "traffic")
_BACKWARD: dict[str, float] = {"both": 2.0, "input": 1.0, "weight": 1.0, "none": 0.0}
"""Ratio of backward to forward: the gradient of each operand is a product as large as the forward product."""
PAIRS: dict[str, type[WithinChunk | EarlierInChunk]] = {"causal": WithinChunk, "earlier": EarlierInChunk}
"""The mask of a scan inside its chunks."""


def _columns(op: Op) -> tuple[float, ...]:
    """One op's row, in the order of ``_COLUMNS``."""
    match op:
        case MatMul():
            matrix = float(op.inner) * op.cols
            stored, passed = (op.experts, op.top_k) if op.weight else (0, 0)
            flop = 2.0 * op.rows * op.top_k * matrix
            backward = _BACKWARD[op.gradients]
            return (stored * matrix, float(stored * op.bias), passed * matrix, passed * op.bias, flop, 0.0, backward, op.saved, 0.0)
        case Attend():
            return (0.0, 0.0, 0.0, 0.0, 0.0, 2.0 * op.heads * (op.d_qk + op.d_v), _BACKWARD[op.gradients], op.saved, 0.0)
        case Scan():
            inside = 2.0 * op.heads * (op.d_k + op.d_v) if op.chunk else 0.0
            state = 2.0 * op.heads * op.state_products * op.d_k * op.d_v
            return (0.0, 0.0, 0.0, 0.0, state, inside, _BACKWARD[op.gradients], op.saved, 0.0)
        case Convolve():
            matrix = float(op.channels) * op.taps
            return (matrix, float(op.bias), matrix, float(op.bias), 2.0 * matrix, 0.0, _BACKWARD[op.gradients], op.saved, 2.0 * op.channels)
        case Lookup():
            table = float(op.rows) * op.width
            return (table, 0.0, table, 0.0, 0.0, 0.0, 2.0, 0.0, float(op.width))
        case Stream():
            return (0.0, float(op.params), 0.0, float(op.params), 0.0, 0.0, 2.0, op.saved, op.read + op.written)
        case _:
            raise UnknownOpError(
                getattr(op, "name", type(op).__name__),
                op,
                "is not a known kind of op",
                "yield MatMul, Attend, Scan, Convolve, Lookup or Stream",
            )


def _role(op: Op) -> str:
    match op:
        case MatMul() | Lookup() | Stream():
            return op.role
        case Attend():
            return "attention"
        case Scan():
            return "scan"
        case Convolve():
            return "convolution"


def _mask(op: Op) -> Mask | None:
    """The mask of an op whose work grows with the (query, key) pairs; None for others."""
    match op:
        case Attend():
            return op.mask
        case Scan() if op.chunk:
            return PAIRS[op.pairs](op.chunk)
        case _:
            return None


def compile_ops(entries: Iterable[Entry], towers: Mapping[str, TowerTokens] | None = None) -> OpTable:
    """Ops with their paths as columns, once per model.

    An op over a tower's tokens counts per sequence, as one key per sequence; without tokens its FLOPs are zero.

    Args:
        entries, towers: ops with their paths, and the tokens of each tower.

    Raises:
        UnknownOpError: an op of an unknown kind; none is counted as zero.
    """
    rows = tuple(entries)
    columns = np.array([_columns(e.op) for e in rows], dtype=np.float64).reshape(len(rows), len(_COLUMNS)).T
    masks: list[Mask] = []
    mask_of = np.full(len(rows), -1, dtype=np.intp)
    per_token, tower_keys = np.ones(len(rows)), np.zeros(len(rows))
    for i, entry in enumerate(rows):
        mask = _mask(entry.op)
        if isinstance(mask, TowerKeys):
            mask = OtherStreamKeys((towers or {}).get(mask.tower, _NOTHING).tokens)
        if entry.over:
            tower = (towers or {}).get(entry.over, _NOTHING)
            tower_keys[i], per_token[i] = 0.0 if mask is None else tower.keys(mask), tower.per_token
            each = columns[_FLOP, i] + columns[_PER_KEY, i] * tower_keys[i]
            columns[_FLOP, i], columns[_PER_KEY, i], mask = 0.0, tower.tokens * each, OncePerSequence()
        if mask is not None:
            if mask not in masks:
                masks.append(mask)
            mask_of[i] = masks.index(mask)
    return OpTable(
        entries=rows,
        count=np.array([e.count for e in rows], dtype=np.float64),
        tied=np.array([getattr(e.op, "tied", False) for e in rows], dtype=np.bool_),
        mtp=np.array([e.mtp for e in rows], dtype=np.bool_),
        over_tower=np.array([bool(e.over) for e in rows], dtype=np.bool_),
        trainable=np.array([e.trainable for e in rows], dtype=np.bool_),
        per_token=per_token,
        tower_keys=tower_keys,
        roles=np.array([_role(e.op) for e in rows], dtype=np.str_),
        masks=tuple(masks),
        mask_of=mask_of,
        **dict(zip(_COLUMNS, columns, strict=True)),
    )


_NOTHING = TowerTokens(0.0, lambda mask: 0.0)  # noqa: ARG005  (no tower tokens, so no mask matters)


def place(ops: Iterable[Op], *levels: str, count: int, mtp: bool = False, over: str = "") -> Sequence[Entry]:
    """Ops with their paths, each under the given levels."""
    return [Entry((*levels, *op.name.split(".")), count, op, mtp, over or getattr(op, "over", "")) for op in ops]
