"""Feed-forward layers: plain, gated, mixture of experts."""

from __future__ import annotations

import abc
from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field

from ..core.errors import SpecError
from ..core.family import Family
from ..core.spec import AsTuple, Count, invariant
from .ops import MatMul, Op, Stream

_GATED, _PLAIN = ("gate", "up"), ("up",)


class FeedForward(Family):
    """A channel mixer; yields its ops."""

    section: ClassVar[str] = "ffn"
    adds: ClassVar[bool] = True
    """Whether the output is added to the residual stream."""

    @abc.abstractmethod
    def ops(self, hidden: int) -> Iterator[Op]:
        """The ops of one layer on a residual stream of width ``hidden``."""


class NoFeedForward(FeedForward):
    """No channel mixer: an attention-only block.

    >>> list(NoFeedForward().ops(64))
    []
    """

    adds: ClassVar[bool] = False

    def ops(self, hidden: int) -> Iterator[Op]:
        """Nothing."""
        del hidden
        return iter(())


class PlainMLP(FeedForward):
    """Two products with an activation between them (Vaswani et al. 2017, arXiv:1706.03762, eq. 2).

    Args:
        width: inner width.
        bias: biases of both.

    >>> sum(op.inner * op.cols for op in PlainMLP(width=256).ops(64) if hasattr(op, "inner"))
    32768
    """

    width: Count
    bias: Literal["none", "both"] = "none"

    def ops(self, hidden: int) -> Iterator[Op]:
        """Up, activation, down."""
        has = self.bias == "both"
        yield from _expert("", hidden, self.width, _PLAIN, bias_up=self.width * has, bias_down=hidden * has)


class GatedMLP(FeedForward):
    """Three products, one gating another (Shazeer 2020, arXiv:2002.05202, eq. 5-6).

    Args:
        width: inner width.
        bias: biases of all three.
        inner_norm: a norm on the gated product (BitNet, arXiv:2504.12285).

    >>> sum(op.inner * op.cols for op in GatedMLP(width=256).ops(64) if hasattr(op, "inner"))
    49152
    """

    width: Count
    bias: Literal["none", "both"] = "none"
    inner_norm: Literal["none", "full"] = "none"

    def ops(self, hidden: int) -> Iterator[Op]:
        """Gate and up, activation, down."""
        has = self.bias == "both"
        yield from _expert("", hidden, self.width, _GATED, bias_up=self.width * has, bias_down=hidden * has)
        if self.inner_norm == "full":
            yield Stream(name="inner_norm", params=self.width, axis="ffn", read=self.width, written=self.width, saved=self.width)


