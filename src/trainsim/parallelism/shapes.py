"""Kernel shapes of a model: its op table grouped into distinct products, attention cores and element-wise streams, per kind of layer."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.errors import EstimateError, SpecError, did_you_mean
from ..model.masks import Mask, OtherStreamKeys
from ..model.ops import PAIRS, Attend, Convolve, Entry, Lookup, MatMul, Op, Scan, Stream
from ..model.trainable import DEQUANTIZED_BYTES, path_sections
from ..model.transformer import Model

SPLIT_AXES = frozenset({"head", "kv", "ffn", "vocab"})
"""Axes that tensor parallelism divides; hidden, rank and expert axes are replicated."""
RESIDUAL_TRAFFIC = 3
"""Elements per hidden unit that a residual addition moves: two reads and one write."""

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Shapes:
    """Kernel shapes of a model, before any parallelism.

    Fields are columns over distinct products, ``(products, 1)``, over attention cores and recurrent mixers, ``(cores, 1)``, or over
    kinds of layer, ``(kinds, 1)``. ``products_of`` and ``cores_of`` count the kernels of one layer of each kind, ``(kinds, products)``
    and ``(kinds, cores)``; ``last_of`` marks the last product of a layer. ``params`` and ``trained_params`` of one layer are (dense,
    experts), ``(2, kinds, 1)``. ``zeros`` is a column of zeros, one per kind.
    """

    kinds: tuple[str, ...]
    paths: tuple[tuple[tuple[str, ...], ...], ...]
    core_paths: tuple[tuple[tuple[str, ...], ...], ...]
    rows: Array
    inner: Array
    cols: Array
    inner_split: Array
    cols_split: Array
    split: Array
    routed: Array
    low_precision: Array
    weight: Array
    own_input: Array
    by_input: Array
    by_weight: Array
    products_of: Array
    last_of: Array
    heads: Array
    width: Array
    fixed_flop: Array
    masks: tuple[Mask | None, ...]
    cores_of: Array
    split_traffic: Array
    whole_traffic: Array
    split_bias: Array
    whole_bias: Array
    routed_bias: Array
    expert_activation: Array
    logits: Array
    params: Array
    trained_params: Array
    dequantized: Array
    split_sublayers: Array
    kv_width: Array
    state: Array
    routed_layers: Array
    stream: Array
    experts: float
    top_k: float
    kernels: Array
    layers: Array
    zeros: Array

    @cached_property
    def has_biases(self) -> bool:
        """Whether any product has a trained bias."""
        return bool(self.split_bias.any() or self.whole_bias.any())

    @cached_property
    def has_expert_biases(self) -> bool:
        """Whether the last product of the routed experts has a bias."""
        return bool(self.routed_bias.any())

    @cached_property
    def is_dequantized(self) -> bool:
        """Whether any frozen weight is widened before its product."""
        return bool(self.dequantized.any())


@lru_cache(maxsize=256)
def shapes_of(model: Model) -> Shapes:
    """Kernel shapes of a model, cached.

    Args:
        model: the model.

    Raises:
        EstimateError: the model has mixtures of experts of different sizes, which is not supported.

    >>> from trainsim.model.attention.grouped_query import GroupedQueryAttention
    >>> from trainsim.model.feedforward import GatedMLP
    >>> from trainsim.model.layers import Block, Layers
    >>> block = Block(attention=GroupedQueryAttention(heads=4, kv_heads=4, head_dim=32), ffn=GatedMLP(width=320))
    >>> shapes_of(Model(hidden=128, vocab=1000, stack=[Layers(name="dense", count=3, block=block)])).kinds
    ('embedding', 'dense', 'head')
    """
    entries = model.table.entries
    kinds = tuple(dict.fromkeys(e.kind for e in entries))
    row = {kind: i for i, kind in enumerate(kinds)}
    run = entries_per_token(model)
    products, product_paths, products_of = _group_distinct([e for e in run if isinstance(e.op, MatMul)], row, _product)
    cores, core_paths, cores_of = _group_distinct([e for e in run if isinstance(e.op, Attend | Scan)], row, _core)
    columns: dict[str, Any] = {name: _column(products, i) for i, name in enumerate(_PRODUCT_COLUMNS)}
    columns |= {name: _column(cores, i) for i, name in enumerate(("heads", "width", "fixed_flop"))}
    columns["split"] = columns["inner_split"] + columns["cols_split"]
    columns |= {**_per_kind(model, entries, row), **_routing(entries)}
    return Shapes(
        kinds=kinds,
        paths=product_paths,
        core_paths=core_paths,
        products_of=products_of,
        last_of=_last_products(run, row, product_paths),
        masks=tuple(key[3] for key in cores),
        cores_of=cores_of,
        zeros=np.zeros((len(kinds), 1)),
        **columns,
    )


@lru_cache(maxsize=256)
def entries_per_token(model: Model) -> tuple[Entry, ...]:
    """The ops scaled to one token of the sequence; ops of a tower count per tower token, and are left out if the tower has no tokens."""
    t = model.table
    found = []
    for i, (entry, times, keys) in enumerate(zip(t.entries, t.per_token.tolist(), t.tower_keys.tolist(), strict=True)):
        if entry.over and times:
            found.append(replace(entry, op=_scaled_to_sequence(entry.op, times, keys)))
        elif isinstance(entry.op, Attend) and not entry.over:
            found.append(replace(entry, op=replace(entry.op, mask=t.masks[t.mask_of[i]])))
        elif not entry.over:
            found.append(entry)
    return tuple(found)


def _scaled_to_sequence(op: Op, times: float, keys: float) -> Op:
    """An op of a tower, scaled by the tower's tokens per token of the sequence."""
    match op:
        case MatMul():
            return replace(op, rows=op.rows * times, saved=op.saved * times)
        case Attend():  # attention within a picture has a fixed number of keys, independent of the sequence length
            return replace(op, heads=op.heads * times, mask=OtherStreamKeys(keys), saved=op.saved * times)
        case Stream():
            return replace(op, read=op.read * times, written=op.written * times, saved=op.saved * times)
        case _:
            return op


