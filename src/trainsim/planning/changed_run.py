"""Change a published or saved run, and drop inputs that were reported or filled in for the former run."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping, Sequence
from functools import reduce
from typing import Any

from ..core.citations import ASSUMED, FILLED
from ..core.errors import SpecError, TrainsimWarning
from ..run.run import Run
from ..training.efficiency import MFU, BusyHours, Efficiency, StepTime, Throughput
from ..training.phases import Phase

WORK = ("tokens", "seq_len", "batch", "cluster")
"""Fields of a phase that its reported time depends on."""


def changed(run: Run, steps: Sequence[Mapping[str, Any]]) -> Run:
    """Change a run, and drop inputs that were reported or filled in for the run before the change.

    Reported hours, throughput and step time hold for one chip, number of accelerators, model and work. They are dropped if one of these was
    known and changes; those of a phase whose tokens are unknown stay if another phase has tokens, and are marked as assumed. A filled-in
    utilisation or goodput is dropped if the machines or the model change; a filled-in rent is dropped if the chip changes. A stated
    utilisation stays, and so does every input that ``steps`` set.

    Args:
        run: the run as published or saved.
        steps: changes as for ``run.replace``, made one after the other.

    Returns:
        the changed run, in which ``catalog.complete`` fills in the open inputs anew.

    >>> import trainsim as ts
    >>> doubled = changed(ts.catalog.run("deepseek-v3"), [{"phases.pretrain.tokens": "30T"}])
    >>> [phase.efficiency is None for phase in doubled.phases]
    [True, False, False, False]
    """
    # a warning about an efficiency that is dropped below would be false
    with warnings.catch_warnings(action="ignore", category=TrainsimWarning):
        try:
            after = reduce(Run.replace, steps, run)
        except SpecError as error:
            if not error.path.startswith("plan.") or any(path.startswith("plan") for step in steps for path in step):
                raise
            run = run.replace({"plan": None})  # the run's own layout does not fit the changed run
            after = reduce(Run.replace, steps, run)
        opened = _stale(run, after)
    return reduce(Run.replace, steps, run.replace(opened) if opened else run).with_sources(_hours_of_before(after, opened))


def utilisation(run: Run, mfu: float | str) -> dict[str, Any]:
    """Changes that replace the efficiencies of a run by a utilisation; the convention of a given MFU stays.

    A phase whose tokens are unknown keeps its hours, unless no phase has tokens.

    Args:
        run: the run.
        mfu: model FLOPs over peak [1], a number or ``"40%"``.

    Raises:
        SpecError: the value is not a utilisation.

    >>> import trainsim as ts
    >>> sorted(utilisation(ts.catalog.run("llama3-8b", gpus=64), 0.4))
    ['efficiency', 'phases.pretrain.efficiency']
    """
    efficiency = run.efficiency.replace({"mfu": mfu}) if isinstance(run.efficiency, MFU) else MFU(mfu)  # type: ignore[arg-type]
    return efficiency_changes(run, efficiency)


def efficiency_changes(run: Run, efficiency: Efficiency) -> dict[str, Any]:
    """Changes that replace the efficiencies of a run by one; a phase without tokens keeps its own, unless no phase has tokens."""
    counted = [phase for phase in run.phases if phase.tokens is not None] or run.phases
    return {"efficiency": efficiency} | {f"phases.{phase.name}.efficiency": None for phase in counted if phase.efficiency is not None}


def _stale(before: Run, after: Run) -> dict[str, None]:
    """Paths of inputs that a change makes invalid."""
    other_chip = before.cluster.chip != after.cluster.chip
    other_run = other_chip or before.cluster.gpus != after.cluster.gpus or before.model != after.model
    former = {phase.name: phase for phase in before.phases}
    moved = [p for p in after.phases if p.name in former and (other_run or _other_work(former[p.name], p))]
    counted = [p for p in moved if p.tokens is not None] or moved
    opened = {f"phases.{p.name}.efficiency" for p in counted if _of_one_run(p.efficiency) and p.efficiency == former[p.name].efficiency}
    if any(p.efficiency is None for p in moved) and _of_one_run(after.efficiency) and after.efficiency == before.efficiency:
        opened.add("efficiency")
    stale = {"efficiency.mfu": other_run, "reliability.goodput": other_run, "price.usd_per_gpu_hour": other_chip}
    sources = after.sources()
    filled = (path for path in stale if sources.get(path, "").removeprefix(ASSUMED).startswith(FILLED))
    return dict.fromkeys(opened | {path.partition(".")[0] for path in filled if stale[path]})


def _hours_of_before(after: Run, opened: Collection[str]) -> dict[str, str]:
    """Sources of hours that stay although they were reported for the run before the change, since their phase's tokens are unknown."""
    kept = [p for p in after.phases if p.tokens is None and isinstance(p.efficiency, BusyHours) and opened]
    return {f"phases.{p.name}.efficiency.gpu_hours": f"{ASSUMED}as reported for other machines or work" for p in kept}


def _other_work(before: Phase, after: Phase) -> bool:
    """Whether a known number of a phase has changed; a number that was unknown before does not count."""
    return any(getattr(before, name) not in (None, getattr(after, name)) for name in WORK)


def _of_one_run(efficiency: Efficiency | None) -> bool:
    """Whether an efficiency is a reported time, which holds for one run only."""
    return isinstance(efficiency, (BusyHours, StepTime, Throughput))
