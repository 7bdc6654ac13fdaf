"""Generic models of a given size, for runs whose architecture is unknown."""

from __future__ import annotations

import math
import re
from functools import lru_cache

from ..core.errors import SpecError
from ..core.quantities import parse_number
from ..model.attention.grouped_query import GroupedQueryAttention
from ..model.counting import count_active_params, count_params
from ..model.feedforward import GatedMLP, MixtureOfExperts
from ..model.layers import Block, Layers
from ..model.transformer import Embedding, Head, Model

VOCAB = 128_256
"""Rows of the embedding (Llama 3, arXiv:2407.21783, section 3.2)."""
ASPECT = 128
"""Width divided by the number of layers (Llama 3, table 3: 128 at 8B, 102 at 70B, 130 at 405B)."""
DENSE_ASPECTS = (24, 48, 64, 90, 102, 115, ASPECT, 145)
"""Ratios of width to layers that are tried."""
WIDENING = 3.5
"""Feed-forward width divided by model width (Llama 3, table 3)."""
HEAD_DIM = 128
EXPERTS, TOP_K = (32, 64, 128, 256, 384, 512), 8
"""Numbers of experts per layer that are tried, and number of experts per token (8 of 128 in Qwen3-235B-A22B, arXiv:2505.09388, table 2)."""
ROUTED_SHARE = 0.8
"""Largest share of the active parameters in routed experts (judgement: 0.65 in Qwen3-235B-A22B, 0.6 in DeepSeek-V3)."""
ASPECTS = (44, 64, 90, 117)
"""Width divided by the number of layers, for mixtures of experts: 44 in Qwen3-235B-A22B, 117 in DeepSeek-V3."""


@lru_cache(maxsize=32)
def generic_model(size: str) -> Model | None:
    """A decoder of a given size, in the shape of Llama 3; if active parameters are given, a mixture of experts in the shape of Qwen3.

    Args:
        size: ``"7B"``, ``"1.5B"``, ``"235B-A22B"``.

    Returns:
        the model nearest to the size, with its shape described in ``notes``; None if the text is not a size.

    >>> count_params(generic_model("7B")).total / 7e9 < 1.05
    True
    >>> round(count_active_params(generic_model("235B-A22B")).total / 22e9, 1)
    1.0
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?[MBT])(?:[- ]A(\d+(?:\.\d+)?[MBT]))?", size, re.IGNORECASE)
    if found is None:
        return None
    total = parse_number(found[1].upper(), "parameter")
    if not total > 0:
        raise SpecError("model", size, "is not a size of a model", "write 7B or 235B-A22B", "out-of-bounds")
    if found[2] is None:
        return _dense(size, *_shape(total), total)
    active = parse_number(found[2].upper(), "parameter")
    return _nearest([_mixture(size, n, aspect, total, active) for n in range(12, 121, 6) for aspect in ASPECTS], total, active)


def _shape(total: float) -> tuple[int, int]:
    """Numbers of layers and heads nearest to Llama 3's proportions for a total of parameters; usual degrees of parallelism divide both."""
    found = [
        (layers, heads)
        for heads in (2, 4, *range(8, 257, 8))
        for layers in sorted({max(4, 4 * round(heads * HEAD_DIM / (4 * aspect))) for aspect in DENSE_ASPECTS})
        if _widening(layers, heads, total) > 0
    ]

    def miss(shape: tuple[int, int]) -> float:
        layers, heads = shape
        return abs(math.log(_widening(layers, heads, total) / WIDENING)) + 0.5 * abs(math.log(heads * HEAD_DIM / layers / ASPECT))

    return min(found, key=miss, default=(4, 2))


def _widening(layers: int, heads: int, total: float) -> float:
    """Ratio of feed-forward width to model width with which the parameters add up to a total."""
    hidden = heads * HEAD_DIM
    rest = (total - 2 * VOCAB * hidden) / (layers * hidden**2) - 2 * (1 + _kv_heads(heads) / heads)
    return rest / 3


def _nearest(models: list[Model], total: float, active: float) -> Model:
    return min(models, key=lambda model: _size_error(model, total, active))


def _size_error(model: Model, total: float, active: float) -> float:
    return abs(float(count_params(model).total) / total - 1.0) + abs(float(count_active_params(model).total) / active - 1.0)


def _model(size: str, layers: int, block: Block, hidden: int, note: str) -> Model:
    return Model(
        name=size, hidden=hidden, vocab=VOCAB, stack=[Layers(name="layers", count=layers, block=block)], embedding=Embedding(), head=Head(),
        notes=(f"assumed: a generic {size}, {note}",),
    )  # fmt: skip


def _dense(size: str, layers: int, heads: int, total: float) -> Model:
    hidden = heads * HEAD_DIM
    width = max(1, round(_widening(layers, heads, total) * hidden / HEAD_DIM)) * HEAD_DIM
    attention = GroupedQueryAttention(heads=heads, kv_heads=_kv_heads(heads), head_dim=HEAD_DIM)
    block = Block(attention=attention, ffn=GatedMLP(width=width))
    return _model(size, layers, block, hidden, f"in Llama 3's shape: {layers} layers {hidden} wide")


def _kv_heads(heads: int) -> int:
    return min(8, heads)


def _mixture(size: str, layers: int, aspect: int, total: float, active: float) -> Model:
    hidden = max(HEAD_DIM, round(layers * aspect / HEAD_DIM) * HEAD_DIM)
    heads = hidden // 64
    attention = GroupedQueryAttention(heads=heads, kv_heads=4 if heads % 4 == 0 else heads, head_dim=HEAD_DIM)
    experts = next((e for e in EXPERTS if (total - active) * TOP_K / (e - TOP_K) < ROUTED_SHARE * active), EXPERTS[-1])
    width = (total - active) / (layers * (experts - TOP_K) * 3 * hidden)
    ffn = MixtureOfExperts(experts=experts, top_k=TOP_K, width=max(16, round(width / 16) * 16))
    note = f"a mixture of experts in Qwen3's shape: {layers} layers {hidden} wide, {experts} experts, {TOP_K} a token"
    return _model(size, layers, Block(attention=attention, ffn=ffn), hidden, note)
