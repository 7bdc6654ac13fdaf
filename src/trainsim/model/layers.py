"""Layers: a block is a token mixer, a channel mixer and their norms; a stack is a sequence of kinds of blocks with their counts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Annotated, Literal, Self

from pydantic import Field

from ..core.errors import SpecError
from ..core.spec import AsTuple, Spec, invariant
from .attention.base import Attention
from .feedforward import FeedForward
from .ops import Entry, Op, Stream, place
from .residual import Residual

Norm = Literal["rms", "layer", "layer-no-bias", "weightless"]
_NORM_VECTORS = {"rms": 1, "layer": 2, "layer-no-bias": 1, "weightless": 0}
MAX_LAYERS = 10_000
"""Largest number of layers; a config with more is broken and refused before anything is built."""


def norm(name: str, width: int, kind: Norm) -> Stream:
    """A norm as element-wise work; RMSNorm has one vector, LayerNorm two."""
    return Stream(name=name, params=_NORM_VECTORS[kind] * width, read=width, written=width, saved=width)


class Block(Spec):
    """One layer: a token mixer, a channel mixer, and the norms around them.

    Args:
        attention, ffn: the mixers.
        norms: names of the norms: two in a pre- or post-norm block, four in a sandwich, one before a parallel block.
        norm: kind of the norms.
        scales: elements of other learned vectors (residual or layer scales).
        residual: other work of the layer on the residual stream: several streams, an input of its own per layer.

    >>> from trainsim.model.attention.grouped_query import GroupedQueryAttention
    >>> from trainsim.model.feedforward import GatedMLP
    >>> block = Block(attention=GroupedQueryAttention(heads=4, kv_heads=4, head_dim=16), ffn=GatedMLP(width=160))
    >>> [op.name for section, op in block.ops(64) if section == "ffn"]
    ['gate', 'up', 'activation', 'down']
    """

    attention: Attention
    ffn: FeedForward
    norms: Annotated[tuple[str, ...], AsTuple] = ("attention", "ffn")
    norm: Norm = "rms"
    scales: int = 0
    residual: Annotated[tuple[Residual, ...], AsTuple] = ()

    @property
    def additions(self) -> int:
        """Additions to the residual stream: one for the token mixer and one for the channel mixer, where the block has them."""
        return self.attention.adds + self.ffn.adds

    def ops(self, hidden: int) -> Iterator[tuple[str, Op]]:
        """The ops of the layer, each with its section."""
        for name in self.norms:
            yield "norms", norm(name, hidden, self.norm)
        for part in (self.attention, self.ffn):
            for op in tuple(part.ops(hidden)):
                yield part.section, op
        if self.scales:
            yield "norms", Stream(name="scales", params=self.scales)
        for around in self.residual:
            for op in around.ops(hidden, self.additions):
                yield around.section, op

    def entries(self, hidden: int, *levels: str, count: int, mtp: str = "", over: str = "") -> Sequence[Entry]:
        """The layer's ops with their paths."""
        sections = [(section, [op for _, op in ops]) for section, ops in groupby(self.ops(hidden), key=itemgetter(0))]
        return [
            entry
            for section, ops in sections
            for entry in place(ops, *levels, *([section] if section else []), count=count, mtp=bool(mtp), over=over)
        ]


class Layers(Spec):
    """``count`` layers of one kind.

    Args:
        name: name of the kind in every path: ``dense``, ``moe``, ``sliding``.
        count: number of layers.
        block: what each of them is.
        positions: indices of these layers in the model; empty for the next ``count``.

    Raises:
        SpecError: not one position per layer.

    >>> from trainsim.model.attention.grouped_query import GroupedQueryAttention
    >>> from trainsim.model.feedforward import GatedMLP
    >>> block = Block(attention=GroupedQueryAttention(heads=4, kv_heads=4, head_dim=16), ffn=GatedMLP(width=160))
    >>> Layers(name="dense", count=32, block=block).count
    32
    """

    name: str
    count: Annotated[int, Field(gt=0, le=MAX_LAYERS)]
    block: Block
    positions: Annotated[tuple[int, ...], AsTuple] = ()

    @invariant
    def _consistent(self) -> Self:
        if self.positions and len(self.positions) != self.count:
            raise SpecError(
                "positions",
                len(self.positions),
                f"is not the number of layers, count={self.count}",
                "give one per layer, or none",
                "conflict",
            )
        return self


def stack_of(kinds: Sequence[tuple[str, Block]]) -> tuple[Layers, ...]:
    """A stack from the kind of each layer, first to last; kinds that alternate are given positions.

    >>> from trainsim.model.feedforward import NoFeedForward
    >>> from trainsim.model.attention.grouped_query import GroupedQueryAttention
    >>> one = Block(attention=GroupedQueryAttention(heads=1, kv_heads=1, head_dim=8), ffn=NoFeedForward())
    >>> [(k.name, k.count, k.positions) for k in stack_of([("a", one), ("b", one), ("a", one)])]
    [('a', 2, (0, 2)), ('b', 1, (1,))]
    """
    blocks: dict[str, Block] = {}
    positions: dict[str, list[int]] = {}
    for i, (name, block) in enumerate(kinds):
        if blocks.setdefault(name, block) != block:
            raise SpecError("stack", name, "names two different blocks", "give each kind of layer its own name", "duplicate")
        positions.setdefault(name, []).append(i)
    in_order = [i for where in positions.values() for i in where] == list(range(len(kinds)))
    return tuple(
        Layers(name=name, count=len(where), block=blocks[name], positions=() if in_order else tuple(where))
        for name, where in positions.items()
    )
