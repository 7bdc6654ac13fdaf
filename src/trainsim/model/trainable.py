"""Frozen parts and low-rank adapters of a model, and the gradients that each op must then compute."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Annotated, Literal

from ..core.errors import SpecError, did_you_mean
from ..core.spec import AsTuple, Count, Spec
from .ops import Attend, Convolve, Entry, Gradients, MatMul, Op, Scan, Stream

Base = Literal["bf16", "fp8", "int8", "nf4"]
"""Format of frozen weights."""
BASE_BYTES: dict[Base, float] = {"bf16": 2.0, "fp8": 1.0, "int8": 1.0, "nf4": 0.5 + 0.127 / 8}
"""Bytes of a frozen weight of a linear product. NF4 has four bits, and 0.127 bits of quantisation constants (QLoRA,
arXiv:2305.14314, section 3)."""

DEQUANTIZED_BYTES: dict[Base, float] = {"nf4": BASE_BYTES["nf4"] + 2.0}
"""Bytes moved to widen a frozen weight to BF16 for one product; other formats are multiplied without widening (bitsandbytes)."""
KEEP_INPUTS: frozenset[Base] = frozenset({"nf4", "int8"})
"""Formats whose kernels always save the inputs of frozen products for the backward pass (bitsandbytes, ``autograd/_functions.py``,
``MatMul4Bit`` and ``MatMul8bitLt``)."""


class Adapters(Spec):
    """Low-rank pairs of matrices beside frozen products (LoRA, arXiv:2106.09685, eq. 3): ``h = W x + B A x``.

    Args:
        rank: inner width of a pair.
        targets: "linear" for every linear product, or sections of paths: ("attention",), ("q", "v").

    >>> Adapters(rank=16, targets=("q", "v")).rank
    16
    """

    rank: Count
    targets: Literal["linear"] | Annotated[tuple[str, ...], AsTuple] = "linear"


def path_sections(path: Sequence[str]) -> Iterator[str]:
    """Every contiguous section of a path, with dots between its levels.

    >>> list(path_sections(("moe", "experts", "up")))
    ['moe', 'moe.experts', 'moe.experts.up', 'experts', 'experts.up', 'up']
    """
    yield from (".".join(path[i:j]) for i in range(len(path)) for j in range(i + 1, len(path) + 1))


def check_names(field: str, names: Iterable[str], entries: Sequence[Entry]) -> None:
    """Refuse a name that is not a section of any op's path.

    Raises:
        SpecError: the first such name.
    """
    known = {stretch for entry in entries for stretch in path_sections(entry.path)}
    for name in names:
        if name not in known:
            raise SpecError(field, name, "is not a part of the model", did_you_mean(name, sorted(known), "parts"), "unknown-name")


def freeze(entries: Sequence[Entry], names: Sequence[str]) -> list[Entry]:
    """Freeze the ops of the named parts.

    Raises:
        SpecError: a name that is not a part of the model.
    """
    check_names("frozen", names, entries)
    wanted = set(names)
    return [replace(e, trainable=e.trainable and wanted.isdisjoint(path_sections(e.path))) for e in entries]


def adapt(entries: Sequence[Entry], adapters: Adapters) -> list[Entry]:
    """Freeze all ops, and add a trained pair of matrices after every product that has an adapter.

    Raises:
        SpecError: a target that is not a part of the model, or a rank above that of every adapted matrix.
    """
    if adapters.targets != "linear":
        check_names("adapters.targets", adapters.targets, entries)
    found: list[Entry] = []
    widest = 0
    for entry in entries:
        found.append(replace(entry, trainable=False))
        op = entry.op
        if isinstance(op, MatMul) and op.role == "linear" and op.weight and not entry.mtp and _targeted(entry, adapters):
            found += _pair(entry, op, adapters.rank)
            widest = max(widest, min(op.inner, op.cols))
    if adapters.rank > widest > 0:
        rule = f"is above the rank of every adapted matrix, at most {widest:,}"
        raise SpecError("adapters.rank", adapters.rank, rule, "give a rank such as 16", "out-of-bounds")
    if len(found) == len(entries):
        raise SpecError(
            "adapters.targets", adapters.targets, "match no linear product", "name products: 'q', 'v', 'ffn', or give 'linear'", "empty"
        )
    return found


def _targeted(entry: Entry, adapters: Adapters) -> bool:
    return adapters.targets == "linear" or not set(adapters.targets).isdisjoint(path_sections(entry.path))


def _pair(entry: Entry, op: MatMul, rank: int) -> Iterator[Entry]:
    """The two matrices of an adapter: from the product's input to ``rank`` elements, and from these to its output."""
    depth = len(entry.path) - len(entry.within)
    path = (*entry.path[:depth], "adapters", *entry.within)
    plain = replace(op, bias=0, tied=False, owner="", saved=0.0)
    down = replace(plain, name="down", cols=rank, axes=(op.axes[0], "rank"))
    up = replace(plain, name="up", inner=rank, axes=("rank", op.axes[1]), saved=rank * op.rows * op.top_k)
    for each in (down, up):
        yield replace(entry, path=(*path, each.name), op=each, trainable=True)