_PRODUCT_COLUMNS = (
    "rows",
    "inner",
    "cols",
    "inner_split",
    "cols_split",
    "routed",
    "low_precision",
    "weight",
    "own_input",
    "by_input",
    "by_weight",
)


def _product(op: MatMul) -> tuple[float, ...]:
    """Columns of a product, in the order of ``_PRODUCT_COLUMNS``."""
    routed = is_expert_product(op)
    split = tuple(float(axis in SPLIT_AXES) for axis in op.axes)
    passes = (float(op.gradients in ("both", "input")), float(op.gradients in ("both", "weight")))
    return (op.rows, op.inner, op.cols, *split, float(routed), float(op.role == "linear"), float(op.weight), float(op.saved > 0), *passes)


def is_expert_product(op: Op) -> bool:
    """Whether an op is a product of routed experts."""
    return isinstance(op, MatMul) and op.experts > 1 and op.role == "linear"


def _core(op: Attend | Scan) -> tuple[float, float, float, Mask | None]:
    """Heads, ``d_qk + d_v``, FLOPs per token that do not depend on the number of keys, and the mask."""
    match op:
        case Attend() if isinstance(op.mask, OtherStreamKeys):
            return float(op.heads), float(op.d_qk + op.d_v), 2.0 * op.heads * (op.d_qk + op.d_v) * op.mask.count, None
        case Attend():
            return float(op.heads), float(op.d_qk + op.d_v), 0.0, op.mask
        case Scan():
            keys = float(PAIRS[op.pairs](op.chunk).keys(float(op.chunk))) if op.chunk else 0.0
            products = op.state_products * op.d_k * op.d_v + (op.d_k + op.d_v) * keys
            return float(op.heads), float(op.d_k + op.d_v), 2.0 * op.heads * products, None


