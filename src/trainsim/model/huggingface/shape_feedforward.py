"""The keys by which a family's configs describe feed-forward layers."""

from __future__ import annotations

import abc
from typing import Literal

from ...core.family import Family
from ...core.spec import Spec
from ..feedforward import FeedForward, GatedMLP, MixtureOfExperts, PlainMLP
from .config import Config
from .shape_attention import Size, Switch


class ChannelShape(Family):
    """How a dense feed-forward is read from a config.

    Args:
        width: key of the inner width.
        times: ratio of inner width to hidden size, a number or a key, used if the config gives no width.
        divisor: ratio of the config's width to that of one product.
        bias: the switch of the biases.
    """

    width: str = "intermediate_size"
    times: Size | None = None
    divisor: int = 1
    bias: Switch = False

    @abc.abstractmethod
    def read(self, c: Config) -> FeedForward:
        """The feed-forward of one dense layer."""

    def _width(self, c: Config) -> int:
        if self.times is None:
            return c.size(self.width) // self.divisor
        given = c.size_or_none(self.width) if self.width else None
        return given or c.number(self.times) * c.size("hidden_size")

    def _bias(self, c: Config) -> Literal["none", "both"]:
        return "both" if c.switch(self.bias) else "none"


class Gated(ChannelShape):
    """Three products, one gating another; ``inner_norm`` norms the gated product."""

    inner_norm: Literal["none", "full"] = "none"

    def read(self, c: Config) -> FeedForward:
        """A gated MLP."""
        return GatedMLP(width=self._width(c), bias=self._bias(c), inner_norm=self.inner_norm)


class Plain(ChannelShape):
    """Two products with an activation between them."""

    def read(self, c: Config) -> FeedForward:
        """A plain MLP."""
        return PlainMLP(width=self._width(c), bias=self._bias(c))


class Shared(Spec):
    """Experts that every token uses.

    Args:
        number: key of the number of shared experts; None if the width is that of all together.
        width: key of the width of one expert, or of all together.
        gate: the switch of a learned gate on their output.
        bias: the switch of their biases.
        at_zero: key of the width that the class builds if their number is 0; empty if it builds none.
    """

    number: Size | None = None
    width: str = "moe_intermediate_size"
    gate: Switch = False
    bias: Switch = False
    at_zero: str = ""

    def whole_width(self, c: Config) -> int:
        """Width of all shared experts together."""
        if self.number is None:
            return c.count(self.width)
        number = c.count(self.number) if isinstance(self.number, str) else self.number
        if not number and self.at_zero:
            return c.size(self.at_zero)
        if not number and c.switch(self.bias):
            rule = "is 0 while biases are on: the class would build biases of experts of no width"
            raise c.fail(str(self.number), rule, f"give at least 1, or {self.bias}=false", "unsupported")
        return c.size(self.width) * number


class Experts(Spec):
    """A mixture of experts.

    Args:
        number, top_k, width: keys of the number of experts, of the number that each token uses, and of the inner width of an expert.
        shared: the shared experts; None for none.
        bias: the switch of biases in the experts.
        router_bias: "none"; "bias", a parameter; or "score", a balancing score, which is not a parameter. It applies if ``router_bias_if``
            holds.
    """

    number: str = "num_experts"
    top_k: str = "num_experts_per_tok"
    width: str = "moe_intermediate_size"
    shared: Shared | None = None
    bias: Switch = False
    activation: Literal["gated", "plain"] = "gated"
    router_bias: Literal["none", "bias", "score"] = "none"
    router_bias_if: Switch = True

    def read(self, c: Config) -> MixtureOfExperts:
        """The experts of one layer."""
        number, top_k = c.size(self.number), c.size(self.top_k)
        c.at_most(self.top_k, top_k, c.called(self.number), number)
        width = c.size(self.width)
        shared = self.shared
        return MixtureOfExperts(
            experts=number,
            top_k=top_k,
            width=width,
            activation=self.activation,
            shared_width=0 if shared is None else shared.whole_width(c),
            shared_gate="scalar" if shared and c.switch(shared.gate) else "none",
            shared_bias="both" if shared and c.switch(shared.bias) else "none",
            bias="both" if c.switch(self.bias) else "none",
            router_bias=self.router_bias if c.switch(self.router_bias_if) else "none",
        )
