"""A run with a software stack and a layout, where it names none."""

from __future__ import annotations

import datetime as dt

from ..catalog.software_stacks import stack, stack_for
from ..core.citations import ASSUMED
from ..run.run import Run
from ..training.modelled import Modelled
from .search import search_plans


def with_stack(run: Run, month: str = "") -> Run:
    """The run with its efficiency modelled by the usual stack on its chips, where it names none.

    Args:
        run: any run.
        month: of the software, ``"2026-10"``; today's if left out.

    Raises:
        CatalogError: no stack is calibrated for such chips.
    """
    if isinstance(run.efficiency, Modelled):
        return run
    when = month or f"{dt.datetime.now(tz=dt.UTC).date():%Y-%m}"
    name = stack_for(run.cluster.chip.architecture or "", "megatron", when)
    modelled = run.replace({"efficiency": Modelled(stack=stack(name))})
    return modelled.with_sources({"efficiency.stack": f"{ASSUMED}{name}, the usual stack on such chips"})


def laid_out(run: Run, month: str = "") -> Run:
    """The run with a software stack and the fastest layout that fits, where it names none.

    Args:
        run: a run with a batch.
        month: of the software, ``"2026-10"``; today's if left out.

    Returns:
        the run, its efficiency modelled and its plan that of a search; both marked as assumed.

    Raises:
        CatalogError: no stack is calibrated for such chips.
        EstimateError: no layout is possible or fits.

    >>> import trainsim as ts
    >>> run = ts.Run(model=ts.catalog.model("llama3-8b"), cluster=ts.catalog.cluster("hgx-h100", 2),
    ...              phases=[ts.Phase("pretrain", tokens=1e9, seq_len=2048, batch=16)])
    >>> laid_out(run, "2026-10").plan.tp
    2
    """
    modelled = with_stack(run, month)
    return modelled if modelled.plan is not None else search_plans(modelled, top=1).best_run
