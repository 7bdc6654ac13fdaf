"""What a token leaves behind for the backward pass: bytes by part of a layer, from the op table and what a plan recomputes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Literal

import numpy as np

from ..core.units import Num
from ..model.ops import Attend, Convolve, Entry, Lookup, MatMul, Op, Scan, Stream
from ..model.transformer import Model
from ..parallelism.plan import Plan, Recompute, Switch
from ..parallelism.precision import Precision
from ..parallelism.recompute import every_second_product
from ..parallelism.shapes import SPLIT_AXES, answers, check_parts, expert_product, here

SOFTMAX = 2.0
"""Bytes of a score after the softmax, kept where scores leave the chip (arXiv:2205.05198, section 4.1: 2as²b)."""
DROPPED_SCORE = 3.0
"""Bytes more of a score that dropout went over: a mask of one byte and the result of two (section 4.1: as²b + 2as²b)."""
MASK = 1.0
"""Bytes of a dropout mask's element (section 4.1)."""
QUANTIZED = frozenset({"fp8", "fp4", "int8"})
"""Products whose inputs are kept as a copy of their own."""
MIXERS = frozenset({"attention", "mixer"})
"""Sections of token mixers, and names of the norms before them."""
FEEDS_CORE = {"q_up": ("q",), "kv_up": ("k", "v")}
"""Projections whose results only the attention core holds (DeepSeek-V3, arXiv:2412.19437, section 3.2.3)."""
LOG_SUM = 4.0
"""Bytes a head keeps of a token where scores stay on chip: the logarithm of the softmax's sum (FlashAttention, arXiv:2205.14135)."""


@dataclass(frozen=True, slots=True)
class Bytes:
    """Bytes of one token, by what divides them.

    Args:
        whole: left whole by tensor parallelism, split only by sequence parallelism [B].
        split: divided by tensor parallelism [B].
        routed: a token's copies at its experts [B].
        per_key: bytes of each key its query meets, divided by tensor parallelism [B].
    """

    whole: Num = 0.0
    split: Num = 0.0
    routed: Num = 0.0
    per_key: Num = 0.0

    def __add__(self, other: Bytes) -> Bytes:
        return Bytes(self.whole + other.whole, self.split + other.split, self.routed + other.routed, self.per_key + other.per_key)


Sections = dict[str, Bytes]
"""Section of a layer → bytes of one token."""


@dataclass(frozen=True)
class Kept:
    """What one layer of a kind keeps.

    Args:
        kept: from forward to backward, by section.
        whole_layer: without any recompute, by section: what is live while a recomputed layer runs again.
        again: what is computed again and lives while the layer's backward pass runs, by section.
        widest: elements of the widest operation's inputs and outputs: gradients that live beside it [1].
    """

    kept: Sections
    whole_layer: Sections
    again: Sections
    widest: Bytes

    @cached_property
    def all_kept(self) -> Bytes:
        """Of all sections."""
        return sum(self.kept.values(), Bytes())

    @cached_property
    def all_whole(self) -> Bytes:
        """Of all sections, without any recompute."""
        return sum(self.whole_layer.values(), Bytes())

    @cached_property
    def all_again(self) -> Bytes:
        """Of all sections that are computed again."""
        return sum(self.again.values(), Bytes())


def kept_by_kind(model: Model, plan: Plan) -> dict[str, Kept]:
    """What each kind of layer, the embedding, the head and a prediction module keep of one token.

    Args:
        model: its op table says which elements an op saves.
        plan: recompute, precision, attention and dropout; degrees play no part.

    Returns:
        kind → bytes of one token; the logits themselves are not among them.

    Raises:
        SpecError: a part to recompute that no layer has.

    Source: Korthikanti et al. 2022 (arXiv:2205.05198), section 4, for a GPT layer; the op table for every other.
    """
    if plan._drawn:
        return _by_kind(model, plan)
    return _cached(model, plan.recompute, plan.recompute_parts, plan.recipe, plan.attention, plan.dropout)


