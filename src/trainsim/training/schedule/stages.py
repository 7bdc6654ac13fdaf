"""Which layers stand on which stage: ``counts[stage, kind]``, so that uneven stages need no special case."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ...errors import SpecError
from ...model.transformer import Model
from .orders import Schedule

ENDS = ("embedding", "head", "mtp")
"""What stands beside the layers: the embedding on the first stage, head and multi-token prediction on the last."""


@dataclass(frozen=True, eq=False)
class StageCounts:
    """How many of each kind of part a stage holds: seconds, bytes and FLOPs of a stage are ``counts @ per_kind``.

    Args:
        kinds: kinds of layers of the model, then embedding, head and multi-token-prediction module.
        counts: ``(stages, kinds)``.
    """

    kinds: tuple[str, ...]
    counts: NDArray[np.float64]

    @property
    def uniform(self) -> bool:
        """Whether all stages hold the same: closed forms for uniform stages apply."""
        return bool(np.all(self.counts == self.counts[0]))


def stages_of(schedule: Schedule, pp: int, vpp: int) -> int:
    """Stages that data flows through: a rank may hold several.

    >>> stages_of("interleaved", 4, 2), stages_of("dualpipe", 4, 1), stages_of("dualpipe-v", 4, 1)
    (8, 4, 8)
    """
    return pp * {"interleaved": vpp, "zero-bubble-v": 2, "dualpipe-v": 2}.get(schedule, 1)


def spread_layers(layers: int, stages: int) -> tuple[int, ...]:
    """Layers per stage, as even as can be; those with one less stand at the ends, last stage first, beside head and embedding.

    Source: Llama 3 (arXiv:2407.21783), section 3.3.2: one layer less on the first and the last stage.

    >>> spread_layers(126, 16)
    (7, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 7)
    >>> sum(spread_layers(61, 16)), spread_layers(61, 16)
    (61, (3, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 3, 3))
    """
    short = -layers % stages
    fewest = layers // stages if short else layers // stages - 1
    given = [fewest + 1] * stages
    for k in range(short):
        given[k // 2 if k % 2 else stages - 1 - k // 2] = fewest
    return tuple(given)


@lru_cache(maxsize=256)
def stage_counts(model: Model, stages: int, layers: tuple[int, ...] = ()) -> StageCounts:
    """Parts of a model on each stage.

    Args:
        model: its layout says which kind each layer is.
        stages: in the order data flows, ``pp·vpp`` of them for interleaved.
        layers: layers of each stage; empty for :func:`spread_layers`.

    Returns:
        the counts, embedding on the first stage, head and prediction modules on the last.

    Raises:
        SpecError: more stages than layers, or layers that don't add up to the model's.

    Source: counts of DeepSeek-V3 (arXiv:2412.19437), section 3.2: 61 layers on 16 stages.
    """
    if stages > model.layers:
        raise SpecError("plan.pp", stages, f"makes more stages than the model's {model.layers} layers", f"give at most {model.layers}")
    given = layers or spread_layers(model.layers, stages)
    if len(given) != stages or sum(given) != model.layers:
        rule = f"is not {model.layers} layers on {stages} stages"
        raise SpecError("plan.stage_layers", given, rule, f"leave it out for {spread_layers(model.layers, stages)}")
    kinds = tuple(kind.name for kind in model.stack)
    counts = np.zeros((stages, len(kinds) + len(ENDS)))
    first = 0
    for stage, size in enumerate(given):
        for name in model.layout[first : first + size]:
            counts[stage, kinds.index(name)] += 1
        first += size
    counts[0, len(kinds)] = counts[-1, len(kinds) + 1] = 1
    counts[-1, len(kinds) + 2] = model.mtp.depth if model.mtp is not None else 0
    return StageCounts((*kinds, *ENDS), counts)