def _group_distinct(entries: Sequence[Entry], row: dict[str, int], key_of: object) -> tuple[list, tuple, Array]:  # type: ignore[type-arg]
    """Distinct keys, the paths that share each key, and their number in one layer of every kind."""
    keys: dict[tuple[object, ...], int] = {}
    paths: list[list[tuple[str, ...]]] = []
    counts: list[dict[int, float]] = []
    for entry in entries:
        key = key_of(entry.op)  # type: ignore[operator]
        at = keys.setdefault(key, len(keys))
        if at == len(paths):
            paths.append([])
            counts.append({})
        paths[at].append(entry.line)
        kind = row[entry.kind]
        counts[at][kind] = counts[at].get(kind, 0.0) + 1.0
    table = np.zeros((len(row), len(keys)))
    for at, by_kind in enumerate(counts):
        for kind, count in by_kind.items():
            table[kind, at] = count
    return list(keys), tuple(map(tuple, paths)), table


def _last_products(entries: Sequence[Entry], row: dict[str, int], paths: Sequence[Sequence[tuple[str, ...]]]) -> Array:
    """1 for the last product of a layer of each kind, shape ``(kinds, products)``."""
    at = {path: i for i, group in enumerate(paths) for path in group}
    table = np.zeros((len(row), len(paths)))
    for kind, last in {e.kind: e.line for e in entries if isinstance(e.op, MatMul)}.items():
        table[row[kind], at[last]] = 1.0
    return table


def _column(keys: Sequence[tuple[float, ...]], i: int) -> Array:
    return np.array([key[i] for key in keys], dtype=np.float64).reshape(-1, 1)


def _per_kind(model: Model, entries: Sequence[Entry], row: dict[str, int]) -> dict[str, Array]:
    """Traffic, parameters, exchanges and kernels of one layer of each kind."""
    names = (
        "split_traffic", "whole_traffic", "split_bias", "whole_bias", "routed_bias", "expert_activation", "logits",
        "dense_params", "routed_params", "dense_trained_params", "routed_trained_params", "dense_dequantized", "routed_dequantized",
        "split_sublayers", "kv_width",
        "routed_layers", "stream", "kernels", "layers", "core_width", "state",
    )  # fmt: skip
    found = {name: np.zeros((len(row), 1)) for name in names}
    t = model.table
    widened = DEQUANTIZED_BYTES.get(model.base, 0.0) if model.base is not None else 0.0
    for entry, stored in zip(entries, ((t.matrices + t.vectors) * ~t.tied).tolist(), strict=True):
        _add_stored(found, row[entry.kind], entry, stored, widened)
    for entry in entries_per_token(model):
        _add_work(found, row[entry.kind], entry, model.hidden)
    for name in ("params", "trained_params", "dequantized"):
        found[name] = np.stack([found.pop(f"dense_{name}"), found.pop(f"routed_{name}")])
    # latent attention has no grouped key-value heads: keys and values of every head are exchanged
    found["kv_width"] = np.where(found["kv_width"] > 0, found["kv_width"], found.pop("core_width"))
    for kind in model.stack:
        found["whole_traffic"][row[kind.name]] += RESIDUAL_TRAFFIC * kind.block.additions * model.hidden
        if len(kind.block.norms) == 1:  # a parallel block adds attention and feed-forward on each rank and reduces the sum once
            found["split_sublayers"][row[kind.name]] = np.minimum(found["split_sublayers"][row[kind.name]], 1.0)
    if model.mtp is not None:
        found["whole_traffic"][row["mtp"]] += RESIDUAL_TRAFFIC * model.mtp.block.additions * model.hidden
    return found


