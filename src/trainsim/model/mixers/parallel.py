"""Layers with several token mixers, and layers without one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, ClassVar, Self

from ...core.errors import SpecError
from ...core.spec import AsTuple, invariant
from ..attention.base import Attention
from ..ops import Op


class NoMixer(Attention):
    """No token mixer: a block with only a feed-forward (Nemotron-H).

    >>> list(NoMixer().ops(64))
    []
    """

    adds: ClassVar[bool] = False

    def ops(self, hidden: int) -> Iterator[Op]:
        """Nothing."""
        del hidden
        return iter(())


class ParallelMixers(Attention):
    """Several mixers of one layer: in parallel on one input (Falcon-H1, arXiv:2507.22448, section 2), or in series (with cross-attention).

    Args:
        mixers: the mixers, each with its own section of the layer.

    Raises:
        SpecError: two mixers with the same section.

    >>> from trainsim.model.attention.grouped_query import GroupedQueryAttention
    >>> from trainsim.model.mixers.state_space import Mamba2
    >>> both = (Mamba2(heads=2, head_dim=8, state=4), GroupedQueryAttention(heads=2, kv_heads=1, head_dim=8))
    >>> [op.name for op in ParallelMixers(mixers=both).ops(16)][-3:]
    ['attention.v', 'attention.core', 'attention.o']
    """

    section: ClassVar[str] = ""
    mixers: Annotated[tuple[Attention, ...], AsTuple]

    @invariant
    def _consistent(self) -> Self:
        sections = [mixer.section for mixer in self.mixers]
        if len(set(sections)) < len(sections):
            raise SpecError("mixers", sections, "have the same section of the layer", "give each kind of mixer once", "conflict")
        return self

    def ops(self, hidden: int) -> Iterator[Op]:
        """The ops of each mixer, under its section."""
        for mixer in self.mixers:
            for op in mixer.ops(hidden):
                yield replace(op, name=f"{mixer.section}.{op.name}")
