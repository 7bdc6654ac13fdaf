"""Decoding: bytes read and FLOPs per generated token, and the time of a decoding step by the roofline."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache, singledispatch
from typing import Annotated

import numpy as np

from ..cluster.hardware import Chip
from ..core.errors import EstimateError
from ..core.spec import Count, Spec
from ..core.units import Num, Unit
from ..model.attention.base import Attention
from ..model.attention.compressed import CompressedAttention
from ..model.attention.cross import CrossAttention
from ..model.attention.grouped_query import GroupedQueryAttention
from ..model.attention.latent import LatentAttention
from ..model.attention.linear import LightningAttention
from ..model.attention.routed import RoutedAttention
from ..model.mixers.delta import GatedDeltaNet, KimiDeltaAttention
from ..model.mixers.gated_recurrence import GatedLinearRecurrence
from ..model.mixers.parallel import NoMixer, ParallelMixers
from ..model.mixers.short_convolution import ShortConvolution
from ..model.mixers.state_space import Mamba, Mamba2
from ..model.ops import Convolve, MatMul, Scan
from ..model.transformer import Model

RECURRENT = LightningAttention | GatedDeltaNet | KimiDeltaAttention | GatedLinearRecurrence | Mamba | Mamba2 | ShortConvolution | NoMixer
"""Mixers whose cache does not grow with the length of the response."""


class Engine(Spec):
    """Inference engine: one copy of the model for generation, its accelerators and its efficiency.

    Args:
        gpus: accelerators per copy.
        weight_bytes, cache_bytes: size of a weight, and of an element of the key-value cache [B].
        bandwidth_share, compute_share: shares of the memory bandwidth and of the dense peak that decoding reaches [1].
        step_overhead_seconds: time per decoding step in addition to the roofline: launches, exchanges, sampling [s].
        memory_share: share of the memory that weights and cache may use [1].
        max_batch: largest number of responses that one copy decodes at once [sequence].
        tokens_per_step: tokens accepted per response and step; above 1 with speculative decoding [token].
        peak: number format of the products.

    >>> Engine(gpus=2, bandwidth_share=0.7, compute_share=0.4, step_overhead_seconds=0.004, max_batch=256).gpus
    2
    """

    gpus: Count
    weight_bytes: Annotated[Num, Unit("B", "size of a weight", gt=0)] = 2.0
    cache_bytes: Annotated[Num, Unit("B", "size of a cached element", gt=0)] = 2.0
    bandwidth_share: Annotated[Num, Unit("", "share of the memory bandwidth reached", gt=0, le=1)]
    compute_share: Annotated[Num, Unit("", "share of the dense peak reached while decoding", gt=0, le=1)]
    step_overhead_seconds: Annotated[Num, Unit("s", "time per decoding step besides the roofline", ge=0)]
    memory_share: Annotated[Num, Unit("", "share of the memory for weights and cache", gt=0, le=1)] = 0.9
    max_batch: Annotated[Num, Unit("sequence", "responses decoded at once", ge=1)]
    tokens_per_step: Annotated[Num, Unit("token", "tokens accepted per response and step", ge=1)] = 1.0
    peak: str = "bf16"


@singledispatch
def cached_elements(attention: Attention, context: Num) -> Num:  # noqa: ARG001  (the registered functions use it)
    """Cache elements of one layer after ``context`` tokens of prompt and response; recurrent states are not counted.

    A user's attention needs a registered rule.

    Raises:
        EstimateError: there is no rule for this kind of attention.
    """
    raise EstimateError(
        "attention",
        type(attention).__name__,
        "has no rule for its cache",
        "register one with decoding.cached_elements.register",
        "unsupported",
    )


@cached_elements.register
def _grouped(attention: GroupedQueryAttention, context: Num) -> Num:
    return 2.0 * attention.kv_heads * attention.head_dim * _visible_keys(attention, context) * (attention.kv == "own")


@cached_elements.register
def _latent(attention: LatentAttention, context: Num) -> Num:
    keys = 0 if attention.indexer is None else attention.indexer.head_dim
    elements = context if attention.window is None else np.minimum(context, attention.window)
    return (attention.kv_cache_width + keys) * elements


@cached_elements.register
def _compressed(attention: CompressedAttention, context: Num) -> Num:
    """The keys of the window, and the compressed entries of all earlier keys, with those of the indexer."""
    entries = 0.0 if attention.rate is None else context / attention.rate
    scored = 0 if attention.indexer is None else attention.indexer.head_dim
    return attention.head_dim * np.minimum(context, attention.window) + (attention.head_dim + scored) * entries


@cached_elements.register
def _routed(attention: RoutedAttention, context: Num) -> Num:
    return 2.0 * attention.kv_heads * attention.head_dim * context


@cached_elements.register(RECURRENT)
def _recurrent(attention: Attention, context: Num) -> Num:  # noqa: ARG001  (a state, whatever the length)
    return 0.0


@cached_elements.register
def _cross(attention: CrossAttention, context: Num) -> Num:
    """Keys and values of the encoder, cached once per response. Their number is assumed equal to the response's tokens."""
    return 2.0 * attention.kv_heads * attention.head_dim * context


