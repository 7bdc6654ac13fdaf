"""Bytes of a run's accelerators at the peak of a step, and whether they fit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..gpu_memory.fit import Fit
from ..gpu_memory.peak import memory_by_rank
from ..gpu_memory.rank_memory import RankMemory
from .inputs import inputs_of
from .nearest import nearest_layouts
from .run import Run


def memory(run: Run, phase: str | None = None) -> RankMemory:
    """Bytes of one accelerator of each pipeline rank at the peak of a step.

    ``rank → weights + gradients + optimizer + activations + logits + recomputed + working + buffers + fragmentation + context``

    Args:
        run: the run; its plan says the layout. Neither efficiency, goodput nor price is asked for.
        phase: name of the phase; None for the first.

    Returns:
        bytes by rank, ``"rank-0"`` first [B]; each rank is another accelerator, so that the total is one pipeline's.

    Raises:
        EstimateError: no such phase, or no plan, sequence length or batch.

    Source: ZeRO (arXiv:1910.02054), section 3; Korthikanti et al. 2022 (arXiv:2205.05198), section 4.

    >>> import trainsim as ts
    >>> v3 = ts.catalog.run("deepseek-v3")
    >>> round(float(memory(v3).part("rank-0").total) / 1e9, 1)
    77.5
    """
    found = inputs_of(run, phase, "to lay the run out")
    ranks = memory_by_rank(found.model, found.plan, found.cluster.gpus, found.seq_len, found.batch)
    return RankMemory.of(ranks, float(np.min(found.cluster.chip.memory)), found.plan)


def fits(run: Run, phase: str | None = None) -> Fit:
    """Whether a phase of a run fits its accelerators, by how much, on which rank, and what to cut.

    Args:
        run, phase: as for :func:`memory`.

    Returns:
        the word, P5, P50 and P95 of what the fullest rank uses, the capacity, the cuts, and the nearest layouts that fit.

    Raises:
        EstimateError: as :func:`memory` does.

    >>> import trainsim as ts
    >>> fits(ts.catalog.run("deepseek-v3")).word
    'tight'
    """
    found = inputs_of(run, phase, "to lay the run out")
    fit = memory(run, phase).fit
    return fit if fit.word == "fits" else replace(fit, nearest=nearest_layouts(found))