@lru_cache(maxsize=256)
def _cached(
    model: Model, recompute: Recompute, parts: tuple[str, ...], recipe: Precision, attention: Literal["fused", "unfused"], dropout: Switch
) -> dict[str, Kept]:
    """By what of a plan plays a part, so that plans that differ in degrees share one answer."""
    plan = Plan(recompute=recompute, recompute_parts=parts, precision=recipe, attention=attention, dropout=dropout)
    return _by_kind(model, plan)


def _by_kind(model: Model, plan: Plan) -> dict[str, Kept]:
    kinds: dict[str, list[Entry]] = {}
    for entry in here(model):
        kinds.setdefault(entry.kind, []).append(entry)
    if plan.recompute == "selective" and plan.recompute_parts:
        check_parts("plan.recompute_parts", plan.recompute_parts, model, {"core", "ops"})
    return {kind: _kept(kind, entries, model, plan) for kind, entries in kinds.items()}


def _kept(kind: str, entries: list[Entry], model: Model, plan: Plan) -> Kept:
    recipe = plan.recipe
    is_layer = kind not in {"embedding", "head"}
    everything: Sections = {}
    for entry in entries:
        _add(everything, _section(entry), _saved(entry, plan, recipe))
    if plan.dropout == "on":
        _add(everything, "dropout", Bytes(whole=MASK * model.hidden * (2 if is_layer else kind == "embedding")))
    widest = max((_moved(entry) for entry in entries), key=_size, default=Bytes())
    if plan.recompute == "none" or not is_layer:
        return Kept(everything, everything, {}, widest)
    if plan.recompute == "full":
        return Kept({"input": Bytes(whole=_width(kind, model) * recipe.activations)}, everything, everything, widest)
    kept, again = _selective(entries, everything, model, plan)
    return Kept(kept, everything, again, widest)


def _width(kind: str, model: Model) -> float:
    """Elements of the residual stream that enter a layer of a kind, for each token of the sequence."""
    tower = next((tower for tower in model.towers if kind.startswith(f"towers:{tower.name}:")), None)
    if tower is None:
        return model.hidden
    tokens = next(times for entry, times in zip(model.table.entries, model.table.per_token, strict=True) if entry.kind == kind)
    return tower.hidden * float(tokens)


def _selective(entries: list[Entry], everything: Sections, model: Model, plan: Plan) -> tuple[Sections, Sections]:
    """What is kept, and what is computed again, under named parts."""
    recipe = plan.recipe
    if "ops" in plan.recompute_parts:
        kept = {"input": Bytes(whole=_width(entries[0].kind, model) * recipe.activations)} | _every_second_product(entries, recipe)
        return kept, everything
    freed: Sections = {}
    read: set[tuple[str, ...]] = set()  # products whose input was freed: two norms of a section free it once
    for part in plan.recompute_parts:
        matched = [entry for entry in entries if answers(entry.within, part)]
        products = [entry for entry in matched if isinstance(entry.op, MatMul)]
        if len(products) > 1:  # a section: what enters it is kept, all inside is computed again
            first = next(i for i, entry in enumerate(matched) if _size(_saved(entry, plan, recipe)))
            for entry in matched[first + 1 :]:
                _add(freed, _section(entry), _saved(entry, plan, recipe))
        else:
            for entry in matched:
                for reader, result in _results(entry, entries, plan, recipe):
                    if reader.path not in read:
                        _add(freed, _section(reader), result)
                    read.add(reader.path)
    return {section: _less(held, freed.get(section, Bytes())) for section, held in everything.items()}, freed


def _every_second_product(entries: list[Entry], recipe: Precision) -> Sections:
    """Attention's output, and those of every second product (torchtitan, selective checkpointing by op)."""
    found: Sections = {}
    for entry in every_second_product(entries):
        _add(found, _section(entry), _output(entry, recipe.activations))
    for entry in entries:
        if isinstance(entry.op, Attend):
            _add(found, _section(entry), Bytes(split=entry.op.heads * (entry.op.d_v * recipe.activations + LOG_SUM)))
    return found


# bytes of one op ---------------------------------------------------------------------------------------------------------