class MixtureOfExperts(FeedForward):
    """A router sends each token to ``top_k`` of ``experts``; shared experts process every token (DeepSeekMoE, arXiv:2401.06066, eq. 9-11).

    Args:
        experts, top_k, width: routed experts, number of experts that each token uses, and inner width of an expert.
        shared_width: total inner width of the shared experts; 0 for none.
        activation: gated (three products) or plain (two).
        bias: biases in the routed experts.
        router_bias: none; a parameter ("bias"); or a balancing score, which is not a parameter ("score").
        shared_bias: biases in the shared experts.
        shared_gate: a learned gate on the shared experts' output (Qwen2-MoE).
        latent: routed experts work on a stream projected down to this width; None for the full stream.
        latent_bias: biases of the two projections around it.
        output_bias: a bias on the merged output of the experts (JetMoE).
        identities: experts without parameters that return the token unchanged (LongCat-Flash); the router chooses among them too.

    Raises:
        SpecError: more experts per token than there are experts.

    >>> moe = MixtureOfExperts(experts=256, top_k=8, width=2048, shared_width=2048)
    >>> [op.name for op in moe.ops(7168)][:4]
    ['router', 'experts.gate', 'experts.up', 'experts.activation']
    """

    section: ClassVar[str] = ""
    experts: Count
    top_k: Count
    width: Count
    shared_width: int = 0
    activation: Literal["gated", "plain"] = "gated"
    bias: Literal["none", "both"] = "none"
    router_bias: Literal["none", "bias", "score"] = "none"
    shared_bias: Literal["none", "both"] = "none"
    shared_gate: Literal["none", "scalar"] = "none"
    latent: Count | None = None
    latent_bias: Literal["none", "both"] = "none"
    output_bias: Literal["none", "hidden"] = "none"
    identities: Annotated[int, Field(ge=0)] = 0

    @invariant
    def _consistent(self) -> Self:
        if self.top_k > self.experts + self.identities:
            raise SpecError("top_k", self.top_k, f"is above experts={self.experts}", f"give at most {self.experts}", "out-of-bounds")
        if self.shared_width < 0:
            raise SpecError("shared_width", self.shared_width, "must be >= 0", "give 0 for no shared expert", "out-of-bounds")
        return self

    def ops(self, hidden: int) -> Iterator[Op]:
        """Router, routed experts, shared experts."""
        products = _GATED if self.activation == "gated" else _PLAIN
        stream, known = self.latent or hidden, self.experts + self.identities
        bias = known * (self.router_bias == "bias")
        yield MatMul(name="router", inner=hidden, cols=known, axes=("hidden", "expert"), role="router", bias=bias, saved=hidden)
        if self.latent is not None:
            bias = stream * (self.latent_bias == "both")
            yield MatMul(name="experts.compress", inner=hidden, cols=stream, axes=("hidden", "rank"), bias=bias)
        has = self.bias == "both"
        routed = (self.experts, self.top_k * self.experts / known if self.identities else self.top_k)
        yield from _expert("experts.", stream, self.width, products, bias_up=self.width * has, bias_down=stream * has, routed=routed)
        if self.latent is not None:
            bias = hidden * (self.latent_bias == "both")
            yield MatMul(name="experts.expand", inner=stream, cols=hidden, axes=("rank", "hidden"), bias=bias, saved=stream)
        if self.shared_width:
            has = self.shared_bias == "both"
            yield from _expert("shared.", hidden, self.shared_width, products, bias_up=self.shared_width * has, bias_down=hidden * has)
        if self.shared_gate == "scalar":
            yield MatMul(name="shared.scale", inner=hidden, cols=1, axes=("hidden", "expert"), role="router")
        if self.output_bias == "hidden":
            yield Stream(name="experts.bias", params=hidden, role="bias", read=hidden, written=hidden)


class ParallelFeedForward(FeedForward):
    """Feed-forward layers that read the same stream and whose outputs are added (Gemma 4: a dense one beside experts).

    Args:
        parts: the layers, each of another kind, since the paths of their ops begin with the kind.

    >>> both = ParallelFeedForward(parts=(GatedMLP(width=8), MixtureOfExperts(experts=2, top_k=1, width=4)))
    >>> [op.name for op in both.ops(16)][:5]
    ['ffn.gate', 'ffn.up', 'ffn.activation', 'ffn.down', 'router']
    """

    section: ClassVar[str] = ""
    parts: Annotated[tuple[FeedForward, ...], AsTuple]

    @invariant
    def _consistent(self) -> Self:
        sections = [part.section for part in self.parts]
        if len(set(sections)) < len(sections):
            raise SpecError("parts", sections, "contains a kind of layer twice", "give each kind of layer once")
        return self

    def ops(self, hidden: int) -> Iterator[Op]:
        """The ops of each part, under its section."""
        for part in self.parts:
            for op in part.ops(hidden):
                yield replace(op, name=f"{part.section}.{op.name}") if part.section else op


def _expert(
    prefix: str, stream: int, width: int, products: tuple[str, ...], *, bias_up: int, bias_down: int, routed: tuple[int, float] = (1, 1)
) -> Iterator[Op]:
    experts, top_k = routed
    for i, name in enumerate(products):
        yield MatMul(
            name=prefix + name,
            inner=stream,
            cols=width,
            axes=("hidden", "ffn"),
            experts=experts,
            top_k=top_k,
            bias=bias_up,
            saved=0.0 if i else float(top_k * stream),
        )
    ways = len(products) * top_k * width
    yield Stream(name=prefix + "activation", axis="ffn", read=ways, written=top_k * width, saved=ways)
    yield MatMul(
        name=prefix + "down",
        inner=width,
        cols=stream,
        axes=("ffn", "hidden"),
        experts=experts,
        top_k=top_k,
        bias=bias_down,
        saved=float(top_k * width),
    )