@cached_elements.register
def _parallel(attention: ParallelMixers, context: Num) -> Num:
    return sum(cached_elements(mixer, context) for mixer in attention.mixers)


def state_elements(mixer: Attention, hidden: int) -> float:
    """Elements of a recurrent mixer's state: states of its scans, and the last inputs of its convolutions.

    Args:
        mixer: the token mixer.
        hidden: width of the residual stream.

    >>> state_elements(Mamba2(heads=64, head_dim=64, state=128, groups=8), 2688)
    542720.0
    """
    elements = 0.0
    for op in mixer.ops(hidden):
        match op:
            case Scan() if op.state_products:
                elements += float(op.heads) * op.d_k * op.d_v
            case Convolve():
                elements += float(op.channels) * (op.taps - 1)
            case _:
                pass
    return elements


@singledispatch
def core_flops(attention: Attention, context: Num) -> Num:  # noqa: ARG001  (the registered functions use it)
    """FLOPs of one layer's attention scores and weighted sums for one new token; 0 for recurrent mixers, whose products include them.

    Raises:
        EstimateError: there is no rule for this kind of attention.
    """
    raise EstimateError(
        "attention",
        type(attention).__name__,
        "has no rule for its decoding FLOPs",
        "register one with decoding.core_flops.register",
        "unsupported",
    )


@core_flops.register
def _grouped_core(attention: GroupedQueryAttention, context: Num) -> Num:
    return 4.0 * attention.heads * attention.head_dim * _visible_keys(attention, context)


@core_flops.register
def _latent_core(attention: LatentAttention, context: Num) -> Num:
    """Absorbed form: every head works on the compressed vector (DeepSeek-V2, arXiv:2405.04434, section 2.1.2)."""
    scored = 0 if attention.indexer is None else attention.indexer.heads * (attention.indexer.head_dim + 1)
    most = attention.window if attention.selected is None else attention.selected
    routed_share = context if most is None else np.minimum(context, most)
    return 2.0 * attention.heads * (2 * attention.kv_rank + attention.rope_dim) * routed_share + 2.0 * scored * context


@core_flops.register
def _compressed_core(attention: CompressedAttention, context: Num) -> Num:
    """The window, the selected entries, and the indexer's scores of all entries."""
    entries: Num = 0.0 if attention.rate is None else context / attention.rate
    routed_share, scored = entries, 0
    if attention.indexer is not None:
        routed_share, scored = np.minimum(entries, attention.indexer.count), attention.indexer.heads * attention.indexer.head_dim
    return 4.0 * attention.heads * attention.head_dim * (np.minimum(context, attention.window) + routed_share) + 2.0 * scored * entries


@core_flops.register
def _routed_core(attention: RoutedAttention, context: Num) -> Num:
    return 4.0 * attention.top_k * attention.kv_heads * attention.head_dim * context


@core_flops.register(RECURRENT)
def _recurrent_core(attention: Attention, context: Num) -> Num:  # noqa: ARG001  (independent of the context; counted as matrix products)
    return 0.0


@core_flops.register
def _cross_core(attention: CrossAttention, context: Num) -> Num:
    return 4.0 * attention.heads * attention.head_dim * context


@core_flops.register
def _parallel_core(attention: ParallelMixers, context: Num) -> Num:
    return sum(core_flops(mixer, context) for mixer in attention.mixers)


def _visible_keys(attention: GroupedQueryAttention, context: Num) -> Num:
    """Keys that a new token attends to; the mean within a chunk."""
    if attention.window is not None:
        return np.minimum(context, attention.window)
    return context if attention.chunk is None else np.minimum(context, (attention.chunk + 1) / 2.0)


def cache_elements(model: Model, context: Num) -> Num:
    """Cache of one response [element].

    Args:
        model: the model; prediction modules are ignored.
        context: tokens of prompt and response so far, number or array ``(n,)`` [token].

    Source: Pope et al. 2022 (arXiv:2211.05102), section 3; latent attention: DeepSeek-V2 (arXiv:2405.04434), table 1.

    >>> import trainsim as ts
    >>> cache_elements(ts.catalog.model("deepseek-v3"), 1.0) * 2  # bytes per token in bf16
    70272.0
    """
    mixers = [(kind.count, kind.block.attention) for kind in model.stack]
    return sum(count * (cached_elements(mixer, context) + state_elements(mixer, model.hidden)) for count, mixer in mixers)