def _saved(entry: Entry, plan: Plan, recipe: Precision) -> Bytes:
    """What an op keeps of a token."""
    op = entry.op
    match op:
        case MatMul() if "shared" in entry.path and op.axes[0] == "hidden" and recipe.products not in QUANTIZED:
            return Bytes()  # the router holds the same tensor; a quantized copy is another
        case MatMul():
            width = recipe.linear_inputs if op.role == "linear" else recipe.activations
            return _placed(op.saved * width, op.axes[0], routed=expert_product(op))
        case Attend():
            scores = SOFTMAX + DROPPED_SCORE * (plan.dropout == "on")
            on_chip = plan.attention == "fused"
            return Bytes(split=op.saved * recipe.activations + LOG_SUM * op.heads * on_chip, per_key=0.0 if on_chip else scores * op.heads)
        case Stream():
            width = recipe.gate_inputs if op.axis == "ffn" else recipe.activations
            return _placed(op.saved * width, op.axis, routed="experts" in entry.path)
        case Scan():
            return Bytes(split=op.saved * recipe.activations)
        case Convolve():
            return _placed(op.saved * recipe.activations, op.axis, routed=False)
        case Lookup():
            return Bytes()


def _results(entry: Entry, entries: list[Entry], plan: Plan, recipe: Precision) -> Iterator[tuple[Entry, Bytes]]:
    """What recomputing an op frees, beside the op that holds it: the scores of attention, else the input of whatever reads its result."""
    op = entry.op
    core = next((other for other in entries if isinstance(other.op, Attend)), None)
    match op:
        case Attend():
            yield entry, Bytes(per_key=_saved(entry, plan, recipe).per_key)
        case MatMul() if core is not None and op.name in FEEDS_CORE and isinstance(core.op, Attend):
            widths = {"q": core.op.d_qk, "k": core.op.d_qk, "v": core.op.d_v}
            elements = core.op.heads * sum(widths[name] for name in FEEDS_CORE[op.name])
            yield entry, Bytes(split=elements * recipe.activations)
        case Stream() if op.role == "norm" and op.axis == "hidden":
            for reader in entries:
                if isinstance(reader.op, MatMul) and reader.op.axes[0] == "hidden" and _reads(reader, entry):
                    yield reader, _saved(reader, plan, recipe) if not expert_product(reader.op) else Bytes()
        case Stream():
            yield entry, _placed(op.written * recipe.linear_inputs, op.axis, routed="experts" in entry.path)
        case MatMul():
            yield entry, _output(entry, recipe.activations)
        case Scan() | Convolve() | Lookup():
            return


def _reads(product: Entry, norm: Entry) -> bool:
    """Whether a product reads a norm's result: a token mixer its own norm, everything else the other."""
    return bool(MIXERS.intersection(product.path)) == (norm.path[-1] in MIXERS)


def _output(entry: Entry, width: Num) -> Bytes:
    op = entry.op
    assert isinstance(op, MatMul)
    return _placed(op.rows * op.top_k * op.cols * width, op.axes[1], routed=expert_product(op))


def _moved(entry: Entry) -> Bytes:
    """Elements of an operation's inputs and outputs, whose gradients live at once."""
    op: Op = entry.op
    match op:
        case MatMul() if op.role == "linear":
            routed = expert_product(op)
            return _placed(op.rows * op.top_k * op.inner, op.axes[0], routed=routed) + _output(entry, 1.0)
        case Stream():
            return _placed(op.read + op.written, op.axis, routed="experts" in entry.path)
        case _:
            return Bytes()


def _placed(size: Num, axis: str, *, routed: bool) -> Bytes:
    if routed:
        return Bytes(split=size) if axis in SPLIT_AXES else Bytes(routed=size)
    return Bytes(split=size) if axis in SPLIT_AXES else Bytes(whole=size)


def _section(entry: Entry) -> str:
    """The section of a layer an op stands in; ``core`` where its path names none."""
    return entry.within[0] if len(entry.within) > 1 else "other"


def _add(sections: Sections, name: str, more: Bytes) -> None:
    sections[name] = sections.get(name, Bytes()) + more


def _less(held: Bytes, freed: Bytes) -> Bytes:
    return Bytes(held.whole - freed.whole, held.split - freed.split, held.routed - freed.routed, held.per_key - freed.per_key)


def _size(b: Bytes) -> float:
    return float(np.max(b.whole + b.split + b.routed + b.per_key))