def _add_stored(found: dict[str, Array], at: int, entry: Entry, stored: float, widened: float) -> None:
    """Add the number of layers of a kind, and the parameters of one of them."""
    found["layers"][at] = entry.count
    where = "routed" if is_expert_product(entry.op) else "dense"
    found[f"{where}_params"][at] += stored
    found[f"{where}_trained_params"][at] += stored * entry.trainable
    found[f"{where}_dequantized"][at] += stored * widened * (not entry.trainable and getattr(entry.op, "role", "") == "linear")


def _add_work(found: dict[str, Array], at: int, entry: Entry, hidden: int) -> None:
    """Add kernels, traffic and exchanges of an op to those of its kind of layer."""
    op = entry.op
    match op:
        case MatMul():
            found["kernels"][at] += 1
            if op.axes[0] in SPLIT_AXES and op.experts == 1:
                found["split_sublayers"][at] += op.rows * op.cols / hidden if entry.over else 1
            if op.bias and entry.trainable:  # the gradient of a bias is the sum of the output's gradient over all tokens
                found["split_bias" if op.axes[1] in SPLIT_AXES else "whole_bias"][at] += op.rows * op.top_k * op.cols
            if op.axes[1] == "kv" and not entry.over:
                found["kv_width"][at] += op.cols
            if op.role == "head":
                found["logits"][at] += op.cols
            if op.role == "router" and op.axes[1] == "expert" and op.cols > 1:
                found["routed_layers"][at] += 1
            if is_expert_product(op):
                last = op.axes[0] in SPLIT_AXES  # its output goes back to the tokens; the other products' outputs are activated
                found["routed_bias"][at] += op.rows * op.top_k * op.cols * (last and op.bias > 0)
                found["expert_activation"][at] += op.rows * op.top_k * (op.inner if last else op.cols)
                found["stream"][at] = np.maximum(found["stream"][at], float(op.inner) if op.axes[0] == "hidden" else float(op.cols))
        case Attend():
            found["kernels"][at] += 1
            found["core_width"][at] += op.heads * (op.d_qk + op.d_v) * (not entry.over)
        case Scan():
            found["kernels"][at] += 1
            found["state"][at] += op.heads * op.d_k * op.d_v * (op.state_products > 0)
        case Convolve():
            found["kernels"][at] += 1
            found["split_traffic" if op.axis in SPLIT_AXES else "whole_traffic"][at] += 2 * op.channels
        case Lookup():
            found["whole_traffic"][at] += 2 * op.width * (not entry.over)
            found["split_sublayers"][at] += not entry.over
        case Stream():
            found["kernels"][at] += 1
            split = "split_traffic" if op.axis in SPLIT_AXES else "whole_traffic"
            found[split][at] += op.read + op.written


def check_part_names(field: str, parts: Collection[str], model: Model, words: AbstractSet[str]) -> None:
    """Check that each name is a part of the model's layers, or one of ``words``.

    Raises:
        SpecError: a name is neither a part nor one of ``words``.
    """
    names = {name for entry in model.table.entries for name in path_sections(entry.within)} | words
    for part in parts:
        if part not in names:
            raise SpecError(field, part, "is not a part of the model's layers", did_you_mean(part, sorted(names), "parts"), "unknown-name")


def path_matches(path: tuple[str, ...], name: str) -> bool:
    """Whether a name equals a dotted section of the path."""
    return name in path_sections(path)


def _routing(entries: Sequence[Entry]) -> dict[str, float]:
    """Number of experts, and experts per token; 1 and 0 without experts."""
    sizes = {(e.op.experts, e.op.top_k) for e in entries if isinstance(e.op, MatMul) and is_expert_product(e.op)}
    if len(sizes) > 1:
        raise EstimateError(
            "model.stack",
            sorted(sizes),
            "has layers with different numbers of experts",
            "give all layers the same number of experts",
            "unsupported",
        )
    experts, top_k = next(iter(sizes), (1, 0.0))
    return {"experts": float(experts), "top_k": float(top_k)}
