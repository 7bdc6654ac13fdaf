"""Generic models of a given size, for runs whose architecture is unknown."""

from __future__ import annotations

import re
from functools import lru_cache

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
WIDENING = 3.5
"""Feed-forward width divided by model width (Llama 3, table 3)."""
HEAD_DIM = 128
EXPERTS, TOP_K = (32, 64, 128, 256, 384, 512), 8
"""Numbers of experts per layer, and experts per token (8 of 128 in Qwen3-235B-A22B, arXiv:2505.09388, table 2)."""
ROUTED_SHARE = 0.8
"""Largest share of the active parameters in routed experts (judgement: 0.65 in Qwen3-235B-A22B, 0.6 in DeepSeek-V3)."""
ASPECTS = (44, 64, 90, 117)
"""Width divided by the number of layers, for mixtures of experts: 44 in Qwen3-235B-A22B, 117 in DeepSeek-V3."""


@lru_cache(maxsize=32)
def generic_model(size: str) -> Model | None:
    """A decoder of a given size: in Llama 3's shape, or a mixture of experts in Qwen3's shape where the active parameters are given.

    Args:
        size: ``"7B"``, ``"1.5B"``, ``"235B-A22B"``.

    Returns:
        the model nearest to the size, its shape described in ``notes``; None where the text is not a size.

    >>> count_params(generic_model("7B")).total / 7e9 < 1.05
    True
    >>> round(count_active_params(generic_model("235B-A22B")).total / 22e9, 1)
    1.0
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?[MBT])(?:-A(\d+(?:\.\d+)?[MBT]))?", size, re.IGNORECASE)
    if found is None:
        return None
    total = parse_number(found[1].upper(), "parameter")
    if found[2] is None:
        return _nearest([_dense(size, layers) for layers in _around(total)], total, total)
    active = parse_number(found[2].upper(), "parameter")
    return _nearest([_mixture(size, n, aspect, total, active) for n in range(12, 121, 6) for aspect in ASPECTS], total, active)


def _around(total: float) -> range:
    """Candidate numbers of layers, around the solution of ``12 · layers · (ASPECT · layers)^2 = total``."""
    middle = round((total / (12 * ASPECT**2)) ** (1 / 3))
    return range(max(1, middle - 8), middle + 4)


def _nearest(models: list[Model], total: float, active: float) -> Model:
    return min(models, key=lambda model: _size_error(model, total, active))


def _size_error(model: Model, total: float, active: float) -> float:
    return abs(float(count_params(model).total) / total - 1.0) + abs(float(count_active_params(model).total) / active - 1.0)


def _width(layers: int) -> int:
    return max(HEAD_DIM, round(layers * ASPECT / HEAD_DIM) * HEAD_DIM)


def _model(size: str, layers: int, block: Block, hidden: int, note: str) -> Model:
    return Model(
        name=size, hidden=hidden, vocab=VOCAB, stack=[Layers(name="layers", count=layers, block=block)], embedding=Embedding(), head=Head(),
        notes=(f"assumed: a generic {size}, {note}",),
    )  # fmt: skip


def _dense(size: str, layers: int) -> Model:
    hidden = _width(layers)
    heads = hidden // HEAD_DIM
    attention = GroupedQueryAttention(heads=heads, kv_heads=8 if heads % 8 == 0 else heads, head_dim=HEAD_DIM)
    block = Block(attention=attention, ffn=GatedMLP(width=round(WIDENING * hidden / HEAD_DIM) * HEAD_DIM))
    return _model(size, layers, block, hidden, f"in Llama 3's shape: {layers} layers {hidden} wide")


def _mixture(size: str, layers: int, aspect: int, total: float, active: float) -> Model:
    hidden = max(HEAD_DIM, round(layers * aspect / HEAD_DIM) * HEAD_DIM)
    heads = hidden // 64
    attention = GroupedQueryAttention(heads=heads, kv_heads=4 if heads % 4 == 0 else heads, head_dim=HEAD_DIM)
    experts = next((e for e in EXPERTS if (total - active) * TOP_K / (e - TOP_K) < ROUTED_SHARE * active), EXPERTS[-1])
    width = (total - active) / (layers * (experts - TOP_K) * 3 * hidden)
    ffn = MixtureOfExperts(experts=experts, top_k=TOP_K, width=max(16, round(width / 16) * 16))
    note = f"a mixture of experts in Qwen3's shape: {layers} layers {hidden} wide, {experts} experts, {TOP_K} a token"
    return _model(size, layers, Block(attention=attention, ffn=ffn), hidden, note)
