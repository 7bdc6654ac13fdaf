"""Peak memory of a run's accelerators, and whether it fits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..gpu_memory.fit import Fit, spread_for
from ..gpu_memory.peak import memory_by_rank
from ..gpu_memory.rank_memory import RankMemory
from ..parallelism.layout import degrees_of
from .inputs import inputs_of
from .nearest import nearest_layouts
from .run import Run


def memory(run: Run, phase: str | None = None) -> RankMemory:
    """Peak memory of one accelerator of each pipeline rank.

    ``rank → weights + gradients + optimizer + activations + logits + recomputed + working + buffers + fragmentation + context``

    Args:
        run: a run with a plan; efficiency, goodput and price are not needed.
        phase: name of the phase; None for the first.

    Returns:
        memory by rank, ``"rank-0"`` first [B]; each rank is a different accelerator, so the total is that of one pipeline.

    Raises:
        EstimateError: no such phase, or the plan, sequence length or batch is missing.

    Source: ZeRO (arXiv:1910.02054), section 3; Korthikanti et al. 2022 (arXiv:2205.05198), section 4.

    >>> import trainsim as ts
    >>> v3 = ts.catalog.run("deepseek-v3")
    >>> round(float(memory(v3).part("rank-0").total) / 1e9, 1)
    77.5
    """
    found = inputs_of(run, phase, "to lay the run out")
    ranks = memory_by_rank(found.model, found.plan, found.cluster.gpus, found.seq_len, found.batch)
    sharing = float(np.max(degrees_of(found.plan, found.cluster.gpus, found.seq_len).sharing))
    return RankMemory.of(ranks, float(np.min(found.cluster.chip.memory)), found.plan, spread_for(found.model), sharing)


def fits(run: Run, phase: str | None = None) -> Fit:
    """Check whether a phase of a run fits in the memory of its accelerators, and what would make it fit.

    Args:
        run, phase: as for :func:`memory`.

    Returns:
        the word, P5, P50 and P95 of the memory of the fullest rank, the capacity, possible savings, and the nearest layouts that fit.

    Raises:
        EstimateError: as for :func:`memory`.

    >>> import trainsim as ts
    >>> fits(ts.catalog.run("deepseek-v3")).word
    'tight'
    """
    found = inputs_of(run, phase, "to lay the run out")
    fit = memory(run, phase).fit
    return fit if fit.word == "fits" else replace(fit, nearest=nearest_layouts(found))