def decode_flops(model: Model, context: Num) -> Num:
    """FLOPs per new token [FLOP/token].

    ``2 · active matrices + Σ cores(context)``

    Args:
        model, context: as in :func:`cache_elements`.

    Source: Pope et al. 2022 (arXiv:2211.05102), section 2.

    >>> import trainsim as ts
    >>> [round(decode_flops(ts.catalog.model("deepseek-v3"), c) / 1e9) for c in (1.0, 6000.0)]
    [73, 175]
    """
    table = model.table
    products = float(np.sum((table.flop * table.count)[~table.mtp]))
    return products + sum(kind.count * core_flops(kind.block.attention, context) for kind in model.stack)


@lru_cache(maxsize=256)
def _matrix_elements(model: Model) -> Mapping[float, float]:
    """Share of tokens that use a matrix → number of its elements: 1 for dense products, ``top_k/experts`` for routed ones."""
    found: dict[float, float] = {}
    for entry in model.table.entries:
        if isinstance(entry.op, MatMul) and not entry.mtp:
            op = entry.op
            routed_share = op.top_k / op.experts
            found[routed_share] = found.get(routed_share, 0.0) + float(entry.count) * op.experts * op.inner * op.cols
    return found


def weights_read(model: Model, batch: Num) -> Num:
    """Weights that one decoding step of a batch reads [element].

    ``dense + Σ experts · (1 − (1 − top_k/experts)^batch)``: an expert is read once if at least one response of the batch uses it.

    Args:
        model: the model; prediction modules are ignored.
        batch: responses decoded at once, number or array ``(n,)``.

    Source: expected number of distinct experts under uniform routing.

    >>> import trainsim as ts
    >>> [round(weights_read(ts.catalog.model("deepseek-v3"), b) / 1e9) for b in (1.0, 32.0, 512.0)]
    [37, 433, 670]
    """
    return sum(elements * (1.0 - (1.0 - routed_share) ** batch) for routed_share, elements in _matrix_elements(model).items())


def decode_step(model: Model, chip: Chip, engine: Engine, batch: Num, context: Num) -> Num:
    """Time of one decoding step of a batch: overhead plus the slower of memory traffic and arithmetic.

    ``overhead + max(bytes / (g · bandwidth · share), FLOP / (g · peak · share))``

    Args:
        model, chip, engine: model, accelerator and engine.
        batch: responses decoded at once, number or array ``(n,)`` [sequence].
        context: tokens of prompt and response so far, number or array ``(n,)`` [token].

    Returns:
        time [s].

    Raises:
        EstimateError: the chip has no peak in the engine's number format.

    Source: Williams et al. 2009, roofline; Pope et al. 2022 (arXiv:2211.05102), section 2.

    >>> import trainsim as ts
    >>> engine = Engine(gpus=1, bandwidth_share=0.7, compute_share=0.4, step_overhead_seconds=0.005, max_batch=256)
    >>> round(float(decode_step(ts.catalog.model("llama3-8b"), ts.catalog.chip("h100-sxm"), engine, 1.0, 1000.0)) * 1e3, 1)
    11.5
    """
    read = weights_read(model, batch) * engine.weight_bytes + batch * cache_elements(model, context) * engine.cache_bytes
    reading = read / (engine.gpus * chip.memory_bandwidth * engine.bandwidth_share)
    flop = batch * engine.tokens_per_step * decode_flops(model, context)
    multiplying = flop / (engine.gpus * chip.peak_of(engine.peak) * engine.compute_share)
    return engine.step_overhead_seconds + np.maximum(reading, multiplying)


def concurrent_responses(model: Model, chip: Chip, engine: Engine, context: Num) -> Num:
    """Responses that one copy decodes at once: the engine's limit, or as many as fit in the memory next to the weights [sequence].

    Args:
        model, chip, engine: model, accelerator and engine.
        context: mean cached length per response, number or array ``(n,)`` [token].

    Raises:
        EstimateError: the weights and one response do not fit.
    """
    stored = sum(_matrix_elements(model).values()) * engine.weight_bytes
    left = engine.gpus * chip.memory * engine.memory_share - stored
    fitting = left / (cache_elements(model, context) * engine.cache_bytes)
    if np.any(fitting < 1.0):
        need = (stored + cache_elements(model, context) * engine.cache_bytes) / (chip.memory * engine.memory_share)
        raise EstimateError(
            "engine.gpus",
            engine.gpus,
            f"accelerators ({chip.name}) can't hold {model.name} and one response",
            f"give at least {int(np.ceil(np.max(need)))}, or fewer bytes per weight",
            "infeasible",
        )
    return np.minimum(engine.max_batch, fitting)
