"""The keys by which a family's configs describe attention: a key for each size, and a switch for each option."""

from __future__ import annotations

import abc
from typing import Annotated, Any, Literal

from ...core.family import Family
from ...core.spec import AsTuple
from ..attention.base import Attention
from ..attention.grouped_query import GroupedQueryAttention
from ..attention.latent import LatentAttention
from .config import Config

Switch = bool | str
"""A constant, or the key of a flag in the config."""
Size = int | str
"""A constant, or the key of a number in the config."""
Projection = Literal["q", "k", "v", "o", "gate"]
ALL: tuple[Projection, ...] = ("q", "k", "v", "o")


class AttentionShape(Family):
    """How one kind of token mixer is read from a config."""

    @abc.abstractmethod
    def read(self, c: Config) -> Attention:
        """The mixer of one layer.

        Args:
            c: the config; a key that no reader uses is an error.
        """


class Grouped(AttentionShape):
    """Softmax attention with groups of query heads.

    Args:
        heads, kv_heads: keys of the numbers of heads; ``kv_heads`` "" for one per query head.
        head_dim: key of the head size; a null value, or "" for the key, means hidden / heads.
        uneven: rule of the class if the heads don't divide the hidden size and no head size is given.
        biases: projections that have a bias if the switch ``bias`` is on.
        bias: the switch of all these biases.
        output_bias: the switch of the output projection's bias, if there is a separate one.
        qk_norm: norms on queries and keys, if ``qk_norm_if`` holds.
        single: the switch of multi-query attention: one key head for all query heads.
        kv_factor: factor on the config's number of key heads. ``own_kv_heads`` is the key of a number without this factor.
        v_dim: key of the width of a value head; "" for the head size.
        sinks: a learned logit per head.
        gate: a gate on the output, per element or per head, if ``gate_if`` holds; per head if ``gate_by_head`` holds.
        gate_shift: a learned number per head added to the gate's.
        output_norm: a norm on the output before the output projection.
    """

    heads: str = "num_attention_heads"
    kv_heads: Size = "num_key_value_heads"
    head_dim: str = "head_dim"
    single: Switch = False
    kv_factor: int = 1
    own_kv_heads: str = ""
    v_dim: str = ""
    uneven: Literal["refused", "rounded-down"] = "refused"
    biases: Annotated[tuple[Projection, ...], AsTuple] = ALL
    bias: Switch = False
    output_bias: Switch | None = None
    qk_norm: Literal["none", "head", "full", "weightless"] = "none"
    qk_norm_if: Switch = True
    qk_norm_bias: Literal["none", "bias"] = "none"
    sinks: Switch = False
    gate: Literal["none", "element", "head"] = "none"
    gate_if: Switch = True
    gate_by_head: Switch = False
    gate_shift: Literal["none", "head"] = "none"
    output_norm: Literal["none", "full"] = "none"

    def read(self, c: Config) -> GroupedQueryAttention:
        """Attention of the given heads."""
        heads = c.size(self.heads)
        biases = self.biases if c.switch(self.bias) else ()
        if self.output_bias is not None:
            biases = (*(b for b in biases if b != "o"), *(("o",) if c.switch(self.output_bias) else ()))
        return GroupedQueryAttention(
            heads=heads,
            kv_heads=self._key_heads(c, heads),
            v_dim=c.size_or_none(self.v_dim) if self.v_dim else None,
            head_dim=head_size(c, self.head_dim, heads, uneven=self.uneven),
            biases=biases,
            qk_norm=self.qk_norm if c.switch(self.qk_norm_if) else "none",
            qk_norm_bias=self.qk_norm_bias,
            sinks="head" if c.switch(self.sinks) else "none",
            gate=self._gate(c),
            gate_shift=self.gate_shift,
            output_norm=self.output_norm,
            direction="causal" if c.causal else "both",
        )

    def _gate(self, c: Config) -> Literal["none", "element", "head"]:
        if self.gate == "none" or not c.switch(self.gate_if):
            return "none"
        return "head" if c.switch(self.gate_by_head) else self.gate

    def _key_heads(self, c: Config, heads: int) -> int:
        if self.single is not False and c.switch(self.single):
            c.ignore("num_key_value_heads")
            return 1
        if self.own_kv_heads and c.has(self.own_kv_heads):
            return _key_heads(c, self.own_kv_heads, heads)
        return self.kv_factor * _key_heads(c, self.kv_heads, heads)


class Latent(AttentionShape):
    """Multi-head latent attention (DeepSeek-V2, arXiv:2405.04434).

    Args:
        bias: the switch of the biases on the down projections and the output.
    """

    bias: Switch = "attention_bias"

    def read(self, c: Config) -> LatentAttention:
        """Latent attention; the rotary key is shared, so there are as many key heads as query heads."""
        heads = c.size("num_attention_heads")
        kv_heads = c.optional("num_key_value_heads", default=heads, why="latent attention expands to every head")
        if kv_heads != heads:
            rule = f"differs from num_attention_heads={heads}"
            raise c.fail(
                "num_key_value_heads", rule, "give as many as num_attention_heads: latent attention has one key head per query head"
            )
        q_rank = c.size_or_none("q_lora_rank")
        c.ignore("head_dim", "qk_head_dim")
        biased: tuple[Any, ...] = ("q", "kv", "o") if q_rank else ("kv", "o")  # without compression, the query projection has no bias
        return LatentAttention(
            heads=heads,
            kv_rank=c.size("kv_lora_rank"),
            q_rank=q_rank,
            nope_dim=c.size("qk_nope_head_dim"),
            rope_dim=c.size("qk_rope_head_dim"),
            v_dim=c.optional("v_head_dim", default=c.size("hidden_size") // heads, why="hidden / heads"),
            biases=biased if c.switch(self.bias) else (),
        )


def _key_heads(c: Config, key: Size, heads: int) -> int:
    """The number of key heads, which must divide the number of query heads; null means one per query head."""
    if isinstance(key, int):
        return key
    if not key:
        c.fixed("num_key_value_heads", heads)
        return heads
    if c.null(key):
        return heads
    kv_heads = c.optional(key, default=heads, why="one per query head")
    c.at_most(key, kv_heads, "num_attention_heads", heads)
    c.divides(key, kv_heads, "num_attention_heads", heads)
    return kv_heads


def head_size(c: Config, key: str, heads: int, *, uneven: str = "refused") -> int:
    """The head size that a key gives; if the key is missing or null, hidden / heads."""
    if key and (size := c.size_or_none(key)) is not None:
        return size
    hidden = c.size("hidden_size")
    if uneven == "refused":
        c.divides("num_attention_heads", heads, "hidden_size", hidden)
    if not key:
        c.fixed("head_dim", hidden // heads)
    return hidden // heads
