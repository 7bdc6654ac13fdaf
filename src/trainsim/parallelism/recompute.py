"""Recomputed work: kernels, memory traffic and exchanges that the backward pass repeats under a plan's recompute."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ..model.ops import Attend, Convolve, Entry, Lookup, MatMul, Scan, Stream
from ..model.transformer import Model
from .shapes import SPLIT_AXES, Array, entries_per_token, is_expert_product, path_matches, shapes_of


@dataclass(frozen=True, eq=False)
class Recomputed:
    """Work that the backward pass recomputes in one layer of each kind.

    Args:
        whole: 1 for kinds that are recomputed completely, ``(kinds, 1)``. The other fields describe the remaining kinds.
        products, cores: number of recomputed products ``(kinds, products)`` and attention cores ``(kinds, cores)``.
        split_traffic, whole_traffic: element-wise traffic, divided and replicated by tensor parallelism, ``(kinds, 1)`` [element].
        sums, routed, keys: repeated exchanges of tensor, expert and context parallelism, relative to one forward pass, ``(kinds, 1)``.
    """

    whole: Array
    products: Array
    cores: Array
    split_traffic: Array
    whole_traffic: Array
    sums: Array
    routed: Array
    keys: Array


@lru_cache(maxsize=512)
def recomputed_work(model: Model, parts: frozenset[str]) -> Recomputed:
    """Work that the backward pass repeats when some parts are recomputed.

    Args:
        model: the model.
        parts: ``full``; ``core`` (attention scores); ``ops`` (all but attention and every second product that is not grouped);
            ``streams`` (element-wise work); or names of ops and sections. Embedding and head are never recomputed.

    Source: Korthikanti et al. 2022 (arXiv:2205.05198), section 5; torchtitan (arXiv:2410.06511), section 2.1.3.
    """
    shapes = shapes_of(model)
    row = {kind: i for i, kind in enumerate(shapes.kinds)}
    product = {path: i for i, group in enumerate(shapes.paths) for path in group}
    core = {path: i for i, group in enumerate(shapes.core_paths) for path in group}
    kinds = len(row)
    found = {name: np.zeros((kinds, 1)) for name in ("whole", "split_traffic", "whole_traffic", "sums", "routed", "keys")}
    found |= {"products": np.zeros((kinds, len(shapes.paths))), "cores": np.zeros((kinds, len(shapes.core_paths)))}
    for kind, at in row.items():
        if kind in ENDS:
            continue
        entries = [e for e in entries_per_token(model) if e.kind == kind]
        if "full" in parts:
            for name in ("whole", "sums", "routed", "keys"):
                found[name][at] = 1.0
        for entry in _matching_entries(entries, parts - {"full"}):
            op = entry.op
            match op:
                case MatMul():
                    found["products"][at, product[entry.line]] += 1.0
                    found["sums"][at] += (op.axes[0] in SPLIT_AXES and op.experts == 1) / np.maximum(shapes.split_sublayers[at], 1.0)
                    found["routed"][at] = np.maximum(found["routed"][at], float(op.experts > 1 and op.axes[0] == "hidden"))
                case Attend() | Scan():
                    found["cores"][at, core[entry.line]] += 1.0
                    found["keys"][at] = 1.0
                case Stream() | Convolve():
                    traffic = "split_traffic" if op.axis in SPLIT_AXES else "whole_traffic"
                    found[traffic][at] += op.read + op.written if isinstance(op, Stream) else 2 * op.channels
                case Lookup():
                    pass
    return Recomputed(**found)


ENDS = frozenset({"embedding", "head"})
"""Kinds that are never recomputed."""


def _matching_entries(entries: Sequence[Entry], parts: frozenset[str]) -> list[Entry]:
    """The entries of one kind that match any of the parts, each once."""
    chosen: dict[tuple[str, ...], Entry] = {}
    for part in sorted(parts):
        match part:
            case "core":
                named = [e for e in entries if isinstance(e.op, Attend)]
            case "streams":
                named = [e for e in entries if isinstance(e.op, Stream)]
            case "ops":
                kept = every_second_product(entries)
                named = [e for e in entries if isinstance(e.op, Stream | MatMul) and e not in kept]
            case _:
                named = [e for e in entries if path_matches(e.within, part)]
        chosen |= {e.line: e for e in named}
    return list(chosen.values())


def every_second_product(entries: Sequence[Entry]) -> list[Entry]:
    """Products whose results selective checkpointing by op saves: the first, third, fifth … of those that are not grouped.

    Source: torchtitan, ``_op_sac_save_list``: ``aten.mm`` is on it, the grouped product of experts is not.
    """
    return [e for e in entries if isinstance(e.op, MatMul) and not is_expert_product(e.op)][::2]
