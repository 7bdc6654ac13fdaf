"""Complete a run that has no software stack or layout with the usual stack and the fastest layout."""

from __future__ import annotations

import datetime as dt
from types import NoneType

from ..catalog.software_stacks import stack, stack_for
from ..core.citations import ASSUMED
from ..run.run import Run
from ..training.modelled import Modelled
from ..training.rollouts import Rollouts
from ..uncertainty.sampling.sweep import Progress
from .search import search_plans


def with_stack(run: Run, month: str = "") -> Run:
    """Set the run's efficiency to the usual software stack of its chips, in place of every efficiency that is not modelled.

    Args:
        run: any run.
        month: month of the software, ``"2026-10"``; the current month if left out.

    Raises:
        CatalogError: no stack is calibrated for these chips.
    """
    stated = [phase for phase in run.phases if not isinstance(phase.efficiency, (Modelled, Rollouts, NoneType))]
    run = run.replace({f"phases.{phase.name}.efficiency": None for phase in stated}) if stated else run
    if isinstance(run.efficiency, Modelled):
        return run
    when = month or f"{dt.datetime.now(tz=dt.UTC).date():%Y-%m}"
    name = stack_for(run.cluster.chip.architecture or "", "megatron", when)
    modelled = run.replace({"efficiency": Modelled(stack=stack(name))})
    return modelled.with_sources({"efficiency.stack": f"{ASSUMED}{name}, the usual stack on these chips"})


def with_layout(run: Run, month: str = "", progress: Progress | None = None) -> Run:
    """Complete a run that has no software stack or layout with the usual stack and the fastest layout that fits.

    Args:
        run: a run with a batch.
        month: month of the software, ``"2026-10"``; the current month if left out.
        progress: called with groups of layouts tried and all of them, as by :func:`~.search.search_plans`.

    Returns:
        the run with a modelled efficiency and a plan; both are marked as assumed.

    Raises:
        CatalogError: no stack is calibrated for these chips.
        EstimateError: no layout is possible or fits.

    >>> import trainsim as ts
    >>> run = ts.Run(model=ts.catalog.model("llama3-8b"), cluster=ts.catalog.cluster("hgx-h100", 2),
    ...              phases=[ts.Phase("pretrain", tokens=1e9, seq_len=2048, batch=16)])
    >>> with_layout(run, "2026-10").plan.tp
    2
    """
    modelled = with_stack(run, month)
    return modelled if modelled.plan is not None else search_plans(modelled, top=1, progress=progress).best_run


laid_out = with_layout
"""Former name of :func:`with_layout`."""
