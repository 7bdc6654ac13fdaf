"""Parameters and FLOPs of a model: sums over its op table, under named conventions."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache, partial
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ..core.errors import SpecError, check_type, did_you_mean
from ..core.ledger import LazyParts, Ledger, ledger_from_lines
from ..core.units import Num
from .conventions import CONVENTIONS, Convention, convention_of
from .documents import Documents, document_keys
from .masks import Causal, Mask, OncePerSequence, SlidingWindow
from .ops import Entry, Lookup, MatMul, OpTable, Scan
from .transformer import Model

Mtp = Literal["none", "unique", "released"]
"""How multi-token-prediction modules count: not at all ("none"); by the weights that only they have ("unique"); with their copies of
embedding and head ("released")."""

Way = Literal["forward", "backward"]
Towers = Literal["none", "all"]
"""Whether encoders beside the text model count."""


A_MODEL = "a ts.Model: ts.from_hf('config.json'), ts.catalog.model('deepseek-v3')"
"""Remedy of the error for an argument that is not a model."""

_Lines = dict[tuple[str, ...], float]
_VECTORS = frozenset({"norm", "latent-norm", "bias"})


def count_params(model: Model, mtp: Mtp = "none", towers: Towers = "none") -> Ledger:
    """Parameters of a model by kind of layer, part and op; tied weights count once.

    Args:
        model: what is trained.
        mtp: multi-token-prediction modules: "none" leaves them out, "unique" counts the weights that only they have, "released"
            also their own copies of embedding and head.
        towers: encoders beside the text model: "none" leaves them out, "all" counts them.

    Returns:
        ledger [parameter].

    Raises:
        SpecError: an unknown word for ``mtp`` or ``towers``, or ``model`` is not a model.

    Source: counted on the ops; DeepSeek-V3 report (arXiv:2412.19437) section 2.2 for the sharing of embedding and head.

    >>> import trainsim as ts
    >>> count_params(ts.catalog.model("llama3-8b")).total
    8030261248.0
    """
    check_type(model, Model, "model", A_MODEL)
    t = model.table
    stored = t.count * (t.matrices * _matrices_counted(t, mtp) + t.vectors * _exists(t, mtp)) * _with_towers(model, towers)
    return _by_path(model, "parameter", stored, keep=stored > 0)


def count_active_params(model: Model, mtp: Mtp = "none", towers: Towers = "none") -> Ledger:
    """Parameters that one token uses: all of the dense parts, including the input embedding, and ``top_k`` of the experts.

    Args:
        model, mtp, towers: as in :func:`count_params`.

    Returns:
        ledger [parameter].

    Raises:
        SpecError: as for :func:`count_params`.

    Source: as model cards quote it; some leave the input embedding out (gpt-oss): subtract ``.part("embedding.tokens")``.

    >>> import trainsim as ts
    >>> count_active_params(ts.catalog.model("mixtral-8x7b")).total
    12879925248.0
    """
    check_type(model, Model, "model", A_MODEL)
    t = model.table
    passed = t.count * (t.active_matrices * _matrices_counted(t, mtp) + t.active_vectors * _exists(t, mtp)) * _with_towers(model, towers)
    return _by_path(model, "parameter", passed, keep=passed > 0)


def flops_per_token(
    model: Model, seq_len: Num, convention: str = "causal", mtp: Mtp = "none", document_length: Num | Documents | None = None
) -> Ledger:
    """Training FLOPs per token, forward and backward, by kind of layer, part and op.

    ``forward = Σ_ops count · (2 · top_k · inner · cols + 2 · heads · (d_qk + d_v) · keys(S))``. The backward pass takes as many FLOPs for
    each operand that needs a gradient: twice the forward pass if all do.

    Args:
        model: what is trained.
        seq_len: sequence length, number or array ``(n,)`` [token].
        convention: one of ``CONVENTIONS``; each describes what it counts and leaves out. A framework's may have a date,
            ``"torchtitan@2026-03"``.
        mtp: ``"unique"`` counts the multi-token-prediction modules.
        document_length: length of the documents packed into a sequence, which attend only within themselves: number or array ``(n,)``
            [token], or :class:`Documents` for lengths that differ within a batch; None for one document per sequence. A document longer
            than the sequence fills whole sequences.

    Returns:
        ledger [FLOP/token] with parts ``forward`` and ``backward``.

    Raises:
        SpecError: not a model, an unknown convention, ``mtp`` with a convention that has none, or a length that is not positive.

    Source: Narayanan et al. 2021 (arXiv:2104.04473) for the accounting; each convention names its own.

    >>> import trainsim as ts
    >>> round(flops_per_token(ts.catalog.model("llama3-8b"), seq_len=8192).total / 1e9, 1)  # GFLOP; 6 N gives 48.2
    51.5
    """
    check_type(model, Model, "model", A_MODEL)
    rule = (CONVENTIONS.get(convention) if isinstance(convention, str) else None) or convention_of(convention, "convention")
    if mtp != "none" and rule.mtp is None:
        able = ", ".join(c.name for c in CONVENTIONS.values() if c.mtp is not None)
        raise SpecError(
            "mtp", mtp, f"convention {convention!r} has no multi-token prediction", f"use mtp='none', or one of: {able}", "unsupported"
        )
    if mtp not in get_args(Mtp):
        raise SpecError(
            "mtp", mtp, "is not a way to count prediction modules", did_you_mean(str(mtp), get_args(Mtp), "ways"), "unknown-name"
        )
    for name, length in (("seq_len", seq_len), ("document_length", document_length)):
        if not (length is None or isinstance(length, Documents) or _at_least_one(length)):
            raise SpecError(name, length, "must be >= 1", "give the length in tokens", "out-of-bounds")
    passes, fixed, per_key = _lines_of_passes(model, rule, mtp)
    masks = _counted_masks(model, rule.pairs)
    keys: dict[int, Num] = {}
    total: Num = fixed
    for at, flop in per_key.items():
        mask = masks[at]
        documents = None if isinstance(mask, OncePerSequence) else document_length  # the work of a tower does not depend on documents
        keys[at] = document_keys(partial(_keys, mask, rule.pairs), seq_len, documents)
        total = total + flop * keys[at]
    parts = {name: Ledger._trusted("FLOP/token", LazyParts(partial(_pass_parts, *lines, keys))) for name, lines in passes.items()}
    both = Ledger._trusted("FLOP/token", parts)
    both.__dict__["total"] = total  # a closed form, so that the total of many draws needs no sum over lines
    return both


@lru_cache(maxsize=256)
def _counted_masks(model: Model, pairs: str) -> tuple[Mask, ...]:
    """The masks of a model as a convention counts them. Formulas of frameworks count full attention if every layer has a window."""
    masks = model.table.masks
    mixed = any(isinstance(mask, Causal) for mask in masks)
    if pairs == "mask" or mixed:
        return masks
    return tuple(Causal() if isinstance(mask, SlidingWindow) else mask for mask in masks)


def _at_least_one(length: Num) -> bool:
    if isinstance(length, float):
        return length >= 1
    numbers = np.asarray(length)
    return numbers.dtype.kind in "iuf" and bool((numbers >= 1).all())


def _pass_parts(fixed: _Lines, groups: Mapping[int, _Lines], keys: Mapping[int, Num]) -> Mapping[str, Ledger | Num]:
    """Ledger parts of one pass: fixed lines plus lines per key times the keys of their mask."""
    lines: dict[tuple[str, ...], Num] = dict(fixed)
    for mask, per_key in groups.items():
        lines |= {path: flop * keys[mask] + fixed.get(path, 0.0) for path, flop in per_key.items()}
    return ledger_from_lines("FLOP/token", lines).parts


def _with_towers(model: Model, towers: Towers) -> NDArray[np.bool_]:
    """Whether each op counts, given whether towers do."""
    if towers not in get_args(Towers):
        raise SpecError(
            "towers", towers, "is not a way to count towers", did_you_mean(str(towers), get_args(Towers), "ways"), "unknown-name"
        )
    apart = {tower.name for tower in model.towers if tower.counted == "apart"}
    kept = [towers == "all" or e.path[0] != "towers" or e.path[1] not in apart for e in model.table.entries]
    return np.array(kept, dtype=np.bool_)


def _exists(t: OpTable, mtp: Mtp) -> NDArray[np.bool_]:
    """Whether each op exists, given how prediction modules count; a tied head still has its own bias."""
    return ~t.mtp | (mtp != "none")


def _matrices_counted(t: OpTable, mtp: Mtp) -> NDArray[np.bool_]:
    """Whether the matrices of each op count, given how prediction modules count."""
    match mtp:
        case "none":
            return ~t.mtp & ~t.tied
        case "unique":
            return ~t.tied
        case "released":
            return ~t.tied | t.mtp
    raise SpecError("mtp", mtp, "is not a way to count prediction modules", did_you_mean(str(mtp), get_args(Mtp), "ways"), "unknown-name")


def _mtp_part(entry: Entry) -> str:
    """The part of a prediction module that an op belongs to; conventions differ in which parts they count."""
    match entry.path[1]:
        case "block":
            return "core" if entry.path[-1] == "core" else "block"
        case "head":
            return "head" if isinstance(entry.op, MatMul) else "norms"
        case part:
            return part


@lru_cache(maxsize=256)
def _lines_of_passes(
    model: Model, rule: Convention, mtp: Mtp
) -> tuple[Mapping[str, tuple[_Lines, dict[int, _Lines]]], float, Mapping[int, float]]:
    """Lines of the forward and of the backward pass; the fixed FLOP per token of both together, and the FLOP per key of each mask."""
    passes = {name: _lines_of_pass(model, rule, mtp, name) for name in get_args(Way)}
    fixed = sum(flop for lines, _ in passes.values() for flop in lines.values())
    masks = sorted({mask for _, groups in passes.values() for mask in groups})
    return passes, fixed, {mask: sum(sum(groups.get(mask, {}).values()) for _, groups in passes.values()) for mask in masks}


def _lines_of_pass(model: Model, rule: Convention, mtp: Mtp, way: Way) -> tuple[_Lines, dict[int, _Lines]]:
    """FLOP per token of each op in one pass under a convention: fixed lines, and lines per key grouped by mask."""
    t = model.table
    backward = 2.0 if rule.backward == "twice" else t.backward
    times = t.count * (backward if way == "backward" else np.ones_like(t.count))
    recurrences = dict(rule.recurrences)
    fixed: _Lines = {}
    groups: dict[int, _Lines] = {}
    for i, entry in enumerate(t.entries):
        role = str(t.roles[i])
        if not times[i] or not _counts(entry, role, rule, mtp):
            continue
        if isinstance(entry.op, Scan) and entry.op.state_products in recurrences:
            state = entry.op.heads * entry.op.d_k * entry.op.d_v
            fixed[entry.path] = float(times[i] * recurrences[entry.op.state_products] * state)
            continue
        if t.mask_of[i] >= 0 and t.flop_per_key[i]:
            groups.setdefault(int(t.mask_of[i]), {})[entry.path] = float(times[i] * t.flop_per_key[i])
        if entry.over:  # vectors and tables of a tower count per token of the tower, not of the sequence
            continue
        as_if_multiplied = t.active_vectors[i] * (role in _VECTORS or "bias" in rule.counts)
        if isinstance(entry.op, Lookup):
            as_if_multiplied += t.matrices[i]
        if flop := times[i] * (t.flop[i] + 2.0 * as_if_multiplied):
            fixed[entry.path] = float(flop)
    return fixed, groups


def _counts(entry: Entry, role: str, rule: Convention, mtp: Mtp) -> bool:
    """Whether a convention counts an op."""
    if not entry.mtp:
        return role in rule.counts
    if mtp == "none" or rule.mtp is None:
        return False
    part = _mtp_part(entry)
    return part in rule.mtp and (role in rule.counts or (part == "norms" and "norms-counted" in rule.mtp))


def _keys(mask: Mask, pairs: str, seq_len: Num) -> Num:
    if pairs == "mask":
        return mask.keys(seq_len)
    span = mask.span(seq_len)
    if not mask.causal or pairs == "full":
        return span
    match pairs:
        case "nowindow":
            return (span + 1) / 2
        case "reach":
            return mask.window_span(seq_len)
        case "half-reach":
            return mask.window_span(seq_len) / 2
        case "area":
            return mask.window_area(seq_len)
        case _:
            return span / 2


def _by_path(model: Model, unit: str, values: NDArray[np.float64], keep: NDArray[np.bool_]) -> Ledger:
    return ledger_from_lines(unit, {e.path: float(v) for e, v, k in zip(model.table.entries, values, keep, strict=True) if k})
