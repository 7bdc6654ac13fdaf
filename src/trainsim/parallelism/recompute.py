"""What backward computes again of a layer: kernels, traffic and exchanges of the parts that a plan recomputes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ..model.ops import Attend, Convolve, Entry, Lookup, MatMul, Scan, Stream
from ..model.transformer import Model
from .shapes import SPLIT_AXES, Array, answers, expert_product, here, shapes_of


@dataclass(frozen=True, eq=False)
class Again:
    """What backward computes again of one layer of each kind.

    ``whole`` marks kinds computed again entirely, shape ``(kinds, 1)``. Of the others: products ``(kinds, products)``, cores
    ``(kinds, cores)``, traffic ``(kinds, 1)``. ``sums``, ``routed`` and ``keys`` are exchanges made again over those of one forward
    pass, by tensor, expert and context parallelism, ``(kinds, 1)``.
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
def again_of(model: Model, parts: frozenset[str]) -> Again:
    """What recomputing some parts computes again.

    Args:
        model: what is trained.
        parts: ``full``; ``core`` the attention scores; ``ops`` all but attention and every second product that isn't grouped;
            ``streams`` the element-wise work; or names of ops and sections. Embedding and head keep what they have.

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
        entries = [e for e in here(model) if e.kind == kind]
        if "full" in parts:
            for name in ("whole", "sums", "routed", "keys"):
                found[name][at] = 1.0
        for entry in _computed_again(entries, parts - {"full"}):
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
    return Again(**found)


ENDS = frozenset({"embedding", "head"})
"""Kinds of layer that keep their activations under every recompute."""


def _computed_again(entries: Sequence[Entry], parts: frozenset[str]) -> list[Entry]:
    """The entries of one kind that any of the parts names, each once."""
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
                named = [e for e in entries if answers(e.within, part)]
        chosen |= {e.line: e for e in named}
    return list(chosen.values())


def every_second_product(entries: Sequence[Entry]) -> list[Entry]:
    """The products whose results selective checkpointing by op keeps: the first, third, fifth … of those that aren't grouped.

    Source: torchtitan, ``_op_sac_save_list``: ``aten.mm`` is on it, the grouped product of experts is not.
    """
    return [e for e in entries if isinstance(e.op, MatMul) and not expert_product(e.op)][::2]