def with_gradients(entries: Sequence[Entry], base: Base | None = None) -> list[Entry]:
    """Set the gradients that each op must compute, and the activations that it must save.

    The inputs of an op need a gradient if a trained op comes before it. Its weight needs one if the op is trained. In a kind with several
    layers, a trained op of one layer comes before the next layer; the first layer is treated like the others. A frozen product saves its
    input only if a trained product reads the same input, or if the kernels of its weight format save every input.

    Args:
        entries: the ops of a model, with their paths.
        base: format of the frozen weights.
    """
    kinds = list(dict.fromkeys(e.kind for e in entries))
    found: list[Entry] = []
    before = False
    for kind in kinds:
        here = [e for e in entries if e.kind == kind]
        trains = any(e.trainable and _has_weights(e) for e in here)
        reached = before or (trains and here[0].count > 1)
        asked: list[Entry] = []
        for e in here:
            asked.append(replace(e, op=_with_needed_gradients(e, reached=reached)))
            reached = reached or (e.trainable and _has_weights(e))
        found += _with_kept_inputs(here, asked, base)
        before = before or trains
    return found


def _has_weights(entry: Entry) -> bool:
    op = entry.op
    return (isinstance(op, MatMul) and op.weight) or isinstance(op, Convolve) or bool(getattr(op, "params", 0) or getattr(op, "rows", 0))


def _with_needed_gradients(entry: Entry, *, reached: bool) -> Op:
    """The op with the gradients that it must compute; an op without gradients saves no activations."""
    op = entry.op
    match op:
        case MatMul(weight=True) | Convolve():
            gradients = _operand_gradients(op.gradients, reached=reached, trained=entry.trainable)
            return replace(op, gradients=gradients, saved=0.0 if gradients == "none" else op.saved)
        case MatMul() | Attend() | Scan():
            return op if reached else replace(op, gradients="none", saved=0.0)
        case Stream():
            return op if reached or entry.trainable else replace(op, saved=0.0)
        case _:
            return op


def _operand_gradients(gradients: Gradients, *, reached: bool, trained: bool) -> Gradients:
    """The operands of a product whose gradient it must compute."""
    inputs = reached and gradients in ("both", "input")
    weight = trained and gradients in ("both", "weight")
    words: dict[tuple[bool, bool], Gradients] = {
        (True, True): "both",
        (True, False): "input",
        (False, True): "weight",
        (False, False): "none",
    }
    return words[inputs, weight]


def _with_kept_inputs(before: Sequence[Entry], asked: Sequence[Entry], base: Base | None) -> list[Entry]:
    """Ops of one kind of layer. A product saves its input if its weight, or that of a later product with the same input, is trained."""
    holder: dict[tuple[int, str], int] = {}
    needed: set[int] = set()
    for i, (plain, entry) in enumerate(zip(before, asked, strict=True)):
        if isinstance(plain.op, MatMul) and isinstance(entry.op, MatMul):
            key = (plain.op.inner, plain.op.axes[0])
            if plain.op.saved:
                holder[key] = i
            asks = entry.op.gradients in ("both", "weight")
            if asks or (base in KEEP_INPUTS and entry.op.gradients == "input" and plain.op.role == "linear"):
                needed.add(holder.get(key, i))
    return [_keep_input(plain, entry, needed=i in needed) for i, (plain, entry) in enumerate(zip(before, asked, strict=True))]


def _keep_input(plain: Entry, asked: Entry, *, needed: bool) -> Entry:
    """An op with its gradients; a product with a weight saves its input only if the input is needed."""
    if isinstance(asked.op, MatMul) and isinstance(plain.op, MatMul) and plain.op.weight:
        return replace(asked, op=replace(asked.op, saved=plain.op.saved if needed else 0.0))
    return asked
