"""Activation memory: bytes that each kind of layer saves per token for the backward pass, under a plan's recompute."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Literal

import numpy as np

from ..core.units import Num
from ..model.ops import Attend, Convolve, Entry, Lookup, MatMul, Op, Scan, Stream
from ..model.transformer import Model
from ..parallelism.plan import Elementwise, Plan, Recompute, Switch
from ..parallelism.precision import Precision
from ..parallelism.recompute import every_second_product
from ..parallelism.shapes import SPLIT_AXES, check_part_names, entries_per_token, is_expert_product, path_matches

SOFTMAX = 2.0
"""Bytes per score saved after the softmax of unfused attention (arXiv:2205.05198, section 4.1: 2as²b)."""
DROPPED_SCORE = 3.0
"""Additional bytes per score with dropout: a mask of one byte and the result of two (section 4.1: as²b + 2as²b)."""
MASK = 1.0
"""Bytes per element of a dropout mask (section 4.1)."""
QUANTIZED = frozenset({"fp8", "fp4", "int8"})
"""Formats of products that save a quantized copy of their input."""
MIXERS = frozenset({"attention", "mixer"})
"""Names of the sections of token mixers, and of the norms before them."""
FEEDS_CORE = {"q_up": ("q",), "kv_up": ("k", "v")}
"""Projection → its results that the attention core takes as inputs; only the core saves them (arXiv:2412.19437, section 3.2.3)."""
FP32 = 4.0
"""Bytes per element in which an eager norm computes."""
LOG_SUM = 4.0
"""Bytes per head and token that fused attention saves: the log-sum-exp of the scores (FlashAttention, arXiv:2205.14135)."""


@dataclass(frozen=True, slots=True)
class TokenBytes:
    """Bytes per token, by the kind of parallelism that divides them.

    Args:
        whole: replicated by tensor parallelism, divided by sequence parallelism [B].
        split: divided by tensor parallelism [B].
        routed: copies of the token at its experts [B].
        per_key: bytes per key that the token attends to, divided by tensor parallelism [B].
    """

    whole: Num = 0.0
    split: Num = 0.0
    routed: Num = 0.0
    per_key: Num = 0.0

    def __add__(self, other: TokenBytes) -> TokenBytes:
        return TokenBytes(self.whole + other.whole, self.split + other.split, self.routed + other.routed, self.per_key + other.per_key)


Sections = dict[str, TokenBytes]
"""Section of a layer → bytes per token."""


@dataclass(frozen=True)
class LayerActivations:
    """Activations of one layer of a kind, per token.

    Args:
        saved: saved from the forward to the backward pass, by section.
        without_recompute: what would be saved without recompute, by section; live while a recomputed layer runs its backward pass.
        recomputed: what the backward pass recomputes, by section; live while the layer's backward pass runs.
        widest: elements of the inputs and outputs of the widest operation, whose gradients are live at once [1].
    """

    saved: Sections
    without_recompute: Sections
    recomputed: Sections
    widest: TokenBytes

    @cached_property
    def total_saved(self) -> TokenBytes:
        """Saved bytes of all sections."""
        return sum(self.saved.values(), TokenBytes())

    @cached_property
    def total_without_recompute(self) -> TokenBytes:
        """Bytes of all sections without recompute."""
        return sum(self.without_recompute.values(), TokenBytes())

    @cached_property
    def total_recomputed(self) -> TokenBytes:
        """Recomputed bytes of all sections."""
        return sum(self.recomputed.values(), TokenBytes())


def activations_by_kind(model: Model, plan: Plan) -> dict[str, LayerActivations]:
    """Activations of each kind of layer, including embedding, head and prediction modules.

    Args:
        model: gives the elements that each op saves by its op table.
        plan: gives recompute, precision, attention and dropout; its degrees are not used.

    Returns:
        kind → activations per token, without the logits.

    Raises:
        SpecError: no layer has a part that is to be recomputed.

    Source: Korthikanti et al. 2022 (arXiv:2205.05198), section 4, for a GPT layer; the op table for every other.
    """
    if plan._drawn:
        return _by_kind(model, plan)
    settings = (plan.recompute, plan.recompute_parts, plan.recipe, plan.attention, plan.dropout, plan.elementwise, plan.expert_load)
    return _by_kind_cached(model, *settings)


@lru_cache(maxsize=256)
def _by_kind_cached(
    model: Model,
    recompute: Recompute,
    parts: tuple[str, ...],
    recipe: Precision,
    attention: Literal["fused", "unfused"],
    dropout: Switch,
    elementwise: Elementwise,
    expert_load: float,
) -> dict[str, LayerActivations]:
    """Cached on the fields of a plan that matter, so that plans with other degrees share the result."""
    plan = Plan(
        recompute=recompute, recompute_parts=parts, precision=recipe, attention=attention, dropout=dropout, elementwise=elementwise,
        capacity_factor=expert_load, capacity_padding="on",
    )  # fmt: skip
    return _by_kind(model, plan)


def _by_kind(model: Model, plan: Plan) -> dict[str, LayerActivations]:
    kinds: dict[str, list[Entry]] = {}
    for entry in entries_per_token(model):
        kinds.setdefault(entry.kind, []).append(_loaded(entry, plan.expert_load))
    if plan.recompute == "selective" and plan.recompute_parts:
        check_part_names("plan.recompute_parts", plan.recompute_parts, model, {"core", "ops"})
    return {kind: _layer_activations(kind, entries, model, plan) for kind, entries in kinds.items()}


def _loaded(entry: Entry, load: float) -> Entry:
    """An op with the tokens that its experts take under a capacity; others are unchanged."""
    op = entry.op
    if load == 1.0:
        return entry
    match op:
        case MatMul() if is_expert_product(op):
            return replace(entry, op=replace(op, top_k=load * op.top_k, saved=load * op.saved))
        case Stream() if "experts" in entry.path:
            return replace(entry, op=replace(op, read=load * op.read, written=load * op.written, saved=load * op.saved))
        case _:
            return entry


def _layer_activations(kind: str, entries: list[Entry], model: Model, plan: Plan) -> LayerActivations:
    recipe = plan.recipe
    is_layer = kind not in {"embedding", "head"}
    all_sections: Sections = {}
    for entry in entries:
        _add(all_sections, _section(entry), _saved_bytes(entry, plan, recipe))
    if plan.dropout == "on":
        _add(all_sections, "dropout", TokenBytes(whole=MASK * model.hidden * (2 if is_layer else kind == "embedding")))
    widest = max((_gradient_elements(entry) for entry in entries), key=_size, default=TokenBytes())
    if plan.recompute == "none" or not is_layer:
        return LayerActivations(all_sections, all_sections, {}, widest)
    if plan.recompute == "full":
        return LayerActivations({"input": TokenBytes(whole=_width(kind, model) * recipe.activations)}, all_sections, all_sections, widest)
    saved, recomputed = _selective(entries, all_sections, model, plan)
    return LayerActivations(saved, all_sections, recomputed, widest)


def _width(kind: str, model: Model) -> float:
    """Width of the residual stream of a kind of layer, per token of the sequence [element]."""
    tower = next((tower for tower in model.towers if kind.startswith(f"towers:{tower.name}:")), None)
    if tower is None:
        return model.hidden
    tokens = next(times for entry, times in zip(model.table.entries, model.table.per_token, strict=True) if entry.kind == kind)
    return tower.hidden * float(tokens)


def _selective(entries: list[Entry], all_sections: Sections, model: Model, plan: Plan) -> tuple[Sections, Sections]:
    """Saved and recomputed activations when the named parts are recomputed."""
    recipe = plan.recipe
    if "ops" in plan.recompute_parts:
        saved = {"input": TokenBytes(whole=_width(entries[0].kind, model) * recipe.activations)} | _every_second_product(entries, recipe)
        return saved, all_sections
    freed: Sections = {}
    read: set[tuple[str, ...]] = set()  # products whose input is already freed: two norms before one product must not free its input twice
    for part in plan.recompute_parts:
        matched = [entry for entry in entries if path_matches(entry.within, part)]
        products = [entry for entry in matched if isinstance(entry.op, MatMul)]
        if len(products) > 1:  # a section: its input is saved, everything inside is recomputed
            first = next(i for i, entry in enumerate(matched) if _size(_saved_bytes(entry, plan, recipe)))
            for entry in matched[first + 1 :]:
                _add(freed, _section(entry), _saved_bytes(entry, plan, recipe))
        else:
            for entry in matched:
                for reader, result in _freed_bytes(entry, entries, plan, recipe):
                    if reader.path not in read:
                        _add(freed, _section(reader), result)
                    read.add(reader.path)
    return {section: _subtract(before, freed.get(section, TokenBytes())) for section, before in all_sections.items()}, freed


def _every_second_product(entries: list[Entry], recipe: Precision) -> Sections:
    """Outputs of attention and of every second product (torchtitan, selective checkpointing by op)."""
    found: Sections = {}
    for entry in every_second_product(entries):
        _add(found, _section(entry), _output_bytes(entry, recipe.activations))
    for entry in entries:
        if isinstance(entry.op, Attend):
            _add(found, _section(entry), TokenBytes(split=entry.op.heads * (entry.op.d_v * recipe.activations + LOG_SUM)))
    return found


# bytes of one op ---------------------------------------------------------------------------------------------------------


def _saved_bytes(entry: Entry, plan: Plan, recipe: Precision) -> TokenBytes:
    """Bytes per token that an op saves for the backward pass."""
    op = entry.op
    match op:
        case MatMul() if "shared" in entry.path and op.axes[0] == "hidden" and recipe.products not in QUANTIZED:
            return TokenBytes()  # the router saves the same tensor, so only a quantized copy needs memory of its own
        case MatMul():
            width = recipe.linear_inputs if op.role == "linear" else recipe.activations
            return _by_sharding(op.saved * width, op.axes[0], routed=is_expert_product(op))
        case Attend():
            scores = SOFTMAX + DROPPED_SCORE * (plan.dropout == "on")
            on_chip = plan.attention == "fused"
            return TokenBytes(
                split=op.saved * recipe.activations + LOG_SUM * op.heads * on_chip, per_key=0.0 if on_chip else scores * op.heads
            )
        case Stream():
            return _by_sharding(_streamed(entry, op, plan, recipe), op.axis, routed="experts" in entry.path)
        case Scan():
            return TokenBytes(split=op.saved * recipe.activations)
        case Convolve():
            return _by_sharding(op.saved * recipe.activations, op.axis, routed=False)
        case Lookup():
            return TokenBytes()


def _streamed(entry: Entry, op: Stream, plan: Plan, recipe: Precision) -> Num:
    """Bytes per token that element-wise work saves: its inputs; if a framework runs it op by op, also the intermediate results.

    An eager norm saves its input in FP32, and its result before the multiplication with a trained weight. An eager gate saves the result of
    its activation.

    Source: ``LlamaRMSNorm`` and ``LlamaMLP`` of transformers, ``RMSNorm`` and ``LLaMAMLP`` of LitGPT.
    """
    gate = op.axis == "ffn"
    kept = op.saved * (recipe.gate_inputs if gate else recipe.activations)
    match plan.elementwise:
        case "fused":
            return kept
        case "eager" if gate:
            return kept + op.written * recipe.gate_inputs * (op.read > op.written)
        case "eager":
            return op.saved * FP32 + op.written * recipe.activations * entry.trainable * (op.saved > 0)


def _freed_bytes(entry: Entry, entries: list[Entry], plan: Plan, recipe: Precision) -> Iterator[tuple[Entry, TokenBytes]]:
    """Bytes that recomputing an op frees, with the op that would save each: attention scores, or inputs of the ops that read the result."""
    op = entry.op
    core = next((other for other in entries if isinstance(other.op, Attend)), None)
    match op:
        case Attend():
            yield entry, TokenBytes(per_key=_saved_bytes(entry, plan, recipe).per_key)
        case MatMul() if core is not None and op.name in FEEDS_CORE and isinstance(core.op, Attend):
            widths = {"q": core.op.d_qk, "k": core.op.d_qk, "v": core.op.d_v}
            elements = core.op.heads * sum(widths[name] for name in FEEDS_CORE[op.name])
            yield entry, TokenBytes(split=elements * recipe.activations)
        case Stream() if op.role == "norm" and op.axis == "hidden":
            for reader in entries:
                if isinstance(reader.op, MatMul) and reader.op.axes[0] == "hidden" and _reads_norm(reader, entry):
                    yield reader, _saved_bytes(reader, plan, recipe) if not is_expert_product(reader.op) else TokenBytes()
        case Stream():
            yield entry, _by_sharding(op.written * recipe.linear_inputs, op.axis, routed="experts" in entry.path)
        case MatMul():
            yield entry, _output_bytes(entry, recipe.activations)
        case Scan() | Convolve() | Lookup():
            return


def _reads_norm(product: Entry, norm: Entry) -> bool:
    """Whether a product reads a norm's result: products of token mixers read the mixer's norm, others the other norm."""
    return bool(MIXERS.intersection(product.path)) == (norm.path[-1] in MIXERS)


def _output_bytes(entry: Entry, width: Num) -> TokenBytes:
    op = entry.op
    assert isinstance(op, MatMul)
    return _by_sharding(op.rows * op.top_k * op.cols * width, op.axes[1], routed=is_expert_product(op))


def _gradient_elements(entry: Entry) -> TokenBytes:
    """Elements of an op's inputs and outputs, whose gradients are live at once."""
    op: Op = entry.op
    match op:
        case MatMul() if op.role == "linear":
            routed = is_expert_product(op)
            return _by_sharding(op.rows * op.top_k * op.inner, op.axes[0], routed=routed) + _output_bytes(entry, 1.0)
        case Stream():
            return _by_sharding(op.read + op.written, op.axis, routed="experts" in entry.path)
        case _:
            return TokenBytes()


def _by_sharding(size: Num, axis: str, *, routed: bool) -> TokenBytes:
    if routed:
        return TokenBytes(split=size) if axis in SPLIT_AXES else TokenBytes(routed=size)
    return TokenBytes(split=size) if axis in SPLIT_AXES else TokenBytes(whole=size)


def _section(entry: Entry) -> str:
    """The section of an op; ``other`` if its path has none."""
    return entry.within[0] if len(entry.within) > 1 else "other"


def _add(sections: Sections, name: str, more: TokenBytes) -> None:
    sections[name] = sections.get(name, TokenBytes()) + more


def _subtract(before: TokenBytes, freed: TokenBytes) -> TokenBytes:
    return TokenBytes(before.whole - freed.whole, before.split - freed.split, before.routed - freed.routed, before.per_key - freed.per_key)


def _size(b: TokenBytes) -> float:
    return float(np.max(b.whole + b.split + b.routed + b.per_key))
